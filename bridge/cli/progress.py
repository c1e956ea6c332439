"""Progress on standard error, where a person watches."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def line_counter() -> Iterator[Callable[[int], None]]:
    """A function that counts lines that are done; shown unless the answers go to the same terminal."""
    if not _is_watched() or sys.stdout.isatty():
        yield lambda _: None
        return
    from bridge.cli import bars  # noqa: PLC0415 - loads `rich`

    with bars.lines() as progress:
        task = progress.add_task("", total=None)
        yield lambda lines: progress.advance(task, lines)


@contextmanager
def reading(size: int | None) -> Iterator[Callable[[int, int], None]]:
    """A function that is told how many more lines and bytes have been read.

    Args:
        size: How many bytes there are; None where nobody knows.
    """
    if not _is_watched():
        yield lambda _lines, _bytes: None
        return
    from bridge.cli import bars  # noqa: PLC0415 - loads `rich`

    with bars.lines() if size is None else bars.data() as progress:
        task = progress.add_task("", total=size)
        yield lambda lines, data: progress.advance(task, lines if size is None else data)


@contextmanager
def sending(total: int | None) -> Iterator[Callable[[int], None]]:
    """A function that counts resources that have been sent, of so many where that is known; tells their rate."""
    if not _is_watched():
        yield lambda _: None
        return
    from bridge.cli import bars  # noqa: PLC0415 - loads `rich`

    with bars.resources() as progress:
        task = progress.add_task("", total=total)
        yield lambda done: progress.advance(task, done)


@contextmanager
def counting(total: int) -> Iterator[Callable[[int], None]]:
    """A function that counts what is done of so many."""
    if not _is_watched():
        yield lambda _: None
        return
    from bridge.cli import bars  # noqa: PLC0415 - loads `rich`

    with bars.share() as progress:
        task = progress.add_task("", total=total)
        yield lambda done: progress.advance(task, done)


def _is_watched() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()
