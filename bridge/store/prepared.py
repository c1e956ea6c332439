"""Resources ready to be stored: canonical texts by id, and which postings each is in."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from bridge.store.layout import SHARDS, place, posting_texts, shard_digest
from bridge.strict_json import parse, sorted_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bridge.strict_json import Value


class PreparedResources(dict[bytes, bytes]):
    """Resources by id, as canonical JSON text with sorted names; the id is canonical JSON text as well.

    Attributes:
        postings: The ids that are in each posting (`layout.posting_text`), in the order they came.
    """

    def __init__(self) -> None:
        self.postings: dict[str, list[bytes]] = {}

    @cached_property
    def shards(self) -> Mapping[str, Mapping[str, Sequence[bytes]]]:
        """The ids of each bucket of each shard, in the order they came; to be asked when all are in."""
        shards: dict[str, dict[str, list[bytes]]] = {shard: {} for shard in SHARDS}
        for id_ in self:
            shard, bucket = place(id_)
            shards[shard].setdefault(bucket, []).append(id_)
        return shards

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """The digest of each shard; to be asked when all are in."""
        return {
            shard: shard_digest(self[id_] for ids in buckets.values() for id_ in ids)
            for shard, buckets in self.shards.items()
        }

    def add(self, id_: bytes, text: bytes, custom_data: Mapping[str, Value]) -> None:
        """Take in a resource whose id is new."""
        self[id_] = text
        postings = self.postings
        for posting in posting_texts(custom_data):
            ids = postings.get(posting)
            if ids is None:
                postings[posting] = [id_]
            else:
                ids.append(id_)

    def without(self, ids: Iterable[bytes]) -> PreparedResources:
        """The same without some."""
        gone = set(ids)
        return prepare({id_: text for id_, text in self.items() if id_ not in gone}) if gone else self


def prepare(resources: Mapping[bytes, bytes]) -> PreparedResources:
    """Resources by id, both in canonical JSON text, made ready; what is ready is given back."""
    if isinstance(resources, PreparedResources):
        return resources
    prepared = PreparedResources()
    for id_, text in resources.items():
        value = parse(text)
        prepared.add(id_, sorted_text(value), custom_data_of(value))
    return prepared


def custom_data_of(value: Value) -> Mapping[str, Value]:
    """The custom data of a resource; an empty object where it has none, or is no resource."""
    found = value.get("custom_data") if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}
