"""The end of a response, by its header fields: one strict reading for all clients.

A client that finds another end than the server meant takes a part of one response for the response to another request.
So every ambiguous head is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from http.client import HTTPException
from typing import Final, NamedTuple

MAX_FIELDS: Final = 128
MAX_HEAD: Final = 65_536
"""The limit for the names and values of one head together, in bytes, and for a reason phrase."""

_LENGTH: Final = re.compile(rb"0*([0-9]{1,20})")
_MAX_LENGTH: Final = (1 << 64) - 1
_CHUNKED: Final = re.compile(rb"chunked(?:,[ \t]*chunked)*", re.IGNORECASE)
_ENCODINGS: Final = (b"gzip", b"x-gzip", b"deflate", b"br", b"zstd", b"compress")
_NO_BODY: Final = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class EncodedBodyError(HTTPException):
    """The body is compressed, although the request forbids it; the text is the name of the encoding."""


class Framing(NamedTuple):
    """The end of a body.

    Attributes:
        length: The length of the body in bytes; None where chunks or the end of the connection end it.
        chunked: The body comes in chunks.
        closes: The connection must not be used again.
    """

    length: int | None
    chunked: bool
    closes: bool


def is_interim(status: int) -> bool:
    """Return whether the final response is still to come; after 101 no other response comes."""
    return status < HTTPStatus.OK and status != HTTPStatus.SWITCHING_PROTOCOLS


def framing(status: int, fields: Iterable[tuple[bytes, bytes]], *, is_1_0: bool) -> Framing:
    """Return where the body of a response ends.

    Args:
        status: Its status.
        fields: Names and values as they came, unfolded.
        is_1_0: The response is HTTP/1.0.

    Raises:
        HTTPException: The fields are too many, too large, contradictory or malformed.
        EncodedBodyError: The body is compressed.
    """
    length = None
    codings, encodings, options = [], [], []
    count = size = 0
    for name, value in fields:
        count += 1
        size += len(name) + len(value)
        match name.rstrip(b" ").lower():
            case b"content-length":
                if length is not None:
                    raise HTTPException("two lengths")
                length = _length(value)
            case b"transfer-encoding":
                codings.append(value)
            case b"connection":
                options.append(value)
            case b"content-encoding":
                encodings.append(value)
    if count > MAX_FIELDS or size > MAX_HEAD:
        raise HTTPException("the head is too large")
    closes = is_1_0 or status == HTTPStatus.SWITCHING_PROTOCOLS or b"close" in _tokens(options)
    if is_interim(status) and closes:
        raise HTTPException("an interim response that closes the connection")
    if status < HTTPStatus.OK or status in _NO_BODY:
        return Framing(0, chunked=False, closes=closes)
    if codings and (length is not None or not _CHUNKED.fullmatch(b",".join(codings))):
        raise HTTPException("a transfer coding that is not understood")
    _refuse_encodings(encodings)
    return Framing(length, bool(codings), closes or not (codings or length is not None))


def _refuse_encodings(values: list[bytes]) -> None:
    for encoding in _tokens(values):
        if encoding not in (b"", b"identity"):
            raise EncodedBodyError(encoding.decode() if encoding in _ENCODINGS else "unknown")


def _tokens(values: list[bytes]) -> list[bytes]:
    return [token.strip(b" \t").lower() for value in values for token in value.split(b",")]


def _length(value: bytes) -> int:
    match = _LENGTH.fullmatch(value)
    if match is None or int(match[1]) > _MAX_LENGTH:
        raise HTTPException("a length that is none")
    return int(match[1])
