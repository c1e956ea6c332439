"""What must hold for strict JSON whatever it is given.

tests/unit/strict_json/test_strict_json_attack.py asks it, and so does a fuzzer.

The standard library's reader and a few lines of arithmetic say independently what R12.1-R12.5 accept, and as what.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from bridge.errors import MalformedInputError
from bridge.reference import equal
from bridge.strict_json import MAX_DEPTH, are_canonical, encode, parse

RULES = ("R12.1", "R12.2", "R12.3", "R12.4", "R12.5")


@dataclass(frozen=True)
class Number:
    """`digits` x 10**`power`; `digits` ends in no zero, and is 0 only with the power 0."""

    digits: int
    power: int


class RefusedError(ValueError):
    """The independent reader refuses."""


def judge(data: bytes | str) -> bool:
    """Whether `data` is read; fails unless it is read and written again as it must be, or refused as it must be."""
    try:
        expected = independently(data)
    except (ValueError, RecursionError):
        expected = RefusedError
    try:
        value = parse(data)
    except MalformedInputError as refused:
        _look_at_refusal(refused)
        assert expected is RefusedError, f"well-formed, but {data!r:.200} is refused"
        return False
    assert expected is not RefusedError, f"read as {value!r:.200}, but not well-formed"
    assert same(value, expected), f"read as {value!r:.200}, but is {expected!r:.200}"
    text = encode(value, max_bytes=sys.maxsize)
    again = parse(text)
    assert equal(again, value), text
    assert encode(again, max_bytes=sys.maxsize) == text, text
    assert parse(text.decode("utf-8")) == again, text
    assert are_canonical(text.decode("utf-8")), text
    for number in numbers_in(text):
        assert number != "-0", text
        assert not re.search(r"[.e].*0$", number), text
        assert number.lstrip("-").isdigit() or not _is_whole(_number(number)), text
    return True


def numbers_in(text: bytes) -> list[str]:
    """The texts of all numbers in a JSON text."""
    texts: list[str] = []
    json.loads(text, parse_int=texts.append, parse_float=texts.append)
    return texts


def _look_at_refusal(refused: MalformedInputError) -> None:
    """A rule, a place, and one line that any terminal can show."""
    assert refused.rule in RULES, refused
    assert refused.line, refused
    assert refused.column, refused
    assert min(refused.line, refused.column) >= 1, refused
    assert str(refused).isprintable(), ascii(str(refused))


def independently(data: bytes | str) -> Any:
    """The value, with numbers as `Number`, by the standard library's reader."""
    text = data.decode("utf-8") if isinstance(data, bytes) else data
    value = json.loads(
        text, object_pairs_hook=_object, parse_int=_number, parse_float=_number, parse_constant=_refuse_constant
    )
    _look_at(value, MAX_DEPTH)
    return value


def same(value: Any, expected: Any) -> bool:
    """Whether `value`, as we read it, is what the independent reader read."""
    if isinstance(expected, Number):
        return type(value) is (int if _is_whole(expected) else Decimal) and _normal(value) == expected
    if type(value) is not type(expected):
        return False
    if isinstance(expected, list):
        return len(value) == len(expected) and all(map(same, value, expected))
    if isinstance(expected, dict):
        return list(value) == list(expected) and all(same(value[name], expected[name]) for name in expected)
    return bool(value == expected)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise RefusedError("R12.2")
    return members


def _refuse_constant(text: str) -> Any:
    raise RefusedError(text)


def _number(text: str) -> Number:
    if len(text) > 1_000:
        raise RefusedError("R12.5")
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    number = _reduced(int(whole + fraction), int(exponent or "0") - len(fraction))
    if _is_whole(number):
        return number
    if len(str(abs(number.digits))) > 17 or not -2_000 < number.power < 2_000:
        raise RefusedError("R12.5")
    magnitude = Fraction(abs(number.digits)) * Fraction(10) ** number.power
    if not 4 * Fraction(10) ** -324 <= magnitude <= 18 * Fraction(10) ** 307:
        raise RefusedError("R12.5")
    return number


def _is_whole(number: Number) -> bool:
    """Whether it is an integer of at most 40 digits."""
    return number.power >= 0 and len(str(abs(number.digits))) + number.power <= 40


def _normal(value: int | Decimal) -> Number:
    if isinstance(value, int):
        return _reduced(value, 0)
    sign, digits, power = value.as_tuple()
    assert isinstance(power, int)
    return _reduced(int("".join(map(str, digits))) * (-1 if sign else 1), power)


def _reduced(digits: int, power: int) -> Number:
    if digits == 0:
        return Number(0, 0)
    zeros = len(str(digits)) - len(str(digits).rstrip("0"))
    return Number(int(str(digits)[: len(str(digits)) - zeros]), power + zeros)


def _look_at(value: Any, depth: int) -> None:
    """Refuse what the standard library lets pass: R12.3 and R12.4."""
    if isinstance(value, str):
        if re.search("[\ud800-\udfff]", value):
            raise RefusedError("R12.3")
    elif isinstance(value, (list, dict)):
        if depth == 0:
            raise RefusedError("R12.4")
        for item in (*value, *value.values()) if isinstance(value, dict) else value:
            _look_at(item, depth - 1)
