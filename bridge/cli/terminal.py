"""Print text for people, safe for any terminal and encoding; show progress on standard error if it is a terminal."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import typer
from rich.text import Text

from bridge.escapes import escaped

if TYPE_CHECKING:  # rich.progress is slow to import: the functions that draw a bar import it
    from rich.progress import Progress, ProgressColumn, Task

_STYLE: Final = re.compile(r"\x1b\[[0-9;]*m")


def print_line(text: str = "") -> None:
    """Print one line on standard output, whatever the text holds."""
    _write(escaped(text))


def print_styled(text: str) -> None:
    """Print lines that may have styles on standard output.

    Args:
        text: Printable characters, line feeds and styles only; `styled_text` makes such a text.
    """
    _write(text)


def print_error(text: str) -> None:
    """Print one line on standard error, whatever the text holds."""
    with contextlib.suppress(OSError):  # standard error is closed
        typer.echo(f"jwt-bridge: {escaped(text)}", err=True)


def can_write(text: str) -> bool:
    """Return whether the encoding of standard output has these characters."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def styled_text(lines: Iterable[Text]) -> str:
    """Join lines, with colours if standard output is a terminal that has them; each stays on one line."""
    from rich.console import Console  # noqa: PLC0415 - slow to import, and seldom needed
    from rich.text import Text  # noqa: PLC0415 - as above

    console = Console(soft_wrap=True, highlight=False)
    with console.capture() as capture:
        for line in lines:
            line.rstrip()
            # A line that is not printable is escaped as a whole, and loses its styles.
            console.print(line if line.plain.isprintable() else Text(escaped(line.plain)))
    return capture.get()


def _write(text: str) -> None:
    """Write to standard output; escape what its encoding does not have."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if os.environ.get("NO_COLOR"):
        text = _STYLE.sub("", text)  # `rich` keeps bold and dim, and typer knows nothing of the variable
    typer.echo(text.encode(encoding, "backslashreplace").decode(encoding))


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

    class RateColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            total = "" if task.total is None else f" of {task.total:,.0f}"
            speed = task.finished_speed or task.speed or 0
            return Text(f"{task.completed:,.0f}{total} {unit} {speed:,.0f}/s")

    return RateColumn()
