"""The reference as an engine: what it remembers changes no answer."""

from __future__ import annotations

import pytest

from bridge import PolicyBridge, ReferenceEngine, RuleSet, reference
from bridge.decision import Failure, Request
from bridge.engines import reference_engine
from bridge.policy import PolicySettings
from bridge.strict_json import encode, parse, parse_canonical

CLAIMS = {"policy": {"version": 2, "devices": {"custom_data": {"user": "u1", "tier": 1.5}}}}
DEVICE = {"id": "d1", "custom_data": {"user": "u1", "tier": 1.5}}
OTHER = {"id": "d1", "custom_data": {"user": "u2", "tier": 1.5}}


@pytest.fixture
def opened():
    return PolicyBridge(ReferenceEngine())


@pytest.mark.parametrize(
    "request_",
    [
        Request(None, None),
        Request(b"{}", None),
        Request(None, b'"devices"'),
        Request(b"{}", b'"devices"'),
        Request(b"{}", b'"devices"', b'{"id":"a"}'),
        Request(b"{}", b'"devices"', b"null", b'"a"'),
        Request(b"{}", b'"devices"', id=b'"a"'),
        Request(b"{}", b'"devices"', id=b"1"),
        Request(b"{}", b'"users"', b'{"id":"a"}'),
        Request(b"[]", b'"devices"', b'{"id":"a"}'),
        Request(b"{}", b"[1]", b'{"id":"a"}'),
    ],
)
def test_it_decides_what_the_definition_decides(opened, request_):
    revision = opened.engine.store.replace("devices", {})
    for _ in range(3):
        decision = opened.engine.decide([request_])[0]
        assert decision.as_dict() == reference.decide(parse(request_.text)).as_dict()
        assert decision.engine == "reference"
        assert decision.revision == (revision if request_.is_by_id else None)


def test_denials_have_their_details_and_their_engine(opened):
    for _ in range(2):
        decisions = opened.check_many(CLAIMS, "devices", [DEVICE, OTHER, {"id": "d1"}])
        assert [one.engine for one in decisions] == ["reference"] * 3
        assert [one.failures for one in decisions] == [
            (),
            (Failure("/custom_data/user", "different"),),
            (Failure("/custom_data/tier", "missing"), Failure("/custom_data/user", "missing")),
        ]
        invalid = opened.check({"policy": {"version": 2, "users": {}}}, "devices", DEVICE)
        assert [one.pointer for one in invalid.violations] == ["/users"]
        assert invalid.engine == "reference"


def test_a_decision_by_id_has_the_revision_of_the_time(opened):
    first = opened.push("devices", [DEVICE]).revision
    assert [opened.check(CLAIMS, "devices", resource).revision for resource in ("d1", DEVICE, "d1", "d2")] == [
        *(first, None, first, first),
    ]
    second = opened.push("devices", [DEVICE]).revision
    assert opened.check(CLAIMS, "devices", "d1").revision == second != first


def test_claims_and_types_that_come_again_are_not_read_again(monkeypatch):
    read = []
    monkeypatch.setattr(reference_engine, "parse_canonical", lambda text: read.append(text) or parse_canonical(text))
    engine = ReferenceEngine()
    request = Request(b'{"a":1}', b'"devices"', b'{"id":"a"}')
    for _ in range(2):
        engine.decide([request])
    read.clear()
    engine.decide([request])
    assert read == [b'{"id":"a"}']
    engine.decide([Request(b'{"a":2}', b'"devices"', b'{"id":"a"}')])
    assert read == [b'{"id":"a"}', b'{"a":2}', b'{"id":"a"}']


@pytest.mark.parametrize("require_policy", [False, True])
def test_claims_that_come_again_are_decided_on_as_the_first_time(require_policy):
    settings = PolicySettings(types=("devices", "sessions"), require_policy=require_policy)
    engine = ReferenceEngine(RuleSet(policy=settings))
    several = [
        {"policy": {"version": 2, "devices": {"id": "a", "custom_data": {"n": 1}}}},
        {"policy": {"version": 2, "devices": {"id": "a"}, "sessions": {}}},
        {"policy": {"version": 2, "devices": {"name": "a"}}},
        {"policy": None},
        {},
        None,
        "claims",
    ]
    things = [{"id": "a", "custom_data": {"n": 1}}, {"id": "a", "custom_data": {"n": 2}}, {"id": "b"}, {"id": ""}, None]
    questions = [
        {"claims": claims, "type": type_, "resource": thing}
        for claims in several
        for type_ in ("devices", "sessions", "users", 1)
        for thing in things
    ]
    requests = [Request(**{name: encode(value) for name, value in question.items()}) for question in questions]
    wanted = [reference.decide(question, settings) for question in questions]
    assert len({decision.reason for decision in wanted}) == 8
    for _ in range(3):
        assert engine.decide(requests) == wanted
    assert len(engine._claims._results) == len(several)


def test_what_is_stored_is_decided_on(opened):
    opened.push("devices", [DEVICE, OTHER | {"id": "d2"}])
    matched, failed, unknown = opened.check_many(CLAIMS, "devices", ["d1", "d2", "d3"])
    assert (matched.reason, failed.reason, unknown.reason) == ("matched", "constraint_failed", "unknown_resource")
    assert failed.failures == (Failure("/custom_data/user", "different"),)


def test_the_policy_of_claims_that_come_again_is_not_read_again(opened, monkeypatch):
    for _ in range(2):
        assert opened.check(CLAIMS, "devices", DEVICE).allow
    monkeypatch.setattr(reference, "policy_in", None)
    assert opened.check(CLAIMS, "devices", DEVICE).allow
