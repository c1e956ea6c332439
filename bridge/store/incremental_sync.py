"""Sync: make the stored resources of a type equal to a source, and send only the difference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bridge.errors import PushRejectedError
from bridge.store.full_push import push, refuse_invalid, refuse_removals, removed_as_rejected
from bridge.store.loader import LoadResult, RejectedResource
from bridge.store.store import Store, StoreDifference

_AT_ONCE: Final = 150
"""The resources of one change, at first; a change with too many operations is halved."""

MOST_CHANGES: Final = 20_000
"""A larger difference is pushed as a new generation, which takes about as long."""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did.

    Attributes:
        type: The resource type.
        stored: The number of resources of the type now.
        added: The number of new resources.
        changed: The number of resources that are different now.
        removed: The number of removed resources.
        revisions: The number of revisions that were made one after the other, each complete; 0 if nothing differed.
        generation: Whether all resources were sent again, in one revision, because too many differed.
        rejected: The resources that were not stored, and why.
        revision: The revision now; None if nothing differed.
        removed_as_rejected: As in `PushReport`.
    """

    type: str
    stored: int
    added: int
    changed: int
    removed: int
    revisions: int
    generation: bool
    rejected: tuple[RejectedResource, ...]
    revision: str | None
    removed_as_rejected: tuple[str, ...] = ()


def sync(
    store: Store,
    type_: str,
    collected: LoadResult,
    *,
    skip_invalid: bool = False,
    force: bool = False,
    on_progress: Callable[[int], None] = lambda _: None,
) -> SyncReport:
    """Make the stored resources of a type equal to the collected ones, and send only the difference.

    Args:
        store: The store.
        type_: The resource type; the other types do not change.
        collected: The result of `from_file`, `from_lines` or `from_objects`.
        skip_invalid: As in `push`.
        force: Go on even if more than half of the stored resources would be removed.
        on_progress: Called with the number of differing resources that were sent since the last call.

    Raises:
        PushRejectedError: Nothing was changed: a resource was rejected, or the sync needs `force`.
        PushConflictError: Others change the resources too; the changes so far are complete, and the rest is missing.
        MultipleStoresError: Several OPAs answer at the address; nothing was changed, or the changes so far are
            complete.
        EngineError: The store could not be read or written.
    """
    refuse_invalid(collected, skip_invalid=skip_invalid, force=force)
    store = store.operation()
    difference = store.difference(type_, collected.resources, MOST_CHANGES)
    if difference is not None:
        refuse_removals(type_, difference.before, len(difference.removals), collected.rejected, force=force)
        if (revisions := _changes(store, type_, difference, on_progress)) is not None:
            return SyncReport(
                type=type_,
                stored=len(collected.resources),
                added=difference.added,
                changed=len(difference.upserts) - difference.added,
                removed=len(difference.removals),
                revisions=len(revisions),
                generation=False,
                rejected=collected.rejected,
                revision=revisions[-1] if revisions else None,
                removed_as_rejected=removed_as_rejected(collected, difference.removals),
            )
    pushed = push(store, type_, collected, skip_invalid=skip_invalid, force=force, on_progress=on_progress)
    return SyncReport(
        type=type_,
        stored=pushed.stored,
        added=pushed.added,
        changed=pushed.changed,
        removed=pushed.removed,
        revisions=1,
        generation=True,
        rejected=pushed.rejected,
        revision=pushed.revision,
        removed_as_rejected=pushed.removed_as_rejected,
    )


def _changes(
    store: Store, type_: str, difference: StoreDifference, on_progress: Callable[[int], None]
) -> list[str] | None:
    """Send the changes and return their revisions; None if even one resource is too large for a change."""
    ids = [*difference.upserts, *difference.removals]
    revisions: list[str] = []
    start, size = 0, _AT_ONCE
    while start < len(ids):
        some = ids[start : start + size]
        upserts = {id_: difference.upserts[id_] for id_ in some if id_ in difference.upserts}
        try:
            report = store.change(type_, upserts, [id_ for id_ in some if id_ not in upserts])
        except PushRejectedError:
            if size == 1:
                return None
            size //= 2
            continue
        revisions.append(report.revision)
        on_progress(len(some))
        start += len(some)
    return revisions
