"""Measures the figures that the project promises, ours and the peers', interleaved in one run on the same data.

Starts OPA servers on the loopback address, prints each figure as a ratio of medians with the quartiles of the rounds'
own ratios, its limit and whether it holds, and writes figures.json, figures.md and plots. A missed limit does
not fail the run: the exit status is 1 only if a figure could not be measured.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.bench import (
    batches,
    changes,
    checks,
    in_process,
    lists,
    machine,
    memory,
    pages,
    pushes,
    throughput,
)
from benchmarks.bench.figure import Group, NotMeasurableError
from benchmarks.bench.plots import draw
from benchmarks.bench.report import Line, as_json, markdown, sides, table
from benchmarks.bench.world import Sizes, World

# Figures that need no large store come first, so that the store does not slow them.
GROUPS: Final = (
    in_process.GROUP,
    checks.GROUP,
    throughput.THREAD_GROUP,
    throughput.TASK_GROUP,
    pushes.GROUP,
    memory.GROUP,
    batches.GROUP,
    lists.GROUP,
    pages.GROUP,
    changes.GROUP,
    lists.SCAN_GROUP,
)
ORDER: Final = (
    *("check", "check-peer", "batch", "batch-stored", "list", "list-growth", "page", "list-two", "push", "memory"),
    *("memory-swap", "upsert", "wasm", "reference", "threads", "tasks", "list-scan"),
)
SIZES: Final = {"small": 10_000, "full": 1_000_000}


def main() -> int:
    names = [figure.name for group in GROUPS for figure in group.figures]
    assert sorted(names) == sorted(ORDER)
    chosen = _arguments(names)
    count = SIZES.get(chosen.size) or int(chosen.size)
    page = chosen.page or min(10_000, count // 10)
    sizes = Sizes(count, page, 1_000, chosen.pushes or (3 if count > 100_000 else 5), chosen.scale)
    chosen.out.mkdir(parents=True, exist_ok=True)
    begun = datetime.now(UTC)
    run = {
        "command": shlex.join(["python", "-m", "benchmarks.bench", *sys.argv[1:]]),
        "begun": begun.isoformat(timespec="seconds"),
        "resources": count,
        "page": page,
        "batch": sizes.batch,
        "pushes": sizes.pushes,
        "scale": sizes.scale,
        "seed": chosen.seed,
        **machine.described(),
    }
    lines: dict[str, Line] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        world = World(sizes, chosen.seed, Path(folder))
        try:
            for group in GROUPS:
                if wanted := [figure.name for figure in group.figures if figure.name in (chosen.only or names)]:
                    lines |= {name: line for name, line in _measured(world, group).items() if name in wanted}
        finally:
            world.close()
    shown = [lines[name] for name in ORDER if name in lines]
    run["seconds"] = round((datetime.now(UTC) - begun).total_seconds())
    (chosen.out / "figures.json").write_text(as_json(shown, run), encoding="utf-8")
    (chosen.out / "figures.md").write_text(markdown(shown) + "\n", encoding="utf-8")
    draw(shown, chosen.out)
    _print(shown, run, chosen.out)
    return 1 if any(line.failed for line in shown) else 0


def _measured(world: World, group: Group) -> dict[str, Line]:
    names = ", ".join(figure.name for figure in group.figures)
    world.tell(f"measuring {names}")
    start = time.perf_counter()
    try:
        outcomes = group.measure(world)
    except NotMeasurableError as missing:
        return {figure.name: Line(figure, why=str(missing)) for figure in group.figures}
    except Exception as error:  # noqa: BLE001 - one failed figure must not stop the others
        why = f"{type(error).__name__}: {error}"
        world.tell(f"{names} FAILED: {why}")
        return {figure.name: Line(figure, why=why, failed=True) for figure in group.figures}
    world.tell(f"{names}: {time.perf_counter() - start:.0f} s")
    return {figure.name: Line(figure, outcomes[figure.name]) for figure in group.figures}


def _print(lines: list[Line], run: dict[str, object], out: Path) -> None:
    print(f"{run['resources']:,} resources, seed {run['seed']}; {run['cores']} cores of {run['cpu']}, OPA {run['opa']}")
    if run["resources"] != SIZES["full"]:
        print(f"The limits are for {SIZES['full']:,} resources (--size full).")
    print()
    print(table(lines))
    print()
    print(sides(lines))
    missed = [line.figure.name for line in lines if line.verdict == "MISSED"]
    print()
    print(f"{len(missed)} missed: {', '.join(missed)}" if missed else "None is missed.")
    for line in lines:
        if line.outcome is None:
            print(f"{line.verdict}: {line.figure.name}: {line.why}")
    print(f"Written to {out}: figures.json, figures.md, *.svg")


def _arguments(names: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--size",
        default="small",
        metavar="small|full|N",
        type=_size,
        help="the number of resources in the large store: 10,000, 1,000,000, or an even number (default: small)",
    )
    parser.add_argument("--page", type=int, help="the number of ids in a full page (default: 10,000, at most a tenth)")
    parser.add_argument("--pushes", type=int, help="rounds of whole pushes (default: 5, or 3 above 100,000)")
    parser.add_argument("--scale", type=float, default=1.0, help="times as many rounds of everything else (default: 1)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only",
        action="append",
        choices=names,
        metavar="NAME",
        help=f"measure only this figure; can be repeated: {', '.join(names)}",
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="where results are written")
    return parser.parse_args()


def _size(text: str) -> str:
    if text not in SIZES and not (text.isdecimal() and int(text) >= 1_000 and int(text) % 2 == 0):
        raise argparse.ArgumentTypeError("`small`, `full`, or an even number from 1,000 on")
    return text


if __name__ == "__main__":
    sys.exit(main())
