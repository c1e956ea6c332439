"""A client that makes no request after a time limit, or after it was stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from bridge.errors import EngineError, EngineTimeoutError
from bridge.http import Reply
from bridge.opa.queries import RulesQuery
from bridge.opa.rest_api import OpaClient

_LAST_REQUESTS: Final = 3
_LAST_SECONDS: Final = 1.0


class Limits:
    """The time limit of a task that makes many requests.

    Args:
        seconds: The limit for the whole task.
        name: The name of the task, for the error.
        setting: The setting of the limit, for the error.
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, seconds: float, *, name: str, setting: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self.clock = clock
        self.began: float = clock()
        self._name = name
        self._setting = setting
        self._stopped = threading.Event()
        self._refused = 0

    @property
    def left(self) -> float:
        """Return the seconds until the end; 0 or less after it."""
        return self.began + self.seconds - self.clock()

    @property
    def is_stopped(self) -> bool:
        """Return whether the task was stopped."""
        return self._stopped.is_set()

    @property
    def is_over(self) -> bool:
        """Return whether the time has passed, or the task was stopped."""
        return self.is_stopped or self.left <= 0

    def stop(self) -> None:
        """Refuse further requests, and end each pause."""
        self._stopped.set()

    def pause(self, seconds: float) -> None:
        """Wait, but not past the end, and not at all after `stop`."""
        self._stopped.wait(min(seconds, self.left))

    def within(self, seconds: float) -> float:
        """Return the deadline of the next request: `seconds`, or what is left of them.

        After the end, the first request is refused. A few more may be made, each of a second at most, to clean up.

        Raises:
            EngineError: The task was stopped, or its time has passed.
        """
        if not self.is_over:
            return min(seconds, self.left)
        self._refused += 1
        if 1 < self._refused <= 1 + _LAST_REQUESTS:
            return min(seconds, _LAST_SECONDS)
        raise self.fault()

    def fault(self) -> EngineError:
        """Return the error that says why the task is over."""
        if self.is_stopped:
            return EngineError(f"{self._name} was stopped because the engine was closed: make a new engine")
        return EngineTimeoutError(f"{self._name} did not end within {self.seconds:g} s: raise `{self._setting}`")


class LimitedClient(OpaClient):
    """A client that makes the requests of another client within limits.

    Args:
        client: The other client, whose settings and connections are used.
        limits: The time limit.
    """

    def __init__(self, client: OpaClient, limits: Limits) -> None:
        self.__dict__.update(vars(client))
        self._client = client
        self._limits = limits

    def _call(
        self, method: str, target: str, body: bytes | RulesQuery | None, deadline: float | None, **settings: Any
    ) -> Reply:
        seconds = self._limits.within(self.deadline if deadline is None else deadline)
        return self._client._call(method, target, body, seconds, **settings)  # noqa: SLF001 - of its own class
