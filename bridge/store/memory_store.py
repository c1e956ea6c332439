"""The store in this process's memory, for the engines that run in it."""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Self

from bridge.decision import Request
from bridge.errors import ResourcesMissingError, UsageError
from bridge.escapes import shown
from bridge.process_bound import ProcessBound
from bridge.store import layout
from bridge.store.store import ChangeReport, PreparedResources, StoreDifference, custom_data_of, next_revision, prepare
from bridge.strict_json import encode, parse


class StoredType:
    """The resources of one type at one revision; an instance never changes.

    Attributes:
        revision: The revision; None if nothing was pushed.
        resources: Resources by id, both in canonical JSON text.
    """

    def __init__(self, revision: str | None, prepared: PreparedResources) -> None:
        self.revision = revision
        self.resources: Mapping[bytes, bytes] = prepared
        self._prepared = prepared
        self._all: list[bytes] | None = None

    def all_ids(self) -> Sequence[bytes]:
        """Return all ids, in the order of code points."""
        if self._all is None:
            self._all = sorted(self._prepared, key=layout.order_of(self._prepared))
        return self._all

    def posting(self, text: str) -> Sequence[bytes]:
        """Return the ids in a posting (`layout.posting_text`), in the order of code points."""
        return self._prepared.postings.get(text, [])

    def changed(self, revision: str, upserts: PreparedResources, removals: Iterable[bytes]) -> StoredType:
        """Return the resources after a change."""
        prepared = PreparedResources()
        prepared.update(self._prepared)
        prepared.postings = dict(self._prepared.postings)
        leaving: dict[str, list[bytes]] = {}  # the ids that leave each posting
        for id_ in (*upserts, *removals):
            if (text := prepared.pop(id_, None)) is not None:
                for posting in layout.posting_texts(custom_data_of(parse(text))):
                    leaving.setdefault(posting, []).append(id_)
        prepared.update(upserts)
        for posting in {**leaving, **upserts.postings}:
            ids = list(self.posting(posting))  # the old revision keeps its own list
            for id_ in leaving.get(posting, ()):
                del ids[bisect_left(ids, layout.raw(id_), key=layout.raw)]
            for id_ in upserts.postings.get(posting, ()):
                insort(ids, id_, key=layout.raw)
            if ids:
                prepared.postings[posting] = ids
            else:
                del prepared.postings[posting]
        return StoredType(revision, prepared)


_NOTHING: Final = StoredType(None, PreparedResources())


class MemoryStore(ProcessBound):
    """Keeps resources in canonical text by type and id; threads may share it.

    Types and ids are looked up by their canonical JSON text, which is the same for equal strings and for no others.
    """

    def __init__(self, types: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._types = {encode(type_): _NOTHING for type_ in types}

    def operation(self) -> Self:
        """Return this store: the memory of a process is always the same store."""
        return self

    def find(self, request: Request) -> tuple[bytes | None, str | None]:
        """Return the stored resource of a request by id, in canonical text, and the revision of its type.

        The first is None if the resource is not known; both are None if the request is not by id.
        """
        if not request.is_by_id or request.type is None:
            return None, None
        assert request.id is not None, "the request is by id"
        stored = self.stored(request.type)
        return stored.resources.get(request.id), stored.revision

    def stored(self, type_: bytes) -> StoredType:
        """Return the stored resources of a type, whose name is canonical JSON text."""
        return self._types.get(type_, _NOTHING)

    def replace(
        self, type_: str, resources: Mapping[bytes, bytes], *, on_progress: Callable[[int], None] = lambda _: None
    ) -> str:
        """Replace all resources of a type by these, by id in canonical text, and return the new revision."""
        prepared = prepare(resources)
        order = layout.order_of(prepared)
        for ids in prepared.postings.values():
            ids.sort(key=order)
        with self._lock:
            revision = next_revision(self._of(type_).revision)
            self._types[encode(type_)] = StoredType(revision, prepared)
        on_progress(len(prepared))
        return revision

    def difference(self, type_: str, prepared: PreparedResources, most: int | None) -> StoreDifference | None:
        """Return the difference between the stored resources and the prepared ones.

        None if nothing was pushed yet, or if there is a `most` and the difference is larger.
        """
        stored = self._of(type_)
        if stored.revision is None:
            return None
        before = stored.resources
        upserts = {id_: text for id_, text in prepared.items() if before.get(id_) != text}
        removals = [id_ for id_ in before if id_ not in prepared]
        if most is not None and len(upserts) + len(removals) > most:
            return None
        return StoreDifference(upserts, removals, sum(id_ not in before for id_ in upserts), len(before))

    def change(self, type_: str, upserts: Mapping[bytes, bytes], removals: Iterable[bytes]) -> ChangeReport:
        """Store some resources and remove others, at once.

        Args:
            type_: The resource type.
            upserts: Resources by id, both in canonical JSON text.
            removals: Ids in canonical JSON text.

        Raises:
            ResourcesMissingError: Nothing was ever pushed.
        """
        prepared = prepare(upserts)
        with self._lock:
            before = self._of(type_)
            if before.revision is None:
                raise ResourcesMissingError(
                    f"there are no pushed resources of `{type_}`: push all of them before you change some"
                )
            dropped = [id_ for id_ in removals if id_ not in prepared]
            report = ChangeReport.of(before.resources, prepared, dropped, before.revision)
            if not report.added and not report.changed and not report.removed:
                return report
            revision = next_revision(before.revision)
            self._types[encode(type_)] = before.changed(revision, prepared, dropped)
        return replace(report, revision=revision)

    def _of(self, type_: str) -> StoredType:
        try:
            return self._types[encode(type_)]
        except KeyError:
            types = ", ".join(shown(str(parse(name))) for name in self._types)
            raise UsageError(f"`{shown(type_)}` is not one of the resource types: {types}") from None
