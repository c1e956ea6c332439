"""What is pushed to the engines that run in this process is what is asked and listed."""

from __future__ import annotations

import pytest

from bridge import (
    CursorExpiredError,
    MalformedInputError,
    PolicyBridge,
    ReferenceEngine,
    ResourcesMissingError,
    WasmEngine,
)

CLAIMS = {"policy": {"version": 2, "devices": {"custom_data": {"n": 1}}}}


def device(id_, **custom_data):
    return {"id": id_, "custom_data": custom_data}


@pytest.fixture(params=[ReferenceEngine, WasmEngine], ids=lambda engine: engine.name)
def policy_bridge(request):
    with PolicyBridge(request.param()) as opened:
        yield opened


def test_a_first_sync_pushes_all(policy_bridge):
    report = policy_bridge.sync("devices", [device("a"), device("b")])
    assert (report.added, report.generation, report.revisions) == (2, True, 1)
    report = policy_bridge.sync("devices", [device("a"), device("b", n=1)])
    assert (report.added, report.changed, report.removed, report.generation) == (0, 1, 0, False)
    assert policy_bridge.list_allowed(CLAIMS, "devices").ids == ("b",)


def test_a_list_goes_on_over_a_change_of_nothing_and_no_other(policy_bridge):
    policy_bridge.push("devices", [device(id_, n=1) for id_ in "abcd"])
    first = policy_bridge.list_allowed(CLAIMS, "devices", limit=2)
    policy_bridge.upsert("devices", [device("a", n=1)])
    assert policy_bridge.list_allowed(CLAIMS, "devices", after=first.cursor).ids == ("c", "d")
    policy_bridge.delete("devices", ["a"])
    with pytest.raises(CursorExpiredError):
        policy_bridge.list_allowed(CLAIMS, "devices", after=first.cursor)


@pytest.mark.parametrize("engine", [ReferenceEngine, WasmEngine])
def test_what_is_pushed_is_what_is_asked(engine):
    bridge = PolicyBridge(engine())
    claims = {"policy": {"version": 2, "devices": {"custom_data": {"n": 1}}}}
    with pytest.raises(ResourcesMissingError):
        bridge.check(claims, "devices", "a")
    report = bridge.push("devices", [{"id": "a", "custom_data": {"n": 1.0}}, {"id": "b"}])
    decisions = bridge.check_many(claims, "devices", ["a", "b", "c", "", {"id": "x", "custom_data": {"n": 1}}])
    assert [str(decision.reason) for decision in decisions] == [
        "matched",
        "constraint_failed",
        "unknown_resource",
        "unknown_resource",
        "matched",
    ]
    assert [decision.revision for decision in decisions] == [report.revision] * 4 + [None]
    with pytest.raises(MalformedInputError):
        bridge.check(claims, "devices", "\ud800")
