"""Push: replace all resources of one type. Sync: make them equal to a source, and send only the difference."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from bridge.errors import InvalidResponseError, PushRejectedError
from bridge.store.loader import LoadResult, RejectedResource, TextFormat
from bridge.store.store import PreparedResources, Store, StoreDifference
from bridge.strict_json import parse

_LOG: Final = logging.getLogger("bridge")

_AT_ONCE: Final = 150
"""The resources of one change, at first; a change with too many operations is halved."""

MOST_CHANGES: Final = 20_000
"""A larger difference is pushed as a new generation, which takes about as long."""


@dataclass(frozen=True, slots=True)
class PushReport:
    """What a push did.

    Attributes:
        type: The resource type.
        stored: The number of resources of the type now.
        before: The number of resources before.
        added: The number of new resources.
        changed: The number of resources with other content than before.
        removed: The number of resources that were stored before and are not now.
        rejected: The resources that were not pushed, and why.
        revision: The new revision.
        removed_as_rejected: The ids of removed resources that the source may have in a rejected version: those that a
            rejection names, or all removed ones if a rejected resource has no known id.
    """

    type: str
    stored: int
    before: int
    added: int
    changed: int
    removed: int
    rejected: tuple[RejectedResource, ...]
    revision: str
    removed_as_rejected: tuple[str, ...] = ()


def push(
    store: Store,
    type_: str,
    collected: LoadResult,
    *,
    skip_invalid: bool = False,
    force: bool = False,
    on_progress: Callable[[int], None] = lambda _: None,
) -> PushReport:
    """Replace all resources of a type by the collected ones.

    Args:
        store: The store.
        type_: The resource type; the other types do not change.
        collected: The result of `from_file`, `from_lines` or `from_objects`.
        skip_invalid: Push the other resources if some were rejected; if more than half were, `force` is needed too.
        force: Push even if the source is empty, if more than half of the stored resources would be removed, or if the
            stored ones cannot be read; then all pushed resources count as added.
        on_progress: Called with the number of resources that were sent since the last call.

    Raises:
        PushRejectedError: Nothing was pushed: a resource was rejected, or the push needs `force`.
        MultipleStoresError: Several OPAs answer at the address; nothing was pushed.
        EngineError: The store could not be read or written.
    """
    refuse_invalid(collected, skip_invalid=skip_invalid, force=force)
    store = store.operation()
    difference = _difference(store, type_, collected.resources, force=force)
    refuse_removals(type_, difference.before, len(difference.removals), collected.rejected, force=force)
    revision = store.replace(type_, collected.resources, on_progress=on_progress)
    return PushReport(
        type=type_,
        stored=len(collected.resources),
        before=difference.before,
        added=difference.added,
        changed=len(difference.upserts) - difference.added,
        removed=len(difference.removals),
        rejected=collected.rejected,
        revision=revision,
        removed_as_rejected=removed_as_rejected(collected, difference.removals),
    )


def _difference(store: Store, type_: str, resources: PreparedResources, *, force: bool) -> StoreDifference:
    """Return the difference that the push makes; without readable stored resources, all are new (needs `force`)."""
    try:
        difference = store.difference(type_, resources, None)
    except InvalidResponseError as unreadable:
        if not force:
            raise
        _LOG.warning("the stored resources of `%s` cannot be read, and are replaced: %s", type_, unreadable)
        difference = None
    return StoreDifference(resources, [], len(resources), 0) if difference is None else difference


def refuse_invalid(collected: LoadResult, *, skip_invalid: bool, force: bool) -> None:
    """Refuse a source with rejected resources, unless the others shall be pushed; and an empty source.

    Raises:
        PushRejectedError: Nothing may be pushed.
    """
    rejected, read = len(collected.rejected), collected.read
    if rejected:
        count = f"{rejected:,} of {read:,}" if collected.resources else f"all {read:,}"
        where = f" in {collected.what}" if collected.what else ""
        cause = f"nothing was pushed: {count} resources{where} are refused, first {collected.rejected[0]}"
        if not collected.resources:
            # Not even with `force`: it is meant for an empty source, not for a source that cannot be read.
            form = "; a file must have one JSON object a line, or one JSON array of objects"
            remedy = "; correct them" + (form if collected.form is TextFormat.LINES else "")
        elif not skip_invalid:
            remedy = "; correct them, or push the others with `skip_invalid` (--skip-invalid)"
        elif rejected * 2 > read and not force:
            remedy = "; these are more than half: correct them, or push the others anyway with `force` (--force)"
        else:
            return
        raise PushRejectedError(cause + remedy, collected.rejected)
    if not collected.resources and not force:
        empty = f"{collected.what} is empty" if collected.form is TextFormat.EMPTY else "there is no resource to push"
        raise PushRejectedError(
            f"nothing was pushed: {empty}, and an empty push would remove all stored resources; "
            "use `force` (--force) if you want that"
        )


def removed_as_rejected(collected: LoadResult, removals: Iterable[bytes]) -> tuple[str, ...]:
    """Return the ids of removed resources that the source may have in a rejected version.

    Args:
        collected: The new resources.
        removals: The ids of the removed resources, in canonical JSON text.
    """
    ids = removals if collected.nameless else (id_ for id_ in removals if id_ in collected.rejected_ids)
    return tuple(str(parse(id_)) for id_ in ids)


def refuse_removals(
    type_: str, before: int, removed: int, rejected: tuple[RejectedResource, ...], *, force: bool
) -> None:
    """Refuse to remove more than half of the stored resources without `force`.

    Raises:
        PushRejectedError: Nothing may be pushed.
    """
    if removed * 2 > before and not force:
        raise PushRejectedError(
            f"nothing was pushed: {removed} of the {before} stored `{type_}` would be removed, more than half; "
            "use `force` (--force) if you want that",
            rejected,
        )


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
