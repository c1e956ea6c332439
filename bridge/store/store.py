"""The seam between a push and where resources are kept."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bridge.store.prepared import PreparedResources

_MOST_DIGITS: Final = 40
"""Of a revision, which counts microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class ChangeReport:
    """What a change of some resources did.

    Attributes:
        added: How many came that were not there.
        changed: How many are different now.
        removed: How many went.
        unchanged: How many were there as they are.
        absent: How many were to go that were not there.
        revision: The revision of the resources now.
    """

    added: int
    changed: int
    removed: int
    unchanged: int
    absent: int
    revision: str

    @classmethod
    def of(
        cls, before: Mapping[bytes, bytes], upserts: Mapping[bytes, bytes], removals: Iterable[bytes], revision: str
    ) -> Self:
        """What came of it, by what was there: resources by id, both in canonical text with sorted names."""
        gone = set(removals)
        there = {id_: text for id_, text in upserts.items() if id_ in before}
        unchanged = sum(before[id_] == text for id_, text in there.items())
        removed = sum(id_ in before for id_ in gone)
        return cls(
            added=len(upserts) - len(there),
            changed=len(there) - unchanged,
            removed=removed,
            unchanged=unchanged,
            absent=len(gone) - removed,
            revision=revision,
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between what is stored and what should be.

    Attributes:
        upserts: The resources that are not there, or not as they should be, by id; both in canonical JSON text.
        removals: The ids of those that should not be there.
        added: How many of the upserts are not there.
        before: How many resources are there.
    """

    upserts: Mapping[bytes, bytes]
    removals: Sequence[bytes]
    added: int
    before: int


class Store(Protocol):
    """Keeps the pushed resources of each type, whole or not at all."""

    def operation(self) -> Self:
        """The same store for one operation of several calls, which ends where not all of them reach one store."""

    def replace(
        self, type_: str, resources: Mapping[bytes, bytes], *, on_progress: Callable[[int], None] = lambda _: None
    ) -> str:
        """Store these in place of all resources of a type, at once.

        Args:
            type_: The resource type.
            resources: Resources by id, both in canonical JSON text.
            on_progress: Called with how many more resources have been sent.

        Returns:
            The new revision.

        Raises:
            EngineError: They could not be stored.
        """

    def change(self, type_: str, upserts: Mapping[bytes, bytes], removals: Iterable[bytes]) -> ChangeReport:
        """Store some resources, and remove others, at once.

        Args:
            type_: The resource type.
            upserts: Resources by id, both in canonical JSON text.
            removals: Ids in canonical JSON text; one that is upserted as well stays.

        Raises:
            ResourcesMissingError: Nothing was ever pushed, or it is there no more: what is left is no whole.
            EngineError: They could not be stored.
        """

    def difference(self, type_: str, prepared: PreparedResources, most: int | None) -> Difference | None:
        """What differs between what is stored and what should be.

        None where nothing was pushed yet, or where it is certainly or very likely more than `most`, if that is told.

        Raises:
            EngineError: They cannot be read.
        """


def is_revision(text: str) -> bool:
    """Whether a text is a revision; a number of thousands of digits is none, and nothing that Python would read."""
    return text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS


def next_revision(previous: str | None) -> str:
    """A revision after `previous`: microseconds since 1970, or one more where a clock went back."""
    now = time.time_ns() // 1_000
    return str(max(now, int(previous) + 1) if previous and previous.isdecimal() else now)
