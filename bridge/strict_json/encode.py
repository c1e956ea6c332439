"""Values to canonical JSON text: the one encoder that everything sent to an engine goes through.

Canonical text: no spaces, members in the order given, numbers in their one form (`numbers.write`), strings as raw
UTF-8 with only `"`, the backslash and control characters escaped.
"""

from __future__ import annotations

import math
import sys
from decimal import Decimal
from json import JSONEncoder
from json.encoder import encode_basestring as _quote
from typing import TYPE_CHECKING, Any, Final

from bridge.errors import MalformedInputError
from bridge.strict_json import numbers
from bridge.strict_json.plain import SMALL, plain_text
from bridge.strict_json.pointer import pointer
from bridge.strict_json.scanner import SURROGATE
from bridge.strict_json.values import MAX_DEPTH, MAX_NODES, RESOURCE_BYTES

if TYPE_CHECKING:
    from bridge.strict_json.values import Value

_SORTED: Final = JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def encode(value: object, *, max_bytes: int = RESOURCE_BYTES, what: str = "") -> bytes:
    """The canonical text of `value`, as UTF-8.

    Args:
        value: What `parse` gave, or Python objects as R12.7 allows.
        max_bytes: The longest text allowed, in bytes (R12.6).
        what: What the value is, for the error.

    Raises:
        MalformedInputError: R12.3-R12.7, with a JSON Pointer.
    """
    plain = plain_text(value)
    if plain is not None and len(plain) <= max_bytes:
        return plain
    try:
        text = _Encoder(max_bytes).text(value, 0).encode("utf-8")
        if len(text) > max_bytes:
            raise _too_long(max_bytes)
    except _Refused as refused:
        path = refused.path[::-1]
        cause, rule = refused.cause, refused.rule
        if rule == "R12.4" and _is_cycle(value, path):
            cause, rule = "a value that contains itself", "R12.7"
        raise MalformedInputError(cause, rule=rule, what=what, pointer=pointer(*path)) from None
    return text


def sorted_text(value: Value) -> bytes:
    """The canonical text of a value that `parse` gave, with the names of every object in code point order.

    It is the same for equal values, and for no others (R11).
    """
    try:
        text = _SORTED.encode(value)
    except TypeError:  # a number that is no int
        return encode(_with_sorted_names(value), max_bytes=sys.maxsize)
    return text.encode("utf-8")


def string_text(value: str) -> bytes:
    """The canonical text of a string that `parse` gave."""
    quoted: str = _quote(value)
    return quoted.encode("utf-8")


def _with_sorted_names(value: Value) -> Value:
    if isinstance(value, dict):
        return {name: _with_sorted_names(value[name]) for name in sorted(value)}
    return [_with_sorted_names(item) for item in value] if isinstance(value, list) else value


class _Refused(Exception):
    """A refusal on its way up, which gathers the path from the inside out."""

    def __init__(self, cause: str, rule: str) -> None:
        self.cause = cause
        self.rule = rule
        self.path: list[str] = []


class _Encoder:
    """Counts down what is left of R12.6 and R12.7, so that a small object cannot spell a huge text."""

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
        if kind is int and -SMALL < value < SMALL:
            return str(value)
        if value is None:
            return "null"
        if kind is bool:
            return "true" if value else "false"
        if kind is int or kind is Decimal or kind is float:
            if (kind is float and not math.isfinite(value)) or (kind is Decimal and not value.is_finite()):
                raise _Refused(f"`{value}` is no JSON number", "R12.7")
            try:
                return numbers.write(numbers.normal(value))
            except numbers.NumberError as error:
                raise _Refused(str(error), "R12.5") from None
        raise _Refused(f"a Python {kind.__module__}.{kind.__qualname__} is no JSON value", "R12.7")

    def object(self, value: dict[Any, Any], depth: int) -> str:
        self.enter(len(value), depth)
        parts = []
        name: Any = None
        try:
            for name, item in value.items():
                if type(name) is not str:
                    raise _Refused(f"a member name of the Python type {type(name).__qualname__}", "R12.7")  # noqa: TRY301 - below
                parts.append(f"{self.string(name)}:{self.text(item, depth + 1)}")
        except _Refused as refused:
            refused.path.append(name if type(name) is str and not SURROGATE.search(name) else ascii(name))
            raise
        return "{" + ",".join(parts) + "}"

    def array(self, value: list[Any], depth: int) -> str:
        self.enter(len(value), depth)
        parts: list[str] = []
        try:
            for item in value:
                parts.append(self.text(item, depth + 1))  # noqa: PERF401 - its length is the index of a refused item
        except _Refused as refused:
            refused.path.append(str(len(parts)))
            raise
        return "[" + ",".join(parts) + "]"

    def enter(self, items: int, depth: int) -> None:
        if depth == MAX_DEPTH:
            raise _Refused(f"nested more than {MAX_DEPTH} deep", "R12.4")
        self.nodes -= items
        if self.nodes < 0:
            raise _Refused(f"more than {MAX_NODES:,} values", "R12.7")

    def string(self, value: str) -> str:
        if not value.isascii() and SURROGATE.search(value):
            raise _Refused("a string with an unpaired surrogate", "R12.3")
        self.characters -= len(value)
        if self.characters < 0:
            raise _too_long(self.max_bytes)
        quoted: str = _quote(value)
        return quoted


def _is_cycle(value: Any, path: list[str]) -> bool:
    """Whether the containers on a path through `value` come to one that they have passed."""
    passed = set()
    for name in path:
        if id(value) in passed:
            return True
        passed.add(id(value))
        value = value[int(name)] if type(value) is list else value.get(name)
    return False


def _too_long(max_bytes: int) -> _Refused:
    return _Refused(f"longer than {max_bytes:,} bytes in canonical text", "R12.6")
