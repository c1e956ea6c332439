"""Resources made ready to be stored."""

from __future__ import annotations

import pytest

from bridge.store.store import PreparedResources, custom_data_of, prepare

A = b'{"id":"a","custom_data":{"n":1,"m":{"z":1,"y":[]}}}'
SORTED_A = b'{"custom_data":{"m":{"y":[],"z":1},"n":1},"id":"a"}'
B = b'{"custom_data":{"n":1},"id":"b"}'


def test_resources_are_kept_in_sorted_text_and_by_posting():
    prepared = prepare({b'"a"': A, b'"b"': B, b'"c"': b'{"id":"c"}'})
    assert prepared == {b'"a"': SORTED_A, b'"b"': B, b'"c"': b'{"id":"c"}'}
    assert prepared.postings == {'["n",1]': [b'"a"', b'"b"'], '["m",{"y":[],"z":1}]': [b'"a"']}


def test_what_is_ready_is_given_back():
    prepared = prepare({b'"a"': A})
    assert prepare(prepared) is prepared
    assert prepared.without([]) is prepared


def test_without_some():
    prepared = prepare({b'"a"': A, b'"b"': B})
    fewer = prepared.without([b'"a"', b'"x"'])
    assert fewer == {b'"b"': B}
    assert fewer.postings == {'["n",1]': [b'"b"']}
    assert prepared.postings['["n",1]'] == [b'"a"', b'"b"']
    assert prepared.without(prepared.keys()) == PreparedResources()
    assert prepared.without(iter((b'"b"', b'"a"'))) == PreparedResources()


@pytest.mark.parametrize("value", [{}, {"custom_data": []}, {"custom_data": None}, {"custom_data": "x"}, [], None, "x"])
def test_what_has_no_custom_data_is_in_no_posting(value):
    assert custom_data_of(value) == {}
