"""Texts that are neither JSON Lines nor a JSON array, told by how they begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.errors import MalformedInputError
from bridge.strict_json import is_json
from bridge.strict_json.encodings import Kind, beginning_of

if TYPE_CHECKING:
    from bridge.strict_json.encodings import Beginning

_JSON: Final = "write JSON Lines or one JSON array, as UTF-8"
_SPACE: Final = b" \t\r\n"
_SEPARATORS: Final = b",;\t"


def refuse_foreign(head: bytes, *, what: str) -> None:
    """Refuse a text whose first bytes are those of something else.

    Args:
        head: The text, or some kilobytes from its beginning.
        what: What the text is, for the error.

    Raises:
        MalformedInputError: It is no JSON (R12.1); the error says what it seems to be, and what to do.
    """
    found = _found(head)
    if found is not None:
        raise MalformedInputError(found, rule="R12.1", what=what, line=1, column=1)


def _found(head: bytes) -> str | None:
    found = beginning_of(head)
    if found is not None:
        return _named(found)
    if head.startswith(b"<"):
        return f"HTML or XML: {_JSON}"
    start = head[:4]
    if b"\x00" in start:
        return _zeros(start)
    lines = [line.strip(_SPACE) for line in head.split(b"\n") if line.strip(_SPACE)]
    if lines and _is_csv(lines):
        return f"CSV, or another table: {_JSON}, an object for each row, with an `id` and `custom_data`"
    return None


def _named(found: Beginning) -> str:
    """What a text is by its beginning, and what to do."""
    if found.kind is Kind.MARK:
        return f"{found.name}, which JSON must not have: write UTF-8 without it (Python's `utf-8`, not `utf-8-sig`)"
    if found.kind is Kind.TEXT:
        return f"{found.name} text: {_JSON}"
    return f"compressed data ({found.name}): decompress it first"


def _zeros(start: bytes) -> str:
    """What a text is whose first characters, one of them an ASCII one, stand beside zero bytes."""
    if not start.strip(b"\x00"):
        return f"zero bytes, no text: {_JSON}"
    if start.startswith(bytes(2)):
        kind = "UTF-32 (big-endian)"
    elif start.endswith(bytes(2)):
        kind = "UTF-32 (little-endian)"
    else:
        kind = "UTF-16 (little-endian)" if start.index(0) % 2 else "UTF-16 (big-endian)"
    return f"{kind} text: {_JSON}"


def _is_csv(lines: list[bytes]) -> bool:
    """Whether the first line has separators and is no JSON, and no line begins as objects and arrays do."""
    is_of_json = any(line.startswith((b"{", b"[")) for line in lines) or is_json(lines[0])
    return not is_of_json and any(separator in lines[0] for separator in _SEPARATORS)
