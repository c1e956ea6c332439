"""What verified claims must say: the time, the audience, the issuer.

PyJWT's own checks are not used: they read `exp` through `int()`, and so take strings and booleans and drop fractions.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, Final, TypeAlias

from bridge.errors import (
    ExpiredTokenError,
    ImmatureTokenError,
    InvalidAudienceError,
    InvalidIssuerError,
    MalformedInputError,
    MalformedTokenError,
    MissingRequiredClaimError,
)
from bridge.strict_json import CLAIMS_BYTES, encode, parse
from bridge.tokens.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.strict_json import Value

    Claims: TypeAlias = dict[str, Value]

_BEGINS: Final = ("nbf", "iat")
_LONG: Final = 1_000_000_000_000
_NAMED: Final = 3  # how many audiences a refusal names


TIMES: Final = ("exp", *_BEGINS)
"""The claims that `check_time` looks at."""


def read(payload: bytes) -> tuple[Claims, bytes]:
    """The claims that a payload spells, exactly, and their canonical text.

    Raises:
        MalformedTokenError: It is no JSON object, or breaks R12.1-R12.6.
    """
    try:
        claims = parse(payload, what="claims")
        if not isinstance(claims, dict):
            raise MalformedTokenError("claims: they are not an object")
        text = encode(claims, max_bytes=CLAIMS_BYTES, what="claims")  # `[1e39, ...]` grows when it is written out
    except MalformedInputError as error:
        raise MalformedTokenError(str(error)) from None
    return claims, text


def check_time(claims: Mapping[str, Value], *, now: Fraction, leeway: Fraction) -> None:
    """`nbf`, `iat` <= now < `exp`, with leeway on each side, all of them exact.

    Args:
        claims: The claims, or these three of them.
        now: Seconds since the epoch.
        leeway: Seconds.

    Raises:
        MissingRequiredClaimError: There is no `exp`.
        MalformedTokenError: One of them is no JSON number.
        ExpiredTokenError: now >= `exp` + leeway.
        ImmatureTokenError: now < `nbf` or `iat` - leeway.
    """
    if "exp" not in claims:
        raise MissingRequiredClaimError("the claim `exp` is not there")
    times = {name: _number(claims, name) for name in TIMES if name in claims}
    if now >= times["exp"] + leeway:
        raise ExpiredTokenError(f"the token has expired: its `exp` was {_how_long(now - times['exp'])} ago")
    for name in _BEGINS:
        if name in times and times[name] - leeway > now:
            raise ImmatureTokenError(f"the token's `{name}` is in the future, by {_how_long(times[name] - now)}")


def _how_long(seconds: Fraction) -> str:
    """For a person: whole seconds, and no more digits than a clock can have meant."""
    if seconds > _LONG:
        return f"more than {_LONG:,} seconds"
    whole = ceil(seconds)
    return "1 second" if whole == 1 else f"{whole:,} seconds"


def _number(claims: Mapping[str, Value], name: str) -> Fraction:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise MalformedTokenError(f"claims: `{name}` is no number")
    return Fraction(value)


def check_audience(claims: Claims, wanted: Sequence[str]) -> None:
    """`aud` is, or contains, one of the wanted; where none is wanted, it must not be there.

    Raises:
        MissingRequiredClaimError: There is no `aud`, and one is wanted.
        MalformedTokenError: It is no string and no array of strings.
        InvalidAudienceError: It is for somebody else.
    """
    if not wanted:
        if "aud" in claims:
            raise InvalidAudienceError(f"the token is for {_audiences(claims)}, and no audience is configured here")
        return
    if "aud" not in claims:
        raise MissingRequiredClaimError("the claim `aud` is not there")
    aud = claims["aud"]
    values = [aud] if isinstance(aud, str) else aud
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise MalformedTokenError("claims: `aud` is no string and no array of strings")
    if not any(value in wanted for value in values):
        raise InvalidAudienceError(f"the token is for another audience: {_audiences(claims)}")


def _audiences(claims: Claims) -> str:
    """Whom a token is for, as far as that can be said in a line."""
    aud = claims["aud"]
    values = [value for value in (aud if isinstance(aud, list) else [aud]) if isinstance(value, str)]
    if not values:
        return "nobody that it names"
    more = len(values) - _NAMED
    return ", ".join(map(quoted, values[:_NAMED])) + (f" and {more:,} more" if more > 0 else "")


def check_issuer(claims: Claims, wanted: str | None) -> None:
    """`iss` is the wanted one; where none is wanted, it is not looked at.

    Raises:
        MissingRequiredClaimError: There is no `iss`, and one is wanted.
        MalformedTokenError: It is no string.
        InvalidIssuerError: It is another one.
    """
    if wanted is None:
        return
    if "iss" not in claims:
        raise MissingRequiredClaimError("the claim `iss` is not there")
    iss = claims["iss"]
    if not isinstance(iss, str):
        raise MalformedTokenError("claims: `iss` is no string")
    if iss != wanted:
        raise InvalidIssuerError(f"the token is from another issuer: {quoted(iss)}")


def check_required(claims: Claims, names: Sequence[str]) -> None:
    """Every required claim is there; a claim whose value is null is there.

    Raises:
        MissingRequiredClaimError: One is not.
    """
    for name in names:
        if name not in claims:
            raise MissingRequiredClaimError(f"the claim {quoted(name)} is not there")
