"""The seam between a push and where resources are kept."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class Store(Protocol):
    """Keeps the pushed resources of each type, whole or not at all."""

    def ids(self, type_: str) -> frozenset[bytes]:
        """The ids that are stored for a type, as canonical JSON text.

        Raises:
            EngineFault: They cannot be read.
        """
        ...

    def replace(self, type_: str, resources: Mapping[bytes, bytes]) -> str:
        """Store these in place of all resources of a type, at once.

        Args:
            type_: The resource type.
            resources: Resources by id, both in canonical JSON text.

        Returns:
            The new revision.

        Raises:
            EngineFault: They could not be stored.
        """
        ...


def next_revision(previous: str | None) -> str:
    """A revision after `previous`: microseconds since 1970, or one more where a clock went back."""
    now = time.time_ns() // 1_000
    return str(max(now, int(previous) + 1) if previous and previous.isdecimal() else now)
