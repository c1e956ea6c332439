"""Verify tokens without blocking the event loop; what may block runs in threads that never keep the process alive."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any, Final, TypeVar

from bridge.errors import KeysUnavailableError, UsageError
from bridge.strict_json import Value
from bridge.tokens import JwkSet, JwksUrl, KeySource, StaticKey, TokenVerifier, VerificationKey
from bridge.tokens.cache import VerifiedToken

T = TypeVar("T")

_MOST_THREADS: Final = 16


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


class AsyncKeys:
    """Verifies tokens for the tasks of one event loop; only what may block runs in a thread.

    - The event loop itself uses a fixed key, and a key that a `JwksUrl` knows and need not fetch again.
    - For each `JwksUrl`, one fetch runs at a time; all tasks that may need its keys wait for it, without a thread.
    - A `JwksFile` looks at its file for each token, and a disk may be slow, so a thread does that. A thread also calls
      key sources and derived verifiers of the application.
    """

    def __init__(self) -> None:
        self._threads = DaemonThreads(_MOST_THREADS, "jwt-bridge-keys")
        self._fetches: dict[JwksUrl, asyncio.Future[VerificationKey]] = {}

    async def verify(self, verifier: TokenVerifier, token: str) -> dict[str, Value]:
        """Verify the token and return its claims; as `TokenVerifier.verify`, and `UsageError` after `close`."""
        if type(verifier) is not TokenVerifier:
            return await self.in_thread(verifier.verify, token)  # a derived verifier adds demands to `verify`
        return (await self.verified(verifier, token)).claims

    async def verified(self, verifier: TokenVerifier, token: str) -> VerifiedToken:
        """Verify the token with a verifier that is not derived, and return it with its claims in canonical text."""
        parsed = verifier.parse(token)
        return verifier.verify_with(parsed, await self._key_for(verifier.source, parsed.kid))

    async def in_thread(self, function: Callable[..., T], *args: object) -> T:
        """Call a function that may block, in a thread, and return its result."""
        return await asyncio.wrap_future(self._threads.run(function, *args))

    def close(self) -> None:
        """Fetch no more keys; a fetch that has begun goes on, and nothing waits for its end."""
        self._threads.close()

    async def _key_for(self, source: KeySource, kid: str | None) -> VerificationKey:
        if type(source) in (StaticKey, JwkSet):
            return source.key_for(kid)
        if type(source) is not JwksUrl:
            return await self.in_thread(source.key_for, kid)
        while (key := source.known_key(kid)) is None:
            fetch = self._fetches.get(source)
            if fetch is None:
                fetch = self._fetches[source] = asyncio.wrap_future(self._threads.run(source.key_for, kid))
                fetch.add_done_callback(lambda _: self._fetches.pop(source))
                return await asyncio.shield(fetch)  # a cancelled task does not cancel it for the others
            with suppress(Exception):  # an error for another `kid`
                await asyncio.shield(fetch)
        return key
