"""What is made of texts and values that come again and again, such as the claims of a bearer who asks about much.

A dict cannot be a key, and equality would be the wrong question: `True == 1 == 1.0`. What Python marshals a value to
can: of the types that R12.7 allows it is told from every other value, and subclasses are refused (so is `Decimal`,
which is encoded each time). The text is made from what the key unmarshals to: a function of the key alone, whatever
another thread does to the value meanwhile.
"""

from __future__ import annotations

import marshal
import sys
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from bridge.errors import MalformedInputError
from bridge.strict_json.encode import encode
from bridge.strict_json.values import RESOURCE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

_Made = TypeVar("_Made")
_MOST_KEPT: Final = 256
_LONGEST_KEPT: Final = 4_096
_IS_EXACT: Final = sys.implementation.name == "cpython"  # elsewhere marshal may know more types, or other ones


class Memo(Generic[_Made]):
    """A function of bytes that is asked once for what comes again; threads may share it.

    Some hundreds of results are remembered, of arguments up to 4,096 bytes; when it is full, it begins anew.

    Args:
        function: Its result depends on the bytes alone, is not None, and nobody changes it.
    """

    def __init__(self, function: Callable[[bytes], _Made]) -> None:
        self._function = function
        self._known: dict[bytes, _Made] = {}
        self._seen = [0] * _MOST_KEPT

    def __call__(self, key: bytes) -> _Made | None:
        """The function's result, or None for what has not come before or is too long: that is not worth the while."""
        made = self._known.get(key)
        if made is not None or len(key) > _LONGEST_KEPT:
            return made
        digest = hash(key)
        place = digest % _MOST_KEPT
        if self._seen[place] != digest:
            self._seen[place] = digest
            return None
        made = self._function(key)
        if len(self._known) >= _MOST_KEPT:
            self._known.clear()
        self._known[key] = made
        return made


def encode_memoized(value: Any, *, max_bytes: int = RESOURCE_BYTES, what: str = "") -> bytes:
    """As `encode`, for values that are likely to come again.

    Raises:
        MalformedInputError: R12.3-R12.7, with a JSON Pointer.
    """
    if _IS_EXACT:
        try:
            text = _texts(marshal.dumps(value))
        except (ValueError, MalformedInputError):  # whatever it is, `encode` finds it, or finds nothing
            text = None
        if text is not None and len(text) <= max_bytes:
            return text
    return encode(value, max_bytes=max_bytes, what=what)


def _text(key: bytes) -> bytes:
    return encode(marshal.loads(key))  # noqa: S302 - never anything but what was marshalled above


_texts: Final = Memo(_text)
