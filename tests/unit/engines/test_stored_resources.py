"""What an answer says of stored resources: a revision that is one, a resource only where a decision can have one."""

from __future__ import annotations

import pytest

from bridge.decision import Decision, Failure, Reason, Request, Violation
from bridge.engines.codec import explained_resource, read_answer, read_own, refuse_without_resources
from bridge.errors import InvalidResponseError, RulesMismatchError

MATCHED = {"allow": True, "reason": "matched"}
BY_ID = Request(claims=b"{}", type=b'"devices"', id=b'"a"')
INLINE = Request(claims=b"{}", type=b'"devices"', resource=b'{"id":"a"}')
ABOUT = {"revision": "7", "generation": "g1", "store": "s1", "count": 1}


def answer(*decisions, **others):
    return {"fingerprint": "f", "current": {}, "decisions": list(decisions)} | others


def read(reply, request=BY_ID, **settings):
    return read_answer(reply, [request], fingerprint="f", engine="opa", **settings)[0]


@pytest.mark.parametrize("nonce", [None, 1, True, "", "m", "N", "nn", ["n"], {"n": "n"}])
def test_an_answer_with_another_nonce_is_to_another_question(nonce):
    assert read(answer(MATCHED, nonce="n"), INLINE, nonce="n").allow
    with pytest.raises(InvalidResponseError, match="belongs to another question: its nonce is another one"):
        read(answer(MATCHED, nonce=nonce), INLINE, nonce="n")


def test_an_answer_without_a_nonce_is_to_a_question_without_one():
    assert read(answer(MATCHED), INLINE).allow
    with pytest.raises(InvalidResponseError, match="belongs to another question: its nonce is missing"):
        read(answer(MATCHED), INLINE, nonce="n")
    with pytest.raises(InvalidResponseError, match="belongs to another question"):
        read(answer(MATCHED, nonce="n"), INLINE)


def test_the_fingerprint_is_compared_before_the_nonce():
    with pytest.raises(RulesMismatchError):
        read(answer(MATCHED, fingerprint="other"), INLINE, nonce="n")


@pytest.mark.parametrize("name", ["view", "listed", "allow", "", "Nonce", "revisions"])
def test_members_that_the_rules_do_not_give(name):
    with pytest.raises(InvalidResponseError, match="members that the rules do not give"):
        read(answer(MATCHED, **{name: {}}), INLINE)


@pytest.mark.parametrize("current", [None, [], "7", 7, True])
def test_what_is_current_must_be_an_object(current):
    with pytest.raises(InvalidResponseError, match="no `current`"):
        read_own({"fingerprint": "f", "current": current}, frozenset(), fingerprint="f", engine="opa")


@pytest.mark.parametrize(
    "about",
    [
        *(None, [], "7", {}, {"revision": "7"}, {"layout": 2, "revision": "7"}),
        *(ABOUT | {"revision": value} for value in (None, 7, "", "seven", "-7", "7.0", " 7", "٣", "9" * 41)),
        *(ABOUT | {"generation": value} for value in (None, 7, "", ["g"])),
        *(ABOUT | {"store": value} for value in (None, 7, "", ["s"])),
        *(ABOUT | {"count": value} for value in (None, -1, True, "1", 1.5, [])),
        *({name: value for name, value in ABOUT.items() if name != left} for left in ABOUT),
    ],
    ids=str,
)
def test_what_is_current_of_the_asked_type_must_be_what_a_push_writes(about):
    with pytest.raises(
        InvalidResponseError, match="`devices`: the current generation in OPA was not written by a bridge"
    ):
        read(answer(MATCHED, current={"devices": about}))
    # A resource that comes with the question has to do with none.
    assert read(answer(MATCHED, current={"devices": about}), INLINE).revision is None
    assert read(answer(MATCHED, current={"devices": ABOUT, "sessions": about})).revision == "7"


DENIALS = {
    "unknown_type": {},
    "malformed_input": {},
    "invalid_token": {},
    "unknown_resource": {},
    "invalid_resource": {},
    "policy_required": {},
    "type_not_granted": {},
    "invalid_policy": {"violations": [{"pointer": "", "code": "not_an_object"}]},
    "constraint_failed": {"failures": [{"pointer": "/id", "code": "different"}]},
}
BEFORE_ANY_RESOURCE = {"unknown_type", "malformed_input", "invalid_token", "unknown_resource"}


@pytest.mark.parametrize("current", [{}, {"sessions": ABOUT}, {"devices": {"layout": 2}}])
def test_nothing_is_decided_on_resources_that_are_not_there(current):
    for reason, details in DENIALS.items():
        reply = answer({"allow": False, "reason": reason} | details, current=current)
        if reason in BEFORE_ANY_RESOURCE:
            assert (read(reply).reason, read(reply).revision) == (reason, None)
        else:
            with pytest.raises(
                InvalidResponseError, match=f"decided `{reason}` by id, and says that no resources are stored"
            ):
                read(reply)
        assert read(reply, INLINE).reason == reason
    for reason in ("matched", "unrestricted"):
        reply = answer({"allow": True, "reason": reason}, current=current)
        with pytest.raises(InvalidResponseError, match="says that no resources are stored"):
            read(reply)
        numbered = answer(0, current=current, distinct=[{"allow": True, "reason": reason}])
        with pytest.raises(InvalidResponseError, match="says that no resources are stored"):
            read(numbered)
        assert read(reply, INLINE).allow


def decision(reason):
    violations = (Violation("", "not_an_object"),) if reason == "invalid_policy" else ()
    failures = (Failure("/id", "different"),) if reason == "constraint_failed" else ()
    return Decision(reason in ("matched", "unrestricted"), Reason(reason), violations, failures)


def explained(reason, request=BY_ID, **answer_):
    return explained_resource(answer_, request, decision(reason), "opa")


STORED = {"id": "a", "custom_data": {"n": 1}}


@pytest.mark.parametrize(
    "reason", ["matched", "unrestricted", "policy_required", "invalid_policy", "type_not_granted", "constraint_failed"]
)
def test_a_decision_by_id_that_looked_at_a_resource_has_it(reason):
    assert explained(reason, resource=STORED) == b'{"id":"a","custom_data":{"n":1}}'
    with pytest.raises(InvalidResponseError, match="gave no resource to a decision"):
        explained(reason)


@pytest.mark.parametrize("reason", ["unknown_type", "malformed_input", "invalid_token"])
def test_a_decision_before_any_resource_may_have_one(reason):
    assert explained(reason) is None
    assert explained(reason, resource=STORED) is not None


@pytest.mark.parametrize("reason", ["unknown_resource", "invalid_resource"])
def test_a_decision_that_there_is_no_resource_has_none(reason):
    assert explained(reason) is None
    with pytest.raises(InvalidResponseError, match="gave a stored resource to a decision"):
        explained(reason, resource=STORED)


@pytest.mark.parametrize("reason", ["matched", "constraint_failed", "unknown_type", "invalid_resource"])
def test_a_decision_on_a_resource_that_came_along_has_no_stored_one(reason):
    assert explained(reason, INLINE) is None
    with pytest.raises(InvalidResponseError, match="gave a stored resource to a decision"):
        explained(reason, INLINE, resource=STORED)


def test_a_stored_resource_that_no_push_would_take():
    with pytest.raises(
        InvalidResponseError, match=r"^a bridge never pushed the resource that the opa engine has under this id: "
    ):
        explained("matched", resource={"id": "a", "x": "y" * 1_100_000})


def test_as_many_decisions_as_requests():
    request = Request(b"{}", b'"devices"', b'{"id":"a"}')
    decision = Decision(allow=True, reason=Reason.MATCHED)
    refuse_without_resources([request], [decision], "opa")
    for decisions in ([], [decision] * 2):
        with pytest.raises(ValueError, match="zip"):
            refuse_without_resources([request], decisions, "opa")
