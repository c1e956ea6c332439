"""Failures of a call: the exceptions of other libraries, mapped to a few causes."""

from __future__ import annotations

import socket
import ssl
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from typing import Final

import requests
import urllib3

from bridge.errors import ConfigurationError
from bridge.http.framing import EncodedBodyError
from bridge.http.outcome import Cause, HttpRequestError

FOREIGN: Final = (HTTPException, OSError, ValueError, ConfigurationError, urllib3.exceptions.HTTPError)
"""Every exception that `requests`, urllib3, `http.client` and the sockets can raise in a call."""

_MAX_LINKS: Final = 20


def failure(error: BaseException) -> HttpRequestError:
    """Return the failure that an exception means, without a reference to it, as it may hold a secret of the request."""
    error = _root(error)
    text = _words(error)
    if isinstance(error, ConfigurationError):
        return HttpRequestError(Cause.SETTING, text)
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return HttpRequestError(Cause.TLS, text)
    if isinstance(error, RemoteDisconnected | IncompleteRead):
        return HttpRequestError(Cause.BROKEN, text)
    if isinstance(error, HTTPException | ValueError):  # some of TLS's are ValueErrors
        return HttpRequestError(Cause.INVALID, text)
    return HttpRequestError(
        Cause.REFUSED if isinstance(error, ConnectionRefusedError | socket.gaierror) else Cause.BROKEN, text
    )


def _root(error: BaseException) -> BaseException:
    """Return the exception of the standard library that caused those of requests and urllib3."""
    links, todo = 0, [error]
    while todo and links < _MAX_LINKS:
        one, links = todo.pop(0), links + 1
        if isinstance(one, IncompleteRead) or not isinstance(
            one, requests.RequestException | urllib3.exceptions.HTTPError
        ):
            return one
        around = (*one.args, getattr(one, "reason", None), one.__cause__, one.__context__)
        todo += [each for each in around if isinstance(each, BaseException)]
    return OSError()


def _words(error: BaseException) -> str:
    if isinstance(error, ConfigurationError):
        return str(error)
    if isinstance(error, EncodedBodyError):
        return f"the answer has the content encoding `{error}`, which was not asked for"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | RemoteDisconnected):
        return "the connection was closed before the answer"
    if isinstance(error, ssl.SSLError):
        return f"tls failed: {error.reason.lower().replace('_', ' ') if error.reason else 'unknown'}"
    if isinstance(error, socket.gaierror):
        return "the host's name cannot be resolved"
    if isinstance(error, IncompleteRead):
        return "the connection was closed in the middle of the answer"
    if isinstance(error, HTTPException | ValueError):
        return "the answer is not HTTP"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "the connection broke"
