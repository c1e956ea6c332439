"""Foreign text in errors."""

from __future__ import annotations

from bridge.escapes import escaped


def printable(text: str, longest: int) -> str:
    """The text on one line, cut after `longest` characters, fit for a terminal."""
    kept = escaped(text[:longest])
    return kept if len(text) <= longest else kept + "..."


def on_one_line(text: str) -> str:
    """What a program wrote in several lines."""
    return "; ".join(filter(None, map(str.strip, text.splitlines())))
