"""`at_least`: no answer by id comes from resources that are older than the caller knows them to be."""

from __future__ import annotations

import pytest

from bridge import PolicyBridge, ReferenceEngine, UsageError, WasmEngine
from bridge.checks import require_fresh, require_fresh_revision, revision_number
from bridge.decision import Decision, Reason, Request
from bridge.errors import EngineError, ResourcesMissingError, StaleResourcesError

CLAIMS = {"policy": {"version": 2, "devices": {}}}


@pytest.fixture(params=[ReferenceEngine, WasmEngine], ids=lambda engine: engine.name)
def policy_bridge(request):
    with PolicyBridge(request.param()) as opened:
        yield opened


@pytest.mark.parametrize("text", ["0", "7", "007", "1795540678999736", "9" * 40])
def test_a_revision_is_a_number(text):
    assert revision_number(text) == int(text)


def test_none_is_asked_for():
    assert revision_number(None) is None


@pytest.mark.parametrize(
    "revision", ["", "-1", "+1", "1.0", " 1", "1\n", "1_000", "٣", "²", "r7", "9" * 41, "9" * 5_000, 7, b"7", []]
)
def test_what_is_no_revision_is_misuse(policy_bridge, revision):
    policy_bridge.push("devices", [{"id": "a"}])
    for ask in (
        lambda: policy_bridge.check(CLAIMS, "devices", "a", at_least=revision),
        lambda: policy_bridge.check_many(CLAIMS, "devices", ["a"], at_least=revision),
        lambda: policy_bridge.list_allowed(CLAIMS, "devices", at_least=revision),
    ):
        with pytest.raises(UsageError, match="at_least"):
            ask()


@pytest.mark.parametrize("revision", [None, "6", "06", "", "seven", "9" * 5_000])
def test_what_is_older_or_no_revision_is_refused(revision):
    with pytest.raises(StaleResourcesError, match="older than 7"):
        require_fresh_revision(revision, 7)


@pytest.mark.parametrize(("revision", "oldest"), [("7", 7), ("8", 7), ("10", 9), ("0", 0), (None, None), ("x", None)])
def test_what_is_as_new_is_not_refused(revision, oldest):
    require_fresh_revision(revision, oldest)


@pytest.mark.parametrize(
    ("revision", "shown"), [("6", "revision 6, older than 7"), (None, "revision none, older than 7")]
)
def test_both_revisions_are_told(revision, shown):
    with pytest.raises(StaleResourcesError, match=shown):
        require_fresh_revision(revision, 7)


def test_revisions_are_compared_exactly():
    require_fresh_revision("9007199254740993", 2**53 + 1)
    with pytest.raises(StaleResourcesError):
        require_fresh_revision("9007199254740992", 2**53 + 1)


def test_nothing_is_looked_at_where_no_revision_is_asked_for():
    require_fresh(None, None, None)


def test_as_many_decisions_as_requests():
    request = Request(b"{}", b'"devices"', id=b'"a"')
    decision = Decision(allow=True, reason=Reason.MATCHED, revision="7")
    require_fresh([request], [decision], 7)
    for decisions in ([], [decision] * 2):
        with pytest.raises(ValueError, match="zip"):
            require_fresh([request], decisions, 7)


def test_revisions_rise_with_each_change_and_stale_answers_are_refused(policy_bridge):
    first = policy_bridge.push("devices", [{"id": "a"}]).revision
    second = policy_bridge.upsert("devices", [{"id": "b"}]).revision
    third = policy_bridge.delete("devices", ["a"]).revision
    fourth = policy_bridge.push("devices", [{"id": "c"}], force=True).revision
    assert int(first) < int(second) < int(third) < int(fourth)
    assert policy_bridge.check(CLAIMS, "devices", "c", at_least=fourth)
    assert policy_bridge.list_allowed(CLAIMS, "devices", at_least=fourth).ids == ("c",)
    newer = str(int(fourth) + 1)
    for ask in (
        lambda: policy_bridge.check(CLAIMS, "devices", "c", at_least=newer),
        lambda: policy_bridge.check(CLAIMS, "devices", "unknown", at_least=newer),
        lambda: policy_bridge.check({"policy": 1}, "devices", "c", at_least=newer),
        lambda: policy_bridge.check_many(CLAIMS, "devices", [{"id": "inline"}, "c"], at_least=newer),
        lambda: policy_bridge.list_allowed(CLAIMS, "devices", at_least=newer),
    ):
        with pytest.raises(StaleResourcesError) as stale:
            ask()
        assert isinstance(stale.value, EngineError)


def test_inline_resources_and_unknown_types_have_no_age(policy_bridge):
    newest = "9" * 30
    assert policy_bridge.check(CLAIMS, "devices", {"id": "a"}, at_least=newest)
    assert policy_bridge.check(CLAIMS, "users", "a", at_least=newest).reason == "unknown_type"
    assert policy_bridge.check(None, "devices", "a", at_least=newest).reason == "malformed_input"
    assert policy_bridge.list_allowed({"policy": {"version": 2}}, "devices", at_least=newest).decision is not None


def test_what_was_never_pushed_has_no_revision_that_could_be_too_old(policy_bridge):
    for ask in (
        lambda: policy_bridge.check(CLAIMS, "devices", "a", at_least="0"),
        lambda: policy_bridge.check_many(CLAIMS, "devices", ["a"], at_least="0"),
        lambda: policy_bridge.list_allowed(CLAIMS, "devices", at_least="0"),
    ):
        with pytest.raises(ResourcesMissingError, match="ever pushed"):
            ask()


@pytest.mark.parametrize("engine", [ReferenceEngine, WasmEngine])
def test_stale_resources_deny_where_faults_do(engine):
    with PolicyBridge(engine(), on_error="deny") as denying:
        revision = denying.push("devices", [{"id": "a"}]).revision
        newer = str(int(revision) + 1)
        decisions = denying.check_many(CLAIMS, "devices", ["a", {"id": "b"}], at_least=newer)
        assert [decision.reason for decision in decisions] == ["engine_unavailable"] * 2
        assert denying.check(CLAIMS, "devices", "a", at_least=newer).reason == "engine_unavailable"
        assert denying.check(CLAIMS, "devices", "a", at_least=revision)
