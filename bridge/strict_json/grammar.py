"""A check of bytes by JSON's grammar alone, whatever their depth and whatever other part of R12 they break.

It tells whether a mistake is inside a value or between values, for an error message. No decision depends on it.
"""

from __future__ import annotations

import re
from typing import Final

_SPACE: Final = rb"[ \t\n\r]*"
_SCALAR: Final = rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null"
_TOKEN: Final = re.compile(rb'%b(?:([][{},:"])|(?:%b))' % (_SPACE, _SCALAR))
_REST: Final = re.compile(_SPACE)
# At most 200 escapes at once: each repetition of a group costs memory.
_IN_STRING: Final = re.compile(rb'[^"\\\0-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\0-\x1f]*){,200}')

_VALUE, _ITEM, _NAME, _MEMBER, _COLON, _COMMA = range(6)  # the expected next token; _ITEM and _MEMBER are optional
_CLOSING: Final = {b"[": b"]", b"{": b"}"}
_NEXT: Final[dict[tuple[int, bytes | None], int]] = {
    **{(expected, token): _COMMA for expected in (_VALUE, _ITEM) for token in (b'"', None)},
    **{(expected, b"["): _ITEM for expected in (_VALUE, _ITEM)},
    **{(expected, b"{"): _MEMBER for expected in (_VALUE, _ITEM)},
    **{(expected, b'"'): _COLON for expected in (_NAME, _MEMBER)},
    (_COLON, b":"): _VALUE,
    **{(expected, b"]"): _COMMA for expected in (_ITEM, _COMMA)},
    **{(expected, b"}"): _COMMA for expected in (_MEMBER, _COMMA)},
    (_COMMA, b","): _VALUE,
}


def is_json(text: bytes) -> bool:
    """Return whether a text follows the grammar of RFC 8259.

    The depth, the size of numbers, duplicate names, surrogates and UTF-8 are not checked. The time is linear in the
    length of the text; each open container costs a byte.
    """
    open_ = bytearray()  # the closing bracket of each open container
    expected = _VALUE
    at = 0
    while match := _TOKEN.match(text, at):
        token, at = match.group(1), match.end()  # None: a number or a word
        following = _NEXT.get((expected, token))
        if following is None:
            return False
        if token == b'"':
            end = _end_of_string(text, at)
            if end is None:
                return False
            at = end
        expected = following
        if token in _CLOSING:
            open_ += _CLOSING[token]
        elif token in (b"]", b"}"):
            if not open_.endswith(token):
                return False
            del open_[-1]
        elif token == b",":
            if not open_:
                return False
            expected = _NAME if open_.endswith(b"}") else _VALUE
    return expected == _COMMA and not open_ and _REST.fullmatch(text, at) is not None


def _end_of_string(text: bytes, at: int) -> int | None:
    """Return the offset after the string whose content begins at `at`; None if it has no end or is not a string."""
    while True:
        match = _IN_STRING.match(text, at)
        assert match
        if match.end() == at:
            return at + 1 if text.startswith(b'"', at) else None
        at = match.end()
