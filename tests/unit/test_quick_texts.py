"""What is done in less time gives what the plain way gives."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.resources import layout
from bridge.strict_json import encode, parse, sorted_text, string_text

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
def test_sorted_text_is_canonical_and_the_same_without_pythons_pieces(value):
    text = sorted_text(value)
    assert parse(text) == value
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sys.modules["bridge.strict_json.encode"], "_PIECES", None
        )  # the package has a function of that name
        assert sorted_text(value) == text


@given(st.lists(STRINGS, unique=True))
def test_ids_are_in_the_order_of_code_points(strings):
    ids = [encode(value) for value in strings]
    assert [parse(id_) for id_ in sorted(ids, key=layout.order_of(ids))] == sorted(strings)


def test_ids_without_escapes_are_sorted_without_reading_them():
    assert layout.order_of([b'"a"', b'"b"']) is not layout.raw
    assert layout.order_of([b'"a"', b'"\\""']) is layout.raw
