"""Escape text of others for people: no character of it moves a cursor, ends a line or turns the writing direction.

Characters that are not printable are escaped as in JSON: control and format characters, line and paragraph separators,
spaces other than the plain one, surrogates, and private or unassigned code points.
"""

from __future__ import annotations

from typing import Final

_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_PLANE: Final = 0x10000
_MAX_QUOTED: Final = 40
_MAX_QUOTED_SETTING: Final = 500


def escaped(text: str) -> str:
    """Return the text with an escape in place of each character that is not printable, on one line.

    A backslash remains, so a JSON text keeps its value. In another text, nobody can tell a new escape from one that was
    there before: quote each part that comes from others with `shown`.

    Args:
        text: Any text.

    Returns:
        The text itself if all of it is printable.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def shown(value: object) -> str:
    r"""Return a text of others for use in a sentence: itself, or a JSON string, so that no two texts look the same.

    Args:
        value: A text, or another object, whose `str` is shown.

    Returns:
        The text if it is printable, has no backslash and begins with no quote; `"a\nb"` for a text with a line feed,
        `"a\\nb"` for one with a backslash and an `n`.
    """
    text = str(value)
    if text.isprintable() and "\\" not in text and not text.startswith('"'):
        return text
    return '"' + escaped(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def printable(text: str, longest: int) -> str:
    """Return the text of another program on one line, cut after `longest` characters, safe for a terminal."""
    kept = escaped(text[:longest])
    return kept if len(text) <= longest else kept + "..."


def on_one_line(text: str) -> str:
    """Return the lines of a program's output joined by `; `."""
    return "; ".join(filter(None, map(str.strip, text.splitlines())))


def escaped_json(text: bytes) -> bytes:
    """Return JSON text of the same value, with escapes in place of characters that are not printable.

    People and programs may read it, but never an engine: the Wasm build reads pairs of escapes wrongly.

    Args:
        text: JSON text in UTF-8, with no white space between its tokens except the plain space.
    """
    if text.isascii() and b"\x7f" not in text:
        return text
    return escaped(text.decode("utf-8")).encode("utf-8")


def quoted(text: str) -> str:
    """Return a text from a token or a key in backticks: printable, on one line, and cut after 40 characters."""
    return _quoted(text, _MAX_QUOTED)


def quoted_setting(value: object) -> str:
    """Return a setting, such as a path or a URL, in backticks: as `quoted` does, but cut after 500 characters."""
    return _quoted(str(value), _MAX_QUOTED_SETTING)


def _quoted(text: str, length: int) -> str:
    cut = text if len(text) <= length else text[:length] + "..."
    return "`" + repr(cut)[1:-1].replace("`", "'") + "`"


def _escape(char: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    number = ord(char)
    if number < _PLANE:
        return f"\\u{number:04x}"
    number -= _PLANE
    return f"\\u{0xD800 + (number >> 10):04x}\\u{0xDC00 + (number & 0x3FF):04x}"
