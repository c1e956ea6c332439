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


class _Counted(ProgressColumn):
    """How many, and how many a second."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what

    def render(self, task: Task) -> Text:
        total = "" if task.total is None else f" of {task.total:,.0f}"
        speed = task.finished_speed or task.speed or 0
        return Text(f"{task.completed:,.0f}{total} {self._what} {speed:,.0f}/s")


def lines() -> Progress:
    """For lines of which nobody knows how many there are."""
    return Progress(SpinnerColumn(), _Counted("lines"), TimeElapsedColumn(), console=Console(stderr=True))


def data() -> Progress:
    """For bytes of a file."""
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


def resources() -> Progress:
    """For resources on their way to or from a store."""
    columns = (SpinnerColumn(), BarColumn(), _Counted("resources"), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def share() -> Progress:
    """For a known number of things."""
    return Progress(
        BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=Console(stderr=True), transient=True
    )
