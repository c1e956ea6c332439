"""A check without a server, beside peers that need none."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

from benchmarks.bench.figure import Figure, Group, Outcome, expect
from benchmarks.bench.fleet import claims, plan, user
from benchmarks.bench.peers import Casbin, Cedar
from benchmarks.bench.timing import interleaved
from bridge import PolicyBridge, ReferenceEngine, WasmEngine

if TYPE_CHECKING:
    from benchmarks.bench.world import World

WASM = Figure("wasm", "Wasm check / cedarpy with a PolicySet parsed once, entities built per call", 0.6)
REFERENCE = Figure("reference", "reference check / pycasbin's enforce of its simplest rule", 0.5)

_RESOURCES = 200


def measure(world: World) -> dict[str, Outcome]:
    wanted = {"user_id": user(1), "plan": plan(0)}
    policy = claims(**wanted)
    resources = [world.small_fleet.resource(number, user_id=user(1)) for number in range(_RESOURCES)]
    wasm, reference = PolicyBridge(WasmEngine()), PolicyBridge(ReferenceEngine())
    cedar, casbin = Cedar(wanted), Casbin(wanted, resources[0]["id"])
    for number, resource in enumerate(resources):
        allowed = number % 2 == 0
        expect("wasm", wasm.check(policy, "devices", resource).allow, allowed)
        expect("reference", reference.check(policy, "devices", resource).allow, allowed)
        expect("cedarpy", cedar.allows(policy, resource), allowed)
        expect("cedarpy, one token", cedar.allows_one(cedar.for_one, resource), allowed)
        expect("cedarpy, text", cedar.allows_one(cedar.text, resource), allowed)
        expect("pycasbin", casbin.by_attributes(resource), allowed)
        expect("pycasbin, simplest", casbin.simplest(resource["id"]), number == 0)
    turns = [cycle(resources) for _ in range(7)]
    timings = interleaved(
        {
            "wasm": lambda: wasm.check(policy, "devices", next(turns[0])),
            "reference": lambda: reference.check(policy, "devices", next(turns[1])),
            "cedarpy, parsed once": lambda: cedar.allows(policy, next(turns[2])),
            "cedarpy, parsed for one token": lambda: cedar.allows_one(cedar.for_one, next(turns[3])),
            "cedarpy, text a call": lambda: cedar.allows_one(cedar.text, next(turns[4])),
            "pycasbin, simplest": lambda: casbin.simplest(next(turns[5])["id"]),
            "pycasbin, attributes": lambda: casbin.by_attributes(next(turns[6])),
        },
        rounds=world.rounds(60),
        calls=100,
        warm=200,
    )
    medians = timings.medians()
    return {
        WASM.name: Outcome(
            timings.ratio("wasm", "cedarpy, parsed once"),
            medians,
            {
                "Wasm check / cedarpy given the text of the token's policy": timings.ratio(
                    "wasm", "cedarpy, text a call"
                ),
                "Wasm check / cedarpy with that text parsed, for this one token": timings.ratio(
                    "wasm", "cedarpy, parsed for one token"
                ),
            },
        ),
        REFERENCE.name: Outcome(
            timings.ratio("reference", "pycasbin, simplest"),
            medians,
            {"reference check / pycasbin comparing attributes": timings.ratio("reference", "pycasbin, attributes")},
        ),
    }


GROUP = Group((WASM, REFERENCE), measure)
