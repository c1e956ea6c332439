"""The items of a JSON array that comes in chunks, one after the other, in the memory that the largest of them needs.

Where an item ends is told by brackets and quotes alone; what it is, `strict_json.parse` says. So the items are those of
the array exactly where each of them is JSON, and whoever reads them must refuse the whole where one is not: a quote
too many turns what is inside strings outside. What stands between the items is looked at here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.errors import MalformedInputError
from bridge.files import INPUT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST: Final = INPUT_BYTES
"""The longest item that is looked at, in bytes; some sixty times what R12.6 lets a resource be in canonical text."""

_SPACE: Final = re.compile(rb"[ \t\n\r]*")
_SCALAR: Final = re.compile(rb'[^][{}",: \t\n\r]*')
# No repetition of a group is unbounded: each time would cost memory.
_TO_BRACKET: Final = re.compile(rb'(?:[^][{}"]+|"[^"\\]*(?:\\.[^"\\]*){,100}"){,200}', re.DOTALL)
_TO_QUOTE: Final = re.compile(rb'[^"\\]*(?:\\.[^"\\]*){,100}', re.DOTALL)
_QUOTE, _COMMA, _OPEN, _CLOSE = b'",[]'
_CLOSING: Final = {_OPEN: _CLOSE, ord("{"): ord("}")}
_CONTINUATION: Final = bytes(range(0x80, 0xC0))  # the bytes of a character behind its first


class ArrayItem(NamedTuple):
    """An item of an array.

    Attributes:
        text: Its text.
        line: The line that it begins in, from 1.
        column: The column that it begins at, in code points, from 1.
    """

    text: bytes
    line: int
    column: int


class JsonArrayReader:
    """A text whose first character that is no white space is `[`.

    Args:
        chunks: The text, in parts of any size.
        what: What the text is, for errors.
    """

    def __init__(self, chunks: Iterator[bytes], *, what: str) -> None:
        self._chunks = chunks
        self._what = what
        self._text = bytearray()
        self._at = 0
        self._line = self._column = 1

    def items(self) -> Iterator[ArrayItem]:
        """Give the items.

        Raises:
            MalformedInputError: What holds the items together is no array (R12.1), or an item is longer than `LONGEST`.
        """
        self._next()
        self._pass(self._at + 1)
        number = 0
        found = self._next()
        while found != _CLOSE or number:
            number += 1
            yield self._item(number, found)
            found = self._next()
            if found == _CLOSE:
                break
            if found != _COMMA:
                raise self.broken(f"expected `,` or `]` behind item {number}, found {_shown(found)}")
            self._pass(self._at + 1)
            found = self._next()
        self._pass(self._at + 1)
        if (found := self._next()) is not None:
            raise self.broken(f"text after the end of the array: {_shown(found)}; a file is one array, or JSON Lines")

    def broken(self, cause: str, *, line: int | None = None, column: int | None = None) -> MalformedInputError:
        """The refusal of the whole text, for what is wrong here, or at a place."""
        if line is None:
            line, column = self._line, self._column
        cause += "; nothing of a broken array is used: write it anew"
        return MalformedInputError(cause, rule="R12.1", what=self._what, line=line, column=column)

    def _item(self, number: int, first: int | None) -> ArrayItem:
        """The item that begins here with the byte `first`; None where the text ends here."""
        line, column = self._line, self._column
        if first == _QUOTE or first in _CLOSING:
            end = self._end_of_item(number, is_string=first not in _CLOSING)
        else:
            end = self._end_of_scalar(number, first)
        if end - self._at > LONGEST:
            raise self._too_long(number)
        text = bytes(self._text[self._at : end])
        self._pass(end)
        return ArrayItem(text, line, column)

    def _end_of_item(self, number: int, *, is_string: bool) -> int:
        """The offset behind the string or the container that begins here."""
        closing = bytearray()
        in_string = is_string
        at = self._at + is_string
        while True:
            at = _end_of((_TO_QUOTE if in_string else _TO_BRACKET), self._text, at)
            found = self._text[at : at + 2]
            if not found or found == b"\\":  # what the backslash stands before is still to come
                at = self._grown(number, at)
                continue
            char = found[0]
            if char == _QUOTE:
                in_string = not in_string
            elif char in _CLOSING:
                closing.append(_CLOSING[char])
            elif char not in _CLOSING.values():
                continue  # the expressions do not look at more at once
            elif closing.pop() != char:
                self._pass(at)
                raise self.broken(f"`{chr(char)}` does not close what is open in item {number}")
            at += 1
            if not closing:
                return at

    def _end_of_scalar(self, number: int, first: int | None) -> int:
        at = self._at
        while (at := _end_of(_SCALAR, self._text, at)) == len(self._text):
            at = self._grown(number, at)
        if at == self._at:
            raise self.broken(f"expected item {number}, found {_shown(first)}")
        return at

    def _grown(self, number: int, at: int) -> int:
        """The offset `at` after more of the text has come."""
        if len(self._text) - self._at > LONGEST:
            raise self._too_long(number)
        passed = self._at
        if not self._more():
            raise self.broken(f"the text ends inside item {number} (was it cut off?)")
        return at - passed

    def _next(self) -> int | None:
        """The byte of the next character that is no white space, where the text goes on; None behind the last."""
        while True:
            end = _end_of(_SPACE, self._text, self._at)
            self._pass(end)
            if end < len(self._text):
                return self._text[end]
            if not self._more():
                return None

    def _more(self) -> bool:
        """Read on, and let go of what is passed; whether there was more."""
        del self._text[: self._at]
        self._at = 0
        chunk = next(self._chunks, None)
        if chunk is not None:
            self._text += chunk
        return chunk is not None

    def _pass(self, end: int) -> None:
        """Go on to an offset."""
        passed = self._text[self._at : end]
        self._at = end
        if lines := passed.count(b"\n"):
            self._line += lines
            self._column = 1
            del passed[: passed.rfind(b"\n") + 1]
        self._column += len(passed.translate(None, _CONTINUATION))

    def _too_long(self, number: int) -> MalformedInputError:
        cause = f"item {number} is longer than {LONGEST:,} bytes: is it an array of resources?"
        return MalformedInputError(cause, rule="R12.6", what=self._what, line=self._line, column=self._column)


def _end_of(expression: re.Pattern[bytes], text: bytearray, at: int) -> int:
    """Where a match ends; nothing is left of it, for it would keep the text from growing."""
    match = expression.match(text, at)
    assert match
    return match.end()


def _shown(char: int | None) -> str:
    if char is None:
        return "the end of the text (was it cut off?)"
    text = chr(char)
    return f"`{text}`" if text.isascii() and text.isprintable() else f"the byte 0x{char:02x}"
