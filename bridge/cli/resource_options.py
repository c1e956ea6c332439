"""Read resources from files and standard input, and print which of them are refused."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Final

import typer

from bridge.cli.input_files import STDIN, STDIN_NAME, open_stdin
from bridge.cli.terminal import print_error, read_counter
from bridge.files import read_chunks
from bridge.store import LoadResult, Omission, from_chunks
from bridge.strict_json import encode

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
