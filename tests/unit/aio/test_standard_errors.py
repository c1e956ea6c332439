"""What aiohttp raises, as what the synchronous client meets in its place."""

from __future__ import annotations

import errno
import socket
import ssl
from http.client import HTTPException, IncompleteRead, RemoteDisconnected

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from bridge.aio.async_connection import FOREIGN, standard_error

KEY = ConnectionKey("opa.example", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None)
CERTIFICATE = ssl.SSLCertVerificationError("expired")
OF_TLS = ssl.SSLError(1, "no")
REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "same"),
    [
        (aiohttp.ClientConnectorCertificateError(KEY, CERTIFICATE), CERTIFICATE),
        (aiohttp.ClientConnectorSSLError(KEY, OF_TLS), OF_TLS),
        (aiohttp.ClientConnectorError(KEY, REFUSED), REFUSED),
        (OF_TLS, OF_TLS),
        (caused(aiohttp.ClientOSError(1, "no"), OF_TLS), OF_TLS),
    ],
)
def test_what_is_inside_is_given(error, same):
    assert standard_error(error) is same
    assert isinstance(error, FOREIGN)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (aiohttp.ClientConnectorDNSError(KEY, OSError(2, "secret")), socket.gaierror),
        (aiohttp.ServerDisconnectedError("secret"), RemoteDisconnected),
        (aiohttp.ClientPayloadError("secret"), IncompleteRead),
        (aiohttp.ClientConnectionError("secret"), RemoteDisconnected),
        (aiohttp.ClientError("secret"), HTTPException),
        (aiohttp.ClientResponseError(None, (), message="secret"), HTTPException),
        (aiohttp.InvalidURL("secret"), HTTPException),
    ],
)
def test_the_same_failure_without_what_was_sent(error, kind):
    same = standard_error(error)
    assert type(same) is kind
    assert "secret" not in f"{same!r} {vars(same)}"
    assert getattr(same, "partial", b"") == b""
    assert isinstance(error, FOREIGN)


@pytest.mark.parametrize(
    "error",
    [
        aiohttp.ClientOSError(errno.EPIPE, "Broken pipe"),
        caused(aiohttp.ClientOSError(errno.EPIPE, "Broken pipe"), OSError("secret")),
        BrokenPipeError(errno.EPIPE, "Broken pipe", "secret"),
    ],
)
def test_a_failure_of_the_system_keeps_its_number_and_words(error):
    same = standard_error(error)
    assert isinstance(same, OSError)
    assert (same.errno, same.strerror, same.filename, same.__cause__) == (errno.EPIPE, "Broken pipe", None, None)


@pytest.mark.parametrize("error", [HTTPException("x"), ValueError("x")])
def test_others_stay_what_they_are(error):
    assert standard_error(error) is error
    assert isinstance(error, FOREIGN)
