"""A figure: what is measured, its limit, and its result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.bench.timing import Ratio
    from benchmarks.bench.world import World


class WrongResultError(Exception):
    """A side returns a wrong result."""


class NotMeasurableError(Exception):
    """A figure cannot be measured; the text says why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one figure.

    Attributes:
        ratio: The figure.
        seconds: The medians of the sides, in seconds (in bytes, for memory; calls a second, for throughput), by name.
        beside: Other ratios of the same run that have no limit, by what they are.
        note: A remark for the reader.
    """

    ratio: Ratio
    seconds: Mapping[str, float]
    beside: Mapping[str, Ratio] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table.

    Attributes:
        name: Its name in `--only`.
        title: The two sides of the ratio.
        limit: The value that it must keep; None if it is only shown.
        at_least: The limit is a lower bound.
        unit: The unit of the sides' medians: `s`, `B` or `1/s`.
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
        measure: Returns the outcome of each, by name.
    """

    figures: tuple[Figure, ...]
    measure: Callable[[World], Mapping[str, Outcome]]


def expect(what: str, actual: object, wanted: object) -> None:
    """Check the result of a side before it is timed.

    Raises:
        WrongResultError: The result differs from `wanted`.
    """
    if actual != wanted or type(actual) is not type(wanted):
        raise WrongResultError(f"{what}: {_shown(actual)} instead of {_shown(wanted)}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "..."
