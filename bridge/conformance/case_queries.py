"""Queries made from cases: with the resource of the case, or by the id of a resource that is stored first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from bridge.conformance.vectors import PolicyCase, Stored
from bridge.decision import Request
from bridge.policy import PolicySettings
from bridge.resource import Resource, parse_resource
from bridge.strict_json import encode, parse

NO_RESOURCE: Final = 7
NOBODY: Final = "nobody has this id"


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
