"""Where pushed resources lie in OPA's data; the rules (`resource`, `index`, `list`, `store`) know the same places.

Below the data root, each resource type has a document of its own::

    state:        layout, store, revisions, leases, current: {revision, generation, store}
    generations:  {g…: one whole state of the resources}

and each generation has::

    resources:    {s…: {b…: {ID: RESOURCE}}}          shards of buckets
    digests:      {s…: the digest of the shard}
    postings:     {s…: {p…: [ID, …]}}                 the ids with one custom_data member and value, up to SMALL
    large:        {p…: {size, length, tops, firsts, pages}}   longer postings, in pages; `all` is that of all ids

All names in paths are made here, by hashes: OPA reads a `%2F`, a `-` and an empty name in the path of a JSON Patch as
something else than a member's name, so nobody's ids or names may come there. Ids are in code point order.
"""

from __future__ import annotations

import json
from hashlib import md5, sha256
from json.encoder import encode_basestring as _quote
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from bridge.strict_json import encode, sorted_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

LAYOUT: Final = 1
"""The number of this layout: a bridge neither reads nor writes one of a higher number."""

SMALL: Final = 256
"""How many ids a posting has at most that is one array."""

PAGE: Final = 256
"""How many ids a page has as it is pushed; changes let it grow to twice as many."""

BLOCK: Final = 32
"""How many pages' first ids stand together."""

PAGES_AT_ONCE: Final = 1024
"""How many pages of a large posting are sent with it."""

ALL: Final = "all"
"""The name of the posting of all ids."""

SHARDS: Final = tuple(f"s{number:02x}" for number in range(256))

_UNQUOTED: Final = itemgetter(slice(1, -1))
_HEX: Final = 40


def raw(id_: bytes) -> bytes:
    """The UTF-8 of an id, given as canonical JSON text; its order is that of code points."""
    if b"\\" in id_:
        text: str = json.loads(id_)
        return text.encode("utf-8")
    return id_[1:-1]


def order_of(ids: Iterable[bytes]) -> Callable[[bytes], bytes]:
    """`raw`, to sort any of these ids by, or what does the same for them in less time."""
    return raw if b"\\" in b"".join(ids) else _UNQUOTED


def place(id_: bytes) -> tuple[str, str]:
    """The shard and the bucket that a resource lies in, by its id as canonical JSON text."""
    found = md5(raw(id_), usedforsecurity=False).hexdigest()
    return "s" + found[:2], "b" + found[2:4]


def posting_text(name: str, value: Any) -> str:
    """What stands for a member of `custom_data`: the same text for equal values (R11), another for others.

    It is the canonical text, with sorted names; the rules make the same of OPA's, by undoing what OPA alone escapes.
    """
    if type(value) is str:
        text = _quote(value)
    elif type(value) is bool:
        text = "true" if value else "false"
    else:
        text = sorted_text(value).decode("utf-8")
    return f"[{_quote(name)},{text}]"


def posting_name(text: str) -> tuple[str, str]:
    """The shard and the name of a posting, by its text."""
    found = sha256(text.encode("utf-8")).hexdigest()[:_HEX]
    return "s" + found[:2], "p" + found


def posting_texts(custom_data: Mapping[str, Any]) -> list[str]:
    """The postings that a resource with this `custom_data` is in, besides that of all."""
    return [posting_text(name, value) for name, value in custom_data.items()]


def resource_digest(text: bytes) -> int:
    """A resource's part of its shard's digest, by its canonical text with sorted names."""
    return int.from_bytes(sha256(text).digest(), "big")


def shard_digest(texts: Iterable[bytes]) -> str:
    """A shard's digest, by its resources."""
    return digest_text(sum(map(resource_digest, texts)))


def digest_text(total: int) -> str:
    """A shard's digest: the sum of its resources' parts, so that one can be changed without the others at hand."""
    return f"{total % (1 << 256):064x}"


def array(ids: Iterable[bytes]) -> bytes:
    """A JSON array of ids."""
    return b"[" + b",".join(ids) + b"]"


def object_(members: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A JSON object of names and values in JSON text."""
    return b"{" + b",".join([name + b":" + value for name, value in members]) + b"}"


def named(members: Mapping[str, bytes]) -> bytes:
    """A JSON object of names that need no escapes."""
    return b"{" + b",".join([b'"%b":%b' % (name.encode("ascii"), value) for name, value in members.items()]) + b"}"


def pages_of(ids: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Sorted ids in pages; there is always one."""
    for start in range(0, max(len(ids), 1), PAGE):
        yield ids[start : start + PAGE]


def directory(firsts: Sequence[bytes]) -> tuple[bytes, bytes]:
    """`tops` and `firsts` of a large posting, by the least id that each page but the first may hold.

    The first page may hold any, so its own is the empty string.
    """
    firsts = [b'""', *firsts]
    blocks = [firsts[start : start + BLOCK] for start in range(0, len(firsts), BLOCK)]
    return array([block[0] for block in blocks]), array(map(array, blocks))


def large(ids: Sequence[bytes]) -> Iterator[bytes]:
    """The document of a large posting, by its sorted ids; then the pages that are to be added to it one by one."""
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
    """A generation without resources, into which its parts are put."""
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
    """A type's document with resources that no push would store, for those who test what rules make of them.

    It has neither digests nor postings, but that of all ids.

    Args:
        resources: Any JSON texts, by ids as canonical JSON text.
        revision: The revision that they are of.
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
