"""Comparing what an OPA has with what it should have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.errors import (
    InvalidResponseError,
    MalformedInputError,
    PushConflictError,
    ResourcesMissingError,
    StaleResourcesError,
)
from bridge.store import layout
from bridge.store.integrity import IntegrityCheck
from bridge.store.shard_text import differing as differing_buckets
from bridge.store.store import Difference
from bridge.strict_json import encode, sorted_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bridge.store.opa_documents import Documents
    from bridge.store.prepared import PreparedResources
    from bridge.store.state import CurrentGeneration, TypeState
    from bridge.strict_json import Value

_TRIES: Final = 5
_SAMPLE: Final = 4
"""Shards that are compared before the size of the whole difference is guessed from them."""


@dataclass(frozen=True, slots=True)
class IntegrityReport:
    """What a recount has found.

    Attributes:
        findings: What is not as it should be, a sentence each.
        resources: How many resources were read.
        revision: Their revision.
    """

    findings: tuple[str, ...]
    resources: int
    revision: str


def difference(documents: Documents, type_: str, prepared: PreparedResources, most: int | None) -> Difference | None:
    """As `OpaStore.difference`."""
    for _ in range(_TRIES):
        state = documents.agreed(type_)
        if state is None or state.current is None:
            return None
        try:
            found = _difference(documents, type_, state.current, prepared, most)
        except InvalidResponseError:
            if _is_still(documents, type_, state, fresh=True):
                raise
        else:
            if _is_still(documents, type_, state):
                return found
    raise PushConflictError(f"others changed the resources of `{type_}` {_TRIES} times in a row: nothing was changed")


def _difference(
    documents: Documents, type_: str, current: CurrentGeneration, prepared: PreparedResources, most: int | None
) -> Difference | None:
    path = (*documents.path(type_), "generations", current.generation)
    digests = documents.get((*path, "digests"))
    if not isinstance(digests, dict):
        raise InvalidResponseError(f"what OPA has as the digests of `{type_}` is no object")
    differing = [shard for shard in layout.SHARDS if digests.get(shard) != prepared.digests[shard]]
    upserts: dict[bytes, bytes] = {}
    removals: list[bytes] = []
    added = 0
    for number, shard in enumerate(differing, 1):
        buckets = prepared.shards[shard]
        texts = {bucket: _text(ids, prepared) for bucket, ids in buckets.items()}
        for bucket, resources in differing_buckets(documents.text((*path, "resources", shard)), texts).items():
            there = {encode(id_): sorted_text(value) for id_, value in resources.items()}
            some = {id_: prepared[id_] for id_ in buckets.get(bucket, ()) if there.get(id_) != prepared[id_]}
            upserts |= some
            added += sum(id_ not in there for id_ in some)
            removals += [id_ for id_ in there if id_ not in prepared]
        so_far = len(upserts) + len(removals)
        if most is not None and (so_far > most or (number >= _SAMPLE and so_far * len(differing) > 2 * most * number)):
            return None
    return Difference(upserts, removals, added, current.count)


def _text(ids: Iterable[bytes], prepared: PreparedResources) -> str:
    """The text of a bucket of these resources, with their ids in the order that OPA writes them in."""
    return layout.object_([(id_, prepared[id_]) for id_ in sorted(ids, key=layout.raw)]).decode("utf-8")


def _is_still(documents: Documents, type_: str, state: TypeState, *, fresh: bool = False) -> bool:
    """Whether nobody has changed anything since."""
    now = documents.look(type_, fresh=fresh)
    return now is not None and (now.store, now.revision) == (state.store, state.revision)


def recount(documents: Documents, type_: str, on_progress: Callable[[int], None]) -> IntegrityReport:
    """As `OpaStore.recount`."""
    state = documents.agreed(type_)
    if state is None or state.current is None:
        raise ResourcesMissingError(f"OPA has no pushed resources of `{type_}`")
    path = (*documents.path(type_), "generations", state.current.generation)
    findings = [f"a push that never ended has left the generation `{name}`" for name in state.leases.values()]
    count = IntegrityCheck()
    try:
        digests = _document(documents, (*path, "digests"))
        for shard in layout.SHARDS:
            before = count.resources
            findings += count.shard(shard, digests.get(shard), _document(documents, (*path, "resources", shard)))
            on_progress(count.resources - before)
        findings += count.index(_document(documents, (*path, "postings")), _document(documents, (*path, "large")))
    except (AttributeError, KeyError, IndexError, TypeError, MalformedInputError) as error:
        findings.append(f"what is stored has not the form of this layout: {type(error).__name__} {error}")
    else:
        if count.resources != state.current.count:
            findings.append(f"there are {count.resources:,} resources, and not {state.current.count:,} as is said")
    if findings:  # of which another OPA may be the cause
        documents.one_store.doubt(type_)
    if not _is_still(documents, type_, state, fresh=True):
        raise StaleResourcesError(f"`{type_}` changed while it was counted: count again")
    return IntegrityReport(tuple(findings), count.resources, state.current.revision)


def _document(documents: Documents, path: tuple[str, ...]) -> dict[str, Value]:
    found = documents.get(path)
    if not isinstance(found, dict):
        raise TypeError(f"{path[-1]} is no object")
    return found
