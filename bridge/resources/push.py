"""Pushing: all resources of one type, in place of those that were there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.errors import PushRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.resources.source import Collected, Refusal
    from bridge.resources.store import Store


@dataclass(frozen=True, slots=True)
class PushReport:
    """What a push did.

    Attributes:
        type: The resource type.
        stored: How many resources of the type there are now.
        before: How many there were.
        added: How many there are now that were not there.
        removed: How many of those that were there are there no more.
        refusals: What was not pushed, and why.
        revision: The new revision.
    """

    type: str
    stored: int
    before: int
    added: int
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
        force: Push even where the source has none, or so few that more than half of what is there would go.
        told: Told how many more resources have been sent.

    Raises:
        PushRefused: Nothing was pushed, because of what `strict` or `force` speak of.
        EngineFault: The store could not be read or written.
    """
    refuse_mistakes(collected, strict=strict, force=force)
    before = store.ids(type_)
    removed = len(before - collected.resources.keys())
    refuse_removals(type_, len(before), removed, collected.refusals, force=force)
    revision = store.replace(type_, collected.resources, told=told)
    added = len(collected.resources) - (len(before) - removed)
    return PushReport(type_, len(collected.resources), len(before), added, removed, collected.refusals, revision)


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
