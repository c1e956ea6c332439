"""The decision in plain Python (R1-R11): the definition that every engine is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from bridge.decision import Decision, Failure, Reason
from bridge.policy import Description, InvalidPolicy, Policy, PolicySettings, parse_policy
from bridge.resource import InvalidResource, Resource, parse_resource
from bridge.strict_json import ABSENT, Value, pointer

NAME: Final = "reference"
"""The engine's name in decisions of the reference."""

_NOTHING: Final[Mapping[str, Mapping[str, Value]]] = MappingProxyType({})


def decide(
    request: Value,
    settings: PolicySettings = PolicySettings(),  # noqa: B008 - frozen
    stored: Mapping[str, Mapping[str, Value]] = _NOTHING,
    policy: Policy | Decision | None = None,
) -> Decision:
    """Return the decision for one request, whatever it is.

    Args:
        request: An object with `claims`, `type`, and `resource` or `id`, from `strict_json.parse`.
        settings: The settings of the deployment.
        stored: The stored resources: values by resource type and id.
        policy: The result of `policy_in` for these claims, if it is already known.
    """
    if not isinstance(request, dict):
        return deny(Reason.MALFORMED_INPUT)
    claims, type_ = request.get("claims"), request.get("type")
    if not isinstance(claims, dict) or not isinstance(type_, str):
        return deny(Reason.MALFORMED_INPUT)
    if type_ not in settings.types:
        return deny(Reason.UNKNOWN_TYPE)  # R1
    resource = _resource(request, stored.get(type_, {}))
    if isinstance(resource, Reason):
        return deny(resource)  # R2
    if policy is None:
        policy = policy_in(claims, settings)
    if isinstance(policy, Decision):
        return policy  # R3, R4
    if type_ not in policy.descriptions:
        return deny(Reason.TYPE_NOT_GRANTED)  # R5
    failures = _failures(policy.descriptions[type_], resource)
    if failures:
        return Decision(allow=False, reason=Reason.CONSTRAINT_FAILED, failures=failures, engine=NAME)  # R6
    return allow(Reason.MATCHED)  # R7


def policy_in(claims: dict[str, Value], settings: PolicySettings) -> Policy | Decision:
    """Return the policy in the claims, or the decision if there is no valid policy (R3, R4)."""
    if settings.claim not in claims:
        return deny(Reason.POLICY_REQUIRED) if settings.require_policy else allow(Reason.UNRESTRICTED)  # R3
    policy = parse_policy(claims[settings.claim], settings.types, settings.versions)
    if isinstance(policy, InvalidPolicy):
        return Decision(allow=False, reason=Reason.INVALID_POLICY, violations=policy.violations, engine=NAME)  # R4
    return policy


def _resource(request: dict[str, Value], stored: Mapping[str, Value]) -> Resource | Reason:
    """Return the requested resource, or the reason to deny (R2)."""
    if "resource" in request:
        resource = parse_resource(request["resource"])
        return Reason.INVALID_RESOURCE if isinstance(resource, InvalidResource) else resource
    if "id" not in request:
        return Reason.INVALID_RESOURCE
    id_ = request["id"]
    if not isinstance(id_, str) or not id_ or id_ not in stored:
        return Reason.UNKNOWN_RESOURCE
    resource = parse_resource(stored[id_])
    return Reason.INVALID_RESOURCE if isinstance(resource, InvalidResource) or resource.id != id_ else resource


def _failures(description: Description, resource: Resource) -> tuple[Failure, ...]:
    """Return the constraints that the resource does not meet, sorted (R9, R10)."""
    failures = []
    if description.id is not ABSENT and not equal(description.id, resource.id):
        failures.append(Failure("/id", "different"))
    for name, expected in description.custom_data.items():
        if name not in resource.custom_data:
            failures.append(Failure(pointer("custom_data", name), "missing"))
        elif not equal(expected, resource.custom_data[name]):
            failures.append(Failure(pointer("custom_data", name), "different"))
    return tuple(sorted(failures))


def equal(one: Value, other: Value) -> bool:
    """Return whether two JSON values are equal (R11). Equal numbers have one Python type: see `strict_json.Value`."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)
    return one == other


@cache
def deny(reason: Reason) -> Decision:
    """Return a denial without details."""
    return Decision(allow=False, reason=reason, engine=NAME)


@cache
def allow(reason: Reason) -> Decision:
    """Return an allow, for one of the two reasons that allow."""
    return Decision(allow=True, reason=reason, engine=NAME)
