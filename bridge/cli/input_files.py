"""What an option names: a file, or standard input, read to its end and never beyond a limit."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from bridge.errors import UsageError
from bridge.files import INPUT_BYTES, SETTING_BYTES, read_file, read_stream
from bridge.strict_json.encodings import encoding_fault

if TYPE_CHECKING:
    from collections.abc import Iterator

STDIN: Final = Path("-")
STDIN_NAME: Final = "standard input"
_READ: Final = 1 << 20
LONGEST: Final = INPUT_BYTES
"""The longest line that is looked at, in bytes; some fifty times what R12.6 lets a request be in canonical text."""
ENDLESS: Final = 16 * LONGEST
"""Where a line without an end is given up, in bytes."""


def open_stdin() -> IO[bytes]:
    """Standard input, as bytes, without a buffer: in the middle of what a buffer reads at once no Ctrl-C is heeded.

    Raises:
        UsageError: It is closed.
    """
    if sys.stdin is None:
        raise UsageError("standard input is closed")
    buffer: IO[bytes] = sys.stdin.buffer
    return getattr(buffer, "raw", buffer)


def read_input(path: Path, what: str, *, limit: int = INPUT_BYTES) -> bytes:
    """The bytes of a file, or of standard input (`-`).

    Args:
        path: The file.
        what: What it holds, for the error, such as `a token`.
        limit: The most bytes that it may have.

    Raises:
        UsageError: It has more bytes.
        OSError: It cannot be read.
    """
    if path == STDIN:
        return read_stream(open_stdin(), limit=limit, what=what, name=STDIN_NAME)
    return read_file(path, limit=limit, what=what)


def read_token(path: Path) -> str:
    """The token in a file, or in standard input (`-`), with whatever white space is around it.

    Raises:
        UsageError: It is not UTF-8, or too long.
        OSError: It cannot be read.
    """
    what = "a token"
    return _text(read_input(path, what, limit=SETTING_BYTES), STDIN_NAME if path == STDIN else f"`{path}`", what)


def read_text(path: Path, what: str) -> str:
    """The text of a file that a setting names.

    Args:
        path: The file; `-` is a name like others.
        what: What it holds, for the error, such as `keys`.

    Raises:
        UsageError: It is not UTF-8, or begins with a byte order mark, or is too long.
        OSError: It cannot be read.
    """
    data = read_file(path, limit=SETTING_BYTES, what=what)
    if fault := encoding_fault(data):  # no key and no bearer token begins so
        raise UsageError(f"`{path}`: {fault}")
    return _text(data, f"`{path}`", what)


def chunks_of_lines(descriptor: int) -> Iterator[list[bytes | None]]:
    """The lines that a descriptor gives, without their line feeds, in chunks of whatever is there to be read.

    Only a line feed ends a line. A line longer than `LONGEST` comes as None. A chunk is given as soon as it is read, so
    whoever writes a line to a pipe and waits for the answer gets it.

    Raises:
        UsageError: A line goes on beyond `ENDLESS`, as `/dev/zero` does.
        OSError: It cannot be read.
    """
    parts: list[bytes] = []
    size = 0
    while data := os.read(descriptor, _READ):
        *whole, rest = data.split(b"\n")
        lines: list[bytes | None] = list(whole)
        if whole:
            size += len(whole[0])
            lines[0] = b"".join([*parts, whole[0]]) if size <= LONGEST else None
            parts, size = [], 0
        size += len(rest)
        if size <= LONGEST:
            parts.append(rest)
        else:
            parts.clear()
        if lines:
            yield lines
        if size > ENDLESS:
            raise UsageError(
                f"a line of more than {ENDLESS:,} bytes, and no end of it: give JSON Lines, one object a line"
            )
    if size:
        yield [b"".join(parts) if size <= LONGEST else None]


def _text(data: bytes, name: str, what: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        fault = encoding_fault(data) or f"not UTF-8, as {what} must be: write it again in that encoding"
        raise UsageError(f"{name}: {fault}") from None
