"""Explain a decision: for each constraint that failed, the expected and the actual value."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import NoReturn

from bridge.bearer import Bearer, type_text
from bridge.checks import REMEDY, OnError
from bridge.decision import Decision, Failure, Request
from bridge.errors import EngineError, InvalidResponseError, UsageError
from bridge.reference import equal
from bridge.strict_json import ABSENT, Absent, Value, parse, parse_canonical, pointer, resolve


@dataclass(frozen=True, slots=True)
class ExplainedFailure:
    """A constraint that failed.

    Attributes:
        failure: The constraint, and how it failed.
        expected: The value that the policy demands.
        actual: The value that the resource has; ABSENT if it has none.
    """

    failure: Failure
    expected: Value
    actual: Value | Absent


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision, the constraints that failed, and the resource.

    Attributes:
        decision: The decision, the same that `check` returns.
        failures: The constraints that failed, in the order of `decision.failures`.
        resource: The resource that the decision is about; ABSENT if there is none.
    """

    decision: Decision
    failures: tuple[ExplainedFailure, ...]
    resource: Value | Absent

    def __bool__(self) -> NoReturn:
        """Refuse to be a condition: the explanation of a denial would be true as well.

        Raises:
            UsageError: Always.
        """
        raise UsageError("an Explanation is neither true nor false: use `explanation.decision`, or call `check`")


def explain(
    bearer: Bearer, type_: str, resource_or_id: object, claim: str, on_error: OnError
) -> Generator[Request, tuple[Decision, bytes | None], Explanation]:
    """Explain the decision on one resource or id, by the policy claim of this name; errors as for `PolicyBridge.check`.

    Yields:
        The request for the engine's `explain`.
    """
    request = bearer.request(type_text(type_), resource_or_id)
    try:
        decision, stored = yield request
        return explained(decision, claims=bearer.claims, description=(claim, type_), request=request, stored=stored)
    except EngineError as error:
        return Explanation(on_error.denial(error), (), ABSENT)


def explained(
    decision: Decision, *, claims: bytes, description: tuple[str, str], request: Request, stored: bytes | None
) -> Explanation:
    """Return the explanation of a decision.

    Args:
        decision: The decision.
        claims: The claims, in canonical text.
        description: The names of the policy claim and of the resource type.
        request: The request.
        stored: The stored resource that a request by id is about, in canonical text, or None.

    Raises:
        InvalidResponseError: The stored resource has another id, or a failure is wrong: the policy does not demand it,
            or the resource meets it, or it is not missing.
    """
    text = request.resource if request.resource is not None else stored
    resource = ABSENT if text is None else parse(text)
    if text is not None and request.resource is None:
        _refuse_another(resource, request)
    if not decision.failures or resource is ABSENT:
        return Explanation(decision, (), resource)
    described = resolve(parse(claims), pointer(*description))
    failures = tuple(_failure(failure, described, resource) for failure in decision.failures)
    return Explanation(decision, failures, resource)


def _refuse_another(resource: Value | Absent, request: Request) -> None:
    requested = None if request.id is None else parse_canonical(request.id)
    if not isinstance(resource, dict) or not isinstance(requested, str) or resource.get("id") != requested:
        raise InvalidResponseError(
            f"the engine explains its decision by a stored resource of another id than the requested one: {REMEDY}"
        )


def _failure(failure: Failure, description: Value | Absent, resource: Value) -> ExplainedFailure:
    # A failure's pointer names both, in the description and in the resource.
    expected = ABSENT if description is ABSENT else resolve(description, failure.pointer)
    actual = resolve(resource, failure.pointer)
    if expected is ABSENT:
        raise InvalidResponseError(
            f"the engine says that `{failure.pointer}` failed, which the policy does not demand: {REMEDY}"
        )
    if (failure.code == "missing") is not (actual is ABSENT) or (actual is not ABSENT and equal(expected, actual)):
        raise InvalidResponseError(
            f"the engine says that `{failure.pointer}` is {failure.code}, which it is not: {REMEDY}"
        )
    return ExplainedFailure(failure, expected, actual)
