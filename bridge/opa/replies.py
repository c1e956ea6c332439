"""What OPA answers, typed, and how it is read from the JSON of a response."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from bridge.errors import InvalidResponseError, MalformedInputError
from bridge.http import Reply
from bridge.strict_json import ABSENT, MAX_DEPTH, Absent, Value, parse, scan_leniently, sorted_text

_DEPTH: Final = MAX_DEPTH + 16
"""A resource may nest 64 deep, inside documents of the bridge and members of OPA's response."""

_TREE_DEPTH: Final = 10_000
"""OPA returns a policy with its syntax tree, which nests as deep as the policy."""

_RESULT: Final = re.compile(r'\{(?:"decision_id":"[^"\\]*",)?"result":')
_DECODER: Final = json.JSONDecoder()  # it only finds the end of a value

_METRIC: Final = re.compile(r"^(go_memstats_heap_inuse_bytes|go_gc_gomemlimit_bytes) (\S+)$", re.MULTILINE)
_NO_LIMIT: Final = 2**62
"""Without a limit, Go reports a number just below 2**63."""


@dataclass(frozen=True, slots=True)
class QueryReply:
    """The answer to a query.

    Attributes:
        result: The value of the document, or `ABSENT` where it is undefined, which is neither null nor false.
        decision_id: The decision's id in OPA's decision log, if OPA keeps one.
        version: OPA's version, which is new enough, if the query asked for provenance.
        bundles: The revision of each active bundle that has one, by its name, if the query asked for provenance.
        nonce: The nonce of the query, to compare with `result`; None if the query had none.
    """

    result: Value | Absent
    decision_id: str | None = None
    version: str | None = None
    bundles: Mapping[str, str] = field(default_factory=dict, hash=False)
    nonce: str | None = None


@dataclass(frozen=True, slots=True)
class CompileReply:
    """What remains of a query after partial evaluation.

    Attributes:
        queries: Alternatives, each an array of expressions in OPA's JSON form of Rego. Without alternatives the query
            never holds. With an empty one it always holds.
        support: Modules, in the same form, that the queries refer to.
    """

    queries: tuple[Value, ...]
    support: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """A module that OPA holds.

    Attributes:
        id: The id that it was put under, or its path in its bundle.
        text: Its Rego.
        package: The names of its package below `data`, as OPA has parsed them.
        rules: The names below `data` at which each of its rules is defined, as far as they are constant.
    """

    id: str
    text: str
    package: tuple[str, ...] = field(default=(), compare=False)
    rules: frozenset[tuple[str, ...]] = field(default=frozenset(), compare=False)


@dataclass(frozen=True, slots=True)
class Health:
    """Whether OPA reports that it is ready.

    Attributes:
        ok: OPA is ready.
        message: Why it is not ready; empty if it is.
    """

    ok: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class MemoryUsage:
    """The memory of OPA's process, in bytes.

    Attributes:
        used: The size of its heap.
        limit: The largest size of its heap (`GOMEMLIMIT`); None if there is no limit.
    """

    used: int
    limit: int | None


def json_object(reply: Reply, what: str, max_depth: int = _DEPTH) -> dict[str, Value]:
    """Return the JSON object in the body of a response, or raise `InvalidResponseError`.

    Args:
        reply: The response.
        what: Method and path, for the error.
        max_depth: How deep containers may nest.
    """
    try:
        value = parse(reply.body, max_depth=max_depth)
    except MalformedInputError as error:
        raise InvalidResponseError(
            f"`{what}`: the answer is not well-formed JSON: {error}: is this the url of opa?"
        ) from None
    if not isinstance(value, dict):
        raise InvalidResponseError(f"`{what}`: the answer is not a JSON object: is this the url of opa?")
    return value


def result_of(reply: Reply, what: str) -> Value | Absent:
    """Return the `result` of a response, or `ABSENT`."""
    return json_object(reply, what).get("result", ABSENT)


def result_text(reply: Reply, what: str) -> str | Absent:
    """Return the text of `result` in OPA's own spelling if possible, or `ABSENT`; it may break R12."""
    with suppress(ValueError, RecursionError):  # `result_of` raises the error
        text = reply.body.decode("utf-8")
        if (head := _RESULT.match(text)) is not None:
            end = _DECODER.raw_decode(text, head.end())[1]
            if text[end:].strip() == "}":
                return text[head.end() : end]
    value = result_of(reply, what)
    return value if isinstance(value, Absent) else sorted_text(value).decode("utf-8")


def tree_object(reply: Reply, what: str) -> dict[str, Value]:
    """Return the JSON object with syntax trees, where policies of others may hold numbers that break R12.5."""
    try:
        return json_object(reply, what, _TREE_DEPTH)
    except InvalidResponseError:
        value = scan_leniently(reply.body.decode(errors="replace"))
        if isinstance(value, dict):
            return value
        raise


def compile_reply(reply: Reply, what: str) -> CompileReply:
    """Return what remains of a query, or raise `InvalidResponseError`."""
    result = json_object(reply, what, _TREE_DEPTH).get("result")
    if not isinstance(result, dict):
        raise InvalidResponseError(f"`{what}`: the answer has no `result` that is an object")
    queries, support = result.get("queries", []), result.get("support", [])
    if not isinstance(queries, list) or not isinstance(support, list):
        raise InvalidResponseError(f"`{what}`: `queries` or `support` is not an array")
    return CompileReply(tuple(queries), tuple(support))


def memory_usage(reply: Reply) -> MemoryUsage | None:
    """Return the memory in OPA's metrics; None if they do not hold it, or OPA refuses to give them."""
    if reply.status != HTTPStatus.OK:  # a token that may write data may lack the right to read metrics
        return None
    metrics = dict(_METRIC.findall(reply.body.decode(errors="replace")))
    try:
        used, limit = (float(metrics[f"go_{name}"]) for name in ("memstats_heap_inuse_bytes", "gc_gomemlimit_bytes"))
    except (KeyError, ValueError):
        return None
    return MemoryUsage(int(used), int(limit) if limit < _NO_LIMIT else None)


def stored_policy(value: Value, what: str) -> StoredPolicy:
    """Return a module, with the places of its rules by its syntax tree, or raise `InvalidResponseError`."""
    if isinstance(value, dict):
        policy_id, text, tree = value.get("id"), value.get("raw"), value.get("ast")
        if isinstance(policy_id, str) and isinstance(text, str) and isinstance(tree, dict):
            package = tree.get("package")
            path = package.get("path") if isinstance(package, dict) else None
            rules = tree.get("rules", [])
            if isinstance(path, list) and isinstance(rules, list) and path:
                names = _constant_names(path[1:])
                if len(names) == len(path) - 1:
                    places = frozenset(names + _rule_names(rule, what) for rule in rules)
                    return StoredPolicy(policy_id, text, names, places)
    raise InvalidResponseError(f"`{what}`: the answer holds something that is no policy")


def _rule_names(rule: Value, what: str) -> tuple[str, ...]:
    """Return the names of a rule below its package, up to the first that is not constant."""
    head = rule.get("head") if isinstance(rule, dict) else None
    ref = head.get("ref") if isinstance(head, dict) else None
    first = ref[0] if isinstance(ref, list) and ref else None
    name = first.get("value") if isinstance(first, dict) else None
    if not isinstance(ref, list) or not isinstance(name, str):
        raise InvalidResponseError(f"`{what}`: the answer holds a rule that has no name")
    return (name, *_constant_names(ref[1:]))


def _constant_names(terms: list[Value]) -> tuple[str, ...]:
    names = []
    for term in terms:
        name = term.get("value") if isinstance(term, dict) and term.get("type") == "string" else None
        if not isinstance(name, str):
            break
        names.append(name)
    return tuple(names)
