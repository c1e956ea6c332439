"""The policy claim, parsed (R8)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from bridge.decision import Violation
from bridge.errors import ConfigurationError
from bridge.strict_json import ABSENT, Absent, Value, pointer

VERSIONS: Final = frozenset({2})
KNOWN_VERSIONS: Final = frozenset({2, 3})
RESOURCE_TYPES: Final = ("devices", "sessions")
_BESIDE: Final[dict[object, frozenset[str]]] = {3: frozenset({"push", "features"})}
"""By version: the members that may stand beside the resource types, and grant nothing (R8.4)."""
_NOTHING: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """The settings of a deployment about policies.

    Args:
        claim: The name of the claim that holds the policy.
        types: The known resource types.
        require_policy: Whether a token without a policy is denied (R3).
        versions: The versions of the policy claim that are valid (R8.3): `{2}`, `{3}` or `{2, 3}`. A set, a frozenset,
            a tuple or a list; the attribute is a frozenset.

    Raises:
        ConfigurationError: One of them cannot be used.
    """

    claim: str
    types: tuple[str, ...]
    require_policy: bool
    versions: frozenset[int]

    # Written out, for a generated one would take frozensets only.
    def __init__(
        self,
        claim: str = "policy",
        types: tuple[str, ...] = RESOURCE_TYPES,
        *,
        require_policy: bool = False,
        versions: Collection[int] = VERSIONS,
    ) -> None:
        if type(claim) is not str or not claim:
            raise ConfigurationError("the claim's name must be a string that is not empty")
        if type(types) is not tuple or not types or not all(type(name) is str for name in types):
            raise ConfigurationError("the resource types must be a tuple of one or more strings")
        if len(set(types)) != len(types):
            raise ConfigurationError("a resource type stands twice among the resource types")
        if not set(types).isdisjoint(("version", "")):
            raise ConfigurationError("a resource type cannot be called `version`, nor be empty")
        if type(require_policy) is not bool:
            raise ConfigurationError("require_policy must be True or False")
        object.__setattr__(self, "claim", claim)
        object.__setattr__(self, "types", types)
        object.__setattr__(self, "require_policy", require_policy)
        object.__setattr__(self, "versions", _versions(versions))


def _versions(versions: Collection[int]) -> frozenset[int]:
    """Return the versions as a frozenset; only exact types, because `True == 1` and `2.0 == 2` in Python."""
    if type(versions) not in (frozenset, set, tuple, list):
        raise ConfigurationError("the versions must be a set, such as frozenset({2, 3})")
    if not versions or not all(type(version) is int and version in KNOWN_VERSIONS for version in versions):
        raise ConfigurationError("the versions must be 2, 3 or both, as integers")
    return frozenset(versions)


@dataclass(frozen=True, slots=True)
class Description:
    """The constraints of a policy for one resource type.

    Attributes:
        id: The expected id, or ABSENT.
        custom_data: The expected members of `custom_data`.
    """

    id: str | Absent
    custom_data: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Policy:
    """A valid policy claim: a description for each resource type that it grants."""

    descriptions: Mapping[str, Description]


@dataclass(frozen=True, slots=True)
class InvalidPolicy:
    """A policy claim that grants nothing, and the violations, sorted by (pointer, code)."""

    violations: tuple[Violation, ...]


def parse_policy(
    claim: Value, types: tuple[str, ...] = RESOURCE_TYPES, versions: frozenset[int] = VERSIONS
) -> Policy | InvalidPolicy:
    """Return the policy in `claim`, or all its violations (R8).

    Args:
        claim: The claim's value, from `strict_json.parse`.
        types: The known resource types.
        versions: The valid versions.
    """
    if not isinstance(claim, dict):
        return InvalidPolicy((Violation("", "not_an_object"),))  # R8.1
    version = _version(claim, versions)
    violations = [version] if isinstance(version, Violation) else []
    beside = _BESIDE.get(version, _NOTHING)
    for name, value in claim.items():
        if name == "version":
            continue
        if name not in types and name not in beside:
            violations.append(Violation(pointer(name), "unknown_resource_type"))  # R8.4
        elif not isinstance(value, dict):
            violations.append(Violation(pointer(name), "not_an_object"))  # R8.5, and R8.4 beside the types
        elif name in types:
            violations += _description(name, value)
    if violations:
        return InvalidPolicy(tuple(sorted(violations)))
    return Policy({name: _parsed(claim[name]) for name in types if name in claim})


def _version(claim: dict[str, Value], versions: frozenset[int]) -> int | Violation:
    """Return the claim's version, or its violation."""
    if "version" not in claim:
        return Violation("/version", "version_missing")  # R8.2
    claimed = claim["version"]
    # An exact type, because `True == 1` in Python. A Decimal is never 2, but this function need not know that.
    if type(claimed) in (int, Decimal):
        for version in versions:
            if claimed == version:
                return version
    return Violation("/version", "version_unsupported")  # R8.3


def _description(name: str, description: dict[str, Value]) -> list[Violation]:
    violations = [
        Violation(pointer(name, member), "unknown_field")  # R8.6
        for member in description
        if member not in ("id", "custom_data")
    ]
    if "id" in description and not isinstance(description["id"], str):
        violations.append(Violation(pointer(name, "id"), "not_a_string"))  # R8.7
    if "custom_data" in description and not isinstance(description["custom_data"], dict):
        violations.append(Violation(pointer(name, "custom_data"), "not_an_object"))  # R8.8
    return violations


def _parsed(description: Value) -> Description:
    assert isinstance(description, dict)
    id_ = description.get("id", ABSENT)
    custom_data = description.get("custom_data", {})
    assert isinstance(custom_data, dict)
    assert isinstance(id_, (str, Absent))
    return Description(id_, custom_data)
