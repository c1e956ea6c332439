"""A figure: what is measured, which limit it has, and what came out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.bench.timing import Ratio
    from benchmarks.bench.world import World


class WrongResultError(Exception):
    """A side does not give the answer that it is timed for."""


class NotMeasurableError(Exception):
    """There is nothing to measure; the text says why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out for one figure.

    Attributes:
        ratio: The figure.
        seconds: The medians of the sides, in seconds (in bytes, for memory; calls a second, for throughput), by name.
        beside: Other ratios of the same run that have no limit, by what they are.
        note: What a reader should know.
    """

    ratio: Ratio
    seconds: Mapping[str, float]
    beside: Mapping[str, Ratio] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table.

    Attributes:
        name: What `--only` calls it.
        title: What it is a ratio of.
        limit: What it must reach; None where it is only shown.
        at_least: The limit is a lower one.
        unit: What the sides' medians are in: `s`, `B` or `1/s`.
    """

    name: str
    title: str
    limit: float | None = None
    at_least: bool = False
    unit: str = "s"

    def holds(self, value: float) -> bool:
        if self.limit is None:
            return True
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True, slots=True)
class Group:
    """Figures that are measured together, in the same interleaved rounds.

    Attributes:
        figures: Its figures.
        measure: Gives the outcome of each, by name.
    """

    figures: tuple[Figure, ...]
    measure: Callable[[World], Mapping[str, Outcome]]


def expect(what: str, found: object, wanted: object) -> None:
    """See that a side answers as it must, before it is timed.

    Raises:
        WrongResultError: It does not.
    """
    if found != wanted or type(found) is not type(wanted):
        raise WrongResultError(f"{what}: {_shown(found)} instead of {_shown(wanted)}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "..."
