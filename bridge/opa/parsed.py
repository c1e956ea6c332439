"""A module as OPA has parsed it: where it puts its rules, however its text spells that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.errors import InvalidResponseError
from bridge.opa.replies import StoredPolicy

if TYPE_CHECKING:
    from bridge.strict_json import Value


def stored_policy(value: Value, what: str) -> StoredPolicy:
    """A module of an answer of OPA's.

    Args:
        value: The module, with its syntax tree.
        what: Method and path, for the error.

    Raises:
        InvalidResponseError: It is none.
    """
    if isinstance(value, dict):
        policy_id, text, tree = value.get("id"), value.get("raw"), value.get("ast")
        if isinstance(policy_id, str) and isinstance(text, str) and isinstance(tree, dict):
            package = tree.get("package")
            path = package.get("path") if isinstance(package, dict) else None
            rules = tree.get("rules", [])
            if isinstance(path, list) and isinstance(rules, list) and path:
                names = _constant(path[1:])
                if len(names) == len(path) - 1:
                    return StoredPolicy(policy_id, text, names, frozenset(names + _head(rule, what) for rule in rules))
    raise InvalidResponseError(f"`{what}`: the answer holds something that is no policy")


def _head(rule: Value, what: str) -> tuple[str, ...]:
    """The names that a rule is defined at below its package, up to the first that is worked out."""
    head = rule.get("head") if isinstance(rule, dict) else None
    ref = head.get("ref") if isinstance(head, dict) else None
    first = ref[0] if isinstance(ref, list) and ref else None
    name = first.get("value") if isinstance(first, dict) else None
    if not isinstance(ref, list) or not isinstance(name, str):
        raise InvalidResponseError(f"`{what}`: the answer holds a rule that has no name")
    return (name, *_constant(ref[1:]))


def _constant(terms: list[Value]) -> tuple[str, ...]:
    names = []
    for term in terms:
        name = term.get("value") if isinstance(term, dict) and term.get("type") == "string" else None
        if not isinstance(name, str):
            break
        names.append(name)
    return tuple(names)
