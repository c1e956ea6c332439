"""Making what is stored equal to a source by what differs, found by digests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.errors import PushRejectedError
from bridge.store.full_push import push, refuse_invalid, refuse_removals, removed_as_rejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.store.loader import LoadResult, RejectedResource
    from bridge.store.store import Difference, Store

_AT_ONCE: Final = 150
"""Resources of one change, at first; a change that takes too many operations is halved."""

MOST_CHANGES: Final = 20_000
"""A larger difference is a new generation: it takes about as long as that."""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did.

    Attributes:
        type: The resource type.
        stored: How many resources of the type there are now.
        added: How many came.
        changed: How many are different now.
        removed: How many went.
        revisions: How many revisions were made one after the other, each of them whole; 0 where nothing differed.
        generation: All was sent anew, in one revision, for it differed in too much.
        rejected: What was not stored, and why.
        revision: The revision now; None where nothing differed.
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
    """Make the stored resources of a type equal to the collected ones, and send no more than what differs.

    Args:
        store: Where to.
        type_: The resource type; others are left alone.
        collected: What `from_file`, `from_lines` or `from_objects` gave.
        skip_invalid: As for `push`.
        force: Go on even where more than half of what is there would go.
        on_progress: Called with how many more of the resources that differ have been sent.

    Raises:
        PushRejectedError: Nothing was changed, for a resource is refused, or what `force` speaks of.
        PushConflictError: Others change the resources too; what was changed so far is whole, and the rest is not.
        MultipleStoresError: Several OPAs answer at its address; nothing was changed, or what was changed so far is
            whole.
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


def _changes(store: Store, type_: str, difference: Difference, on_progress: Callable[[int], None]) -> list[str] | None:
    """The revisions of the changes; None where not even one resource can be changed by itself."""
    ids = [*difference.upserts, *difference.removals]
    revisions: list[str] = []
    start, size = 0, _AT_ONCE
    while start < len(ids):
        some = ids[start : start + size]
        upserts = {id_: difference.upserts[id_] for id_ in some if id_ in difference.upserts}
        try:
            changed = store.change(type_, upserts, [id_ for id_ in some if id_ not in upserts])
        except PushRejectedError:
            if size == 1:
                return None
            size //= 2
            continue
        revisions.append(changed.revision)
        on_progress(len(some))
        start += len(some)
    return revisions
