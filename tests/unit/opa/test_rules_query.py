"""The body of a rules query: its input with a nonce, a new one for each attempt."""

from __future__ import annotations

import json

import pytest

from bridge.http.outcome import may_answer
from bridge.opa.queries import RulesQuery


@pytest.mark.parametrize("input_", [b"{}", b'{"claims":{}}', b'{"type":"\xc3\xa9","ids":["}",{}]}'])
def test_the_input_goes_out_with_a_nonce_beside_its_members(input_):
    body, nonce = RulesQuery(input_).fresh()
    assert body == b'{"input":{"nonce":"%b"%b}' % (
        nonce.encode(),
        b"}" if input_ == b"{}" else b"," + input_[1:],
    )
    assert json.loads(body) == {"input": {"nonce": nonce} | json.loads(input_)}


def test_each_attempt_has_another_nonce_of_128_bits():
    query = RulesQuery(b'{"claims":{}}')
    attempts = [query.fresh() for _ in range(1_000)]
    nonces = [nonce for _, nonce in attempts]
    assert len(set(nonces)) == 1_000
    assert {len(bytes.fromhex(nonce)) for nonce in nonces} == {16}
    assert {len(body) for body, _ in attempts} == {len(attempts[0][0])}
    assert all(any(nonce[place] != nonces[0][place] for nonce in nonces) for place in range(32))


def test_the_answer_may_be_any_where_no_nonce_went_out():
    assert may_answer(b"", None)
    assert may_answer(b'{"nonce":"ab"}', "ab")
    assert may_answer(b'{ "nonce" : "ab" }', "ab")
    for other in (b"", b"ab", b'{"nonce":"abc"}', b'{"nonce":"a"}', b'{"nonce":"AB"}'):
        assert not may_answer(other, "ab")
