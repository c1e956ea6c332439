"""Lists are what `check` allows, on every engine, whatever was pushed, changed, lost and pushed again before.

A Hypothesis state machine does the same to a real OPA, to Wasm and to the reference, and asks all of them. After each
step the whole index on OPA is counted anew.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from conformance import tally
from hypothesis import HealthCheck, assume, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from recounting import whole
from rule_files import write_rules

from bridge import CursorExpiredError, OpaClient, OpaEngine, PolicyBridge, ReferenceEngine, WasmEngine
from bridge.errors import ResourcesMissingError
from bridge.rendering import RuleSet
from bridge.store import layout
from bridge.store.memory_store import _NOTHING
from bridge.strict_json import encode, parse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridge import Listing, PushReport
    from bridge.opa.process import ManagedOpa
    from bridge.store import SyncReport

EXAMPLES = 60
STEPS = 25
LAYER = "lists"
RULES = RuleSet(package_root="test_lists", data_root="test_lists_data")
TYPE = ("test_lists_data", "devices")

VALUES = [
    *(1, 1.0, "1", True, None, "", 0, -0.0, 0.1, 1.5, 1e-7, 1.2e100, 10**20, 2**53, 2**53 + 1, [], {}, [[]], "x" * 300),
    *(
        "<&>",
        "\u2028\b\f\x01\x7f",
        "\\u003c",
        "\\u0008",
        "\\b",
        "\b",
        "\\\\b",
        "\xe9",
        "e\u0301",
        "\U0001f600",
        "\uffff",
    ),
    *([1, {"a": [None]}], [1, {"a": []}], {"b": 1, "a": 2}, {"a": 2, "b": 1}, {"a": 2}),
]
NAMES = ["user", "", "-", "a/b", "~", "%2F", "\xe9", "\\b", "\\u0008"]
IDS = [
    *("007", "7", "-", "a/b", "~0", "%2F", "\xe9", "e\u0301", " ", "\x00", '"', "\\", "\U0001f600", "\uffff", "\ue000"),
    *(f"d{number}" for number in range(60)),
]

# Few values are common, so that postings become long and meet.
common = st.sampled_from(VALUES[:4])
members = st.dictionaries(st.sampled_from(NAMES[:2]), common, max_size=2) | st.dictionaries(
    st.sampled_from(NAMES), common | st.sampled_from(VALUES), max_size=4
)
resources = st.fixed_dictionaries(
    {"id": st.sampled_from(IDS)}, optional={"custom_data": members, "name": st.integers(0, 2)}
)
several = st.lists(resources, max_size=25, unique_by=lambda resource: resource["id"])
some_ids = st.lists(st.sampled_from(IDS) | st.just("unknown"), max_size=25, unique=True)
descriptions = st.fixed_dictionaries(
    {}, optional={"custom_data": members | st.dictionaries(st.sampled_from(NAMES[:2]), common, min_size=1)}
) | st.fixed_dictionaries({"id": st.sampled_from([*IDS, ""])}, optional={"custom_data": members})
policies = st.builds(lambda description: {"version": 2, "devices": description}, descriptions)
claims = st.one_of(
    st.builds(lambda policy: {"policy": policy}, policies),
    st.builds(lambda policy: {"policy": policy}, policies),
    st.sampled_from([{}, {"policy": {"version": 2}}, {"policy": {"version": 1, "devices": {}}}, {"policy": None}]),
)


def listed(bridge: PolicyBridge, about: Any, limits: list[int]) -> tuple[list[str], Listing]:
    """The whole list, piece by piece, by these limits in turn; what each piece says of itself must be true."""
    ids: list[str] = []
    after = None
    for number in range(10_000):
        limit = limits[number % len(limits)]
        piece = bridge.list_allowed(about, "devices", limit=limit, after=after)
        ids += piece.ids
        assert len(piece.ids) <= limit
        assert piece.complete == (piece.cursor is None)
        if piece.complete:
            return ids, piece
        assert len(piece.ids) == limit
        after = piece.cursor
    raise AssertionError("a list without an end")


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The rules as files, so that an OPA has them as soon as it is there again."""
    return write_rules(tmp_path, RULES)


class Lists(RuleBasedStateMachine):
    """The same is done to all engines; `self.there` is what should be there, None while OPA has lost it."""

    bridges: list[PolicyBridge]
    restart: Callable[[], None]

    @initialize(new_resources=several)
    def first_push(self, new_resources: list[Any]) -> None:
        self.there: dict[str, Any] | None = None
        self.cursors: list[tuple[Any, list[Listing]]] = []
        for bridge in self.bridges[1:]:
            bridge.engine.store._types = dict.fromkeys(bridge.engine.store._types, _NOTHING)
        self.lose(restarts=False)
        self.push(new_resources)

    @property
    def opa(self) -> PolicyBridge:
        return self.bridges[0]

    @rule(new_resources=several)
    def push(self, new_resources: list[Any]) -> None:
        for bridge in self.bridges:
            self.counted(bridge.push("devices", new_resources, force=True), new_resources)
        self.there = {resource["id"]: resource for resource in new_resources}

    @precondition(lambda self: self.there is not None)
    @rule(new_resources=several)
    def upsert(self, new_resources: list[Any]) -> None:
        before = self.there
        assert before is not None
        changes = [bridge.upsert("devices", new_resources) for bridge in self.bridges]
        added = sum(resource["id"] not in before for resource in new_resources)
        unchanged = sum(text(before.get(resource["id"])) == text(resource) for resource in new_resources)
        for changed in changes:
            assert (changed.added, changed.removed, changed.unchanged, changed.absent) == (added, 0, unchanged, 0)
            assert changed.changed == len(new_resources) - added - unchanged
        self.there = before | {resource["id"]: resource for resource in new_resources}

    @precondition(lambda self: self.there is not None)
    @rule(ids=some_ids)
    def delete(self, ids: list[str]) -> None:
        before = self.there
        assert before is not None
        removed = len(before.keys() & set(ids))
        for bridge in self.bridges:
            changed = bridge.delete("devices", ids)
            assert (changed.added, changed.changed, changed.unchanged) == (0, 0, 0)
            assert (changed.removed, changed.absent) == (removed, len(ids) - removed)
        self.there = {id_: resource for id_, resource in before.items() if id_ not in ids}

    @precondition(lambda self: self.there is not None)
    @rule(new_resources=several)
    def sync(self, new_resources: list[Any]) -> None:
        for bridge in self.bridges:
            self.counted(bridge.sync("devices", new_resources, force=True), new_resources)
        self.there = {resource["id"]: resource for resource in new_resources}

    def counted(self, report: PushReport | SyncReport, new_resources: list[Any]) -> None:
        """It tells what has become of what was there."""
        assert report.stored == len(new_resources)
        before = self.there
        if before is not None:
            ids = {resource["id"] for resource in new_resources}
            changed = [one for one in new_resources if text(before.get(one["id"])) not in (None, text(one))]
            counts = (report.added, report.changed, report.removed)
            assert counts == (len(ids - before.keys()), len(changed), len(before.keys() - ids))

    @rule(restarts=st.sampled_from([False] * 7 + [True]))
    def lose(self, restarts: bool) -> None:  # noqa: FBT001 - a rule's arguments go by keyword
        """A restart of the OPA, or, which is faster, what it does to OPA's memory."""
        if restarts:
            self.restart()
        else:
            self.opa.engine.opa.delete_data(TYPE)  # type: ignore[attr-defined]
        self.there = None

    @precondition(lambda self: self.there is None)
    @rule(about=claims, new_resources=several, ids=some_ids)
    def ask_what_is_lost(self, about: Any, new_resources: list[Any], ids: list[str]) -> None:
        for call in (
            lambda: self.opa.check(about, "devices", "d1"),
            lambda: self.opa.check_many(about, "devices", [*ids, "d1"]),
            lambda: self.opa.explain(about, "devices", "d1"),
            lambda: self.opa.list_allowed({}, "devices"),
            lambda: self.opa.upsert("devices", new_resources),
            lambda: self.opa.delete("devices", ids),
        ):
            with pytest.raises(ResourcesMissingError):
                call()

    @precondition(lambda self: self.there is not None)
    @rule(
        abouts=st.lists(claims, min_size=1, max_size=4),
        limits=st.lists(st.sampled_from([1, 2, 3, 7, 1_000]), min_size=1, max_size=4),
    )
    def compare_lists(self, abouts: list[Any], limits: list[int]) -> None:
        assert self.there is not None
        ids = sorted(self.there)
        for about in abouts:
            answers = [self.compared(bridge, about, ids, limits) for bridge in self.bridges]
            assert answers[0] == answers[1] == answers[2]

    @staticmethod
    def compared(bridge: PolicyBridge, about: Any, ids: list[str], limits: list[int]) -> object:
        decisions = bridge.check_many(about, "devices", ids)
        for id_, decision in zip(ids[:1], decisions, strict=False):
            assert bridge.explain(about, "devices", id_).decision.allow == decision.allow
        listed_ids, last = listed(bridge, about, limits)
        assert listed_ids == [id_ for id_, decision in zip(ids, decisions, strict=True) if decision.allow]
        nothing = bridge.check(about, "devices", {"id": "of no list", "custom_data": {}})
        assert last.everything == nothing.allow
        assert (last.decision is not None) == (nothing.reason in ("invalid_policy", "type_not_granted"))
        tally.count(LAYER, bridge.engine.name, len(ids))
        return listed_ids, last.everything, None if last.decision is None else str(last.decision.as_dict())

    @precondition(lambda self: self.there is not None)
    @rule(about=claims, limit=st.integers(1, 5), new_resource=resources)
    def go_on_after_a_change(self, about: Any, limit: int, new_resource: Any) -> None:
        assert self.there is not None
        begun = [bridge.list_allowed(about, "devices", limit=limit) for bridge in self.bridges]
        assume(begun[0].cursor is not None)
        is_new = text(self.there.get(new_resource["id"])) != text(new_resource)
        self.upsert([new_resource])
        for bridge, piece in zip(self.bridges, begun, strict=True):
            if is_new:
                with pytest.raises(CursorExpiredError):
                    bridge.list_allowed(about, "devices", after=piece.cursor)
            else:
                rest = bridge.list_allowed(about, "devices", after=piece.cursor)
                assert [*piece.ids, *rest.ids] == listed(bridge, about, [1_000])[0]

    def teardown(self) -> None:
        if getattr(self, "there", None) is not None:
            counted = self.opa.engine.store.recount("devices")  # type: ignore[attr-defined]
            assert (counted.findings, counted.resources) == ((), len(self.there or ()))

    @invariant()
    def all_that_was_derived_is_right(self) -> None:
        if getattr(self, "there", None) is None:
            return
        assert self.there is not None
        stored = whole(self.opa.engine.opa.get_data(TYPE))  # type: ignore[attr-defined]
        assert {id_: text(resource) for id_, resource in stored.items()} == {
            id_: text(resource) for id_, resource in self.there.items()
        }
        for bridge in self.bridges[1:]:
            assert set(bridge.engine.store.stored(b'"devices"').all_ids()) == set(map(encode, self.there))


def text(resource: Any) -> str | None:
    """The same for equal resources."""
    return None if resource is None else json.dumps(parse(encode(resource)), sort_keys=True, default=str)


def test_lists_are_what_is_allowed_after_anything(
    start_opa: Callable[..., ManagedOpa], rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages and short postings are small, so that pages are divided and postings grow out of one array."""
    monkeypatch.setattr(layout, "PAGE", 4)
    monkeypatch.setattr(layout, "SMALL", 3)
    running = [start_opa([rules])]

    def restart() -> None:
        running[0].kill()
        running[0] = start_opa([rules], port=running[0].port)

    with (
        PolicyBridge(OpaEngine(OpaClient(running[0].url, deadline=60), RULES)) as opa,
        PolicyBridge(WasmEngine()) as wasm,
        PolicyBridge(ReferenceEngine()) as reference,
    ):
        machine = type("Lists", (Lists,), {"bridges": [opa, wasm, reference], "restart": staticmethod(restart)})
        run_state_machine_as_test(
            seed(tally.seed())(machine),
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    running[0].kill()
    assert set(tally.COMPARED[LAYER]) == {"opa", "wasm", "reference"}
