"""Foreign text in errors."""

from __future__ import annotations


def printable(text: str, longest: int) -> str:
    """The text on one line, cut after `longest` characters, fit for a terminal."""
    shown = "".join(char if char.isprintable() else " " for char in text[:longest])
    return shown if len(text) <= longest else shown + "..."
