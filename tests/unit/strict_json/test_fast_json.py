"""The fast ways of strict JSON: each gives what the encoder proper or the reader gives, or nothing."""

from __future__ import annotations

import importlib
import math
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from json_lookalikes import DictSubclass, FloatSubclass, ListSubclass, NumberEnum, TextEnum

from bridge.errors import MalformedInputError
from bridge.strict_json import encode, encode_memoized, parse, parse_canonical

# The package has functions of these names.
encoding = importlib.import_module("bridge.strict_json.encode")
plain_text = encoding._plain_text


ODD = (
    *(
        True,
        False,
        None,
        0,
        1,
        -1,
        1.0,
        -0.0,
        0.5,
        1.5,
        Decimal("1.5"),
        Decimal(1),
        "1",
        "a",
        "",
        "\ud800",
        "é",
        "\x00",
    ),
    *(
        10**15 - 1,
        10**15,
        -(10**15),
        10**40 - 1,
        10**40,
        10**50,
        0.0001,
        0.00009999,
        1e15,
        1e-7,
        1e16,
        1e22,
        1e300,
        5e-324,
    ),
    *(math.nan, math.inf, -math.inf, (), (1,), b"a", bytearray(b"a"), {1}, frozenset(), 1j, ..., object),
    *(NumberEnum.ONE, TextEnum.A, DictSubclass(a=1), ListSubclass([1]), FloatSubclass(1.5)),
)
NAMES = st.sampled_from(("a", "b", "é", "\ud800", "", 1, True, None, TextEnum.A, 1.5, (), b"a"))
VALUES = st.recursive(
    st.sampled_from(ODD) | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=2), inner, max_size=4),
    max_leaves=10,
)


def proper(value, max_bytes=1_048_576):
    """What the encoder proper says, whatever fast ways there are."""
    try:
        text = encoding._Encoder(max_bytes).text(value, 0).encode()
    except encoding._UnencodableError as error:
        return error.rule
    return text if len(text) <= max_bytes else "R12.6"


def said(encoder, value, **settings):
    try:
        return encoder(value, **settings)
    except MalformedInputError as error:
        return str(error)


# Plain values


@given(VALUES)
def test_a_plain_text_is_that_of_the_encoder_proper(value):
    assert plain_text(value) in (None, proper(value))
    assert plain_text({"a": value}) in (None, proper({"a": value}))


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(0.0001)
@example(math.nextafter(1e15, 0))
@example(0.1 + 0.2)
@example(123456789012345.67)
def test_every_plain_float_is_written_as_by_the_encoder_proper(value):
    assert plain_text({"a": value}) in (None, proper({"a": value}))


@pytest.mark.parametrize(
    "value",
    [
        "a",
        "",
        'é"\\\n\x00\x7f\u2028\U00020000',
        {},
        {"a": "b", "é": "\U00020000", "": ""},
        {"a": [1, -1, 0, True, False, None, 1.5, -0.25, {"b": [[], {}]}]},
        {"a": 10**15 - 1, "b": 1 - 10**15, "c": 0.0001, "d": -0.0001, "e": 123456789012345.67},
        {"a": [[]] * 62},
        {"a": [0] * 60_000},
        {"a": "x" * 65_534},
        {"a" * 65_535: 0},
        {"a": ["x" * 32_000, "y" * 32_000]},
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_plain_values_take_the_fast_way(value):
    assert plain_text(value) == proper(value)


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 1, 1.5, [], ["a"], (), b"", TextEnum.A, DictSubclass(a=1), Decimal(1)),
        *("\ud800", {"a": "\udfff"}, {"\ud800": 1}, {"a": ["\ud800"]}),
        *({1: 1}, {None: 1}, {True: 1}, {1.5: 1}, {(): 1}, {TextEnum.A: 1}, {"a": {TextEnum.A: 1}}),
        *(
            {"a": odd}
            for odd in (
                10**15,
                -(10**15),
                10**16,
                -(10**16),
                0.0,
                1.0,
                -1.0,
                0.00009999,
                -0.00009999,
                1e15 + 0.5,
                1e16,
                Decimal(1),
            )
        ),
        *(
            {"a": odd}
            for odd in (math.nan, math.inf, -math.inf, (), {1}, b"a", NumberEnum.ONE, TextEnum.A, FloatSubclass(1.5))
        ),
        *({"a": odd} for odd in (DictSubclass(), ListSubclass())),
        {"a": [[]] * 63},
        {"a": [0] * 65_536},
        {"a": "x" * 65_535},
        {"a" * 65_536: 0},
        {"a": ["x" * 32_768, "y" * 32_766]},
        {"a": {"b" * 40_000: 0, "c" * 30_000: 0}},
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_what_is_not_plain_beyond_doubt_is_left_to_the_encoder_proper(value):
    assert plain_text(value) is None
    assert type(value) is not dict or type(encoding._is_plain(value)) is bool


def test_what_contains_itself_or_spells_too_much_is_not_plain():
    cycle = {"a": []}
    cycle["a"].append(cycle)
    many = {"a": "x" * 1000}
    for _ in range(40):
        many = {"a": many, "b": many}
    assert plain_text(cycle) is None
    assert plain_text(many) is None


def test_without_the_encoder_in_c_no_object_is_plain(monkeypatch):
    monkeypatch.setattr(encoding, "_C_ENCODER", None)
    assert plain_text({"a": 1}) is None
    assert encode({"a": 1}) == b'{"a":1}'


@pytest.mark.parametrize("value", ["aé", {"a": "é"}])
def test_a_plain_value_needs_no_encoder_proper(monkeypatch, value):
    text = encode(value)
    monkeypatch.setattr(encoding, "_Encoder", None)
    assert encode(value) == encode(value, max_bytes=len(text)) == text


@pytest.mark.parametrize("value", ["aé", {"a": "é"}])
def test_a_plain_text_may_be_as_long_as_any(value):
    text = encode(value)
    assert encode(value, max_bytes=len(text)) == text
    with pytest.raises(MalformedInputError, match=r"R12\.6"):
        encode(value, max_bytes=len(text) - 1)


# Repeated values


@given(VALUES)
def test_a_repeated_value_is_encoded_as_by_encode(value):
    for _ in range(3):
        assert said(encode_memoized, value, what="claims") == said(encode, value, what="claims")


@pytest.mark.parametrize(
    "values", [(True, 1, 1.0), (False, 0, -0.0), (1, True), ("a", TextEnum.A), ([], ()), ({}, DictSubclass())]
)
def test_what_python_takes_for_equal_is_not_the_same_claims(values):
    for _ in range(4):
        for value in values:
            claims = {"policy": [value]}
            assert said(encode_memoized, claims) == said(encode, claims)


def test_claims_that_were_changed_are_other_claims():
    claims = {"policy": {"version": 2, "devices": {"custom_data": {"a": 1}}}}
    for value in (1, True, 2, 1.5, "1", None, [1], {"a": 1}) * 3:
        claims["policy"]["devices"]["custom_data"]["a"] = value
        assert encode_memoized(claims) == encode(claims)


def test_a_value_that_changes_while_it_is_looked_up_poisons_nothing(monkeypatch):
    claims = {"policy": {"version": 2, "sessions": {}, "changed": 1}}
    wanted, dumps = encode(claims), encoding.marshal.dumps

    def dumps_and_changes(value):
        key = dumps(value)
        claims["policy"]["version"] = 3
        return key

    encode_memoized(claims)
    with monkeypatch.context() as patched:
        patched.setattr(encoding.marshal, "dumps", dumps_and_changes)
        assert encode_memoized(claims) == wanted
    claims["policy"]["version"] = 2
    assert encode_memoized(claims) == wanted


@pytest.fixture
def encoded(monkeypatch):
    """What is encoded of repeated values, which nothing is remembered of."""
    values = []
    monkeypatch.setattr(encoding, "encode", lambda value, **settings: values.append(value) or encode(value, **settings))
    monkeypatch.setattr(encoding, "_texts", encoding.Memo(encoding._text))
    return values


def test_values_that_come_again_are_remembered_from_the_second_time_on(encoded):
    small, large = {"a": "x" * 4_000}, {"a": "x" * 4_096}
    for _ in range(4):
        encode_memoized(small)
    assert encoded == [small] * 2
    for _ in range(4):
        encode_memoized(large)
    assert encoded == [small] * 2 + [large] * 4


def test_repeated_values_are_remembered_for_all():
    claims = {"sub": "comes again"}
    assert encode_memoized(claims) == encode_memoized(claims) == encode_memoized(claims)
    assert encoding._texts(encoding.marshal.dumps(claims)) is encode_memoized(claims)


def test_nothing_is_remembered_where_marshal_is_another_one(encoded, monkeypatch):
    monkeypatch.setattr(encoding, "_IS_EXACT", False)
    monkeypatch.setattr(encoding.marshal, "dumps", None)
    for _ in range(4):
        assert encode_memoized({"a": 1}) == b'{"a":1}'
    assert encoded == [{"a": 1}] * 4


def test_what_is_refused_is_refused_each_time(encoded):
    for _ in range(4):
        with pytest.raises(MalformedInputError) as refused:
            encode_memoized({"a": [0, {1}]}, what="claims")
        assert (refused.value.pointer, refused.value.what) == ("/a/1", "claims")
    assert encoded


@pytest.fixture
def calls():
    return []


@pytest.fixture
def function(calls):
    return encoding.Memo(lambda key: calls.append(key) or key.upper())


def test_a_function_is_asked_once_for_what_comes_again(function, calls):
    # Hashes differ from run to run, and of two texts of one place each pushes out that the other has come.
    places = {hash(key) % encoding._MAX_ENTRIES: key for key in (b"a", b"b", b"c", b"d", b"e", b"f")}
    one, other, *_ = places.values()
    assert [function(one), function(other)] == [None, None]
    assert [function(one), function(one), function(other), function(one)] == [
        *(one.upper(), one.upper(), other.upper(), one.upper()),
    ]
    assert calls == [one, other]


def test_the_longest_that_is_remembered(function, calls):
    longest = b"a" * 4_096
    assert [function(longest), function(longest), function(longest)] == [None, longest.upper(), longest.upper()]
    assert [function(longest + b"a") for _ in range(3)] == [None] * 3
    assert calls == [longest]


def test_a_function_that_raises_is_asked_again():
    function = encoding.Memo(int)
    assert function(b"x") is None
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid"):
            function(b"x")


def test_some_hundreds_are_remembered_and_then_it_begins_anew(function):
    keys = [b"%d" % number for number in range(2_000)]
    sizes = []
    for key in keys:
        assert function(key) in (None, key)
        assert function(key) == key
        sizes.append(len(function._results))
    assert sizes[:258] == [*range(1, 257), 1, 2]
    assert max(sizes) == 256
    assert len(function._seen) == 256


def test_what_comes_between_may_push_out_that_it_has_come(function):
    for _ in range(3):
        for number in range(5_000):
            function(b"%d" % number)
    assert len(function._results) <= 256


def test_what_is_remembered_is_still_bounded_in_bytes(encoded):
    text = [encode_memoized({"a": "b"}) for _ in range(3)][2]
    assert len(encoded) == 2
    assert encode_memoized({"a": "b"}, max_bytes=len(text)) == text
    assert len(encoded) == 2
    with pytest.raises(MalformedInputError, match=r"R12\.6"):
        encode_memoized({"a": "b"}, max_bytes=len(text) - 1)


# Canonical texts


@given(VALUES)
@example(10**50)
@example(Decimal("1e-300"))
@example([0.1, 1e22, 1e16, -5e-324, 10**40 - 1])
def test_a_canonical_text_is_read_as_by_parse(value):
    try:
        text = encode(value)
    except MalformedInputError:
        return
    assert typed(parse_canonical(text)) == typed(parse(text))


def typed(value):
    """A value with the types of its parts, and its members in order."""
    if isinstance(value, list):
        return list(map(typed, value))
    if isinstance(value, dict):
        return [(name, typed(item)) for name, item in value.items()]
    return type(value), value
