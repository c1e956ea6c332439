"""Split a JSON array that comes in chunks into its items, with no more memory than the largest item needs.

Brackets and quotes alone tell where an item ends; `strict_json.parse` then reads it. If each item is JSON, these are
exactly the items of the array. If one is not, the caller must refuse the whole array: one quote too many swaps the
inside and the outside of strings. This module checks the text between the items.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from bridge.errors import MalformedInputError
from bridge.files import INPUT_BYTES

LONGEST: Final = INPUT_BYTES
"""The longest item that is read, in bytes: about sixty times the limit of R12.6 for a resource in canonical text."""

_SPACE: Final = re.compile(rb"[ \t\n\r]*")
_SCALAR: Final = re.compile(rb'[^][{}",: \t\n\r]*')
# Each repetition of a group has a bound: every round costs memory.
_TO_BRACKET: Final = re.compile(rb'(?:[^][{}"]+|"[^"\\]*(?:\\.[^"\\]*){,100}"){,200}', re.DOTALL)
_TO_QUOTE: Final = re.compile(rb'[^"\\]*(?:\\.[^"\\]*){,100}', re.DOTALL)
_QUOTE, _COMMA, _OPEN, _CLOSE = b'",[]'
_CLOSING: Final = {_OPEN: _CLOSE, ord("{"): ord("}")}
_CONTINUATION: Final = bytes(range(0x80, 0xC0))  # the bytes of a character after its first


class ArrayItem(NamedTuple):
    """An item of an array.

    Attributes:
        text: Its text.
        line: The line where it begins, from 1.
        column: The column where it begins, in code points, from 1.
    """

    text: bytes
    line: int
    column: int


class JsonArrayReader:
    """Reads a text whose first character that is no white space is `[`.

    Args:
        chunks: The text, in chunks of any size.
        what: The name of the text, for errors.
    """

    def __init__(self, chunks: Iterator[bytes], *, what: str) -> None:
        self._chunks = chunks
        self._what = what
        self._text = bytearray()
        self._at = 0
        self._line = self._column = 1

    def items(self) -> Iterator[ArrayItem]:
        """Return the items, one by one.

        Raises:
            MalformedInputError: The text around the items is no array (R12.1), or an item is longer than `LONGEST`.
        """
        self._next()
        self._pass(self._at + 1)
        number = 0
        char = self._next()
        while char != _CLOSE or number:
            number += 1
            yield self._item(number, char)
            char = self._next()
            if char == _CLOSE:
                break
            if char != _COMMA:
                raise self.broken(f"expected `,` or `]` behind item {number}, found {_shown(char)}")
            self._pass(self._at + 1)
            char = self._next()
        self._pass(self._at + 1)
        if (char := self._next()) is not None:
            raise self.broken(f"text after the end of the array: {_shown(char)}; a file is one array, or JSON Lines")

    def broken(self, cause: str, *, line: int | None = None, column: int | None = None) -> MalformedInputError:
        """Return the error that refuses the whole text, for a mistake here or at another place."""
        if line is None:
            line, column = self._line, self._column
        cause += "; nothing of a broken array is used: write it anew"
        return MalformedInputError(cause, rule="R12.1", what=self._what, line=line, column=column)

    def _item(self, number: int, first: int | None) -> ArrayItem:
        """Read the item that begins here with the byte `first`, which is None if the text ends here."""
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
        """Return the offset after the string or the container that begins here."""
        closing = bytearray()
        in_string = is_string
        at = self._at + is_string
        while True:
            at = _end_of((_TO_QUOTE if in_string else _TO_BRACKET), self._text, at)
            ahead = self._text[at : at + 2]
            if not ahead or ahead == b"\\":  # the character after the backslash is in the next chunk
                at = self._read_more(number, at)
                continue
            char = ahead[0]
            if char == _QUOTE:
                in_string = not in_string
            elif char in _CLOSING:
                closing.append(_CLOSING[char])
            elif char not in _CLOSING.values():
                continue  # the bound of the expressions ended the match
            elif closing.pop() != char:
                self._pass(at)
                raise self.broken(f"`{chr(char)}` does not close what is open in item {number}")
            at += 1
            if not closing:
                return at

    def _end_of_scalar(self, number: int, first: int | None) -> int:
        at = self._at
        while (at := _end_of(_SCALAR, self._text, at)) == len(self._text):
            at = self._read_more(number, at)
        if at == self._at:
            raise self.broken(f"expected item {number}, found {_shown(first)}")
        return at

    def _read_more(self, number: int, at: int) -> int:
        """Read the next chunk, and return the new offset of `at`."""
        if len(self._text) - self._at > LONGEST:
            raise self._too_long(number)
        passed = self._at
        if not self._next_chunk():
            raise self.broken(f"the text ends inside item {number} (was it cut off?)")
        return at - passed

    def _next(self) -> int | None:
        """Go to the next character that is no white space, and return its byte; None at the end of the text."""
        while True:
            end = _end_of(_SPACE, self._text, self._at)
            self._pass(end)
            if end < len(self._text):
                return self._text[end]
            if not self._next_chunk():
                return None

    def _next_chunk(self) -> bool:
        """Read the next chunk, drop the text that is passed, and return whether there was a chunk."""
        del self._text[: self._at]
        self._at = 0
        chunk = next(self._chunks, None)
        if chunk is not None:
            self._text += chunk
        return chunk is not None

    def _pass(self, end: int) -> None:
        """Move to an offset."""
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
    """Return the end of a match. The match itself must go: while it exists, the bytearray cannot grow."""
    match = expression.match(text, at)
    assert match
    return match.end()


def _shown(char: int | None) -> str:
    if char is None:
        return "the end of the text (was it cut off?)"
    text = chr(char)
    return f"`{text}`" if text.isascii() and text.isprintable() else f"the byte 0x{char:02x}"
