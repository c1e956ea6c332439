"""The lines of `jwt-bridge decide`: read a question, and write its answer."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from bridge.cli.input_files import MAX_LINE_BYTES
from bridge.decision import Decision, Request
from bridge.errors import MalformedInputError
from bridge.escapes import escaped_json
from bridge.strict_json import CLAIMS_BYTES, MAX_DEPTH, RESOURCE_BYTES, Value, encode, parse, scan_leniently
from bridge.strict_json.diagnosis import encoding_fault

_DEPTH: Final = 4 * MAX_DEPTH
_MEMBERS: Final = frozenset(("claims", "type", "resource"))


@dataclass(frozen=True, slots=True)
class DecideLine:
    """The question of one line.

    Attributes:
        line: The number of the line, from 1.
        case: The text to copy to the answer, or None.
        request: The question.
        resource: The resource, as a value.
    """

    line: int
    case: str | None
    request: Request
    resource: Value


@dataclass(frozen=True, slots=True)
class MalformedLine:
    """A line that is no valid question.

    Attributes:
        line: The number of the line, from 1.
        case: The text to copy to the answer, or None.
        error: What is wrong.
        is_object: Whether the line is an object, or may be one in another encoding.
    """

    line: int
    case: str | None
    error: str
    is_object: bool


def read_line(number: int, line: bytes | None) -> DecideLine | MalformedLine:
    """Read the question of one line that is not blank; None stands for a line that was too long to keep."""
    if line is None:
        return MalformedLine(number, None, f"line {number}: longer than {MAX_LINE_BYTES:,} bytes", is_object=False)
    value: Value = None
    try:
        # `encode` counts the depth of claims and resource by themselves.
        value = parse(line, max_depth=_DEPTH)
        case, claims, type_, resource = _members(value)
        request = Request(
            claims=encode(claims, max_bytes=CLAIMS_BYTES, what="claims"),
            type=encode(type_, max_bytes=sys.maxsize),
            resource=encode(resource, max_bytes=RESOURCE_BYTES, what="resource"),
        )
    except MalformedInputError as error:
        # The error counts lines inside the text; the user counts lines of the file.
        place = f"line {number}" if error.line is None else f"line {number}, column {error.column}"
        inner = MalformedInputError(error.cause, rule=error.rule, what=error.what, pointer=error.pointer)
        return _malformed(number, value, line, f"{place}: {inner}")
    except _WrongShapeError as error:
        return _malformed(number, value, line, f"line {number}: {error}")
    return DecideLine(number, case, request, resource)


def answer_line(case: DecideLine | MalformedLine, decision: Decision | None) -> bytes:
    """Return the answer to a line, as one line of JSON."""
    if isinstance(case, MalformedLine):
        members: dict[str, object] = {"allow": False, "reason": "malformed_input", "error": case.error}
        text = encode(members, max_bytes=sys.maxsize)
    else:
        assert decision is not None
        text = _plain(decision.allow, decision.reason) if _is_plain(decision) else _encoded(decision)
    if case.case is not None:
        text = b'{"case":' + encode(case.case, max_bytes=sys.maxsize) + b"," + text[1:]
    return escaped_json(text) + b"\n"


class _WrongShapeError(Exception):
    """The line is well-formed JSON, but not a question."""


def _members(value: Value) -> tuple[str | None, dict[str, Value], str, Value]:
    if not isinstance(value, dict):
        raise _WrongShapeError("not an object")
    for name in ("claims", "type", "resource"):
        if name not in value:
            raise _WrongShapeError(f"the member `{name}` is missing")
    for name in value:
        if name not in _MEMBERS and name != "case":
            raise _WrongShapeError(f"an unknown member {encode(name[:80]).decode('utf-8')}")
    claims, type_, case = value["claims"], value["type"], value.get("case")
    if not isinstance(claims, dict):
        raise _WrongShapeError("`claims` is not an object")
    if not isinstance(type_, str):
        raise _WrongShapeError("`type` is not a string")
    if "case" in value and not isinstance(case, str):
        raise _WrongShapeError("`case` is not a string")
    return case if isinstance(case, str) else None, claims, type_, value["resource"]


def _malformed(number: int, value: Value, line: bytes, error: str) -> MalformedLine:
    members = _members_leniently(value, line)
    return MalformedLine(number, _case_of(members), error, is_object=members is not None or bool(encoding_fault(line)))


def _members_leniently(value: Value, line: bytes) -> dict[str, Value] | None:
    """Return the object of a malformed line, even if it breaks R12; None if it is not an object."""
    if value is None:
        try:
            value_leniently = scan_leniently(line.decode("utf-8"))
        except UnicodeDecodeError:
            return None
        return value_leniently if isinstance(value_leniently, dict) else None
    return value if isinstance(value, dict) else None


def _case_of(members: dict[str, Value] | None) -> str | None:
    """Return the `case` of a malformed line; None if it has none that can be written."""
    case = members.get("case") if members is not None else None
    if not isinstance(case, str):
        return None
    try:
        encode(case, max_bytes=sys.maxsize)
    except MalformedInputError:
        return None
    return case


def _is_plain(decision: Decision) -> bool:
    return not decision.violations and not decision.failures


@lru_cache
def _plain(allow: bool, reason: str) -> bytes:  # noqa: FBT001 - a value, not a switch
    return encode({"allow": allow, "reason": str(reason)})


def _encoded(decision: Decision) -> bytes:
    return encode(decision.as_dict(), max_bytes=sys.maxsize)
