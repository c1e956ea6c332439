"""The compact form of a signed token (RFC 7515, section 7.1), taken apart before anything in it is believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bridge.errors import MalformedInput, MalformedToken, Misuse
from bridge.strict_json import parse
from bridge.tokens import base64url

MAX_BYTES: Final = 65_536
"""The longest token that is looked at. Base64url is ASCII, so a character is a byte, or the token is no token."""

_NAMES: Final = ("header", "payload", "signature")
_SCHEME: Final = "bearer "
_CHANGES_MEANING: Final = ("crit", "b64", "zip")


@dataclass(frozen=True, slots=True)
class Compact:
    """What an unverified token says about itself, no more than is needed to verify it.

    Attributes:
        alg: The algorithm that it claims.
        kid: The key that it names, or None.
        payload: The bytes that are signed as its payload.
    """

    alg: str
    kid: str | None
    payload: bytes


def take_apart(token: str) -> Compact:
    """The parts of a token, still unverified.

    The header members `jwk`, `jku`, `x5c` and `x5u` are not even read: a token cannot bring its own key. `crit` is
    refused whatever it holds, as nothing that it could list is understood here; so are `b64` and `zip`, which would
    change what the payload's bytes mean.

    Raises:
        Misuse: It is no string.
        MalformedToken: It is too long, no three segments of exact base64url, or the header is no JSON object (R12)
            with a string `alg`.
    """
    if type(token) is not str:
        raise Misuse("a token must be a string")
    if len(token) > MAX_BYTES:
        raise MalformedToken(f"the token is longer than {MAX_BYTES:,} bytes")
    _refuse_what_was_copied_along(token)
    if dots := token.count(".") - (len(_NAMES) - 1):
        found = dots + len(_NAMES)
        raise MalformedToken(f"the token has {found} segment{'' if found == 1 else 's'}, not {len(_NAMES)}")
    header, payload, _ = (_decoded(name, segment) for name, segment in zip(_NAMES, token.split("."), strict=True))
    alg, kid = _read_header(header)
    return Compact(alg, kid, payload)


def _refuse_what_was_copied_along(token: str) -> None:
    """Say what to do about a text that is a token but for what stands around it."""
    if not token.strip():
        raise MalformedToken("the token is empty")
    if token[:1].isspace():
        raise MalformedToken("the token has white space at its beginning, which is no part of it: take it off")
    if token[-1:].isspace():
        raise MalformedToken(
            "the token has white space at its end, such as the line feed of a file, which is no part of it: take it off"
        )
    if token[: len(_SCHEME)].lower() == _SCHEME:
        raise MalformedToken(
            "the token begins with `Bearer `, which is a part of the HTTP header and not of the token: take it off"
        )


def _decoded(name: str, segment: str) -> bytes:
    try:
        return base64url.decode(segment)
    except base64url.NotBase64url as error:
        raise MalformedToken(f"the token's {name} has {error}") from None


def _read_header(data: bytes) -> tuple[str, str | None]:
    try:
        header = parse(data, what="token header")
    except MalformedInput as error:
        raise MalformedToken(str(error)) from None
    if not isinstance(header, dict):
        raise MalformedToken("token header: it is not an object")
    for name in _CHANGES_MEANING:
        if name in header:
            raise MalformedToken(f"token header: `{name}` is not supported")
    alg, kid = header.get("alg"), header.get("kid")
    if not isinstance(alg, str):
        raise MalformedToken("token header: `alg` is not there or no string")
    if "kid" in header and not isinstance(kid, str):
        raise MalformedToken("token header: `kid` is no string")
    return alg, kid if isinstance(kid, str) else None
