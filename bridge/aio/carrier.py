"""One connection of aiohttp's, for one task at a time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import aiohttp

if TYPE_CHECKING:
    import asyncio

    from bridge.opa.settings import OpaSettings

_IDLE_SECONDS: Final = 3_600


class Carrier:
    """A session of one connection.

    aiohttp's own pool puts a connection back at the last byte of any answer, and hands it out whatever has come on it
    meanwhile: an answer to nothing would be taken for the answer to the next question. So each connection has a pool
    to itself, and whether it is kept is decided by who used it.

    Args:
        settings: Where it goes.

    Attributes:
        session: To make one request at a time.
        response: The last answer.
        protocol: What the last answer came by; only there once a request was made.
        transport: What that stands on.
    """

    def __init__(self, settings: OpaSettings) -> None:
        self.protocol: Any
        self.transport: asyncio.Transport | None = None
        self.response: aiohttp.ClientResponse | None = None
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=settings.tls or True, keepalive_timeout=_IDLE_SECONDS),
            headers=settings.fields,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),  # the call's deadline bounds it all
            auto_decompress=False,
            response_class=partial(_Response, self),  # type: ignore[arg-type] # it is only called
        )

    @property
    def is_usable(self) -> bool:
        """Whether the connection of the last answer is still one, and nothing came on it that was not asked for."""
        return self.protocol.is_connected() and not self.protocol.should_close

    def abort(self) -> None:
        """End the connection at once, without a word to the peer, which may not be listening."""
        if self.transport is not None:
            self.transport.abort()
        if self.response is not None:
            self.response.close()

    async def end(self) -> None:
        """End the connection at once, and the session."""
        self.abort()
        await self.session.close()

    async def close(self) -> None:
        """Close the connection and the session."""
        await self.session.close()


class _Response(aiohttp.ClientResponse):
    """An answer that tells its carrier what it comes on, before anything of it is read."""

    def __init__(self, carrier: Carrier, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._carrier = carrier

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        carrier = self._carrier
        carrier.response, carrier.protocol, carrier.transport = self, connection.protocol, connection.transport
        return await super().start(connection)
