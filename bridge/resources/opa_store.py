"""Resources in an OPA's data, below the data root."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.errors import BadAnswer, Misuse
from bridge.resources.store import next_revision
from bridge.strict_json import ABSENT, encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.opa import OpaClient

# What a whole type may take longer than the deadline that is meant for a query.
_BYTES_A_SECOND: Final = 2_000_000
_LISTING_SECONDS: Final = 60.0


class OpaStore:
    """Keeps the resources of a type as one document: `revision`, and `resources` by id.

    Args:
        opa: The server.
        root: The data root, as names.
        types: The resource types.
    """

    def __init__(self, opa: OpaClient, root: tuple[str, ...], types: Sequence[str]) -> None:
        self._opa = opa
        self._root = root
        self._types = frozenset(types)
        self._revisions: dict[str, str] = {}

    def ids(self, type_: str) -> frozenset[bytes]:
        """The ids that are stored for a type, as canonical JSON text.

        Raises:
            EngineFault: OPA cannot be reached, or refuses, or what it has is no such document.
        """
        found = self._opa.get_data((*self._path(type_), "resources"), deadline=self._opa.deadline + _LISTING_SECONDS)
        if found is ABSENT:
            return frozenset()
        if not isinstance(found, dict):
            raise BadAnswer(f"what OPA has as the resources of `{type_}` is not an object")
        return frozenset(map(encode, found))

    def replace(self, type_: str, resources: Mapping[bytes, bytes]) -> str:
        """Store these, resources by id in canonical text, in place of all of a type, at once; gives the revision.

        Raises:
            EngineFault: OPA cannot be reached, or refuses.
        """
        path = self._path(type_)
        previous = self._revisions.get(type_)
        if previous is None:
            found = self._opa.get_data((*path, "revision"))
            previous = found if isinstance(found, str) else None
        revision = next_revision(previous)
        members = b",".join([id_ + b":" + text for id_, text in resources.items()])
        body = b'{"revision":' + encode(revision) + b',"resources":{' + members + b"}}"
        self._opa.put_data(path, body, deadline=self._opa.deadline + len(body) / _BYTES_A_SECOND)
        self._revisions[type_] = revision
        return revision

    def _path(self, type_: str) -> tuple[str, ...]:
        if type_ not in self._types:
            raise Misuse(f"`{type_}` is not one of the resource types")
        return (*self._root, type_)
