"""Resources from files and standard input, and the messages about refused ones."""

from __future__ import annotations

import stat
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Annotated, Final

import typer

from bridge.cli.input_files import STDIN, STDIN_NAME, open_stdin
from bridge.cli.progress import read_counter
from bridge.cli.terminal import complain
from bridge.files import read_chunks
from bridge.store import Omission, from_chunks
from bridge.strict_json import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from bridge.store import LoadResult

_MOST_SHOWN: Final = 20


OmitOption = Annotated[
    list[str] | None,
    typer.Option(
        "--omit",
        metavar="MEMBER",
        help="A member that is not stored, such as a secret, by name or JSON Pointer; once for each.",
    ),
]
SkipInvalidOption = Annotated[
    bool,
    typer.Option(
        "--skip-invalid",
        help="Store the others where some resources are refused.",
    ),
]


def collect(path: Path, omit: Iterable[str]) -> LoadResult:
    """The resources in a file, or in standard input (`-`), with progress.

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
    with _opened(path) as (file, size), read_counter(size) as on_progress:
        return from_chunks(_told(read_chunks(file), on_progress), what=what, omit=omission)


def tell_refusals(rejected: Iterable[object], *, everything: bool) -> None:
    """Say which resources are refused and why, on standard error."""
    told = list(rejected)
    kept = told if everything else told[:_MOST_SHOWN]
    for refusal in kept:
        complain(str(refusal))
    if len(kept) < len(told):
        complain(f"and {len(told) - len(kept):,} more; --verbose tells all of them")


def tell_removals(ids: Iterable[str], *, everything: bool) -> None:
    """Say which stored resources are gone for what came in their place may have been refused, on standard error."""
    lines = [f"removed, and what the source has of it may be among the refused: {_shown(id_)}" for id_ in ids]
    tell_refusals(lines, everything=everything)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], int | None]]:
    """The file and its size, where it has one."""
    if path == STDIN:
        yield open_stdin(), None
        return
    with path.open("rb", buffering=0) as file:
        state = path.stat()
        yield file, state.st_size if stat.S_ISREG(state.st_mode) else None


def _told(chunks: Iterable[bytes], on_progress: Callable[[int, int], None]) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk
        on_progress(chunk.count(b"\n"), len(chunk))


def _shown(id_: str) -> str:
    return encode(id_, max_bytes=sys.maxsize).decode("utf-8")
