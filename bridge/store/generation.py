"""A whole state of the resources of one type, in parts that an OPA takes one by one."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from bridge.errors import PushRejectedError
from bridge.store import layout
from bridge.store.json_patch import Patch, add
from bridge.strict_json import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.store.prepared import PreparedResources

_PART: Final = 8 * 1024 * 1024
"""Bytes of a part, about; OPA takes bodies of up to 256 MiB."""

_MOST: Final = 200 * 1024 * 1024

_OPERATIONS: Final = 512
"""Operations of a part; OPA's time for a patch grows with their square."""


class Part(NamedTuple):
    """Something to put into an empty generation.

    Attributes:
        patch: How.
        resources: How many resources that are.
    """

    patch: Patch
    resources: int


_Operation: TypeAlias = tuple[tuple[bytes, tuple[str, ...], bytes | None], int, int]
"""An operation, the bytes of its value, and how many resources are in it."""


def parts(prepared: PreparedResources, size_limit: int = _MOST) -> Iterator[Part]:
    """The resources, their digests and their postings, in the order they must be sent in; there is always one part.

    Args:
        prepared: The resources.
        size_limit: Bytes of a part, about, where it is to be smaller than usual.

    Raises:
        PushRejectedError: So many large resources have ids of one hash that OPA cannot take them.
    """
    patch, size, resources = Patch(), 0, 0
    size_limit = min(size_limit, _PART)
    operations = chain(_resources(prepared, size_limit), _postings(prepared, size_limit), _all(prepared))
    for operation, bytes_, count in operations:
        if patch and (size + bytes_ > size_limit or len(patch) == _OPERATIONS):
            yield Part(patch, resources)
            patch, size, resources = Patch(), 0, 0
        patch.append(operation)
        size += bytes_
        resources += count
    yield Part(patch, resources)


def _resources(prepared: PreparedResources, size_limit: int) -> Iterator[_Operation]:
    for shard, buckets in prepared.shards.items():
        if not buckets:
            continue  # as an empty generation has it
        yield _put(("digests", shard), encode(prepared.digests[shard]))
        documents = {bucket: layout.object_([(id_, prepared[id_]) for id_ in ids]) for bucket, ids in buckets.items()}
        if sum(map(len, documents.values())) <= size_limit:
            yield _put(("resources", shard), layout.named(documents), sum(map(len, buckets.values())))
        else:
            for bucket, document in documents.items():
                yield _put(("resources", shard, bucket), document, len(buckets[bucket]))


def _postings(prepared: PreparedResources, size_limit: int) -> Iterator[_Operation]:
    shards: dict[str, dict[str, bytes]] = {}
    order = layout.order_of(prepared)
    for text, ids in prepared.postings.items():
        shard, name = layout.posting_name(text)
        ids.sort(key=order)
        if len(ids) > layout.SMALL:
            yield from _large(name, ids)
        else:
            shards.setdefault(shard, {})[name] = layout.array(ids)
    for shard, documents in shards.items():
        if sum(map(len, documents.values())) <= size_limit:
            yield _put(("postings", shard), layout.named(documents))
        else:
            for name, document in documents.items():
                yield _put(("postings", shard, name), document)


def _all(prepared: PreparedResources) -> Iterator[_Operation]:
    return _large(layout.ALL, sorted(prepared, key=layout.order_of(prepared)))


def _large(name: str, ids: list[bytes]) -> Iterator[_Operation]:
    document, *pages = layout.large(ids)
    yield _put(("large", name), document)
    for number, page in enumerate(pages, layout.PAGES_AT_ONCE):
        yield _put(("large", name, "pages", str(number)), page)


def _put(path: tuple[str, ...], value: bytes, resources: int = 0) -> _Operation:
    if len(value) > _MOST:
        raise PushRejectedError(
            f"nothing was pushed: {resources:,} resources whose ids have one hash take {len(value):,} bytes together, "
            f"and OPA takes {_MOST:,} at once"
        )
    return add(*path, value=value), len(value), resources
