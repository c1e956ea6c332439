"""Print a decision in words, or write it as JSON."""

from __future__ import annotations

import sys
from typing import Final

import typer

from bridge.cli.terminal import print_line, print_styled
from bridge.decision import Reason
from bridge.errors import BridgeError, EngineError, InvalidTokenError, MalformedInputError
from bridge.escapes import escaped, escaped_json, shown
from bridge.explanation import ExplainedFailure, Explanation
from bridge.policy import KNOWN_VERSIONS, PolicySettings
from bridge.resource import InvalidResource, parse_resource
from bridge.strict_json import ABSENT, Absent, Value, encode

_MAX_SHOWN: Final = 200
_UNKNOWN_TYPE: Final = "unknown_resource_type"
_UNSUPPORTED: Final = "version_unsupported"
_REASONS: Final = {
    Reason.UNKNOWN_TYPE: "the resource type is unknown",
    Reason.INVALID_RESOURCE: "a resource must be an object whose `id` is a string that is not empty, "
    "and whose `custom_data`, if present, is an object",
    Reason.UNKNOWN_RESOURCE: "no resource of this type and id has been pushed",
    Reason.UNRESTRICTED: "the claims have no policy, so nothing is restricted",
    Reason.POLICY_REQUIRED: "the claims have no policy, and the rules require one",
    Reason.INVALID_POLICY: "the policy is not valid, so it grants nothing at all",
    Reason.TYPE_NOT_GRANTED: "the policy does not describe this resource type",
    Reason.CONSTRAINT_FAILED: "the resource does not meet the policy",
    Reason.MATCHED: "the resource meets the policy",
    Reason.MALFORMED_INPUT: "the claims are not an object",
    Reason.INVALID_TOKEN: "the rules do not accept the token",
}
_ERRORS: Final = {
    InvalidTokenError: Reason.INVALID_TOKEN,
    MalformedInputError: Reason.MALFORMED_INPUT,
    EngineError: Reason.ENGINE_UNAVAILABLE,
}
_VIOLATIONS: Final = {
    "not_an_object": "it must be an object",
    "not_a_string": "it must be a string",
    "version_missing": "it is missing",
    _UNKNOWN_TYPE: "the resource type is unknown",
    "unknown_field": "only `id` and `custom_data` are allowed",
}


def print_decision(explanation: Explanation, claims: object, settings: PolicySettings, *, by: str) -> None:
    """Print the decision, its reason, and the engine.

    Args:
        explanation: The decision and its causes.
        claims: The claims that the decision was made on.
        settings: The settings of the rules.
        by: The engine, in words.
    """
    decision = explanation.decision
    word, colour = ("allowed", "green") if decision.allow else ("denied", "red")
    verdict = typer.style(word, fg=colour, bold=True)
    print_styled(f"{verdict}: {escaped(decision.reason)}")
    known_types = f"the known ones are {', '.join(map(shown, settings.types))}"
    if reason_text := _reason_text(explanation, known_types):
        print_line(f"  {reason_text}")
    for violation in decision.violations:
        place = shown(violation.pointer) or "the policy"
        text = _VIOLATIONS.get(violation.code, "it breaks R8")
        if violation.code == _UNKNOWN_TYPE:
            text += f", {known_types}"
        elif violation.code == _UNSUPPORTED:
            text = _unsupported(claims, settings)
        print_line(f"  {place}  {violation.code}: {text}")
    for failed in explanation.failures:
        print_line(f"  {shown(failed.failure.pointer)}  {failed.failure.code}")
        print_line(f"    expected  {_value_text(failed.expected)}")
        print_line(f"    actual    {_value_text(failed.actual)}")
    print_line(f"  decided by {by}")


def _unsupported(claims: object, settings: PolicySettings) -> str:
    """Return what is wrong with a version; for a known one, also the options that allow it."""
    text = f"it must be the number {' or '.join(map(str, sorted(settings.versions)))}"
    policy = claims.get(settings.claim) if isinstance(claims, dict) else None
    version = policy.get("version") if isinstance(policy, dict) else None
    for other in sorted(KNOWN_VERSIONS - settings.versions):
        if type(version) is int and version == other:
            options = " ".join(f"--policy-version {each}" for each in sorted({*settings.versions, other}))
            return f"{text}; the claim is version {other}, which the setting `versions` can allow: {options}"
    return text


def _reason_text(explanation: Explanation, known_types: str) -> str:
    """Return the reason in words, with the cause if it is known."""
    reason = explanation.decision.reason
    text = _REASONS.get(reason, "")
    if reason == Reason.UNKNOWN_TYPE:
        return f"{text}: {known_types}"
    if reason == Reason.INVALID_RESOURCE and explanation.resource is not ABSENT:
        resource = parse_resource(explanation.resource)
        if isinstance(resource, InvalidResource):
            return f"{resource.cause} (R12.8)"
    return text


def as_json(explanation: Explanation) -> bytes:
    """Return the decision, the failed constraints and the engine as one JSON object."""
    decision = explanation.decision
    members = {name: _encoded(value) for name, value in decision.as_dict().items()}
    if explanation.failures:
        members["failures"] = b"[" + b",".join(map(_failure, explanation.failures)) + b"]"
    for name in ("engine", "decision_id", "revision"):
        if (value := getattr(decision, name)) is not None:
            members[name] = _encoded(value)
    return escaped_json(_object(members))


def error_as_json(error: BridgeError) -> bytes:
    """Return the error as one JSON object that denies."""
    members = {"allow": b"false"}
    for kind, reason in _ERRORS.items():
        if isinstance(error, kind):
            members["reason"] = _encoded(str(reason))
    return escaped_json(_object(members | {"code": _encoded(error.code), "error": _encoded(str(error))}))


def _failure(failed: ExplainedFailure) -> bytes:
    members = {"pointer": failed.failure.pointer, "code": failed.failure.code, "expected": failed.expected}
    if failed.actual is not ABSENT:
        members["actual"] = failed.actual
    return _object({name: _encoded(value) for name, value in members.items()})


def _object(members: dict[str, bytes]) -> bytes:
    """Return an object made of encoded members: a value of the depth that R12.4 allows is nested deeper here."""
    return b"{" + b",".join(_encoded(name) + b":" + text for name, text in members.items()) + b"}"


def _encoded(value: object) -> bytes:
    return encode(value, max_bytes=sys.maxsize)


def _value_text(value: Value | Absent) -> str:
    if value is ABSENT:
        return "nothing"
    text = escaped_json(_encoded(value)).decode("utf-8")
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."
