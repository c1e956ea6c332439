"""The checks of verified claims: time, audience, issuer and required claims.

PyJWT's own checks are not used: they read `exp` with `int()`, so they accept strings and booleans and drop fractions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Final, TypeAlias

from bridge.errors import (
    ConfigurationError,
    ExpiredTokenError,
    ImmatureTokenError,
    InvalidAudienceError,
    InvalidIssuerError,
    MalformedInputError,
    MalformedTokenError,
    MissingRequiredClaimError,
)
from bridge.escapes import quoted
from bridge.strict_json import CLAIMS_BYTES, Value, encode, parse

Claims: TypeAlias = dict[str, Value]

_BEGINS: Final = ("nbf", "iat")
_LONG: Final = 1_000_000_000_000
_MAX_NAMED: Final = 3  # audiences in an error message

TIMES: Final = ("exp", *_BEGINS)
"""The claims that `check_time` checks."""


def exact_seconds(name: str, value: object, *, zero: bool = False) -> Fraction:
    """Return the exact number of seconds of a setting; a float counts as the number of its `repr` (R12.7).

    Args:
        name: The setting's name, for the error message.
        value: The setting.
        zero: Whether 0 is allowed.

    Raises:
        ConfigurationError: It is not a finite number, it is a bool or negative, or it is 0 and 0 is not allowed.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ConfigurationError(f"{name}: give a number of seconds")
    try:
        exact = Fraction(repr(value)) if isinstance(value, float) else Fraction(value)
    except (ValueError, OverflowError):
        raise ConfigurationError(f"{name}: the number of seconds must be finite") from None
    if exact < 0 or (exact == 0 and not zero):
        raise ConfigurationError(f"{name}: the number of seconds must not be negative{'' if zero else ' or 0'}")
    return exact


def read_claims(payload: bytes) -> tuple[Claims, bytes]:
    """Return the claims in a payload, with exact numbers, and their canonical text.

    Raises:
        MalformedTokenError: The payload is not a JSON object, or it breaks R12.1-R12.6.
    """
    try:
        claims = parse(payload, what="claims")
        if not isinstance(claims, dict):
            raise MalformedTokenError("claims: they are not an object")
        text = encode(claims, max_bytes=CLAIMS_BYTES, what="claims")  # `[1e39, ...]` grows when it is written in full
    except MalformedInputError as error:
        raise MalformedTokenError(str(error)) from None
    return claims, text


def check_time(claims: Mapping[str, Value], *, now: Fraction, leeway: Fraction) -> None:
    """Check that `nbf`, `iat` <= now < `exp`, with leeway on each side, by exact numbers.

    Args:
        claims: The claims, or only these three.
        now: Seconds since the epoch.
        leeway: Seconds.

    Raises:
        MissingRequiredClaimError: `exp` is missing.
        MalformedTokenError: One of them is not a JSON number.
        ExpiredTokenError: now >= `exp` + leeway.
        ImmatureTokenError: now < `nbf` or `iat` - leeway.
    """
    if "exp" not in claims:
        raise MissingRequiredClaimError(_missing("`exp`"))
    times = {name: _number(claims, name) for name in TIMES if name in claims}
    if now >= times["exp"] + leeway:
        raise ExpiredTokenError(
            f"the token has expired: its `exp` was {_duration(now - times['exp'])} ago; get a new one"
        )
    for name in _BEGINS:
        if name in times and times[name] - leeway > now:
            wait = _duration(times[name] - now)
            raise ImmatureTokenError(f"the token's `{name}` is in the future, by {wait}; set the clocks, or a `leeway`")


def _duration(seconds: Fraction) -> str:
    """Return whole seconds in words, with no more digits than a clock can have."""
    if seconds > _LONG:
        return f"more than {_LONG:,} seconds"
    whole = ceil(seconds)
    return "1 second" if whole == 1 else f"{whole:,} seconds"


def _number(claims: Mapping[str, Value], name: str) -> Fraction:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise MalformedTokenError(f"claims: `{name}` is not a number")
    return Fraction(value)


def check_audience(claims: Claims, accepted: Sequence[str]) -> None:
    """Check that `aud` is, or contains, an accepted audience; if none is configured, that there is no `aud`.

    Raises:
        MissingRequiredClaimError: An audience is configured, and `aud` is missing.
        MalformedTokenError: `aud` is neither a string nor an array of strings.
        InvalidAudienceError: The token is for another audience.
    """
    if not accepted:
        if "aud" in claims:
            raise InvalidAudienceError(
                f"the token is for {_audiences(claims)}, and no audience is configured: set `audience`"
            )
        return
    if "aud" not in claims:
        raise MissingRequiredClaimError(_missing("`aud`"))
    aud = claims["aud"]
    values = [aud] if isinstance(aud, str) else aud
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise MalformedTokenError("claims: `aud` is neither a string nor an array of strings")
    if not any(value in accepted for value in values):
        raise InvalidAudienceError(
            f"the token is for another audience: {_audiences(claims)}; if it is for this service, set `audience`"
        )


def _audiences(claims: Claims) -> str:
    """Return the audiences of a token in a line, at most three of them."""
    aud = claims["aud"]
    values = [value for value in (aud if isinstance(aud, list) else [aud]) if isinstance(value, str)]
    if not values:
        return "no named audience"
    more = len(values) - _MAX_NAMED
    return ", ".join(map(quoted, values[:_MAX_NAMED])) + (f" and {more:,} more" if more > 0 else "")


def check_issuer(claims: Claims, expected: str | None) -> None:
    """Check that `iss` is the configured issuer; if none is configured, `iss` may be anything.

    Raises:
        MissingRequiredClaimError: An issuer is configured, and `iss` is missing.
        MalformedTokenError: `iss` is not a string.
        InvalidIssuerError: The token is from another issuer.
    """
    if expected is None:
        return
    if "iss" not in claims:
        raise MissingRequiredClaimError(_missing("`iss`"))
    iss = claims["iss"]
    if not isinstance(iss, str):
        raise MalformedTokenError("claims: `iss` is not a string")
    if iss != expected:
        raise InvalidIssuerError(f"the token is from another issuer: {quoted(iss)}; if you trust it, set `issuer`")


def check_required(claims: Claims, names: Sequence[str]) -> None:
    """Check that every required claim is present; a claim with the value null is present.

    Raises:
        MissingRequiredClaimError: A required claim is missing.
    """
    for name in names:
        if name not in claims:
            raise MissingRequiredClaimError(_missing(quoted(name)))


def _missing(claim: str) -> str:
    return f"the claim {claim} is missing; get a token that has it"
