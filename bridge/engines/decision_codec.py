"""Read a decision with its details: the violations of R8 and the failures of R6 that can exist, and no others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Final, TypeVar

from bridge.decision import NO_BUNDLES, Decision, Failure, Reason, Violation
from bridge.strict_json import Value

_Detail = TypeVar("_Detail", Violation, Failure)

_MEMBERS: Final = frozenset(("allow", "reason", "violations", "failures"))
# A name in a JSON Pointer; without alternatives inside a repetition, so that a long one takes linear time.
_NAME: Final = r"/[^~/]*(?:~[01][^~/]*)*"
_VIOLATIONS: Final = {
    "not_an_object": re.compile(f"(?:{_NAME}(?:/custom_data)?)?"),  # R8.1, R8.5, R8.8
    "version_missing": re.compile("/version"),  # R8.2
    "version_unsupported": re.compile("/version"),  # R8.3
    "unknown_resource_type": re.compile(_NAME),  # R8.4
    "unknown_field": re.compile(_NAME + _NAME),  # R8.6
    "not_a_string": re.compile(f"{_NAME}/id"),  # R8.7
}
_FAILURES: Final = {
    "missing": re.compile(f"/custom_data{_NAME}"),  # R10
    "different": re.compile(f"/id|/custom_data{_NAME}"),  # R9, R10
}


def read_decision(
    value: Value,
    *,
    engine: str,
    decision_id: str | None = None,
    bundles: Mapping[str, str] = NO_BUNDLES,
    revision: str | None = None,
) -> Decision:
    """Return the decision in a value.

    Raises:
        TypeError: The value is not a decision.
        ValueError: The value is not a decision, or contradicts itself.
    """
    if not isinstance(value, dict) or not {"allow", "reason"} <= value.keys() <= _MEMBERS:
        raise ValueError("its members are not those of a decision")
    allow, reason = value["allow"], value["reason"]
    if not isinstance(allow, bool) or not isinstance(reason, str):
        raise TypeError("`allow` is not true or false, or `reason` is not a string")
    if reason == Reason.ENGINE_UNAVAILABLE:
        raise ValueError("no rules give this reason")
    return Decision(
        allow=allow,
        reason=Reason(reason),
        violations=read_violations(value["violations"]) if "violations" in value else (),
        failures=read_failures(value["failures"]) if "failures" in value else (),
        engine=engine,
        decision_id=decision_id,
        revision=revision,
        bundles=bundles,
    )


def read_violations(value: Value) -> tuple[Violation, ...]:
    """Return the violations of a decision.

    Raises:
        TypeError: The value is not an array of violations.
        ValueError: A code does not exist, or not at this pointer; or there are none, or they are not sorted or not
            distinct.
    """
    violations = _read(Violation, value, _VIOLATIONS)
    if not violations[0].pointer and len(violations) > 1:
        raise ValueError("a claim that is no object has other violations as well")  # R8.1
    return violations


def read_failures(value: Value) -> tuple[Failure, ...]:
    """Return the failures of a decision, at most one for each constraint; the errors are those of `read_violations`."""
    failures = _read(Failure, value, _FAILURES)
    if len({failure.pointer for failure in failures}) < len(failures):
        raise ValueError("a constraint failed twice")
    return failures


def _read(kind: type[_Detail], value: Value, known: Mapping[str, re.Pattern[str]]) -> tuple[_Detail, ...]:
    if not isinstance(value, list):
        raise TypeError("its details are not an array")
    details: list[_Detail] = []
    for detail in value:
        if not isinstance(detail, dict) or detail.keys() != {"pointer", "code"}:
            raise ValueError("a detail has not the members `pointer` and `code`")
        pointer, code = detail["pointer"], detail["code"]
        if not isinstance(pointer, str) or not isinstance(code, str):
            raise TypeError("a detail's `pointer` or `code` is not a string")
        pattern = known.get(code)
        if pattern is None or pattern.fullmatch(pointer) is None:
            raise ValueError("a detail has a code that does not exist, or not at such a pointer")
        details.append(kind(pointer, code))
    if not details or any(one >= other for one, other in pairwise(details)):
        raise ValueError("its details are none, not sorted, or repeated")
    return tuple(details)
