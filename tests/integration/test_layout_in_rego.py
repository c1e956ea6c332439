"""The rules find postings and resources where the bridge has put them: both make the same names of any value."""

from __future__ import annotations

import json

import pytest
from conformance import tally
from conformance.strategies import NAMES, values
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from bridge import OpaClient, OpaEngine
from bridge.rendering import RuleSet
from bridge.store import layout
from bridge.strict_json import encode, parse

RULES = RuleSet(package_root="test_layout", data_root="test_layout_data")
MODULE = """
package test_layout_asked

import data.test_layout.index
import data.test_layout.resource

postings := [index.posting(member[0], member[1]) | some member in input.members]

found := [resource.stored("devices", id).resource.id | some id in input.ids]
"""

ESCAPED = st.text(st.sampled_from('\\ubfn0cCe82<>&"/\b\f\n\x00\x7f\u2028\u2029\x85\U00020000'), max_size=9)
MEMBERS = st.tuples(NAMES | ESCAPED, ESCAPED | st.composite(values)())


@pytest.fixture(scope="module")
def opa(opa_url):
    client = OpaClient(opa_url, deadline=60)
    engine = OpaEngine(client, RULES)
    engine.install()
    client.put_policy("test_layout_asked.rego", MODULE)
    yield client
    client.delete_policy("test_layout_asked.rego")
    engine.uninstall()
    client.close()


def ask(opa, name, **members):
    body = b'{"input":%b}' % layout.named({key: layout.array(texts) for key, texts in members.items()})
    return opa.query(("test_layout_asked", name), body).result


def turned(value):
    """The same value with its members in the opposite order, at any depth."""
    if isinstance(value, dict):
        return {name: turned(item) for name, item in reversed(value.items())}
    return [turned(item) for item in value] if isinstance(value, list) else value


@seed(tally.seed())
@settings(max_examples=120, database=None, deadline=None)
@given(members=st.lists(MEMBERS, min_size=20, max_size=60))
def test_the_rules_name_a_posting_as_the_bridge_does(opa, members):
    postings = ask(opa, "postings", members=[encode([name, value]) for name, value in members])
    wanted = [layout.posting_name(layout.posting_text(name, turned(parse(encode(value))))) for name, value in members]
    assert [(one["shard"], one["name"]) for one in postings] == wanted


@pytest.mark.parametrize("start", range(0, 0x110000, 0x11000))
def test_every_character_is_named_alike(opa, start):
    """As a member's name and as its value, those of Unicode's planes and all that are escaped by somebody."""
    step = 1 if start == 0 else 97
    characters = [chr(point) for point in range(start, start + 0x11000, step) if not 0xD800 <= point <= 0xDFFF]
    groups = ["".join(characters[n : n + 40]) for n in range(0, len(characters), 40)]
    singles = [*characters[:0x80], "\u2028", "\u2029"]
    members = [(text, text) for text in groups + singles]
    postings = ask(opa, "postings", members=[encode(list(member)) for member in members])
    assert [(one["shard"], one["name"]) for one in postings] == [
        layout.posting_name(layout.posting_text(*member)) for member in members
    ]


@seed(tally.seed())
@settings(max_examples=30, database=None, deadline=None)
@given(ids=st.sets(ESCAPED | NAMES | st.text(max_size=5), min_size=1, max_size=60).map(lambda ids: sorted(ids - {""})))
def test_the_rules_look_for_a_resource_where_the_bridge_puts_it(opa, ids):
    document = layout.document({encode(id_): encode({"id": id_}) for id_ in ids})
    opa.put_data(("test_layout_data", "devices"), document)
    assert ask(opa, "found", ids=map(encode, ids)) == ids
    shards = json.loads(document)["generations"]["g"]["resources"]
    for id_ in ids:
        shard, bucket = layout.place(encode(id_))
        assert id_ in shards[shard][bucket]
