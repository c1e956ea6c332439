"""What is done in less time gives what the plain way gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import MalformedInputError
from bridge.store import layout
from bridge.strict_json import RESOURCE_BYTES, encode, parse, sorted_text, string_text

STRINGS = st.text(st.characters(exclude_categories=["Cs"])) | st.text('"\\ !#\x00\x1f\x7fa\u2028é\U0001f600')
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**39), 10**39) | STRINGS | st.sampled_from(["1.5", "2e50"]).map(parse),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=4),
    max_leaves=12,
)


@given(STRINGS)
def test_a_string_has_one_canonical_text(value):
    assert string_text(value) == encode(value)


@given(VALUES)
def test_sorted_text_is_canonical(value):
    text = sorted_text(value)
    assert parse(text) == value
    assert encode(parse(text)) == text


@pytest.mark.parametrize("number", ["1", "1.5"])  # Python's encoder writes the first alone
def test_sorted_text_has_the_names_of_every_object_in_order(number):
    value = parse(
        '{"é":[{"b":[],"a":{"d":null,"c":"\\u0001\\u2028"}},"z"],"Z":NUMBER,"\\"":true}'.replace("NUMBER", number)
    )
    text = '{"\\"":true,"Z":NUMBER,"é":[{"a":{"c":"\\u0001\u2028","d":null},"b":[]},"z"]}'.replace("NUMBER", number)
    assert sorted_text(value) == text.encode()


@pytest.mark.parametrize("number", ["1", "1.5"])
def test_sorted_text_has_no_limit_of_its_own(number):
    long = "a" * RESOURCE_BYTES
    assert sorted_text([long, parse(number)]) == f'["{long}",{number}]'.encode()


def test_sorted_text_is_for_what_parse_gives_alone():
    with pytest.raises(MalformedInputError, match=r"R12\.7"):
        sorted_text({"a": {1, 2}})


@given(st.lists(STRINGS, unique=True))
def test_ids_are_in_the_order_of_code_points(strings):
    ids = [encode(value) for value in strings]
    assert [parse(id_) for id_ in sorted(ids, key=layout.order_of(ids))] == sorted(strings)


def test_ids_without_escapes_are_not_read(monkeypatch):
    monkeypatch.setattr(layout, "json", None)
    assert layout.raw('"é"'.encode()) == "é".encode()


def test_strings_and_truth_values_are_in_the_text_of_a_posting_without_the_encoder(monkeypatch):
    monkeypatch.setattr(layout, "sorted_text", None)
    texts = layout.posting_texts({"é": '<"', "yes": True, "no": False})
    assert texts == ['["é","<\\""]', '["yes",true]', '["no",false]']


def test_ids_without_escapes_are_sorted_without_reading_them():
    ids = [b'"a !"', b'"a"', b'"a !#"', b'"a "']
    order = layout.order_of(ids)
    assert order is not layout.raw
    assert sorted(ids, key=order) == sorted(ids, key=layout.raw) == [b'"a"', b'"a "', b'"a !"', b'"a !#"']
    assert layout.order_of([b'"a"', b'"\\""']) is layout.raw
