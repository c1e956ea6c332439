"""Interleaved rounds, medians, and ratios of pairs: every figure is timed with them."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of medians, with the quartiles of the rounds' own ratios.

    Attributes:
        value: The median of the one over the median of the other, over all rounds.
        low: The lower quartile of the rounds' own ratios.
        high: The upper quartile.
        rounds: How many rounds there were.
    """

    value: float
    low: float
    high: float
    rounds: int


@dataclass(slots=True)
class Rounds:
    """The measurements of each side; the numbers at one position belong to one round."""

    sides: dict[str, list[float]] = field(default_factory=dict)

    def ratio(self, one: str, other: str, *, factor: float = 1.0) -> Ratio:
        """Return the ratio of two sides.

        Args:
            one: The side in the numerator.
            other: The side in the denominator.
            factor: A factor of the ratio, such as 1 / 1,000 for a batch of 1,000.
        """
        return ratio(self.sides[one], self.sides[other], factor=factor)

    def medians(self) -> dict[str, float]:
        return {name: statistics.median(values) for name, values in self.sides.items()}


def ratio(ones: Sequence[float], others: Sequence[float], *, factor: float = 1.0) -> Ratio:
    """Return the ratio of two lists of measurements, paired by position."""
    pairs = sorted(one / other * factor for one, other in zip(ones, others, strict=True))
    low, high = pairs[0], pairs[-1]
    if len(pairs) > 3:
        low, _, high = statistics.quantiles(pairs, n=4, method="inclusive")
    return Ratio(statistics.median(ones) / statistics.median(others) * factor, low, high, len(pairs))


def interleaved(
    sides: Mapping[str, Callable[[], object]], *, rounds: int, calls: int | Mapping[str, int] = 1, warm: int = 3
) -> Rounds:
    """Time each side in every round, so that a drift of the machine affects all of them.

    A round's number is the median of its calls, in seconds. Each round begins with the next side.

    Args:
        sides: What to call, by name.
        rounds: How many rounds.
        calls: How many calls of a side in a round; for all sides, or by name.
        warm: How many calls of each side are made before, and not counted.
    """
    for call in sides.values():
        for _ in range(warm):
            call()
    gc.collect()
    gc.freeze()  # the garbage collector skips what exists before the timing
    try:
        names = list(sides)
        measured = Rounds({name: [] for name in names})
        for number in range(rounds):
            at = number % len(names)
            for name in names[at:] + names[:at]:
                count = calls if isinstance(calls, int) else calls[name]
                measured.sides[name].append(_median_call(sides[name], count))
        return measured
    finally:
        gc.unfreeze()


def _median_call(call: Callable[[], object], count: int) -> float:
    taken = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)
