"""A change of one resource, beside a raw PATCH of one."""

from __future__ import annotations

import json
from collections import deque
from itertools import count
from typing import TYPE_CHECKING

from benchmarks.bench.figure import Figure, Group, Outcome, expect
from benchmarks.bench.fleet import USER_HITS, claims, user
from benchmarks.bench.timing import interleaved
from benchmarks.bench.wire import PoolFloor
from benchmarks.bench.world import PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench.world import World

UPSERT = Figure("upsert", "upsert that changes one of three indexed members, reads included / a raw PATCH of one", 6)

_MEMBERS = ("user_id", "team", "plan")


def measure(world: World) -> dict[str, Outcome]:
    fleet, bridge = world.fleet, world.large.bridge
    pool = PoolFloor(world.plain.url)
    numbers = iter(count(fleet.count // 2))
    changed: deque[tuple[int, str, str]] = deque()

    def other(member: str, number: int) -> str:
        """Return another value for a member, one that many other resources have."""
        own: str = fleet.resource(number)["custom_data"][member]
        if member == "plan":
            return "free" if own == "paid" else "paid"
        there = (fleet.users if member == "user_id" else fleet.teams) - 1
        return own[0] + str((int(own[1:]) + 3) % (there + 1))

    def upsert(member: str) -> None:
        number = next(numbers) % fleet.count
        value = other(member, number)
        bridge.upsert("devices", [fleet.resource(number, **{member: value})])
        changed.append((number, member, value))

    def patch() -> None:
        number = next(numbers) % fleet.count
        resource = fleet.resource(number, user_id=other("user_id", number))
        operation = {"op": "add", "path": f"/{resource['id']}", "value": resource}
        pool.send("PATCH", PLAIN, json.dumps([operation]).encode())

    _see(world, upsert, changed)
    calls = {f"upsert, {member}": _of(upsert, member) for member in _MEMBERS}
    timings = interleaved({**calls, "raw PATCH": patch}, rounds=world.rounds(40), calls=5, warm=10)
    _put_back(world, changed)
    pool.close()
    medians = timings.medians()
    worst = max(calls, key=lambda name: medians[name])
    return {
        UPSERT.name: Outcome(
            timings.ratio(worst, "raw PATCH"),
            medians,
            {f"{name} / raw PATCH": timings.ratio(name, "raw PATCH") for name in calls},
            note=f"of the three members that can change, the worst: {worst}",
        )
    }


def _of(upsert: Callable[[str], None], member: str) -> Callable[[], None]:
    return lambda: upsert(member)


def _see(world: World, upsert: Callable[[str], None], changed: deque[tuple[int, str, str]]) -> None:
    """Check that a change takes effect: the device leaves one list and enters another."""
    fleet, bridge = world.fleet, world.large.bridge
    upsert("user_id")
    number, _, value = changed[-1]
    id_, before = fleet.id(number), claims(user_id=user(number // USER_HITS))
    expect("list before", id_ in bridge.list_allowed(before, "devices").ids, wanted=False)
    expect("list after", id_ in bridge.list_allowed(claims(user_id=value), "devices").ids, wanted=True)


def _put_back(world: World, changed: deque[tuple[int, str, str]]) -> None:
    """Restore the resources that other figures expect."""
    numbers = sorted({number for number, *_ in changed})
    for start in range(0, len(numbers), 50):
        some = [world.fleet.resource(number) for number in numbers[start : start + 50]]
        world.large.bridge.upsert("devices", some)


GROUP = Group((UPSERT,), measure)
