"""The layout of pushed resources in OPA's data, which the rules (`resource`, `index`, `listing`, `store`) know as well.

Below the data root, each resource type has its own document::

    state:        layout, store, revisions, leases, current: {revision, generation, store}
    generations:  {g…: one whole state of the resources}

and each generation has::

    resources:    {s…: {b…: {ID: RESOURCE}}}          shards of buckets
    digests:      {s…: the digest of the shard}
    postings:     {s…: {p…: [ID, …]}}                 the ids with one custom_data member and value, up to SMALL
    large:        {p…: {size, length, tops, firsts, pages}}   longer postings, in pages; `all` has all ids

All names in paths are hashes that this module makes: in the path of a JSON Patch, OPA does not read a `%2F`, a `-` or
an empty name as the name of a member, so no id and no name of a user may be there. Ids are in code point order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import md5, sha256
from json.encoder import encode_basestring as _quote
from operator import itemgetter
from typing import Any, Final

from bridge.strict_json import encode, sorted_text

LAYOUT: Final = 1
"""The number of this layout: a bridge neither reads nor writes a layout with a higher number."""

SMALL: Final = 256
"""The most ids of a posting that is one array."""

PAGE: Final = 256
"""The ids of a pushed page; changes let a page grow to twice as many."""

BLOCK: Final = 32
"""The number of pages whose first ids form one block."""

PAGES_AT_ONCE: Final = 1024
"""The number of pages that are sent in one value with a large posting."""

ALL: Final = "all"
"""The name of the posting of all ids."""

SHARDS: Final = tuple(f"s{number:02x}" for number in range(256))

_UNQUOTED: Final = itemgetter(slice(1, -1))
_HEX: Final = 40


def raw(id_: bytes) -> bytes:
    """Return the UTF-8 of an id in canonical JSON text; UTF-8 sorts by code points."""
    if b"\\" in id_:
        text: str = json.loads(id_)
        return text.encode("utf-8")
    return id_[1:-1]


def order_of(ids: Iterable[bytes]) -> Callable[[bytes], bytes]:
    """Return the sort key for these ids: `raw`, or a faster function with the same result for them."""
    return raw if b"\\" in b"".join(ids) else _UNQUOTED


def place(id_: bytes) -> tuple[str, str]:
    """Return the shard and the bucket of a resource, by its id in canonical JSON text."""
    digest = md5(raw(id_), usedforsecurity=False).hexdigest()
    return "s" + digest[:2], "b" + digest[2:4]


def posting_text(name: str, value: Any) -> str:
    """Return the text of a member of `custom_data`: the same for equal values (R11), another for different values.

    It is the canonical text with sorted names. The rules build the same text by undoing the escapes that only OPA
    writes.
    """
    if type(value) is str:
        text = _quote(value)
    elif type(value) is bool:
        text = "true" if value else "false"
    else:
        text = sorted_text(value).decode("utf-8")
    return f"[{_quote(name)},{text}]"


def posting_name(text: str) -> tuple[str, str]:
    """Return the shard and the name of a posting, by its text."""
    digest = sha256(text.encode("utf-8")).hexdigest()[:_HEX]
    return "s" + digest[:2], "p" + digest


def posting_texts(custom_data: Mapping[str, Any]) -> list[str]:
    """Return the postings of a resource with this `custom_data`, without the posting of all ids."""
    return [posting_text(name, value) for name, value in custom_data.items()]


def resource_digest(text: bytes) -> int:
    """Return the part of a resource in its shard's digest, by its canonical text with sorted names."""
    return int.from_bytes(sha256(text).digest(), "big")


def shard_digest(texts: Iterable[bytes]) -> str:
    """Return the digest of a shard, by the texts of its resources."""
    return digest_text(sum(map(resource_digest, texts)))


def digest_text(total: int) -> str:
    """Return the digest of a shard by the sum of its resources' parts; a change needs only the parts that change."""
    return f"{total % (1 << 256):064x}"


def array(ids: Iterable[bytes]) -> bytes:
    """Return a JSON array of ids."""
    return b"[" + b",".join(ids) + b"]"


def object_(members: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a JSON object of names and values in JSON text."""
    return b"{" + b",".join([name + b":" + value for name, value in members]) + b"}"


def named(members: Mapping[str, bytes]) -> bytes:
    """Return a JSON object with names that need no escapes."""
    return b"{" + b",".join([b'"%b":%b' % (name.encode("ascii"), value) for name, value in members.items()]) + b"}"


def pages_of(ids: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Split sorted ids into pages; there is at least one."""
    for start in range(0, max(len(ids), 1), PAGE):
        yield ids[start : start + PAGE]


def directory(firsts: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return `tops` and `firsts` of a large posting, by the first id of each page except the first page.

    The first page may hold any id, so its first id is the empty string.
    """
    firsts = [b'""', *firsts]
    blocks = [firsts[start : start + BLOCK] for start in range(0, len(firsts), BLOCK)]
    return array([block[0] for block in blocks]), array(map(array, blocks))


def large(ids: Sequence[bytes]) -> Iterator[bytes]:
    """Return the document of a large posting, by its sorted ids; then the pages to add to it one by one."""
    pages = list(pages_of(ids))
    tops, firsts = directory([page[0] for page in pages[1:]])
    documents = [array(page) for page in pages]
    size = b"%d" % len(ids)
    length = b"%d" % len(pages)
    yield named(
        {"size": size, "length": length, "tops": tops, "firsts": firsts, "pages": array(documents[:PAGES_AT_ONCE])}
    )
    yield from documents[PAGES_AT_ONCE:]


def empty_generation() -> bytes:
    """Return a generation without resources, which the parts of a push fill."""
    empty = dict.fromkeys(SHARDS, b"{}")
    zeros = {shard: encode(digest_text(0)) for shard in SHARDS}
    return named(
        {
            "resources": named(empty),
            "digests": named(zeros),
            "postings": named(empty),
            "large": named({ALL: next(large([]))}),
        }
    )


def document(resources: Mapping[bytes, bytes], *, revision: str = "1") -> bytes:
    """Return a type's document with resources that no push would store, to test how rules treat them.

    It has no digests, and no posting except that of all ids.

    Args:
        resources: Any JSON texts, by ids as canonical JSON text.
        revision: Their revision.
    """
    shards: dict[str, dict[str, list[tuple[bytes, bytes]]]] = {}
    for id_, text in resources.items():
        shard, bucket = place(id_)
        shards.setdefault(shard, {}).setdefault(bucket, []).append((id_, text))
    stored = named({shard: named({b: object_(m) for b, m in buckets.items()}) for shard, buckets in shards.items()})
    current = {"revision": encode(revision), "generation": b'"g"', "store": b'"none"', "count": b"%d" % len(resources)}
    state = {
        "layout": b"%d" % LAYOUT,
        "store": current["store"],
        "revisions": named({f"r{revision}": b"true"}),
        "leases": b"{}",
        "current": named(current),
    }
    everything = next(large(sorted(resources, key=raw)))
    generation = {"resources": stored, "large": named({ALL: everything})}
    return named({"state": named(state), "generations": named({"g": named(generation)})})
