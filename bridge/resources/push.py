"""Pushing: all resources of one type, in place of those that were there."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.errors import BadAnswer, PushRefused
from bridge.resources.collected import Form
from bridge.resources.store import Difference
from bridge.strict_json import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bridge.resources.collected import Collected, Refusal
    from bridge.resources.prepared import Prepared
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
        removed_as_refused: The ids of those removed that the source may have in a version that was refused: whom a
            refusal names, and, where an id could not be told of what is refused, all that were removed.
    """

    type: str
    stored: int
    before: int
    added: int
    changed: int
    removed: int
    refusals: tuple[Refusal, ...]
    revision: str
    removed_as_refused: tuple[str, ...] = ()


def push(
    store: Store,
    type_: str,
    collected: Collected,
    *,
    skip_invalid: bool = False,
    force: bool = False,
    told: Callable[[int], None] = lambda _: None,
) -> PushReport:
    """Store the collected resources in place of all of their type.

    Args:
        store: Where to.
        type_: The resource type; others are left alone.
        collected: What `from_file`, `from_lines` or `from_objects` gave.
        skip_invalid: Push the others where some were refused; where those are more than half, it takes `force` too.
        force: Push even where the source has none, or so few that more than half of what is there would go, or where
            what is there cannot be read: then all that is pushed counts as added.
        told: Told how many more resources have been sent.

    Raises:
        PushRefused: Nothing was pushed: a resource is refused, or what `force` speaks of.
        SeveralStores: Several OPAs answer at its address; nothing was pushed.
        EngineFault: The store could not be read or written.
    """
    refuse_invalid(collected, skip_invalid=skip_invalid, force=force)
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
        removed_as_refused=removed_as_refused(collected, found.removals),
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


def refuse_invalid(collected: Collected, *, skip_invalid: bool, force: bool) -> None:
    """Refuse resources of which some were refused, but where the others are to be pushed; and a source without any.

    Raises:
        PushRefused: Nothing may be pushed.
    """
    refused, read = len(collected.refusals), collected.read
    if refused:
        count = f"{refused:,} of {read:,}" if collected.resources else f"all {read:,}"
        where = f" in {collected.what}" if collected.what else ""
        cause = f"nothing was pushed: {count} resources{where} are refused, first {collected.refusals[0]}"
        if not collected.resources:
            # Not even by force: whoever forces means an empty source, not one that cannot be read.
            form = "; a file must have one JSON object a line, or one JSON array of objects"
            remedy = "; correct them" + (form if collected.form is Form.LINES else "")
        elif not skip_invalid:
            remedy = "; correct them, or push the others with `skip_invalid` (--skip-invalid)"
        elif refused * 2 > read and not force:
            remedy = "; these are more than half: correct them, or force it if that is meant"
        else:
            return
        raise PushRefused(cause + remedy, collected.refusals)
    if not collected.resources and not force:
        empty = f"{collected.what} is empty" if collected.form is Form.EMPTY else "there is no resource to push"
        raise PushRefused(
            f"nothing was pushed: {empty}, and an empty push would remove all there are; force it if that is meant"
        )


def removed_as_refused(collected: Collected, removals: Iterable[bytes]) -> tuple[str, ...]:
    """The ids of removed resources that are there no more for what the source has of them may be refused.

    Args:
        collected: What is stored instead.
        removals: The ids of the removed ones, in canonical JSON text.
    """
    gone = removals if collected.nameless else (id_ for id_ in removals if id_ in collected.refused_ids)
    return tuple(str(parse(id_)) for id_ in gone)


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
