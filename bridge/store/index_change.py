"""A change of some resources in a generation as one patch: resources, digests and postings together."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from bridge.errors import InvalidResponseError
from bridge.store import layout
from bridge.store.patches import Operation, Patch, add, remove
from bridge.store.store import ChangeReport, PreparedResources, custom_data_of
from bridge.strict_json import encode, parse, sorted_text, string_text

_ALL: tuple[str, str] = ("", layout.ALL)


class FirstsMissingError(Exception):
    """A page has become too large; to split it, the change needs the first ids of all pages of these postings.

    Attributes:
        names: The names of the postings.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names


class IndexChange(NamedTuple):
    """Resources to store, and others to remove.

    Attributes:
        upserts: The resources to store.
        removals: The ids to remove, as canonical JSON text; no id is upserted as well.
    """

    upserts: PreparedResources
    removals: Sequence[bytes]

    def query(self, type_: str) -> bytes:
        """Return the input of the rules' `stored_view`, whose result `patch` needs."""
        changes = [self._query_change(id_, _places(parse(text))) for id_, text in self.upserts.items()]
        changes += [self._query_change(id_, []) for id_ in self.removals]
        return layout.named({"type": encode(type_), "changes": layout.array(changes)})

    @staticmethod
    def _query_change(id_: bytes, places: Iterable[tuple[str, str]]) -> bytes:
        shard, bucket = layout.place(id_)
        return b'{"id":%b,"shard":"%b","bucket":"%b","postings":[%b]}' % (
            id_,
            shard.encode(),
            bucket.encode(),
            b",".join(b'{"shard":"%b","name":"%b"}' % (at.encode(), name.encode()) for at, name in places),
        )

    def patch(self, view: Any, firsts: Mapping[str, list[bytes]]) -> tuple[Patch, ChangeReport, int]:
        """Return the operations within the generation, their report, and the change in the number of resources.

        Args:
            view: The result of `stored_view` for the query.
            firsts: The first ids of the pages of the postings that `FirstsMissingError` named.

        Raises:
            FirstsMissingError: A page must be split.
            InvalidResponseError: The view is malformed.
        """
        try:
            return _PatchBuilder(view, firsts).build(self)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise InvalidResponseError(
                f"the index in OPA is damaged, push all resources again: {type(error).__name__} {error}"
            ) from None


def _places(value: Any) -> list[tuple[str, str]]:
    """Return the postings of a resource, as shard and name."""
    return [_ALL, *(layout.posting_name(text) for text in layout.posting_texts(custom_data_of(value)))]


class _Moves(NamedTuple):
    """The ids that join a posting or a page of it, and the ids that leave it."""

    joining: list[bytes]
    leaving: list[bytes]


class _PatchBuilder:
    """Builds one patch."""

    def __init__(self, view: Any, firsts: Mapping[str, list[bytes]]) -> None:
        self._view = view
        self._firsts = firsts
        self._patch = Patch()
        self._missing: list[str] = []

    def build(self, change: IndexChange) -> tuple[Patch, ChangeReport, int]:
        before: dict[bytes, bytes] = {}
        moves: dict[tuple[str, str], _Moves] = {}
        digests: dict[str, int] = {}
        buckets: dict[tuple[str, str], dict[bytes, bytes]] = {}
        for id_ in (*change.upserts, *change.removals):
            shard, bucket = layout.place(id_)
            if (shard, bucket) not in buckets:
                stored = self._view["buckets"][f"{shard}/{bucket}"]
                buckets[shard, bucket] = {encode(name): sorted_text(value) for name, value in stored.items()}
            resources = buckets[shard, bucket]
            old, new = resources.get(id_), change.upserts.get(id_)
            if old == new:
                if old is not None:
                    before[id_] = old
                continue
            digest = digests.get(shard)
            digests[shard] = int(self._view["digests"][shard], 16) if digest is None else digest
            old_places: set[tuple[str, str]] = set()
            if old is not None:
                before[id_] = old
                digests[shard] -= layout.resource_digest(old)
                old_places.update(_places(parse(old)))
                del resources[id_]
            new_places: set[tuple[str, str]] = set()
            if new is not None:
                digests[shard] += layout.resource_digest(new)
                new_places.update(_places(parse(new)))
                resources[id_] = new
            for place in old_places ^ new_places:
                moved = moves.setdefault(place, _Moves([], []))
                (moved.leaving if place in old_places else moved.joining).append(id_)
        self._resources(buckets, digests)
        for (shard, name), moved in moves.items():
            self._posting(shard, name, moved)
        if self._missing:
            raise FirstsMissingError(self._missing)
        changed = ChangeReport.of(before, change.upserts, change.removals, "")
        return self._patch, changed, changed.added - changed.removed

    def _resources(self, buckets: Mapping[tuple[str, str], Mapping[bytes, bytes]], digests: Mapping[str, int]) -> None:
        for (shard, bucket), resources in buckets.items():
            if shard not in digests:
                continue
            if resources:
                self._patch.append(add("resources", shard, bucket, value=layout.object_(resources.items())))
            elif self._view["buckets"][f"{shard}/{bucket}"]:
                self._patch.append(remove("resources", shard, bucket))
        for shard, digest in digests.items():
            self._patch.append(add("digests", shard, value=encode(layout.digest_text(digest))))

    def _posting(self, shard: str, name: str, moved: _Moves) -> None:
        if name in self._view["large"]:
            self._large(name, moved, self._view["large"][name])
            return
        stored = self._view["small"].get(name)
        ids = _moved(stored or [], moved)
        if not ids:
            self._patch.append(remove("postings", shard, name))
        elif len(ids) <= layout.SMALL:
            self._patch.append(add("postings", shard, name, value=sorted_text(ids)))
        else:
            if stored is not None:
                self._patch.append(remove("postings", shard, name))
            document, *pages = layout.large([string_text(id_) for id_ in ids])
            assert not pages
            self._patch.append(add("large", name, value=document))

    def _large(self, name: str, moved: _Moves, posting: Any) -> None:
        size = posting["size"] + len(moved.joining) - len(moved.leaving)
        self._patch.append(add("large", name, "size", value=encode(size)))
        by_page: dict[str, _Moves] = {}
        for id_ in moved.joining:
            by_page.setdefault(posting["places"][parse(id_)], _Moves([], [])).joining.append(id_)
        for id_ in moved.leaving:
            by_page.setdefault(posting["places"][parse(id_)], _Moves([], [])).leaving.append(id_)
        too_large = {}
        for number, moves in by_page.items():
            ids = _moved(posting["pages"][number], moves)
            if len(ids) <= 2 * layout.PAGE:
                self._patch.append(_replace_page(name, number, sorted_text(ids)))
            else:
                too_large[number] = ids
        if too_large:
            self._split(name, too_large)

    def _split(self, name: str, too_large: Mapping[str, list[str]]) -> None:
        """Split each of these pages, given by number, into several."""
        firsts = self._firsts.get(name)
        if not firsts:
            self._missing.append(name)
            return
        later = firsts[1:]
        # From the last page to the first, because a split moves the pages after it.
        for number in sorted(map(int, too_large), reverse=True):
            first, *pages = layout.pages_of([string_text(id_) for id_ in too_large[str(number)]])
            self._patch.append(_replace_page(name, str(number), layout.array(first)))
            for offset, page in enumerate(pages, number + 1):
                self._patch.append(add("large", name, "pages", str(offset), value=layout.array(page)))
            later = [*later[:number], *(page[0] for page in pages), *later[number:]]
        tops, blocks = layout.directory(later)
        self._patch += [
            add("large", name, "length", value=encode(1 + len(later))),
            add("large", name, "tops", value=tops),
            add("large", name, "firsts", value=blocks),
        ]


def _replace_page(name: str, number: str, page: bytes) -> Operation:
    """Return the operation that replaces a page; `add` would insert another one before it."""
    return b"replace", ("large", name, "pages", number), page


def _moved(stored: list[str], moved: _Moves) -> list[Any]:
    """Return the ids of a posting after the move, as strings; Python sorts strings by code points."""
    if not {str}.issuperset(map(type, stored)):
        raise TypeError("an id is not a string")
    ids = list(stored)
    for id_ in map(_string, moved.leaving):
        at = bisect_left(ids, id_)
        if ids[at] != id_:
            raise ValueError(id_)
        del ids[at]
    for id_ in map(_string, moved.joining):
        insort(ids, id_)
    return ids


def _string(id_: bytes) -> str:
    return layout.raw(id_).decode("utf-8")
