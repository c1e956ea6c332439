"""One connection of aiohttp's, for one task at a time."""

from __future__ import annotations

import socket
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

import aiohttp

from bridge.http.connect import keep_alive
from bridge.http.framing import MAX_FIELDS, MAX_HEAD

if TYPE_CHECKING:
    import asyncio

    from bridge.http import HttpSettings


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
        idle_since: When the last answer was read.
    """

    def __init__(self, settings: HttpSettings) -> None:
        self.protocol: Any
        self.transport: asyncio.Transport | None = None
        self.response: aiohttp.ClientResponse | None = None
        self.idle_since = 0.0
        self._max_idle = settings.max_idle
        self.session = aiohttp.ClientSession(
            connector=_connector(settings),
            headers=settings.fields,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),  # the call's deadline bounds it all
            auto_decompress=False,
            max_line_size=MAX_HEAD,
            max_field_size=MAX_HEAD,
            max_headers=MAX_FIELDS,
            response_class=partial(_Response, self),  # type: ignore[arg-type] # it is only called
        )

    @property
    def is_usable(self) -> bool:
        """Whether the connection of the last answer is still one, and nothing came on it that was not asked for."""
        is_young = monotonic() - self.idle_since <= self._max_idle
        return is_young and self.protocol.is_connected() and not self.protocol.should_close

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


def _connector(settings: HttpSettings) -> aiohttp.BaseConnector:
    # aiohttp drops what was idle by a clock of its own; whether a connection is young enough is asked here.
    idle = settings.max_idle + 1
    if settings.address.is_unix:
        return aiohttp.UnixConnector(settings.address.socket, keepalive_timeout=idle)
    context = True if settings.tls is None else settings.tls.context()
    return aiohttp.TCPConnector(ssl=context, keepalive_timeout=idle, socket_factory=_socket)


def _socket(info: Any) -> socket.socket:
    family, kind, protocol, *_ = info
    sock = socket.socket(family, kind, protocol)
    keep_alive(sock)
    return sock
