"""Pushing: all resources of one type, in place of those that were there."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.errors import InvalidResponseError, PushRejectedError
from bridge.store.loader import TextFormat
from bridge.store.store import Difference
from bridge.strict_json import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bridge.store.loader import LoadResult, RejectedResource
    from bridge.store.prepared import PreparedResources
    from bridge.store.store import Store

_LOG: Final = logging.getLogger("bridge")


@dataclass(frozen=True, slots=True)
class PushReport:
    """What a push did.

    Attributes:
        type: The resource type.
        stored: How many resources of the type there are now.
        before: How many there were.
        added: How many there are now that were not there.
        changed: How many are there as before, but different.
        removed: How many of those that were there are there no more.
        rejected: What was not pushed, and why.
        revision: The new revision.
        removed_as_rejected: The ids of those removed that the source may have in a version that was refused: whom a
            refusal names, and, where an id could not be told of what is refused, all that were removed.
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
    """Store the collected resources in place of all of their type.

    Args:
        store: Where to.
        type_: The resource type; others are left alone.
        collected: What `from_file`, `from_lines` or `from_objects` gave.
        skip_invalid: Push the others where some were refused; where those are more than half, it takes `force` too.
        force: Push even where the source has none, or so few that more than half of what is there would go, or where
            what is there cannot be read: then all that is pushed counts as added.
        on_progress: Called with how many more resources have been sent.

    Raises:
        PushRejectedError: Nothing was pushed: a resource is refused, or what `force` speaks of.
        MultipleStoresError: Several OPAs answer at its address; nothing was pushed.
        EngineError: The store could not be read or written.
    """
    refuse_invalid(collected, skip_invalid=skip_invalid, force=force)
    store = store.operation()
    found = _difference(store, type_, collected.resources, force=force)
    refuse_removals(type_, found.before, len(found.removals), collected.rejected, force=force)
    revision = store.replace(type_, collected.resources, on_progress=on_progress)
    return PushReport(
        type=type_,
        stored=len(collected.resources),
        before=found.before,
        added=found.added,
        changed=len(found.upserts) - found.added,
        removed=len(found.removals),
        rejected=collected.rejected,
        revision=revision,
        removed_as_rejected=removed_as_rejected(collected, found.removals),
    )


def _difference(store: Store, type_: str, resources: PreparedResources, *, force: bool) -> Difference:
    """What will differ; all of it where nothing is there, or nothing that can be read, which takes force to replace."""
    try:
        found = store.difference(type_, resources, None)
    except InvalidResponseError as unreadable:
        if not force:
            raise
        _LOG.warning("the resources of `%s` that are there cannot be read, and are replaced: %s", type_, unreadable)
        found = None
    return Difference(resources, [], len(resources), 0) if found is None else found


def refuse_invalid(collected: LoadResult, *, skip_invalid: bool, force: bool) -> None:
    """Refuse resources of which some were refused, but where the others are to be pushed; and a source without any.

    Raises:
        PushRejectedError: Nothing may be pushed.
    """
    refused, read = len(collected.rejected), collected.read
    if refused:
        count = f"{refused:,} of {read:,}" if collected.resources else f"all {read:,}"
        where = f" in {collected.what}" if collected.what else ""
        cause = f"nothing was pushed: {count} resources{where} are refused, first {collected.rejected[0]}"
        if not collected.resources:
            # Not even by force: whoever forces means an empty source, not one that cannot be read.
            form = "; a file must have one JSON object a line, or one JSON array of objects"
            remedy = "; correct them" + (form if collected.form is TextFormat.LINES else "")
        elif not skip_invalid:
            remedy = "; correct them, or push the others with `skip_invalid` (--skip-invalid)"
        elif refused * 2 > read and not force:
            remedy = "; these are more than half: correct them, or force it if that is meant"
        else:
            return
        raise PushRejectedError(cause + remedy, collected.rejected)
    if not collected.resources and not force:
        empty = f"{collected.what} is empty" if collected.form is TextFormat.EMPTY else "there is no resource to push"
        raise PushRejectedError(
            f"nothing was pushed: {empty}, and an empty push would remove all there are; force it if that is meant"
        )


def removed_as_rejected(collected: LoadResult, removals: Iterable[bytes]) -> tuple[str, ...]:
    """The ids of removed resources that are there no more for what the source has of them may be refused.

    Args:
        collected: What is stored instead.
        removals: The ids of the removed ones, in canonical JSON text.
    """
    gone = removals if collected.nameless else (id_ for id_ in removals if id_ in collected.rejected_ids)
    return tuple(str(parse(id_)) for id_ in gone)


def refuse_removals(
    type_: str, before: int, removed: int, rejected: tuple[RejectedResource, ...], *, force: bool
) -> None:
    """Refuse to remove more than half, but by force.

    Raises:
        PushRejectedError: Nothing may be pushed.
    """
    if removed * 2 > before and not force:
        raise PushRejectedError(
            f"nothing was pushed: {removed} of the {before} `{type_}` there are would be removed, more than half; "
            "force it if that is meant",
            rejected,
        )
