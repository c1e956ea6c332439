"""The memory of OPA's process: with and without the index, and while a push replaces another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.bench.figure import Figure, Group, Outcome
from benchmarks.bench.servers import Server
from benchmarks.bench.timing import Rounds

if TYPE_CHECKING:
    from benchmarks.bench.world import World

INDEX = Figure("memory", "OPA's memory with the index / without (the same resources by a plain PUT)", 1.8, unit="B")
SWAP = Figure("memory-swap", "OPA's peak memory during a swap / before, both with index", 2.3, unit="B")

_NOTE = "VmRSS and VmHWM of OPA's process; before each reading Go collects, and what it gives back is waited for"


def measure(world: World) -> dict[str, Outcome]:
    sizes = Rounds({name: [] for name in ("with", "without", "live with", "live without", "peak")})
    peaks_plain = Rounds({"plain before": [], "plain peak": []})
    for number in range(max(1, world.sizes.pushes // 2)):
        world.tell(f"memory, round {number + 1}: without index")
        with Server() as server:
            world.push_plainly(world.file, server)
            server.collect()
            sizes.sides["without"].append(server.memory("VmRSS"))
            sizes.sides["live without"].append(server.live())
            server.forget_peak()
            world.push_plainly(world.file, server)
            peaks_plain.sides["plain before"].append(sizes.sides["without"][-1])
            peaks_plain.sides["plain peak"].append(server.memory("VmHWM"))
        world.tell(f"memory, round {number + 1}: with index, then a swap")
        with Server() as server:
            world.push(world.file, server)
            server.collect()
            sizes.sides["with"].append(server.memory("VmRSS"))
            sizes.sides["live with"].append(server.live())
            server.forget_peak()
            world.push(world.file, server)
            sizes.sides["peak"].append(server.memory("VmHWM"))
    medians = sizes.medians()
    return {
        INDEX.name: Outcome(
            sizes.ratio("with", "without"),
            {name: medians[name] for name in ("with", "without", "live with", "live without")},
            {"the same of Go's live heap": sizes.ratio("live with", "live without")},
            note=_NOTE,
        ),
        SWAP.name: Outcome(
            sizes.ratio("peak", "with"),
            {"peak": medians["peak"], "before": medians["with"]},
            {"a plain PUT in place of another: peak / before": peaks_plain.ratio("plain peak", "plain before")},
            note=_NOTE,
        ),
    }


GROUP = Group((INDEX, SWAP), measure)
