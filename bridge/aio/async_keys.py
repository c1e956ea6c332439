"""Verify tokens without blocking the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from bridge.aio.daemon_threads import DaemonThreads
from bridge.strict_json import Value
from bridge.tokens import JwkSet, JwksUrl, KeySource, StaticKey, TokenVerifier, VerificationKey
from bridge.tokens.cache import VerifiedToken

T = TypeVar("T")

_MOST_THREADS: Final = 16


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
