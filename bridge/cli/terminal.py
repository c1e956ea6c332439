"""What is written for people: safe for any terminal and encoding."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import Final

import typer

from bridge.escapes import escaped

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


def _write(text: str) -> None:
    """Write to standard output what its encoding has, and the rest in escapes."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if os.environ.get("NO_COLOR"):
        text = _STYLE.sub("", text)  # `rich` keeps bold and dim, and typer knows nothing of the variable
    typer.echo(text.encode(encoding, "backslashreplace").decode(encoding))
