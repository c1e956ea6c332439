"""Pushes to an OPA: a generation is filled part by part, and becomes current by one patch.

See docs/decisions/resources-in-generations.md.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from bridge.errors import EngineFault, OpaRefused, PushOvertaken, ResourcesLost
from bridge.resources import layout
from bridge.resources.generation import parts
from bridge.resources.one_store import written_elsewhere
from bridge.resources.patch import Patch, add, remove
from bridge.resources.prepared import prepare
from bridge.resources.state import Mark, State, current, first_state, foreign
from bridge.strict_json import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bridge.opa.limited import Limits
    from bridge.resources.opa_documents import Documents
    from bridge.resources.prepared import Prepared

_TRIES: Final = 5
_WORTH_A_LOOK: Final = 1_000_000
_MEMORY_A_BYTE: Final = 16
_BEAT: Final = 1.0
_POLL: Final = 0.05
_MOST_POLL: Final = 0.5
_LOG: Final = logging.getLogger("bridge")


class Pushes:
    """Pushes whole states of a type.

    Args:
        documents: Where to.
    """

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def push(self, type_: str, resources: Mapping[bytes, bytes], told: Callable[[int], None]) -> str:
        """As `OpaStore.replace`."""
        prepared = prepare(resources)
        self._warn_of_memory(type_, prepared)
        state, mark = self._begin(type_)
        return self._push(type_, state, mark, prepared, told)

    def restore(
        self, type_: str, collect: Callable[[], Mapping[bytes, bytes]], *, patience: float, limits: Limits
    ) -> None:
        """As `OpaStore.restore`."""
        path = self._documents.path(type_)
        overtaken = None
        tried: list[State | None] = []
        for number in range(_TRIES):
            limits.pause(_POLL * 2**number if number else 0.0)
            state = self._without_others(type_, patience, limits)
            tried.append(state)
            if state is None:
                mark: Mark | None = (new := Mark.new())
                state = self._first(type_, new)
            elif not self._is_one(type_):
                continue  # it was restarted just then
            elif state.current is not None:
                return  # it is back, and on one OPA alone
            else:
                mark = self._take(type_, state)
            if state is None or mark is None:
                continue  # somebody else came first, or OPA has lost it again
            try:
                self._require_mark(type_, state, mark)
                with self._beating(path, mark, limits):
                    resources = prepare(collect())
                self._push(type_, state, mark, resources, lambda _: None)
            except PushOvertaken as error:
                overtaken = error
            else:
                return
        if any(tried):
            _refuse_standstill(type_, tried)
        raise overtaken or self._unseen(type_)

    def _without_others(self, type_: str, patience: float, limits: Limits) -> State | None:
        """The state of a type, once no push of others is under way that gives a sign of life."""
        seen: object = None
        since = pause = 0.0
        while True:
            state = self._documents.look(type_)
            if state is None or state.current is not None or not state.marks:
                return state
            if state.beats != seen:
                seen, since = state.beats, limits.clock()
                self._is_one(type_)  # or two OPAs in turn would look as if a push went on
            elif limits.clock() - since >= patience:
                return state
            if limits.is_over:
                raise limits.fault()
            pause = min(2 * pause or _POLL, _MOST_POLL, patience / 10)
            limits.pause(pause)

    def _unseen(self, type_: str) -> EngineFault:
        """Why nothing that was written could be read, time and again."""
        path = self._documents.path(type_)
        if not self._documents.opa.create_data(path, first_state()) and self._documents.get(path) is ABSENT:
            return written_elsewhere(type_)
        return ResourcesLost(
            f"OPA loses what is written to `{type_}` at once, {_TRIES} times in a row: see why it restarts, who "
            "removes it, or whether several OPAs answer at this address"
        )

    def _begin(self, type_: str) -> tuple[State, Mark]:
        """Mark that a push has begun, make its generation, and remove what others have left."""
        tried: list[State | None] = []
        for _ in range(_TRIES):
            state = self._documents.agreed(type_)
            tried.append(state)
            if state is None:
                self._create(type_)
            elif (mark := self._take(type_, state)) is not None:
                self._require_mark(type_, state, mark)
                return state, mark
        _refuse_standstill(type_, tried)
        raise PushOvertaken(f"other pushes of `{type_}` came first, {_TRIES} times in a row: nothing was pushed")

    def _take(self, type_: str, state: State) -> Mark | None:
        """Put the mark of a new push in place of all that are there; None where another push came first."""
        mark = Mark.new()
        patch = Patch()
        for name, generation in state.marks.items():
            patch += [remove("state", "marks", name), remove("generations", generation)]
        patch += [
            add("state", "marks", mark.name, value=mark.document()),
            add("generations", mark.generation, value=layout.empty_generation()),
        ]
        try:
            self._documents.send(self._documents.path(type_), patch)
        except OpaRefused as refused:
            if refused.status != HTTPStatus.NOT_FOUND:
                raise
            return None
        if state.marks:
            _LOG.warning("removed what %d pushes of `%s` that never ended had left", len(state.marks), type_)
        return mark

    def _first(self, type_: str, mark: Mark) -> State | None:
        """The state of a type whose document was made with the mark of its first push; None where it was not."""
        if not self._is_one(type_):
            return None
        if not self._documents.create(type_, first_state(mark)):
            self._refuse_foreign(type_)
            return None
        state = self._documents.look(type_, fresh=True)
        return None if state is None or mark.name not in state.marks else state

    def _is_one(self, type_: str) -> bool:
        """Whether new connections find one OPA; not where it is restarted just then.

        Raises:
            SeveralStores: They find several.
        """
        try:
            self._documents.operation().agreed(type_)
        except ResourcesLost:
            return False
        return True

    def _require_mark(self, type_: str, before: State, mark: Mark) -> None:
        """Make sure that the mark of a push is read where it was written.

        Raises:
            SeveralStores: It is not.
            PushOvertaken: Another push has removed it already.
            ResourcesLost: OPA was restarted.
        """
        now = self._same_store(type_, before)
        if mark.name in now.marks:
            return
        self._abandon(self._documents.path(type_), mark)
        if now.revision_name == before.revision_name and now.marks == before.marks:
            raise written_elsewhere(type_)  # nobody else has done anything
        raise _overtaken(type_)

    def _create(self, type_: str) -> None:
        """Make the type's document, unless somebody else has made it meanwhile."""
        self._documents.refuse_rules(type_)
        if self._documents.create(type_, first_state()):
            self._documents.one_store.made(type_)
        else:
            self._refuse_foreign(type_)

    def _refuse_foreign(self, type_: str) -> None:
        """Raise where a document stands in the way that no bridge wrote, and is there for who reads, too."""
        path = self._documents.path(type_)
        # Between two looks another bridge may have made it, or taken it away: then it is the caller's turn again.
        for _ in range(2):
            if self._documents.look(type_, fresh=True) is not None or self._documents.opa.get_data_text(path) is ABSENT:
                return
        raise foreign(path)

    def _push(self, type_: str, state: State, mark: Mark, prepared: Prepared, told: Callable[[int], None]) -> str:
        """Fill the generation of a push that has begun, and make it current."""
        path = self._documents.path(type_)
        try:
            for number, part in enumerate(parts(prepared), 1):
                beat = add("state", "marks", mark.name, "beats", value=b"%d" % -number)
                self._documents.send(path, Patch([beat, *part.patch.below("generations", mark.generation)]))
                told(part.resources)
            return self._swap(type_, state, mark, len(prepared))
        except BaseException as error:
            was_there = self._abandon(path, mark)
            if isinstance(error, OpaRefused) and error.status == HTTPStatus.NOT_FOUND:
                raise self._lost(type_, state, is_written=was_there) from None
            raise

    def _swap(self, type_: str, state: State, mark: Mark, count: int) -> str:
        """Make the generation current.

        Of all that OPA knows, only a `remove` of what is not there makes a patch fail: so the mark and the revision
        that the push began with are removed first.
        """
        path = self._documents.path(type_)
        revision = self._documents.next_revision(type_, state.revision)
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
            self._documents.send(path, patch)
        except EngineFault as fault:
            if isinstance(fault, OpaRefused) or not self._documents.is_current(type_, revision, mark.generation):
                raise
        self._documents.note(type_, revision)
        return revision

    def _abandon(self, path: tuple[str, ...], mark: Mark) -> bool:
        """Take away what the push has left, as far as that can be done; the next push does otherwise.

        Gives whether it was there.
        """
        try:
            self._documents.send(
                path, Patch([remove("state", "marks", mark.name), remove("generations", mark.generation)])
            )
        except EngineFault:
            return False
        return True

    def _lost(self, type_: str, before: State, *, is_written: bool) -> EngineFault:
        """Why a patch of a push did not find what it changes.

        Args:
            type_: The resource type.
            before: The state that the push began with.
            is_written: The mark of the push was there for who writes.

        Raises:
            EngineFault: Another OPA answers, or none.
        """
        state = self._same_store(type_, before)
        if is_written and state.revision_name == before.revision_name:
            return written_elsewhere(type_)
        return _overtaken(type_)

    def _same_store(self, type_: str, before: State) -> State:
        """The state of the store that the push began with, as a new connection finds it.

        Raises:
            SeveralStores: Another OPA answers as well.
            ResourcesLost: The store is there no more.
        """
        here = self._documents.operation()
        here.one_store.saw(type_, before.store)
        state = here.look(type_, fresh=True)
        assert state is not None  # or `look` has raised
        return state

    @contextmanager
    def _beating(self, path: tuple[str, ...], mark: Mark, limits: Limits) -> Iterator[None]:
        """Say that the push is alive, while its resources are collected; and give up its place where that fails.

        Beyond its limits it is not alive: others need not wait for a source that never returns.
        """
        done = threading.Event()

        def beat() -> None:
            number = 0
            while not done.wait(_BEAT) and not limits.is_over:
                number += 1
                with suppress(EngineFault):  # the push will find out by itself
                    self._documents.send(path, Patch([add("state", "marks", mark.name, "beats", value=b"%d" % number)]))

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

    def _warn_of_memory(self, type_: str, prepared: Prepared) -> None:
        """Say so where the resources will not fit beside what is there, as far as that can be known."""
        size = sum(map(len, prepared.values()))
        if size < _WORTH_A_LOOK:
            return
        with suppress(EngineFault):
            memory = self._documents.opa.memory()
            if memory is not None and memory.limit is not None and memory.used + size * _MEMORY_A_BYTE > memory.limit:
                _LOG.warning(
                    "pushing `%s` takes about %s MB of memory in OPA, which uses %s MB of the %s MB that it may "
                    "(GOMEMLIMIT): it may become slow, or be killed",
                    type_,
                    *(f"{bytes_ // 1_000_000:,}" for bytes_ in (size * _MEMORY_A_BYTE, memory.used, memory.limit)),
                )


def _refuse_standstill(type_: str, tried: Sequence[State | None]) -> None:
    """Refuse to go on where writes are in vain, though what is read is as it was before them.

    Raises:
        SeveralStores: It is, after several tries: another OPA is written to.
    """
    seen = [None if state is None else (state.revision_name, state.marks) for state in tried]
    if all(state == seen[0] for state in seen):
        raise written_elsewhere(type_)


def _overtaken(type_: str) -> PushOvertaken:
    return PushOvertaken(f"another push of `{type_}` came in between: nothing of this one was kept")
