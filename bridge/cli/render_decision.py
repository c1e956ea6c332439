"""A decision in words for a person, or in JSON for a program."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import typer

from bridge.cli.terminal import draw, say
from bridge.decision import Reason
from bridge.errors import EngineError, InvalidTokenError, MalformedInputError
from bridge.escapes import escaped, escaped_json, shown
from bridge.policy import KNOWN_VERSIONS
from bridge.resource import InvalidResource, parse_resource
from bridge.strict_json import ABSENT, encode

if TYPE_CHECKING:
    from bridge.errors import BridgeError
    from bridge.explanation import ExplainedFailure, Explanation
    from bridge.policy import PolicySettings
    from bridge.strict_json import Absent, Value

_SHOWN: Final = 200
_UNKNOWN_TYPE: Final = "unknown_resource_type"
_UNSUPPORTED: Final = "version_unsupported"
_REASONS: Final = {
    Reason.UNKNOWN_TYPE: "the resource type is not known",
    Reason.INVALID_RESOURCE: "a resource is an object with an `id`, a string that is not empty, "
    "and a `custom_data` that, if it is there, is an object",
    Reason.UNKNOWN_RESOURCE: "no resource of this type and id has been pushed",
    Reason.UNRESTRICTED: "the claims have no policy, so nothing is restricted",
    Reason.POLICY_REQUIRED: "the claims have no policy, and the rules require one",
    Reason.INVALID_POLICY: "the policy is not valid, so it grants nothing at all",
    Reason.TYPE_NOT_GRANTED: "the policy does not describe this resource type",
    Reason.CONSTRAINT_FAILED: "the resource is not as the policy demands",
    Reason.MATCHED: "the resource is as the policy demands",
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
    "version_missing": "it must be there",
    _UNKNOWN_TYPE: "it is no known resource type",
    "unknown_field": "only `id` and `custom_data` may be there",
}


def tell(explanation: Explanation, claims: object, settings: PolicySettings, *, by: str) -> None:
    """Say what was decided, why, and by whom.

    Args:
        explanation: What was decided.
        claims: The claims that it was decided on.
        settings: What the rules were rendered for.
        by: The engine, in words.
    """
    decision = explanation.decision
    word, colour = ("allowed", "green") if decision.allow else ("denied", "red")
    verdict = typer.style(word, fg=colour, bold=True)
    draw(f"{verdict}: {escaped(decision.reason)}")
    known = f"the known ones are {', '.join(map(shown, settings.types))}"
    if meaning := _meaning(explanation, known):
        say(f"  {meaning}")
    for violation in decision.violations:
        place = shown(violation.pointer) or "the policy"
        text = _VIOLATIONS.get(violation.code, "it breaks R8")
        if violation.code == _UNKNOWN_TYPE:
            text += f", {known}"
        elif violation.code == _UNSUPPORTED:
            text = _unsupported(claims, settings)
        say(f"  {place}  {violation.code}: {text}")
    for failed in explanation.failures:
        say(f"  {shown(failed.failure.pointer)}  {failed.failure.code}")
        say(f"    expected  {_shown(failed.expected)}")
        say(f"    actual    {_shown(failed.actual)}")
    say(f"  decided by {by}")


def _unsupported(claims: object, settings: PolicySettings) -> str:
    """What is wrong with a version; with a known one, what allows it."""
    text = f"it must be the number {' or '.join(map(str, sorted(settings.versions)))}"
    policy = claims.get(settings.claim) if isinstance(claims, dict) else None
    version = policy.get("version") if isinstance(policy, dict) else None
    for known in sorted(KNOWN_VERSIONS - settings.versions):
        if type(version) is int and version == known:
            options = " ".join(f"--policy-version {each}" for each in sorted({*settings.versions, known}))
            return f"{text}; the claim is version {known}, which the setting `versions` can allow: {options}"
    return text


def _meaning(explanation: Explanation, known: str) -> str:
    """The reason in words, and, where there is one, the cause."""
    reason = explanation.decision.reason
    text = _REASONS.get(reason, "")
    if reason == Reason.UNKNOWN_TYPE:
        return f"{text}: {known}"
    if reason == Reason.INVALID_RESOURCE and explanation.resource is not ABSENT:
        resource = parse_resource(explanation.resource)
        if isinstance(resource, InvalidResource):
            return f"{resource.cause} (R12.8)"
    return text


def as_json(explanation: Explanation) -> bytes:
    """The decision, the constraints that failed and where it is from, as one object."""
    decision = explanation.decision
    members = {name: _encoded(value) for name, value in decision.as_dict().items()}
    if explanation.failures:
        members["failures"] = b"[" + b",".join(map(_failure, explanation.failures)) + b"]"
    for name in ("engine", "decision_id", "revision"):
        if (value := getattr(decision, name)) is not None:
            members[name] = _encoded(value)
    return escaped_json(_object(members))


def error_as_json(error: BridgeError) -> bytes:
    """Why there is no decision, as one object that denies."""
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
    """An object of texts: a value that is as deep as R12.4 allows stands inside deeper ones here."""
    return b"{" + b",".join(_encoded(name) + b":" + text for name, text in members.items()) + b"}"


def _encoded(value: object) -> bytes:
    return encode(value, max_bytes=sys.maxsize)


def _shown(value: Value | Absent) -> str:
    if value is ABSENT:
        return "nothing"
    text = escaped_json(_encoded(value)).decode("utf-8")
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
