"""Pushes to an OPA: a push fills a generation part by part, and one patch makes it current.

See docs/decisions/resources-in-generations.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from itertools import count
from typing import Final

from bridge.errors import EngineError, OpaStatusError, PushConflictError, ResourcesMissingError
from bridge.opa import is_too_large
from bridge.opa.limited import Limits
from bridge.store.opa_documents import Documents, too_large
from bridge.store.opa_lease import Leases
from bridge.store.patches import Patch, add, parts, remove
from bridge.store.single_store import written_elsewhere
from bridge.store.state import Lease, TypeState, current, first_state
from bridge.store.store import PreparedResources, prepare
from bridge.strict_json import ABSENT

_TRIES: Final = 5
_WORTH_A_LOOK: Final = 1_000_000
_MEMORY_A_BYTE: Final = 16
_POLL: Final = 0.05
_MOST_POLL: Final = 0.5
_LOG: Final = logging.getLogger("bridge")


class Pushes:
    """Pushes all resources of a type.

    Args:
        documents: The documents to write.
    """

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._leases = Leases(documents)

    def push(self, type_: str, resources: Mapping[bytes, bytes], on_progress: Callable[[int], None]) -> str:
        """Do what `OpaStore.replace` says."""
        prepared = prepare(resources)
        self._warn_of_memory(type_, prepared)
        state, lease = self._begin(type_)
        return self._push(type_, state, lease, prepared, on_progress)

    def restore(
        self, type_: str, collect: Callable[[], Mapping[bytes, bytes]], *, patience: float, limits: Limits
    ) -> None:
        """Do what `OpaStore.restore` says."""
        path = self._documents.path(type_)
        conflict = None
        states: list[TypeState | None] = []
        for number in range(_TRIES):
            limits.pause(_POLL * 2**number if number else 0.0)
            state = self._wait_for_others(type_, patience, limits)
            states.append(state)
            if state is None:
                lease: Lease | None = (new := Lease.new())
                state = self._leases.take_first(type_, new)
            elif not self._leases.is_one_store(type_):
                continue  # OPA was restarted at that moment
            elif state.current is not None:
                return  # the resources are back, and on one OPA alone
            else:
                lease = self._leases.take(type_, state)
            if state is None or lease is None:
                continue  # another process came first, or OPA has lost it again
            try:
                self._leases.require(type_, state, lease)
                with self._leases.kept_alive(path, lease, limits):
                    resources = prepare(collect())
                self._push(type_, state, lease, resources, lambda _: None)
            except PushConflictError as error:
                conflict = error
            else:
                return
        if any(states):
            _refuse_standstill(type_, states)
        raise conflict or self._never_seen(type_)

    def _wait_for_others(self, type_: str, patience: float, limits: Limits) -> TypeState | None:
        """Wait until no other live push is under way, and return the state of the type."""
        seen: object = None
        since = pause = 0.0
        while True:
            state = self._documents.look(type_)
            if state is None or state.current is not None or not state.leases:
                return state
            if state.heartbeats != seen:
                seen, since = state.heartbeats, limits.clock()
                self._leases.is_one_store(type_)  # two OPAs in turn would look like one live push
            elif limits.clock() - since >= patience:
                return state
            if limits.is_over:
                raise limits.fault()
            pause = min(2 * pause or _POLL, _MOST_POLL, patience / 10)
            limits.pause(pause)

    def _never_seen(self, type_: str) -> EngineError:
        """Return the error for writes that could not be read again, several times in a row."""
        path = self._documents.path(type_)
        if not self._documents.opa.create_data(path, first_state()) and self._documents.get(path) is ABSENT:
            return written_elsewhere(type_)
        return ResourcesMissingError(
            f"OPA loses what is written to `{type_}` at once, {_TRIES} times in a row: check why it restarts, who "
            "removes it, and whether several OPAs answer at this address"
        )

    def _begin(self, type_: str) -> tuple[TypeState, Lease]:
        """Take the lease of a push, create its generation, and remove the remains of others."""
        states: list[TypeState | None] = []
        for _ in range(_TRIES):
            state = self._documents.agreed(type_)
            states.append(state)
            if state is None:
                self._create(type_)
            elif (lease := self._leases.take(type_, state)) is not None:
                self._leases.require(type_, state, lease)
                return state, lease
        _refuse_standstill(type_, states)
        raise PushConflictError(
            f"other pushes of `{type_}` came first, {_TRIES} times in a row: nothing was pushed; push again"
        )

    def _create(self, type_: str) -> None:
        """Create the type's document, unless another process has created it meanwhile."""
        self._documents.refuse_rules(type_)
        if self._documents.create(type_, first_state()):
            self._documents.one_store.made(type_)
        else:
            self._leases.refuse_foreign(type_)

    def _push(
        self,
        type_: str,
        state: TypeState,
        lease: Lease,
        prepared: PreparedResources,
        on_progress: Callable[[int], None],
    ) -> str:
        """Fill the generation of a push, and make it current."""
        path = self._documents.path(type_)
        try:
            heartbeats = count(1)
            for part in parts(prepared, self._documents.opa.max_body):
                self._send_part(path, lease, part.patch.below("generations", lease.generation), heartbeats)
                on_progress(part.resources)
            return self._swap(type_, state, lease, len(prepared))
        except BaseException as error:
            is_written = self._leases.abandon(path, lease)
            if isinstance(error, OpaStatusError) and error.status == HTTPStatus.NOT_FOUND:
                raise self._leases.explain_loss(type_, state, is_written=is_written) from None
            raise

    def _send_part(self, path: tuple[str, ...], lease: Lease, part: Patch, heartbeats: Iterator[int]) -> None:
        """Send a part of a push; in halves if it is too large for OPA, or for a proxy before it.

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

        OPA has one compare-and-set: a `remove` of a missing value makes a patch fail. So the patch first removes the
        lease and the revision that the push began with.
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

    def _warn_of_memory(self, type_: str, prepared: PreparedResources) -> None:
        """Log a warning if OPA seems to have too little memory for the resources."""
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


def _refuse_standstill(type_: str, states: Sequence[TypeState | None]) -> None:
    """Refuse to go on if several writes have not changed what is read.

    Raises:
        MultipleStoresError: They have not: another OPA takes the writes.
    """
    seen = [None if state is None else (state.revision_name, state.leases) for state in states]
    if all(state == seen[0] for state in seen):
        raise written_elsewhere(type_)
