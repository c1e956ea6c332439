"""A decision, and what it was made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from bridge.errors import InvalidResponseError, UsageError
from bridge.reference import equal
from bridge.strict_json import ABSENT, Absent, parse, parse_canonical, pointer, resolve

if TYPE_CHECKING:
    from bridge.decision import Decision, Failure, Request
    from bridge.strict_json import Value


@dataclass(frozen=True, slots=True)
class ExplainedFailure:
    """A constraint that failed.

    Attributes:
        failure: Which one, and how.
        expected: The value that the policy failures.
        actual: The value that the resource has; ABSENT where it has none.
    """

    failure: Failure
    expected: Value
    actual: Value | Absent


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision and what it was made of.

    Attributes:
        decision: The decision, as `check` gives it.
        failures: The constraints that failed, in the order of `decision.failures`.
        resource: The resource that was looked at; ABSENT where there is none.
    """

    decision: Decision
    failures: tuple[ExplainedFailure, ...]
    resource: Value | Absent

    def __bool__(self) -> NoReturn:
        """Refuse to be a condition, for the explanation of a denial would be true as well.

        Raises:
            UsageError: Always.
        """
        raise UsageError("an Explanation is neither true nor false: use `explanation.decision`, or call `check`")


def explain(
    decision: Decision, *, claims: bytes, description: tuple[str, str], request: Request, stored: bytes | None
) -> Explanation:
    """What a decision was made of.

    Args:
        decision: The decision.
        claims: The claims, in canonical text.
        description: The names of the policy claim and of the resource type.
        request: What was requested.
        stored: The stored resource that a request by id was about, in canonical text, or None.

    Raises:
        InvalidResponseError: The stored resource has another id, or a failure is none: the policy does not demand it,
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
            "the engine explains its decision by a stored resource of another id than the one asked for"
        )


def _failure(failure: Failure, description: Value | Absent, resource: Value) -> ExplainedFailure:
    # A failure's pointer names both, in the description and in the resource.
    expected = ABSENT if description is ABSENT else resolve(description, failure.pointer)
    actual = resolve(resource, failure.pointer)
    if expected is ABSENT:
        raise InvalidResponseError(f"the engine says that `{failure.pointer}` failed, which the policy does not demand")
    if (failure.code == "missing") is not (actual is ABSENT) or (actual is not ABSENT and equal(expected, actual)):
        raise InvalidResponseError(f"the engine says that `{failure.pointer}` is {failure.code}, which it is not")
    return ExplainedFailure(failure, expected, actual)
