"""The `Store` protocol between a push and the place that keeps resources, and the values that go through it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol, Self

from bridge.store.layout import SHARDS, place, posting_texts, shard_digest
from bridge.strict_json import Value, parse, sorted_text

_MOST_DIGITS: Final = 40
"""The most digits of a revision, which counts microseconds since 1970."""


class PreparedResources(dict[bytes, bytes]):
    """Resources by id, as canonical JSON text with sorted names; the id is canonical JSON text as well.

    Attributes:
        postings: The ids of each posting (`layout.posting_text`), in the order of insertion.
    """

    def __init__(self) -> None:
        self.postings: dict[str, list[bytes]] = {}

    @cached_property
    def shards(self) -> Mapping[str, Mapping[str, Sequence[bytes]]]:
        """Return the ids of each bucket of each shard, in insertion order; read it when all resources are added."""
        shards: dict[str, dict[str, list[bytes]]] = {shard: {} for shard in SHARDS}
        for id_ in self:
            shard, bucket = place(id_)
            shards[shard].setdefault(bucket, []).append(id_)
        return shards

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """Return the digest of each shard; read it when all resources are added."""
        return {
            shard: shard_digest(self[id_] for ids in buckets.values() for id_ in ids)
            for shard, buckets in self.shards.items()
        }

    def add(self, id_: bytes, text: bytes, custom_data: Mapping[str, Value]) -> None:
        """Add a resource with a new id."""
        self[id_] = text
        postings = self.postings
        for posting in posting_texts(custom_data):
            ids = postings.get(posting)
            if ids is None:
                postings[posting] = [id_]
            else:
                ids.append(id_)

    def without(self, ids: Iterable[bytes]) -> PreparedResources:
        """Return the resources without those of some ids."""
        dropped = set(ids)
        return prepare({id_: text for id_, text in self.items() if id_ not in dropped}) if dropped else self


def prepare(resources: Mapping[bytes, bytes]) -> PreparedResources:
    """Prepare resources by id, both in canonical JSON text; return prepared ones unchanged."""
    if isinstance(resources, PreparedResources):
        return resources
    prepared = PreparedResources()
    for id_, text in resources.items():
        value = parse(text)
        prepared.add(id_, sorted_text(value), custom_data_of(value))
    return prepared


def custom_data_of(value: Value) -> Mapping[str, Value]:
    """Return the custom data of a resource; an empty object if it has none, or is no resource."""
    custom_data = value.get("custom_data") if isinstance(value, dict) else None
    return custom_data if isinstance(custom_data, dict) else {}


@dataclass(frozen=True, slots=True)
class ChangeReport:
    """What a change of some resources did.

    Attributes:
        added: The number of new resources.
        changed: The number of resources that are different now.
        removed: The number of removed resources.
        unchanged: The number of resources that were stored already, with the same content.
        absent: The number of resources to remove that were not stored.
        revision: The revision of the resources now.
    """

    added: int
    changed: int
    removed: int
    unchanged: int
    absent: int
    revision: str

    @classmethod
    def of(
        cls, before: Mapping[bytes, bytes], upserts: Mapping[bytes, bytes], removals: Iterable[bytes], revision: str
    ) -> Self:
        """Create the report by what was stored before: resources by id, both in canonical text with sorted names."""
        removed_ids = set(removals)
        stored = {id_: text for id_, text in upserts.items() if id_ in before}
        unchanged = sum(before[id_] == text for id_, text in stored.items())
        removed = sum(id_ in before for id_ in removed_ids)
        return cls(
            added=len(upserts) - len(stored),
            changed=len(stored) - unchanged,
            removed=removed,
            unchanged=unchanged,
            absent=len(removed_ids) - removed,
            revision=revision,
        )


@dataclass(frozen=True, slots=True)
class StoreDifference:
    """The difference between the stored resources and the new ones.

    Attributes:
        upserts: The new resources that are not stored, or stored with other content, by id; both in canonical JSON
            text.
        removals: The ids of stored resources that are not among the new ones.
        added: The number of upserts that are not stored.
        before: The number of stored resources.
    """

    upserts: Mapping[bytes, bytes]
    removals: Sequence[bytes]
    added: int
    before: int


class Store(Protocol):
    """Keeps the pushed resources of each type; each write is done as a whole, or not at all."""

    def operation(self) -> Self:
        """Return the same store for one operation of several calls, which fails if two stores answer."""

    def replace(
        self, type_: str, resources: Mapping[bytes, bytes], *, on_progress: Callable[[int], None] = lambda _: None
    ) -> str:
        """Replace all resources of a type at once, and return the new revision.

        Args:
            type_: The resource type.
            resources: Resources by id, both in canonical JSON text.
            on_progress: Called with the number of resources that were sent since the last call.

        Raises:
            EngineError: They could not be stored.
        """

    def change(self, type_: str, upserts: Mapping[bytes, bytes], removals: Iterable[bytes]) -> ChangeReport:
        """Store some resources and remove others, at once.

        Args:
            type_: The resource type.
            upserts: Resources by id, both in canonical JSON text.
            removals: Ids in canonical JSON text; an id that is upserted as well stays.

        Raises:
            ResourcesMissingError: Nothing was ever pushed, or the store has lost it.
            EngineError: They could not be stored.
        """

    def difference(self, type_: str, prepared: PreparedResources, most: int | None) -> StoreDifference | None:
        """Return the difference between the stored resources and the prepared ones.

        None if nothing was pushed yet, or if there is a `most` and the difference is larger, certainly or very likely.

        Raises:
            EngineError: They cannot be read.
        """


def is_revision(text: str) -> bool:
    """Tell whether a text is a revision: ASCII digits only, and no more of them than a clock can give."""
    return text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS


def next_revision(previous: str | None) -> str:
    """Return a revision after `previous`: microseconds since 1970, or one more if the clock went back."""
    now = time.time_ns() // 1_000
    return str(max(now, int(previous) + 1) if previous and previous.isdecimal() else now)
