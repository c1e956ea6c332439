"""Progress as `rich` draws it; apart, because `rich` is slow to load and seldom needed."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text


class _Lines(ProgressColumn):
    """How many lines, and how many a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.completed:,.0f} lines {task.finished_speed or task.speed or 0:,.0f}/s")


def lines() -> Progress:
    """For lines of which nobody knows how many there are."""
    return Progress(SpinnerColumn(), _Lines(), TimeElapsedColumn(), console=Console(stderr=True))


def data() -> Progress:
    """For bytes of a file."""
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


def share() -> Progress:
    """For a known number of things."""
    return Progress(
        BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=Console(stderr=True), transient=True
    )
