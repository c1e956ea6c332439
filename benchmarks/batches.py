"""The cost of a decision in a batch against a single check."""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING

from bridge import OpaEngine, PolicyBridge, ReferenceEngine, WasmEngine
from bridge.decision import Request
from bridge.opa import ManagedOpa
from bridge.strict_json import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.engines import Engine

CLAIMS = {"sub": "a", "policy": {"version": 2, "devices": {"custom_data": {"user_id": "u1", "tier": 1.5}}}}


def resource(number: int) -> dict[str, object]:
    return {"id": f"d{number}", "custom_data": {"user_id": f"u{number % 2}", "tier": 1.5, "tags": ["a", number]}}


def shapes_of(engine: Engine, items: int) -> dict[str, tuple[Callable[[], object], Callable[[int], object]]]:
    """Return, by the name of the shape, how to check all resources at once and how to check one."""
    bridge = PolicyBridge(engine)
    bridge.install()
    resources = [resource(number) for number in range(items)]
    ids = [str(one["id"]) for one in resources]
    bridge.push("devices", resources)
    requests = [
        Request(claims=encode({**CLAIMS, "sub": str(number)}), type=b'"devices"', resource=encode(one))
        for number, one in enumerate(resources)
    ]
    return {
        "resources": (
            lambda: bridge.check_many(CLAIMS, "devices", resources),
            lambda number: bridge.check(CLAIMS, "devices", resources[number]),
        ),
        "stored ids": (
            lambda: bridge.check_many(CLAIMS, "devices", ids),
            lambda number: bridge.check(CLAIMS, "devices", ids[number]),
        ),
        "requests of other claims": (
            lambda: engine.decide(requests),
            lambda number: engine.decide([requests[number]]),
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000, help="in one batch, at most 1,000")
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args()
    alone_each_round = min(200, chosen.items)
    print(f"one decision in a batch of {chosen.items:,} different ones, half denied / one asked alone\n")
    print(f"{'engine':<12}{'shape':<26}{'ratio':>8}{'min':>8}{'max':>8}{'us alone':>10}")
    with ManagedOpa() as opa:
        for engine in (ReferenceEngine(), WasmEngine(), OpaEngine(opa.url)):
            for shape, (together, alone) in shapes_of(engine, chosen.items).items():
                ratios, singles = [], []
                together()
                for _ in range(chosen.rounds):
                    start = time.perf_counter()
                    for number in range(alone_each_round):
                        alone(number)
                    singles.append((time.perf_counter() - start) / alone_each_round)
                    start = time.perf_counter()
                    together()
                    ratios.append((time.perf_counter() - start) / chosen.items / singles[-1])
                figures = f"{statistics.median(ratios):>8.3f}{min(ratios):>8.3f}{max(ratios):>8.3f}"
                print(f"{engine.name:<12}{shape:<26}{figures}{statistics.median(singles) * 1e6:>10.0f}")


if __name__ == "__main__":
    main()
