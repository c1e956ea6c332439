"""Times queries designed to be costly in the embedded engine against plain ones of the same size."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from typing import TYPE_CHECKING

from costly_queries import MOST, shapes

from bridge import WasmEngine
from bridge.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.decision import Request


def seconds(engine: WasmEngine, requests: Sequence[Request], calls: int) -> float:
    """Return the CPU seconds of a call of `decide`."""
    began = time.process_time()
    for _ in range(calls):
        engine.decide(requests)
    return (time.process_time() - began) / calls


def raw_seconds(engine: WasmEngine, requests: Sequence[Request]) -> float:
    """Return the seconds that Wasm takes for the first request without trimming."""
    began = time.perf_counter()
    try:
        engine.query("decision", requests[0].text)
    except EngineError:
        return float("inf")
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--raw", action="store_true", help="time Wasm with each whole question as well, up to 10 s each"
    )
    chosen = parser.parse_args()
    engine = WasmEngine()
    engine.store.replace("devices", {})
    worst = 0.0
    print(f"{'ratio to a plain question of the same size':<66}{'median':>8}{'min':>8}{'max':>8}{'ms':>10}  decided by")
    for shape in shapes():
        ours, theirs = shape.requests(), shape.plain()
        by = "+".join(sorted({decision.engine for decision in engine.decide(ours)}))
        engine.decide(theirs)
        calls = max(1, min(200, int(0.02 / seconds(engine, theirs, 1))))
        ratios, spent = [], []
        for turn in range(chosen.rounds):
            if turn % 2:
                plain, made = seconds(engine, theirs, calls), seconds(engine, ours, calls)
            else:
                made, plain = seconds(engine, ours, calls), seconds(engine, theirs, calls)
            ratios.append(made / plain)
            spent.append(made)
        median = statistics.median(ratios)
        worst = max(worst, median)
        raw = f"  whole in Wasm: {raw_seconds(engine, ours) * 1e3:.1f} ms" if chosen.raw else ""
        print(
            f"{shape.name:<66}{median:>8.2f}{min(ratios):>8.2f}{max(ratios):>8.2f}"
            f"{statistics.median(spent) * 1e3:>10.2f}  {by}{raw}",
            flush=True,
        )
    print(f"\nthe worst is {worst:.1f}, and {MOST} is the limit: {'holds' if worst <= MOST else 'MISSED'}")
    sys.exit(worst > MOST)


if __name__ == "__main__":
    main()
