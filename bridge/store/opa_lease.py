"""Leases of pushes on an OPA: a push takes one before it writes, keeps it alive, and gives it back at the end.

See docs/decisions/resources-in-generations.md.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Final

from bridge.errors import EngineError, OpaStatusError, PushConflictError, ResourcesMissingError
from bridge.opa.limited import Limits
from bridge.store import layout
from bridge.store.opa_documents import Documents
from bridge.store.patches import Patch, add, remove
from bridge.store.single_store import written_elsewhere
from bridge.store.state import Lease, TypeState, first_state, foreign
from bridge.strict_json import ABSENT

_HEARTBEAT_SECONDS: Final = 1.0
_LOG: Final = logging.getLogger("bridge")


class Leases:
    """Takes, checks and removes the leases of pushes.

    Args:
        documents: The documents that hold them.
    """

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def take(self, type_: str, state: TypeState) -> Lease | None:
        """Replace all leases by that of a new push, and return it; None if another push came first."""
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
            _LOG.warning("removed the remains of %d pushes of `%s` that never ended", len(state.leases), type_)
        return lease

    def take_first(self, type_: str, lease: Lease) -> TypeState | None:
        """Create a type's document with the lease of its first push, and return its state; None if that failed."""
        if not self.is_one_store(type_):
            return None
        if not self._documents.create(type_, first_state(lease)):
            self.refuse_foreign(type_)
            return None
        state = self._documents.look(type_, fresh=True)
        return None if state is None or lease.name not in state.leases else state

    def require(self, type_: str, before: TypeState, lease: Lease) -> None:
        """Make sure that the lease of a push can be read from the OPA that it was written to.

        Raises:
            MultipleStoresError: It cannot.
            PushConflictError: Another push has removed it already.
            ResourcesMissingError: OPA was restarted.
        """
        now = self._same_store(type_, before)
        if lease.name in now.leases:
            return
        self.abandon(self._documents.path(type_), lease)
        if now.revision_name == before.revision_name and now.leases == before.leases:
            raise written_elsewhere(type_)  # nobody else has changed anything
        raise _overtaken(type_)

    def abandon(self, path: tuple[str, ...], lease: Lease) -> bool:
        """Remove a lease and its generation, if possible, and return whether they were there.

        If it fails, the next push removes them.
        """
        try:
            self._documents.send(
                path, Patch([remove("state", "leases", lease.name), remove("generations", lease.generation)])
            )
        except EngineError:
            return False
        return True

    def explain_loss(self, type_: str, before: TypeState, *, is_written: bool) -> EngineError:
        """Return the error for a patch of a push that did not find what it changes.

        Args:
            type_: The resource type.
            before: The state when the push began.
            is_written: Whether the OPA that takes the writes had the lease.

        Raises:
            EngineError: Another OPA answers, or none.
        """
        state = self._same_store(type_, before)
        if is_written and state.revision_name == before.revision_name:
            return written_elsewhere(type_)
        return _overtaken(type_)

    def is_one_store(self, type_: str) -> bool:
        """Tell whether new connections find one OPA; not if it is restarted at that moment.

        Raises:
            MultipleStoresError: They find several.
        """
        try:
            self._documents.operation().agreed(type_)
        except ResourcesMissingError:
            return False
        return True

    def refuse_foreign(self, type_: str) -> None:
        """Raise if a readable document is in the way that no bridge wrote."""
        path = self._documents.path(type_)
        # Between two looks another bridge may have created or removed it: then the caller tries again.
        for _ in range(2):
            if self._documents.look(type_, fresh=True) is not None or self._documents.opa.get_data_text(path) is ABSENT:
                return
        raise foreign(path)

    def _same_store(self, type_: str, before: TypeState) -> TypeState:
        """Read the state on a new connection, and require the store that the push began with.

        Raises:
            MultipleStoresError: Another OPA answers as well.
            ResourcesMissingError: The store is no longer there.
        """
        operation = self._documents.operation()
        operation.one_store.saw(type_, before.store)
        state = operation.look(type_, fresh=True)
        assert state is not None, "`look` has raised"
        return state

    @contextmanager
    def kept_alive(self, path: tuple[str, ...], lease: Lease, limits: Limits) -> Iterator[None]:
        """Send heartbeats in a thread while the resources are collected; abandon the lease if that fails.

        After the limits no heartbeat is sent: others need not wait for a source that never returns.
        """
        done = threading.Event()

        def heartbeat() -> None:
            number = 0
            while not done.wait(_HEARTBEAT_SECONDS) and not limits.is_over:
                number += 1
                with suppress(EngineError):  # the push itself will meet the same error
                    self._documents.send(
                        path, Patch([add("state", "leases", lease.name, "heartbeats", value=b"%d" % number)])
                    )

        thread = threading.Thread(target=heartbeat, daemon=True, name="push-heartbeat")
        thread.start()
        try:
            yield
        except BaseException:
            self.abandon(path, lease)
            raise
        finally:
            done.set()
            thread.join()


def _overtaken(type_: str) -> PushConflictError:
    return PushConflictError(f"another push of `{type_}` came in between: nothing of this one was kept; push again")
