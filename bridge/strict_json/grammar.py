"""Whether bytes are one JSON text by its grammar alone, of whatever depth, and whatever else of R12 they break.

For telling where the mistake in a text lies, inside a value or in what holds values together; never for deciding.
"""

from __future__ import annotations

import re
from typing import Final

_SPACE: Final = rb"[ \t\n\r]*"
_SCALAR: Final = rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null"
_TOKEN: Final = re.compile(rb'%b(?:([][{},:"])|(?:%b))' % (_SPACE, _SCALAR))
_REST: Final = re.compile(_SPACE)
# So many escapes at once: each time that a group is repeated costs memory.
_IN_STRING: Final = re.compile(rb'[^"\\\0-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\0-\x1f]*){,200}')

_VALUE, _ITEM, _NAME, _MEMBER, _COLON, _COMMA = range(6)  # what comes next; _ITEM and _MEMBER may be none
_CLOSING: Final = {b"[": b"]", b"{": b"}"}
_NEXT: Final[dict[tuple[int, bytes | None], int]] = {
    **{(wanted, token): _COMMA for wanted in (_VALUE, _ITEM) for token in (b'"', None)},
    **{(wanted, b"["): _ITEM for wanted in (_VALUE, _ITEM)},
    **{(wanted, b"{"): _MEMBER for wanted in (_VALUE, _ITEM)},
    **{(wanted, b'"'): _COLON for wanted in (_NAME, _MEMBER)},
    (_COLON, b":"): _VALUE,
    **{(wanted, b"]"): _COMMA for wanted in (_ITEM, _COMMA)},
    **{(wanted, b"}"): _COMMA for wanted in (_MEMBER, _COMMA)},
    (_COMMA, b","): _VALUE,
}


def is_json(text: bytes) -> bool:
    """Whether `text` follows RFC 8259's grammar, its depth, numbers, names, surrogates and UTF-8 not looked at.

    It takes time in proportion to the text, and a byte for each container that is open.
    """
    open_ = bytearray()  # what closes each
    wanted = _VALUE
    at = 0
    while match := _TOKEN.match(text, at):
        token, at = match.group(1), match.end()  # None is a number or a word
        following = _NEXT.get((wanted, token))
        if following is None:
            return False
        if token == b'"':
            end = _end_of_string(text, at)
            if end is None:
                return False
            at = end
        wanted = following
        if token in _CLOSING:
            open_ += _CLOSING[token]
        elif token in (b"]", b"}"):
            if not open_.endswith(token):
                return False
            del open_[-1]
        elif token == b",":
            if not open_:
                return False
            wanted = _NAME if open_.endswith(b"}") else _VALUE
    return wanted == _COMMA and not open_ and _REST.fullmatch(text, at) is not None


def _end_of_string(text: bytes, at: int) -> int | None:
    """The offset behind the string whose content begins at `at`; None where it has no end, or is no string."""
    while True:
        match = _IN_STRING.match(text, at)
        assert match
        if match.end() == at:
            return at + 1 if text.startswith(b'"', at) else None
        at = match.end()
