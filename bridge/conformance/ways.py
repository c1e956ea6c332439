"""Ways to ask one question of one engine, each with the answer that is wanted and the one that was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from bridge.asking import batches
from bridge.errors import BadAnswer, OpaRefused
from bridge.strict_json import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bridge.conformance.questions import Question
    from bridge.decision import Decision, Request

Query: TypeAlias = "Callable[[str, bytes], object]"
"""Gives what an entrypoint is for an input in canonical text."""

ENTRYPOINTS: Final = ("decision", "allow", "decisions")
"""The public entrypoints."""

_NOTHING: Final = "no result"
_OF_THE_QUESTION: Final = (400, 500)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one question got in one way.

    Attributes:
        question: The question.
        way: How it was asked, such as `decision`.
        wanted: The answer that the vectors want.
        given: The answer; a text where there was none, or one that is no decision.
    """

    question: Question
    way: str
    wanted: object
    given: object


def by_entrypoints(query: Query, questions: Sequence[Question], entrypoints: Sequence[str]) -> Iterator[Answer]:
    """Each question alone, through these of the public entrypoints.

    Raises:
        EngineFault: The engine failed, for reasons that no question can have.
    """
    for question in questions:
        expected = question.case.expected
        if "decision" in entrypoints:
            yield Answer(question, "decision", expected, _said(query, "decision", question.text))
        if "allow" in entrypoints:
            yield Answer(question, "allow", expected["allow"], _said(query, "allow", question.text))
        if "decisions" in entrypoints and question.has_item:
            wanted = [question.wanted_of_another, expected, expected]
            yield Answer(question, "decisions", wanted, _said(query, "decisions", question.among_others))


def in_batches(
    decide: Callable[[Sequence[Request]], list[Decision]], questions: Sequence[Question], batch_bytes: int
) -> Iterator[Answer]:
    """Many questions in one query, as the bridge asks.

    Raises:
        EngineFault: The engine failed, for reasons that no question can have.
    """
    asked = [question for question in questions if question.case.input is None]
    start = 0
    for batch in batches([question.request for question in asked], batch_bytes):
        for question, given in zip(asked[start:], _decided(decide, batch), strict=False):
            yield Answer(question, "answer", question.case.expected, given)
        start += len(batch)


def _decided(decide: Callable[[Sequence[Request]], list[Decision]], requests: Sequence[Request]) -> list[object]:
    """The decisions; where the engine's answer is none, the halves are asked, so that one does not hide the others."""
    try:
        return [decision.as_dict() for decision in decide(requests)]
    except (BadAnswer, OpaRefused) as fault:
        _raise_if_whole(fault)
        if len(requests) == 1:
            return [str(fault)]
        middle = len(requests) // 2
        found = [*_decided(decide, requests[:middle]), *_decided(decide, requests[middle:])]
        return found if any(isinstance(given, str) for given in found) else [str(fault)] * len(requests)


def _said(query: Query, entrypoint: str, text: bytes) -> object:
    try:
        given = query(entrypoint, text)
    except (BadAnswer, OpaRefused) as fault:
        _raise_if_whole(fault)
        return str(fault)
    return _NOTHING if given is ABSENT else given


def _raise_if_whole(fault: BadAnswer | OpaRefused) -> None:
    """Raise a refusal that no question can be the cause of, such as one by a gateway."""
    if isinstance(fault, OpaRefused) and not (fault.opa_code and fault.status in _OF_THE_QUESTION):
        raise fault
