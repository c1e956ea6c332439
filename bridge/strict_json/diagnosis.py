"""Say what is wrong with bytes that are not JSON, for error messages: no decision depends on it."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final, NamedTuple

_SPACE: Final = rb"[ \t\n\r]*"
_SCALAR: Final = rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null"
_TOKEN: Final = re.compile(rb'%b(?:([][{},:"])|(?:%b))' % (_SPACE, _SCALAR))
_REST: Final = re.compile(_SPACE)
# At most 200 escapes at once: each repetition of a group costs memory.
_IN_STRING: Final = re.compile(rb'[^"\\\0-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\0-\x1f]*){,200}')

_VALUE, _ITEM, _NAME, _MEMBER, _COLON, _COMMA = range(6)  # the expected next token; _ITEM and _MEMBER are optional
_CLOSING: Final = {b"[": b"]", b"{": b"}"}
_NEXT: Final[dict[tuple[int, bytes | None], int]] = {
    **{(expected, token): _COMMA for expected in (_VALUE, _ITEM) for token in (b'"', None)},
    **{(expected, b"["): _ITEM for expected in (_VALUE, _ITEM)},
    **{(expected, b"{"): _MEMBER for expected in (_VALUE, _ITEM)},
    **{(expected, b'"'): _COLON for expected in (_NAME, _MEMBER)},
    (_COLON, b":"): _VALUE,
    **{(expected, b"]"): _COMMA for expected in (_ITEM, _COMMA)},
    **{(expected, b"}"): _COMMA for expected in (_MEMBER, _COMMA)},
    (_COMMA, b","): _VALUE,
}


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


def is_json(text: bytes) -> bool:
    """Return whether a text follows the grammar of RFC 8259.

    The depth, the size of numbers, duplicate names, surrogates and UTF-8 are not checked. The time is linear in the
    length of the text; each open container costs a byte.
    """
    open_ = bytearray()  # the closing bracket of each open container
    expected = _VALUE
    at = 0
    while match := _TOKEN.match(text, at):
        token, at = match.group(1), match.end()  # None: a number or a word
        following = _NEXT.get((expected, token))
        if following is None:
            return False
        if token == b'"':
            end = _end_of_string(text, at)
            if end is None:
                return False
            at = end
        expected = following
        if token in _CLOSING:
            open_ += _CLOSING[token]
        elif token in (b"]", b"}"):
            if not open_.endswith(token):
                return False
            del open_[-1]
        elif token == b",":
            if not open_:
                return False
            expected = _NAME if open_.endswith(b"}") else _VALUE
    return expected == _COMMA and not open_ and _REST.fullmatch(text, at) is not None


def _end_of_string(text: bytes, at: int) -> int | None:
    """Return the offset after the string whose content begins at `at`; None if it has no end or is not a string."""
    while True:
        match = _IN_STRING.match(text, at)
        assert match
        if match.end() == at:
            return at + 1 if text.startswith(b'"', at) else None
        at = match.end()
