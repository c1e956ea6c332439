"""The compact form of a signed token (RFC 7515, section 7.1), taken apart before anything in it is believed."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.errors import MalformedInputError, MalformedTokenError, UsageError
from bridge.strict_json import parse
from bridge.tokens import base64url
from bridge.tokens.wrong_format import instead_of_token

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES: Final = 65_536
"""The longest token that is looked at. Base64url is ASCII, so a character is a byte, or the token is no token."""

_NAMES: Final = ("header", "payload", "signature")
_OF_ENCRYPTED: Final = 5
_SCHEME: Final = "bearer "
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9_.-]")
_HEADER: Final = re.compile(r"e[w-z0-9_-]")
"""How base64url of `{` begins, and of no other character."""
_HINTS: Final[Mapping[type, str]] = {
    bytes: ", not bytes: decode it, as in `token.decode()`",
    type(None): ", not None: is there an `Authorization` header? Answer 401 where there is none",
    dict: ", not a dict: claims that have been verified already go to `check` as they are",
}
_CHANGES_MEANING: Final = ("crit", "b64", "zip")


@dataclass(frozen=True, slots=True)
class CompactJws:
    """What an unverified token says about itself, no more than is needed to verify it.

    Attributes:
        alg: The algorithm that it claims.
        kid: The key that it names, or None.
        payload: The bytes that are signed as its payload.
    """

    alg: str
    kid: str | None
    payload: bytes


def parse_compact(token: str) -> CompactJws:
    """The parts of a token, still unverified.

    The header members `jwk`, `jku`, `x5c` and `x5u` are not even read: a token cannot bring its own key. `crit` is
    refused whatever it holds, as nothing that it could list is understood here; so are `b64` and `zip`, which would
    change what the payload's bytes mean.

    Raises:
        UsageError: It is no string.
        MalformedTokenError: It is too long, no three segments of exact base64url, or the header is no JSON object (R12)
            with a string `alg`.
    """
    if type(token) is not str:
        raise UsageError(f"a token must be a string{_HINTS.get(type(token), '')}")
    if len(token) > MAX_BYTES:
        raise MalformedTokenError(f"the token is longer than {MAX_BYTES:,} bytes")
    _refuse_what_was_copied_along(token)
    if dots := token.count(".") - (len(_NAMES) - 1):
        raise MalformedTokenError(_of_segments(dots + len(_NAMES)))
    if not _HEADER.match(token):
        _refuse_what_is_no_header(token.partition(".")[0])
    header, payload, _ = (_decoded(name, segment) for name, segment in zip(_NAMES, token.split("."), strict=True))
    alg, kid = _read_header(header)
    return CompactJws(alg, kid, payload)


def _of_segments(found: int) -> str:
    text = f"the token has {found} segment{'' if found == 1 else 's'}, not {len(_NAMES)}"
    if found == _OF_ENCRYPTED:
        return (
            f"{text}: an encrypted token (JWE) has so many, and only signed ones (JWS) are verified; decrypt it first"
        )
    return f"{text} with dots between them; is it a whole token?"


def _refuse_what_is_no_header(segment: str) -> None:
    """Say of a text that merely has two dots that it is no token, rather than what is wrong with its base64url."""
    with suppress(base64url.Base64urlError):
        if base64url.decode(segment).lstrip(b" \t\r\n")[:1] == b"{":
            return  # white space before the header's JSON is unusual, and allowed
    raise MalformedTokenError("it is no token: its first segment is no JSON object in base64url, as `eyJ...` is")


def _refuse_what_was_copied_along(token: str) -> None:
    """Say what to do about a text that is a token but for what stands around it."""
    if not token.strip():
        raise MalformedTokenError("the token is empty")
    if token[:1].isspace():
        raise MalformedTokenError("the token has white space at its beginning, which is no part of it: take it off")
    if token[-1:].isspace():
        raise MalformedTokenError(
            "the token has white space at its end, such as the line feed of a file, which is no part of it: take it off"
        )
    if token[: len(_SCHEME)].lower() == _SCHEME:
        raise MalformedTokenError(
            "the token begins with `Bearer `, which is a part of the HTTP header and not of the token: take it off"
        )
    if _FOREIGN.search(token) and (found := instead_of_token(token)):
        raise MalformedTokenError(f"no token: {found}")


def _decoded(name: str, segment: str) -> bytes:
    try:
        return base64url.decode(segment)
    except base64url.Base64urlError as error:
        raise MalformedTokenError(f"the token's {name} has {error}") from None


def _read_header(data: bytes) -> tuple[str, str | None]:
    try:
        header = parse(data, what="token header")
    except MalformedInputError as error:
        raise MalformedTokenError(str(error)) from None
    if not isinstance(header, dict):
        raise MalformedTokenError("token header: it is not an object")
    for name in _CHANGES_MEANING:
        if name in header:
            raise MalformedTokenError(f"token header: `{name}` is not supported")
    alg, kid = header.get("alg"), header.get("kid")
    if not isinstance(alg, str):
        raise MalformedTokenError("token header: `alg` is not there or no string")
    if "kid" in header and not isinstance(kid, str):
        raise MalformedTokenError("token header: `kid` is no string")
    return alg, kid if isinstance(kid, str) else None
