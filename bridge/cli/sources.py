"""Resources from files of JSON Lines, and what is said of those that are refused."""

from __future__ import annotations

import stat
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

from bridge.cli.lines import LONGEST
from bridge.cli.named import STDIN, open_stdin
from bridge.cli.progress import reading
from bridge.cli.terminal import complain
from bridge.errors import Misuse
from bridge.resources import from_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from bridge.resources import Collected

_TOLD_AT_ONCE: Final = 256
_MOST_TOLD: Final = 20


def collect(path: Path) -> Collected:
    """The resources in a file, or in standard input (`-`), with progress.

    Raises:
        Misuse: A line is longer than any resource.
        OSError: The file cannot be read.
    """
    with _opened(path) as (file, size), reading(size) as told:
        return from_lines(_lines(file, path, told))


def tell_refusals(refusals: Iterable[object], *, everything: bool) -> None:
    """Say which resources are refused and why, on standard error."""
    told = list(refusals)
    kept = told if everything else told[:_MOST_TOLD]
    for refusal in kept:
        complain(str(refusal))
    if len(kept) < len(told):
        complain(f"and {len(told) - len(kept):,} more; --verbose tells all of them")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], int | None]]:
    """The file and its size, where it has one."""
    if path == STDIN:
        yield open_stdin(), None
        return
    with path.open("rb") as file:
        state = path.stat()
        yield file, state.st_size if stat.S_ISREG(state.st_mode) else None


def _lines(file: IO[bytes], path: Path, told: Callable[[int, int], None]) -> Iterator[bytes]:
    number = lines = size = 0
    while line := file.readline(LONGEST + 1):
        number += 1
        if len(line) > LONGEST:
            raise Misuse(f"`{path}`: line {number} is longer than {LONGEST:,} bytes: is it a file of JSON Lines?")
        yield line
        lines, size = lines + 1, size + len(line)
        if lines == _TOLD_AT_ONCE:
            told(lines, size)
            lines = size = 0
    told(lines, size)
