"""Read files and standard input: whole but never beyond a limit, line by line in bounded memory, or as resources."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Final

import typer

from bridge.cli.terminal import print_error, read_counter
from bridge.errors import UsageError
from bridge.files import INPUT_BYTES, SETTING_BYTES, read_chunks, read_file, read_stream
from bridge.store import LoadResult, Omission, from_chunks
from bridge.strict_json import encode
from bridge.strict_json.diagnosis import encoding_fault

STDIN: Final = Path("-")
STDIN_NAME: Final = "standard input"
_READ: Final = 1 << 20
MAX_LINE_BYTES: Final = INPUT_BYTES
"""The longest line that is parsed, in bytes; some fifty times the limit of R12.6 for a request."""
MAX_UNENDED_BYTES: Final = 16 * MAX_LINE_BYTES
"""The size in bytes at which a line without an end is an error."""

_MAX_SHOWN: Final = 20


OmitOption = Annotated[
    list[str] | None,
    typer.Option(
        "--omit",
        metavar="MEMBER",
        help="A member that is not stored, such as a secret, by name or JSON Pointer; repeat it for more.",
    ),
]
SkipInvalidOption = Annotated[
    bool,
    typer.Option(
        "--skip-invalid",
        help="If some resources are refused, store the others.",
    ),
]


def open_stdin() -> IO[bytes]:
    """Return standard input as bytes, without a buffer: a buffered read would delay Ctrl-C.

    Raises:
        UsageError: It is closed.
    """
    if sys.stdin is None:
        raise UsageError("standard input is closed: redirect a file to it")
    buffer: IO[bytes] = sys.stdin.buffer
    return getattr(buffer, "raw", buffer)


def read_input(path: Path, what: str, *, limit: int = INPUT_BYTES) -> bytes:
    """Return the bytes of a file, or of standard input (`-`).

    Args:
        path: The file.
        what: What it holds, for the error, such as `a token`.
        limit: The largest size in bytes.

    Raises:
        UsageError: It is larger than `limit`.
        OSError: It cannot be read.
    """
    if path == STDIN:
        return read_stream(open_stdin(), limit=limit, what=what, name=STDIN_NAME)
    return read_file(path, limit=limit, what=what)


def read_token(path: Path) -> str:
    """Return the token in a file, or in standard input (`-`), with the white space around it.

    Raises:
        UsageError: It is not UTF-8, or too long.
        OSError: It cannot be read.
    """
    what = "a token"
    return _text(read_input(path, what, limit=SETTING_BYTES), STDIN_NAME if path == STDIN else f"`{path}`", what)


def read_text(path: Path, what: str) -> str:
    """Return the text of a file that an option names.

    Args:
        path: The file; `-` is a name like any other here.
        what: What it holds, for the error, such as `keys`.

    Raises:
        UsageError: It is not UTF-8, or begins with a byte order mark, or is too long.
        OSError: It cannot be read.
    """
    data = read_file(path, limit=SETTING_BYTES, what=what)
    if fault := encoding_fault(data):  # no key and no bearer token begins like this
        raise UsageError(f"`{path}`: {fault}")
    return _text(data, f"`{path}`", what)


def chunks_of_lines(descriptor: int) -> Iterator[list[bytes | None]]:
    """Yield the lines of a descriptor without their line feeds, in chunks of what one read returns.

    Only a line feed ends a line. A line longer than `MAX_LINE_BYTES` is given as None. A chunk is given as soon as
    it is read, so a program that writes one line to a pipe and waits gets its answer.

    Raises:
        UsageError: A line goes on beyond `MAX_UNENDED_BYTES`, as `/dev/zero` does.
        OSError: It cannot be read.
    """
    parts: list[bytes] = []
    size = 0
    while data := os.read(descriptor, _READ):
        *whole, rest = data.split(b"\n")
        lines: list[bytes | None] = list(whole)
        if whole:
            size += len(whole[0])
            lines[0] = b"".join([*parts, whole[0]]) if size <= MAX_LINE_BYTES else None
            parts, size = [], 0
        size += len(rest)
        if size <= MAX_LINE_BYTES:
            parts.append(rest)
        else:
            parts.clear()
        if lines:
            yield lines
        if size > MAX_UNENDED_BYTES:
            raise UsageError(
                f"a line of more than {MAX_UNENDED_BYTES:,} bytes, and no end of it: give JSON Lines, one object a line"
            )
    if size:
        yield [b"".join(parts) if size <= MAX_LINE_BYTES else None]


def _text(data: bytes, name: str, what: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        fault = encoding_fault(data) or f"not UTF-8, as {what} must be: write it again in that encoding"
        raise UsageError(f"{name}: {fault}") from None


def read_resources(path: Path, omit: Iterable[str]) -> LoadResult:
    """Read the resources in a file, or in standard input (`-`), and show progress.

    Args:
        path: The file: JSON Lines, or one JSON array.
        omit: Members to leave out.

    Raises:
        MalformedInputError: It is neither.
        UsageError: A line is longer than any resource.
        ConfigurationError: `omit` cannot be used.
        OSError: The file cannot be read.
    """
    omission = Omission.of(omit)
    what = STDIN_NAME if path == STDIN else f"`{path}`"
    with _open_file(path) as (file, size), read_counter(size) as on_progress:
        return from_chunks(_count_chunks(read_chunks(file), on_progress), what=what, omit=omission)


def print_rejected(rejected: Iterable[object], *, everything: bool) -> None:
    """Print on standard error which resources are refused, and why."""
    lines = list(rejected)
    shown_lines = lines if everything else lines[:_MAX_SHOWN]
    for refusal in shown_lines:
        print_error(str(refusal))
    if len(shown_lines) < len(lines):
        print_error(f"and {len(lines) - len(shown_lines):,} more; --verbose shows all of them")


def print_removed(ids: Iterable[str], *, everything: bool) -> None:
    """Print on standard error which stored resources were removed although a refused one may be their new version."""
    lines = [f"removed, although its new version may be among the refused: {_shown(id_)}" for id_ in ids]
    print_rejected(lines, everything=everything)


@contextmanager
def _open_file(path: Path) -> Iterator[tuple[IO[bytes], int | None]]:
    """Open the file, and give it with its size; None if that is unknown."""
    if path == STDIN:
        yield open_stdin(), None
        return
    with path.open("rb", buffering=0) as file:
        state = path.stat()
        yield file, state.st_size if stat.S_ISREG(state.st_mode) else None


def _count_chunks(chunks: Iterable[bytes], on_progress: Callable[[int, int], None]) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk
        on_progress(chunk.count(b"\n"), len(chunk))


def _shown(id_: str) -> str:
    return encode(id_, max_bytes=sys.maxsize).decode("utf-8")
