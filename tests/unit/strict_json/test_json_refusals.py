"""What a refusal of strict JSON (R12) says: the cause and the place, at each limit."""

from __future__ import annotations

import importlib
from decimal import Decimal

import pytest

from bridge.errors import MalformedInputError
from bridge.strict_json import ABSENT, CLAIMS_BYTES, MAX_DEPTH, MAX_NODES, RESOURCE_BYTES, encode, parse, resolve

# The package has functions of these names.
encoding, scanning = (importlib.import_module(f"bridge.strict_json.{name}") for name in ("encode", "scanner"))


def nested(depth, inner="1"):
    return "[" * depth + inner + "]" * depth


def refusal_of(text, **settings):
    with pytest.raises(MalformedInputError) as refusal:
        parse(text, **settings)
    return refusal.value


# Limits


def test_the_limits_are_those_of_r12():
    assert (MAX_DEPTH, CLAIMS_BYTES, RESOURCE_BYTES, MAX_NODES) == (64, 65_536, 1_048_576, 1_000_000)
    assert repr(ABSENT) == "ABSENT"
    assert ABSENT.value == "absent"


# Causes and places of texts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1, column 1: expected a JSON value, found the end of the text (R12.1)"),
        ("[1 2]", "line 1, column 4: expected `,` or `]`, found `2` (R12.1)"),
        ('{"a":1 "b"}', 'line 1, column 8: expected `,` or `}`, found `"` (R12.1)'),
        ('{"a" 1}', "line 1, column 6: expected `:`, found `1` (R12.1)"),
        ("{a:1}", "line 1, column 2: expected a member name in double quotes, found `a` (R12.1)"),
        ("1 nonsense", "line 1, column 3: text after the end of the JSON value: `nonsense` (R12.1)"),
        ("$_aZ", "line 1, column 1: expected a JSON value, found `$_aZ` (R12.1)"),
        ("nul 1", "line 1, column 1: expected a JSON value, found `nul` (R12.1)"),
        ("@true", "line 1, column 1: expected a JSON value, found `@` (R12.1)"),
        ("\n@", "line 2, column 1: expected a JSON value, found `@` (R12.1)"),
        ("[" + " " * 50 + "nonsense", "line 1, column 52: expected a JSON value, found `nonsense` (R12.1)"),
        ('{"é":1,"é":1}', "line 1, column 8: duplicate member `é` (R12.2)"),
        ('{"a\\n":1,"a\\n":1}', 'line 1, column 10: duplicate member `"a\\n"` (R12.2)'),
        ("truE", "line 1, column 1: expected a JSON value, found `truE` (R12.1)"),
        ("\x01", "line 1, column 1: expected a JSON value, found U+0001 (R12.1)"),
        ("\u00a0", "line 1, column 1: expected a JSON value, found U+00A0 (R12.1)"),
        ("a" * 50, f"line 1, column 1: expected a JSON value, found `{'a' * 40}` (R12.1)"),
        ("\ufeff1", "line 1, column 1: a byte order mark: save the text as UTF-8 without one (R12.1)"),
        ('"abc', "line 1, column 1: unterminated string (R12.1)"),
        ('"\t"', "line 1, column 2: invalid control character (R12.1)"),
        ('"\\x"', "line 1, column 2: invalid \\escape (R12.1)"),
        ('"\\u12"', "line 1, column 3: invalid \\uXXXX escape (R12.1)"),
        ('{"a":1,"a":1}', "line 1, column 8: duplicate member `a` (R12.2)"),
        (f'{{"{"n" * 40}":1,"{"n" * 40}":1}}', f"line 1, column 47: duplicate member `{'n' * 40}` (R12.2)"),
        (f'{{"{"n" * 41}":1,"{"n" * 41}":1}}', f"line 1, column 48: duplicate member `{'n' * 40}...` (R12.2)"),
        ('"\\ud800"', "line 1, column 1: a string with an unpaired surrogate (R12.3)"),
        (nested(65), "line 1, column 65: nested more than 64 deep (R12.4)"),
        ("1e999", "line 1, column 1: a number of a magnitude above 1.8e308 (R12.5)"),
        ("1e-999", "line 1, column 1: a number of a magnitude below 4e-324 (R12.5)"),
        ("0." + "1" * 18, "a number of 18 significant digits (at most 17, or an integer of at most 40 digits) (R12.5)"),
        ("1" * 1_001, "line 1, column 1: a number written with more than 1,000 characters (R12.5)"),
        (b"1\n2\n \xff", "line 3, column 2: invalid UTF-8: byte 0xff (R12.1)"),
        (b"[\n\n1,\n2 3]", "line 4, column 3: expected `,` or `]`, found `3` (R12.1)"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_refusal_says_what_is_wrong_and_where(text, said):
    refusal = refusal_of(text)
    assert str(refusal).endswith(said)
    assert type(refusal.cause) is str
    assert str(refusal_of(text, what="claims")).startswith("claims: line ")


@pytest.mark.parametrize(
    "text", [" \t\n\r1 \t\n\r", "[ 1 , 2 ]", '{ "a" : 1 , "b" : 2 }', "[ ]", "{ }", '{"a":[ ],"b":{ }}']
)
def test_white_space_may_stand_everywhere(text):
    assert scanning.scan(text, max_depth=64) == parse(text)


def test_the_scanner_reads_the_three_words():
    assert scanning.scan("[true,false,null]", max_depth=1) == [True, False, None]


# Causes and places of values


def refusal_of_value(value, **settings):
    with pytest.raises(MalformedInputError) as refusal:
        encode(value, **settings)
    return refusal.value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([0, float("nan")], "at `/1`: `nan` is no JSON number (R12.7)"),
        ({"a": {"b": (1,)}}, "at `/a/b`: a Python builtins.tuple is no JSON value (R12.7)"),
        ({"a": {1: 2}}, "at `/a/1`: a member name of the Python type int (R12.7)"),
        ({"a": {"\ud800": 2}}, "at `\"/a/'\\\\ud800'\"`: a string with an unpaired surrogate (R12.3)"),
        ({"a": {"x\ud800": 2}}, "at `\"/a/'x\\\\ud800'\"`: a string with an unpaired surrogate (R12.3)"),
        ({"a/b": ["x\udfff"]}, "at `/a~1b/0`: a string with an unpaired surrogate (R12.3)"),
        ([float("inf"), 1], "at `/0`: `inf` is no JSON number (R12.7)"),
        ([Decimal("1e309")], "at `/0`: a number of a magnitude above 1.8e308 (R12.5)"),
        ([1 << 1_025], "at `/0`: a number of a magnitude above 1.8e308 (R12.5)"),
        (
            [1 << 1_024],
            "at `/0`: a number of 309 significant digits (at most 17, or an integer of at most 40 digits) (R12.5)",
        ),
        (
            [Decimal("0." + "1" * 1_000)],
            "at `/0`: a number of 1000 significant digits (at most 17, or an integer of at most 40 digits) (R12.5)",
        ),
        ([Decimal("0." + "1" * 1_001)], "at `/0`: a number written with more than 1,000 characters (R12.5)"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_value_is_refused_with_its_cause_and_its_pointer(value, said):
    refusal = refusal_of_value(value)
    assert str(refusal) == said
    assert type(refusal.cause) is str


def test_a_value_too_deep_too_long_or_too_large_says_so():
    value = 1
    for _ in range(65):
        value = [value]
    assert refusal_of_value(value).cause == "nested more than 64 deep"
    assert refusal_of_value("x" * 100, max_bytes=50).cause == "longer than 50 bytes in canonical text"
    assert refusal_of_value("\u00e9" * 40, max_bytes=50).cause == "longer than 50 bytes in canonical text"
    assert refusal_of_value(["xyz"], max_bytes=3).pointer == ""  # it is only with its quotes that it is too long
    assert refusal_of_value(["xyz"], max_bytes=2).pointer == "/0"
    assert refusal_of_value([0] * 1_000_000, max_bytes=1 << 30).cause == "more than 1,000,000 values"
    cycle = []
    cycle.append(cycle)
    assert refusal_of_value(cycle).cause == "a value that contains itself"


def test_what_is_too_long_before_it_is_too_deep_is_too_long_though_it_contains_itself():
    cycle = ["a" * 100]
    cycle.append(cycle)
    assert refusal_of_value(cycle, max_bytes=300).rule == "R12.6"


def test_what_is_too_deep_without_containing_itself_is_too_deep():
    value = {"a": 1}
    for _ in range(64):
        value = {"a": value, "b": [1]}
    assert refusal_of_value(value).rule == "R12.4"


def test_names_count_as_characters_and_members_as_values():
    assert refusal_of_value({"x" * 100: 1}, max_bytes=50).rule == "R12.6"
    assert len(encode({"x": 1}, max_bytes=7)) == 7
    assert refusal_of_value({str(number): 0 for number in range(1_000_000)}, max_bytes=1 << 30).rule == "R12.7"


def test_answers_of_yes_and_no_are_nothing_else():
    assert scanning._Scanner("a", 1).taken("b") is False
    assert encoding._is_cycle([1], ["0"]) is False


# Pointers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {"a/b": {"m~n": [1], "": 0, "~1": 2}}),
        ("/a~1b", {"m~n": [1], "": 0, "~1": 2}),
        ("/a~1b/m~0n", [1]),
        ("/a~1b/", 0),
        ("/a~1b/~01", 2),
        ("/a~1b/m~0n/0", ABSENT),
        ("/a/b", ABSENT),
        ("/x/y", ABSENT),
    ],
)
def test_a_pointer_finds_what_it_names_inside_objects(text, value):
    assert resolve({"a/b": {"m~n": [1], "": 0, "~1": 2}}, text) == value
