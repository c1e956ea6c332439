"""A shard's text is compared with what it should be, and read where it is another."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import InvalidResponseError
from bridge.store.opa_compare import differing_buckets

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4) | st.text('{}[],:"\\', max_size=6)
BUCKETS = st.dictionaries(st.sampled_from(["b00", "b01", "b7f", "bff"]), st.dictionaries(WORDS, WORDS, max_size=3))


def text(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


@given(there=BUCKETS, wanted=BUCKETS, escapes=st.booleans())
def test_what_is_told_to_differ_is_what_differs(there, wanted, escapes):
    whole = json.dumps(there, ensure_ascii=escapes, separators=(",", ":"), sort_keys=True)
    differing = differing_buckets(whole, {name: text(bucket) for name, bucket in wanted.items()})
    for name in there.keys() | wanted.keys():
        if name in differing:
            assert differing[name] == there.get(name, {})
            assert escapes or differing[name] != wanted.get(name) or name not in there
        else:
            assert there[name] == wanted[name]
    assert differing.keys() <= there.keys() | wanted.keys()


def test_what_has_the_text_is_not_read():
    assert differing_buckets('{"b00":{broken},"b01":{"a":1}}', {"b00": "{broken}"}) == {"b01": {"a": 1}}


def test_a_resource_may_nest_as_deep_as_it_may_and_no_deeper():
    deep = "[" * 63 + "]" * 63
    assert differing_buckets(f'{{"b00":{{"a":{{"x":{deep}}}}}}}', {})["b00"].keys() == {"a"}
    with pytest.raises(InvalidResponseError):
        differing_buckets(f'{{"b00":{{"a":{{"x":[{deep}]}}}}}}', {})


@pytest.mark.parametrize(
    "broken",
    [
        *("", "{", "}", "[]", "null", "1", '"b00"', "{} ", "{}{}", " {}", '{"b00"}', '{"b00":}', '{"b00":{}', "{,}"),
        *('{"b00":{},}', '{"b00":{}"b01":{}}', '{"b00":[]}', '{"b00":1}', '{"b00":null}', "{1:{}}", "{[]:{}}"),
        *('["b00":{}}', '~"b00":{}}', '{"b00"!{}}', '{"b00"={}}', '{"b00":{}]', '{"b00":{}~'),
        *('{"b00":{"a":1,"a":2}}', '{"b00":{"a":NaN}}', '{"b00":{"a":1}}x', '{"b00" :{}}', '{"b00":' + "[" * 100_000),
    ],
)
def test_what_is_no_object_of_objects_is_refused(broken):
    with pytest.raises(InvalidResponseError, match="not an object of objects"):
        differing_buckets(broken, {"b7f": "{}"})


def test_a_bucket_that_goes_on_behind_its_text_is_refused():
    with pytest.raises(InvalidResponseError):
        differing_buckets('{"b00":{}x}', {"b00": "{}"})
