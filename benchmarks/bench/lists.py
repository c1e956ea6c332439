"""Lists of a few ids among many, beside one check by id."""

from __future__ import annotations

import json
from itertools import cycle
from typing import TYPE_CHECKING

from benchmarks.bench.figure import Figure, Group, Outcome, expect
from benchmarks.bench.fleet import USER_HITS, claims, plan, user
from benchmarks.bench.timing import interleaved
from benchmarks.bench.wire import PoolFloor

if TYPE_CHECKING:
    from benchmarks.bench.world import World

_USERS = 300
_SCAN = "/v1/data/scan/visible"

CHECK = Figure("list", "list_allowed with 10 hits / check by stored id", 1.4)
GROWTH = Figure("list-growth", "list_allowed with 10 hits in all / in 10,000", 1.2)
TWO = Figure("list-two", "list_allowed, two constraints of half of all and 10 hits / one of 10 hits", 1.5)
SCAN = Figure("list-scan", "list_allowed with 10 hits / a scan in Rego as OPA's documentation shows it")


def measure(world: World) -> dict[str, Outcome]:
    fleet, small_fleet = world.fleet, world.small_fleet
    large, small = world.large.bridge, world.small.bridge
    step, small_step = max(1, fleet.users // _USERS), max(1, small_fleet.users // _USERS)
    users = range(0, fleet.users, step)
    one = [claims(user_id=user(number)) for number in users]
    one_small = [claims(user_id=user(number)) for number in range(0, small_fleet.users, small_step)]
    two = [claims(user_id=user(number), plan=plan(0)) for number in users]
    ids = [fleet.id(number * USER_HITS) for number in users]
    for number, policy, both, id_ in zip(users, one, two, ids, strict=True):
        listing = large.list_allowed(policy, "devices")
        expect("list_allowed", list(listing.ids), fleet.ids_of_user(number))
        expect("list_allowed, complete", listing.complete, wanted=True)
        wanted = sorted(fleet.id(each) for each in range(number * USER_HITS, (number + 1) * USER_HITS, 2))
        expect("list_allowed, two", list(large.list_allowed(both, "devices").ids), wanted)
        expect("check by id", large.check(policy, "devices", id_).allow, wanted=True)
    ones, ones_small, twos, pairs = cycle(one), cycle(one_small), cycle(two), cycle(zip(one, ids, strict=True))
    timings = interleaved(
        {
            "list in all": lambda: large.list_allowed(next(ones), "devices"),
            "list in 10,000": lambda: small.list_allowed(next(ones_small), "devices"),
            "list of two": lambda: large.list_allowed(next(twos), "devices"),
            "check by id": lambda: large.check(*_check_arguments(next(pairs))),
        },
        rounds=world.rounds(60),
        calls=30,
        warm=50,
    )
    medians = timings.medians()
    return {
        CHECK.name: Outcome(timings.ratio("list in all", "check by id"), medians),
        GROWTH.name: Outcome(timings.ratio("list in all", "list in 10,000"), medians),
        TWO.name: Outcome(timings.ratio("list of two", "list in all"), medians),
    }


def _check_arguments(pair: tuple[dict[str, object], str]) -> tuple[dict[str, object], str, str]:
    return pair[0], "devices", pair[1]


def measure_scan(world: World) -> dict[str, Outcome]:
    fleet, bridge = world.fleet, world.large.bridge
    policy = claims(user_id=user(7))
    body = json.dumps({"input": {"claims": policy}}).encode()
    pool = PoolFloor(world.plain.url)
    world.tell("scanning once, which takes its time")
    expect("scan", sorted(json.loads(pool.send("POST", _SCAN, body))["result"]), fleet.ids_of_user(7))
    expect("list_allowed", list(bridge.list_allowed(policy, "devices").ids), fleet.ids_of_user(7))
    timings = interleaved(
        {
            "list": lambda: bridge.list_allowed(policy, "devices"),
            "scan": lambda: pool.send("POST", _SCAN, body),
        },
        rounds=3 if fleet.count > 100_000 else world.rounds(10),
        calls={"list": 30, "scan": 1},
        warm=1,
    )
    pool.close()
    return {SCAN.name: Outcome(timings.ratio("list", "scan"), timings.medians())}


GROUP = Group((CHECK, GROWTH, TWO), measure)
SCAN_GROUP = Group((SCAN,), measure_scan)
