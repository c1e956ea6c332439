"""Check resources one after the other, leave out the members to omit, and reject bad resources with the cause."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from bridge.errors import ConfigurationError, MalformedInputError
from bridge.escapes import escaped
from bridge.resource import InvalidResource, parse_resource
from bridge.store.store import PreparedResources, custom_data_of
from bridge.strict_json import RESOURCE_BYTES, Value, pointer, scan_leniently, sorted_text, string_text

_DECIDING: Final = ("id", "custom_data")
_WRONG_ESCAPE: Final = re.compile(r"~(?![01])")

_TWINS: Final = 5  # how many of the other places a rejection names


class ThroughArrayError(ValueError):
    """A pointer leads through an array; the text is the cause."""


@dataclass(frozen=True, slots=True)
class Omission:
    """The members to leave out.

    Attributes:
        paths: The path of names to each member, sorted, so that equal omissions compare as equal.
    """

    paths: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of(cls, omit: Iterable[str]) -> Self:
        """Create an omission from names of top-level members and JSON Pointers (RFC 6901), which begin with `/`.

        Raises:
            ConfigurationError: One is neither, or names what decisions read: `id`, `custom_data` or a part of them.
        """
        if isinstance(omit, (str, bytes)):
            raise ConfigurationError(
                "omit: several names are needed, such as `omit=['notification_token']`, not one text"
            )
        return cls(tuple(sorted({_path(text) for text in omit})))

    def __bool__(self) -> bool:
        return bool(self.paths)

    def drop_from(self, resource: dict[str, Value]) -> None:
        """Drop the members from a resource, in place; a missing member is no error.

        Raises:
            ThroughArrayError: A pointer leads through an array, where an index names another item after each removal.
        """
        for path in self.paths:
            container: Value = resource
            for depth, name in enumerate(path[:-1], 1):
                container = container.get(name) if isinstance(container, dict) else None
                if isinstance(container, list):
                    at = pointer(*path[:depth])
                    raise ThroughArrayError(f"omit: `{pointer(*path)}` leads through an array: omit `{at}` as a whole")
            if isinstance(container, dict):
                container.pop(path[-1], None)

    def affects(self, resource: Mapping[str, Value]) -> bool:
        """Tell whether a resource has the first name of any path, so that a member may have to be dropped."""
        return any(path[0] in resource for path in self.paths)


def _path(text: object) -> tuple[str, ...]:
    if not isinstance(text, str) or not text:
        raise ConfigurationError(
            f"omit: {text!r} names no member: give the name of one, or a JSON Pointer such as `/device/app_id`"
        )
    if not text.startswith("/"):
        path = [text]
    elif _WRONG_ESCAPE.search(text):
        raise ConfigurationError(
            f"omit: `{text}` is no JSON Pointer: in it `~` is written `~0`, and `/` in a name `~1`"
        )
    else:
        path = [name.replace("~1", "/").replace("~0", "~") for name in text[1:].split("/")]
    if path[0] in _DECIDING:
        raise ConfigurationError(
            f"omit: `{text}` cannot be left out, for policies look at `id` and `custom_data`: "
            "omit other members, or change the source"
        )
    return tuple(path)


@dataclass(frozen=True, slots=True)
class RejectedResource:
    """A resource that is not pushed.

    Attributes:
        place: Its place: `line 7`; in a JSON array `item 7, line 9, column 3`; in Python objects `item 7`.
        cause: What is wrong with it.
    """

    place: str
    cause: str

    def __str__(self) -> str:
        """Return place and cause on one line of printable characters, fit for a log."""
        return escaped(f"{self.place}: {self.cause}")


class TextFormat(StrEnum):
    """The form of a source of resources."""

    OBJECTS = "Python objects"
    LINES = "JSON Lines"
    ARRAY = "a JSON array"
    EMPTY = "an empty text"


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The resources of one source.

    Attributes:
        resources: The resources that can be pushed.
        rejected: The others, in the order of the source.
        read: The number of resources in the source; blank lines do not count.
        form: The form of the source.
        what: The name of the source, such as a file name; empty for Python objects.
        omitted: The members that were left out.
        rejected_ids: The known ids of the rejected resources, in canonical JSON text.
        nameless: The number of rejected resources without a known id.
    """

    resources: PreparedResources
    rejected: tuple[RejectedResource, ...]
    read: int
    form: TextFormat
    what: str
    omitted: Omission
    rejected_ids: frozenset[bytes]
    nameless: int


class Loader:
    """Collects the resources of one source.

    Args:
        form: The form of the source.
        what: The name of the source.
        omit: Members to leave out.
    """

    def __init__(self, form: TextFormat, what: str, omit: Iterable[str] | Omission) -> None:
        self._form = form
        self._what = what
        self._omission = omit if isinstance(omit, Omission) else Omission.of(omit)
        self._unit = "line" if form is TextFormat.LINES else "item"
        self._read = 0
        self._resources = PreparedResources()
        self._rejected: dict[int, RejectedResource] = {}
        self._rejected_ids: set[bytes] = set()
        self._nameless = 0
        self._numbers: dict[bytes, int | list[int]] = {}
        self._starts = array("Q")  # the line and the column of each item of a text

    def note_start(self, line: int, column: int) -> None:
        """Note where the next item begins."""
        self._starts.append(line)
        self._starts.append(column)

    def add(self, number: int, value: Value) -> None:
        """Add a resource that `parse` returned."""
        id_ = value.get("id") if isinstance(value, dict) else None
        text, cause = self._check(value)
        # A resource that is rejected for another cause may still be the right one of its twins.
        id_text = _id_text(id_)
        if cause:
            self.reject(number, cause, id_)
        else:
            self._read += 1
            assert id_text is not None
            if id_text not in self._numbers:
                self._resources.add(id_text, text, custom_data_of(value))
        if id_text is not None:
            self._note(id_text, number)

    def _check(self, value: Value) -> tuple[bytes, str]:
        """Return the canonical text to store, and the cause if it must not be stored."""
        text = sorted_text(value)
        if len(text) > RESOURCE_BYTES:
            return text, f"longer than {RESOURCE_BYTES:,} bytes in canonical text (R12.6)"
        resource = parse_resource(value)
        if isinstance(resource, InvalidResource):
            return text, f"{resource.cause} (R12.8)"
        assert isinstance(value, dict), "a resource is an object"
        # The members to leave out were checked with the rest.
        if self._omission.affects(value):
            try:
                self._omission.drop_from(value)
            except ThroughArrayError as error:
                return text, str(error)
            text = sorted_text(value)
        return text, ""

    def reject(self, number: int, cause: str, id_: object, *, place: str = "") -> None:
        """Reject a resource.

        Args:
            number: Its number.
            cause: What is wrong with it.
            id_: Its id, if known; only a text that is not empty counts.
            place: The place of the mistake; by default the place where the resource begins.
        """
        self._read += 1
        self._rejected[number] = RejectedResource(place or self._place(number), cause)
        text = _id_text(id_)
        if text is None:
            self._nameless += 1
        else:
            self._rejected_ids.add(text)

    def reject_text(self, number: int, cause: str, text: bytes, error: MalformedInputError, *, place: str = "") -> None:
        """Reject a resource by its text, and read its id from the text if possible."""
        self.reject(number, cause, _readable_id(text, error), place=place)

    def _note(self, id_: bytes, number: int) -> None:
        earlier = self._numbers.setdefault(id_, number)
        if isinstance(earlier, list):
            earlier.append(number)
        elif earlier != number:
            self._numbers[id_] = [earlier, number]

    def _place(self, number: int) -> str:
        if not self._starts:
            return f"{self._unit} {number}"
        return f"{self._unit} {number}, line {self._starts[2 * number - 2]}, column {self._starts[2 * number - 1]}"

    def result(self) -> LoadResult:
        """Return all that was added and rejected."""
        # Which of several resources with one id is meant is unknown, so all of them are rejected.
        twins: list[bytes] = []
        for id_, numbers in self._numbers.items():
            if isinstance(numbers, list):
                twins.append(id_)
                for number in numbers:
                    self._rejected[number] = self._twin(id_, number, numbers)
        return LoadResult(
            self._resources.without(twins),
            tuple(self._rejected[number] for number in sorted(self._rejected)),
            self._read,
            self._form,
            self._what,
            self._omission,
            frozenset(self._rejected_ids.union(twins)),
            self._nameless,
        )

    def _twin(self, id_: bytes, number: int, numbers: list[int]) -> RejectedResource:
        others = [f"{self._unit} {other}" for other in numbers[: _TWINS + 1] if other != number][:_TWINS]
        more = len(numbers) - 1 - len(others)
        twin = f"the id {_shown(id_)} comes more than once: also in {', '.join(others)}"
        twin += f" and {more} more" if more else ""
        rejected = self._rejected.get(number)
        if rejected is None:
            return RejectedResource(self._place(number), twin)
        return RejectedResource(rejected.place, f"{rejected.cause}; {twin}")


def _readable_id(text: bytes, error: MalformedInputError) -> object:
    """Return the id in a rejected text, or None if it is not certain."""
    if error.rule == "R12.2":  # which of two members with one name is meant is unknown
        return None
    try:
        value = scan_leniently(text.decode("utf-8"))
    except UnicodeDecodeError:
        return None
    return value.get("id") if isinstance(value, dict) else None


def _id_text(id_: Any) -> bytes | None:
    """Return an id in canonical JSON text, or None if the value is no id."""
    if type(id_) is not str or not id_:
        return None
    try:
        return string_text(id_)
    except UnicodeEncodeError:  # an unpaired surrogate
        return None


def _shown(id_: bytes) -> str:
    text = id_.decode("utf-8")
    return text if len(text) <= 80 else text[:80] + "..."  # noqa: PLR2004 - what fits a line
