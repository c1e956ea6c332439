"""What is asked together: only what shares claims or token, and type, so that nobody gets another's answer."""

from __future__ import annotations

import pytest

from bridge.decision import Request
from bridge.engines.codec import explaining_input, input_for
from bridge.strict_json import parse

RESOURCE = b'{"id":"a"}'
FIRST = Request(b'{"b":1}', b'"m"', RESOURCE)
RAW = Request(None, b'"m"', RESOURCE, token=b'"m"')


def each(*requests):
    return {"numbered": True, "requests": [parse(request.text) for request in requests]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *((FIRST, FIRST._replace(claims=claims)) for claims in (b'{"a":1}', b'{"c":1}', b"{}", None)),
        *((FIRST, FIRST._replace(type=type_)) for type_ in (b'"a"', b'"z"', None)),
        *((RAW, RAW._replace(token=token)) for token in (b'"a"', b'"z"', None)),
        (FIRST, RAW),
        (FIRST._replace(token=b'"a"'), FIRST._replace(token=b'"z"')),
        (FIRST, FIRST._replace(resource=None)),
        (FIRST, FIRST._replace(resource=None, id=b'"a"')),
        (FIRST._replace(id=b'"b"'), FIRST._replace(resource=None, id=b'"a"')),
        (FIRST._replace(resource=None), FIRST._replace(resource=None, id=b'"a"')),
    ],
)
def test_what_differs_is_asked_one_by_one(one, other):
    assert parse(input_for([one, other])) == each(one, other)
    assert parse(input_for([other, one])) == each(other, one)
    assert parse(input_for([one, one, other])) == each(one, one, other)


def test_an_id_beside_a_resource_is_not_looked_at():
    both = FIRST._replace(id=b'"b"')
    assert parse(input_for([both, FIRST])) == {
        "numbered": True,
        "claims": {"b": 1},
        "type": "m",
        "resources": [{"id": "a"}, {"id": "a"}],
    }


def test_what_has_neither_claims_nor_type_goes_together_too():
    nothing = Request(None, None, RESOURCE)
    assert input_for([nothing, nothing]) == b'{"numbered":true,"resources":[{"id":"a"},{"id":"a"}]}'


def test_an_explanation_names_what_is_stored_and_carries_the_rest_in_the_request():
    whole = Request(b"{}", b'"t"', RESOURCE, b'"a"', b'"x"')
    assert parse(explaining_input(whole)) == {"type": "t", "id": "a", "explain": True, "requests": [parse(whole.text)]}
    nothing = Request(None, None)
    assert explaining_input(nothing) == b'{"explain":true,"requests":[{}]}'
