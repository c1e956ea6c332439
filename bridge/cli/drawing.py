"""Lines with colours; apart, because `rich` is slow to load and seldom needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.text import Text


def drawn(lines: Iterable[Text]) -> str:
    """The lines with colours where standard output is a terminal that has them."""
    console = Console(soft_wrap=True, highlight=False)
    with console.capture() as capture:
        for line in lines:
            line.rstrip()
            console.print(line)
    return capture.get()
