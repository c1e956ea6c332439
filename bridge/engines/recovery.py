"""An OPA that was restarted comes up empty: a thread brings the rules and the resources back, and questions wait.

See docs/decisions/restoring.md.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from contextvars import ContextVar
from copy import copy
from typing import TYPE_CHECKING, Final

from bridge.engines.recovery_run import RecoveryRun, RecoveryState, failure_of
from bridge.engines.recovery_sources import SourceError, checked_sources
from bridge.errors import ConfigurationError, EngineError, UsageError
from bridge.http.settings import checked_deadline
from bridge.opa.limited import LimitedClient, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.engines.opa_engine import OpaEngine
    from bridge.opa import OpaClient
    from bridge.store import Source

PATIENCE: Final = 30.0
RECOVERY_TIMEOUT: Final = 300.0
RECOVERY_ATTEMPTS: Final = 5

_MOST_TRIES: Final = 100
_FIRST_REST: Final = 0.1
_MOST_REST: Final = 60.0
_CLOSING: Final = 5.0
_LOG: Final = logging.getLogger("bridge")

_INSIDE: ContextVar[frozenset[RecoveryRun]] = ContextVar("jwt_bridge_restoring", default=frozenset())
"""The runs whose sources are asked here: a question from there must not wait for one of them."""


class _OfProcess:
    """What the threads of one process share."""

    def __init__(self, *, is_closed: bool = False) -> None:
        self.lock = threading.RLock()  # a signal's handler may ask in the middle of it
        self.is_closed = is_closed
        self.run: RecoveryRun | None = None
        self.ended = 0
        self.failures = 0
        self.rests_until = 0.0


class Recovery:
    """Brings back what an OPA has lost, in a thread of its own, once for all who ask; other processes wait for it.

    Args:
        engine: Makes an engine without sources that asks by a client.
        opa: The client to ask by.
        sources: Where the resources of each type come from.
        types: The resource types.
        patience: How many seconds another process's push may give no sign of life before this one takes its place.
        timeout: How many seconds a run may last.
        tries: How often a run may bring something.
        clock: Seconds that only grow.

    Raises:
        ConfigurationError: A source or another setting cannot be used.
    """

    def __init__(
        self,
        engine: Callable[[OpaClient], OpaEngine],
        opa: OpaClient,
        sources: Mapping[str, Source],
        types: tuple[str, ...],
        *,
        patience: float = PATIENCE,
        timeout: float = RECOVERY_TIMEOUT,
        tries: int = RECOVERY_ATTEMPTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources = checked_sources(sources, types)
        if type(tries) is not int or not 1 <= tries <= _MOST_TRIES:
            raise ConfigurationError(f"`recovery_attempts` must be a number from 1 to {_MOST_TRIES}")
        try:
            self._timeout = checked_deadline(timeout)
        except UsageError:
            raise ConfigurationError("`recovery_timeout` must be seconds, more than 0 and at most a day") from None
        self._engine = engine
        self._opa = opa
        self._patience = patience
        self._tries = tries
        self.clock = clock
        self._process = _OfProcess()
        _ALL.add(self)

    @property
    def state(self) -> RecoveryState:
        """What it does now."""
        process = self._process
        with process.lock:
            if process.is_closed:
                return RecoveryState.CLOSED
            if process.run is not None and not process.run.has_ended:
                return process.run.state
            return RecoveryState.RESTING if self.clock() < process.rests_until else RecoveryState.IDLE

    @property
    def ended(self) -> int:
        """How many runs of this process have ended."""
        return self._process.ended

    @property
    def is_inside(self) -> bool:
        """Whether one of its own sources asks, which has not returned yet."""
        run = self._process.run
        return run is not None and not run.has_ended and run in _INSIDE.get()

    def wanted(self, since: int | None) -> RecoveryRun | None:
        """The run to wait for, begun where none is under way; None where there is none, for it rests or is closed.

        Args:
            since: How many runs had ended when the question began: the last one, if it ended later, has done all that
                a new one could. None begins one whatever failed before.
        """
        process = self._process
        with process.lock:
            if process.is_closed or self.is_inside:
                return None
            run = process.run
            if run is not None and (not run.has_ended or (since is not None and process.ended > since)):
                return run
            rested = self.clock() - process.rests_until
            if since is not None and rested < 0:
                return None
            if rested > _MOST_REST:
                process.failures = 0
            return self._begin(process)

    def helped(self) -> None:
        """Note that a question was answered after a run."""
        self._process.failures = 0

    def unhelped(self, run: RecoveryRun) -> None:
        """Note that a question found something lost after a run that brought all back."""
        process = self._process
        with process.lock:
            if process.run is run and self.clock() >= process.rests_until:
                self._rest(process)

    def run(self) -> None:
        """Bring back the rules and all types that have a source; where they are back already, do nothing.

        Raises:
            EngineError: It failed.
            UsageError: One of its own sources calls this, or the engine is closed.
        """
        run = self.begun()
        run.wait(run.limits.left)
        self.raise_failure(run)

    def begun(self) -> RecoveryRun:
        """The run that is under way, or a new one.

        Raises:
            UsageError: One of its own sources calls this, or the engine is closed.
        """
        run = self.wanted(None)
        if run is None:
            raise UsageError("the engine is closed, or one of its own sources asks it to restore: make a new engine")
        return run

    @staticmethod
    def raise_failure(run: RecoveryRun) -> None:
        """Raise what ended a run, or that it has not ended.

        Raises:
            EngineError: It failed.
        """
        if not run.has_ended:
            raise run.limits.fault()
        if run.failure is not None:
            raise copy(run.failure)  # each thread has its own, for its own traceback

    @property
    def last(self) -> RecoveryRun | None:
        """The run that began last in this process."""
        return self._process.run

    @property
    def rests_for(self) -> float:
        """Seconds until a question may begin another run."""
        return max(0.0, self._process.rests_until - self.clock())

    def stop(self) -> RecoveryRun | None:
        """Begin nothing any more, and end what is under way; gives the run that has not ended yet."""
        process = self._process
        with process.lock:
            process.is_closed = True
            run = process.run
        if run is None or run.has_ended:
            return None
        run.limits.stop()
        return run

    @property
    def closing(self) -> float:
        """How many seconds the end of a run is waited for: a request that is under way may last until then."""
        return min(_CLOSING, self._opa.deadline)

    def close(self) -> None:
        """End what is under way; a source that does not return is left behind, in a thread that keeps no process."""
        run = self.stop()
        if run is not None and not self.is_inside:
            run.wait(self.closing)

    def _begin(self, process: _OfProcess) -> RecoveryRun:
        run = RecoveryRun(Limits(self._timeout, name="the recovery", setting="recovery_timeout", clock=self.clock))
        thread = threading.Thread(
            target=self._main, args=(process, run, _INSIDE.get() | {run}), daemon=True, name="jwt-bridge-restoring"
        )
        try:
            process.run = run
            run.thread = thread
            thread.start()
        except BaseException as error:
            run.limits.stop()
            self._ended(process, run, EngineError(f"no thread can be started to bring it back: {error}"))
            if not isinstance(error, RuntimeError):  # that the system has no more threads, or Python is about to end
                raise
        return run

    def _main(self, process: _OfProcess, run: RecoveryRun, inside: frozenset[RecoveryRun]) -> None:
        _INSIDE.set(inside)
        failure: EngineError | None = EngineError("the thread that brings it back was ended")
        try:
            engine = self._engine(LimitedClient(self._opa, run.limits))
            run.bring_back(engine, self._sources, tries=self._tries, patience=self._patience)
            failure = None
        except BaseException as error:  # noqa: BLE001 - whoever waits must be told, whatever it is
            failure = failure_of(error)
            # The traceback of an application's own source is known to nobody else.
            _LOG.warning("what OPA lost could not be brought back: %s", failure, exc_info=_cause(error))
        finally:
            with process.lock:
                self._ended(process, run, failure)

    def _ended(self, process: _OfProcess, run: RecoveryRun, failure: EngineError | None) -> None:
        process.ended += 1
        if failure is not None:
            self._rest(process)
        run.end(failure)

    def _rest(self, process: _OfProcess) -> None:
        """Begin nothing for a while, twice as long each time."""
        process.rests_until = self.clock() + min(_MOST_REST, _FIRST_REST * 2**process.failures)
        process.failures += 1


def _cause(error: BaseException) -> BaseException | None:
    """What is worth a traceback: whatever is no fault of OPA's."""
    if isinstance(error, SourceError):
        return error.__cause__
    return None if isinstance(error, EngineError) else error


_ALL: Final[weakref.WeakSet[Recovery]] = weakref.WeakSet()


def _renew() -> None:
    """In a forked child there is no such thread, and a lock that another thread held would stay locked for ever."""
    for recovery in _ALL:
        recovery._process = _OfProcess(is_closed=recovery._process.is_closed)  # noqa: SLF001 - this module's own


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
