"""Many decisions at once, beside one."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

from benchmarks.bench.figure import Figure, Group, Outcome, expect
from benchmarks.bench.fleet import claims, plan, team
from benchmarks.bench.timing import interleaved

if TYPE_CHECKING:
    from benchmarks.bench.world import World

INLINE = Figure("batch", "check_many of 1,000 different inline resources, per decision / one check", 0.06)
STORED = Figure("batch-stored", "the same for stored ids / one check by id", 0.07)


def measure(world: World) -> dict[str, Outcome]:
    # Two constraints; each second one is denied.
    count, bridge, fleet = world.sizes.batch, world.large.bridge, world.fleet
    policy = claims(team=team(0), plan=plan(0))
    resources = [fleet.resource(number, team=team(0)) for number in range(count)]
    half = [number % 2 == 0 for number in range(count)]
    expect("check_many", [each.allow for each in bridge.check_many(policy, "devices", resources)], half)
    ids = [fleet.id(number) for number in range(count)]
    stored = [number % 2 == 0 and number < fleet.page for number in range(count)]
    expect("check_many by ids", [each.allow for each in bridge.check_many(policy, "devices", ids)], stored)
    expect("check by id", bridge.check(policy, "devices", ids[0]).allow, True)  # noqa: FBT003 - a verdict
    one, one_id = cycle(resources), cycle(ids)
    timings = interleaved(
        {
            "check": lambda: bridge.check(policy, "devices", next(one)),
            "check by id": lambda: bridge.check(policy, "devices", next(one_id)),
            "check_many": lambda: bridge.check_many(policy, "devices", resources),
            "check_many by ids": lambda: bridge.check_many(policy, "devices", ids),
        },
        rounds=world.rounds(40),
        calls={"check": 30, "check by id": 30, "check_many": 2, "check_many by ids": 2},
    )
    medians, each = timings.medians(), 1 / count
    return {
        INLINE.name: Outcome(timings.ratio("check_many", "check", factor=each), medians),
        STORED.name: Outcome(
            timings.ratio("check_many by ids", "check by id", factor=each),
            medians,
            {"the same / one check of an inline resource": timings.ratio("check_many by ids", "check", factor=each)},
        ),
    }


GROUP = Group((INLINE, STORED), measure)
