"""Resources in this process's memory, for the engines that run in it."""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

from bridge.errors import Misuse, ResourcesLost
from bridge.escapes import shown
from bridge.process_bound import ProcessBound
from bridge.resources import layout
from bridge.resources.prepared import Prepared, custom_data_of, prepare
from bridge.resources.store import Changed, Difference, next_revision
from bridge.strict_json import encode, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bridge.decision import Request


class Held:
    """The resources of one type at one revision; it never changes.

    Attributes:
        revision: The revision; None where nothing was pushed.
        resources: Resources by id, both in canonical JSON text.
    """

    def __init__(self, revision: str | None, prepared: Prepared) -> None:
        self.revision = revision
        self.resources: Mapping[bytes, bytes] = prepared
        self._prepared = prepared
        self._all: list[bytes] | None = None

    def all_ids(self) -> Sequence[bytes]:
        """All ids, in the order of code points."""
        if self._all is None:
            self._all = sorted(self._prepared, key=layout.order_of(self._prepared))
        return self._all

    def posting(self, text: str) -> Sequence[bytes]:
        """The ids in a posting (`layout.posting_text`), in the order of code points."""
        return self._prepared.postings.get(text, [])

    def changed(self, revision: str, upserts: Prepared, removals: Iterable[bytes]) -> Held:
        """The resources after a change."""
        prepared = Prepared()
        prepared.update(self._prepared)
        prepared.postings = dict(self._prepared.postings)
        left: dict[str, list[bytes]] = {}  # the ids that leave each posting
        for id_ in (*upserts, *removals):
            if (text := prepared.pop(id_, None)) is not None:
                for posting in layout.posting_texts(custom_data_of(parse(text))):
                    left.setdefault(posting, []).append(id_)
        prepared.update(upserts)
        for posting in {**left, **upserts.postings}:
            ids = list(self.posting(posting))  # this revision keeps its own
            for id_ in left.get(posting, ()):
                del ids[bisect_left(ids, layout.raw(id_), key=layout.raw)]
            for id_ in upserts.postings.get(posting, ()):
                insort(ids, id_, key=layout.raw)
            if ids:
                prepared.postings[posting] = ids
            else:
                del prepared.postings[posting]
        return Held(revision, prepared)


_NOTHING: Final = Held(None, Prepared())


class MemoryStore(ProcessBound):
    """Keeps resources in canonical text by type and id; threads may share it.

    Types and ids are looked up by their canonical JSON text, which is the same for equal strings and for no others.
    """

    def __init__(self, types: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._held = {encode(type_): _NOTHING for type_ in types}

    def operation(self) -> Self:
        """Itself: it is always the same one."""
        return self

    def find(self, request: Request) -> tuple[bytes | None, str | None]:
        """The stored resource that a request by id is about, in canonical text, and the revision it is of.

        The first is None where the resource is not known, both are where the request is not by id.
        """
        if not request.is_by_id or request.type is None:
            return None, None
        assert request.id is not None  # or it is not by id
        held = self.held(request.type)
        return held.resources.get(request.id), held.revision

    def held(self, type_: bytes) -> Held:
        """What is stored for a type, given as canonical JSON text."""
        return self._held.get(type_, _NOTHING)

    def replace(
        self, type_: str, resources: Mapping[bytes, bytes], *, told: Callable[[int], None] = lambda _: None
    ) -> str:
        """Store these, resources by id in canonical text, in place of all of a type, at once; gives the revision."""
        prepared = prepare(resources)
        order = layout.order_of(prepared)
        for ids in prepared.postings.values():
            ids.sort(key=order)
        with self._lock:
            revision = next_revision(self._of(type_).revision)
            self._held[encode(type_)] = Held(revision, prepared)
        told(len(prepared))
        return revision

    def difference(self, type_: str, prepared: Prepared, most: int | None) -> Difference | None:
        """What differs between what is stored and what should be.

        None where nothing was pushed yet, or where it is more than `most`, if that is told.
        """
        held = self._of(type_)
        if held.revision is None:
            return None
        there = held.resources
        upserts = {id_: text for id_, text in prepared.items() if there.get(id_) != text}
        removals = [id_ for id_ in there if id_ not in prepared]
        if most is not None and len(upserts) + len(removals) > most:
            return None
        return Difference(upserts, removals, sum(id_ not in there for id_ in upserts), len(there))

    def change(self, type_: str, upserts: Mapping[bytes, bytes], removals: Iterable[bytes]) -> Changed:
        """Store some resources, and remove others, at once.

        Args:
            type_: The resource type.
            upserts: Resources by id, both in canonical JSON text.
            removals: Ids in canonical JSON text.

        Raises:
            ResourcesLost: Nothing was ever pushed.
        """
        prepared = prepare(upserts)
        with self._lock:
            before = self._of(type_)
            if before.revision is None:
                raise ResourcesLost(
                    f"there are no pushed resources of `{type_}`: push all of them, before some can change"
                )
            gone = [id_ for id_ in removals if id_ not in prepared]
            changed = Changed.of(before.resources, prepared, gone, before.revision)
            if not changed.added and not changed.changed and not changed.removed:
                return changed
            revision = next_revision(before.revision)
            self._held[encode(type_)] = before.changed(revision, prepared, gone)
        return replace(changed, revision=revision)

    def _of(self, type_: str) -> Held:
        try:
            return self._held[encode(type_)]
        except KeyError:
            raise Misuse(f"`{shown(type_)}` is not one of the resource types") from None
