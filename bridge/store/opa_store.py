"""Resources in an OPA's data, below the data root, as `layout` says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from bridge.process_bound import ProcessBound
from bridge.store import layout, opa_compare
from bridge.store.opa_change import Changes
from bridge.store.opa_documents import Documents
from bridge.store.opa_push import Pushes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from bridge.opa import OpaClient
    from bridge.opa.limited import Limits
    from bridge.store.opa_change import ReadView
    from bridge.store.opa_compare import IntegrityReport
    from bridge.store.prepared import PreparedResources
    from bridge.store.state import TypeState
    from bridge.store.store import ChangeReport, Difference
    from bridge.strict_json import Value


class OpaStore(ProcessBound):
    """Keeps the resources of each type in generations, one of which is current.

    Args:
        opa: The server.
        root: The data root, as names.
        types: The resource types.
        read_view: Asks the installed rules for their `stored_view`, for `change`, on a new connection where it is told
            so; without it, nothing can be changed but as a whole.
        note: Told each store that an answer names, as `Documents` is.
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
        """The same store for one operation of several calls: it ends once two answers name different stores.

        By itself, each call is an operation. Before one writes, it looks for the stores of all types on two new
        connections.
        """
        found = type(self).__new__(type(self))
        found._documents = self._documents.operation()  # noqa: SLF001 - its own
        found._read_view = self._read_view  # noqa: SLF001
        return found

    def require_one(self) -> None:
        """Make sure that one OPA answers, as far as two new connections tell, whatever is stored there.

        Raises:
            MultipleStoresError: Several do.
            EngineError: OPA cannot be reached.
        """
        self._documents.operation().agree_on_all()

    def share_revisions(self, other: OpaStore) -> None:
        """Remember the same revisions as another store, so that none is made twice by the two."""
        self._documents.share_revisions(other._documents)

    def resources(self, type_: str) -> Iterator[dict[str, Value]]:
        """The resources that are stored for a type, by id, shard by shard.

        Raises:
            EngineError: OPA cannot be reached, or refuses, or what it has is no such document.
        """
        documents = self._documents.operation()
        state = documents.agreed(type_)
        if state is None or state.current is None:
            return
        for shard in layout.SHARDS:
            yield documents.shard((*documents.path(type_), "generations", state.current.generation, "resources", shard))

    def look(self, type_: str) -> TypeState | None:
        """The state of a type; None where nothing was ever pushed.

        Raises:
            UnsupportedLayoutError: It is of a later layout.
            EngineError: OPA cannot be reached, or refuses, or what it has is no such document.
        """
        return self._documents.look(type_)

    def is_pushed(self, type_: str) -> bool:
        """Whether a push of the type has ever ended; one of no resources counts.

        Raises:
            UnsupportedLayoutError: Its state is of a later layout.
            EngineError: OPA cannot be reached, or refuses, or what it has is no such document.
        """
        state = self.look(type_)
        return state is not None and state.current is not None

    def replace(
        self, type_: str, resources: Mapping[bytes, bytes], *, on_progress: Callable[[int], None] = lambda _: None
    ) -> str:
        """Store these, resources by id in canonical text, in place of all of a type, at once; gives the revision.

        Readers see all of the old state until they see all of the new one. What pushes that never ended have left is
        removed.

        Args:
            type_: The resource type.
            resources: Resources by id, both in canonical JSON text.
            on_progress: Called with how many more resources have been sent.

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
        """Push resources where there are none, unless somebody else is about to: then wait for that.

        Args:
            type_: The resource type.
            collect: Gives the resources, by id in canonical text; asked by the one who pushes.
            patience: How many seconds another's push may give no sign of life before this one takes its place.
            limits: Until when it may go on.

        Raises:
            MultipleStoresError: Another OPA answers to what is read than to what is written.
            EngineError: OPA cannot be reached, or refuses.
        """
        Pushes(self._documents).restore(type_, collect, patience=patience, limits=limits)

    def change(self, type_: str, upserts: Mapping[bytes, bytes], removals: Iterable[bytes]) -> ChangeReport:
        """Store some resources, and remove others, in one patch with all that the index has of them.

        Args:
            type_: The resource type.
            upserts: Resources by id, both in canonical JSON text.
            removals: Ids in canonical JSON text; one that is upserted as well stays.

        Raises:
            ResourcesMissingError: Nothing was ever pushed, or OPA was restarted: what is left is no whole.
            PushRejectedError: It would take more operations than OPA does in good time; nothing has changed.
            PushConflictError: Others changed the resources each time in between; nothing of this has.
            RulesNotInstalledError: The rules, which know what is there, are not installed.
            MultipleStoresError: Several OPAs answer; nothing has changed.
            EngineError: OPA cannot be reached, or refuses.
        """
        return Changes(self._documents.operation(), self._read_view).change(type_, upserts, removals)

    def difference(self, type_: str, prepared: PreparedResources, most: int | None) -> Difference | None:
        """What differs between what is stored and what should be, read no further than where the digests differ.

        None where nothing was pushed yet, or where it is certainly or very likely more than `most`, if that is told.

        Raises:
            PushConflictError: Others changed the resources each time while they were read.
            EngineError: OPA cannot be reached, or refuses, or what it has is no such document.
        """
        return opa_compare.difference(self._documents.operation(), type_, prepared, most)

    def recount(self, type_: str, *, on_progress: Callable[[int], None] = lambda _: None) -> IntegrityReport:
        """Count all anew that was derived from the resources of a type: digests, index, their number.

        Args:
            type_: The resource type.
            on_progress: Called with how many more resources have been read.

        Raises:
            ResourcesMissingError: Nothing was ever pushed, or it is there no more.
            StaleResourcesError: The resources have changed meanwhile; count again.
            MultipleStoresError: Several OPAs answer.
            EngineError: OPA cannot be reached, or refuses, or what it has is no such document.
        """
        return opa_compare.recount(self._documents.operation(), type_, on_progress)
