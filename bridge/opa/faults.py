"""Foreign exceptions, told apart."""

from __future__ import annotations

import socket
import ssl
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from typing import TYPE_CHECKING, Final

from requests import RequestException
from requests.exceptions import InvalidHeader
from urllib3 import exceptions as urllib3

if TYPE_CHECKING:
    from collections.abc import Iterator

FOREIGN: Final = (RequestException, urllib3.HTTPError, HTTPException, OSError, ValueError)
"""All that a call can raise by way of `requests` and what it stands on."""


def is_protocol_breach(error: BaseException) -> bool:
    """Whether the peer answered, but not in HTTP; ask `is_tls_failure` first, as some of those are ValueErrors."""
    return any(
        isinstance(kind, (HTTPException, urllib3.InvalidHeader, InvalidHeader, ValueError))
        and not isinstance(kind, (RemoteDisconnected, IncompleteRead))
        for kind in _chain(error)
    )


def is_tls_failure(error: BaseException) -> bool:
    """Whether the two sides could not agree on TLS; a connection that ends in the middle of TLS just broke."""
    return any(
        isinstance(kind, ssl.SSLError) and not isinstance(kind, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
        for kind in _chain(error)
    )


def reason(error: BaseException) -> str:
    """What happened, in a few words, without addresses of objects or anything that was sent."""
    for kind in _chain(error):
        if isinstance(kind, ssl.SSLCertVerificationError):
            return f"the server's certificate is refused: {kind.verify_message}"
        if isinstance(kind, (ssl.SSLEOFError, ssl.SSLZeroReturnError, RemoteDisconnected)):
            return "the connection was closed before the answer"
        if isinstance(kind, ssl.SSLError):
            return f"tls failed: {(kind.reason or 'unknown').lower().replace('_', ' ')}"
        if isinstance(kind, socket.gaierror):
            return "the host's name cannot be resolved"
        if isinstance(kind, (IncompleteRead, urllib3.IncompleteRead)):
            return "the connection was closed in the middle of the answer"
    for kind in _chain(error):
        if isinstance(kind, OSError) and not _is_wrapper(kind) and kind.strerror:
            return kind.strerror.lower()
    return "the connection broke"


def _is_wrapper(error: BaseException) -> bool:
    """`requests` derives its exceptions from OSError."""
    return isinstance(error, RequestException)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and all that it wraps, in whichever of the ways in use, each once."""
    seen: set[int] = set()
    rest = [error]
    while rest:
        current = rest.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        wrapped = (getattr(current, "reason", None), *current.args, current.__cause__, current.__context__)
        rest += [inner for inner in wrapped if isinstance(inner, BaseException)]
