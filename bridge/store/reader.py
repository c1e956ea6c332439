"""Read resources from text: a file or a stream of JSON Lines, or of one JSON array. The first character tells which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Final

from bridge.errors import MalformedInputError, UsageError
from bridge.files import INPUT_BYTES, read_chunks
from bridge.store.json_array import ArrayItem, JsonArrayReader
from bridge.store.loader import Loader, LoadResult, Omission, TextFormat
from bridge.strict_json import is_json, parse
from bridge.strict_json.diagnosis import Beginning, Kind, beginning_of

LONGEST: Final = INPUT_BYTES
"""The longest line that is read, in bytes: about sixty times the limit of R12.6 for a resource in canonical text."""

_HEAD: Final = 65_536
_SPACE: Final = b" \t\r\n"
_SEPARATORS: Final = b",;\t"
_JSON: Final = "write JSON Lines or one JSON array, as UTF-8"

# An object or an array goes over several lines if its first line ends with one of `_OPEN_ENDS`, or a later line begins
# with one of `_CONTINUATIONS`.
_OPEN_ENDS: Final = (b":", b"[", b",", b"{")
_CONTINUATIONS: Final = (b'"', b"}", b"]", b",", b":")


def from_file(path: str | PathLike[str], *, omit: Iterable[str] | Omission = ()) -> LoadResult:
    """Read the resources of a file: JSON Lines, or one JSON array in any layout, as UTF-8.

    The file is read in parts: an array needs no more memory than its resources. A malformed resource is rejected by
    itself, with its place. A text in another format, or a broken array, is refused as a whole.

    Args:
        path: The file.
        omit: Members to leave out after the check, by top-level name or JSON Pointer.

    Raises:
        MalformedInputError: It is neither JSON Lines nor a JSON array (R12.1); the error names the likely format.
        UsageError: A line is too long for any resource.
        ConfigurationError: `omit` is not valid.
        OSError: The file cannot be read.
    """
    omission = Omission.of(omit) if not isinstance(omit, Omission) else omit
    with Path(path).open("rb", buffering=0) as file:
        return from_chunks(read_chunks(file), what=f"`{path}`", omit=omission)


def from_chunks(chunks: Iterable[bytes], *, what: str = "", omit: Iterable[str] | Omission = ()) -> LoadResult:
    """Read the resources of a text that comes in chunks of any size; otherwise like `from_file`.

    Args:
        chunks: The text, in chunks.
        what: The name of the text, for errors.
        omit: Members to leave out after the check, by top-level name or JSON Pointer.
    """
    remaining = iter(chunks)
    head, first = _head(remaining, what)
    _refuse_foreign(head, what=what)
    text = chain([head], remaining)
    if not first:
        return Loader(TextFormat.EMPTY, what, omit).result()
    if first == b"[":
        return _from_array(text, what, omit)
    return from_lines(_lines(text, what), what=what, omit=omit)


def from_lines(lines: Iterable[bytes], *, what: str = "", omit: Iterable[str] | Omission = ()) -> LoadResult:
    """Read the resources of JSON Lines: one per line, as UTF-8; lines of white space are skipped.

    A resource that breaks R12 is rejected with its line and the cause; so is each resource whose id comes twice.

    Args:
        lines: The lines, each with its line feed or without.
        what: The name of the source, for errors.
        omit: Members to leave out after the check, by top-level name or JSON Pointer.

    Raises:
        MalformedInputError: An object goes over several lines (R12.1): a line that is JSON may be a part of it.
        ConfigurationError: `omit` is not valid.
    """
    loader = Loader(TextFormat.LINES, what, omit)
    broken, is_open = 0, False
    for number, line in enumerate(lines, 1):
        if not line.strip(_SPACE):
            continue
        if is_open or (broken and line.lstrip().startswith(_CONTINUATIONS)):
            raise MalformedInputError(
                f"no JSON by itself, and it seems to go on in line {number}: write each resource on one line, "
                "or all of them as one JSON array",
                rule="R12.1",
                what=what,
                line=broken,
                column=1,
            )
        try:
            value = parse(line.removesuffix(b"\n"))
        except MalformedInputError as error:
            # The place has the line's number; the error's own number is always 1.
            ended = line.endswith(b"\n")
            cut = "" if ended else "; the line has no end: was the source cut off?"
            loader.reject_text(number, f"column {error.column}: {error.cause}{cut} ({error.rule})", line, error)
            if not is_json(line):
                broken, is_open = number, line.rstrip().endswith(_OPEN_ENDS)
        else:
            loader.add(number, value)
    return loader.result()


def _head(chunks: Iterator[bytes], what: str) -> tuple[bytes, bytes]:
    """Read some kilobytes, and return them with the first character that is no white space; b"" in a blank text."""
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
    """Split a text into lines, each with its line feed."""
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
    loader = Loader(TextFormat.ARRAY, what, omit)
    array = JsonArrayReader(chunks, what=what)
    for number, item in enumerate(array.items(), 1):
        loader.note_start(item.line, item.column)
        try:
            value = parse(item.text)
        except MalformedInputError as error:
            line, column = _place(item, error)
            if not is_json(item.text):
                raise array.broken(f"item {number}: {error.cause}", line=line, column=column) from None
            place = f"item {number}, line {line}, column {column}"
            loader.reject_text(number, f"{error.cause} ({error.rule})", item.text, error, place=place)
        else:
            loader.add(number, value)
    return loader.result()


def _place(item: ArrayItem, error: MalformedInputError) -> tuple[int, int]:
    """Return the line and the column, in the whole text, of a mistake in an item."""
    assert error.line is not None
    assert error.column is not None
    if error.line == 1:
        return item.line, item.column + error.column - 1
    return item.line + error.line - 1, error.column


def _refuse_foreign(head: bytes, *, what: str) -> None:
    """Refuse a text that begins like another format.

    Args:
        head: The text, or some kilobytes from its beginning.
        what: The name of the text, for the error.

    Raises:
        MalformedInputError: It is no JSON (R12.1); the error names the likely format, and what to do.
    """
    cause = _foreign_format(head)
    if cause is not None:
        raise MalformedInputError(cause, rule="R12.1", what=what, line=1, column=1)


def _foreign_format(head: bytes) -> str | None:
    beginning = beginning_of(head)
    if beginning is not None:
        return _describe(beginning)
    if head.startswith(b"<"):
        return f"HTML or XML: {_JSON}"
    start = head[:4]
    if b"\x00" in start:
        return _describe_zeros(start)
    lines = [line.strip(_SPACE) for line in head.split(b"\n") if line.strip(_SPACE)]
    if lines and _is_csv(lines):
        return f"CSV, or another table: {_JSON}, an object for each row, with an `id` and `custom_data`"
    return None


def _describe(beginning: Beginning) -> str:
    """Describe a text by its beginning, and say what to do."""
    if beginning.kind is Kind.MARK:
        return f"{beginning.name}, which JSON must not have: write UTF-8 without it (Python's `utf-8`, not `utf-8-sig`)"
    if beginning.kind is Kind.TEXT:
        return f"{beginning.name} text: {_JSON}"
    return f"compressed data ({beginning.name}): decompress it first"


def _describe_zeros(start: bytes) -> str:
    """Describe a text that begins with an ASCII character beside zero bytes."""
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
    """Tell whether the first line has separators and is no JSON, and no line begins like an object or an array."""
    has_json = any(line.startswith((b"{", b"[")) for line in lines) or is_json(lines[0])
    return not has_json and any(separator in lines[0] for separator in _SEPARATORS)
