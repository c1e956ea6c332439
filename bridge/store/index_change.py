"""A change of some resources in a generation, as one patch: resources, digests and postings together."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Any, NamedTuple

from bridge.errors import InvalidResponseError
from bridge.store import layout
from bridge.store.json_patch import Patch, add, remove
from bridge.store.prepared import custom_data_of
from bridge.store.store import ChangeReport
from bridge.strict_json import encode, parse, sorted_text, string_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bridge.store.prepared import PreparedResources

_ALL: tuple[str, str] = ("", layout.ALL)


class FirstsMissingError(Exception):
    """A page has grown too large, and to divide it the first ids of all pages of these postings must be known.

    Attributes:
        names: The names of the postings.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names


class IndexChange(NamedTuple):
    """Resources to store and others to remove.

    Attributes:
        upserts: The resources to store.
        removals: The ids to remove, as canonical JSON text; none that is upserted.
    """

    upserts: PreparedResources
    removals: Sequence[bytes]

    def question(self, type_: str) -> bytes:
        """The input of the rules' `stored_view` that asks for what `patch` must know."""
        changes = [self._asked(id_, _places(parse(text))) for id_, text in self.upserts.items()]
        changes += [self._asked(id_, []) for id_ in self.removals]
        return layout.named({"type": encode(type_), "changes": layout.array(changes)})

    @staticmethod
    def _asked(id_: bytes, places: Iterable[tuple[str, str]]) -> bytes:
        shard, bucket = layout.place(id_)
        return b'{"id":%b,"shard":"%b","bucket":"%b","postings":[%b]}' % (
            id_,
            shard.encode(),
            bucket.encode(),
            b",".join(b'{"shard":"%b","name":"%b"}' % (at.encode(), name.encode()) for at, name in places),
        )

    def patch(self, view: Any, firsts: Mapping[str, list[bytes]]) -> tuple[Patch, ChangeReport, int]:
        """The operations within the generation, what they do, and how many resources more there are then.

        Args:
            view: What `stored_view` gave for the question.
            firsts: The first ids of the pages of postings that `FirstsMissingError` has named.

        Raises:
            FirstsMissingError: A page must be divided.
            InvalidResponseError: The view is none.
        """
        try:
            return _Work(view, firsts).done(self)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise InvalidResponseError(
                f"what OPA says that it holds is not whole: {type(error).__name__} {error}"
            ) from None


def _places(value: Any) -> list[tuple[str, str]]:
    """The postings that a resource is in."""
    return [_ALL, *(layout.posting_name(text) for text in layout.posting_texts(custom_data_of(value)))]


class _Moves(NamedTuple):
    """The ids that come to a posting or a page of it, and those that go."""

    come: list[bytes]
    go: list[bytes]


class _Work:
    """Works out one patch."""

    def __init__(self, view: Any, firsts: Mapping[str, list[bytes]]) -> None:
        self._view = view
        self._firsts = firsts
        self._patch = Patch()
        self._missing: list[str] = []

    def done(self, change: IndexChange) -> tuple[Patch, ChangeReport, int]:
        before: dict[bytes, bytes] = {}
        moves: dict[tuple[str, str], _Moves] = {}
        digests: dict[str, int] = {}
        buckets: dict[tuple[str, str], dict[bytes, bytes]] = {}
        for id_ in (*change.upserts, *change.removals):
            shard, bucket = layout.place(id_)
            if (shard, bucket) not in buckets:
                found = self._view["buckets"][f"{shard}/{bucket}"]
                buckets[shard, bucket] = {encode(name): sorted_text(value) for name, value in found.items()}
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
                (moved.go if place in old_places else moved.come).append(id_)
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
        found = self._view["small"].get(name)
        ids = _moved(found or [], moved)
        if not ids:
            self._patch.append(remove("postings", shard, name))
        elif len(ids) <= layout.SMALL:
            self._patch.append(add("postings", shard, name, value=sorted_text(ids)))
        else:
            if found is not None:
                self._patch.append(remove("postings", shard, name))
            document, *pages = layout.large([string_text(id_) for id_ in ids])
            assert not pages
            self._patch.append(add("large", name, value=document))

    def _large(self, name: str, moved: _Moves, found: Any) -> None:
        size = found["size"] + len(moved.come) - len(moved.go)
        self._patch.append(add("large", name, "size", value=encode(size)))
        at: dict[str, _Moves] = {}
        for id_ in moved.come:
            at.setdefault(found["places"][parse(id_)], _Moves([], [])).come.append(id_)
        for id_ in moved.go:
            at.setdefault(found["places"][parse(id_)], _Moves([], [])).go.append(id_)
        too_large = {}
        for number, moves in at.items():
            ids = _moved(found["pages"][number], moves)
            if len(ids) <= 2 * layout.PAGE:
                self._patch.append(_replace_page(name, number, sorted_text(ids)))
            else:
                too_large[number] = ids
        if too_large:
            self._divide(name, too_large)

    def _divide(self, name: str, too_large: Mapping[str, list[str]]) -> None:
        """Make several pages of each of these, by their numbers."""
        firsts = self._firsts.get(name)
        if not firsts:
            self._missing.append(name)
            return
        later = firsts[1:]
        # From the last page to the first, for a page that is divided moves those behind it.
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


def _replace_page(name: str, number: str, page: bytes) -> tuple[bytes, tuple[str, ...], bytes | None]:
    """A page in place of the one of that number; `add` would move it on."""
    return b"replace", ("large", name, "pages", number), page


def _moved(found: list[str], moved: _Moves) -> list[Any]:
    """The ids of a posting after the move, as strings, whose order in Python is that of code points."""
    if not {str}.issuperset(map(type, found)):
        raise TypeError("an id is no string")
    ids = list(found)
    for id_ in map(_string, moved.go):
        at = bisect_left(ids, id_)
        if ids[at] != id_:
            raise ValueError(id_)
        del ids[at]
    for id_ in map(_string, moved.come):
        insort(ids, id_)
    return ids


def _string(id_: bytes) -> str:
    return layout.raw(id_).decode("utf-8")
