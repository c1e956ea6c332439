"""Lists in parts, while resources change in between, tokens are renewed and cursors are forged: nothing is skipped.

A Hypothesis state machine does the same to a real OPA, asked by the synchronous bridge and by the asynchronous one, to
Wasm and to the reference. Whatever `after` is, a list is refused, or it is what is allowed behind the id in it.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from both_bridges import asynchronous, synchronous
from conformance import tally
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

import bridge.engines.base
import bridge.engines.local_listing
import bridge.listing
from bridge import CursorExpiredError, Listing, PolicyBridge, ReferenceEngine, UsageError, WasmEngine
from bridge.rendering import RuleSet
from bridge.store import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest

    from bridge.opa.process import ManagedOpa

EXAMPLES = 40
STEPS = 30
LAYER = "cursors"
RULES = RuleSet(package_root="test_cursors", data_root="test_cursors_data")
NAMES = ("opa", "opa, asynchronous", "wasm", "reference")

IDS = [*(f"d{number:02}" for number in range(30)), '"', "\\", "é", "~?>", "\uffff", "\U0001f600"]
custom_data = st.fixed_dictionaries({}, optional={"n": st.integers(0, 1), "m": st.just(1)})
one = st.fixed_dictionaries({"id": st.sampled_from(IDS), "custom_data": custom_data})
several = st.lists(one, min_size=8, max_size=36, unique_by=lambda resource: resource["id"])
descriptions = st.sampled_from(
    [{}, {"custom_data": {"n": 0}}, {"custom_data": {"n": 0, "m": 1}}, {"custom_data": {"m": 1}}, {"id": "d03"}]
)
policies = st.one_of(
    st.none(),
    st.builds(lambda description: {"version": 2, "devices": description, "sessions": {}}, descriptions),
    st.builds(lambda description: {"devices": description, "sessions": {}, "version": 2}, descriptions),
)
renewals = st.dictionaries(st.sampled_from(["iat", "exp", "jti", "Policy"]), st.integers(0, 9), max_size=2)
scalars = st.sampled_from([None, True, False, -1, 0, 1, 2, 3, 7, 10**20, 1.0, 0.5, "", "0", "1", "x", []])
values = st.sampled_from(["next", "other", *IDS]) | scalars
characters = st.sampled_from(["", *"AQgw_-=+/ \n!9"])


def claims_of(policy: Any, renewal: dict[str, Any]) -> dict[str, Any]:
    return renewal if policy is None else renewal | {"policy": policy}


@dataclass(frozen=True)
class Part:
    """A part of the list of each engine that goes on.

    Attributes:
        policy: What it was asked with.
        state: What was stored then.
        listings: What each engine gave.
    """

    policy: Any
    state: int
    listings: Sequence[Listing]


def decoded(cursor: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(cursor + "=="))


def encoded(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def outcome(bridge_: Any, about: Any, **options: Any) -> Listing | type[Exception]:
    """The list, or the kind of error; nothing but these two may be raised."""
    try:
        listed: Listing = bridge_.list_allowed(about, "devices", **options)
    except (UsageError, CursorExpiredError) as error:
        return type(error)
    return listed


class Cursors(RuleBasedStateMachine):
    """`self.there` is what is stored, and `self.state` changes with its revision."""

    bridges: Sequence[Any]

    @initialize(new_resources=several)
    def first_push(self, new_resources: list[Any]) -> None:
        self.parts: list[Part] = []
        self.there: dict[str, Any] = {}
        self.state = 0
        self.push(new_resources, 0)

    @rule(new_resources=several, by=st.integers(0, 1))
    def push(self, new_resources: list[Any], by: int) -> None:
        """One of the two bridges to the OPA pushes, and both are asked."""
        for bridge_ in (self.bridges[by], *self.bridges[2:]):
            bridge_.push("devices", new_resources, force=True)
        self.there = {resource["id"]: resource for resource in new_resources}
        self.state += 1

    @rule(new_resource=one, by=st.integers(0, 1))
    def upsert(self, new_resource: Any, by: int) -> None:
        for bridge_ in (self.bridges[by], *self.bridges[2:]):
            bridge_.upsert("devices", [new_resource])
        self.state += self.there.get(new_resource["id"]) != new_resource
        self.there = self.there | {new_resource["id"]: new_resource}

    @rule(id_=st.sampled_from(IDS), by=st.integers(0, 1))
    def delete(self, id_: str, by: int) -> None:
        for bridge_ in (self.bridges[by], *self.bridges[2:]):
            bridge_.delete("devices", [id_])
        self.state += id_ in self.there
        self.there = {name: resource for name, resource in self.there.items() if name != id_}

    @rule(policy=policies, renewal=renewals, limit=st.integers(1, 9))
    def begin(self, policy: Any, renewal: dict[str, Any], limit: int) -> None:
        self.took(
            policy, [outcome(each, claims_of(policy, renewal), limit=limit) for each in self.bridges], None, limit
        )

    @precondition(lambda self: self.parts)
    @rule(data=st.data(), renewal=renewals, limit=st.integers(1, 40))
    def go_on(self, data: Any, renewal: dict[str, Any], limit: int) -> None:
        """With a token that was renewed; a part that nothing came in between with goes on, and no other does."""
        part = data.draw(st.sampled_from(self.parts[-5:]))
        about = claims_of(part.policy, renewal)
        outcomes = [
            outcome(each, about, limit=limit, after=listed.cursor)
            for each, listed in zip(self.bridges, part.listings, strict=True)
        ]
        if part.state != self.state:
            assert outcomes == [CursorExpiredError] * len(outcomes)
        else:
            self.took(part.policy, outcomes, part.listings[0].ids[-1], limit)

    @precondition(lambda self: self.parts)
    @rule(data=st.data(), policy=policies)
    def go_on_with_another_policy(self, data: Any, policy: Any) -> None:
        part = data.draw(st.sampled_from(self.parts[-5:]))
        if policy != part.policy:
            for each, listed in zip(self.bridges, part.listings, strict=True):
                assert outcome(each, claims_of(policy, {}), after=listed.cursor) is UsageError

    @precondition(lambda self: self.parts)
    @rule(data=st.data(), forgeries=st.lists(st.tuples(st.integers(0, 3), values), min_size=4, max_size=12))
    def forge_fields(self, data: Any, forgeries: list[Any]) -> None:
        part, other = (data.draw(st.sampled_from(self.parts[-5:])) for _ in range(2))
        for each, listed, foreign in zip(self.bridges, part.listings, other.listings, strict=True):
            fields = decoded(listed.cursor or "")
            for field, value in forgeries:
                forged = list(fields)
                forged[field] = value
                if value == "next" and field < 2:
                    forged[field] = str(int(fields[0]) + 1) if field == 0 else fields[1] + 1
                elif value == "other":
                    forged[field] = decoded(foreign.cursor or "")[field]
                self.refused_or_right(each, part, forged, encoded(forged), limit=5)

    @precondition(lambda self: self.parts)
    @rule(data=st.data(), forgeries=st.lists(st.tuples(st.integers(0, 10**6), characters), min_size=4, max_size=12))
    def forge_the_text(self, data: Any, forgeries: list[Any]) -> None:
        part = data.draw(st.sampled_from(self.parts[-5:]))
        for each, listed in zip(self.bridges, part.listings, strict=True):
            text = listed.cursor or ""
            for at, by in forgeries:
                place = at % (len(text) + 1)
                for forged in (text[:place] + by + text[place:], text[:place] + by + text[place + 1 :]):
                    try:
                        fields = decoded(forged)
                    except (ValueError, binascii.Error):
                        fields = None
                    self.refused_or_right(each, part, fields, forged, limit=40)

    def refused_or_right(self, bridge_: Any, part: Part, fields: Any, text: str, limit: int) -> None:
        result = outcome(bridge_, claims_of(part.policy, {}), limit=limit, after=text)
        if isinstance(result, Listing):
            assert list(map(type, fields)) == [str, int, str, str]
            assert text == encoded(fields)
            assert fields[0] == result.revision == bridge_.list_allowed({}, "devices", limit=1).revision
            wanted = self.allowed(part.policy)
            assert fields[2] in wanted
            self.compare(result, [id_ for id_ in wanted if id_ > fields[2]], limit)

    def took(self, policy: Any, listings: Sequence[Any], after: str | None, limit: int) -> None:
        """Compare what each engine gave with what is allowed behind an id, and keep it where it goes on."""
        wanted = [id_ for id_ in self.allowed(policy) if after is None or id_ > after]
        for name, listed in zip(NAMES, listings, strict=True):
            self.compare(listed, wanted, limit)
            tally.count(LAYER, name, len(listed.ids))
        if not listings[0].complete:
            self.parts.append(Part(policy, self.state, listings))

    @staticmethod
    def compare(listed: Listing, wanted: list[str], limit: int) -> None:
        assert list(listed.ids) == wanted[:limit]
        assert listed.complete == (len(wanted) <= limit) == (listed.cursor is None)

    def allowed(self, policy: Any) -> list[str]:
        """What is allowed, by the reference, asked for one resource after the other."""
        ids = sorted(self.there)
        decisions = self.bridges[-1].check_many(claims_of(policy, {}), "devices", [self.there[id_] for id_ in ids])
        return [id_ for id_, decision in zip(ids, decisions, strict=True) if decision.allow]


def test_no_list_skips_or_repeats_an_id(start_opa: Callable[..., ManagedOpa], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are short, and come two at a time, so that a list takes several questions."""
    monkeypatch.setattr(layout, "PAGE", 4)
    monkeypatch.setattr(layout, "SMALL", 3)
    monkeypatch.setattr(bridge.engines.local_listing, "PAGE", 4)
    monkeypatch.setattr(bridge.engines.local_listing, "SCANNED", 2)
    monkeypatch.setattr(bridge.engines.base, "SCANNED", 2)
    monkeypatch.setattr(bridge.listing, "PAGE", 4)
    monkeypatch.setattr(bridge.listing, "MOST_PAGES", 2)
    url = start_opa().url
    with (
        synchronous(url, RULES) as sync,
        asynchronous(url, RULES) as asynchronous_bridge,
        PolicyBridge(WasmEngine()) as wasm,
        PolicyBridge(ReferenceEngine()) as reference,
    ):
        sync.install()
        machine = type("Cursors", (Cursors,), {"bridges": [sync, asynchronous_bridge, wasm, reference]})
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
    assert set(tally.COMPARED[LAYER]) == set(NAMES)
