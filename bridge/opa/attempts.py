"""The time of one call, and what becomes of an attempt that failed, whoever made it."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from bridge.errors import EngineError, EngineTimeoutError, EngineUnreachableError, InvalidResponseError
from bridge.opa.faults import is_protocol_breach, is_tls_failure, reason

if TYPE_CHECKING:
    from bridge.opa.settings import OpaSettings

_PAUSES: Final = (0.0, 0.1)
"""Seconds before each repetition: the first is for a connection that had gone stale, the second for a restart."""


class Attempts:
    """The attempts of one call.

    Args:
        settings: Where it goes.
        method: The HTTP method.
        target: Path and query.
        seconds: For everything together.
        is_read: It changes nothing in OPA, so it may be repeated when a connection breaks.

    Attributes:
        end: The deadline, a time of `time.monotonic`.
    """

    def __init__(self, settings: OpaSettings, method: str, target: str, seconds: float, *, is_read: bool) -> None:
        self.end = monotonic() + seconds
        self._settings = settings
        self._what = f"{method} {target}"
        self._seconds = seconds
        self._pauses = list(reversed(_PAUSES)) if is_read else []

    @property
    def left(self) -> float:
        """Seconds until the deadline; none or fewer when it has passed."""
        return self.end - monotonic()

    def after(self, error: Exception) -> tuple[EngineError, float | None]:
        """The fault that a failure is, and the seconds until the next attempt, or None where there is to be none.

        A fault is given, not raised, so that it keeps no reference to a foreign exception: those may hold what was
        sent, the token too.
        """
        fault, is_broken = self._fault(error)
        pause = self._pauses.pop() if is_broken and self._pauses else None
        return fault, None if pause is None or self.left <= pause else pause

    def too_large(self) -> InvalidResponseError:
        """The fault of an answer that is larger than what is accepted."""
        return InvalidResponseError(f"`{self._what}`: the answer is larger than {self._settings.max_answer} bytes")

    def _fault(self, error: Exception) -> tuple[EngineError, bool]:
        """The fault, and whether the connection broke."""
        place = f"`{self._what}` at {self._settings.address}"
        if self.left <= 0:
            return EngineTimeoutError(f"{place}: no whole answer within {self._seconds:g} s"), False
        if is_tls_failure(error):
            return EngineUnreachableError(f"{place}: {reason(error)}"), False
        if is_protocol_breach(error):
            return InvalidResponseError(f"`{self._what}`: the answer is no http"), False
        return EngineUnreachableError(f"{place}: {reason(error)}"), True
