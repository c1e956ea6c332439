"""Pushes to an OPA: a generation is filled part by part, and becomes current by one patch.

See docs/decisions/resources-in-generations.md.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from bridge.errors import EngineFault, OpaRefused, PushOvertaken, ResourcesLost
from bridge.resources import layout
from bridge.resources.generation import parts
from bridge.resources.patch import Patch, add, remove
from bridge.resources.prepared import prepare
from bridge.resources.state import Mark, State, current, first_state, foreign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bridge.resources.opa_documents import Documents
    from bridge.resources.prepared import Prepared

_TRIES: Final = 5
_WORTH_A_LOOK: Final = 1_000_000
_MEMORY_A_BYTE: Final = 16
_BEAT: Final = 1.0
_POLL: Final = 0.05
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

    def restore(self, type_: str, collect: Callable[[], Mapping[bytes, bytes]], *, patience: float) -> None:
        """As `OpaStore.restore`."""
        path = self._documents.path(type_)
        seen: object = None
        since = 0.0
        while True:
            state = self._documents.look(type_)
            if state is None:
                mark = Mark.new()
                if not self._documents.opa.create_data(path, first_state(mark)):
                    self._refuse_foreign(type_)
                    continue
                state = self._documents.look(type_)
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
                taken = self._take(type_, state)
                if taken is None:
                    continue
                mark = taken
            try:
                with self._beating(path, mark):
                    resources = prepare(collect())
                self._push(type_, state, mark, resources, lambda _: None)
            except PushOvertaken:
                continue
            return

    def _begin(self, type_: str) -> tuple[State, Mark]:
        """Mark that a push has begun, make its generation, and remove what others have left."""
        for _ in range(_TRIES):
            state = self._documents.look(type_)
            if state is None:
                self._create(type_)
            elif (mark := self._take(type_, state)) is not None:
                return state, mark
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

    def _create(self, type_: str) -> None:
        """Make the type's document, unless somebody else has made it meanwhile."""
        if not self._documents.opa.create_data(self._documents.path(type_), first_state()):
            self._refuse_foreign(type_)

    def _refuse_foreign(self, type_: str) -> None:
        """Raise where a document stands in the way that no bridge wrote."""
        path = self._documents.path(type_)
        # Between two looks another bridge may have made it, or taken it away: then it is the caller's turn again.
        for _ in range(2):
            if self._documents.look(type_) is not None or self._documents.opa.create_data(path, first_state()):
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
            self._abandon(path, mark)
            if isinstance(error, OpaRefused) and error.status == HTTPStatus.NOT_FOUND:
                raise self._lost(type_, state) from None
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

    def _abandon(self, path: tuple[str, ...], mark: Mark) -> None:
        """Take away what the push has left, as far as that can be done; the next push does otherwise."""
        with suppress(EngineFault):
            self._documents.send(
                path, Patch([remove("state", "marks", mark.name), remove("generations", mark.generation)])
            )

    def _lost(self, type_: str, before: State) -> EngineFault:
        """Why a patch of a push did not find what it changes."""
        state = self._documents.look(type_)
        if state is None or state.store != before.store:
            return ResourcesLost(
                f"OPA lost the resources of `{type_}` during the push: it was restarted, or somebody removed them"
            )
        return PushOvertaken(f"another push of `{type_}` came in between: nothing of this one was kept")

    @contextmanager
    def _beating(self, path: tuple[str, ...], mark: Mark) -> Iterator[None]:
        """Say that the push is alive, while its resources are collected; and give up its place where that fails."""
        done = threading.Event()

        def beat() -> None:
            number = 0
            while not done.wait(_BEAT):
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
