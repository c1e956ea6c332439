"""Resources in this process's memory, for the engines that run in it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.errors import Misuse
from bridge.resources.store import next_revision
from bridge.strict_json import encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.decision import Request


@dataclass(frozen=True, slots=True)
class _Generation:
    revision: str | None
    resources: Mapping[bytes, bytes]


class MemoryStore:
    """Keeps resources in canonical text by type and id; threads may share it.

    Types and ids are looked up by their canonical JSON text, which is the same for equal strings and for no others.
    """

    def __init__(self, types: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._generations = {encode(type_): _Generation(None, {}) for type_ in types}

    def find(self, request: Request) -> tuple[bytes | None, str | None]:
        """The stored resource that a request by id is about, in canonical text, and the revision it is of.

        The first is None where the resource is not known, both are where the request is not by id.
        """
        if request.resource is not None or request.id is None or request.type is None:
            return None, None
        generation = self._generations.get(request.type)
        return (generation.resources.get(request.id), generation.revision) if generation else (None, None)

    def ids(self, type_: str) -> frozenset[bytes]:
        """The ids that are stored for a type, as canonical JSON text."""
        return frozenset(self._generation(type_).resources)

    def replace(self, type_: str, resources: Mapping[bytes, bytes]) -> str:
        """Store these, resources by id in canonical text, in place of all of a type, at once; gives the revision."""
        with self._lock:
            revision = next_revision(self._generation(type_).revision)
            self._generations[encode(type_)] = _Generation(revision, dict(resources))
        return revision

    def _generation(self, type_: str) -> _Generation:
        try:
            return self._generations[encode(type_)]
        except KeyError:
            raise Misuse(f"`{type_}` is not one of the resource types") from None
