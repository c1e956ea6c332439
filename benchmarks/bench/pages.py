"""A full page of a list, beside a plain GET of a document with the same ids."""

from __future__ import annotations

import json
from itertools import cycle
from typing import TYPE_CHECKING

from benchmarks.bench.figure import Figure, Group, Outcome, expect
from benchmarks.bench.fleet import claims, team
from benchmarks.bench.timing import interleaved
from benchmarks.bench.wire import PoolFloor, recorded

if TYPE_CHECKING:
    from benchmarks.bench.world import World

_TEAMS = 10

PAGE = Figure("page", "list_allowed of a page full, one constraint / raw GET of a document of the same ids", 2.5)


def measure(world: World) -> dict[str, Outcome]:
    fleet, server = world.fleet, world.large
    pool, replay = PoolFloor(world.plain.url), PoolFloor(server.url)
    numbers = range(min(_TEAMS, fleet.teams))
    policies = [claims(team=team(number)) for number in numbers]
    for number in numbers:
        wanted = fleet.ids_of_team(number)
        pool.send("PUT", f"/v1/data/page/t{number}", json.dumps(wanted).encode())
        listing = server.bridge.list_allowed(policies[number], "devices", limit=fleet.page)
        expect("list_allowed", list(listing.ids), wanted)
        expect("raw GET", json.loads(pool.send("GET", f"/v1/data/page/t{number}"))["result"], wanted)

    def listed(url: str) -> None:
        with server.new_bridge(url) as bridge:
            bridge.list_allowed(policies[0], "devices", limit=fleet.page)

    sent = recorded(server.url, listed)
    lists, gets, parsed = cycle(policies), cycle(numbers), cycle(numbers)
    timings = interleaved(
        {
            "list": lambda: server.bridge.list_allowed(next(lists), "devices", limit=fleet.page),
            "raw GET": lambda: pool.send("GET", f"/v1/data/page/t{next(gets)}"),
            "raw GET and json": lambda: json.loads(pool.send("GET", f"/v1/data/page/t{next(parsed)}")),
            "the list's own bytes": lambda: [replay.send(each.method, each.target, each.body) for each in sent],
        },
        rounds=world.rounds(40),
        calls=5,
    )
    pool.close()
    replay.close()
    return {
        PAGE.name: Outcome(
            timings.ratio("list", "raw GET"),
            timings.medians(),
            {
                "list / raw GET and json.loads": timings.ratio("list", "raw GET and json"),
                "list / urllib3's pool sending the same bytes": timings.ratio("list", "the list's own bytes"),
            },
            note=f"{fleet.page:,} ids, {len(sent)} queries",
        )
    }


GROUP = Group((PAGE,), measure)
