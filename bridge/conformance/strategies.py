"""Ways to ask one question of one engine, each with the answer that is wanted and the one that was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from bridge.checks import batches
from bridge.errors import InvalidResponseError, OpaStatusError
from bridge.strict_json import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bridge.conformance.case_queries import Query
    from bridge.decision import Decision, Request

AskEntrypoint: TypeAlias = "Callable[[str, bytes], object]"
"""Gives what an entrypoint is for an input in canonical text."""

ENTRYPOINTS: Final = ("decision", "allow", "decisions")
"""The public entrypoints."""

_NOTHING: Final = "no result"
_OF_THE_QUESTION: Final = (400, 500)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one question got in one way.

    Attributes:
        question: The question.
        strategy: How it was asked, such as `decision`.
        expected: The answer that the vectors want.
        actual: The answer; a text where there was none, or one that is no decision.
    """

    question: Query
    strategy: str
    expected: object
    actual: object


def by_entrypoints(query: AskEntrypoint, questions: Sequence[Query], entrypoints: Sequence[str]) -> Iterator[Outcome]:
    """Each question alone, through these of the public entrypoints.

    Raises:
        EngineError: The engine failed, for reasons that no question can have.
    """
    for question in questions:
        expected = question.case.expected
        if "decision" in entrypoints:
            yield Outcome(question, "decision", expected, _said(query, "decision", question.text))
        if "allow" in entrypoints:
            yield Outcome(question, "allow", expected["allow"], _said(query, "allow", question.text))
        if "decisions" in entrypoints and question.has_item:
            three = [question.expected_of_another, expected, expected]
            yield Outcome(question, "decisions", three, _said(query, "decisions", question.among_others))


def in_batches(
    decide: Callable[[Sequence[Request]], list[Decision]], questions: Sequence[Query], batch_bytes: int
) -> Iterator[Outcome]:
    """Many questions in one query, as the bridge asks.

    Raises:
        EngineError: The engine failed, for reasons that no question can have.
    """
    asked = [question for question in questions if question.case.input is None]
    start = 0
    for batch in batches([question.request for question in asked], batch_bytes):
        for question, actual in zip(asked[start:], _decided(decide, batch), strict=False):
            yield Outcome(question, "answer", question.case.expected, actual)
        start += len(batch)


def _decided(decide: Callable[[Sequence[Request]], list[Decision]], requests: Sequence[Request]) -> list[object]:
    """The decisions; where the engine's answer is none, the halves are asked, so that one does not hide the others."""
    try:
        return [decision.as_dict() for decision in decide(requests)]
    except (InvalidResponseError, OpaStatusError) as fault:
        _raise_if_whole(fault)
        if len(requests) == 1:
            return [str(fault)]
        middle = len(requests) // 2
        found = [*_decided(decide, requests[:middle]), *_decided(decide, requests[middle:])]
        return found if any(isinstance(actual, str) for actual in found) else [str(fault)] * len(requests)


def _said(query: AskEntrypoint, entrypoint: str, text: bytes) -> object:
    try:
        actual = query(entrypoint, text)
    except (InvalidResponseError, OpaStatusError) as fault:
        _raise_if_whole(fault)
        return str(fault)
    return _NOTHING if actual is ABSENT else actual


def _raise_if_whole(fault: InvalidResponseError | OpaStatusError) -> None:
    """Raise a refusal that no question can be the cause of, such as one by a gateway."""
    if isinstance(fault, OpaStatusError) and not (fault.opa_code and fault.status in _OF_THE_QUESTION):
        raise fault
