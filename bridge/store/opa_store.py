"""The store on an OPA: resources in its data, below the data root, in the form of `layout`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Self

from bridge.opa import OpaClient
from bridge.opa.limited import Limits
from bridge.process_bound import ProcessBound
from bridge.store import integrity, layout, opa_compare
from bridge.store.integrity import IntegrityReport
from bridge.store.opa_change import Changes, ReadView
from bridge.store.opa_documents import Documents
from bridge.store.opa_push import Pushes
from bridge.store.state import TypeState
from bridge.store.store import ChangeReport, PreparedResources, StoreDifference
from bridge.strict_json import Value


class OpaStore(ProcessBound):
    """Keeps the resources of each type in generations, one of which is current.

    Args:
        opa: The server.
        root: The data root, as names.
        types: The resource types.
        read_view: Queries the `stored_view` of the installed rules, for `change`; without it, resources can only be
            replaced as a whole.
        note: Called with each store that a response names; see `Documents`.
    """

    def __init__(
        self,
        opa: OpaClient,
        root: tuple[str, ...],
        types: Sequence[str],
        read_view: ReadView | None = None,
        note: Callable[[Mapping[str, Value]], None] = lambda _: None,
    ) -> None:
        self._documents = Documents(opa, root, types, note)
        self._read_view = read_view

    def operation(self) -> Self:
        """Return the same store for one operation of several calls; it fails if two responses name different stores.

        By itself, each call is an operation. Before an operation writes, it reads the stores of all types on two new
        connections.
        """
        store = type(self).__new__(type(self))
        store._documents = self._documents.operation()  # noqa: SLF001 - its own
        store._read_view = self._read_view  # noqa: SLF001
        return store

    def require_one(self) -> None:
        """Make sure that one OPA answers, as far as two new connections can tell.

        Raises:
            MultipleStoresError: Several OPAs answer.
            EngineError: OPA cannot be reached.
        """
        self._documents.operation().agree_on_all()

    def share_revisions(self, other: OpaStore) -> None:
        """Share the remembered revisions with another store, so that the two never make the same one."""
        self._documents.share_revisions(other._documents)

    def resources(self, type_: str) -> Iterator[dict[str, Value]]:
        """Read the stored resources of a type, by id, shard by shard.

        Raises:
            EngineError: OPA cannot be reached, or refuses, or has a document in another form.
        """
        documents = self._documents.operation()
        state = documents.agreed(type_)
        if state is None or state.current is None:
            return
        for shard in layout.SHARDS:
            yield documents.shard((*documents.path(type_), "generations", state.current.generation, "resources", shard))

    def look(self, type_: str) -> TypeState | None:
        """Read the state of a type; None if nothing was ever pushed.

        Raises:
            UnsupportedLayoutError: It has a later layout.
            EngineError: OPA cannot be reached, or refuses, or has a document in another form.
        """
        return self._documents.look(type_)

    def is_pushed(self, type_: str) -> bool:
        """Tell whether a push of the type has ever ended; a push of no resources counts.

        Raises:
            UnsupportedLayoutError: Its state has a later layout.
            EngineError: OPA cannot be reached, or refuses, or has a document in another form.
        """
        state = self.look(type_)
        return state is not None and state.current is not None

    def replace(
        self, type_: str, resources: Mapping[bytes, bytes], *, on_progress: Callable[[int], None] = lambda _: None
    ) -> str:
        """Replace all resources of a type at once, and return the new revision.

        Readers see all of the old resources until they see all of the new ones. The remains of pushes that never ended
        are removed.

        Args:
            type_: The resource type.
            resources: Resources by id, both in canonical JSON text.
            on_progress: Called with the number of resources that were sent since the last call.

        Raises:
            PushConflictError: Another push came in between; nothing has changed.
            ResourcesMissingError: OPA was restarted meanwhile.
            MultipleStoresError: Several OPAs answer; nothing has become current.
            EngineError: OPA cannot be reached, or refuses.
        """
        return Pushes(self._documents.operation()).push(type_, resources, on_progress)

    def restore(
        self, type_: str, collect: Callable[[], Mapping[bytes, bytes]], *, patience: float, limits: Limits
    ) -> None:
        """Push resources if there are none, or wait for another process that pushes them already.

        Args:
            type_: The resource type.
            collect: Returns the resources, by id in canonical text; called only if this process pushes.
            patience: The seconds without a heartbeat after which this push replaces that of another process.
            limits: The time limit.

        Raises:
            MultipleStoresError: One OPA takes the writes, and another one the reads.
            EngineError: OPA cannot be reached, or refuses.
        """
        Pushes(self._documents).restore(type_, collect, patience=patience, limits=limits)

    def change(self, type_: str, upserts: Mapping[bytes, bytes], removals: Iterable[bytes]) -> ChangeReport:
        """Store some resources and remove others, in one patch with their part of the index.

        Args:
            type_: The resource type.
            upserts: Resources by id, both in canonical JSON text.
            removals: Ids in canonical JSON text; an id that is upserted as well stays.

        Raises:
            ResourcesMissingError: Nothing was ever pushed, or OPA was restarted and has lost it.
            PushRejectedError: It takes more operations than OPA can do in reasonable time; nothing has changed.
            PushConflictError: Others changed the resources at every try; nothing of this change was done.
            RulesNotInstalledError: The rules, which read the stored resources, are not installed.
            MultipleStoresError: Several OPAs answer; nothing has changed.
            EngineError: OPA cannot be reached, or refuses.
        """
        return Changes(self._documents.operation(), self._read_view).change(type_, upserts, removals)

    def difference(self, type_: str, prepared: PreparedResources, most: int | None) -> StoreDifference | None:
        """Return the difference between the stored resources and the prepared ones; read only where the digests differ.

        None if nothing was pushed yet, or if there is a `most` and the difference is larger, certainly or very likely.

        Raises:
            PushConflictError: Others changed the resources at every try.
            EngineError: OPA cannot be reached, or refuses, or has a document in another form.
        """
        return opa_compare.difference(self._documents.operation(), type_, prepared, most)

    def recount(self, type_: str, *, on_progress: Callable[[int], None] = lambda _: None) -> IntegrityReport:
        """Derive a type's digests, index and number of resources again, and compare them with the stored ones.

        Args:
            type_: The resource type.
            on_progress: Called with the number of resources that were read since the last call.

        Raises:
            ResourcesMissingError: Nothing was ever pushed, or OPA has lost it.
            StaleResourcesError: The resources have changed meanwhile; call it again.
            MultipleStoresError: Several OPAs answer.
            EngineError: OPA cannot be reached, or refuses, or has a document in another form.
        """
        return integrity.recount(self._documents.operation(), type_, on_progress)
