"""A connection of aiohttp for one task at a time, and aiohttp's exceptions as those of the standard library."""

from __future__ import annotations

import asyncio
import socket
import ssl
from functools import partial
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from time import monotonic
from typing import Any, Final

import aiohttp

from bridge.http import HttpSettings
from bridge.http.failures import FOREIGN as OF_HTTP
from bridge.http.framing import MAX_FIELDS, MAX_HEAD
from bridge.http.sockets import keep_alive

FOREIGN: Final = (aiohttp.ClientError, *OF_HTTP)
"""Every exception that aiohttp and the libraries below it can raise in a call."""


class AsyncConnection:
    """A session of aiohttp with one connection.

    aiohttp's own pool keeps a connection after the last byte of any response, and uses it again whatever bytes have
    arrived in between: an unexpected response would be taken for the response to the next request. So each connection
    has a pool to itself, and `AsyncHttpClient` decides whether it is kept.

    Args:
        settings: The server's address, and the client's settings.

    Attributes:
        session: The session, for one request at a time.
        response: The last response.
        protocol: aiohttp's protocol for the last response; it exists only after a request.
        transport: The transport of that protocol.
        idle_since: When the last response was read.
    """

    def __init__(self, settings: HttpSettings) -> None:
        self.protocol: Any
        self.transport: asyncio.Transport | None = None
        self.response: aiohttp.ClientResponse | None = None
        self.idle_since: float = 0.0
        self._max_idle = settings.max_idle
        self.session: aiohttp.ClientSession = aiohttp.ClientSession(
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
        """Return whether the connection is open and young enough, and no unexpected bytes have arrived."""
        is_young = monotonic() - self.idle_since <= self._max_idle
        return is_young and self.protocol.is_connected() and not self.protocol.should_close

    async def abort(self) -> None:
        """Close the connection at once, without TLS's goodbye, and close the session."""
        if self.transport is not None:
            self.transport.abort()
        if self.response is not None:
            self.response.close()
        await self.session.close()

    async def close(self) -> None:
        """Close the connection and the session."""
        await self.session.close()


class _Response(aiohttp.ClientResponse):
    """A response that tells its `AsyncConnection` the transport before any byte of it is read."""

    def __init__(self, connection: AsyncConnection, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._owner = connection

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        owner = self._owner
        owner.response, owner.protocol, owner.transport = self, connection.protocol, connection.transport
        return await super().start(connection)


def _connector(settings: HttpSettings) -> aiohttp.BaseConnector:
    # aiohttp drops idle connections by a clock of its own; `is_usable` decides earlier.
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


def standard_error(error: Exception) -> Exception:
    """Return the exception of the standard library for a failure in aiohttp; it holds no part of the request."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return error.certificate_error
        case aiohttp.ClientConnectorDNSError():
            return socket.gaierror("no address")
        case aiohttp.ClientConnectorError():
            return error.os_error
        case ssl.SSLError():
            return error
        case aiohttp.ClientOSError() if isinstance(error.__cause__, ssl.SSLError):
            return error.__cause__  # with TLS 1.3 a server refuses a client when the client already reads
        case aiohttp.ServerDisconnectedError() if not isinstance(error.message, str):
            return IncompleteRead(b"")  # the message is the part of the head that came
        case aiohttp.ServerDisconnectedError():
            return RemoteDisconnected("nothing came")
        case aiohttp.ClientPayloadError():
            return IncompleteRead(b"")
        case OSError():  # some of aiohttp's are
            return OSError(error.errno, error.strerror)
        case aiohttp.ClientConnectionError():
            return RemoteDisconnected("the connection broke")
        case aiohttp.ClientError():
            return HTTPException("no http")
        case _:
            return error
