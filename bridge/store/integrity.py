"""Counting all anew that pushes and changes have derived: digests and the index."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bridge.resource import InvalidResource, parse_resource
from bridge.store import layout
from bridge.store.prepared import custom_data_of
from bridge.strict_json import encode, sorted_text

if TYPE_CHECKING:
    from collections.abc import Iterator


class IntegrityCheck:
    """Takes a generation in, shard by shard, and tells what is not as it should be."""

    def __init__(self) -> None:
        self._ids: set[bytes] = set()
        self._postings: dict[str, list[bytes]] = {}

    @property
    def resources(self) -> int:
        """How many were taken in."""
        return len(self._ids)

    def shard(self, shard: str, digest: Any, buckets: Any) -> Iterator[str]:
        """Take in the resources of a shard."""
        texts = []
        for bucket, resources in buckets.items():
            for id_, value in resources.items():
                id_text = encode(id_)
                texts.append(sorted_text(value))
                resource = parse_resource(value)
                if isinstance(resource, InvalidResource):
                    yield f"the resource {_shown(id_text)} is none: {resource.cause}"
                elif resource.id != id_:
                    yield f"the resource {_shown(id_text)} has another `id`: {_shown(encode(resource.id))}"
                if layout.place(id_text) != (shard, bucket):
                    yield f"the resource {_shown(id_text)} lies in `{shard}/{bucket}`, where no reader looks for it"
                self._ids.add(id_text)
                for posting in layout.posting_texts(custom_data_of(value)):
                    self._postings.setdefault(posting, []).append(id_text)
        if digest != layout.shard_digest(texts):
            yield f"the digest of the shard `{shard}` is not that of its resources"

    def index(self, postings: Any, large: Any) -> Iterator[str]:
        """Compare the index with the resources that were taken in."""
        there = {(shard, name): ids for shard, short in postings.items() for name, ids in short.items()}
        paged = dict(large)
        for text, ids in self._postings.items():
            shard, name = layout.posting_name(text)
            ids.sort(key=layout.raw)
            yield from _posting(f"of `{text[:80]}`", ids, there.pop((shard, name), None), paged.pop(name, None))
        everything = sorted(self._ids, key=layout.raw)
        yield from _posting("of all ids", everything, None, paged.pop(layout.ALL, None))
        for name, found in paged.items():
            if found.get("size") != 0 or any(found["pages"]):
                yield f"the posting `{name}` is of a value that no resource has"
        for _, name in there:
            yield f"the posting `{name}` is of a value that no resource has"


def _posting(what: str, ids: list[bytes], short: Any, found: Any) -> Iterator[str]:
    if short is not None and found is not None:
        yield f"the posting {what} is there twice"
    if short is not None:
        if [encode(id_) for id_ in short] != ids:
            yield f"the posting {what} does not hold what it should"
        return
    if found is None:
        yield f"the posting {what} is not there"
        return
    pages, firsts = found["pages"], [first for block in found["firsts"] for first in block]
    if [encode(id_) for page in pages for id_ in page] != ids:
        yield f"the posting {what} does not hold what it should"
    if found["size"] != len(ids) or found["length"] != len(pages):
        yield f"the posting {what} says that it has {found['size']} ids on {found['length']} pages, and has others"
    if len(firsts) != len(pages) or not _leads(firsts, pages):
        yield f"the posting {what} has a directory that does not lead to its pages"
    if found["tops"] != [block[0] for block in found["firsts"]] or any(
        len(block) != layout.BLOCK for block in found["firsts"][:-1]
    ):
        yield f"the posting {what} has a directory whose blocks are not even"


def _leads(firsts: list[str], pages: list[list[str]]) -> bool:
    """Whether the first ids are in order, and lead from each id to the page it is on."""
    return (
        firsts[0] == ""
        and all(first < following for first, following in pairwise(firsts))
        and all(bisect_right(firsts, id_) == number for number, page in enumerate(pages, 1) for id_ in page)
    )


def _shown(text: bytes) -> str:
    shown = text.decode("utf-8")
    return shown if len(shown) <= 80 else shown[:80] + "..."  # noqa: PLR2004 - what fits a line
