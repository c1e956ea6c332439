"""The recovery of an OPA that was restarted and is empty: a thread brings back the rules and resources, queries wait.

See docs/decisions/recovery.md.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from copy import copy
from typing import Final

from bridge.engines.recovery_run import (
    RecoverableEngine,
    RecoveryRun,
    RecoveryState,
    SourceError,
    checked_sources,
    failure_of,
)
from bridge.errors import ConfigurationError, EngineError, UsageError
from bridge.http.settings import checked_deadline
from bridge.opa import OpaClient
from bridge.opa.limited import LimitedClient, Limits
from bridge.store import Source

PATIENCE: Final = 30.0
RECOVERY_TIMEOUT: Final = 300.0
RECOVERY_ATTEMPTS: Final = 5

_MOST_TRIES: Final = 100
_FIRST_REST: Final = 0.1
_MOST_REST: Final = 60.0
_CLOSING: Final = 5.0
_LOG: Final = logging.getLogger("bridge")

_INSIDE: ContextVar[frozenset[RecoveryRun]] = ContextVar("jwt_bridge_recovery", default=frozenset())
"""The runs whose sources this thread calls: a query of such a source must not wait for its own run."""


class _ProcessState:
    """What the threads of one process share."""

    def __init__(self, *, is_closed: bool = False) -> None:
        self.lock = threading.RLock()  # reentrant, for a signal handler may interrupt and ask
        self.is_closed = is_closed
        self.run: RecoveryRun | None = None
        self.ended = 0
        self.failures = 0
        self.rests_until = 0.0


class Recovery:
    """Brings back what an OPA has lost, in its own thread, once for all queries; other processes wait for its push.

    Args:
        engine: Returns an engine without sources that uses a given client.
        opa: The client.
        sources: The source of the resources of each type.
        types: The resource types.
        patience: If another process pushes and sends no heartbeat for so many seconds, this one takes over.
        timeout: The most seconds of a run.
        tries: The most attempts of a run.
        clock: A monotonic clock, in seconds.

    Raises:
        ConfigurationError: A source or another setting cannot be used.
    """

    def __init__(
        self,
        engine: Callable[[OpaClient], RecoverableEngine],
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
        self._process = _ProcessState()
        _ALL.add(self)

    @property
    def state(self) -> RecoveryState:
        """Return what the recovery does now."""
        process = self._process
        with process.lock:
            if process.is_closed:
                return RecoveryState.CLOSED
            if process.run is not None and not process.run.has_ended:
                return process.run.state
            return RecoveryState.RESTING if self.clock() < process.rests_until else RecoveryState.IDLE

    @property
    def ended(self) -> int:
        """Return how many runs of this process have ended."""
        return self._process.ended

    @property
    def is_inside(self) -> bool:
        """Return whether the caller is one of its own sources, in a run that has not ended."""
        run = self._process.run
        return run is not None and not run.has_ended and run in _INSIDE.get()

    def run_since(self, since: int | None) -> RecoveryRun | None:
        """Return the run to wait for, a new one if none is under way; None if the recovery rests or is closed.

        Args:
            since: How many runs had ended when the query began: a run that ended after that is not repeated. None
                begins a run without a rest after an earlier failure.
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

    def note_success(self) -> None:
        """Note that a query succeeded after a run."""
        self._process.failures = 0

    def note_lost_again(self, run: RecoveryRun) -> None:
        """Note that a query found something lost after a run that brought all back."""
        process = self._process
        with process.lock:
            if process.run is run and self.clock() >= process.rests_until:
                self._rest(process)

    def run(self) -> None:
        """Bring back the rules and all types that have a source; do nothing if they are there.

        Raises:
            EngineError: It failed.
            UsageError: One of its own sources calls this, or the engine is closed.
        """
        run = self.begin()
        run.wait(run.limits.left)
        self.raise_failure(run)

    def begin(self) -> RecoveryRun:
        """Return the run that is under way, or a new one.

        Raises:
            UsageError: One of its own sources calls this, or the engine is closed.
        """
        run = self.run_since(None)
        if run is None:
            raise UsageError(
                "the engine is closed, or one of its own sources calls `restore`: make a new engine, or do not call it "
                "from a source"
            )
        return run

    @staticmethod
    def raise_failure(run: RecoveryRun) -> None:
        """Raise the error that ended a run, or the time limit if it has not ended.

        Raises:
            EngineError: It failed.
        """
        if not run.has_ended:
            raise run.limits.fault()
        if run.failure is not None:
            raise copy(run.failure)  # a copy for each thread, with its own traceback

    @property
    def last(self) -> RecoveryRun | None:
        """Return the latest run of this process."""
        return self._process.run

    @property
    def rests_for(self) -> float:
        """Return the seconds until a query may begin another run."""
        return max(0.0, self._process.rests_until - self.clock())

    def stop(self) -> RecoveryRun | None:
        """Begin no more runs, and stop the run that is under way; return it if it has not ended."""
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
        """Return the seconds to wait for the end of a run, whose current request may last as long."""
        return min(_CLOSING, self._opa.deadline)

    def close(self) -> None:
        """Stop a run; a source that does not return stays behind, in a daemon thread."""
        run = self.stop()
        if run is not None and not self.is_inside:
            run.wait(self.closing)

    def _begin(self, process: _ProcessState) -> RecoveryRun:
        run = RecoveryRun(Limits(self._timeout, name="the recovery", setting="recovery_timeout", clock=self.clock))
        thread = threading.Thread(
            target=self._main, args=(process, run, _INSIDE.get() | {run}), daemon=True, name="jwt-bridge-recovery"
        )
        try:
            process.run = run
            run.thread = thread
            thread.start()
        except BaseException as error:
            run.limits.stop()
            self._finish(
                process,
                run,
                EngineError(
                    f"no thread can be started for the recovery: {error}; use fewer threads, or raise their limit"
                ),
            )
            if not isinstance(error, RuntimeError):  # which says that there are no more threads, or that Python ends
                raise
        return run

    def _main(self, process: _ProcessState, run: RecoveryRun, inside: frozenset[RecoveryRun]) -> None:
        _INSIDE.set(inside)
        failure: EngineError | None = EngineError("the thread of the recovery was ended: try again")
        try:
            engine = self._engine(LimitedClient(self._opa, run.limits))
            run.bring_back(engine, self._sources, tries=self._tries, patience=self._patience)
            failure = None
        except BaseException as error:  # noqa: BLE001 - queries wait, and must get every error
            failure = failure_of(error)
            # Only the log gets the traceback of an application's own source.
            _LOG.warning("what OPA lost could not be brought back: %s", failure, exc_info=_cause(error))
        finally:
            with process.lock:
                self._finish(process, run, failure)

    def _finish(self, process: _ProcessState, run: RecoveryRun, failure: EngineError | None) -> None:
        process.ended += 1
        if failure is not None:
            self._rest(process)
        run.end(failure)

    def _rest(self, process: _ProcessState) -> None:
        """Begin no run for a while, twice as long each time."""
        process.rests_until = self.clock() + min(_MOST_REST, _FIRST_REST * 2**process.failures)
        process.failures += 1


def _cause(error: BaseException) -> BaseException | None:
    """Return the error whose traceback goes to the log: every one that is not OPA's."""
    if isinstance(error, SourceError):
        return error.__cause__
    return None if isinstance(error, EngineError) else error


_ALL: Final[weakref.WeakSet[Recovery]] = weakref.WeakSet()


def _reset_after_fork() -> None:
    """Forget the thread, which a forked child has not, and the lock, which another thread may have held."""
    for recovery in _ALL:
        recovery._process = _ProcessState(is_closed=recovery._process.is_closed)  # noqa: SLF001 - this module's own


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
