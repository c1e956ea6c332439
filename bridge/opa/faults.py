"""Foreign exceptions, told apart."""

from __future__ import annotations

import socket
import ssl
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from typing import Final

FOREIGN: Final = (HTTPException, OSError, ValueError)
"""All that an exchange can raise by way of `http.client` and what it stands on."""


def is_protocol_breach(error: BaseException) -> bool:
    """Whether the peer answered, but not in HTTP; ask `is_tls_failure` first, as some of those are ValueErrors."""
    return isinstance(error, (HTTPException, ValueError)) and not isinstance(
        error, (RemoteDisconnected, IncompleteRead)
    )


def is_tls_failure(error: BaseException) -> bool:
    """Whether the two sides could not agree on TLS; a connection that ends in the middle of TLS just broke."""
    return isinstance(error, ssl.SSLError) and not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))


def reason(error: BaseException) -> str:
    """What happened, in a few words, without addresses of objects or anything that was sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is refused: {error.verify_message}"
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, RemoteDisconnected)):
        return "the connection was closed before the answer"
    if isinstance(error, ssl.SSLError):
        return f"tls failed: {error.reason.lower().replace('_', ' ') if error.reason else 'unknown'}"
    if isinstance(error, socket.gaierror):
        return "the host's name cannot be resolved"
    if isinstance(error, IncompleteRead):
        return "the connection was closed in the middle of the answer"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "the connection broke"
