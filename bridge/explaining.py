"""A decision, and what it was made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.errors import BadAnswer
from bridge.strict_json import ABSENT, Absent, parse, pointer, resolve

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
        BadAnswer: A constraint that the policy does not have is said to have failed.
    """
    text = request.resource if request.resource is not None else stored
    resource = ABSENT if text is None else parse(text)
    if not decision.failures or resource is ABSENT:
        return Explanation(decision, (), resource)
    demanded = resolve(parse(claims), pointer(*description))
    # A failure's pointer names both, in the description and in the resource.
    demands = tuple(
        Demand(failure, _present(demanded, failure.pointer), resolve(resource, failure.pointer))
        for failure in decision.failures
    )
    return Explanation(decision, demands, resource)


def _present(description: Value | Absent, pointer_: str) -> Value:
    wanted = ABSENT if description is ABSENT else resolve(description, pointer_)
    if wanted is ABSENT:
        raise BadAnswer(f"the engine says that `{pointer_}` failed, which the policy does not demand")
    return wanted
