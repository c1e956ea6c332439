"""Members of a vectors file, checked one by one: what is wrong is told with its file, its case and its member."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Self, TypeVar

from bridge.errors import MalformedInputError, UsageError
from bridge.files import INPUT_BYTES, read_file
from bridge.strict_json import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bridge.strict_json import Value

T = TypeVar("T")

_FILE_DEPTH: Final = 128  # a claim may nest 64 deep, and stands inside a case
_DECIMAL: Final = re.compile(r"-?[0-9]{1,17}(?:\.[0-9]{1,17})?")


@dataclass(frozen=True, slots=True)
class Fields:
    """An object in a vectors file.

    Attributes:
        value: Its members.
        place: Where it stands, for errors.
    """

    value: dict[str, Value]
    place: str

    @classmethod
    def of(cls, value: Value, place: str) -> Self:
        """The members of a value, which must be an object.

        Raises:
            UsageError: It is none.
        """
        if not isinstance(value, dict):
            raise UsageError(f"{place}: an object is needed")
        return cls(value, place)

    def __contains__(self, name: str) -> bool:
        return name in self.value

    def wrong(self, name: str, cause: str) -> UsageError:
        """The error for a member, to be raised."""
        return UsageError(f"{self.place}: `{name}`: {cause}")

    def only(self, required: Sequence[str], optional: Sequence[str] = ()) -> None:
        """Refuse other members, and the lack of one.

        Raises:
            UsageError: One is unknown or missing.
        """
        for name in required:
            if name not in self.value:
                raise self.wrong(name, "it is missing")
        for name in self.value:
            if name not in required and name not in optional:
                raise self.wrong(name[:80], "no such member is known here")

    def one_of(self, names: Sequence[str]) -> str:
        """The one of these members that is there.

        Raises:
            UsageError: None is, or more than one.
        """
        found = [name for name in names if name in self.value]
        if len(found) != 1:
            raise UsageError(f"{self.place}: exactly one of `{'`, `'.join(names)}` is needed")
        return found[0]

    def within(self, name: str) -> Fields:
        """The members of a member.

        Raises:
            UsageError: It is no object.
        """
        return Fields.of(self.value.get(name), f"{self.place}: `{name}`")

    def items(self, name: str) -> list[Value]:
        """The items of an array.

        Raises:
            UsageError: It is none.
        """
        found = self.value.get(name)
        if not isinstance(found, list):
            raise self.wrong(name, "an array is needed")
        return found

    def string(self, name: str) -> str:
        """A string.

        Raises:
            UsageError: It is none.
        """
        found = self.value.get(name)
        if not isinstance(found, str):
            raise self.wrong(name, "a string is needed")
        return found

    def strings(self, name: str) -> tuple[str, ...]:
        """An array of strings.

        Raises:
            UsageError: It is none.
        """
        found = [item for item in self.items(name) if isinstance(item, str)]
        if len(found) != len(self.items(name)):
            raise self.wrong(name, "an array of strings is needed")
        return tuple(found)

    def boolean(self, name: str) -> bool:
        """True or false.

        Raises:
            UsageError: It is neither.
        """
        found = self.value.get(name)
        if not isinstance(found, bool):
            raise self.wrong(name, "true or false is needed")
        return found

    def seconds(self, name: str) -> Decimal:
        """A number of seconds, exactly: an integer, or a decimal in a string.

        Raises:
            UsageError: It is neither.
        """
        found = self.value.get(name)
        text = str(found) if isinstance(found, int) and not isinstance(found, bool) else found
        if not isinstance(text, str) or not _DECIMAL.fullmatch(text):
            raise self.wrong(name, "an integer, or a decimal in a string, is needed")
        return Decimal(text)

    def base64(self, name: str) -> bytes:
        """Bytes.

        Raises:
            UsageError: It is no base64.
        """
        try:
            return base64.b64decode(self.string(name), validate=True)
        except (binascii.Error, ValueError):
            raise self.wrong(name, "it is no base64") from None

    def text(self, name: str) -> str:
        """A text: a string, or parts to be joined, of which `{"repeat": "x", "times": 3}` is `xxx`.

        Raises:
            UsageError: It is neither.
        """
        value = self.value.get(name)
        if isinstance(value, str):
            return value
        if not isinstance(value, list) or not value:
            raise self.wrong(name, "a string, or an array of parts, is needed")
        parts = []
        for part in value:
            if isinstance(part, str):
                parts.append(part)
                continue
            repeated = Fields.of(part, f"{self.place}: `{name}`")
            repeated.only(("repeat", "times"))
            times = repeated.value["times"]
            if not isinstance(times, int) or isinstance(times, bool) or times < 1:
                raise repeated.wrong("times", "an integer of at least 1 is needed")
            parts.append(repeated.string("repeat") * times)
        return "".join(parts)


def read_cases(path: Path, read: Callable[[Fields, Fields], T], *, optional: Sequence[str] = ()) -> tuple[T, ...]:
    """The cases of a file.

    Args:
        path: The file.
        read: Reads one case, given the file's members and the case's.
        optional: Members that the file may have besides `cases` and what is only for readers.

    Raises:
        UsageError: The file is malformed; the error says where and how.
        OSError: It cannot be read.
    """
    try:
        text = read_file(path, limit=INPUT_BYTES, what="a file of vectors")
        document = Fields.of(parse(text, max_depth=_FILE_DEPTH), f"`{path}`")
    except MalformedInputError as error:
        raise UsageError(f"`{path}`: {error}") from None
    document.only(("cases",), ("$schema", "description", "rules", *optional))
    found = []
    names: set[str] = set()
    for number, value in enumerate(document.items("cases"), 1):
        nameless = Fields.of(value, f"`{path}`: case {number}")
        name = nameless.string("name")
        case = Fields(nameless.value, f"`{path}`: case `{name}`")
        if name in names:
            raise case.wrong("name", "another case of the file has it")
        names.add(name)
        found.append(read(document, case))
    return tuple(found)
