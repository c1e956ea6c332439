"""JSON text to values (R12.1-R12.5), by the fast decoder where its result is certain.

The standard library's decoder is several times faster than the scanner. But it reports no place of a duplicate member
and no depth, and it accepts surrogates. So the scanner decides every text that the decoder refuses or may misjudge.
"""

from __future__ import annotations

import re
from decimal import Decimal
from json import JSONDecoder
from typing import Any, Final, NoReturn

from bridge.errors import MalformedInputError
from bridge.strict_json import numbers
from bridge.strict_json.diagnosis import encoding_fault
from bridge.strict_json.scanner import SURROGATE, scan
from bridge.strict_json.values import MAX_DEPTH, Value

_CHUNK: Final = 4_096
_ESCAPED_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def parse(text: str | bytes, *, max_depth: int = MAX_DEPTH, what: str = "") -> Value:
    """Return the JSON value of a text, with exact numbers.

    Args:
        text: JSON text; bytes are UTF-8.
        max_depth: How deep containers may be nested (R12.4).
        what: What the text is, for the error message.

    Raises:
        MalformedInputError: R12.1-R12.5, with line and column.
    """
    try:
        return _parse(_decoded(text) if isinstance(text, bytes) else text, max_depth)
    except MalformedInputError as error:
        raise error.named(what) from None


def parse_canonical(text: bytes) -> Value:
    """Return the value of a text that `encode` wrote: the same as `parse`, in a third of the time.

    Such a text has no duplicate member, no surrogate and no excessive depth. A number with a point or an exponent is
    not an integer of at most 40 digits, and the text has exactly the digits of its `Decimal`.
    """
    value: Value = _CANONICAL.raw_decode(text.decode("utf-8"))[0]
    return value


def _parse(text: str, max_depth: int) -> Value:
    if not _ESCAPED_SURROGATE.search(text) and (text.isascii() or not SURROGATE.search(text)):
        try:
            value: Value = _DECODER.decode(text)
        except (ValueError, RecursionError):  # the scanner finds the cause, or accepts the text
            pass
        else:
            if text.count("[") + text.count("{") <= max_depth or _is_within(_as_containers(value), max_depth):
                return value
    return scan(text, max_depth=max_depth)


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        raise MalformedInputError(
            encoding_fault(data) or f"invalid UTF-8: byte 0x{data[error.start]:02x}",
            rule="R12.1",
            line=before.count("\n") + 1,
            column=len(before) - before.rfind("\n"),
        ) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) <= numbers.MAX_INTEGER_DIGITS else numbers.read(text)


def _constant(text: str) -> NoReturn:
    raise ValueError(text)


_DECODER: Final = JSONDecoder(
    object_pairs_hook=_object, parse_float=numbers.read, parse_int=_integer, parse_constant=_constant, strict=True
)


_CANONICAL: Final = JSONDecoder(parse_float=Decimal)


def _as_containers(value: Value) -> list[Any]:
    return [value] if isinstance(value, (dict, list)) else []


def _is_within(containers: list[Any], depth: int) -> bool:
    """Return whether each of the containers is nested at most `depth` deep, itself included.

    The search goes level by level. It takes a wide level in chunks, each down to its leaves: the containers of a chunk
    were made together, so they are in the processor's caches together.
    """
    while containers:
        if len(containers) > _CHUNK:
            starts = range(0, len(containers), _CHUNK)
            return all(_is_within(containers[start : start + _CHUNK], depth) for start in starts)
        if not depth:
            return False
        depth -= 1
        containers = [
            item
            for container in containers
            for item in (container.values() if type(container) is dict else container)
            if type(item) is dict or type(item) is list
        ]
    return True
