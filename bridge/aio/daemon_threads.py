"""Run functions that may block, in threads that never keep the process alive."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from bridge.errors import KeysUnavailableError, UsageError

T = TypeVar("T")


class DaemonThreads:
    """Runs functions in a limited number of threads; a thread ends if there is nothing left to run.

    The whole application shares asyncio's default executor, and may fill it. Python waits at its exit for the threads
    of a `ThreadPoolExecutor`: a key server or a disk that hangs would keep the process alive. Python does not wait for
    these daemon threads.

    Args:
        most: The most threads.
        name: Their name.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._lock = threading.Lock()
        self._jobs: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._running = 0
        self._closed = False

    def run(self, function: Callable[..., T], *args: object) -> Future[T]:
        """Call a function in a thread, with the context variables of the caller.

        Returns:
            The future of its result.

        Raises:
            UsageError: The bridge is closed.
            KeysUnavailableError: No thread can be started.
        """
        job: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise UsageError("this bridge is closed: make a new one")
            self._jobs.append((job, partial(copy_context().run, function, *args)))
            if self._running < self._most:
                try:
                    threading.Thread(target=self._work, name=self._name, daemon=True).start()
                except RuntimeError:
                    if not self._running:
                        self._jobs.clear()
                        raise KeysUnavailableError(
                            "no thread can be started to find the keys: try again later"
                        ) from None
                else:
                    self._running += 1
        return job

    def close(self) -> None:
        """Refuse calls that have not begun; the others go on, and their threads end with them."""
        with self._lock:
            self._closed = True
            jobs, self._jobs = self._jobs, deque()
        for job, _ in jobs:
            if job.set_running_or_notify_cancel():
                job.set_exception(UsageError("the bridge was closed before the keys were found: make a new one"))

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._jobs:
                    self._running -= 1
                    return
                job, function = self._jobs.popleft()
            _do(job, function)
            del job, function  # only the waiting task keeps a result alive


def _do(job: Future[Any], function: Callable[[], Any]) -> None:
    if not job.set_running_or_notify_cancel():
        return
    try:
        job.set_result(function())
    except StopIteration as error:  # asyncio's futures refuse it: the waiting task would hang
        job.set_exception(RuntimeError(f"{error!r} in a thread"))
    except BaseException as error:  # noqa: BLE001 - the waiting task must learn of every end
        job.set_exception(error)
