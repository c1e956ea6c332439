"""A push of everything, beside a plain script."""

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
    from pathlib import Path

    from benchmarks.bench.world import World

PUSH = Figure("push", "push from JSON Lines, checks and index included / a plain script: json, dumps, PUT", 2.5)


def measure(world: World) -> dict[str, Outcome]:
    file = world.file
    found = Rounds({"push": [], "plain script": []})
    for number in range(world.sizes.pushes):
        sides = (("push", world.push, _see_pushed), ("plain script", world.push_plainly, _see_put))
        for name, push, see in sides if number % 2 else reversed(sides):
            world.tell(f"{name}, round {number + 1} of {world.sizes.pushes}")
            found.sides[name].append(_seconds(world, file, push, see))
    return {
        PUSH.name: Outcome(
            found.ratio("push", "plain script"),
            found.medians(),
            note="whole processes, each to a fresh OPA; below 1,000,000 the start of Python counts",
        )
    }


def _seconds(
    world: World,
    file: Path,
    push: Callable[[Path, Server], None],
    see: Callable[[World, Server], None],
) -> float:
    with Server() as server:
        start = time.perf_counter()
        push(file, server)
        taken = time.perf_counter() - start
        see(world, server)
        return taken


def _see_pushed(world: World, server: Server) -> None:
    wanted = world.fleet.ids_of_user(3)
    expect("after the push", list(server.bridge.list_allowed(claims(user_id=user(3)), "devices").ids), wanted)


def _see_put(world: World, server: Server) -> None:
    floor = PoolFloor(server.url)
    found = floor.send("GET", f"{PLAIN}/{world.fleet.id(0)}/custom_data/user_id")
    floor.close()
    expect("after the plain script", found.strip(), b'{"result":"u0"}')


GROUP = Group((PUSH,), measure)
