"""Bytes that are no UTF-8 text, recognised by how they begin."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final, NamedTuple


class Kind(Enum):
    """What somebody has to do about it."""

    MARK = auto()
    """UTF-8 text, behind a byte order mark."""

    TEXT = auto()
    """Text in another encoding."""

    COMPRESSED = auto()
    """Compressed data."""

    ARCHIVE = auto()
    """An archive of compressed files."""


class Beginning(NamedTuple):
    """What bytes are that begin so.

    Attributes:
        kind: What is to be done about it.
        name: What it is called.
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
    """What bytes are that begin as no JSON text does; None where that is not recognised."""
    for beginning, found in _BEGINNINGS:
        if data.startswith(beginning):
            return found
    return None


def encoding_fault(data: bytes) -> str:
    """Why bytes are no plain UTF-8 text, with the remedy; empty where no reason is recognised.

    A reason is a guess for an error text: nothing is refused by it alone.
    """
    found = beginning_of(data) or (_UTF_16 if _WITHOUT_MARK.match(data) else None)
    if found is None:
        return ""
    return {
        Kind.MARK: f"it begins with {found.name}: save it as UTF-8 without one",
        Kind.TEXT: f"it is {found.name}, not UTF-8: save it as UTF-8",
        Kind.COMPRESSED: f"it is compressed ({found.name}): decompress it first",
        Kind.ARCHIVE: "it is a zip archive: unpack it first",
    }[found.kind]
