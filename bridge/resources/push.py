"""Pushing: all resources of one type, in place of those that were there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.errors import PushRefused

if TYPE_CHECKING:
    from bridge.resources.source import Collected, Refusal
    from bridge.resources.store import Store


@dataclass(frozen=True, slots=True)
class PushReport:
    """What a push did.

    Attributes:
        type: The resource type.
        stored: How many resources of the type there are now.
        before: How many there were.
        removed: How many of those are there no more.
        refusals: What was not pushed, and why.
        revision: The new revision.
    """

    type: str
    stored: int
    before: int
    removed: int
    refusals: tuple[Refusal, ...]
    revision: str


def push(store: Store, type_: str, collected: Collected, *, strict: bool = False, force: bool = False) -> PushReport:
    """Store the collected resources in place of all of their type.

    Args:
        store: Where to.
        type_: The resource type; others are left alone.
        collected: What `from_lines` or `from_objects` gave.
        strict: Push nothing at all where anything was refused.
        force: Push even where the source has none, or so few that more than half of what is there would go.

    Raises:
        PushRefused: Nothing was pushed, because of what `strict` or `force` speak of.
        EngineFault: The store could not be read or written.
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
    before = store.ids(type_)
    removed = len(before - collected.resources.keys())
    if removed * 2 > len(before) and not force:
        raise PushRefused(
            f"nothing was pushed: {removed} of the {len(before)} `{type_}` there are would be removed, more than half; "
            "force it if that is meant",
            refusals,
        )
    revision = store.replace(type_, collected.resources)
    return PushReport(type_, len(collected.resources), len(before), removed, refusals, revision)
