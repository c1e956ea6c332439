"""`make mutants`: exit with 1 unless every mutant of both sides is killed or listed as equivalent."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mutation.changed import UnknownRevisionError, changed_since, default_base
from mutation.equivalents import listed
from mutation.mutants import Key, Mutant, Slice, Verdict
from mutation.python_side import PythonSide
from mutation.rego_side import RegoSide
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROOT: Final = Path(__file__).resolve().parent.parent.parent
_KILLED: Final = frozenset((Verdict.KILLED, Verdict.TIMED_OUT))
_EVERY: Final = 30.0
CONSOLE: Final = Console(highlight=False, soft_wrap=True, markup=False)


@dataclass
class Tally:
    """The results of a side's mutants."""

    side: str
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    equivalent: int = 0
    bad: list[tuple[str, Key]] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, mutant: Mutant, verdict: Verdict, reasons: Mapping[Key, str]) -> None:
        if mutant.key in reasons and verdict is Verdict.SURVIVED:
            self.equivalent += 1
            return
        self.verdicts[verdict] += 1
        if mutant.key in reasons:
            self.fault(f"listed as equivalent, but {verdict}", mutant.key)
        elif verdict not in (*_KILLED, Verdict.NO_MUTANT):
            self.fault(verdict, mutant.key)

    def fault(self, what: str, key: Key) -> None:
        self.bad.append((what, key))
        CONSOLE.print(f"{what}: {key}")

    def __str__(self) -> str:
        killed = sum(self.verdicts[verdict] for verdict in _KILLED)
        survived = self.verdicts[Verdict.SURVIVED]
        text = f"{self.side}: killed {killed}, equivalent {self.equivalent}, survived {survived}"
        for verdict in (Verdict.NO_TESTS, Verdict.SUSPICIOUS):
            if self.verdicts[verdict]:
                text += f", {verdict} {self.verdicts[verdict]}"
        if self.verdicts[Verdict.TIMED_OUT]:
            text += f"; of the killed {self.verdicts[Verdict.TIMED_OUT]} ran out of time, again when alone"
        if self.verdicts[Verdict.NO_MUTANT]:
            text += f"; {self.verdicts[Verdict.NO_MUTANT]} more do not compile and are no mutants"
        return f"{text} ({self.seconds:.0f} s)"


def judged(side: RegoSide | PythonSide, wanted: Slice, reasons: Mapping[Key, str]) -> Tally:
    """Judge the mutants of one side that are in the slice, and return the tally."""
    began = time.monotonic()
    tally = Tally(side.name)
    chosen = [mutant for mutant in side.mutants(wanted) if wanted.takes(mutant.key)]
    CONSOLE.print(f"{side.name}: running the tests without a mutant")
    side.check(chosen)
    for mutant, verdict in shown(side.name, side.judge(chosen), len(chosen)):
        tally.count(mutant, verdict, reasons)
    made = {mutant.key for mutant in chosen}
    for key in reasons:
        if side.makes(key.file) and wanted.takes(key) and key not in made:
            tally.fault("listed as equivalent, but not made any more", key)
    tally.seconds = time.monotonic() - began
    return tally


def shown(name: str, results: Iterable[tuple[Mutant, Verdict]], total: int) -> Iterator[tuple[Mutant, Verdict]]:
    """Yield the results and show the progress: a bar on a terminal, elsewhere a line every 30 s."""
    if CONSOLE.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=CONSOLE, transient=True) as progress:
            yield from progress.track(results, total=total, description=name)
        return
    last = time.monotonic()
    for number, result in enumerate(results, 1):
        yield result
        if number == total or time.monotonic() - last >= _EVERY:
            last = time.monotonic()
            CONSOLE.print(f"{name}: {number} of {total}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m mutation", description=__doc__)
    parser.add_argument("--side", choices=("rego", "python"), help="one side alone")
    parser.add_argument("--only", default="", metavar="TEXT", help="only files whose names contain TEXT")
    parser.add_argument(
        "--within", default="", metavar="TEXT", help="only functions and rules whose names contain TEXT"
    )
    parser.add_argument("--jobs", type=int, default=2, help="how many mutants are judged at a time (2)")
    parser.add_argument("--opa", type=Path, default=Path("opa"), help="the opa that judges the Rego (from PATH)")
    parser.add_argument("--changed", action="store_true", help="only files that differ from the base")
    parser.add_argument(
        "--base", metavar="REV", help="what --changed compares with (where HEAD left origin/main; without one, HEAD~1)"
    )
    arguments = parser.parse_args()
    wanted = Slice(arguments.only, within=arguments.within)
    if arguments.changed or arguments.base:
        try:
            base = arguments.base or default_base(ROOT)
            wanted = Slice(arguments.only, changed_since(ROOT, base), arguments.within)
        except UnknownRevisionError as error:
            parser.error(str(error))
        CONSOLE.print(f"only files that differ from {base}")
    reasons = listed()
    tallies = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        for side in ("rego", "python"):
            if arguments.side in (None, side) and wanted.has(".rego" if side == "rego" else ".py"):
                folder = Path(name) / side
                folder.mkdir()
                made = (
                    RegoSide(ROOT, folder, arguments.opa, arguments.jobs)
                    if side == "rego"
                    else PythonSide(ROOT, folder, arguments.jobs)
                )
                tallies.append(judged(made, wanted, reasons))
    for tally in tallies:
        CONSOLE.print(str(tally))
    if not tallies:
        CONSOLE.print("no file of the slice has mutants")
    return 1 if any(tally.bad for tally in tallies) else 0


if __name__ == "__main__":
    sys.exit(main())
