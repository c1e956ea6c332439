"""The compact form of a signed token (RFC 7515, section 7.1), and base64url (section 2), both exactly.

Nothing in a token is trusted here. The standard library's base64url decoder skips foreign characters and ignores unused
bits. One signature would then have many spellings, and a token that was revoked or logged by its text could come back
under another one.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from bridge.errors import MalformedInputError, MalformedTokenError, UsageError
from bridge.strict_json import are_canonical, parse
from bridge.tokens.wrong_format import instead_of_token

MAX_BYTES: Final = 65_536
"""The maximum length of a token. Base64url is ASCII, so a character is a byte, or the text is not a token."""

_SEGMENTS: Final = ("header", "payload", "signature")
_ENCRYPTED_SEGMENTS: Final = 5
_SCHEME: Final = "bearer "
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9_.-]")
_ALPHABET: Final = re.compile(r"[A-Za-z0-9_-]*")
_HEADER: Final = re.compile(r"e[w-z0-9_-]")
"""The first two characters of `{` in base64url, and of no other character."""
_TYPE_REMEDIES: Final[Mapping[type, str]] = {
    bytes: ", not bytes: decode it, as in `token.decode()`",
    type(None): ", not None: is there an `Authorization` header? Answer 401 if there is none",
    dict: ", not a dict: give claims that are already verified to `check` directly",
}
_UNSUPPORTED: Final = ("crit", "b64", "zip")
_OPA_MEMBERS: Final = frozenset(("alg", "kid", "typ"))


class Base64urlError(ValueError):
    """A text that is not exact base64url; the message is the cause."""


@dataclass(frozen=True, slots=True)
class CompactJws:
    """The parts of an unverified token that its verification needs.

    Attributes:
        alg: The algorithm in its header.
        kid: The key id in its header, or None.
        payload: The bytes of its payload.
    """

    alg: str
    kid: str | None
    payload: bytes


def parse_compact(token: str) -> CompactJws:
    """Return the parts of a token, still unverified.

    The header members `jwk`, `jku`, `x5c` and `x5u` are not read: a token cannot bring its own key. `crit` is refused
    with any value, because no extension is supported. So are `b64` and `zip`, which would change the meaning of the
    payload's bytes.

    Raises:
        UsageError: The token is not a `str`.
        MalformedTokenError: It is too long, it is not three segments of exact base64url, or the header is not a JSON
            object (R12) with a string `alg`.
    """
    if type(token) is not str:
        raise UsageError(f"a token must be a string{_TYPE_REMEDIES.get(type(token), '')}")
    if len(token) > MAX_BYTES:
        raise MalformedTokenError(f"the token is longer than {MAX_BYTES:,} bytes: get one with fewer or shorter claims")
    _refuse_surrounding_text(token)
    if (segments := token.count(".") + 1) != len(_SEGMENTS):
        raise MalformedTokenError(_wrong_segments(segments))
    if not _HEADER.match(token):
        _require_header(token.partition(".")[0])
    header, payload, _ = (_decode_segment(name, text) for name, text in zip(_SEGMENTS, token.split("."), strict=True))
    alg, kid = _read_header(header)
    return CompactJws(alg, kid, payload)


def decode_base64url(text: str) -> bytes:
    """Return the bytes of a base64url text without padding.

    Raises:
        Base64urlError: The text has a character outside the alphabet (padding too), a length that no bytes have, or
            unused bits that are not zero.
    """
    if not _ALPHABET.fullmatch(text):
        raise Base64urlError(f"a character that base64url does not have{_foreign_character(text)}")
    if len(text) % 4 == 1:
        raise Base64urlError("a length that base64url never has; is something cut off?")
    data = base64.urlsafe_b64decode(text + "==")
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii") != text:
        raise Base64urlError("unused bits at the end that are not zero; is something cut off or changed?")
    return data


def may_be_sent_raw(token: str) -> bool:
    """Return whether OPA, which decodes the token itself, reads the same claims as the bridge.

    Nothing can rewrite the numbers of a signed payload, so each must be in canonical text already (SEMANTICS, "What OPA
    does to numbers and strings"). For simplicity all numbers are checked, not those of the policy alone. A token with
    other numbers is still decided, by its verified claims. So is a token whose header has more than the three members
    that OPA always reads alike (`cty` makes OPA look for a token inside the token).

    Args:
        token: A token that `TokenVerifier.verify` has accepted.
    """
    head, payload, _ = (decode_base64url(segment) for segment in token.split("."))
    header = parse(head)
    assert isinstance(header, dict)
    if not header.keys() <= _OPA_MEMBERS or not all(isinstance(value, str) for value in header.values()):
        return False
    return are_canonical(payload.decode("utf-8"))


def _wrong_segments(segments: int) -> str:
    text = f"the token has {segments} segment{'' if segments == 1 else 's'}, not {len(_SEGMENTS)}"
    if segments == _ENCRYPTED_SEGMENTS:
        return f"{text}: it is an encrypted token (JWE), and only signed ones (JWS) can be verified; decrypt it first"
    return f"{text} with dots between them; is it a whole token?"


def _require_header(segment: str) -> None:
    """Refuse a text that has two dots but is not a token, rather than report a mistake in its base64url."""
    with suppress(Base64urlError):
        if decode_base64url(segment).lstrip(b" \t\r\n")[:1] == b"{":
            return  # white space before the header's JSON is unusual but allowed
    raise MalformedTokenError("it is not a token: its first segment is not a JSON object in base64url, as `eyJ...` is")


def _refuse_surrounding_text(token: str) -> None:
    """Refuse a token that was copied together with other text, with the remedy."""
    if not token.strip():
        raise MalformedTokenError("the token is empty")
    if token[:1].isspace():
        raise MalformedTokenError("the token begins with white space, which does not belong to it: take it off")
    if token[-1:].isspace():
        raise MalformedTokenError(
            "the token ends with white space, such as the line feed of a file, which does not belong to it: take it off"
        )
    if token[: len(_SCHEME)].lower() == _SCHEME:
        raise MalformedTokenError(
            "the token begins with `Bearer `, which is a part of the HTTP header and not of the token: take it off"
        )
    if _FOREIGN.search(token) and (format_remedy := instead_of_token(token)):
        raise MalformedTokenError(f"not a token: {format_remedy}")


def _decode_segment(name: str, segment: str) -> bytes:
    try:
        return decode_base64url(segment)
    except Base64urlError as error:
        raise MalformedTokenError(f"the token's {name} has {error}") from None


def _foreign_character(text: str) -> str:
    """Return a remedy for a foreign character, without the text, which may be a secret."""
    if "+" in text or "/" in text:
        return ": `+` and `/` belong to standard base64; base64url has `-` and `_` in their place"
    if text.endswith("="):
        return ": `=` is padding, take it off"
    if not text.isascii():
        return ", because it is not ASCII; was other text copied along?"
    return ""


def _read_header(data: bytes) -> tuple[str, str | None]:
    try:
        header = parse(data, what="token header")
    except MalformedInputError as error:
        raise MalformedTokenError(str(error)) from None
    if not isinstance(header, dict):
        raise MalformedTokenError("token header: it is not an object")
    for name in _UNSUPPORTED:
        if name in header:
            raise MalformedTokenError(f"token header: `{name}` is not supported; get a token without it")
    alg, kid = header.get("alg"), header.get("kid")
    if not isinstance(alg, str):
        raise MalformedTokenError("token header: `alg` is missing or not a string")
    if "kid" in header and not isinstance(kid, str):
        raise MalformedTokenError("token header: `kid` is not a string")
    return alg, kid if isinstance(kid, str) else None
