"""Ways to send one query to one engine, each with the expected and the actual answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from bridge.checks import batches
from bridge.conformance.case_queries import CaseQuery
from bridge.decision import Decision, Request
from bridge.errors import InvalidResponseError, OpaStatusError
from bridge.strict_json import ABSENT

QueryEntrypoint: TypeAlias = "Callable[[str, bytes], object]"
"""Returns the value of an entrypoint for an input in canonical text."""

ENTRYPOINTS: Final = ("decision", "allow", "decisions")
"""The public entrypoints."""

_NOTHING: Final = "no result"
_STATUSES_OF_QUERY: Final = (400, 500)


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """The answer to one query by one strategy.

    Attributes:
        query: The query.
        strategy: How it was sent, such as `decision`.
        expected: The expected answer of the vectors.
        actual: The actual answer; an error text if there was no valid answer.
    """

    query: CaseQuery
    strategy: str
    expected: object
    actual: object


def by_entrypoints(
    ask: QueryEntrypoint, queries: Sequence[CaseQuery], entrypoints: Sequence[str]
) -> Iterator[CaseOutcome]:
    """Send each query alone, through the given public entrypoints.

    Raises:
        EngineError: The engine failed, for a reason that no query can have.
    """
    for query in queries:
        expected = query.case.expected
        if "decision" in entrypoints:
            yield CaseOutcome(query, "decision", expected, _ask(ask, "decision", query.text))
        if "allow" in entrypoints:
            yield CaseOutcome(query, "allow", expected["allow"], _ask(ask, "allow", query.text))
        if "decisions" in entrypoints and query.has_item:
            three = [query.expected_of_another, expected, expected]
            yield CaseOutcome(query, "decisions", three, _ask(ask, "decisions", query.among_others))


def in_batches(
    decide: Callable[[Sequence[Request]], list[Decision]], queries: Sequence[CaseQuery], batch_bytes: int
) -> Iterator[CaseOutcome]:
    """Send many queries in one batch, as the bridge does.

    Raises:
        EngineError: The engine failed, for a reason that no query can have.
    """
    batched = [query for query in queries if query.case.input is None]
    start = 0
    for batch in batches([query.request for query in batched], batch_bytes):
        for query, actual in zip(batched[start:], _decide(decide, batch), strict=False):
            yield CaseOutcome(query, "answer", query.case.expected, actual)
        start += len(batch)


def _decide(decide: Callable[[Sequence[Request]], list[Decision]], requests: Sequence[Request]) -> list[object]:
    """Return the decisions; after an invalid response, send both halves, so that one query does not hide the others."""
    try:
        return [decision.as_dict() for decision in decide(requests)]
    except (InvalidResponseError, OpaStatusError) as fault:
        _raise_if_general(fault)
        if len(requests) == 1:
            return [str(fault)]
        middle = len(requests) // 2
        answers = [*_decide(decide, requests[:middle]), *_decide(decide, requests[middle:])]
        return answers if any(isinstance(actual, str) for actual in answers) else [str(fault)] * len(requests)


def _ask(ask: QueryEntrypoint, entrypoint: str, text: bytes) -> object:
    try:
        actual = ask(entrypoint, text)
    except (InvalidResponseError, OpaStatusError) as fault:
        _raise_if_general(fault)
        return str(fault)
    return _NOTHING if actual is ABSENT else actual


def _raise_if_general(fault: InvalidResponseError | OpaStatusError) -> None:
    """Raise an error that no query can cause, such as one of a gateway."""
    if isinstance(fault, OpaStatusError) and not (fault.opa_code and fault.status in _STATUSES_OF_QUERY):
        raise fault
