"""Lines with colours; apart, because `rich` is slow to load and seldom needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from bridge.escapes import escaped

if TYPE_CHECKING:
    from collections.abc import Iterable


def drawn(lines: Iterable[Text]) -> str:
    """The lines with colours where standard output is a terminal that has them, each on one line whatever it holds."""
    console = Console(soft_wrap=True, highlight=False)
    with console.capture() as capture:
        for line in lines:
            line.rstrip()
            # A line that is odd does without styles: what others wrote is escaped whole.
            console.print(line if line.plain.isprintable() else Text(escaped(line.plain)))
    return capture.get()
