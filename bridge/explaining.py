"""A decision, and what it was made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.errors import BadAnswer
from bridge.reference import equal
from bridge.strict_json import ABSENT, Absent, parse, parse_canonical, pointer, resolve

if TYPE_CHECKING:
    from bridge.decision import Decision, Failure, Request
    from bridge.strict_json import Value


@dataclass(frozen=True, slots=True)
class Demand:
    """A constraint that failed.

    Attributes:
        failure: Which one, and how.
        wanted: The value that the policy demands.
        found: The value that the resource has; ABSENT where it has none.
    """

    failure: Failure
    wanted: Value
    found: Value | Absent


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision and what it was made of.

    Attributes:
        decision: The decision, as `check` gives it.
        demands: The constraints that failed, in the order of `decision.failures`.
        resource: The resource that was looked at; ABSENT where there is none.
    """

    decision: Decision
    demands: tuple[Demand, ...]
    resource: Value | Absent


def explanation(
    decision: Decision, *, claims: bytes, description: tuple[str, str], request: Request, stored: bytes | None
) -> Explanation:
    """What a decision was made of.

    Args:
        decision: The decision.
        claims: The claims, in canonical text.
        description: The names of the policy claim and of the resource type.
        request: What was asked.
        stored: The stored resource that a request by id was about, in canonical text, or None.

    Raises:
        BadAnswer: The stored resource has another id, or a failure is none: the policy does not demand it, or the
            resource meets it, or it is not missing.
    """
    text = request.resource if request.resource is not None else stored
    resource = ABSENT if text is None else parse(text)
    if text is not None and request.resource is None:
        _refuse_another(resource, request)
    if not decision.failures or resource is ABSENT:
        return Explanation(decision, (), resource)
    demanded = resolve(parse(claims), pointer(*description))
    demands = tuple(_demand(failure, demanded, resource) for failure in decision.failures)
    return Explanation(decision, demands, resource)


def _refuse_another(resource: Value | Absent, request: Request) -> None:
    asked = None if request.id is None else parse_canonical(request.id)
    if not isinstance(resource, dict) or not isinstance(asked, str) or resource.get("id") != asked:
        raise BadAnswer("the engine explains its decision by a stored resource of another id than the one asked for")


def _demand(failure: Failure, description: Value | Absent, resource: Value) -> Demand:
    # A failure's pointer names both, in the description and in the resource.
    wanted = ABSENT if description is ABSENT else resolve(description, failure.pointer)
    found = resolve(resource, failure.pointer)
    if wanted is ABSENT:
        raise BadAnswer(f"the engine says that `{failure.pointer}` failed, which the policy does not demand")
    if (failure.code == "missing") is not (found is ABSENT) or (found is not ABSENT and equal(wanted, found)):
        raise BadAnswer(f"the engine says that `{failure.pointer}` is {failure.code}, which it is not")
    return Demand(failure, wanted, found)
