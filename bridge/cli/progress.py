"""Progress on standard error, where a person watches."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def line_counter() -> Iterator[Callable[[int], None]]:
    """A function that counts lines that are done; shown unless the answers go to the same terminal."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield lambda _: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} lines"), TextColumn("{task.speed:,.0f}/s"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=None)
        yield lambda lines: progress.advance(task, lines)
