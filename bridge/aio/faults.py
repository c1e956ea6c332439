"""What aiohttp raises, as what `http.client` would have raised in its place."""

from __future__ import annotations

import socket
import ssl
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from typing import Final

import aiohttp

from bridge.http.failures import FOREIGN as OF_HTTP

FOREIGN: Final = (aiohttp.ClientError, *OF_HTTP)
"""All that an exchange can raise by way of aiohttp and what it stands on."""


def plain(error: Exception) -> Exception:
    """The same failure as one of the standard library's; it holds nothing that was sent."""
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
            return error.__cause__  # with TLS 1.3 a server refuses a client when that reads already
        case aiohttp.ServerDisconnectedError() if not isinstance(error.message, str):
            return IncompleteRead(b"")  # it is what there is of the head
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
