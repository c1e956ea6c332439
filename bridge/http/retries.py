"""The attempts of one call: how long they may take together, and when there is another one."""

from __future__ import annotations

from http import HTTPStatus
from time import monotonic
from typing import Final

from bridge.http.failures import Cause, HttpFailure, failure

_AFTER_BROKEN: Final = (0.0, 0.1)
"""Seconds before each repetition: the first is for a connection that had gone stale, the second for a restart."""

_AFTER_GATEWAY: Final = (0.1, 0.4)

GATEWAY: Final = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
"""What a gateway answers whose server does not."""


class Attempts:
    """The attempts of one call, whoever makes them.

    Args:
        seconds: For all of them together.
        is_read: The call changes nothing at the server, so it may be repeated, at most twice.

    Attributes:
        end: The deadline, a time of `time.monotonic`.
        number: 0 for the first attempt.
    """

    def __init__(self, seconds: float, *, is_read: bool) -> None:
        self.end = monotonic() + seconds
        self.number = 0
        self._seconds = seconds
        self._is_read = is_read

    @property
    def left(self) -> float:
        """Seconds until the deadline; none or fewer when it has passed."""
        return self.end - monotonic()

    def after(self, error: Exception) -> tuple[HttpFailure, float | None]:
        """Return what a failed attempt means, and the seconds until the next one; None where there is no other.

        The failure is returned, not raised, so that it keeps no reference to the exception, which may hold what was
        sent, the token too.
        """
        why = failure(error)
        if self.left <= 0:
            return HttpFailure(Cause.TIMEOUT, f"no whole answer within {self._seconds:g} s"), None
        return why, self._pause(_AFTER_BROKEN) if why.cause in (Cause.REFUSED, Cause.BROKEN) else None

    def after_status(self, status: int) -> float | None:
        """Return the seconds until the next attempt after a response; None where it is the answer."""
        return self._pause(_AFTER_GATEWAY) if status in GATEWAY else None

    def _pause(self, pauses: tuple[float, ...]) -> float | None:
        if not self._is_read or self.number >= len(pauses) or self.left <= pauses[self.number]:
            return None
        self.number += 1
        return pauses[self.number - 1]
