"""One question that finds something lost: how long it waits, and what it says where that does not come back.

See docs/decisions/restoring.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.engines.recovery_run import RecoveryState
from bridge.errors import MultipleStoresError

if TYPE_CHECKING:
    from bridge.engines.recovery import Recovery
    from bridge.engines.recovery_run import RecoveryRun
    from bridge.errors import EngineError


class RecoveryWait:
    """A question that may find something lost, and then waits for as long as it may last.

    Args:
        recovery: What brings it back.
        seconds: For the question, its repetition included.
    """

    def __init__(self, recovery: Recovery, seconds: float) -> None:
        self._recovery = recovery
        self._end = recovery.clock() + seconds
        self._since = recovery.ended
        self._run: RecoveryRun | None = None

    @property
    def left(self) -> float:
        """Seconds until the question must be over."""
        return self._end - self._recovery.clock()

    def waits_for(self, lost: EngineError) -> tuple[RecoveryRun, float]:
        """The run to wait for, and how many seconds at most.

        Raises:
            EngineError: There is nothing to wait for.
        """
        self._run = self._recovery.wanted(self._since)
        if self._run is None:
            raise self._described(lost) from None
        return self._run, max(0.0, min(self.left, self._run.limits.left))

    def again(self, lost: EngineError) -> float:
        """The seconds for asking once more.

        Raises:
            EngineError: There are none left, or what was lost is not back.
        """
        run, left = self._run, self.left
        if run is None or not run.has_ended or left <= 0:
            raise self._described(lost) from None
        return left

    def answered(self) -> None:
        """Note that it was answered when it was asked once more."""
        self._recovery.helped()

    def still(self, lost: EngineError) -> EngineError:
        """The fault, where asking once more found the same."""
        assert self._run is not None
        if self._run.failure is None:
            self._recovery.unhelped(self._run)
        return self._described(lost)

    def _described(self, lost: EngineError) -> EngineError:
        """What the question found lost, and why it did not come back."""
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
        again = f"a question {max(0.1, recovery.rests_for):.1f} s from now begins another try"
        if failure is None:
            return type(lost)(f"{lost}; all that has a source was brought back before: see who removes it; {again}")
        kind = MultipleStoresError if isinstance(failure, MultipleStoresError) else type(lost)
        return kind(f"{lost}; it could not be brought back: {failure}; {again}")
