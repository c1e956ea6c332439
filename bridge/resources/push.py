"""Pushing: all resources of one type, in place of those that were there."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.errors import BadAnswer, PushRefused
from bridge.resources.store import Difference

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.resources.prepared import Prepared
    from bridge.resources.source import Collected, Refusal
    from bridge.resources.store import Store

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
        refusals: What was not pushed, and why.
        revision: The new revision.
    """

    type: str
    stored: int
    before: int
    added: int
    changed: int
    removed: int
    refusals: tuple[Refusal, ...]
    revision: str


def push(
    store: Store,
    type_: str,
    collected: Collected,
    *,
    strict: bool = False,
    force: bool = False,
    told: Callable[[int], None] = lambda _: None,
) -> PushReport:
    """Store the collected resources in place of all of their type.

    Args:
        store: Where to.
        type_: The resource type; others are left alone.
        collected: What `from_lines` or `from_objects` gave.
        strict: Push nothing at all where anything was refused.
        force: Push even where the source has none, or so few that more than half of what is there would go, or where
            what is there cannot be read: then all that is pushed counts as added.
        told: Told how many more resources have been sent.

    Raises:
        PushRefused: Nothing was pushed, because of what `strict` or `force` speak of.
        SeveralStores: Several OPAs answer at its address; nothing was pushed.
        EngineFault: The store could not be read or written.
    """
    refuse_mistakes(collected, strict=strict, force=force)
    store = store.operation()
    found = _difference(store, type_, collected.resources, force=force)
    refuse_removals(type_, found.before, len(found.removals), collected.refusals, force=force)
    revision = store.replace(type_, collected.resources, told=told)
    return PushReport(
        type=type_,
        stored=len(collected.resources),
        before=found.before,
        added=found.added,
        changed=len(found.upserts) - found.added,
        removed=len(found.removals),
        refusals=collected.refusals,
        revision=revision,
    )


def _difference(store: Store, type_: str, resources: Prepared, *, force: bool) -> Difference:
    """What will differ; all of it where nothing is there, or nothing that can be read, which takes force to replace."""
    try:
        found = store.difference(type_, resources, None)
    except BadAnswer as unreadable:
        if not force:
            raise
        _LOG.warning("the resources of `%s` that are there cannot be read, and are replaced: %s", type_, unreadable)
        found = None
    return Difference(resources, [], len(resources), 0) if found is None else found


def refuse_mistakes(collected: Collected, *, strict: bool, force: bool) -> None:
    """Refuse what `strict` forbids, and a source without a resource.

    Raises:
        PushRefused: Nothing may be pushed.
    """
    refusals = collected.refusals
    if strict and refusals:
        raise PushRefused(f"nothing was pushed: {len(refusals)} of {collected.read} resources are refused", refusals)
    if not collected.resources and collected.read:
        # Not even by force: whoever forces means an empty source, not one that cannot be read.
        raise PushRefused(
            f"nothing was pushed: all {collected.read} resources are refused; a file must have one JSON object a line",
            refusals,
        )
    if not collected.resources and not force:
        raise PushRefused(
            "nothing was pushed: there is no resource to push, and an empty push would remove all there are; "
            "force it if that is meant"
        )


def refuse_removals(type_: str, before: int, removed: int, refusals: tuple[Refusal, ...], *, force: bool) -> None:
    """Refuse to remove more than half, but by force.

    Raises:
        PushRefused: Nothing may be pushed.
    """
    if removed * 2 > before and not force:
        raise PushRefused(
            f"nothing was pushed: {removed} of the {before} `{type_}` there are would be removed, more than half; "
            "force it if that is meant",
            refusals,
        )
