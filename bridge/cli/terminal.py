"""Print text for people: safe for any terminal and encoding."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterable
from typing import Final

import typer
from rich.text import Text

from bridge.escapes import escaped

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
