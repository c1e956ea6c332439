"""Resources from files and streams: JSON Lines or one JSON array, told apart by the first character."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.errors import MalformedInputError, UsageError
from bridge.files import INPUT_BYTES, read_chunks
from bridge.store.foreign_formats import refuse_foreign
from bridge.store.json_array import JsonArrayReader
from bridge.store.loader import Loader, LoadResult, TextFormat
from bridge.store.omission import Omission
from bridge.store.reader import from_lines
from bridge.strict_json import is_json, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from os import PathLike

    from bridge.store.json_array import ArrayItem

LONGEST: Final = INPUT_BYTES
"""The longest line that is looked at, in bytes; some sixty times what R12.6 lets a resource be in canonical text."""

_HEAD: Final = 65_536
_SPACE: Final = b" \t\r\n"


def from_file(path: str | PathLike[str], *, omit: Iterable[str] | Omission = ()) -> LoadResult:
    """The resources in a file: JSON Lines, or one JSON array however it is laid out, as UTF-8.

    It is read part by part: an array needs no more memory than its resources. A resource that is malformed is refused
    by itself, with its place; a text that is neither form, or an array that is broken, is refused as a whole.

    Args:
        path: The file.
        omit: Members to leave out once they were checked, by top-level name or JSON Pointer.

    Raises:
        MalformedInputError: It is neither JSON Lines nor a JSON array (R12.1); the error says what it seems to be.
        UsageError: A line is too long for any resource.
        ConfigurationError: `omit` cannot be used.
        OSError: It cannot be read.
    """
    omission = Omission.of(omit) if not isinstance(omit, Omission) else omit
    with Path(path).open("rb", buffering=0) as file:
        return from_chunks(read_chunks(file), what=f"`{path}`", omit=omission)


def from_chunks(chunks: Iterable[bytes], *, what: str = "", omit: Iterable[str] | Omission = ()) -> LoadResult:
    """The resources in a text that comes in parts of any size; otherwise as `from_file`.

    Args:
        chunks: The text, in parts.
        what: What the text is, for errors.
        omit: Members to leave out once they were checked, by top-level name or JSON Pointer.
    """
    coming = iter(chunks)
    head, first = _head(coming, what)
    refuse_foreign(head, what=what)
    text = chain([head], coming)
    if not first:
        return Loader(TextFormat.EMPTY, what, omit).collected()
    if first == b"[":
        return _from_array(text, what, omit)
    return from_lines(_lines(text, what), what=what, omit=omit)


def _head(chunks: Iterator[bytes], what: str) -> tuple[bytes, bytes]:
    """Some kilobytes from the beginning, and the first character that is no white space; none in a blank text."""
    head = bytearray()
    first = b""
    for chunk in chunks:
        head += chunk
        first = first or chunk.lstrip(_SPACE)[:1]
        if len(head) >= _HEAD and first:
            break
        if len(head) > LONGEST and not first:
            raise UsageError(f"{what}: more than {LONGEST:,} bytes of white space: is it the right file?")
    return bytes(head), first


def _lines(chunks: Iterable[bytes], what: str) -> Iterator[bytes]:
    """The lines of a text, each with its line feed."""
    parts: list[bytes] = []
    size = 0
    number = 1
    for chunk in chunks:
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            parts.append(line)
            if size + len(line) > LONGEST:
                raise _too_long(number, what)
            yield b"".join([*parts, b"\n"])
            parts, size = [], 0
            number += 1
        parts.append(rest)
        size += len(rest)
        if size > LONGEST:
            raise _too_long(number, what)
    if size:
        yield b"".join(parts)


def _too_long(number: int, what: str) -> UsageError:
    return UsageError(
        f"{what}: line {number} is longer than {LONGEST:,} bytes: is it a file of JSON Lines, or of one JSON array?"
    )


def _from_array(chunks: Iterator[bytes], what: str, omit: Iterable[str] | Omission) -> LoadResult:
    collector = Loader(TextFormat.ARRAY, what, omit)
    array = JsonArrayReader(chunks, what=what)
    for number, item in enumerate(array.items(), 1):
        collector.starts(item.line, item.column)
        try:
            value = parse(item.text)
        except MalformedInputError as error:
            line, column = _place(item, error)
            if not is_json(item.text):
                raise array.broken(f"item {number}: {error.cause}", line=line, column=column) from None
            place = f"item {number}, line {line}, column {column}"
            collector.refuse_text(number, f"{error.cause} ({error.rule})", item.text, error, place=place)
        else:
            collector.add(number, value)
    return collector.collected()


def _place(item: ArrayItem, error: MalformedInputError) -> tuple[int, int]:
    """Where in the whole text the mistake in an item is."""
    assert error.line is not None
    assert error.column is not None
    if error.line == 1:
        return item.line, item.column + error.column - 1
    return item.line + error.line - 1, error.column
