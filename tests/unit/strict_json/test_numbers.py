"""Exact numbers and their one canonical text (R11, R12.5)."""

from __future__ import annotations

import importlib
import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import MalformedInputError
from bridge.strict_json import are_canonical, encode, parse

numbers = importlib.import_module("bridge.strict_json.numbers")  # the package has a function of this name


CANONICAL = [
    ("0", "0"),
    ("-0", "0"),
    ("0.000", "0"),
    ("-0e5", "0"),
    ("0e99999999999999999999", "0"),
    ("1", "1"),
    ("1.0", "1"),
    ("1e0", "1"),
    ("10e-1", "1"),
    ("-1.50", "-1.5"),
    ("1e30", "1" + "0" * 30),
    ("9223372036854775808.0", "9223372036854775808"),
    ("9" * 40, "9" * 40),
    ("1e39", "1" + "0" * 39),
    ("1e40", "10e39"),
    ("1.5e50", "15e49"),
    ("15e49", "15e49"),
    ("1e50", "10e49"),
    ("0.1", "0.1"),
    ("1.20", "1.2"),
    ("123.456", "123.456"),
    ("1e-7", "0.0000001"),
    ("1e-8", "1e-8"),
    ("1e-10", "10e-11"),
    ("2.5e-10", "25e-11"),
    ("120.82399798385188e220", "12082399798385188e206"),
    ("4e-324", "4e-324"),
    ("5e-324", "5e-324"),
    ("1.8e308", "18e307"),
    ("1.7976931348623157e308", "17976931348623157e292"),
    ("0.12345678901234567", "0.12345678901234567"),
    ("0.123456789012345670", "0.12345678901234567"),
    ("1" + "0" * 999, None),
    ("9" * 41, None),
    ("1" + "0" * 40, "10e39"),
    ("1234567890123456.75", None),
    ("0.123456789012345678", None),
    ("123456789012345678e30", None),
    ("123456789012345678e22", "123456789012345678" + "0" * 22),
    ("3.9e-324", None),
    ("1.81e308", None),
    ("1e309", None),
    ("1e-325", None),
    ("1e100000000", None),
    ("1e-99999999999999999999", None),
    ("0." + "0" * 999, None),
    ("0." + "0" * 998, "0"),
]


@pytest.mark.parametrize(("text", "canonical"), CANONICAL, ids=[text[:24] for text, _ in CANONICAL])
def test_a_number_has_one_canonical_text_or_is_refused(text, canonical):
    if canonical is None:
        with pytest.raises(MalformedInputError) as refused:
            parse(text)
        assert (refused.value.rule, refused.value.line, refused.value.column) == ("R12.5", 1, 1)
    else:
        assert encode(parse(text)).decode() == canonical
        assert encode(parse(canonical)).decode() == canonical


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("1", "1.0", True),
        ("1", "1e0", True),
        ("-0", "0", True),
        ("1e40", "10000000000000000000000000000000000000000", True),
        ("1.5e50", "15e49", True),
        ("9007199254740993", "9007199254740992", False),
        ("120.82399798385188e220", "120.82399798385189e220", False),
        ("0.1", "0.1000000000000001", False),
        ("1e39", "1e40", False),
    ],
)
def test_texts_are_equal_exactly_when_the_numbers_are(one, other, equal):
    assert (encode(parse(one)) == encode(parse(other))) is equal
    assert (parse(one) == parse(other) and type(parse(one)) is type(parse(other))) is equal


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e22, "1" + "0" * 22),
        (0.1, "0.1"),
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (1.5e300, "15e299"),
        (Decimal("1.50"), "1.5"),
        (Decimal("0E+99999"), "0"),
        (Decimal(10) ** 39, "1" + "0" * 39),
        (10**39, "1" + "0" * 39),
        (10**308, "1e308"),
        (-(10**15), "-" + "1" + "0" * 15),
        (True, "true"),
    ],
)
def test_python_numbers_are_written_as_what_they_spell(value, text):
    assert encode(value).decode() == text


@pytest.mark.parametrize(
    "value",
    [
        Decimal("1e309"),
        Decimal("1e-400"),
        Decimal("1e999999999999999999"),
        Decimal("1." + "1" * 2000),
        10**40 + 1,
        10**400,
        1 << 40_000_000,
    ],
    ids=lambda value: type(value).__name__,
)
def test_python_numbers_that_break_r12_5_are_refused(value):
    with pytest.raises(MalformedInputError) as refused:
        encode({"a": [0, value]})
    assert (refused.value.rule, refused.value.pointer) == ("R12.5", "/a/1")


@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("kind", [float, Decimal])
def test_what_is_no_number_is_refused(kind, text):
    with pytest.raises(MalformedInputError) as refused:
        encode({"a": [0, kind(text)]})
    assert (refused.value.rule, refused.value.pointer) == ("R12.7", "/a/1")
    with pytest.raises(MalformedInputError, match=r"R12\.7"):
        encode(Decimal("sNaN"))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_goes_through_unharmed(value):
    text = encode(value).decode()
    assert float(text) == value
    assert Decimal(text) == Decimal(repr(value))
    assert not text.rstrip("0").endswith(("e", "e-", "."))
    assert are_canonical(text)


@given(
    st.integers(min_value=0, max_value=10**17 - 1),
    st.integers(min_value=-330, max_value=310),
    st.booleans(),
    st.integers(min_value=0, max_value=4),
)
def test_spellings_of_one_number_have_one_text(digits, exponent, negative, zeros):
    sign = "-" if negative else ""
    zeros = zeros if digits else 0
    spelt = f"{sign}{digits}{'0' * zeros}e{exponent - zeros}"
    try:
        expected = encode(parse(f"{sign}{digits}e{exponent}"))
    except MalformedInputError:
        with pytest.raises(MalformedInputError):
            parse(spelt)
        return
    assert encode(parse(spelt)) == expected
    assert Decimal(expected.decode()) == Decimal(spelt)
    mantissa, _, power = expected.decode().partition("e")
    assert not power.endswith("0")
    assert "." not in mantissa or not mantissa.endswith("0")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ('{"a":[1,2.5,-3],"b":"1.50 \\" 1e2"}', True),
        ('{"a":1.50}', False),
        ('{"a":1e2}', False),
        ('{"a":-0}', False),
        ('{"\\\\":1.0}', False),
        ('"1.0"', True),
    ],
)
def test_canonical_numbers_are_recognised_in_a_text(text, canonical):
    assert are_canonical(text) is canonical


def test_no_limit_of_pythons_own_shows():
    digits = sys.get_int_max_str_digits()
    with pytest.raises(MalformedInputError, match="1,000 characters"):
        parse("1" * (digits + 1))
    sys.set_int_max_str_digits(640)
    try:
        assert parse("0e" + "9" * 700) == 0
        assert parse("1e" + "0" * 700 + "1") == 10
        assert parse("1e-" + "0" * 700 + "1") == Decimal("0.1")
        for text in ("1e" + "9" * 700, "1e-" + "9" * 700, "1" * 700):
            with pytest.raises(MalformedInputError, match=r"R12\.5"):
                parse(text)
    finally:
        sys.set_int_max_str_digits(digits)


# R12.5, at the limits


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.00000012345", "0.00000012345"),
        ("0.000000012345", "12345e-12"),
        ("1.8e308", "18e307"),
        ("4e-324", "4e-324"),
        ("12345678901234567e24", "12345678901234567e24"),
        ("-0.5", "-0.5"),
        ("-12.5", "-12.5"),
        ("-1e-10", "-10e-11"),
        ("-1e45", "-1e45"),
        ("12e-1", "1.2"),
        ("123e-3", "0.123"),
    ],
)
def test_numbers_at_the_limits_have_this_text(text, value):
    assert encode(parse(text)).decode() == value


def test_what_is_no_number_is_none():
    for text in ("", "x", "01", "1.", "+1", "1e", "--1", "1e+-5", "1e5e5", "1.5.5"):
        with pytest.raises(numbers.NumberError, match="not a JSON number"):
            numbers.read(text)


def test_numbers_between_strings_are_looked_at_as_well():
    assert are_canonical('["a",1.5,"b"]')
    assert not are_canonical('["a",1.50,"b"]')
    assert not are_canonical('["",1.50,""]')
    assert not are_canonical("[1E5]")
    assert not are_canonical("[1e+50]")
    assert are_canonical("[-1e-9]")
