"""Pushes to an OPA: a generation is filled part by part, and becomes current by one patch.

See docs/decisions/resources-in-generations.md.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager, suppress
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, Final

from bridge.errors import EngineError, OpaStatusError, PushConflictError, ResourcesMissingError
from bridge.opa import is_too_large
from bridge.store import layout
from bridge.store.generation import parts
from bridge.store.json_patch import Patch, add, remove
from bridge.store.opa_documents import too_large
from bridge.store.prepared import prepare
from bridge.store.single_store import written_elsewhere
from bridge.store.state import Lease, TypeState, current, first_state, foreign
from bridge.strict_json import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bridge.opa.limited import Limits
    from bridge.store.opa_documents import Documents
    from bridge.store.prepared import PreparedResources

_TRIES: Final = 5
_WORTH_A_LOOK: Final = 1_000_000
_MEMORY_A_BYTE: Final = 16
_HEARTBEAT_SECONDS: Final = 1.0
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

    def push(self, type_: str, resources: Mapping[bytes, bytes], on_progress: Callable[[int], None]) -> str:
        """As `OpaStore.replace`."""
        prepared = prepare(resources)
        self._warn_of_memory(type_, prepared)
        state, lease = self._begin(type_)
        return self._push(type_, state, lease, prepared, on_progress)

    def restore(
        self, type_: str, collect: Callable[[], Mapping[bytes, bytes]], *, patience: float, limits: Limits
    ) -> None:
        """As `OpaStore.restore`."""
        path = self._documents.path(type_)
        overtaken = None
        tried: list[TypeState | None] = []
        for number in range(_TRIES):
            limits.pause(_POLL * 2**number if number else 0.0)
            state = self._without_others(type_, patience, limits)
            tried.append(state)
            if state is None:
                lease: Lease | None = (new := Lease.new())
                state = self._first(type_, new)
            elif not self._is_one(type_):
                continue  # it was restarted just then
            elif state.current is not None:
                return  # it is back, and on one OPA alone
            else:
                lease = self._take(type_, state)
            if state is None or lease is None:
                continue  # somebody else came first, or OPA has lost it again
            try:
                self._require_lease(type_, state, lease)
                with self._heartbeat_thread(path, lease, limits):
                    resources = prepare(collect())
                self._push(type_, state, lease, resources, lambda _: None)
            except PushConflictError as error:
                overtaken = error
            else:
                return
        if any(tried):
            _refuse_standstill(type_, tried)
        raise overtaken or self._unseen(type_)

    def _without_others(self, type_: str, patience: float, limits: Limits) -> TypeState | None:
        """The state of a type, once no push of others is under way that gives a sign of life."""
        seen: object = None
        since = pause = 0.0
        while True:
            state = self._documents.look(type_)
            if state is None or state.current is not None or not state.leases:
                return state
            if state.heartbeats != seen:
                seen, since = state.heartbeats, limits.clock()
                self._is_one(type_)  # or two OPAs in turn would look as if a push went on
            elif limits.clock() - since >= patience:
                return state
            if limits.is_over:
                raise limits.fault()
            pause = min(2 * pause or _POLL, _MOST_POLL, patience / 10)
            limits.pause(pause)

    def _unseen(self, type_: str) -> EngineError:
        """Why nothing that was written could be read, time and again."""
        path = self._documents.path(type_)
        if not self._documents.opa.create_data(path, first_state()) and self._documents.get(path) is ABSENT:
            return written_elsewhere(type_)
        return ResourcesMissingError(
            f"OPA loses what is written to `{type_}` at once, {_TRIES} times in a row: see why it restarts, who "
            "removes it, or whether several OPAs answer at this address"
        )

    def _begin(self, type_: str) -> tuple[TypeState, Lease]:
        """Mark that a push has begun, make its generation, and remove what others have left."""
        tried: list[TypeState | None] = []
        for _ in range(_TRIES):
            state = self._documents.agreed(type_)
            tried.append(state)
            if state is None:
                self._create(type_)
            elif (lease := self._take(type_, state)) is not None:
                self._require_lease(type_, state, lease)
                return state, lease
        _refuse_standstill(type_, tried)
        raise PushConflictError(f"other pushes of `{type_}` came first, {_TRIES} times in a row: nothing was pushed")

    def _take(self, type_: str, state: TypeState) -> Lease | None:
        """Put the lease of a new push in place of all that are there; None where another push came first."""
        lease = Lease.new()
        patch = Patch()
        for name, generation in state.leases.items():
            patch += [remove("state", "leases", name), remove("generations", generation)]
        patch += [
            add("state", "leases", lease.name, value=lease.document()),
            add("generations", lease.generation, value=layout.empty_generation()),
        ]
        try:
            self._documents.send(self._documents.path(type_), patch)
        except OpaStatusError as refused:
            if refused.status != HTTPStatus.NOT_FOUND:
                raise
            return None
        if state.leases:
            _LOG.warning("removed what %d pushes of `%s` that never ended had left", len(state.leases), type_)
        return lease

    def _first(self, type_: str, lease: Lease) -> TypeState | None:
        """The state of a type whose document was made with the lease of its first push; None where it was not."""
        if not self._is_one(type_):
            return None
        if not self._documents.create(type_, first_state(lease)):
            self._refuse_foreign(type_)
            return None
        state = self._documents.look(type_, fresh=True)
        return None if state is None or lease.name not in state.leases else state

    def _is_one(self, type_: str) -> bool:
        """Whether new connections find one OPA; not where it is restarted just then.

        Raises:
            MultipleStoresError: They find several.
        """
        try:
            self._documents.operation().agreed(type_)
        except ResourcesMissingError:
            return False
        return True

    def _require_lease(self, type_: str, before: TypeState, lease: Lease) -> None:
        """Make sure that the lease of a push is read where it was written.

        Raises:
            MultipleStoresError: It is not.
            PushConflictError: Another push has removed it already.
            ResourcesMissingError: OPA was restarted.
        """
        now = self._same_store(type_, before)
        if lease.name in now.leases:
            return
        self._abandon(self._documents.path(type_), lease)
        if now.revision_name == before.revision_name and now.leases == before.leases:
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

    def _push(
        self,
        type_: str,
        state: TypeState,
        lease: Lease,
        prepared: PreparedResources,
        on_progress: Callable[[int], None],
    ) -> str:
        """Fill the generation of a push that has begun, and make it current."""
        path = self._documents.path(type_)
        try:
            heartbeats = count(1)
            for part in parts(prepared, self._documents.opa.max_body):
                self._send_part(path, lease, part.patch.below("generations", lease.generation), heartbeats)
                on_progress(part.resources)
            return self._swap(type_, state, lease, len(prepared))
        except BaseException as error:
            was_there = self._abandon(path, lease)
            if isinstance(error, OpaStatusError) and error.status == HTTPStatus.NOT_FOUND:
                raise self._lost(type_, state, is_written=was_there) from None
            raise

    def _send_part(self, path: tuple[str, ...], lease: Lease, part: Patch, heartbeats: Iterator[int]) -> None:
        """Send a part of a push; in halves where it is too large for OPA, or for what stands before it.

        Raises:
            PushRejectedError: One of its operations is too large by itself.
        """
        heartbeat = add("state", "leases", lease.name, "heartbeats", value=b"%d" % -next(heartbeats))
        try:
            self._documents.send(path, Patch([heartbeat, *part]))
        except OpaStatusError as refused:
            if not is_too_large(refused):
                raise
            if len(part) < 2:  # noqa: PLR2004 - there are no halves
                raise too_large("pushed", refused) from None
        else:
            return
        middle = len(part) // 2
        for half in (part[:middle], part[middle:]):
            self._send_part(path, lease, Patch(half), heartbeats)

    def _swap(self, type_: str, state: TypeState, lease: Lease, count: int) -> str:
        """Make the generation current.

        Of all that OPA knows, only a `remove` of what is not there makes a patch fail: so the lease and the revision
        that the push began with are removed first.
        """
        path = self._documents.path(type_)
        revision = self._documents.next_revision(type_, state.revision)
        patch = Patch(
            [
                remove("state", "leases", lease.name),
                remove("state", "revisions", state.revision_name),
                add("state", "revisions", f"r{revision}", value=b"true"),
                add("state", "current", value=current(revision, lease.generation, state.store, count)),
            ]
        )
        if state.current is not None:
            patch += [remove("generations", state.current.generation)]
        try:
            self._documents.send(path, patch)
        except EngineError as fault:
            if isinstance(fault, OpaStatusError) or not self._documents.is_current(type_, revision, lease.generation):
                raise
        self._documents.note(type_, revision)
        return revision

    def _abandon(self, path: tuple[str, ...], lease: Lease) -> bool:
        """Take away what the push has left, as far as that can be done; the next push does otherwise.

        Gives whether it was there.
        """
        try:
            self._documents.send(
                path, Patch([remove("state", "leases", lease.name), remove("generations", lease.generation)])
            )
        except EngineError:
            return False
        return True

    def _lost(self, type_: str, before: TypeState, *, is_written: bool) -> EngineError:
        """Why a patch of a push did not find what it changes.

        Args:
            type_: The resource type.
            before: The state that the push began with.
            is_written: The lease of the push was there for who writes.

        Raises:
            EngineError: Another OPA answers, or none.
        """
        state = self._same_store(type_, before)
        if is_written and state.revision_name == before.revision_name:
            return written_elsewhere(type_)
        return _overtaken(type_)

    def _same_store(self, type_: str, before: TypeState) -> TypeState:
        """The state of the store that the push began with, as a new connection finds it.

        Raises:
            MultipleStoresError: Another OPA answers as well.
            ResourcesMissingError: The store is there no more.
        """
        here = self._documents.operation()
        here.one_store.saw(type_, before.store)
        state = here.look(type_, fresh=True)
        assert state is not None  # or `look` has raised
        return state

    @contextmanager
    def _heartbeat_thread(self, path: tuple[str, ...], lease: Lease, limits: Limits) -> Iterator[None]:
        """Say that the push is alive, while its resources are collected; and give up its place where that fails.

        Beyond its limits it is not alive: others need not wait for a source that never returns.
        """
        done = threading.Event()

        def heartbeat() -> None:
            number = 0
            while not done.wait(_HEARTBEAT_SECONDS) and not limits.is_over:
                number += 1
                with suppress(EngineError):  # the push will find out by itself
                    self._documents.send(
                        path, Patch([add("state", "leases", lease.name, "heartbeats", value=b"%d" % number)])
                    )

        thread = threading.Thread(target=heartbeat, daemon=True, name="push-heartbeat")
        thread.start()
        try:
            yield
        except BaseException:
            self._abandon(path, lease)
            raise
        finally:
            done.set()
            thread.join()

    def _warn_of_memory(self, type_: str, prepared: PreparedResources) -> None:
        """Say so where the resources will not fit beside what is there, as far as that can be known."""
        size = sum(map(len, prepared.values()))
        if size < _WORTH_A_LOOK:
            return
        with suppress(EngineError):
            memory = self._documents.opa.memory()
            if memory is not None and memory.limit is not None and memory.used + size * _MEMORY_A_BYTE > memory.limit:
                _LOG.warning(
                    "pushing `%s` takes about %s MB of memory in OPA, which uses %s MB of the %s MB that it may "
                    "(GOMEMLIMIT): it may become slow, or be killed",
                    type_,
                    *(f"{bytes_ // 1_000_000:,}" for bytes_ in (size * _MEMORY_A_BYTE, memory.used, memory.limit)),
                )


def _refuse_standstill(type_: str, tried: Sequence[TypeState | None]) -> None:
    """Refuse to go on where writes are in vain, though what is read is as it was before them.

    Raises:
        MultipleStoresError: It is, after several tries: another OPA is written to.
    """
    seen = [None if state is None else (state.revision_name, state.leases) for state in tried]
    if all(state == seen[0] for state in seen):
        raise written_elsewhere(type_)


def _overtaken(type_: str) -> PushConflictError:
    return PushConflictError(f"another push of `{type_}` came in between: nothing of this one was kept")
