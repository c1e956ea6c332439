"""Resources that were read, one after the other, and said which ones are refused and why."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from bridge.escapes import escaped
from bridge.resource import InvalidResource, parse_resource
from bridge.store.omission import Omission, ThroughArrayError
from bridge.store.prepared import PreparedResources, custom_data_of
from bridge.strict_json import RESOURCE_BYTES, scan_leniently, sorted_text, string_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.errors import MalformedInputError
    from bridge.strict_json import Value

_TWINS: Final = 5  # how many of the others a refusal names


@dataclass(frozen=True, slots=True)
class RejectedResource:
    """A resource that is not pushed.

    Attributes:
        place: Where it stands: `line 7`; in a JSON array `item 7, line 9, column 3`; of Python objects `item 7`.
        cause: What is wrong with it.
    """

    place: str
    cause: str

    def __str__(self) -> str:
        """Place and cause on one line, without a character that is not printable: services write it to their logs."""
        return escaped(f"{self.place}: {self.cause}")


class TextFormat(StrEnum):
    """What resources were read from."""

    OBJECTS = "Python objects"
    LINES = "JSON Lines"
    ARRAY = "a JSON array"
    EMPTY = "an empty text"


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The resources of one source.

    Attributes:
        resources: Those that can be pushed.
        rejected: The others, in the order of the source.
        read: How many there were, blank lines not counted.
        form: What they were read from.
        what: What the source is called, such as a file's name; empty for Python objects.
        omitted: The members that were left out.
        rejected_ids: The ids of those that are refused, in canonical JSON text, as far as they can be told.
        nameless: How many of those that are refused have no id that could be told.
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
    """Takes resources one after the other.

    Args:
        form: What they are read from.
        what: What that is called.
        omit: Members to leave out.
    """

    def __init__(self, form: TextFormat, what: str, omit: Iterable[str] | Omission) -> None:
        self._form = form
        self._what = what
        self._omission = omit if isinstance(omit, Omission) else Omission.of(omit)
        self._unit = "line" if form is TextFormat.LINES else "item"
        self._read = 0
        self._resources = PreparedResources()
        self._refused: dict[int, RejectedResource] = {}
        self._refused_ids: set[bytes] = set()
        self._nameless = 0
        self._numbers: dict[bytes, int | list[int]] = {}
        self._starts = array("Q")  # of items in a text: line and column, by turns

    def starts(self, line: int, column: int) -> None:
        """Note where the next item begins."""
        self._starts.append(line)
        self._starts.append(column)

    def add(self, number: int, value: Value) -> None:
        """Take a resource that `parse` gave."""
        id_ = value.get("id") if isinstance(value, dict) else None
        text, cause = self._checked(value)
        # One that is refused for something else may still have been meant in place of its twin.
        id_text = _id_text(id_)
        if cause:
            self.refuse(number, cause, id_)
        else:
            self._read += 1
            assert id_text is not None
            if id_text not in self._numbers:
                self._resources.add(id_text, text, custom_data_of(value))
        if id_text is not None:
            self._note(id_text, number)

    def _checked(self, value: Value) -> tuple[bytes, str]:
        """The canonical text to store, and, where it must not be, the cause."""
        text = sorted_text(value)
        if len(text) > RESOURCE_BYTES:
            return text, f"longer than {RESOURCE_BYTES:,} bytes in canonical text (R12.6)"
        resource = parse_resource(value)
        if isinstance(resource, InvalidResource):
            return text, f"{resource.cause} (R12.8)"
        assert isinstance(value, dict), "or it were no resource"
        # What is left out has been checked with the rest.
        if self._omission.held_by(value):
            try:
                self._omission.drop_from(value)
            except ThroughArrayError as error:
                return text, str(error)
            text = sorted_text(value)
        return text, ""

    def refuse(self, number: int, cause: str, id_: object, *, place: str = "") -> None:
        """Take note of one that is refused.

        Args:
            number: Its number.
            cause: What is wrong with it.
            id_: Its id, where it is known; only a text that is not empty is one.
            place: Where the mistake is; by default where the resource begins.
        """
        self._read += 1
        self._refused[number] = RejectedResource(place or self._place(number), cause)
        text = _id_text(id_)
        if text is None:
            self._nameless += 1
        else:
            self._refused_ids.add(text)

    def refuse_text(self, number: int, cause: str, text: bytes, error: MalformedInputError, *, place: str = "") -> None:
        """Take note of one whose text is refused; its id is told from the text as far as that goes."""
        self.refuse(number, cause, _told_id(text, error), place=place)

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

    def collected(self) -> LoadResult:
        """All that was taken."""
        # Nobody knows which of the resources of one id is meant, so all of them are refused.
        twins: list[bytes] = []
        for id_, numbers in self._numbers.items():
            if isinstance(numbers, list):
                twins.append(id_)
                for number in numbers:
                    self._refused[number] = self._twin(id_, number, numbers)
        return LoadResult(
            self._resources.without(twins),
            tuple(self._refused[number] for number in sorted(self._refused)),
            self._read,
            self._form,
            self._what,
            self._omission,
            frozenset(self._refused_ids.union(twins)),
            self._nameless,
        )

    def _twin(self, id_: bytes, number: int, numbers: list[int]) -> RejectedResource:
        others = [f"{self._unit} {other}" for other in numbers[: _TWINS + 1] if other != number][:_TWINS]
        more = len(numbers) - 1 - len(others)
        twin = f"the id {_shown(id_)} comes more than once: also in {', '.join(others)}"
        twin += f" and {more} more" if more else ""
        mistake = self._refused.get(number)
        if mistake is None:
            return RejectedResource(self._place(number), twin)
        return RejectedResource(mistake.place, f"{mistake.cause}; {twin}")


def _told_id(text: bytes, error: MalformedInputError) -> object:
    """The id in a text that was refused, where there is no doubt which one it is."""
    if error.rule == "R12.2":  # of two members of one name nobody knows which one is meant
        return None
    try:
        value = scan_leniently(text.decode("utf-8"))
    except UnicodeDecodeError:
        return None
    return value.get("id") if isinstance(value, dict) else None


def _id_text(id_: Any) -> bytes | None:
    """An id in canonical JSON text; None where it is none."""
    if type(id_) is not str or not id_:
        return None
    try:
        return string_text(id_)
    except UnicodeEncodeError:  # an unpaired surrogate
        return None


def _shown(id_: bytes) -> str:
    text = id_.decode("utf-8")
    return text if len(text) <= 80 else text[:80] + "..."  # noqa: PLR2004 - what fits a line
