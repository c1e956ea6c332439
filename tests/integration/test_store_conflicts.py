"""Pushes and changes at the same time, with real OPAs: each is whole, or refused."""

from __future__ import annotations

import contextlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pusher
import pytest
from relay import relayed
from store_faults import (
    ANYBODY,
    GRANTED,
    RESOURCES,
    TYPE,
    StoreReader,
    bridge_to,
    device,
    replaced,
    size,
    state_of,
    stored,
)

from bridge.errors import ForeignContentError, PushConflictError
from bridge.store import layout, patches


@pytest.mark.parametrize("moment", ["before", "after"])
def test_of_two_pushers_the_earlier_one_is_overtaken_wherever_it_is(opa, bridge, monkeypatch, moment):
    """The second one begins and ends within each request of the first."""
    monkeypatch.setattr(patches, "_PART", pusher.PART_BYTES)

    def at(number, _line, now):
        if number == at.number and now == moment:
            bridge.push("devices", pusher.state(2, RESOURCES), force=True)
            assert state_of(bridge) == 2

    with relayed(opa.url, at) as (url, relay), bridge_to(url) as pushing:
        at.number = -1
        replaced(pushing, 1)
        relay.lines.clear()
        replaced(pushing, 1)
        requests = len(relay.lines)
        outcomes = []
        for number in range(requests):
            bridge.push("devices", pusher.state(0, RESOURCES), force=True)
            relay.lines.clear()
            at.number = number
            try:
                replaced(pushing, 1)
                outcomes.append(1)
            except PushConflictError as overtaken:
                assert "came in between" in str(overtaken)  # noqa: PT017
                outcomes.append(2)
            at.number = -1
            # At the very end the second one is the later one.
            assert state_of(bridge) == (2 if moment == "after" and number == requests - 1 else outcomes[-1])
            assert len(stored(bridge)) == size(state_of(bridge))
    first = outcomes.index(2)
    # It looks at the other type twice, and twice at this one, before it says that it has begun.
    assert first == (4 if moment == "before" else 3) < requests - 3, "from when it has looked at what is there"
    assert set(outcomes[first : requests - 1]) == {2}


def test_a_first_push_does_not_take_away_what_another_one_has_pushed_meanwhile(opa, bridge):
    """Both find nothing; the one that comes second to make the type's document must leave the other's alone."""
    seen = []

    def at(_number, line, now):
        if now == "before" and line.startswith("PUT") and not seen:
            seen.append("pushed")
            bridge.push("devices", pusher.state(2, RESOURCES))
        elif seen and now != "answered" and line.startswith(("PUT", "GET", "DELETE")):
            seen.append(state_of(bridge))

    with relayed(opa.url, at) as (url, relay), bridge_to(url) as pushing:
        pushing.push("devices", pusher.state(1, RESOURCES), force=True)
        assert not any(line.startswith("DELETE") for line in relay.lines)
    assert set(seen[1:]) == {2}
    assert state_of(bridge) == 1


@pytest.mark.parametrize("state", ["[]", '{"layout":1}', '{"layout":1,"store":"s","revisions":{},"leases":{}}', "null"])
def test_a_state_that_no_bridge_wrote_is_not_overwritten(bridge, state):
    foreign = f'{{"state":{state}}}'.encode()
    bridge.engine.opa.put_data(TYPE, foreign)
    with pytest.raises(
        ForeignContentError, match=r"`data\.jwt_policy_data\.devices` holds data that no bridge wrote, and is left"
    ):
        bridge.push("devices", [device("b")])
    assert bridge.engine.opa.get_data(TYPE) == json.loads(foreign)


def test_pushers_at_the_same_time_leave_one_of_their_states_whole(opa, bridge):
    bridge.push("devices", pusher.state(0, RESOURCES))
    start = threading.Barrier(2)

    def push(first):
        acknowledged = []
        with bridge_to(opa.url) as pushing:
            start.wait(60)
            for number in range(first, first + 12):
                with contextlib.suppress(PushConflictError):
                    acknowledged.append((pushing.push("devices", pusher.state(number, RESOURCES), force=True), number))
        return acknowledged

    with StoreReader(opa.url, lambda reading: reading.list_allowed(ANYBODY, "devices")) as reader:
        with ThreadPoolExecutor(2) as pool:
            acknowledged = [one for some in pool.map(push, (100, 200)) for one in some]
        reader.wait_for(1)
    revisions = {int(report.revision): number for report, number in acknowledged}
    assert len(revisions) == len(acknowledged) > 0
    # What was acknowledged last is there; or, where a push after it failed, still is.
    assert state_of(bridge) == revisions[max(revisions)]
    assert len(stored(bridge)) == size(state_of(bridge))


def test_changes_from_threads_at_once_are_all_there_that_were_acknowledged(opa, bridge, monkeypatch):
    monkeypatch.setattr(layout, "PAGE", 4)
    monkeypatch.setattr(layout, "SMALL", 3)
    bridge.push("devices", [device("d", n=1)])
    start = threading.Barrier(3)

    def change(thread):
        acknowledged = set()
        with bridge_to(opa.url) as changing:
            start.wait(60)
            for number in range(12):
                with contextlib.suppress(PushConflictError):
                    changing.upsert("devices", [device(f"{thread}-{number}-{n}", n=1, thread=thread) for n in range(3)])
                    acknowledged |= {f"{thread}-{number}-{n}" for n in range(3)}
                with contextlib.suppress(PushConflictError):
                    changing.delete("devices", [f"{thread}-{number}-0"])
                    acknowledged.discard(f"{thread}-{number}-0")
        return acknowledged

    with ThreadPoolExecutor(3) as pool:
        acknowledged = set().union(*pool.map(change, range(3)))
    assert stored(bridge).keys() == acknowledged | {"d"}
    assert set(bridge.list_allowed(GRANTED, "devices").ids) == acknowledged | {"d"}


def test_a_change_finds_out_that_a_push_came_in_between(opa, bridge, monkeypatch):
    """Within each request of it; pages must be divided, for which it asks once more."""
    monkeypatch.setattr(layout, "PAGE", 2)
    monkeypatch.setattr(layout, "SMALL", 1)
    few = [device(f"a{n}", n=1) for n in range(3)]
    upserts = [device(f"b{n}", n=1) for n in range(9)]

    def at(number, _line, now):
        if number == at.number and now == "before":
            at.number = -1
            bridge.push("devices", [device(f"c{n}", n=1) for n in range(5)], force=True)

    with relayed(opa.url, at) as (url, relay), bridge_to(url) as changing:
        at.number = -1
        bridge.push("devices", few)
        changing.upsert("devices", upserts)
        requests = len(relay.lines)
        assert requests == 5  # what is current, what is held, the first ids of two postings, the patch
        for number in range(requests):
            bridge.push("devices", few, force=True)
            relay.lines.clear()
            at.number = number
            changed = changing.upsert("devices", upserts)
            assert changed.added == 9
            assert sorted(stored(bridge)) == [f"b{n}" for n in range(9)] + [f"c{n}" for n in range(5)]


def test_a_change_that_others_always_come_before_changes_nothing(opa, bridge):
    numbers = count()

    def at(_number, line, now):
        if now == "before" and line.startswith("PATCH"):
            bridge.upsert("devices", [device("other", n=next(numbers))])

    bridge.push("devices", [device("a")])
    with (
        relayed(opa.url, at) as (url, _),
        bridge_to(url) as changing,
        pytest.raises(PushConflictError, match="5 times"),
    ):
        changing.upsert("devices", [device("b")])
    assert sorted(stored(bridge)) == ["a", "other"]
