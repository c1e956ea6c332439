"""Many questions to Wasm: in parts, so that none is costly, and after a fault once more in halves.

OPA's Wasm hashes an array by the sum of its items. Resources that break the same constraints in different ways have
different decisions of one hash, and telling these apart costs the square of their number, so that a part has few.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

from bridge.errors import EngineError, EngineTimeoutError, RulesMismatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.decision import Decision, Request

MOST_TOGETHER: Final = 512
"""How many questions a part has at most."""

FEW_DETAILS: Final = 6
"""Decisions of so few details differ in so few ways that a part may have many questions."""

_DETAILS_TOGETHER: Final = 64
_SHARES: Final = 16  # after a fault, a question's way down to a part of its own has some seven steps


def most_together(details: int) -> int:
    """How many questions go together whose decisions may have so many details each."""
    return MOST_TOGETHER if details <= FEW_DETAILS else max(1, _DETAILS_TOGETHER // details)


def ask(
    requests: Sequence[Request],
    most: int,
    decide: Callable[[Sequence[Request], float], list[Decision]],
    seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[list[Decision | None], EngineError | None]:
    """The decisions, in the order of the questions, and the first fault.

    All parts together may take so many seconds; then those that failed are asked again in halves, and halves of these,
    for as long once more. A question that fails alone has no decision, and neither has one that no time was left for.

    Args:
        requests: The questions.
        most: How many go together.
        decide: Decides on a part in at most so many seconds.
        seconds: As above.
        clock: Tells the time, in seconds.

    Raises:
        RulesMismatchError: The rules are not those of the settings.
    """
    decisions: list[Decision | None] = [None] * len(requests)
    first: EngineError | None = None
    ends = clock() + seconds
    starts = range(0, len(requests), most)
    pending, failed = deque(range(start, min(start + most, len(requests))) for start in starts), deque[range]()
    share, is_first = seconds, True
    while pending:
        part = pending.popleft()
        left = ends - clock()
        try:
            if left <= 0:
                raise EngineTimeoutError(f"the Wasm evaluations took longer than {seconds:g} s")
            decisions[part.start : part.stop] = decide(requests[part.start : part.stop], min(left, share))
        except RulesMismatchError:
            raise
        except EngineError as fault:
            first = first or fault
            if left > 0:
                failed.extend(_halves(part))
            elif is_first:
                failed.append(part)  # it was not asked
        if not pending:
            if is_first:
                share, ends, is_first = seconds / _SHARES, clock() + seconds, False
            pending, failed = failed, deque()
    return decisions, first


def _halves(part: range) -> list[range]:
    """Both halves; none of one question, which was asked alone."""
    middle = part.start + len(part) // 2
    return [] if len(part) == 1 else [range(part.start, middle), range(middle, part.stop)]
