"""What a JSON value is in Python here, and the limits of R12."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from decimal import Decimal

Value: TypeAlias = "bool | str | int | Decimal | list[Value] | dict[str, Value] | None"
"""A JSON value as `parse` gives it. A number that written out in full is an integer of at most 40 digits is an
`int`, however it was written (`1.0`, `1e3`); every other number is a `Decimal`. Numbers of different Python types
are therefore different numbers."""

MAX_DEPTH: Final = 64
"""R12.4: containers inside each other; the claims object or the resource is the first."""

CLAIMS_BYTES: Final = 65_536
"""R12.6: the claims in canonical text, as UTF-8."""

RESOURCE_BYTES: Final = 1_048_576
"""R12.6: a resource in canonical text, as UTF-8."""

MAX_NODES: Final = 1_000_000
"""R12.7: values in a Python object, each counted as often as it would be written."""


class Absent(Enum):
    """The type of `ABSENT`."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final[Literal[Absent.ABSENT]] = Absent.ABSENT
"""No value at all, which is not null."""
