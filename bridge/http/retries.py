"""The attempts of one call: their common deadline, and when a call is repeated."""

from __future__ import annotations

from time import monotonic
from typing import Final

from bridge.http.failures import failure
from bridge.http.outcome import GATEWAY, Cause, HttpRequestError

_AFTER_BROKEN: Final = (0.0, 0.1)
"""Pauses before the retries, in seconds: the first retry is for a stale connection, the second for a restart."""

_AFTER_GATEWAY: Final = (0.1, 0.4)


class Attempts:
    """The attempts of one call, synchronous or asynchronous.

    Args:
        seconds: The deadline for all attempts together.
        is_read: The call changes nothing at the server, so it may be repeated, at most twice.

    Attributes:
        end: The deadline, a time of `time.monotonic`.
        number: 0 for the first attempt.
    """

    def __init__(self, seconds: float, *, is_read: bool) -> None:
        self.end: float = monotonic() + seconds
        self.number: int = 0
        self._seconds = seconds
        self._is_read = is_read

    @property
    def left(self) -> float:
        """Return the seconds until the deadline; 0 or less after it."""
        return self.end - monotonic()

    def after(self, error: Exception) -> tuple[HttpRequestError, float | None]:
        """Return the failure of an attempt, and the seconds until the next attempt, or None where the call has failed.

        The failure is returned, not raised: it must keep no reference to the exception, which may hold the token.
        """
        cause = failure(error)
        if self.left <= 0:
            return HttpRequestError(Cause.TIMEOUT, f"no whole answer within {self._seconds:g} s"), None
        return cause, self._pause(_AFTER_BROKEN) if cause.cause in (Cause.REFUSED, Cause.BROKEN) else None

    def after_status(self, status: int) -> float | None:
        """Return the seconds until the next attempt, or None where this response is the result of the call."""
        return self._pause(_AFTER_GATEWAY) if status in GATEWAY else None

    def _pause(self, pauses: tuple[float, ...]) -> float | None:
        if not self._is_read or self.number >= len(pauses) or self.left <= pauses[self.number]:
            return None
        self.number += 1
        return pauses[self.number - 1]
