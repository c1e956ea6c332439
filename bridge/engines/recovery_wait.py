"""One query that finds something lost: how long it waits for the recovery, and its error if that fails.

See docs/decisions/recovery.md.
"""

from __future__ import annotations

from bridge.engines.recovery import Recovery
from bridge.engines.recovery_run import RecoveryRun, RecoveryState
from bridge.errors import EngineError, MultipleStoresError


class RecoveryWait:
    """The wait of one query that finds something lost, within the query's deadline.

    Args:
        recovery: The recovery.
        seconds: The deadline of the query and its repetition.
    """

    def __init__(self, recovery: Recovery, seconds: float) -> None:
        self._recovery = recovery
        self._end = recovery.clock() + seconds
        self._since = recovery.ended
        self._run: RecoveryRun | None = None

    @property
    def left(self) -> float:
        """Return the seconds until the deadline."""
        return self._end - self._recovery.clock()

    def waits_for(self, lost: EngineError) -> tuple[RecoveryRun, float]:
        """Return the run to wait for, and the most seconds.

        Raises:
            EngineError: There is nothing to wait for.
        """
        self._run = self._recovery.run_since(self._since)
        if self._run is None:
            raise self._error(lost) from None
        return self._run, max(0.0, min(self.left, self._run.limits.left))

    def again(self, lost: EngineError) -> float:
        """Return the seconds for the repetition of the query.

        Raises:
            EngineError: There are none left, or the recovery failed.
        """
        run, left = self._run, self.left
        if run is None or not run.has_ended or left <= 0:
            raise self._error(lost) from None
        return left

    def answered(self) -> None:
        """Note that the repetition succeeded."""
        self._recovery.note_success()

    def still(self, lost: EngineError) -> EngineError:
        """Return the error if the repetition found something lost again."""
        assert self._run is not None
        if self._run.failure is None:
            self._recovery.note_lost_again(self._run)
        return self._error(lost)

    def _error(self, lost: EngineError) -> EngineError:
        """Return the error: what is lost, why it is not back, and what to do."""
        recovery = self._recovery
        if recovery.is_inside:
            return type(lost)(f"{lost}; a source must not ask the bridge that it is a source of")
        run = self._run or recovery.last
        if run is None or recovery.state is RecoveryState.CLOSED:
            return type(lost)(f"{lost}; nothing brings it back, for the engine is closed: make a new one")
        failure = run.failure
        if not run.has_ended:
            text = f"{lost}; it is being brought back for {recovery.clock() - run.limits.began:.1f} s now: {run.state}"
            if failure is not None:
                text += f"; the last try failed: {failure}"
            return type(lost)(f"{text}; ask again later")
        again = f"ask again in {max(0.1, recovery.rests_for):.1f} s to begin another try"
        if failure is None:
            return type(lost)(f"{lost}; all that has a source was brought back before: see who removes it; {again}")
        kind = MultipleStoresError if isinstance(failure, MultipleStoresError) else type(lost)
        return kind(f"{lost}; it could not be brought back: {failure}; {again}")
