"""What is said to an OPA with the rules installed, and what is believed of its replies; no OPA takes part."""

from __future__ import annotations

import pytest

from bridge import Decision, OpaEngine, RuleSet
from bridge.aio import AsyncOpaEngine
from bridge.decision import Reason, Request
from bridge.engines.base import PageRequest, PageResponse
from bridge.engines.protocol import RulesProtocol
from bridge.errors import (
    InvalidResponseError,
    MultipleStoresError,
    ResourcesMissingError,
    RulesMismatchError,
    RulesNotInstalledError,
    UnsupportedLayoutError,
)
from bridge.opa import QueryReply
from bridge.rendering import TokenChecks, fingerprint
from bridge.strict_json import ABSENT, parse

RULES = RuleSet(package_root="acme.rules")
OWN = fingerprint(RULES)
INLINE = Request(b"{}", b'"devices"', resource=b'{"id":"d1"}')
BY_ID = Request(b"{}", b'"devices"', id=b'"d1"')
LIST = PageRequest(b"{}", b'"devices"', 0, 2)
ALLOWED = {"allow": True, "reason": "unrestricted"}
UNKNOWN = {"allow": False, "reason": "unknown_resource"}


def current(store="s1"):
    return {"devices": {"revision": "7", "generation": "g", "store": store, "count": 1}}


def reply(*, nonce="n", decision_id=None, bundles=None, **members):
    result = {"fingerprint": OWN, "nonce": "n", "current": current()} | members
    return QueryReply(result, decision_id, "1.22.4", bundles or {}, nonce)


@pytest.fixture
def protocol():
    return RulesProtocol(RULES)


def body(question):
    return parse(question.fresh()[0])["input"]


def test_an_opa_is_asked_16_mib_at_once():
    for engine in (OpaEngine, AsyncOpaEngine):
        assert engine("http://127.0.0.1:9").batch_bytes == 16 * 1024 * 1024


def test_the_entrypoints_stand_below_the_package_root(protocol):
    assert protocol.path == ("acme", "rules", "answer")
    assert protocol.list_path == ("acme", "rules", "list")
    assert protocol.stored_view_path == ("acme", "rules", "stored_view")


def test_a_question_has_a_nonce_and_the_requests(protocol):
    question = body(protocol.question([INLINE]))
    assert len(question.pop("nonce")) == 32
    assert question == {"claims": {}, "type": "devices", "resource": {"id": "d1"}}
    explaining = body(protocol.explaining_question(BY_ID))
    assert explaining["explain"] is True
    assert explaining["requests"] == [{"claims": {}, "type": "devices", "id": "d1"}]


def test_rules_that_verify_tokens_are_asked_in_the_bridges_own_form():
    key = (
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
        "-----END PUBLIC KEY-----\n"
    )
    verifying = RulesProtocol(RuleSet(token=TokenChecks(key, algorithms=("EdDSA",))))
    assert "requests" in body(verifying.question([INLINE]))


def test_a_decision_is_read(protocol):
    got = protocol.decisions(reply(decisions=[ALLOWED, ALLOWED], decision_id="id", bundles={"b": "1"}), [INLINE, BY_ID])
    expected = {"engine": "opa", "decision_id": "id", "bundles": {"b": "1"}}
    assert got == [
        Decision(allow=True, reason=Reason.UNRESTRICTED, revision=revision, **expected) for revision in (None, "7")
    ]


def test_an_absent_result_is_absent_rules(protocol):
    nothing = QueryReply(ABSENT)
    for ask in (
        lambda: protocol.decisions(nothing, [INLINE]),
        lambda: protocol.explained(nothing, INLINE),
        lambda: protocol.pages(nothing, LIST),
        lambda: protocol.stored_view(nothing),
    ):
        with pytest.raises(RulesNotInstalledError, match=r"no rules at `data\.acme\.rules`"):
            ask()


LISTED = {"everything": True, "length": 1, "pages": [["d1"]]}
READINGS = {
    "decisions": lambda one, **more: one.decisions(reply(decisions=[ALLOWED], **more), [INLINE]),
    "explained": lambda one, **more: one.explained(reply(decisions=[ALLOWED], **more), INLINE),
    "piece": lambda one, **more: one.pages(reply(listed=LISTED, **more), LIST),
    "stored_view": lambda one, **more: one.stored_view(reply(view={}, **more)),
}


@pytest.mark.parametrize("ask", READINGS.values(), ids=READINGS)
def test_only_the_own_rules_and_the_own_nonce_are_believed(protocol, ask):
    ask(protocol)
    with pytest.raises(RulesMismatchError, match="of the opa engine"):
        ask(protocol, fingerprint=fingerprint(RuleSet()))
    for nonce in (None, "m"):
        with pytest.raises(InvalidResponseError, match="the opa engine's answer belongs to another question"):
            ask(protocol, nonce=nonce)
    with pytest.raises(InvalidResponseError, match="members that the rules do not give"):
        ask(protocol, other=1)


def test_a_piece_is_read(protocol):
    assert protocol.pages(reply(listed=LISTED), LIST) == PageResponse(None, True, [["d1"]], 1, "7")  # noqa: FBT003 - by place
    denied = protocol.pages(reply(listed={"decision": {"allow": False, "reason": "unknown_type"}}, current={}), LIST)
    assert denied.decision == Decision(allow=False, reason=Reason.UNKNOWN_TYPE, engine="opa")


def test_a_list_of_what_is_not_there_is_no_list(protocol):
    with pytest.raises(ResourcesMissingError, match="of `devices`: none were ever pushed"):
        protocol.pages(reply(current={}), LIST)
    with pytest.raises(UnsupportedLayoutError, match="`devices`"):
        protocol.pages(reply(current={"devices": {"layout": 9}}), LIST)
    protocol.pages(reply(listed=LISTED), LIST)
    with pytest.raises(ResourcesMissingError, match="of `devices`: it was restarted"):
        protocol.pages(reply(current={}), LIST)


def test_what_is_held_is_told_with_all_else(protocol):
    result = protocol.stored_view(reply(view={"devices": {}}))
    assert (result["view"], result["current"], result["fingerprint"]) == ({"devices": {}}, current(), OWN)


def by_id(one, store):
    one.decisions(reply(decisions=[ALLOWED], current=current(store)), [BY_ID])


def among_others(one, store):
    one.decisions(reply(decisions=[ALLOWED, ALLOWED], current=current(store)), [INLINE, BY_ID])


def listed(one, store):
    one.pages(reply(listed=LISTED, current=current(store)), LIST)


def noted(one, store):
    one.note(current(store))


@pytest.mark.parametrize("first", [by_id, among_others, listed, noted])
@pytest.mark.parametrize("then", [by_id, among_others, listed, noted])
def test_every_answer_tells_of_several_stores(protocol, first, then):
    first(protocol, "s1")
    then(protocol, "s2")
    for ask in (first, then):
        with pytest.raises(MultipleStoresError):
            ask(protocol, "s1")


def test_a_question_that_is_not_by_id_needs_no_resources(protocol):
    for store in ("s1", "s2", "s1"):
        protocol.decisions(reply(decisions=[ALLOWED], current=current(store)), [INLINE])
    protocol.decisions(reply(decisions=[UNKNOWN], current={}), [INLINE])
    with pytest.raises(ResourcesMissingError):
        protocol.decisions(reply(decisions=[UNKNOWN], current={}), [BY_ID])


def test_an_explanation_has_the_stored_resource(protocol):
    decision, stored = protocol.explained(reply(decisions=[ALLOWED], resource={"id": "d1", "n": 1}), BY_ID)
    assert (decision.allow, decision.revision, stored) == (True, "7", b'{"id":"d1","n":1}')
    assert protocol.explained(reply(decisions=[ALLOWED]), INLINE)[1] is None
    with pytest.raises(InvalidResponseError, match="the opa engine gave no resource"):
        protocol.explained(reply(decisions=[ALLOWED]), BY_ID)
