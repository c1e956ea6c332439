"""JSON Patches (RFC 6902) as OPA knows them, and a whole generation as a series of patches (`parts`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from typing import Final, NamedTuple, TypeAlias

from bridge.errors import PushRejectedError
from bridge.store import layout
from bridge.store.store import PreparedResources
from bridge.strict_json import encode

_PART: Final = 8 * 1024 * 1024
"""The bytes of a part, about; OPA takes bodies of up to 256 MiB."""

_MOST: Final = 200 * 1024 * 1024
"""The most bytes of one value."""

_OPERATIONS: Final = 512
"""The operations of a part; OPA's time for a patch grows with their square."""

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*|0|[1-9][0-9]*")

Operation: TypeAlias = tuple[bytes, tuple[str, ...], bytes | None]
"""The operation, its path, and its value in JSON text, if there is one."""


class Patch(list[Operation]):
    """Operations that OPA does all together, or not at all; their paths consist of simple names."""

    def below(self, *names: str) -> Patch:
        """Return the same operations with these names before each path."""
        return Patch((operation, (*names, *path), value) for operation, path, value in self)

    def body(self) -> bytes:
        """Return the JSON text of the patch."""
        return b"[" + b",".join(_text(*operation) for operation in self) + b"]"


def add(*path: str, value: bytes) -> Operation:
    """Return the operation that puts a value at a path, or replaces the value there; its parent must exist."""
    return b"add", path, value


def remove(*path: str) -> Operation:
    """Return the operation that removes the value at a path; if there is none, the whole patch fails."""
    return b"remove", path, None


def _text(operation: bytes, path: tuple[str, ...], value: bytes | None) -> bytes:
    for name in path:
        # OPA does not read a `%2F`, a `-` or an empty name as the name of a member.
        assert _NAME.fullmatch(name), name
    where = "/".join(("", *path)).encode("ascii")
    if value is None:
        return b'{"op":"%b","path":"%b"}' % (operation, where)
    return b'{"op":"%b","path":"%b","value":%b}' % (operation, where, value)


class GenerationPart(NamedTuple):
    """A patch that fills a part of an empty generation.

    Attributes:
        patch: The patch, with paths within the generation.
        resources: The number of resources in it.
    """

    patch: Patch
    resources: int


_SizedOperation: TypeAlias = tuple[Operation, int, int]
"""An operation, the bytes of its value, and the number of resources in it."""


def parts(prepared: PreparedResources, size_limit: int = _MOST) -> Iterator[GenerationPart]:
    """Return the resources, their digests and their postings, in the order to send them; at least one part.

    Args:
        prepared: The resources.
        size_limit: The most bytes of a part, about, if a part must be smaller than usual.

    Raises:
        PushRejectedError: OPA cannot take the resources of one bucket: too many large ones have ids with one hash.
    """
    patch, size, resources = Patch(), 0, 0
    size_limit = min(size_limit, _PART)
    operations = chain(_resources(prepared, size_limit), _postings(prepared, size_limit), _all(prepared))
    for operation, bytes_, count in operations:
        if patch and (size + bytes_ > size_limit or len(patch) == _OPERATIONS):
            yield GenerationPart(patch, resources)
            patch, size, resources = Patch(), 0, 0
        patch.append(operation)
        size += bytes_
        resources += count
    yield GenerationPart(patch, resources)


def _resources(prepared: PreparedResources, size_limit: int) -> Iterator[_SizedOperation]:
    for shard, buckets in prepared.shards.items():
        if not buckets:
            continue  # an empty generation has this shard already
        yield _put(("digests", shard), encode(prepared.digests[shard]))
        documents = {bucket: layout.object_([(id_, prepared[id_]) for id_ in ids]) for bucket, ids in buckets.items()}
        if sum(map(len, documents.values())) <= size_limit:
            yield _put(("resources", shard), layout.named(documents), sum(map(len, buckets.values())))
        else:
            for bucket, document in documents.items():
                yield _put(("resources", shard, bucket), document, len(buckets[bucket]))


def _postings(prepared: PreparedResources, size_limit: int) -> Iterator[_SizedOperation]:
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


def _all(prepared: PreparedResources) -> Iterator[_SizedOperation]:
    return _large(layout.ALL, sorted(prepared, key=layout.order_of(prepared)))


def _large(name: str, ids: list[bytes]) -> Iterator[_SizedOperation]:
    document, *pages = layout.large(ids)
    yield _put(("large", name), document)
    for number, page in enumerate(pages, layout.PAGES_AT_ONCE):
        yield _put(("large", name, "pages", str(number)), page)


def _put(path: tuple[str, ...], value: bytes, resources: int = 0) -> _SizedOperation:
    if len(value) > _MOST:
        raise PushRejectedError(
            f"nothing was pushed: {resources:,} resources whose ids have one hash take {len(value):,} bytes together, "
            f"and OPA takes {_MOST:,} at once: make them smaller, or give them other ids"
        )
    return add(*path, value=value), len(value), resources
