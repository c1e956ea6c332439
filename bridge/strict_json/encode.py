"""Values to canonical JSON text, by the one encoder for everything that is sent to an engine.

Canonical text has no spaces, keeps the order of members, has each number in its one form (`numbers.write`), and has
strings as raw UTF-8 with only `"`, the backslash and control characters escaped.

A cache holds the texts of values that repeat, such as the claims of a bearer who makes many requests. A dict cannot
be a cache key, and equality would be wrong: `True == 1 == 1.0`. The bytes that `marshal` writes can be one: different
values of the types that R12.7 allows have different bytes, and `marshal` refuses subclasses and `Decimal` (which
`encode` encodes each time). The text is made from the value that the key unmarshals to, so it depends on the key
alone, even if another thread changes the value at the same time.
"""

from __future__ import annotations

import marshal
import math
import sys
from collections.abc import Callable
from decimal import Decimal
from json import JSONEncoder
from json.encoder import c_make_encoder  # type: ignore[attr-defined] # the typeshed leaves it out
from json.encoder import encode_basestring as _quote
from typing import Any, Final, Generic, TypeVar

from bridge.errors import MalformedInputError
from bridge.strict_json import numbers
from bridge.strict_json.scanner import SURROGATE
from bridge.strict_json.values import MAX_DEPTH, MAX_NODES, RESOURCE_BYTES, Value, pointer

_SMALL: Final = 10**15  # an int of a smaller magnitude is its own canonical text
_MAX_PLAIN_CONTAINERS: Final = 64  # so it is not deeper than R12.4 allows, and has no cycle
_MAX_PLAIN_CHARACTERS: Final = 65_536
_MIN_PLAIN_FRACTION: Final = 0.0001  # Python writes a smaller number with an exponent
_C_FLAGS: Final = (False, False, False)  # no sorting, no skipping of names, no NaN
_C_ENCODER: Final[Any] = c_make_encoder and c_make_encoder(None, None, _quote, None, ":", ",", *_C_FLAGS)
_SORTED: Final = JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)

_Result = TypeVar("_Result")
_MAX_ENTRIES: Final = 256
_MAX_KEY_BYTES: Final = 4_096
_IS_EXACT: Final = sys.implementation.name == "cpython"  # elsewhere `marshal` may support other types


def encode(value: object, *, max_bytes: int = RESOURCE_BYTES, what: str = "") -> bytes:
    """Return the canonical text of a value, as UTF-8.

    Args:
        value: A value that `parse` returned, or Python objects that R12.7 allows.
        max_bytes: The maximum length of the text, in bytes (R12.6).
        what: What the value is, for the error message.

    Raises:
        MalformedInputError: R12.3-R12.7, with a JSON Pointer.
    """
    plain = _plain_text(value)
    if plain is not None and len(plain) <= max_bytes:
        return plain
    try:
        text = _Encoder(max_bytes).text(value, 0).encode("utf-8")
        if len(text) > max_bytes:
            raise _too_long(max_bytes)
    except _UnencodableError as error:
        path = error.path[::-1]
        cause, rule = error.cause, error.rule
        if rule == "R12.4" and _is_cycle(value, path):
            cause, rule = "a value that contains itself", "R12.7"
        raise MalformedInputError(cause, rule=rule, what=what, pointer=pointer(*path)) from None
    return text


def sorted_text(value: Value) -> bytes:
    """Return the canonical text of a value that `parse` returned, with the names of each object in code point order.

    Two values have the same text exactly if they are equal (R11).
    """
    try:
        text = _SORTED.encode(value)
    except TypeError:  # a number that is not an int
        return encode(_with_sorted_names(value), max_bytes=sys.maxsize)
    return text.encode("utf-8")


def string_text(value: str) -> bytes:
    """Return the canonical text of a string that `parse` returned."""
    quoted: str = _quote(value)
    return quoted.encode("utf-8")


def _with_sorted_names(value: Value) -> Value:
    if isinstance(value, dict):
        return {name: _with_sorted_names(value[name]) for name in sorted(value)}
    return [_with_sorted_names(item) for item in value] if isinstance(value, list) else value


def _plain_text(value: object) -> bytes | None:
    """Return the canonical text of a small plain value as UTF-8; None for any other value.

    Most claims and resources are objects of strings, small numbers, true, false and null. For those the standard
    library's C encoder writes what `_Encoder` would, in two thirds of the time. But it also accepts tuples, subclasses,
    names that are not strings, and numbers of any form. So each value is checked first. A value that is not certainly
    plain is left to `_Encoder`, which alone refuses values and reports the place.
    """
    if type(value) is str:
        pieces = [_quote(value)]
    elif _C_ENCODER is not None and type(value) is dict and _is_plain(value):
        pieces = _C_ENCODER(value, 0)
    else:
        return None
    try:
        return "".join(pieces).encode("utf-8")
    except UnicodeEncodeError:  # an unpaired surrogate
        return None


def _is_plain(value: dict[Any, Any]) -> bool:
    containers: list[Any] = [value]
    characters = 0
    for container in containers:
        items = container
        if type(container) is dict:
            for name in container:
                if type(name) is not str:
                    return False
                characters += len(name)
            items = container.values()
        for item in items:
            kind = type(item)
            if kind is str:
                characters += len(item)
            elif kind is dict or kind is list:
                containers.append(item)
            elif item is not None and kind is not bool and not _is_plain_number(item):
                return False
        characters += len(items)
        if len(containers) > _MAX_PLAIN_CONTAINERS or characters > _MAX_PLAIN_CHARACTERS:
            return False
    return True


def _is_plain_number(value: Any) -> bool:
    if type(value) is int:
        return -_SMALL < value < _SMALL
    # The `repr` of such a float has a point and no exponent, does not end in zero, and has at most 17 digits.
    return type(value) is float and _MIN_PLAIN_FRACTION <= abs(value) < _SMALL and not value.is_integer()


class _UnencodableError(Exception):
    """A refused value; each container that the error passes adds its part of the path, innermost first."""

    def __init__(self, cause: str, rule: str) -> None:
        self.cause = cause
        self.rule = rule
        self.path: list[str] = []


class _Encoder:
    """An encoder that counts down the limits of R12.6 and R12.7: a small object cannot make a huge text."""

    __slots__ = ("characters", "max_bytes", "nodes")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.characters = max_bytes
        self.nodes = MAX_NODES - 1

    def text(self, value: Any, depth: int) -> str:
        kind = type(value)
        if kind is str:
            return self.string(value)
        if kind is dict:
            return self.object(value, depth)
        if kind is list:
            return self.array(value, depth)
        if kind is int and -_SMALL < value < _SMALL:
            return str(value)
        if value is None:
            return "null"
        if kind is bool:
            return "true" if value else "false"
        if kind is int or kind is Decimal or kind is float:
            if (kind is float and not math.isfinite(value)) or (kind is Decimal and not value.is_finite()):
                raise _UnencodableError(f"`{value}` is no JSON number", "R12.7")
            try:
                return numbers.write(numbers.normal(value))
            except numbers.NumberError as error:
                raise _UnencodableError(str(error), "R12.5") from None
        raise _UnencodableError(f"a Python {kind.__module__}.{kind.__qualname__} is no JSON value", "R12.7")

    def object(self, value: dict[Any, Any], depth: int) -> str:
        self.enter(len(value), depth)
        parts = []
        name: Any = None
        try:
            for name, item in value.items():
                if type(name) is not str:
                    raise _UnencodableError(f"a member name of the Python type {type(name).__qualname__}", "R12.7")  # noqa: TRY301 - caught below, for the path
                parts.append(f"{self.string(name)}:{self.text(item, depth + 1)}")
        except _UnencodableError as error:
            error.path.append(name if type(name) is str and not SURROGATE.search(name) else ascii(name))
            raise
        return "{" + ",".join(parts) + "}"

    def array(self, value: list[Any], depth: int) -> str:
        self.enter(len(value), depth)
        parts: list[str] = []
        try:
            for item in value:
                parts.append(self.text(item, depth + 1))  # noqa: PERF401 - the length is the index of a refused item
        except _UnencodableError as error:
            error.path.append(str(len(parts)))
            raise
        return "[" + ",".join(parts) + "]"

    def enter(self, items: int, depth: int) -> None:
        if depth == MAX_DEPTH:
            raise _UnencodableError(f"nested more than {MAX_DEPTH} deep", "R12.4")
        self.nodes -= items
        if self.nodes < 0:
            raise _UnencodableError(f"more than {MAX_NODES:,} values", "R12.7")

    def string(self, value: str) -> str:
        if not value.isascii() and SURROGATE.search(value):
            raise _UnencodableError("a string with an unpaired surrogate", "R12.3")
        self.characters -= len(value)
        if self.characters < 0:
            raise _too_long(self.max_bytes)
        quoted: str = _quote(value)
        return quoted


def _is_cycle(value: Any, path: list[str]) -> bool:
    """Return whether the containers on a path through a value come back to one of themselves."""
    seen = set()
    for name in path:
        if id(value) in seen:
            return True
        seen.add(id(value))
        value = value[int(name)] if type(value) is list else value.get(name)
    return False


def _too_long(max_bytes: int) -> _UnencodableError:
    return _UnencodableError(f"longer than {max_bytes:,} bytes in canonical text", "R12.6")


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
