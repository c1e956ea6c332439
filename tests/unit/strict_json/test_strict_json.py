"""JSON text <-> values, strictly (R12)."""

from __future__ import annotations

import json
import math
from collections import OrderedDict, UserString
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from json_lookalikes import DictSubclass, NumberEnum, TextEnum

from bridge.errors import MalformedInputError
from bridge.strict_json import ABSENT, MAX_DEPTH, encode, parse, pointer, resolve, scan_leniently
from bridge.strict_json.scanner import scan


def nested(depth, inner="1"):
    return "[" * depth + inner + "]" * depth


REFUSED = [
    ("", "R12.1", 1, 1),
    ("  ", "R12.1", 1, 3),
    ("NaN", "R12.1", 1, 1),
    ("[Infinity]", "R12.1", 1, 2),
    ("-Infinity", "R12.1", 1, 1),
    ("nul", "R12.1", 1, 1),
    ("nulls", "R12.1", 1, 1),
    ("True", "R12.1", 1, 1),
    ("[1,]", "R12.1", 1, 4),
    ('{"a":1,}', "R12.1", 1, 8),
    ("[1 2]", "R12.1", 1, 4),
    ("[1", "R12.1", 1, 3),
    ('{"a"', "R12.1", 1, 5),
    ('{"a":', "R12.1", 1, 6),
    ('{"a" 1}', "R12.1", 1, 6),
    ("{a:1}", "R12.1", 1, 2),
    ("{'a':1}", "R12.1", 1, 2),
    ("{1:1}", "R12.1", 1, 2),
    ('"abc', "R12.1", 1, 1),
    ('"\t"', "R12.1", 1, 2),
    ('"\x00"', "R12.1", 1, 2),
    ('"\\x"', "R12.1", 1, 2),
    ('"\\u12"', "R12.1", 1, 3),
    ('"\\u+123"', "R12.1", 1, 3),
    ("'a'", "R12.1", 1, 1),
    ("1 2", "R12.1", 1, 3),
    ("[1]]", "R12.1", 1, 4),
    ("// c\n1", "R12.1", 1, 1),
    ("[1 /* c */]", "R12.1", 1, 4),
    ("\ufeff1", "R12.1", 1, 1),
    ("01", "R12.1", 1, 2),
    ("1.", "R12.1", 1, 2),
    (".5", "R12.1", 1, 1),
    ("+1", "R12.1", 1, 1),
    ("-", "R12.1", 1, 1),
    ("1e", "R12.1", 1, 2),
    ("0x10", "R12.1", 1, 2),
    ("\u0661", "R12.1", 1, 1),
    ("1\u00a0", "R12.1", 1, 2),
    ("[\x0b1]", "R12.1", 1, 2),
    ('{"a":1,"a":1}', "R12.2", 1, 8),
    ('{"a":1,\n "b":{"c":1,"\\u0063":2}}', "R12.2", 2, 13),
    ('"\\ud800"', "R12.3", 1, 1),
    ('["\\udc00\\ud800"]', "R12.3", 1, 2),
    ('{"\\ud800x":1}', "R12.3", 1, 2),
    ('"\ud800"', "R12.3", 1, 1),
    (nested(65), "R12.4", 1, 65),
    ('{"a":' * 65 + "1" + "}" * 65, "R12.4", 1, 321),
    ('{"a": 1e999}', "R12.5", 1, 7),
    ("[1,\n" + "9" * 41 + "]", "R12.5", 2, 1),
]


@pytest.mark.parametrize(("text", "rule", "line", "column"), REFUSED, ids=[ascii(row[0])[:30] for row in REFUSED])
def test_a_text_is_refused_with_its_place(text, rule, line, column):
    with pytest.raises(MalformedInputError) as refused:
        parse(text, what="claims")
    error = refused.value
    assert (error.rule, error.line, error.column, error.what) == (rule, line, column, "claims")
    assert str(error).startswith(f"claims: line {line}, column {column}: ")


ACCEPTED = [
    ("null", None),
    (" \t\r\n[ 1 , 2 ] ", [1, 2]),
    ('{"a":{"a":1},"b":[{"a":2}]}', {"a": {"a": 1}, "b": [{"a": 2}]}),
    ('{"":0}', {"": 0}),
    ('"\\ud840\\udc00"', "\U00020000"),
    ('"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000"', '"\\/\b\f\n\r\t\x00'),
    ('"\x7f\u2028"', "\x7f\u2028"),
    ("[true,false]", [True, False]),
    ("1.50", Decimal("1.5")),
    ("1.0", 1),
    (nested(64, ""), None),
    (nested(63, "[],[]"), None),
    ("[" + ",".join(["[]"] * 200) + "]", [[]] * 200),
]


@pytest.mark.parametrize(("text", "value"), ACCEPTED, ids=[ascii(row[0])[:30] for row in ACCEPTED])
def test_a_text_is_read(text, value):
    parsed = parse(text)
    assert parsed == parse(text.encode())
    if value is not None:
        assert parsed == value
        assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [(b'"\xff"', 1, 2), (b'["\xc3\xa9",\n "\xed\xa0\x80"]', 2, 3), (b'"\xc0\x80"', 1, 2), (b"\xfe\xff\x001", 1, 1)],
)
def test_invalid_utf8_is_refused_with_its_place(data, line, column):
    with pytest.raises(MalformedInputError) as refused:
        parse(data)
    assert (refused.value.rule, refused.value.line, refused.value.column) == ("R12.1", line, column)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[1," * 100_000,
        nested(100_000),
        "1" * 1_000_000,
        "[" + "1" * 1_000_000 + "]",
        "1e" + "9" * 1_000_000,
        '"' + "\\" * 999_999,
        "[" + '"\\ud83d\\ude00",' * 100_000 + "x]",
        "[" + "[]," * 300_000 + "x",
        " " * 1_000_000,
    ],
    ids=lambda text: f"{text[:8]}x{len(text)}",
)
def test_a_huge_text_is_an_ordinary_refusal(text):
    for source_text in (text, text.encode()):
        with pytest.raises(MalformedInputError):
            parse(source_text)


@given(st.text(alphabet='[]{}",:\\u019dD8cC0.eE+-truefalsn \n\x00\ud800é', max_size=40))
@example('{"a":1,"a":2}')
@example('"\\ud83d\\ude00"')
@example("[[[[1]]]]")
def test_the_fast_way_and_the_scanner_agree(text):
    """The scanner is the definition: whatever the decoder lets pass, the scanner lets pass as the same value."""
    outcomes = []
    for reader in (parse, scan):
        try:
            outcomes.append(repr(reader(text, max_depth=3)))
        except MalformedInputError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40) + 1, 10**40 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=12,
)


@given(JSON)
def test_what_is_encoded_is_parsed_to_an_equal_value(value):
    text = encode(value)
    again = parse(text)
    assert encode(again) == text
    assert json.loads(text) == value or not _loses_nothing_in_json(value)


def _loses_nothing_in_json(value):
    if isinstance(value, float):
        return not value.is_integer() or math.fabs(value) < 2**53
    if isinstance(value, list):
        return all(map(_loses_nothing_in_json, value))
    return all(map(_loses_nothing_in_json, value.values())) if isinstance(value, dict) else True


@pytest.mark.parametrize(
    ("value", "rule", "place"),
    [
        ((1,), "R12.7", ""),
        ({1}, "R12.7", ""),
        (b"a", "R12.7", ""),
        (bytearray(b"a"), "R12.7", ""),
        (object(), "R12.7", ""),
        (ABSENT, "R12.7", ""),
        (1j, "R12.7", ""),
        (NumberEnum.ONE, "R12.7", ""),
        (TextEnum.A, "R12.7", ""),
        (DictSubclass(a=1), "R12.7", ""),
        (OrderedDict(a=1), "R12.7", ""),
        (UserString("a"), "R12.7", ""),
        ({"a": {"b": [0, {1: 2}]}}, "R12.7", "/a/b/1/1"),
        ({"a/b": {"~": ()}}, "R12.7", "/a~1b/~0"),
        ({True: 1}, "R12.7", "/True"),
        ({TextEnum.A: 1}, "R12.7", "/<TextEnum.A: 'a'>"),
        ({"a": "\ud800"}, "R12.3", "/a"),
        ({"\udfff": 1}, "R12.3", "/'\\udfff'"),
    ],
    ids=lambda value: ascii(value).split(" at 0x")[0][:30],
)
def test_a_python_value_is_refused_with_its_pointer(value, rule, place):
    with pytest.raises(MalformedInputError) as refused:
        encode(value, what="resource")
    assert (refused.value.rule, refused.value.pointer, refused.value.what) == (rule, place, "resource")


def test_depth_counts_containers_and_not_scalars():
    value = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    assert encode(value) == nested(64).encode()
    with pytest.raises(MalformedInputError, match=r"R12\.4"):
        encode({"a": value})


def test_cycles_and_shared_values_are_counted_as_written_out():
    cycle = [0, {"a": []}]
    cycle[1]["a"].append(cycle)
    for value in (cycle, {"b": cycle}, cycle[1]):
        with pytest.raises(MalformedInputError, match=r"contains itself \(R12\.7\)"):
            encode(value)
    shared = []
    for _ in range(70):
        shared = [shared]
    with pytest.raises(MalformedInputError, match=r"R12\.4"):
        encode([shared, shared])
    many = [0]
    for _ in range(40):
        many = [many, many]
    with pytest.raises(MalformedInputError, match=r"R12\.7"):
        encode(many)
    with pytest.raises(MalformedInputError, match=r"R12\.6"):
        encode([["a" * 1000] * 1000] * 1000)
    assert len(encode([0] * 999_999, max_bytes=1 << 30)) == 2 * 999_999 + 1
    with pytest.raises(MalformedInputError, match=r"R12\.7"):
        encode([0] * 1_000_000, max_bytes=1 << 30)


@pytest.mark.parametrize("character", ["a", "é", "\U00020000"])
def test_size_is_counted_in_bytes_of_canonical_text(character):
    size = len(character.encode())
    text = character * ((100 - 2) // size)
    exact = len(text.encode()) + 2
    assert len(encode(text, max_bytes=exact)) == exact
    with pytest.raises(MalformedInputError, match=r"R12\.6"):
        encode(text, max_bytes=exact - 1)


def test_strings_are_raw_utf8_with_only_what_must_be_escaped():
    assert encode('a"\\\n\x00\x7fé\u2028\U00020000') == b'"a\\"\\\\\\n\\u0000\x7f\xc3\xa9\xe2\x80\xa8\xf0\xa0\x80\x80"'


def test_members_keep_their_order_and_there_are_no_spaces():
    assert encode({"b": [1, {}], "a": None}) == b'{"b":[1,{}],"a":null}'


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"case":"x","a":1,"a":2}', {"case": "x", "a": None}),
        ('{"case":"x","n":1e999}', {"case": "x", "n": None}),
        ('{"case":"x","s":"\\ud800"}', {"case": "x", "s": "\ud800"}),
        (nested(256), ...),
        (nested(257), ABSENT),
        ("{", ABSENT),
        ('{"case":"x"} 1', ABSENT),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_a_refused_text_can_still_be_recognised(text, value):
    scanned = scan_leniently(text)
    assert (scanned is not ABSENT) if value is ... else scanned == value


@pytest.mark.parametrize(
    ("names", "text"), [((), ""), (("a",), "/a"), (("", "a/b", "m~n", "~1"), "//a~1b/m~0n/~01"), (("0",), "/0")]
)
def test_pointers(names, text):
    assert pointer(*names) == text
    value = 7
    for name in reversed(names):
        value = {name: value}
    assert resolve(value, text) == 7
    assert resolve(value, text + "/x") is ABSENT
    assert names == () or resolve({}, text) is ABSENT
