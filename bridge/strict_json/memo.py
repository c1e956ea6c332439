"""A cache of results for texts and values that repeat, such as the claims of a bearer who makes many requests.

A dict cannot be a cache key, and equality would be wrong: `True == 1 == 1.0`. The bytes that `marshal` writes can be
one: different values of the types that R12.7 allows have different bytes, and `marshal` refuses subclasses and
`Decimal` (which `encode` encodes each time). The text is made from the value that the key unmarshals to, so it depends
on the key alone, even if another thread changes the value at the same time.
"""

from __future__ import annotations

import marshal
import sys
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from bridge.errors import MalformedInputError
from bridge.strict_json.encode import encode
from bridge.strict_json.values import RESOURCE_BYTES

_Result = TypeVar("_Result")
_MAX_ENTRIES: Final = 256
_MAX_KEY_BYTES: Final = 4_096
_IS_EXACT: Final = sys.implementation.name == "cpython"  # elsewhere `marshal` may support other types


class Memo(Generic[_Result]):
    """A cache of a function's results for bytes that repeat; threads may share it.

    It holds at most 256 results, for keys of at most 4,096 bytes; when it is full, it is emptied.

    Args:
        function: Its result depends on the bytes alone and is not None; nothing may change it.
    """

    def __init__(self, function: Callable[[bytes], _Result]) -> None:
        self._function = function
        self._results: dict[bytes, _Result] = {}
        self._seen = [0] * _MAX_ENTRIES

    def __call__(self, key: bytes) -> _Result | None:
        """Return the function's result, or None for a key that is new or too long: caching it would not pay."""
        result = self._results.get(key)
        if result is not None or len(key) > _MAX_KEY_BYTES:
            return result
        digest = hash(key)
        slot = digest % _MAX_ENTRIES
        if self._seen[slot] != digest:
            self._seen[slot] = digest
            return None
        result = self._function(key)
        if len(self._results) >= _MAX_ENTRIES:
            self._results.clear()
        self._results[key] = result
        return result


def encode_memoized(value: Any, *, max_bytes: int = RESOURCE_BYTES, what: str = "") -> bytes:
    """Encode as `encode` does, with a cache for values that are likely to repeat.

    Raises:
        MalformedInputError: R12.3-R12.7, with a JSON Pointer.
    """
    if _IS_EXACT:
        try:
            text = _texts(marshal.dumps(value))
        except (ValueError, MalformedInputError):  # `encode` finds the cause, or accepts the value
            text = None
        if text is not None and len(text) <= max_bytes:
            return text
    return encode(value, max_bytes=max_bytes, what=what)


def _text(key: bytes) -> bytes:
    return encode(marshal.loads(key))  # noqa: S302 - only bytes that `marshal` wrote above


_texts: Final = Memo(_text)
