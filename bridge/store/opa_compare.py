"""Compare the resources on an OPA with prepared ones: first the digests of shards, then the buckets that differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from json import JSONDecoder
from typing import Final

from bridge.errors import InvalidResponseError, MalformedInputError, PushConflictError
from bridge.store import layout
from bridge.store.opa_documents import Documents
from bridge.store.state import CurrentGeneration
from bridge.store.store import PreparedResources, StoreDifference
from bridge.strict_json import MAX_DEPTH, Value, encode, parse, sorted_text

_TRIES: Final = 5
_SAMPLE: Final = 4
"""The number of shards to compare before estimating the size of the whole difference."""

_DECODER: Final = JSONDecoder()  # used only to find where a value ends


def difference(
    documents: Documents, type_: str, prepared: PreparedResources, most: int | None
) -> StoreDifference | None:
    """Do what `OpaStore.difference` says."""
    for _ in range(_TRIES):
        state = documents.agreed(type_)
        if state is None or state.current is None:
            return None
        try:
            result = _difference(documents, type_, state.current, prepared, most)
        except InvalidResponseError:
            if documents.is_unchanged(type_, state, fresh=True):
                raise
        else:
            if documents.is_unchanged(type_, state):
                return result
    raise PushConflictError(
        f"others changed the resources of `{type_}` {_TRIES} times in a row: nothing was changed; try again"
    )


def _difference(
    documents: Documents, type_: str, current: CurrentGeneration, prepared: PreparedResources, most: int | None
) -> StoreDifference | None:
    path = (*documents.path(type_), "generations", current.generation)
    digests = documents.get((*path, "digests"))
    if not isinstance(digests, dict):
        raise InvalidResponseError(f"the digests of `{type_}` in OPA are not an object: push all of them again")
    shards = [shard for shard in layout.SHARDS if digests.get(shard) != prepared.digests[shard]]
    upserts: dict[bytes, bytes] = {}
    removals: list[bytes] = []
    added = 0
    for number, shard in enumerate(shards, 1):
        buckets = prepared.shards[shard]
        texts = {bucket: _bucket_text(ids, prepared) for bucket, ids in buckets.items()}
        for bucket, resources in differing_buckets(documents.text((*path, "resources", shard)), texts).items():
            stored = {encode(id_): sorted_text(value) for id_, value in resources.items()}
            some = {id_: prepared[id_] for id_ in buckets.get(bucket, ()) if stored.get(id_) != prepared[id_]}
            upserts |= some
            added += sum(id_ not in stored for id_ in some)
            removals += [id_ for id_ in stored if id_ not in prepared]
        so_far = len(upserts) + len(removals)
        if most is not None and (so_far > most or (number >= _SAMPLE and so_far * len(shards) > 2 * most * number)):
            return None
    return StoreDifference(upserts, removals, added, current.count)


def _bucket_text(ids: Iterable[bytes], prepared: PreparedResources) -> str:
    """Return the text of a bucket with these ids, in the order in which OPA writes them."""
    return layout.object_([(id_, prepared[id_]) for id_ in sorted(ids, key=layout.raw)]).decode("utf-8")


def differing_buckets(shard_text: str, expected: Mapping[str, str]) -> dict[str, dict[str, Value]]:
    """Return the stored buckets whose text is not the expected one; a missing bucket is returned empty.

    A bucket with the expected text need not be parsed. OPA writes resources as they were pushed, but with its own
    escapes: a bucket with another text may still be equal.

    Args:
        shard_text: The shard's JSON text as OPA writes it, without spaces.
        expected: The expected texts of the buckets, by name.

    Raises:
        InvalidResponseError: The text is not an object of objects.
    """
    buckets: dict[str, dict[str, Value]] = {}
    missing = dict.fromkeys(expected)
    try:
        at = _skip(shard_text, "{", 0)
        more = shard_text[at] != "}"
        while more:
            name, at = _name(shard_text, at)
            missing.pop(name, None)
            if name in expected and shard_text.startswith(expected[name], at):
                at += len(expected[name])
            else:
                _, end = _DECODER.raw_decode(shard_text, at)
                buckets[name] = _bucket(shard_text[at:end])
                at = end
            more = shard_text[at] == ","
            at += more
        if shard_text[_skip(shard_text, "}", at) :]:
            raise ValueError  # noqa: TRY301 - handled like every other mistake in the text
    except (IndexError, TypeError, ValueError, MalformedInputError, RecursionError):
        raise InvalidResponseError("a shard in OPA is not an object of objects: push all resources again") from None
    return buckets | {name: {} for name in missing}


def _skip(text: str, sign: str, at: int) -> int:
    """Return the offset after a sign that must be at this offset."""
    if text[at] != sign:
        raise ValueError
    return at + 1


def _name(text: str, at: int) -> tuple[str, int]:
    """Return the name of a member, and the offset of its value."""
    name, at = _DECODER.raw_decode(text, at)
    if not isinstance(name, str):
        raise TypeError
    return name, _skip(text, ":", at)


def _bucket(text: str) -> dict[str, Value]:
    bucket = parse(text, max_depth=MAX_DEPTH + 1)
    if not isinstance(bucket, dict):
        raise TypeError
    return bucket
