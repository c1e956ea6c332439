"""Batches for Wasm: small parts, so that none is costly, and again in halves after a fault.

OPA's Wasm hashes an array by the sum of its items. Resources that break the same constraints in different ways have
different decisions with the same hash, and their comparison costs the square of their number: so a part has few.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from bridge.decision import Decision, Request
from bridge.errors import EngineError, EngineTimeoutError, RulesMismatchError

MOST_TOGETHER: Final = 512
"""The most requests of a part."""

FEW_DETAILS: Final = 6
"""Decisions with so few details differ in so few ways that a part may have many requests."""

_DETAILS_TOGETHER: Final = 64
_SHARES: Final = 16  # after a fault, about seven halvings isolate a request


def most_together(details: int) -> int:
    """Return the most requests of a part whose decisions may have so many details each."""
    return MOST_TOGETHER if details <= FEW_DETAILS else max(1, _DETAILS_TOGETHER // details)


def ask(
    requests: Sequence[Request],
    most: int,
    decide: Callable[[Sequence[Request], float], list[Decision]],
    seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[list[Decision | None], EngineError | None]:
    """Return the decisions, in the order of the requests, and the first fault.

    All parts together may take so many seconds. Then the failed parts are tried again in halves, and in halves of
    these, for the same time once more. A request that fails alone has no decision, nor has one without time left.

    Args:
        requests: The requests.
        most: The most requests of a part.
        decide: Decides a part in at most so many seconds.
        seconds: As above.
        clock: A monotonic clock, in seconds.

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
                raise EngineTimeoutError(
                    f"the Wasm evaluations took longer than {seconds:g} s: send fewer requests at once, or raise "
                    "`WasmEngine(deadline=...)`"
                )
            decisions[part.start : part.stop] = decide(requests[part.start : part.stop], min(left, share))
        except RulesMismatchError:
            raise
        except EngineError as fault:
            first = first or fault
            if left > 0:
                failed.extend(_halves(part))
            elif is_first:
                failed.append(part)  # it was not tried
        if not pending:
            if is_first:
                share, ends, is_first = seconds / _SHARES, clock() + seconds, False
            pending, failed = failed, deque()
    return decisions, first


def _halves(part: range) -> list[range]:
    """Return both halves; none for a single request."""
    middle = part.start + len(part) // 2
    return [] if len(part) == 1 else [range(part.start, middle), range(middle, part.stop)]
