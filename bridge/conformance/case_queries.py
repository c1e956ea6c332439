"""Queries made from cases, and the ways to send them to an engine.

A query has the resource of the case, or the id of a resource that is stored first. Each answer stands beside the
expected one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from bridge.checks import batches
from bridge.conformance.vectors import PolicyCase, Stored
from bridge.decision import Decision, Request
from bridge.errors import InvalidResponseError, OpaStatusError
from bridge.policy import PolicySettings
from bridge.resource import Resource, parse_resource
from bridge.strict_json import ABSENT, encode, parse

NO_RESOURCE: Final = 7
NOBODY: Final = "nobody has this id"

QueryEntrypoint: TypeAlias = Callable[[str, bytes], object]
"""Returns the value of an entrypoint for an input in canonical text."""

ENTRYPOINTS: Final = ("decision", "allow", "decisions")
"""The public entrypoints."""

_NOTHING: Final = "no result"
_STATUSES_OF_QUERY: Final = (400, 500)


@dataclass(frozen=True, slots=True)
class CaseQuery:
    """A query made from a case.

    Attributes:
        case: The case.
        request: The request, if the case has no whole input of its own.
        stored: The resources that are stored during the query.
    """

    case: PolicyCase
    request: Request
    stored: Stored

    @property
    def text(self) -> bytes:
        """Return the whole input."""
        return self.request.text if self.case.input is None else self.case.input

    @property
    def is_for_check(self) -> bool:
        """Return whether `check` can take it; there a string is a token or an id, and never claims or a resource."""
        if self.case.input is not None or self.request.claims is None or self.request.type is None:
            return False
        if self.request.claims.startswith(b'"'):
            return False
        if self.request.resource is not None:
            return not self.request.resource.startswith(b'"')
        return self.request.id is not None and self.request.id.startswith(b'"')

    @property
    def has_item(self) -> bool:
        """Return whether it can be one of several in an array `resources` or `ids`."""
        return self.case.input is None and (self.request.resource or self.request.id) is not None

    @property
    def expected_of_another(self) -> dict[str, object]:
        """Return the decision for `NO_RESOURCE`, or for the id `NOBODY`, in place of the resource."""
        if self.case.expected["reason"] in ("malformed_input", "unknown_type"):
            return self.case.expected
        return {
            "allow": False,
            "reason": "invalid_resource" if self.request.resource is not None else "unknown_resource",
        }

    @property
    def among_others(self) -> bytes:
        """Return the input for another item, for this one, and for this one again; only if it `has_item`."""
        request = self.request
        if request.resource is not None:
            name, item, another = b"resources", request.resource, encode(NO_RESOURCE)
        else:
            assert request.id is not None
            name, item, another = b"ids", request.id, encode(NOBODY)
        members = request._replace(resource=None, id=None).text[1:-1]
        return b"{%b%b%b}" % (members, members and b",", b'"%b":[%b,%b,%b]' % (name, another, item, item))


def as_they_stand(cases: Iterable[PolicyCase]) -> list[CaseQuery]:
    """Return a query for each case that is not refused, with its own resource."""
    return [CaseQuery(case, case.request(), case.stored) for case in cases if case.is_accepted]


def by_id(cases: Iterable[PolicyCase]) -> list[CaseQuery]:
    """Return a query by id for each case whose resource can be stored."""
    queries = []
    for case in cases:
        if case.is_accepted and (key := case.stored_key()) is not None:
            request = case.request()
            request_by_id = request._replace(resource=None, id=encode(key[1]))
            queries.append(CaseQuery(case, request_by_id, {key: request.resource}))
    return queries


def is_pushable(query: CaseQuery) -> bool:
    """Return whether a push can store all of it: only resources, of known types, under their own ids."""
    return all(
        text is None or is_resource(query.case.settings.types, type_, id_, text)
        for (type_, id_), text in query.stored.items()
    )


def is_resource(types: Iterable[str], type_: str, id_: str, text: bytes) -> bool:
    """Return whether a stored text is a resource of a known type under its own id."""
    resource = parse_resource(parse(text))
    return type_ in types and isinstance(resource, Resource) and resource.id == id_


def is_nothing_stored(query: CaseQuery) -> bool:
    """Return whether nothing is stored."""
    return not any(query.stored.values())


def groups(queries: Iterable[CaseQuery]) -> Iterator[tuple[PolicySettings, Stored, list[CaseQuery]]]:
    """Group queries that can share a store, so that few are filled; groups of the same settings are adjacent."""
    grouped: list[tuple[object, PolicySettings, Stored, list[CaseQuery]]] = []
    for query in queries:
        key = (query.case.settings, is_pushable(query))
        for other, _, stored, group in grouped:
            if key == other and all(stored.get(at, text) == text for at, text in query.stored.items()):
                stored.update(query.stored)
                group.append(query)
                break
        else:
            grouped.append((key, query.case.settings, dict(query.stored), [query]))
    first = {settings: place for place, (_, settings, _, _) in reversed(list(enumerate(grouped)))}
    grouped.sort(key=lambda each: first[each[1]])
    return ((settings, stored, group) for _, settings, stored, group in grouped)


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """The answer to one query by one strategy.

    Attributes:
        query: The query.
        strategy: How it was sent, such as `decision`.
        expected: The expected answer of the vectors.
        actual: The actual answer; an error text if there was no valid answer.
    """

    query: CaseQuery
    strategy: str
    expected: object
    actual: object


def by_entrypoints(
    ask: QueryEntrypoint, queries: Sequence[CaseQuery], entrypoints: Sequence[str]
) -> Iterator[CaseOutcome]:
    """Send each query alone, through the given public entrypoints.

    Raises:
        EngineError: The engine failed, for a reason that no query can have.
    """
    for query in queries:
        expected = query.case.expected
        if "decision" in entrypoints:
            yield CaseOutcome(query, "decision", expected, _ask(ask, "decision", query.text))
        if "allow" in entrypoints:
            yield CaseOutcome(query, "allow", expected["allow"], _ask(ask, "allow", query.text))
        if "decisions" in entrypoints and query.has_item:
            three = [query.expected_of_another, expected, expected]
            yield CaseOutcome(query, "decisions", three, _ask(ask, "decisions", query.among_others))


def in_batches(
    decide: Callable[[Sequence[Request]], list[Decision]], queries: Sequence[CaseQuery], batch_bytes: int
) -> Iterator[CaseOutcome]:
    """Send many queries in one batch, as the bridge does.

    Raises:
        EngineError: The engine failed, for a reason that no query can have.
    """
    batched = [query for query in queries if query.case.input is None]
    start = 0
    for batch in batches([query.request for query in batched], batch_bytes):
        for query, actual in zip(batched[start:], _decide(decide, batch), strict=False):
            yield CaseOutcome(query, "answer", query.case.expected, actual)
        start += len(batch)


def _decide(decide: Callable[[Sequence[Request]], list[Decision]], requests: Sequence[Request]) -> list[object]:
    """Return the decisions; after an invalid response, send both halves, so that one query does not hide the others."""
    try:
        return [decision.as_dict() for decision in decide(requests)]
    except (InvalidResponseError, OpaStatusError) as fault:
        _raise_if_general(fault)
        if len(requests) == 1:
            return [str(fault)]
        middle = len(requests) // 2
        answers = [*_decide(decide, requests[:middle]), *_decide(decide, requests[middle:])]
        return answers if any(isinstance(actual, str) for actual in answers) else [str(fault)] * len(requests)


def _ask(ask: QueryEntrypoint, entrypoint: str, text: bytes) -> object:
    try:
        actual = ask(entrypoint, text)
    except (InvalidResponseError, OpaStatusError) as fault:
        _raise_if_general(fault)
        return str(fault)
    return _NOTHING if actual is ABSENT else actual


def _raise_if_general(fault: InvalidResponseError | OpaStatusError) -> None:
    """Raise an error that no query can cause, such as one of a gateway."""
    if isinstance(fault, OpaStatusError) and not (fault.opa_code and fault.status in _STATUSES_OF_QUERY):
        raise fault
