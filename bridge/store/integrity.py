"""Check what an OPA stores: derive the digests and the index from the resources again, and compare."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bridge.errors import MalformedInputError, ResourcesMissingError, StaleResourcesError
from bridge.resource import InvalidResource, parse_resource
from bridge.store import layout
from bridge.store.opa_documents import Documents
from bridge.store.store import custom_data_of
from bridge.strict_json import Value, encode, sorted_text


@dataclass(frozen=True, slots=True)
class IntegrityReport:
    """The result of a check of what an OPA stores.

    Attributes:
        findings: The defects, a sentence each.
        resources: The number of resources that were read.
        revision: Their revision.
    """

    findings: tuple[str, ...]
    resources: int
    revision: str


def recount(documents: Documents, type_: str, on_progress: Callable[[int], None]) -> IntegrityReport:
    """Do what `OpaStore.recount` says."""
    state = documents.agreed(type_)
    if state is None or state.current is None:
        raise ResourcesMissingError(f"OPA has no pushed resources of `{type_}`: push them")
    path = (*documents.path(type_), "generations", state.current.generation)
    findings = [f"a push that never ended has left the generation `{name}`" for name in state.leases.values()]
    check = IntegrityCheck()
    try:
        digests = _document(documents, (*path, "digests"))
        for shard in layout.SHARDS:
            before = check.resources
            findings += check.shard(shard, digests.get(shard), _document(documents, (*path, "resources", shard)))
            on_progress(check.resources - before)
        findings += check.index(_document(documents, (*path, "postings")), _document(documents, (*path, "large")))
    except (AttributeError, KeyError, IndexError, TypeError, MalformedInputError) as error:
        findings.append(f"the stored data does not have the form of this layout: {type(error).__name__} {error}")
    else:
        if check.resources != state.current.count:
            findings.append(f"there are {check.resources:,} resources, but the state says {state.current.count:,}")
    if findings:  # another OPA may be the cause
        documents.one_store.doubt(type_)
    if not documents.is_unchanged(type_, state, fresh=True):
        raise StaleResourcesError(f"`{type_}` changed during the check: check again")
    return IntegrityReport(tuple(findings), check.resources, state.current.revision)


def _document(documents: Documents, path: tuple[str, ...]) -> dict[str, Value]:
    document = documents.get(path)
    if not isinstance(document, dict):
        raise TypeError(f"{path[-1]} is not an object")
    return document


class IntegrityCheck:
    """Reads a generation, shard by shard, and reports its defects."""

    def __init__(self) -> None:
        self._ids: set[bytes] = set()
        self._postings: dict[str, list[bytes]] = {}

    @property
    def resources(self) -> int:
        """Return the number of resources that were read."""
        return len(self._ids)

    def shard(self, shard: str, digest: Any, buckets: Any) -> Iterator[str]:
        """Read the resources of a shard, and return its defects."""
        texts = []
        for bucket, resources in buckets.items():
            for id_, value in resources.items():
                id_text = encode(id_)
                texts.append(sorted_text(value))
                resource = parse_resource(value)
                if isinstance(resource, InvalidResource):
                    yield f"the resource {_shown(id_text)} is not valid: {resource.cause}"
                elif resource.id != id_:
                    yield f"the resource {_shown(id_text)} has another `id`: {_shown(encode(resource.id))}"
                if layout.place(id_text) != (shard, bucket):
                    yield f"the resource {_shown(id_text)} lies in `{shard}/{bucket}`, where no reader looks for it"
                self._ids.add(id_text)
                for posting in layout.posting_texts(custom_data_of(value)):
                    self._postings.setdefault(posting, []).append(id_text)
        if digest != layout.shard_digest(texts):
            yield f"the digest of the shard `{shard}` does not match its resources"

    def index(self, postings: Any, large: Any) -> Iterator[str]:
        """Compare the index with the resources that were read, and return the defects."""
        small = {(shard, name): ids for shard, short in postings.items() for name, ids in short.items()}
        paged = dict(large)
        for text, ids in self._postings.items():
            shard, name = layout.posting_name(text)
            ids.sort(key=layout.raw)
            yield from _posting(f"of `{text[:80]}`", ids, small.pop((shard, name), None), paged.pop(name, None))
        everything = sorted(self._ids, key=layout.raw)
        yield from _posting("of all ids", everything, None, paged.pop(layout.ALL, None))
        for name, posting in paged.items():
            if posting.get("size") != 0 or any(posting["pages"]):
                yield f"the posting `{name}` is of a value that no resource has"
        for _, name in small:
            yield f"the posting `{name}` is of a value that no resource has"


def _posting(what: str, ids: list[bytes], small: Any, large: Any) -> Iterator[str]:
    """Compare a posting with its expected ids; it is stored as a small one or as a large one."""
    if small is not None and large is not None:
        yield f"the posting {what} is there twice"
    if small is not None:
        if [encode(id_) for id_ in small] != ids:
            yield f"the posting {what} does not hold the right ids"
        return
    if large is None:
        yield f"the posting {what} is missing"
        return
    pages, firsts = large["pages"], [first for block in large["firsts"] for first in block]
    if [encode(id_) for page in pages for id_ in page] != ids:
        yield f"the posting {what} does not hold the right ids"
    if large["size"] != len(ids) or large["length"] != len(pages):
        yield f"the posting {what} says that it has {large['size']} ids on {large['length']} pages, and has others"
    if len(firsts) != len(pages) or not _leads(firsts, pages):
        yield f"the posting {what} has a directory that does not lead to its pages"
    if large["tops"] != [block[0] for block in large["firsts"]] or any(
        len(block) != layout.BLOCK for block in large["firsts"][:-1]
    ):
        yield f"the posting {what} has a directory whose blocks are not even"


def _leads(firsts: list[str], pages: list[list[str]]) -> bool:
    """Tell whether the first ids are in order, and lead from each id to its page."""
    return (
        firsts[0] == ""
        and all(first < following for first, following in pairwise(firsts))
        and all(bisect_right(firsts, id_) == number for number, page in enumerate(pages, 1) for id_ in page)
    )


def _shown(text: bytes) -> str:
    shown = text.decode("utf-8")
    return shown if len(shown) <= 80 else shown[:80] + "..."  # noqa: PLR2004 - fits on a line
