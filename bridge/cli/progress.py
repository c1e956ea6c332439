"""Show progress on standard error if it is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import Progress, ProgressColumn, Task
from rich.text import Text

# `rich` is slow to import and seldom needed: only what draws imports it.


@contextmanager
def line_counter() -> Iterator[Callable[[int], None]]:
    """Give a function that counts lines that are done; show them unless the answers go to the same terminal."""
    if not _is_watched() or sys.stdout.isatty():
        yield lambda _: None
        return
    with _line_display() as progress:
        task = progress.add_task("", total=None)
        yield lambda lines: progress.advance(task, lines)


@contextmanager
def read_counter(size: int | None) -> Iterator[Callable[[int, int], None]]:
    """Give a function that counts lines and bytes that have been read.

    Args:
        size: The number of bytes; None if that is unknown.
    """
    if not _is_watched():
        yield lambda _lines, _bytes: None
        return
    with _line_display() if size is None else _byte_display() as progress:
        task = progress.add_task("", total=size)
        yield lambda lines, data: progress.advance(task, lines if size is None else data)


@contextmanager
def resource_counter(total: int | None) -> Iterator[Callable[[int], None]]:
    """Give a function that counts resources that were sent or received; show their rate.

    Args:
        total: The number of resources; None if that is unknown.
    """
    if not _is_watched():
        yield lambda _: None
        return
    with _resource_display() as progress:
        task = progress.add_task("", total=total)
        yield lambda done: progress.advance(task, done)


@contextmanager
def case_counter(total: int) -> Iterator[Callable[[int], None]]:
    """Give a function that counts the cases that are done."""
    if not _is_watched():
        yield lambda _: None
        return
    with _case_display() as progress:
        task = progress.add_task("", total=total)
        yield lambda done: progress.advance(task, done)


def _is_watched() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _line_display() -> Progress:
    from rich.progress import SpinnerColumn, TimeElapsedColumn  # noqa: PLC0415 - see above

    return _display(SpinnerColumn(), _rate_column("lines"), TimeElapsedColumn())


def _byte_display() -> Progress:
    from rich.progress import (  # noqa: PLC0415 - see above
        BarColumn,
        DownloadColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return _display(BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())


def _resource_display() -> Progress:
    from rich.progress import BarColumn, SpinnerColumn, TimeRemainingColumn  # noqa: PLC0415 - see above

    columns = (SpinnerColumn(), BarColumn(), _rate_column("resources"), TimeRemainingColumn())
    return _display(*columns, transient=True)


def _case_display() -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, TimeElapsedColumn  # noqa: PLC0415 - see above

    return _display(BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), transient=True)


def _display(*columns: ProgressColumn, transient: bool = False) -> Progress:
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.progress import Progress  # noqa: PLC0415 - see above

    return Progress(*columns, console=Console(stderr=True), transient=transient)


def _rate_column(unit: str) -> ProgressColumn:
    """Make a column with how many are done, of how many, and how many a second."""
    from rich.progress import ProgressColumn  # noqa: PLC0415 - see above
    from rich.text import Text  # noqa: PLC0415 - see above

    class RateColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            total = "" if task.total is None else f" of {task.total:,.0f}"
            speed = task.finished_speed or task.speed or 0
            return Text(f"{task.completed:,.0f}{total} {unit} {speed:,.0f}/s")

    return RateColumn()
