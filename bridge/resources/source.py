"""Resources on their way into a push: read, checked, and said which ones are refused and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bridge.errors import MalformedInput
from bridge.resource import InvalidResource, parse_resource
from bridge.resources.prepared import Prepared
from bridge.strict_json import RESOURCE_BYTES, encode, parse, sorted_text, string_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bridge.strict_json import Value

_TWINS: Final = 5  # how many of the others a refusal names


@dataclass(frozen=True, slots=True)
class Refusal:
    """A resource that is not pushed.

    Attributes:
        place: Where it stands: `line 7` or `item 7`.
        cause: What is wrong with it.
    """

    place: str
    cause: str

    def __str__(self) -> str:
        return f"{self.place}: {self.cause}"


@dataclass(frozen=True, slots=True)
class Collected:
    """The resources of one source.

    Attributes:
        resources: Those that can be pushed.
        refusals: The others, in the order of the source.
        read: How many there were, blank lines not counted.
    """

    resources: Prepared
    refusals: tuple[Refusal, ...]
    read: int


def from_lines(lines: Iterable[bytes]) -> Collected:
    """The resources in JSON Lines: one a line, as UTF-8; lines of nothing but white space are skipped.

    A resource that breaks R12 is refused with its line and the cause; so is every one whose id comes twice.
    """
    collector = _Collector("line")
    for number, line in enumerate(lines, 1):
        if line.strip(b" \t\r\n"):
            collector.add(number, _line_value, line)
    return collector.collected()


def from_objects(resources: Iterable[object]) -> Collected:
    """The resources in Python objects (R12.7), checked in the same way; the first one is item 1."""
    collector = _Collector("item")
    for number, value in enumerate(resources, 1):
        collector.add(number, _object_value, value)
    return collector.collected()


class _Collector:
    """Takes resources one after the other; `unit` is what they are counted in."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._read = 0
        self._resources = Prepared()
        self._refused: dict[int, str] = {}
        self._numbers: dict[bytes, int | list[int]] = {}

    def add(self, number: int, value_of: Callable[[Any], Value], given: object) -> None:
        self._read += 1
        try:
            value = value_of(given)
            text = sorted_text(value)
            if len(text) > RESOURCE_BYTES:
                encode(value)  # which refuses it, in its words
        except MalformedInput as error:
            self._refused[number] = str(error)
            return
        resource = parse_resource(value)
        # One that is refused for something else may still have been meant in place of its twin.
        id_ = value.get("id") if isinstance(value, dict) else None
        id_text = string_text(id_) if isinstance(id_, str) and id_ else b""
        if isinstance(resource, InvalidResource):
            self._refused[number] = f"{resource.cause} (R12.8)"
        elif id_text not in self._numbers:
            self._resources.add(id_text, text, resource.custom_data)
        if id_text:
            self._note(id_text, number)

    def _note(self, id_: bytes, number: int) -> None:
        earlier = self._numbers.setdefault(id_, number)
        if isinstance(earlier, list):
            earlier.append(number)
        elif earlier != number:
            self._numbers[id_] = [earlier, number]

    def collected(self) -> Collected:
        # Nobody knows which of the resources of one id is meant, so all of them are refused.
        twins: list[bytes] = []
        for id_, numbers in self._numbers.items():
            if isinstance(numbers, list):
                twins.append(id_)
                for number in numbers:
                    others = [f"{self._unit} {other}" for other in numbers[: _TWINS + 1] if other != number][:_TWINS]
                    more = len(numbers) - 1 - len(others)
                    twin = f"the id {_shown(id_)} comes more than once: also in {', '.join(others)}"
                    twin += f" and {more} more" if more else ""
                    mistake = self._refused.get(number)
                    self._refused[number] = f"{mistake}; {twin}" if mistake else twin
        refusals = tuple(Refusal(f"{self._unit} {number}", self._refused[number]) for number in sorted(self._refused))
        return Collected(self._resources.without(twins), refusals, self._read)


def _line_value(line: bytes) -> Value:
    try:
        return parse(line.removesuffix(b"\n"))
    except MalformedInput as error:
        # The line's number is told by the refusal: here it is always the first.
        cut = "" if line.endswith(b"\n") else "; the line has no end: was the source cut off?"
        raise MalformedInput(f"column {error.column}: {error.cause}{cut}", rule=error.rule) from None


def _object_value(value: object) -> Value:
    return parse(encode(value))


def _shown(id_: bytes) -> str:
    text = id_.decode("utf-8")
    return text if len(text) <= 80 else text[:80] + "..."  # noqa: PLR2004 - what fits a line
