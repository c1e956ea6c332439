"""What becomes of an attempt that failed, by its exception: which error, and whether another one is made."""

from __future__ import annotations

import errno
import socket
import ssl
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected

import pytest

from bridge.errors import EngineTimeoutError, EngineUnreachableError, InvalidResponseError
from bridge.opa import attempts
from bridge.opa.attempts import Attempts
from bridge.opa.faults import FOREIGN
from bridge.opa.settings import OpaSettings

REFUSED_CERTIFICATE = ssl.SSLCertVerificationError()
REFUSED_CERTIFICATE.verify_message = "it has expired"


def failure_of_tls(reason):
    error = ssl.SSLError(1, "secret")
    error.reason = reason
    return error


def settings():
    return OpaSettings.checked(
        "https://opa.example/team", token=None, ca=None, client_certificate=None, deadline=5.0, max_answer=100
    )


@pytest.fixture(autouse=True)
def now(monkeypatch):
    now = [1_000.0]
    monkeypatch.setattr(attempts, "monotonic", lambda: now[0])
    return now


def made(seconds=10.0, *, is_read=True):
    return Attempts(settings(), "GET", "/v1/data/x", seconds, is_read=is_read)


BROKEN = [
    (RemoteDisconnected("secret"), "the connection was closed before the answer"),
    (ssl.SSLEOFError(8, "secret"), "the connection was closed before the answer"),
    (ssl.SSLZeroReturnError(6, "secret"), "the connection was closed before the answer"),
    (IncompleteRead(b"secret"), "the connection was closed in the middle of the answer"),
    (socket.gaierror(-2, "Secret"), "the host's name cannot be resolved"),
    (OSError(errno.ECONNREFUSED, "Connection refused"), "connection refused"),
    (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "connection reset by peer"),
    (OSError("secret"), "the connection broke"),
    (TimeoutError("secret"), "the connection broke"),
]
REFUSED = [
    (REFUSED_CERTIFICATE, "the server's certificate is refused: it has expired"),
    (failure_of_tls("WRONG_VERSION_NUMBER"), "tls failed: wrong version number"),
    (failure_of_tls(None), "tls failed: unknown"),
]
ODD = [HTTPException("secret"), BadStatusLine("secret"), ValueError("secret"), UnicodeError("secret")]


@pytest.mark.parametrize(("error", "words"), BROKEN, ids=lambda value: type(value).__name__)
def test_a_connection_that_broke_is_made_again_twice_for_a_read(error, words):
    reading = made()
    for pause in (0.0, 0.1, None):
        fault, found = reading.after(error)
        assert type(fault) is EngineUnreachableError
        assert str(fault) == f"`GET /v1/data/x` at https://opa.example:443/team: {words}"
        assert found == pause
    assert made(is_read=False).after(error)[1] is None
    assert isinstance(error, FOREIGN)


@pytest.mark.parametrize(("error", "words"), REFUSED, ids=lambda value: type(value).__name__)
def test_two_sides_that_cannot_agree_on_tls_do_not_try_again(error, words):
    fault, pause = made().after(error)
    assert type(fault) is EngineUnreachableError
    assert (str(fault), pause) == (f"`GET /v1/data/x` at https://opa.example:443/team: {words}", None)
    assert isinstance(error, FOREIGN)


def test_what_nobody_foresaw_is_told_without_its_words():
    assert str(made().after(RuntimeError("secret"))[0]).endswith(": the connection broke")


@pytest.mark.parametrize("error", ODD, ids=repr)
def test_what_is_no_http_is_not_asked_for_again(error):
    fault, pause = made().after(error)
    assert type(fault) is InvalidResponseError
    assert (str(fault), pause) == ("`GET /v1/data/x`: the answer is no http", None)
    assert isinstance(error, FOREIGN)


@pytest.mark.parametrize("error", [RemoteDisconnected(), HTTPException(), REFUSED_CERTIFICATE], ids=repr)
@pytest.mark.parametrize("late", [10.0, 10.5])
def test_whatever_failed_at_the_deadline_is_a_missed_deadline(now, error, late):
    reading = made()
    now[0] += late
    fault, pause = reading.after(error)
    assert type(fault) is EngineTimeoutError
    assert str(fault) == "`GET /v1/data/x` at https://opa.example:443/team: no whole answer within 10 s"
    assert pause is None


def test_what_is_left(now):
    reading = made(2.5)
    assert (reading.end, reading.left) == (1_002.5, 2.5)
    now[0] += 3
    assert reading.left == -0.5


def test_no_attempt_is_made_when_its_pause_lasts_until_the_deadline(now):
    now[0] = 0.0
    for seconds, expected in ((0.1, None), (0.09, None), (0.11, 0.1)):
        reading = made(seconds)
        assert reading.after(RemoteDisconnected())[1] == 0.0
        fault, pause = reading.after(RemoteDisconnected())
        assert (type(fault), pause) == (EngineUnreachableError, expected)


def test_an_answer_that_is_too_large():
    assert str(made().too_large()) == "`GET /v1/data/x`: the answer is larger than 100 bytes"
