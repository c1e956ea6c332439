"""Texts that are neither JSON Lines nor a JSON array, told by how they begin."""

from __future__ import annotations

from typing import Final

from bridge.errors import MalformedInput
from bridge.strict_json import is_json

_JSON: Final = "write JSON Lines or one JSON array, as UTF-8"
_BOM: Final = "a byte order mark, which JSON must not have: write UTF-8 without it (Python's `utf-8`, not `utf-8-sig`)"
_COMPRESSED: Final = "compressed data ({}): decompress it first"
_BEGINNINGS: Final = (
    (b"\xef\xbb\xbf", _BOM),
    (b"\xff\xfe\x00\x00", f"UTF-32 text: {_JSON}"),
    (b"\x00\x00\xfe\xff", f"UTF-32 text: {_JSON}"),
    (b"\xff\xfe", f"UTF-16 text: {_JSON}"),
    (b"\xfe\xff", f"UTF-16 text: {_JSON}"),
    (b"\x1f\x8b", _COMPRESSED.format("gzip")),
    (b"PK\x03\x04", _COMPRESSED.format("zip; an Excel sheet is such, too")),
    (b"PK\x05\x06", _COMPRESSED.format("zip, an empty one")),
    (b"BZh", _COMPRESSED.format("bzip2")),
    (b"\xfd7zXZ\x00", _COMPRESSED.format("xz")),
    (b"\x28\xb5\x2f\xfd", _COMPRESSED.format("zstd")),
    (b"<", f"HTML or XML: {_JSON}"),
)
_SPACE: Final = b" \t\r\n"
_SEPARATORS: Final = b",;\t"


def refuse_foreign(head: bytes, *, what: str) -> None:
    """Refuse a text whose first bytes are those of something else.

    Args:
        head: The text, or some kilobytes from its beginning.
        what: What the text is, for the error.

    Raises:
        MalformedInput: It is no JSON (R12.1); the error says what it seems to be, and what to do.
    """
    found = _found(head)
    if found is not None:
        raise MalformedInput(found, rule="R12.1", what=what, line=1, column=1)


def _found(head: bytes) -> str | None:
    for beginning, found in _BEGINNINGS:
        if head.startswith(beginning):
            return found
    if b"\x00" in head[:4]:
        return _zeros(head[:4])
    lines = [line.strip(_SPACE) for line in head.split(b"\n") if line.strip(_SPACE)]
    if lines and _is_csv(lines):
        return f"CSV, or another table: {_JSON}, an object for each row, with an `id` and `custom_data`"
    return None


def _zeros(start: bytes) -> str:
    """What a text is whose first character, an ASCII one in JSON, stands beside zero bytes."""
    if not start.strip(b"\x00"):
        return f"zero bytes, no text: {_JSON}"
    if start[:1] != b"\x00":
        kind = "UTF-32 (little-endian)" if start[1:4] == bytes(3) else "UTF-16 (little-endian)"
    else:
        kind = "UTF-32 (big-endian)" if start[:3] == bytes(3) else "UTF-16 (big-endian)"
    return f"{kind} text: {_JSON}"


def _is_csv(lines: list[bytes]) -> bool:
    """Whether the first line has separators and is no JSON, and no line begins as objects and arrays do."""
    if any(line.startswith((b"{", b"[")) for line in lines) or is_json(lines[0]):
        return False
    return any(separator in lines[0] for separator in _SEPARATORS)
