"""Resources in an OPA's data, below the data root, as `layout` says."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from bridge.errors import (
    BadAnswer,
    EngineFault,
    Misuse,
    OpaRefused,
    PushOvertaken,
    PushRefused,
    ResourcesLost,
    ResourcesStale,
)
from bridge.resources import layout
from bridge.resources.change import Change, FirstsMissing
from bridge.resources.generation import parts
from bridge.resources.patch import Patch, add, remove
from bridge.resources.prepared import prepare
from bridge.resources.recount import Recount
from bridge.resources.state import Current, Mark, State, current, first_state
from bridge.resources.store import Difference, next_revision
from bridge.strict_json import ABSENT, encode, sorted_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from bridge.opa import OpaClient
    from bridge.resources.prepared import Prepared
    from bridge.resources.store import Changed
    from bridge.strict_json import Absent, Value

# What a large body may take longer than the deadline that is meant for a query.
_BYTES_A_SECOND: Final = 2_000_000
_LISTING_SECONDS: Final = 60.0
_TRIES: Final = 5
_MOST_OPERATIONS: Final = 1_000
_SAMPLE: Final = 4
_WORTH_A_LOOK: Final = 1_000_000
_MEMORY_A_BYTE: Final = 16
_LOG: Final = logging.getLogger("bridge")
_BEAT: Final = 1.0
_POLL: Final = 0.05


@dataclass(frozen=True, slots=True)
class Counted:
    """What a recount has found.

    Attributes:
        findings: What is not as it should be, a sentence each.
        resources: How many resources were read.
        revision: Their revision.
    """

    findings: tuple[str, ...]
    resources: int
    revision: str


class OpaStore:
    """Keeps the resources of each type in generations, one of which is current.

    Args:
        opa: The server.
        root: The data root, as names.
        types: The resource types.
        held: Asks the installed rules what they are told by `held`, for `change`; without it, nothing can be changed
            but as a whole.
    """

    def __init__(
        self,
        opa: OpaClient,
        root: tuple[str, ...],
        types: Sequence[str],
        held: Callable[[bytes], dict[str, Value]] | None = None,
    ) -> None:
        self._opa = opa
        self._root = root
        self._types = frozenset(types)
        self._held = held
        self._revisions: dict[str, str] = {}

    def ids(self, type_: str) -> frozenset[bytes]:
        """The ids that are stored for a type, as canonical JSON text.

        Raises:
            EngineFault: OPA cannot be reached, or refuses, or what it has is no such document.
        """
        path = self._path(type_)
        found: Value | Absent = ABSENT
        for _ in range(_TRIES):
            state = self.look(type_)
            if state is None or state.current is None:
                return frozenset()
            found = self._opa.get_data(
                (*path, "generations", state.current.generation, "large", layout.ALL, "pages"),
                deadline=self._opa.deadline + _LISTING_SECONDS,
            )
            if found is not ABSENT:  # or another generation has become current in between
                break
        if not isinstance(found, list) or not all(isinstance(page, list) for page in found):
            raise BadAnswer(f"what OPA has as the ids of `{type_}` are no pages")
        return frozenset(encode(id_) for page in found if isinstance(page, list) for id_ in page)

    def resources(self, type_: str) -> Iterator[dict[str, Value]]:
        """The resources that are stored for a type, by id, shard by shard.

        Raises:
            EngineFault: OPA cannot be reached, or refuses, or what it has is no such document.
        """
        state = self.look(type_)
        if state is None or state.current is None:
            return
        for shard in layout.SHARDS:
            yield self._shard((*self._path(type_), "generations", state.current.generation, "resources", shard))

    def look(self, type_: str) -> State | None:
        """The state of a type; None where nothing was ever pushed.

        Raises:
            LayoutDiffers: It is of a later layout.
            EngineFault: OPA cannot be reached, or refuses, or what it has is no such document.
        """
        found = self._opa.get_data((*self._path(type_), "state"))
        return None if found is ABSENT else State.read(type_, found)

    def replace(
        self, type_: str, resources: Mapping[bytes, bytes], *, told: Callable[[int], None] = lambda _: None
    ) -> str:
        """Store these, resources by id in canonical text, in place of all of a type, at once; gives the revision.

        Readers see all of the old state until they see all of the new one. What pushes that never ended have left is
        removed.

        Args:
            type_: The resource type.
            resources: Resources by id, both in canonical JSON text.
            told: Told how many more resources have been sent.

        Raises:
            PushOvertaken: Another push came in between; nothing has changed.
            ResourcesLost: OPA was restarted meanwhile.
            EngineFault: OPA cannot be reached, or refuses.
        """
        prepared = prepare(resources)
        self._warn_of_memory(type_, prepared)
        state, mark = self._begin(type_)
        return self._push(type_, state, mark, prepared, told)

    def _warn_of_memory(self, type_: str, prepared: Prepared) -> None:
        """Say so where the resources will not fit beside what is there, as far as that can be known."""
        size = sum(map(len, prepared.values()))
        if size < _WORTH_A_LOOK:
            return
        with suppress(EngineFault):
            memory = self._opa.memory()
            if memory is not None and memory.limit is not None and memory.used + size * _MEMORY_A_BYTE > memory.limit:
                _LOG.warning(
                    "pushing `%s` takes about %s MB of memory in OPA, which uses %s MB of the %s MB that it may "
                    "(GOMEMLIMIT): it may become slow, or be killed",
                    type_,
                    *(f"{bytes_ // 1_000_000:,}" for bytes_ in (size * _MEMORY_A_BYTE, memory.used, memory.limit)),
                )

    def restore(self, type_: str, collect: Callable[[], Mapping[bytes, bytes]], *, patience: float) -> None:
        """Push resources where there are none, unless somebody else is about to: then wait for that.

        Args:
            type_: The resource type.
            collect: Gives the resources, by id in canonical text; asked by the one who pushes.
            patience: How many seconds another's push may give no sign of life before this one takes its place.

        Raises:
            EngineFault: OPA cannot be reached, or refuses.
        """
        path = self._path(type_)
        seen: object = None
        since = 0.0
        while True:
            state = self.look(type_)
            if state is None:
                mark = Mark.new()
                if not self._opa.create_data(path, first_state(mark)):
                    if self.look(type_) is None:
                        self._opa.delete_data(path)  # it is none of a bridge's
                    continue
                state = self.look(type_)
                if state is None or mark.name not in state.marks:
                    continue
            elif state.current is not None:
                return
            else:
                if state.beats != seen:
                    seen, since = state.beats, time.monotonic()
                if state.marks and time.monotonic() - since < patience:
                    time.sleep(_POLL)
                    continue
                state, mark = self._begin(type_)
            try:
                with self._beating(path, mark):
                    resources = prepare(collect())
                self._push(type_, state, mark, resources, lambda _: None)
            except PushOvertaken:
                continue
            return

    def _push(self, type_: str, state: State, mark: Mark, prepared: Prepared, told: Callable[[int], None]) -> str:
        """Fill the generation of a push that has begun, and make it current."""
        path = self._path(type_)
        try:
            for number, part in enumerate(parts(prepared), 1):
                beat = add("state", "marks", mark.name, "beats", value=b"%d" % -number)
                self._send(path, Patch([beat, *part.patch.below("generations", mark.generation)]))
                told(part.resources)
            return self._swap(type_, state, mark, len(prepared))
        except BaseException as error:
            self._abandon(path, mark)
            if isinstance(error, OpaRefused) and error.status == HTTPStatus.NOT_FOUND:
                raise self._lost(type_, state) from None
            raise

    @contextmanager
    def _beating(self, path: tuple[str, ...], mark: Mark) -> Iterator[None]:
        """Say that the push is alive, while its resources are collected; and give up its place where that fails."""
        done = threading.Event()

        def beat() -> None:
            number = 0
            while not done.wait(_BEAT):
                number += 1
                with suppress(EngineFault):  # the push will find out by itself
                    self._send(path, Patch([add("state", "marks", mark.name, "beats", value=b"%d" % number)]))

        thread = threading.Thread(target=beat, daemon=True, name="push-beat")
        thread.start()
        try:
            yield
        except BaseException:
            self._abandon(path, mark)
            raise
        finally:
            done.set()
            thread.join()

    def change(self, type_: str, upserts: Mapping[bytes, bytes], removals: Iterable[bytes]) -> Changed:
        """Store some resources, and remove others, in one patch with all that the index has of them.

        Args:
            type_: The resource type.
            upserts: Resources by id, both in canonical JSON text.
            removals: Ids in canonical JSON text; one that is upserted as well stays.

        Raises:
            ResourcesLost: Nothing was ever pushed, or OPA was restarted: what is left is no whole.
            PushRefused: It would take more operations than OPA does in good time; nothing has changed.
            PushOvertaken: Others changed the resources each time in between; nothing of this has.
            RulesNotInstalled: The rules, which know what is there, are not installed.
            EngineFault: OPA cannot be reached, or refuses.
        """
        path = self._path(type_)
        prepared = prepare(upserts)
        change = Change(prepared, [id_ for id_ in dict.fromkeys(removals) if id_ not in prepared])
        for _ in range(_TRIES):
            about, view = self._view(type_, change.question(type_))
            worked_out = self._worked_out(path, about, view, change)
            if worked_out is None:
                continue
            patch, changed, more = worked_out
            if not patch:
                return replace(changed, revision=about.revision)
            if len(patch) > _MOST_OPERATIONS:
                raise PushRefused(
                    f"nothing was changed: {len(prepared) + len(change.removals):,} resources at once take "
                    f"{len(patch):,} operations, more than {_MOST_OPERATIONS:,}; change fewer at once, or sync"
                )
            revision = self._next(type_, about.revision)
            head = [
                remove("state", "revisions", f"r{about.revision}"),
                add("state", "revisions", f"r{revision}", value=b"true"),
                add(
                    "state",
                    "current",
                    value=current(revision, about.generation, about.store, about.count + more),
                ),
            ]
            try:
                self._send(path, Patch(head + patch.below("generations", about.generation)))
            except OpaRefused as refused:
                if refused.status != HTTPStatus.NOT_FOUND:
                    raise
                continue  # somebody else came first: look again
            except EngineFault:
                if not self._is_current(type_, revision, about.generation):
                    raise
            self._revisions[type_] = revision
            return replace(changed, revision=revision)
        raise PushOvertaken(f"others changed `{type_}` {_TRIES} times in between: nothing was changed")

    def difference(self, type_: str, prepared: Prepared, most: int) -> Difference | None:
        """What differs between what is stored and what should be, read no further than where the digests differ.

        None where nothing was pushed yet, or where it is certainly or very likely more than `most`.

        Raises:
            EngineFault: OPA cannot be reached, or refuses, or what it has is no such document.
        """
        state = self.look(type_)
        if state is None or state.current is None:
            return None
        wanted: dict[str, dict[bytes, bytes]] = {shard: {} for shard in layout.SHARDS}
        for id_, text in prepared.items():
            wanted[layout.place(id_)[0]][id_] = text
        path = (*self._path(type_), "generations", state.current.generation)
        digests = self._opa.get_data((*path, "digests"))
        if not isinstance(digests, dict):
            raise BadAnswer(f"what OPA has as the digests of `{type_}` is no object")
        differing = [
            shard for shard in layout.SHARDS if digests.get(shard) != layout.shard_digest(wanted[shard].values())
        ]
        upserts: dict[bytes, bytes] = {}
        removals: list[bytes] = []
        added = 0
        for number, shard in enumerate(differing, 1):
            there = {encode(id_): sorted_text(value) for id_, value in self._shard((*path, "resources", shard)).items()}
            some = {id_: text for id_, text in wanted[shard].items() if there.get(id_) != text}
            upserts |= some
            added += sum(id_ not in there for id_ in some)
            removals += [id_ for id_ in there if id_ not in wanted[shard]]
            so_far = len(upserts) + len(removals)
            if so_far > most or (number >= _SAMPLE and so_far * len(differing) > 2 * most * number):
                return None
        return Difference(upserts, removals, added, state.current.count)

    def recount(self, type_: str, *, told: Callable[[int], None] = lambda _: None) -> Counted:
        """Count all anew that was derived from the resources of a type: digests, index, their number.

        Args:
            type_: The resource type.
            told: Told how many more resources have been read.

        Raises:
            ResourcesLost: Nothing was ever pushed, or it is there no more.
            ResourcesStale: The resources have changed meanwhile; count again.
            EngineFault: OPA cannot be reached, or refuses, or what it has is no such document.
        """
        state = self.look(type_)
        if state is None or state.current is None:
            raise ResourcesLost(f"OPA has no pushed resources of `{type_}`")
        path = (*self._path(type_), "generations", state.current.generation)
        findings = [f"a push that never ended has left the generation `{name}`" for name in state.marks.values()]
        count = Recount({})
        try:
            count = Recount(self._document((*path, "digests")))
            for shard in layout.SHARDS:
                before = count.resources
                findings += count.shard(shard, self._document((*path, "resources", shard)))
                told(count.resources - before)
            findings += count.index(self._document((*path, "postings")), self._document((*path, "large")))
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            findings.append(f"what is stored has not the form of this layout: {type(error).__name__} {error}")
        else:
            if count.resources != state.current.count:
                findings.append(f"there are {count.resources:,} resources, and not {state.current.count:,} as is said")
        after = self.look(type_)
        if after is None or after.revision != state.revision:
            raise ResourcesStale(f"`{type_}` changed while it was counted: count again")
        return Counted(tuple(findings), count.resources, state.current.revision)

    def _document(self, path: tuple[str, ...]) -> dict[str, Value]:
        found = self._opa.get_data(path, deadline=self._opa.deadline + _LISTING_SECONDS)
        if not isinstance(found, dict):
            raise TypeError(f"{path[-1]} is no object")
        return found

    def _shard(self, path: tuple[str, ...]) -> dict[str, Value]:
        found = self._opa.get_data(path, deadline=self._opa.deadline + _LISTING_SECONDS)
        if not isinstance(found, dict) or not all(isinstance(bucket, dict) for bucket in found.values()):
            raise BadAnswer(f"what OPA has as the shard `{path[-1]}` is no object of objects")
        return {id_: value for bucket in found.values() if isinstance(bucket, dict) for id_, value in bucket.items()}

    def _view(self, type_: str, question: bytes) -> tuple[Current, Value]:
        if self._held is None:
            raise Misuse("a store without rules cannot be changed but as a whole")
        found = self._held(question)
        about = found["current"]
        known = about.get(type_) if isinstance(about, dict) else None
        if not isinstance(known, dict) or "revision" not in known:
            self.look(type_)  # it may be of a later layout
            raise ResourcesLost(f"OPA has no pushed resources of `{type_}`: push all of them, before some can change")
        return Current.read(known), found.get("view")

    def _worked_out(
        self, path: tuple[str, ...], about: Current, view: Value, change: Change
    ) -> tuple[Patch, Changed, int] | None:
        """What `change.patch` gives; None where its generation is there no more."""
        try:
            return change.patch(view, {})
        except FirstsMissing as missing:
            firsts = {}
            for name in missing.names:
                found = self._opa.get_data((*path, "generations", about.generation, "large", name, "firsts"))
                if found is ABSENT:
                    return None
                if not isinstance(found, list) or not all(isinstance(block, list) for block in found):
                    raise BadAnswer("what OPA has as the first ids of pages are no arrays of them") from None
                firsts[name] = [encode(id_) for block in found if isinstance(block, list) for id_ in block]
            return change.patch(view, firsts)

    def _next(self, type_: str, current_: str | None) -> str:
        last = max(filter(None, (current_, self._revisions.get(type_))), key=int, default=None)
        return next_revision(last)

    def _begin(self, type_: str) -> tuple[State, Mark]:
        """Mark that a push has begun, make its generation, and remove what others have left."""
        path = self._path(type_)
        for _ in range(_TRIES):
            state = self.look(type_)
            if state is None:
                self._create(type_)
                continue
            mark = Mark.new()
            patch = Patch()
            for name, generation in state.marks.items():
                patch += [remove("state", "marks", name), remove("generations", generation)]
            patch += [
                add("state", "marks", mark.name, value=mark.document()),
                add("generations", mark.generation, value=layout.empty_generation()),
            ]
            try:
                self._send(path, patch)
            except OpaRefused as refused:
                if refused.status != HTTPStatus.NOT_FOUND:
                    raise
                continue  # another push came first: look again
            if state.marks:
                _LOG.warning("removed what %d pushes of `%s` that never ended had left", len(state.marks), type_)
            return state, mark
        raise PushOvertaken(f"other pushes of `{type_}` came first, {_TRIES} times in a row: nothing was pushed")

    def _create(self, type_: str) -> None:
        """Make the type's document, in place of anything that is none."""
        path = self._path(type_)
        if not self._opa.create_data(path, first_state()) and self.look(type_) is None:
            self._opa.delete_data(path)

    def _swap(self, type_: str, state: State, mark: Mark, count: int) -> str:
        """Make the generation current.

        Of all that OPA knows, only a `remove` of what is not there makes a patch fail: so the mark and the revision
        that the push began with are removed first.
        """
        path = self._path(type_)
        revision = self._next(type_, state.revision)
        patch = Patch(
            [
                remove("state", "marks", mark.name),
                remove("state", "revisions", state.revision_name),
                add("state", "revisions", f"r{revision}", value=b"true"),
                add("state", "current", value=current(revision, mark.generation, state.store, count)),
            ]
        )
        if state.current is not None:
            patch += [remove("generations", state.current.generation)]
        try:
            self._send(path, patch)
        except EngineFault as fault:
            if isinstance(fault, OpaRefused) or not self._is_current(type_, revision, mark.generation):
                raise
        self._revisions[type_] = revision
        return revision

    def _is_current(self, type_: str, revision: str, generation: str) -> bool:
        """Whether what was sent took place, though its answer never came; others may have made that revision too."""
        try:
            state = self.look(type_)
        except EngineFault:
            return False
        found = None if state is None else state.current
        return found is not None and (found.revision, found.generation) == (revision, generation)

    def _abandon(self, path: tuple[str, ...], mark: Mark) -> None:
        """Take away what the push has left, as far as that can be done; the next push does otherwise."""
        with suppress(EngineFault):
            self._send(path, Patch([remove("state", "marks", mark.name), remove("generations", mark.generation)]))

    def _lost(self, type_: str, before: State) -> EngineFault:
        """Why a patch of a push did not find what it changes."""
        state = self.look(type_)
        if state is None or state.store != before.store:
            return ResourcesLost(
                f"OPA lost the resources of `{type_}` during the push: it was restarted, or somebody removed them"
            )
        return PushOvertaken(f"another push of `{type_}` came in between: nothing of this one was kept")

    def _send(self, path: tuple[str, ...], patch: Patch) -> None:
        body = patch.body()
        self._opa.patch_data(path, body, deadline=self._opa.deadline + len(body) / _BYTES_A_SECOND)

    def _path(self, type_: str) -> tuple[str, ...]:
        if type_ not in self._types:
            raise Misuse(f"`{type_}` is not one of the resource types")
        return (*self._root, type_)
