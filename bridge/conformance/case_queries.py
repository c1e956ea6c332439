"""Cases as they are asked: as they stand, or by the id of their resource, which is stored first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.resource import Resource, parse_resource
from bridge.strict_json import encode, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bridge.conformance.vectors import PolicyCase, Stored
    from bridge.decision import Request
    from bridge.policy import PolicySettings

NO_RESOURCE: Final = 7
NOBODY: Final = "nobody has this id"


@dataclass(frozen=True, slots=True)
class Query:
    """A case as it is asked.

    Attributes:
        case: The case.
        request: What is asked, where the case has no whole input of its own.
        stored: What is stored meanwhile.
    """

    case: PolicyCase
    request: Request
    stored: Stored

    @property
    def text(self) -> bytes:
        """The whole input."""
        return self.request.text if self.case.input is None else self.case.input

    @property
    def is_for_check(self) -> bool:
        """Whether `check` can be asked it: a string is a token or an id there, all else claims or a resource."""
        if self.case.input is not None or self.request.claims is None or self.request.type is None:
            return False
        if self.request.claims.startswith(b'"'):
            return False
        if self.request.resource is not None:
            return not self.request.resource.startswith(b'"')
        return self.request.id is not None and self.request.id.startswith(b'"')

    @property
    def has_item(self) -> bool:
        """Whether it can be one of several in an array `resources` or `ids`."""
        return self.case.input is None and (self.request.resource or self.request.id) is not None

    @property
    def expected_of_another(self) -> dict[str, object]:
        """The decision for `NO_RESOURCE`, or for the id `NOBODY`, in place of the resource."""
        if self.case.expected["reason"] in ("malformed_input", "unknown_type"):
            return self.case.expected
        return {
            "allow": False,
            "reason": "invalid_resource" if self.request.resource is not None else "unknown_resource",
        }

    @property
    def among_others(self) -> bytes:
        """The input that asks for another one, for this one, and for this one once more, of one that `has_item`."""
        request = self.request
        if request.resource is not None:
            name, item, another = b"resources", request.resource, encode(NO_RESOURCE)
        else:
            assert request.id is not None
            name, item, another = b"ids", request.id, encode(NOBODY)
        members = request._replace(resource=None, id=None).text[1:-1]
        return b"{%b%b%b}" % (members, members and b",", b'"%b":[%b,%b,%b]' % (name, another, item, item))


def as_they_stand(cases: Iterable[PolicyCase]) -> list[Query]:
    """The cases that are not refused, as they stand."""
    return [Query(case, case.request(), case.stored) for case in cases if case.is_accepted]


def by_id(cases: Iterable[PolicyCase]) -> list[Query]:
    """The cases whose resource can be stored, asked by id."""
    found = []
    for case in cases:
        if case.is_accepted and (key := case.stored_key()) is not None:
            request = case.request()
            asked = request._replace(resource=None, id=encode(key[1]))
            found.append(Query(case, asked, {key: request.resource}))
    return found


def is_pushable(question: Query) -> bool:
    """Whether the push would store just that: resources only, of known types, under their ids."""
    return all(
        text is None or is_resource(question.case.settings.types, type_, id_, text)
        for (type_, id_), text in question.stored.items()
    )


def is_resource(types: Iterable[str], type_: str, id_: str, text: bytes) -> bool:
    """Whether a stored text is a resource of a known type under its own id."""
    resource = parse_resource(parse(text))
    return type_ in types and isinstance(resource, Resource) and resource.id == id_


def is_nothing_stored(question: Query) -> bool:
    """Whether nothing at all is stored."""
    return not any(question.stored.values())


def groups(questions: Iterable[Query]) -> Iterator[tuple[PolicySettings, Stored, list[Query]]]:
    """Questions that can be asked of one store, so that few have to be filled; those of the same settings in a row."""
    found: list[tuple[object, PolicySettings, Stored, list[Query]]] = []
    for question in questions:
        key = (question.case.settings, is_pushable(question))
        for other, _, stored, group in found:
            if key == other and all(stored.get(at, text) == text for at, text in question.stored.items()):
                stored.update(question.stored)
                group.append(question)
                break
        else:
            found.append((key, question.case.settings, dict(question.stored), [question]))
    first = {settings: place for place, (_, settings, _, _) in reversed(list(enumerate(found)))}
    found.sort(key=lambda each: first[each[1]])
    return ((settings, stored, group) for _, settings, stored, group in found)
