"""What becomes of an attempt that failed: which cause, and whether another one is made."""

from __future__ import annotations

import errno
import socket
import ssl
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected

import pytest
import requests
import urllib3

from bridge.errors import ConfigurationError
from bridge.http import Cause, retries
from bridge.http.failures import FOREIGN
from bridge.http.framing import EncodedBodyError
from bridge.http.retries import Attempts

REFUSED_CERTIFICATE = ssl.SSLCertVerificationError()
REFUSED_CERTIFICATE.verify_message = "it has expired"


def failure_of_tls(reason):
    error = ssl.SSLError(1, "secret")
    error.reason = reason
    return error


def wrapped(error):
    """As urllib3 and requests hand a failure on."""
    return requests.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted: secret", error))


def raised(error):
    """As they hand it on by `raise from`."""
    try:
        try:
            raise error
        except type(error) as cause:
            raise urllib3.exceptions.ReadTimeoutError(None, None, "secret") from cause
    except urllib3.exceptions.ReadTimeoutError as outer:
        return outer


@pytest.fixture(autouse=True)
def now(monkeypatch):
    now = [1_000.0]
    monkeypatch.setattr(retries, "monotonic", lambda: now[0])
    return now


CAUSES = [
    (RemoteDisconnected("secret"), Cause.BROKEN, "the connection was closed before the answer"),
    (ssl.SSLEOFError(8, "secret"), Cause.BROKEN, "the connection was closed before the answer"),
    (ssl.SSLZeroReturnError(6, "secret"), Cause.BROKEN, "the connection was closed before the answer"),
    (IncompleteRead(b"secret"), Cause.BROKEN, "the connection was closed in the middle of the answer"),
    (
        urllib3.exceptions.ProtocolError("secret", urllib3.exceptions.IncompleteRead(1, 2)),
        Cause.BROKEN,
        "the connection was closed in the middle of the answer",
    ),
    (socket.gaierror(-2, "Secret"), Cause.REFUSED, "the host's name cannot be resolved"),
    (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), Cause.REFUSED, "connection refused"),
    (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), Cause.BROKEN, "connection reset by peer"),
    (OSError("secret"), Cause.BROKEN, "the connection broke"),
    (TimeoutError("secret"), Cause.BROKEN, "the connection broke"),
    (urllib3.exceptions.ClosedPoolError(None, "secret"), Cause.BROKEN, "the connection broke"),
    (REFUSED_CERTIFICATE, Cause.TLS, "the server's certificate is refused: it has expired"),
    (failure_of_tls("WRONG_VERSION_NUMBER"), Cause.TLS, "tls failed: wrong version number"),
    (failure_of_tls(None), Cause.TLS, "tls failed: unknown"),
    (HTTPException("secret"), Cause.INVALID, "the answer is not HTTP"),
    (BadStatusLine("secret"), Cause.INVALID, "the answer is not HTTP"),
    (ValueError("secret"), Cause.INVALID, "the answer is not HTTP"),
    (UnicodeError("secret"), Cause.INVALID, "the answer is not HTTP"),
    (EncodedBodyError("gzip"), Cause.INVALID, "the answer has the content encoding `gzip`, which was not asked for"),
    (ConfigurationError("`ca`: no"), Cause.SETTING, "`ca`: no"),
]


@pytest.mark.parametrize("hand_on", [lambda error: error, wrapped, raised], ids=["plain", "wrapped", "raised"])
@pytest.mark.parametrize(("error", "cause", "words"), CAUSES, ids=lambda value: type(value).__name__)
def test_what_failed_and_whether_a_read_is_repeated(error, cause, words, hand_on):
    error = hand_on(error)
    reading = Attempts(10.0, is_read=True)
    for pause in (0.0, 0.1, None):
        failure, actual_pause = reading.after(error)
        assert (failure.cause, str(failure)) == (cause, words)
        assert (failure.__cause__, failure.__context__) == (None, None)
        assert actual_pause == (pause if cause in (Cause.BROKEN, Cause.REFUSED) else None)
    assert Attempts(10.0, is_read=False).after(error)[1] is None
    assert isinstance(error, FOREIGN)


@pytest.mark.parametrize("error", [RemoteDisconnected(), HTTPException(), REFUSED_CERTIFICATE], ids=repr)
@pytest.mark.parametrize("late", [10.0, 10.5])
def test_whatever_failed_at_the_deadline_is_a_missed_deadline(now, error, late):
    reading = Attempts(10.0, is_read=True)
    now[0] += late
    failure, pause = reading.after(error)
    assert (failure.cause, str(failure), pause) == (Cause.TIMEOUT, "no whole answer within 10 s", None)


def test_no_attempt_is_made_when_its_pause_lasts_until_the_deadline(now):
    now[0] = 0.0
    for seconds, expected in ((0.1, None), (0.09, None), (0.11, 0.1)):
        reading = Attempts(seconds, is_read=True)
        assert reading.after(RemoteDisconnected())[1] == 0.0
        assert reading.after(RemoteDisconnected())[1] == expected


@pytest.mark.parametrize("status", [502, 503, 504])
def test_what_a_gateway_answers_is_repeated_for_reads(now, status):
    now[0] = 0.0
    reading = Attempts(10.0, is_read=True)
    assert [reading.after_status(status) for _ in range(3)] == [0.1, 0.4, None]
    assert Attempts(10.0, is_read=False).after_status(status) is None
    assert Attempts(0.3, is_read=True).after_status(status) == 0.1
    assert Attempts(0.1, is_read=True).after_status(status) is None


@pytest.mark.parametrize("status", [200, 400, 401, 404, 413, 500, 501, 505])
def test_other_answers_are_not_repeated(status):
    assert Attempts(10.0, is_read=True).after_status(status) is None


def test_what_is_left(now):
    reading = Attempts(2.5, is_read=True)
    assert (reading.end, reading.left) == (1_002.5, 2.5)
    now[0] += 3
    assert reading.left == -0.5
