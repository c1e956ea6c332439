"""Which texts the standard library's decoder reads, where it is sure to be right; the scanner reads the others."""

from __future__ import annotations

import importlib

import pytest

from bridge.errors import MalformedInputError
from bridge.strict_json import encode, parse

# The package has functions of these names.
decoding, numbers, scanning = (
    importlib.import_module(f"bridge.strict_json.{name}") for name in ("decode", "numbers", "scanner")
)

BRACKETS = "[" * 70


def nested(depth, inner="1"):
    return "[" * depth + inner + "]" * depth


def refusal_of(text, **settings):
    with pytest.raises(MalformedInputError) as refusal:
        parse(text, **settings)
    return refusal.value


@pytest.fixture
def looked_at(monkeypatch):
    """How many containers the depth was looked for in, each time."""
    counts = []
    is_within = decoding._is_within

    def counted(containers, depth):
        counts.append(len(containers))
        return is_within(containers, depth)

    monkeypatch.setattr(decoding, "_is_within", counted)
    return counts


@pytest.mark.parametrize(
    ("wide", "looks"), [(1, [1]), (4_096, [1]), (4_097, [1, 4_096, 1]), (8_193, [1, 4_096, 4_096, 1])]
)
def test_a_wide_level_is_looked_at_some_thousands_at_a_time(looked_at, wide, looks):
    value = [[number] for number in range(wide)]
    assert decoding._is_within([value], 2) is True
    assert looked_at == looks


@pytest.mark.parametrize("wide", [1, 4_096, 4_097, 8_193])
@pytest.mark.parametrize("inner", [[[1]], {"a": [1]}, [{"a": 1}, 1], {"a": 1, "b": {}}])
def test_the_depth_is_found_wherever_it_is(wide, inner):
    for place in {0, wide - 1, wide // 2}:
        value = [[1] for _ in range(wide)]
        assert decoding._is_within([value], 2) is True
        assert decoding._is_within([value], 1) is False
        value[place] = inner
        assert decoding._is_within([value], 3) is True
        assert decoding._is_within([value], 2) is False


@pytest.fixture
def scanned(monkeypatch):
    """The texts that the scanner was asked for."""
    texts = []

    def scan(text, *, max_depth):
        texts.append(text)
        return scanning.scan(text, max_depth=max_depth)

    monkeypatch.setattr(decoding, "scan", scan)
    return texts


@pytest.mark.parametrize(
    ("text", "max_depth"),
    [
        ('{"a":[1,2.5,-3e-7,null,true,"x"],"b":{}}', 64),
        ('"\u00e9 \u4e2d \U0001f600"', 64),
        ('"\\u8a9e\\u9a9e"', 64),
        ('"\\\\ud@"', 64),
        (nested(64), 64),
        (f'["{BRACKETS}"]', 64),
        (f'{{"{BRACKETS}":{nested(62)}}}', 64),
        (f'["{BRACKETS}",{nested(63)}]', 64),
        ("[" + ",".join(["[]"] * 70) + "]", 64),
        ("[" + ",".join(['{"a":{}}'] * 70) + "]", 64),
        (f'"{BRACKETS}"', 0),
        ("1", 0),
    ],
)
def test_what_the_decoder_can_be_trusted_with_is_not_scanned(scanned, text, max_depth):
    assert parse(text, max_depth=max_depth) == scanning.scan(text, max_depth=max_depth)
    assert scanned == []


@pytest.mark.parametrize("text", ['"\\ud83d\\ude00"', '"\\uD83D\\uDE00"', '["\\\\ud83d"]'])
def test_escaped_surrogates_are_scanned(scanned, text):
    parse(text)
    assert scanned == [text]


@pytest.mark.parametrize(
    "text",
    [
        *('"\ud800"', '"\ue000\ud800"', nested(65), '{"a":1,"a":1}', "[1,]", "1e999"),
        *(f'"\\ud{digit}ff"' for digit in "89abcdefABCDEF"),
        *('"\\uD8FF"', '"\\uDFFF"'),
    ],
)
def test_what_the_decoder_refuses_or_overlooks_is_scanned(scanned, text):
    refusal_of(text)
    assert scanned == [text]


@pytest.mark.parametrize("text", ["0", "-12", "[1,2]", "9" * 40, "-" + "9" * 39])
def test_an_ordinary_integer_is_not_taken_apart(monkeypatch, text):
    expected = parse(text)
    monkeypatch.setattr(numbers, "read", None)
    assert parse(text) == expected


@pytest.mark.parametrize("value", [0, 7, -7, 10**15 - 1, 1 - 10**15])
def test_an_ordinary_integer_is_its_own_canonical_text(monkeypatch, value):
    monkeypatch.setattr(numbers, "write", None)
    assert encode(value) == str(value).encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (10**15, "1" + "0" * 15),
        (-(10**15), "-1" + "0" * 15),
        (10**50, "10e49"),
        (-(10**50), "-10e49"),
        (-(10**41), "-1e41"),
    ],
)
def test_a_long_integer_is_written_by_the_rules(monkeypatch, value, text):
    written = []
    write = numbers.write
    monkeypatch.setattr(numbers, "write", lambda number: written.append(number) or write(number))
    assert encode(value).decode() == text
    assert len(written) == 1
