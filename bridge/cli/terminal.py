"""What is written for people: safe for any terminal and encoding."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import TYPE_CHECKING, Final

import typer

from bridge.escapes import escaped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.text import Text

_STYLE: Final = re.compile(r"\x1b\[[0-9;]*m")


def say(text: str = "") -> None:
    """Write one line to standard output, whatever the text holds."""
    _write(escaped(text))


def draw(text: str) -> None:
    """Write lines that may have styles to standard output.

    Args:
        text: Made of nothing but what is printable, line feeds, and styles; `drawing.drawn` makes such a text.
    """
    _write(text)


def complain(text: str) -> None:
    """Say something on standard error, on one line, whatever the text holds."""
    with contextlib.suppress(OSError):  # nobody listens
        typer.echo(f"jwt-bridge: {escaped(text)}", err=True)


def can_write(text: str) -> bool:
    """Whether standard output has these characters."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def drawn(lines: Iterable[Text]) -> str:
    """The lines with colours where standard output is a terminal that has them, each on one line whatever it holds."""
    from rich.console import Console  # noqa: PLC0415 - slow to import, and seldom needed
    from rich.text import Text  # noqa: PLC0415 - as above

    console = Console(soft_wrap=True, highlight=False)
    with console.capture() as capture:
        for line in lines:
            line.rstrip()
            # A line that is odd does without styles: what others wrote is escaped whole.
            console.print(line if line.plain.isprintable() else Text(escaped(line.plain)))
    return capture.get()


def _write(text: str) -> None:
    """Write to standard output what its encoding has, and the rest in escapes."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if os.environ.get("NO_COLOR"):
        text = _STYLE.sub("", text)  # `rich` keeps bold and dim, and typer knows nothing of the variable
    typer.echo(text.encode(encoding, "backslashreplace").decode(encoding))
