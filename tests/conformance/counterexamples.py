"""A counterexample as a file of vectors that stays."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

from conformance.committed_vectors import FOLDER

from bridge.policy import PolicySettings
from bridge.strict_json import encode, parse

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.deciders import Difference

# The rules behind each reason, in the order that the files list them in.
_RULES: Final = {
    "malformed_input": ["R1"],
    "unknown_type": ["R1"],
    "invalid_resource": ["R2", "R12.8"],
    "unrestricted": ["R3"],
    "policy_required": ["R3"],
    "type_not_granted": ["R5"],
    "constraint_failed": ["R6", "R9", "R10", "R11"],
    "matched": ["R7", "R9", "R10", "R11"],
}
_VIOLATED: Final = ["R4", *(f"R8.{number}" for number in range(1, 9))]
_NOT_ASCII: Final = re.compile(r"[^\x20-\x7e]")


def write_vector(settings: PolicySettings, difference: Difference, folder: Path = FOLDER) -> Path:
    """Write the question as a case, with the reference's answer, and one of the other verdict beside it.

    Look at the answer before you commit it: the reference may be what is wrong.
    """
    question = difference.question
    assert question.claims is not None
    assert question.type is not None
    assert question.resource is not None
    name = f"found-{hashlib.sha256(question.text).hexdigest()[:12]}"
    answer = _answer(difference)
    rules = _VIOLATED if answer["reason"] == "invalid_policy" else _RULES[answer["reason"]]
    chosen = _chosen(settings)
    case: dict[str, Any] = {
        "name": name,
        "rules": rules,
        "why": f"{difference.decider} gave another answer",
        **chosen,
        "claims": parse(question.claims),
        "type": parse(question.type),
        "resource": parse(question.resource),
        "expect": answer,
    }
    beside = _beside(settings, name, chosen, is_allowed=not answer["allow"])
    document = {
        "$schema": "schema.json",
        "description": "A difference between deciders that random questions found.",
        "rules": sorted({*rules, *beside["rules"]}, key=_place),
        "cases": [case, beside],
    }
    path = folder / f"{name.replace('-', '_')}.json"
    path.write_text(_ascii(document), encoding="ascii")
    return path


def _answer(difference: Difference) -> dict[str, Any]:
    assert isinstance(difference.reference, dict)
    return difference.reference


def _beside(settings: PolicySettings, name: str, chosen: dict[str, Any], *, is_allowed: bool) -> dict[str, Any]:
    return {
        "name": f"{name}-beside",
        "rules": ["R7" if is_allowed else "R1"],
        **chosen,
        "claims": {settings.claim: {"version": min(settings.versions), settings.types[0]: {}}},
        "type": settings.types[0] if is_allowed else "",
        "resource": {"id": "a"},
        "expect": {"allow": is_allowed, "reason": "matched" if is_allowed else "unknown_type"},
    }


def _chosen(settings: PolicySettings) -> dict[str, Any]:
    usual = PolicySettings()
    chosen: dict[str, Any] = {}
    if settings.claim != usual.claim:
        chosen["claim"] = settings.claim
    if settings.types != usual.types:
        chosen["types"] = list(settings.types)
    if settings.require_policy:
        chosen["require_policy"] = True
    if settings.versions != usual.versions:
        chosen["versions"] = sorted(settings.versions)
    return {"settings": chosen} if chosen else {}


def _place(rule: str) -> tuple[int, ...]:
    return tuple(map(int, rule[1:].split(".")))


def _ascii(document: dict[str, Any]) -> str:
    """Two cases, a line each; a character that is not of ASCII is escaped as JSON does it."""
    cases = ",\n    ".join(encode(case).decode("utf-8") for case in document["cases"])
    head = ",\n  ".join(f'"{name}": {encode(document[name]).decode("utf-8")}' for name in document if name != "cases")
    text = f'{{\n  {head},\n  "cases": [\n    {cases}\n  ]\n}}\n'
    return "\n".join(_NOT_ASCII.sub(_escaped, line) for line in text.split("\n"))


def _escaped(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
