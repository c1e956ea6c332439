"""Tokens verified without holding up the event loop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from bridge.aio.daemon_threads import DaemonThreads
from bridge.tokens import JwkSet, JwksUrl, StaticKey, TokenVerifier

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from bridge.strict_json import Value
    from bridge.tokens import KeySource, VerificationKey
    from bridge.tokens.cache import VerifiedToken

    T = TypeVar("T")

_MOST_THREADS: Final = 16


class AsyncKeys:
    """Verifies tokens for the tasks of one event loop; only what may wait for others runs in a thread.

    - A key that is fixed, or that a `JwksUrl` knows and need not fetch again, is used at once, in the event loop.
    - One fetch runs at a time for each `JwksUrl`; all tasks whose keys it may bring wait for it together, in no thread.
    - A `JwksFile` looks at its file for each token, and a disk may be slow, so it does that in a thread. So does any
      source, and any derived verifier, of the application's own.
    """

    def __init__(self) -> None:
        self._threads = DaemonThreads(_MOST_THREADS, "jwt-bridge-keys")
        self._fetches: dict[JwksUrl, asyncio.Future[VerificationKey]] = {}

    async def verify(self, verifier: TokenVerifier, token: str) -> dict[str, Value]:
        """The claims of a token that is valid; errors as for `TokenVerifier.verify`, and `UsageError` after `close`."""
        if type(verifier) is not TokenVerifier:
            return await self.in_thread(verifier.verify, token)  # whoever derives a verifier adds demands to `verify`
        return (await self.verified(verifier, token)).claims

    async def verified(self, verifier: TokenVerifier, token: str) -> VerifiedToken:
        """The same, of a verifier that is not derived, with the claims in canonical text."""
        parsed = verifier.parse(token)
        return verifier.verify_with(parsed, await self._key_for(verifier.source, parsed.kid))

    async def in_thread(self, function: Callable[..., T], *args: object) -> T:
        """What a function gives that may wait for others."""
        return await asyncio.wrap_future(self._threads.run(function, *args))

    def close(self) -> None:
        """Find no more keys; a fetch that has begun goes on, and nothing waits for its end."""
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
                return await asyncio.shield(fetch)  # a task that is cancelled takes it from no other
            with suppress(Exception):  # what it was for another `kid`
                await asyncio.shield(fetch)
        return key
