"""Exact numbers and their one canonical text (R11, R12.5).

A number is an `int` if, written in full, it is an integer of at most 40 digits; otherwise it is a `Decimal`.
SEMANTICS ("What OPA does to numbers and strings") defines the canonical text: OPA compares a text that ends in `0`
after a point or an exponent as a binary float, so `write` never writes such a text.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

MAX_TEXT: Final = 1_000
MAX_INTEGER_DIGITS: Final = 40
MAX_SIGNIFICANT_DIGITS: Final = 17
SMALLEST: Final = Decimal("4e-324")
LARGEST: Final = Decimal("1.8e308")
_LARGEST_BITS: Final = 1_025  # 1.8e308 < 2**1025: an int of more bits is refused without writing it in full
_MAX_EXPONENT_DIGITS: Final = 9
_PLAIN_ZEROS: Final = 6  # 0.0000001 is written in full, 0.00000001 is 1e-8: for readability

NUMBER: Final = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([-+]?[0-9]+))?")
"""RFC 8259, section 6."""
_STRING_OR_NUMBER: Final = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9][-+.0-9eE]*')


class NumberError(ValueError):
    """A number that R12.5 refuses; the message is the cause."""


def read(text: str) -> int | Decimal:
    """Return the number of a text that matches `NUMBER`.

    Raises:
        NumberError: R12.5.
    """
    if len(text) > MAX_TEXT:
        raise NumberError(f"a number written with more than {MAX_TEXT:,} characters")
    match = NUMBER.fullmatch(text)
    if match is None:
        raise NumberError("not a JSON number")
    sign, whole, fraction, exponent = match.groups(default="")
    return _from_digits(sign == "-", whole + fraction, _power(exponent) - len(fraction))


def normal(number: float | Decimal) -> int | Decimal:
    """Return the same number as an `int` or a `Decimal` of this module; it is exactly an int, float or Decimal, finite.

    Raises:
        NumberError: R12.5.
    """
    if type(number) is int:
        if number.bit_length() > _LARGEST_BITS:
            raise NumberError("a number of a magnitude above 1.8e308")
        return _from_digits(number < 0, str(abs(number)), 0)
    if type(number) is float:
        number = Decimal(repr(number))  # R12.7: the number of its `repr`
    assert isinstance(number, Decimal)
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    if len(digits) > MAX_TEXT:
        raise NumberError(f"a number written with more than {MAX_TEXT:,} characters")
    return _from_digits(bool(sign), "".join(map(str, digits)), exponent)


def write(number: int | Decimal) -> str:
    """Return the canonical text of a number that `read` or `normal` returned."""
    if isinstance(number, int):
        return str(number)
    sign, digits, power = number.as_tuple()
    assert isinstance(power, int)
    significant = "".join(map(str, digits))
    point = len(significant) + power  # digits before the point
    if power < 0 and point > 0:
        text = f"{significant[:point]}.{significant[point:]}"
    elif power < 0 and -point <= _PLAIN_ZEROS:
        text = f"0.{'0' * -point}{significant}"
    elif power % 10:
        text = f"{significant}e{power}"
    else:
        text = f"{significant}0e{power - 1}"
    return f"-{text}" if sign else text


def are_canonical(text: str) -> bool:
    """Return whether every number in a JSON text that `parse` accepts is in canonical form."""
    return all(token.startswith('"') or write(read(token)) == token for token in _STRING_OR_NUMBER.findall(text))


def _power(exponent: str) -> int:
    """Return the exponent, or one that is out of range as well: Python's digit limit may be lower than `MAX_TEXT`."""
    digits = exponent.lstrip("+-").lstrip("0")
    power = int(digits or "0") if len(digits) <= _MAX_EXPONENT_DIGITS else 10**_MAX_EXPONENT_DIGITS
    return -power if exponent.startswith("-") else power


def _from_digits(negative: bool, digits: str, power: int) -> int | Decimal:  # noqa: FBT001 - a sign, not a switch
    """Return the number `digits` x 10**`power`."""
    digits = digits.lstrip("0")
    significant = digits.rstrip("0")
    if not significant:
        return 0
    power += len(digits) - len(significant)
    length = len(significant) + power
    if power >= 0 and length <= MAX_INTEGER_DIGITS:
        integer = int(significant + "0" * power)
        return -integer if negative else integer
    if len(significant) > MAX_SIGNIFICANT_DIGITS:
        raise NumberError(
            f"a number of {len(significant)} significant digits "
            f"(at most {MAX_SIGNIFICANT_DIGITS}, or an integer of at most {MAX_INTEGER_DIGITS} digits)"
        )
    # The first test keeps away exponents that Decimal cannot represent.
    if abs(length) <= MAX_TEXT:
        number = Decimal((negative, tuple(map(int, significant)), power))
        if SMALLEST <= number.copy_abs() <= LARGEST:
            return number
    raise NumberError("a number of a magnitude " + ("above 1.8e308" if length > 0 else "below 4e-324"))
