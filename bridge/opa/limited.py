"""A client that stops: no request after a time, or after somebody said so."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

from bridge.errors import EngineError, EngineTimeoutError
from bridge.opa.rest_api import OpaClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.opa.answer import Answer
    from bridge.opa.question import RulesQuery

_LAST_REQUESTS: Final = 3
_LAST_SECONDS: Final = 1.0


class Limits:
    """Until when something that makes many requests may go on.

    Args:
        seconds: For all of it together.
        name: What lasts so long, for the error.
        setting: The setting that says how long, for the error.
        clock: Seconds that only grow.
    """

    def __init__(self, seconds: float, *, name: str, setting: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self.clock = clock
        self.began = clock()
        self._name = name
        self._setting = setting
        self._stopped = threading.Event()
        self._refused = 0

    @property
    def left(self) -> float:
        """Seconds until the end; none or fewer when it has passed."""
        return self.began + self.seconds - self.clock()

    @property
    def is_stopped(self) -> bool:
        """Whether somebody said that it is to stop."""
        return self._stopped.is_set()

    @property
    def is_over(self) -> bool:
        """Whether it has lasted too long, or is stopped."""
        return self.is_stopped or self.left <= 0

    def stop(self) -> None:
        """Let no more requests be made, and end each pause."""
        self._stopped.set()

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than it may last, and not at all once it is stopped."""
        self._stopped.wait(min(seconds, self.left))

    def within(self, seconds: float) -> float:
        """The seconds that the next request may take, of those it is meant to.

        Once it is over, the first request is refused; a few more may be made, each of a second at most, to take away
        what is half done.

        Raises:
            EngineError: It is stopped, or has lasted too long.
        """
        if not self.is_over:
            return min(seconds, self.left)
        self._refused += 1
        if 1 < self._refused <= 1 + _LAST_REQUESTS:
            return min(seconds, _LAST_SECONDS)
        raise self.fault()

    def fault(self) -> EngineError:
        """Why it is over."""
        if self.is_stopped:
            return EngineError(f"{self._name} was stopped, for the engine was closed: make a new engine")
        return EngineTimeoutError(f"{self._name} did not end within {self.seconds:g} s: raise `{self._setting}`")


class LimitedClient(OpaClient):
    """Makes the requests of another client within limits.

    Args:
        client: The other client; its settings and its connections are used.
        limits: Until when.
    """

    def __init__(self, client: OpaClient, limits: Limits) -> None:
        self.__dict__.update(vars(client))
        self._client = client
        self._limits = limits

    def _call(
        self, method: str, target: str, body: bytes | RulesQuery | None, deadline: float | None, **settings: Any
    ) -> Answer:
        seconds = self._limits.within(self.deadline if deadline is None else deadline)
        return self._client._call(method, target, body, seconds, **settings)  # noqa: SLF001 - of its own class
