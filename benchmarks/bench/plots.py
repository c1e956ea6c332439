"""The figures as SVG: each against its limit, and the sides of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from benchmarks.bench.report import shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.bench.report import Line

_HOLDS, _MISSED, _SIDE = "#3a7d44", "#b3382c", "#5b7fa6"
_SCALES = {"s": (1e3, "milliseconds"), "B": (2**-20, "MiB"), "1/s": (1, "a second")}


def draw(lines: Sequence[Line], folder: Path) -> list[Path]:
    """Draw the figures into a folder and return the files."""
    mpl.rcParams["svg.hashsalt"] = "bench"
    measured = [line for line in lines if line.outcome is not None]
    if not measured:
        return []
    limited = [line for line in measured if line.figure.limit is not None]
    drawn = [_limits(limited, folder / "figures.svg")] if limited else []
    seen: list[object] = []
    for line in measured:
        assert line.outcome is not None
        if line.outcome.seconds not in seen:
            seen.append(line.outcome.seconds)
            drawn.append(_sides(line, folder / f"{line.figure.name}.svg"))
    return drawn


def _limits(lines: Sequence[Line], path: Path) -> Path:
    """Draw each figure as a part of its limit, with the quartiles."""
    canvas = Canvas(figsize=(11, 0.45 * len(lines) + 1.4), layout="constrained")
    axes = canvas.subplots()
    for at, line in enumerate(reversed(lines)):
        assert line.outcome is not None
        assert line.figure.limit is not None
        ratio, limit = line.outcome.ratio, line.figure.limit
        parts = [value / limit for value in (ratio.low, ratio.value, ratio.high)]
        if line.figure.at_least:
            parts = [1 / part for part in reversed(parts)]
        colour = _HOLDS if line.verdict == "holds" else _MISSED
        axes.plot([parts[0], parts[2]], [at, at], color=colour, linewidth=5, alpha=0.35, solid_capstyle="butt")
        axes.plot([parts[1]], [at], "o", color=colour)
        axes.annotate(
            f"{shown(ratio)[0]} ({line.limit})", (max(parts), at), (8, -3), textcoords="offset points", fontsize=8
        )
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlabel("part of the limit; left of the line it holds")
    axes.set_yticks(range(len(lines)), [line.figure.title for line in reversed(lines)], fontsize=8)
    axes.margins(x=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    canvas.savefig(path, metadata={"Date": None})
    return path


def _sides(line: Line, path: Path) -> Path:
    assert line.outcome is not None
    factor, unit = _SCALES[line.figure.unit]
    names = list(line.outcome.seconds)
    values = [line.outcome.seconds[name] * factor for name in names]
    canvas = Canvas(figsize=(8, 0.4 * len(names) + 1.2), layout="constrained")
    axes = canvas.subplots()
    bars = axes.barh(names[::-1], values[::-1], color=_SIDE)
    axes.bar_label(bars, fmt="%.3g", padding=3, fontsize=8)
    if max(values) > 50 * min(values):
        axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.set_xlabel(f"{unit}, median")
    axes.set_title(line.figure.title, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    canvas.savefig(path, metadata={"Date": None})
    return path
