"""JSON values in Python, the limits of R12, and JSON Pointers."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    Value: TypeAlias = bool | str | int | Decimal | list["Value"] | dict[str, "Value"] | None
else:
    # Neither typing.get_type_hints in another module nor pydantic can evaluate an alias that names itself.
    Value: TypeAlias = bool | str | int | Decimal | list[Any] | dict[str, Any] | None
"""A JSON value as `parse` returns it. A number that, written in full, is an integer of at most 40 digits is an `int`,
however the text has it (`1.0`, `1e3`); every other number is a `Decimal`. So numbers of different Python types are
different numbers."""

MAX_DEPTH: Final = 64
"""R12.4: the maximum depth of nested containers; the claims object or the resource is the first."""

CLAIMS_BYTES: Final = 65_536
"""R12.6: the maximum length of the claims in canonical text, as UTF-8."""

RESOURCE_BYTES: Final = 1_048_576
"""R12.6: the maximum length of a resource in canonical text, as UTF-8."""

MAX_NODES: Final = 1_000_000
"""R12.7: the maximum number of values in a Python object; each counts once for each time it is written."""


class Absent(Enum):
    """The type of `ABSENT`."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final[Literal[Absent.ABSENT]] = Absent.ABSENT
"""No value; null is a value."""


def pointer(*names: str) -> str:
    """Return the JSON Pointer (RFC 6901) of the member or item with this path of names.

    Returns:
        Each name after a `/`, with `~` as `~0` and `/` as `~1`; `""` without names.
    """
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)


def resolve(value: Value, text: str) -> Value | Absent:
    """Return the member of nested objects that the JSON Pointer `text` names, or ABSENT."""
    member: Value = value
    for token in text.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if not isinstance(member, dict) or name not in member:
            return ABSENT
        member = member[name]
    return member
