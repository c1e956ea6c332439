"""Bytes that are not UTF-8 text, recognized by their first bytes."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final, NamedTuple


class Kind(Enum):
    """What the user has to do about the bytes."""

    MARK = auto()
    """UTF-8 text after a byte order mark."""

    TEXT = auto()
    """Text in another encoding."""

    COMPRESSED = auto()
    """Compressed data."""

    ARCHIVE = auto()
    """An archive of compressed files."""


class Beginning(NamedTuple):
    """The meaning of some first bytes.

    Attributes:
        kind: What the user has to do about them.
        name: The name of the format.
    """

    kind: Kind
    name: str


_UTF_16: Final = Beginning(Kind.TEXT, "UTF-16")
_UTF_32: Final = Beginning(Kind.TEXT, "UTF-32")
_BEGINNINGS: Final = (
    (b"\xef\xbb\xbf", Beginning(Kind.MARK, "a byte order mark")),
    (b"\xff\xfe\x00\x00", _UTF_32),
    (b"\x00\x00\xfe\xff", _UTF_32),
    (b"\xff\xfe", _UTF_16),
    (b"\xfe\xff", _UTF_16),
    (b"\x1f\x8b", Beginning(Kind.COMPRESSED, "gzip")),
    (b"BZh", Beginning(Kind.COMPRESSED, "bzip2")),
    (b"\xfd7zXZ\x00", Beginning(Kind.COMPRESSED, "xz")),
    (b"\x28\xb5\x2f\xfd", Beginning(Kind.COMPRESSED, "zstd")),
    (b"\x04\x22\x4d\x18", Beginning(Kind.COMPRESSED, "lz4")),
    (b"7z\xbc\xaf\x27\x1c", Beginning(Kind.COMPRESSED, "7z")),
    (b"PK\x03\x04", Beginning(Kind.ARCHIVE, "zip; an Excel sheet is such, too")),
    (b"PK\x05\x06", Beginning(Kind.ARCHIVE, "zip, an empty one")),
)
_WITHOUT_MARK: Final = re.compile(rb"(?:[\t\n\r -~]\0){2}|(?:\0[\t\n\r -~]){2}")


def beginning_of(data: bytes) -> Beginning | None:
    """Return the format that bytes begin like, which is not JSON; None if no format is recognized."""
    for first_bytes, beginning in _BEGINNINGS:
        if data.startswith(first_bytes):
            return beginning
    return None


def encoding_fault(data: bytes) -> str:
    """Return why bytes are not plain UTF-8 text, with the remedy; empty if no cause is recognized.

    The cause is a guess for an error message: it alone is no reason to refuse the bytes.
    """
    beginning = beginning_of(data) or (_UTF_16 if _WITHOUT_MARK.match(data) else None)
    if beginning is None:
        return ""
    return {
        Kind.MARK: f"it begins with {beginning.name}: save it as UTF-8 without one",
        Kind.TEXT: f"it is {beginning.name}, not UTF-8: save it as UTF-8",
        Kind.COMPRESSED: f"it is compressed ({beginning.name}): decompress it first",
        Kind.ARCHIVE: "it is a zip archive: unpack it first",
    }[beginning.kind]
