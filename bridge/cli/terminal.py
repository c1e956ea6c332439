"""What is written for people: safe for any terminal and encoding."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import Final

import typer

_STYLE: Final = re.compile(r"\x1b\[[0-9;]*m")


def say(text: str = "") -> None:
    """Write a line to standard output, what its encoding lacks in escapes."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if os.environ.get("NO_COLOR"):
        text = _STYLE.sub("", text)  # `rich` keeps bold and dim, and typer knows nothing of the variable
    typer.echo(text.encode(encoding, "backslashreplace").decode(encoding))


def complain(text: str) -> None:
    """Say something on standard error."""
    with contextlib.suppress(OSError):  # nobody listens
        typer.echo(f"jwt-bridge: {printable(text)}", err=True)


def printable(text: str) -> str:
    """The text with escapes in place of what would move a cursor, change colours or turn the writing direction."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode("ascii") for char in text
    )


def can_write(text: str) -> bool:
    """Whether standard output has these characters."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
