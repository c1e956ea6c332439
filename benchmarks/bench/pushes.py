"""A push of all resources, beside a plain script."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks.bench.figure import Figure, Group, Outcome, expect
from benchmarks.bench.fleet import claims, user
from benchmarks.bench.servers import Server
from benchmarks.bench.timing import Rounds
from benchmarks.bench.wire import PoolFloor
from benchmarks.bench.world import PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench.world import World

PUSH = Figure("push", "push from JSON Lines, checks and index included / a plain script: json, dumps, PUT", 2.5)


def measure(world: World) -> dict[str, Outcome]:
    for file in (world.file, world.changed_file):
        file.stat()  # written before anything is timed
    timings = Rounds({"push": [], "push over another": [], "plain script": []})
    for number in range(world.sizes.pushes):
        for side in (_push, _put) if number % 2 else (_put, _push):
            world.tell(f"{side.__name__[1:]}, round {number + 1} of {world.sizes.pushes}")
            side(world, timings)
    return {
        PUSH.name: Outcome(
            timings.ratio("push", "plain script"),
            timings.medians(),
            {
                "push in place of others, one in 100 of them different / plain script": timings.ratio(
                    "push over another", "plain script"
                )
            },
            note="whole processes, each to a fresh OPA; below 1,000,000 the start of Python counts",
        )
    }


def _push(world: World, timings: Rounds) -> None:
    with Server() as server:
        timings.sides["push"].append(_seconds(lambda: world.push(world.file, server)))
        _see_pushed(world, server)
        timings.sides["push over another"].append(_seconds(lambda: world.push(world.changed_file, server)))
        _see_pushed(world, server)


def _put(world: World, timings: Rounds) -> None:
    with Server() as server:
        timings.sides["plain script"].append(_seconds(lambda: world.push_plainly(world.file, server)))
        _see_put(world, server)


def _seconds(push: Callable[[], None]) -> float:
    start = time.perf_counter()
    push()
    return time.perf_counter() - start


def _see_pushed(world: World, server: Server) -> None:
    wanted = world.fleet.ids_of_user(3)
    expect("after the push", list(server.bridge.list_allowed(claims(user_id=user(3)), "devices").ids), wanted)


def _see_put(world: World, server: Server) -> None:
    floor = PoolFloor(server.url)
    stored = floor.send("GET", f"{PLAIN}/{world.fleet.id(0)}/custom_data/user_id")
    floor.close()
    expect("after the plain script", stored.strip(), b'{"result":"u0"}')


GROUP = Group((PUSH,), measure)
