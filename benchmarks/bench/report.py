"""The results of a run as a table for the terminal, a table for Markdown, and JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench.figure import Figure, Outcome
    from benchmarks.bench.timing import Ratio


@dataclass(frozen=True, slots=True)
class Line:
    """A figure and its result.

    Attributes:
        figure: The figure.
        outcome: What was measured; None where nothing was.
        why: Why not.
        failed: It should have been measured.
    """

    figure: Figure
    outcome: Outcome | None = None
    why: str = ""
    failed: bool = False

    @property
    def verdict(self) -> str:
        if self.outcome is None:
            return "FAILED" if self.failed else "not measured"
        if self.figure.limit is None:
            return ""
        return "holds" if self.figure.holds(self.outcome.ratio.value) else "MISSED"

    @property
    def limit(self) -> str:
        if self.figure.limit is None:
            return ""
        return f"{'>=' if self.figure.at_least else '<='} {self.figure.limit:g}"


def shown(ratio: Ratio) -> tuple[str, str]:
    """Return a ratio and its quartiles as text."""
    return _number(ratio.value), f"{_number(ratio.low)} to {_number(ratio.high)}"


def table(lines: Sequence[Line]) -> str:
    """Return the table for a terminal."""
    width = max(len(line.figure.title) for line in lines)
    rows = [f"{'figure':<{width}}  {'ratio':>8}  {'quartiles':<18}  {'limit':>8}"]
    for line in lines:
        if line.outcome is None:
            rows.append(f"{line.figure.title:<{width}}  {line.verdict}: {line.why}")
            continue
        value, spread = shown(line.outcome.ratio)
        rows.append(f"{line.figure.title:<{width}}  {value:>8}  {spread:<18}  {line.limit:>8}  {line.verdict}")
        for title, beside in line.outcome.beside.items():
            value, spread = shown(beside)
            rows.append(f"{'  beside it: ' + title:<{width}}  {value:>8}  {spread}")
    return "\n".join(rows)


def sides(lines: Sequence[Line]) -> str:
    """Return the medians of the sides, which depend on the machine and are not figures."""
    rows = ["Medians of the sides, which drift with the machine:"]
    seen: list[object] = []
    for line in lines:
        if line.outcome is None or line.outcome.seconds in seen:
            continue
        seen.append(line.outcome.seconds)
        shown_ = ", ".join(f"{name} {_amount(value, line.figure.unit)}" for name, value in line.outcome.seconds.items())
        rows.append(f"  {line.figure.name}: {shown_}")
    return "\n".join(rows)


def markdown(lines: Sequence[Line]) -> str:
    """Return the table for Markdown."""
    rows = ["| figure | ratio | quartiles | limit | |", "| --- | --- | --- | --- | --- |"]
    for line in lines:
        if line.outcome is None:
            rows.append(f"| {line.figure.title} | | | {line.limit} | {line.verdict}: {line.why} |")
            continue
        value, spread = shown(line.outcome.ratio)
        rows.append(f"| {line.figure.title} | {value} | {spread} | {line.limit} | {line.verdict} |")
        for title, beside in line.outcome.beside.items():
            value, spread = shown(beside)
            rows.append(f"| *{title}* | {value} | {spread} | | |")
    return "\n".join(rows)


def as_json(lines: Sequence[Line], run: dict[str, Any]) -> str:
    """Return the whole run as JSON."""
    figures = [
        {
            **asdict(line.figure),
            "verdict": line.verdict,
            "why": line.why,
            "outcome": None if line.outcome is None else asdict(line.outcome),
        }
        for line in lines
    ]
    return json.dumps({"run": run, "figures": figures}, indent=2) + "\n"


def _number(value: float) -> str:
    return f"{value:.5f}" if value < 0.01 else f"{value:.3f}" if value < 1 else f"{value:.2f}"


def _amount(value: float, unit: str) -> str:
    if unit == "B":
        return f"{value / 2**20:,.0f} MiB"
    if unit == "1/s":
        return f"{value:,.0f}/s"
    for factor, name in ((1, "s"), (1e3, "ms")):
        if value * factor >= 1:
            return f"{value * factor:.3g} {name}"
    return f"{value * 1e6:.3g} us"
