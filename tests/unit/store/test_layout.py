"""Where resources lie: names of postings and places, digests, pages and their directory."""

from __future__ import annotations

import json
from decimal import Decimal
from hashlib import md5, sha256

import pytest
from conformance import tally
from conformance.strategies import NAMES, near, values
from hypothesis import given, reject, seed, settings
from hypothesis import strategies as st

from bridge.errors import MalformedInputError
from bridge.reference import equal
from bridge.store import layout
from bridge.strict_json import encode, parse, sorted_text

ESCAPED = st.text(st.sampled_from('\\ubfn0cCe82<>&"/\b\f\n\x00\x7f\u2028\u2029\x85\U00020000'), max_size=9)
"""Strings that are escaped when they are written, that look as if they were, or both."""

NORMAL = {
    "\\\\": "\\\\",
    "\\u003c": "<",
    "\\u003e": ">",
    "\\u0026": "&",
    "\\u2028": "\u2028",
    "\\u2029": "\u2029",
    "\\u0008": "\\b",
    "\\u000c": "\\f",
}
"""What some versions of OPA write, and what stands for it in the text of a posting."""

ESCAPES = [escape + rest for escape in NORMAL for rest in ("", "b", "\\")]
VALUES = st.one_of(ESCAPED, st.sampled_from(ESCAPES), st.composite(values)())


def texts(*ids):
    return [encode(id_) for id_ in ids]


@st.composite
def pairs(draw):
    """Two members of `custom_data` that are the same, or nearly so."""
    name, value = draw(NAMES | ESCAPED), draw(VALUES)
    other_name = draw(st.sampled_from((name, name, name, name + "\\", "\\" + name)))
    other = near(draw, value) if draw(st.booleans()) else draw(VALUES | st.just(value))
    try:
        return name, parse(encode(value)), other_name, parse(encode(other))
    except MalformedInputError:
        reject()


@seed(tally.seed())
@settings(max_examples=1_500, database=None, deadline=None)
@given(pairs())
def test_postings_are_the_same_for_equal_values_and_for_no_others(pair):
    """Both ways: what the bridge makes of one member must not be what it makes of another."""
    name, value, other_name, other = pair
    same = name == other_name and equal(value, other)
    assert (layout.posting_text(name, value) == layout.posting_text(other_name, other)) == same


@seed(tally.seed())
@settings(max_examples=500, database=None, deadline=None)
@given(NAMES | ESCAPED, VALUES)
def test_the_text_of_a_posting_is_the_canonical_text_of_its_name_and_value(name, value):
    try:
        member = parse(encode([name, value]))
    except MalformedInputError:
        reject()
    assert layout.posting_text(*member).encode() == sorted_text(member)


@pytest.mark.parametrize("escape", NORMAL)
def test_a_string_that_spells_an_escape_is_not_what_it_stands_for(escape):
    meant = json.loads(f'"{escape}"')
    spelled = [meant, escape, "\\" + meant, NORMAL[escape], "\\" + escape, "\\\\" + meant]
    posting_texts = {layout.posting_text("n", text) for text in spelled}
    assert len(posting_texts) == len(set(spelled))
    assert {layout.posting_text(text, "n") for text in spelled}.isdisjoint(posting_texts)


def test_posting_texts_of_values():
    custom_data = {
        "<&>\u2028": 'a"b',
        "number": Decimal("1.5"),
        "large": 10**39,
        "yes": True,
        "no": False,
        "null": None,
        "deep": {"b": [1, {"z": "<", "a": "\b\f\x01"}], "a": {}},
    }
    assert layout.posting_texts(custom_data) == [
        '["<&>\u2028","a\\"b"]',
        '["number",1.5]',
        '["large",1000000000000000000000000000000000000000]',
        '["yes",true]',
        '["no",false]',
        '["null",null]',
        '["deep",{"a":{},"b":[1,{"a":"\\b\\f\\u0001","z":"<"}]}]',
    ]
    assert layout.posting_texts({}) == []


def test_the_name_of_a_posting_is_the_one_in_the_tests_of_the_rules():
    assert layout.posting_name(layout.posting_text("user_id", "user1")) == (
        "s2f",
        "p2f5e16dd4f39212e6e4a324be8a34cb58ce86b01",
    )
    assert layout.posting_name(layout.posting_text("<>&", "\u2028\u2029\b\f")) == (
        "s55",
        "p5536cdce168975db8b437f14662443f1636ca353",
    )


@pytest.mark.parametrize(
    "id_", ["a", "é", "e\u0301", "\U0001f600", '"', "\\", "\\u0061", "\n", "\x00", "\x7f", "\uffff"]
)
def test_place_and_order_are_those_of_the_id_itself(id_):
    assert layout.raw(encode(id_)) == id_.encode()
    digest = md5(id_.encode(), usedforsecurity=False).hexdigest()
    assert layout.place(encode(id_)) == (f"s{digest[:2]}", f"b{digest[2:4]}")


def test_where_no_md5_may_be_used_for_security_resources_have_their_places_all_the_same(monkeypatch):
    """As an OpenSSL that keeps to FIPS 140 has it."""

    def kept_to_fips(text, *, usedforsecurity=True):
        if usedforsecurity:
            raise ValueError("disabled for FIPS")
        return md5(text, usedforsecurity=False)

    monkeypatch.setattr(layout, "md5", kept_to_fips)
    assert layout.place(b'"a"') == ("s0c", "bc1")


@seed(tally.seed())
@settings(max_examples=200, database=None)
@given(st.lists(ESCAPED | st.text(max_size=3), min_size=2))
def test_ids_are_sorted_by_code_points(ids):
    assert [parse(text) for text in sorted(map(encode, ids), key=layout.raw)] == sorted(ids)


def test_a_digest_can_be_changed_by_parts():
    one, two, three = map(layout.resource_digest, (b"1", b"2", b"3"))
    assert one == int(sha256(b"1").hexdigest(), 16)
    assert layout.digest_text(one + two + three - two) == layout.digest_text(one + three)
    assert layout.digest_text(one) == sha256(b"1").hexdigest()
    assert layout.digest_text(0) == layout.digest_text(one - one) == "0" * 64
    assert layout.digest_text(-1) == "f" * 64
    assert len({layout.digest_text(total) for total in (one, two, one + two, one + three)}) == 4


@pytest.mark.parametrize(
    ("page", "count", "sizes"),
    [
        *((4, 0, [0]), (4, 1, [1]), (4, 4, [4]), (4, 5, [4, 1]), (4, 8, [4, 4]), (4, 9, [4, 4, 1])),
        *((1, 0, [0]), (1, 1, [1]), (1, 2, [1, 1])),
    ],
)
def test_pages_of_any_size(monkeypatch, page, count, sizes):
    monkeypatch.setattr(layout, "PAGE", page)
    ids = [b"%d" % number for number in range(count)]
    pages = list(layout.pages_of(ids))
    assert list(map(len, pages)) == sizes
    assert [id_ for page in pages for id_ in page] == ids


def test_a_page_has_256_ids_as_it_is_pushed():
    assert [len(page) for page in layout.pages_of([b"7"] * 600)] == [256, 256, 88]


@pytest.mark.parametrize("pages", [1, 2, 31, 32, 33, 64, 65, 1_100])
def test_the_directory_has_a_top_for_each_block_of_pages(pages):
    tops, firsts = (json.loads(text) for text in layout.directory(texts(*(f"k{n:04}" for n in range(1, pages)))))
    assert [first for block in firsts for first in block] == ["", *(f"k{n:04}" for n in range(1, pages))]
    assert [len(block) for block in firsts[:-1]] == [32] * (len(firsts) - 1)
    assert 1 <= len(firsts[-1]) <= 32
    assert tops == [block[0] for block in firsts]


@pytest.mark.parametrize("count", [0, 1, 4, 5, 4_096, 4_097, 4_200])
def test_a_large_posting_is_sent_with_its_first_pages(monkeypatch, count):
    monkeypatch.setattr(layout, "PAGE", 4)
    ids = [f"d{number:06}" for number in range(count)]
    document, *later = (json.loads(text) for text in layout.large(texts(*ids)))
    assert [id_ for page in document["pages"] + later for id_ in page] == ids
    assert len(document["pages"]) == min(document["length"], 1_024)
    assert document["length"] == len(document["pages"]) + len(later) == max(1, -(-count // 4))
    assert document["size"] == count
    assert [first for block in document["firsts"] for first in block] == ["", *ids[4::4]]


def test_an_empty_generation_has_all_that_parts_are_put_into():
    empty = json.loads(layout.empty_generation())
    assert empty.keys() == {"resources", "digests", "postings", "large"}
    for part in ("resources", "digests", "postings"):
        assert list(empty[part]) == list(layout.SHARDS)
    assert set(empty["digests"].values()) == {"0" * 64}
    assert empty["large"] == {"all": {"size": 0, "length": 1, "tops": [""], "firsts": [[""]], "pages": [[]]}}
    assert {layout.place(encode(str(n)))[0] for n in range(5_000)} == set(layout.SHARDS)


def test_a_document_has_any_texts_where_readers_look_for_them():
    """Two of one bucket, one of another bucket of their shard, and one of another shard."""
    document = layout.document(
        {b'"A"': b'{"id":"A"}', b'"\\""': b"[7]", b'"d54774"': b'{"id":"other"}', b'"d579"': b"null"}, revision="12"
    )
    everything = {"size": 4, "length": 1, "tops": [""], "firsts": [[""]], "pages": [['"', "A", "d54774", "d579"]]}
    assert json.loads(document) == {
        "state": {
            "layout": 1,
            "store": "none",
            "revisions": {"r12": True},
            "leases": {},
            "current": {"revision": "12", "generation": "g", "store": "none", "count": 4},
        },
        "generations": {
            "g": {
                "resources": {
                    "s7f": {"bc5": {"A": {"id": "A"}, "d54774": {"id": "other"}}, "b5f": {"d579": None}},
                    "sb1": {"b58": {'"': [7]}},
                },
                "large": {"all": everything},
            }
        },
    }


def test_a_document_is_of_the_first_revision_unless_another_is_told():
    assert layout.document({}) == layout.document({}, revision="1")
