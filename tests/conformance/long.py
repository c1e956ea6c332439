"""The differential test at length: `make conformance-long COUNT=1000000`.

Half of the questions are about the default rule set, half about one with other names. They are drawn in chunks, each by
a seed of its own, which is printed: `--seed` repeats from there. Ends with 1 where deciders differ.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from conformance import tally
from conformance.counterexamples import write_vector
from conformance.deciders import OTHER, Difference, DifferenceError, Panel
from conformance.differential import MOST_EXAMPLES, search
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bridge.errors import BridgeError
from bridge.opa import ManagedOpa
from bridge.policy import PolicySettings

if TYPE_CHECKING:
    from collections.abc import Iterator

_RULE_SETS = (PolicySettings(), OTHER)
_panels: dict[PolicySettings, Panel] = {}
_kept: list[object] = []


@dataclass(frozen=True, slots=True)
class Chunk:
    """What became of the questions of one seed."""

    seed: int
    settings: PolicySettings
    pairs: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    differences: tuple[Difference, ...] = ()
    error: str = ""


def compared(seed: int, examples: int, alone: int) -> Chunk:
    """Ask the questions of one seed, in a process that keeps its own OPA."""
    settings = _RULE_SETS[seed % len(_RULE_SETS)]
    layer = str(seed)
    try:
        pairs = search(_panel(settings), seed=seed, examples=examples, alone=alone, layer=layer)
    except DifferenceError as differs:
        return Chunk(seed, settings, differences=tuple(differs.differences))
    except BridgeError as error:
        return Chunk(seed, settings, error="\n".join([repr(error), *getattr(error, "__notes__", [])]))
    return Chunk(seed, settings, pairs, tally.COMPARED.pop(layer))


def _panel(settings: PolicySettings) -> Panel:
    if not _panels:
        opa, folder = ManagedOpa(), tempfile.TemporaryDirectory()
        _kept.extend((opa, folder))  # as long as the process
        for number, known in enumerate(_RULE_SETS):
            path = Path(folder.name) / str(number)
            path.mkdir()
            _panels[known] = Panel((opa.url, opa.url), known, path)
    return _panels[settings]


def main() -> int:
    """Ask until there are enough; 0 when no two deciders differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--count", type=int, default=1_000_000, help="how many pairs, at least; no two of a chunk are alike"
    )
    parser.add_argument("--seed", type=int, default=tally.seed(), help="of the first chunk; later ones count on")
    parser.add_argument(
        "--chunk", type=int, default=MOST_EXAMPLES // 2, help=f"examples a chunk, at most {MOST_EXAMPLES:,}"
    )
    parser.add_argument("--alone", type=int, default=50, help="of each 1,000 questions, asked one at a time as well")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", action="store_true", help="write a counterexample as a file of tests/vectors")
    chosen = parser.parse_args()
    if not 0 < chosen.chunk <= MOST_EXAMPLES:
        parser.error(f"--chunk is from 1 to {MOST_EXAMPLES:,}")
    console = Console(soft_wrap=True)
    began = time.monotonic()
    pairs: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("pairs"), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=chosen.count)
        for chunk in _chunks(chosen):
            name = "default" if chunk.settings == PolicySettings() else "other"
            console.print(f"seed {chunk.seed}, {name} rule set: {_said(chunk)}", markup=False, highlight=False)
            if chunk.differences or chunk.error:
                if chunk.differences and chosen.write:
                    console.print(f"written: {write_vector(chunk.settings, chunk.differences[0])}", highlight=False)
                return 1
            pairs[name] += chunk.pairs
            answers += chunk.answers
            progress.advance(task, chunk.pairs)
    shares = ", ".join(f"{number:,} {name}" for name, number in pairs.items())
    console.print(
        f"\n{pairs.total():,} pairs, no two of a chunk alike ({shares}), on the reference and {len(answers)} deciders, "
        f"{answers.total():,} answers compared, 0 differences, seeds from {chosen.seed} on, "
        f"{time.monotonic() - began:,.0f} s",
        highlight=False,
    )
    for decider, number in answers.most_common():
        console.print(f"  {decider:<24}{number:>12,}", highlight=False)
    return 0


def _said(chunk: Chunk) -> str:
    if chunk.error:
        return f"FAILED: {chunk.error}"
    if chunk.differences:
        return "\n".join(["DIFFERENCES:", *map(str, chunk.differences)])
    return f"{chunk.pairs:,} pairs, {chunk.answers.total():,} answers, 0 differences"


def _chunks(chosen: argparse.Namespace) -> Iterator[Chunk]:
    """The chunks that are needed, as many at a time as there are processes."""
    seeds = itertools.count(chosen.seed)
    pairs = 0
    running: set[Future[Chunk]] = set()
    with ProcessPoolExecutor(chosen.processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        while True:
            # An example is two questions on average, or a little less.
            while len(running) < chosen.processes and pairs + len(running) * chosen.chunk * 2 < chosen.count:
                running.add(pool.submit(compared, next(seeds), chosen.chunk, chosen.alone))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                pairs += future.result().pairs
                yield future.result()


if __name__ == "__main__":
    sys.exit(main())
