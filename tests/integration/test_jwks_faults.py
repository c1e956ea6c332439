"""Key servers that fail, on the loopback interface: what a verifier answers, and when."""

import contextlib
import json
import socket
import threading
import time

import pytest
from clocks import Clock
from jwks_server import key_servers, made, unavailable, verifier
from ports import reserved_port
from token_making import CLAIMS, jwk_of

from bridge.errors import KeysUnavailableError
from bridge.tokens import JwksUrl


@pytest.fixture
def serve():
    with key_servers() as start:
        yield start


@pytest.fixture
def clock():
    return Clock()


def test_a_server_that_goes_away_after_the_keys_have_expired(serve, clock):
    server = serve(jwk_of("rsa", "a"))
    subject = verifier(JwksUrl(server.url, lifetime=300, interval=30, clock=clock))
    assert subject.verify(made()) == CLAIMS
    server.stop()
    clock.now += 299
    assert subject.verify(made()) == CLAIMS
    clock.now += 1
    for _ in range(2):
        with pytest.raises(KeysUnavailableError, match="connection refused"):
            subject.verify(made())
        clock.now += 40

    server.start()
    assert subject.verify(made()) == CLAIMS


def test_a_server_that_was_never_there(clock):
    with reserved_port() as port:
        unavailable(JwksUrl(f"http://127.0.0.1:{port}/keys", clock=clock), "connection refused")


def test_a_host_that_has_no_address(clock, monkeypatch):
    def lookup(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    unavailable(JwksUrl("https://keys.example.com/", clock=clock), "name cannot be resolved")


def test_no_thread_can_be_had_to_look_the_name_up(clock, monkeypatch):

    def start(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        unavailable(JwksUrl("https://keys.invalid/", clock=clock), "connection broke")


@pytest.mark.parametrize(
    ("body", "status", "headers", "cause"),
    [
        (b"", 200, {}, "not JSON: it is empty"),
        (b"<html>", 200, {}, "not JSON: it is a page of HTML or XML"),
        (b"nonsense", 200, {}, "not well-formed"),
        (b'{"keys":[', 200, {}, "not well-formed"),
        (b'{"keys":[],"keys":[]}', 200, {}, "R12.2"),
        (b'\xef\xbb\xbf{"keys":[]}', 200, {}, "byte order mark"),
        (b'{"keys":[NaN]}', 200, {}, "not well-formed"),
        (b'{"keys":' + b"[" * 100_000, 200, {}, "R12.4"),
        (b"{}", 200, {}, "not a JWK set"),
        (b"[]", 200, {}, "not a JWK set"),
        (b'{"keys":[5]}', 200, {}, "not a JWK set"),
        (b" " * 1_048_576 + b'{"keys":[]}', 200, {}, "larger than 1048576 bytes"),
        (b'{"keys":[]}', 201, {}, "status 201"),
        (b'{"keys":[]}', 404, {}, "status 404"),
        (b'{"keys":[]}', 302, {"Location": "/elsewhere"}, "status 302"),
        (b'{"keys":[]}', 200, {"Content_Encoding": "gzip"}, "content encoding `gzip`, which"),
    ],
)
def test_answers_that_are_no_keys(serve, clock, body, status, headers, cause):
    server = serve()
    server.answer = lambda handler: server.answer_with(handler, body, status, **headers)
    unavailable(JwksUrl(server.url, clock=clock), cause)
    assert [path for path, _ in server.requests] == ["/keys.json"]


def test_an_answer_in_chunks_is_whole_only_with_its_last_chunk(serve, clock):
    server = serve()
    text = json.dumps({"keys": [jwk_of("rsa", "a")]}).encode()

    def answer(handler, end):
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(text), text) + end)
        handler.close_connection = True

    server.answer = lambda handler: answer(handler, b"0\r\n\r\n")
    assert JwksUrl(server.url, clock=clock).key_for("a")
    server.answer = lambda handler: answer(handler, b"")
    unavailable(JwksUrl(server.url, clock=clock), "connection was closed in the middle of the answer")


def test_an_answer_that_breaks_off(serve, clock):
    server = serve()
    text = json.dumps({"keys": [jwk_of("rsa", "a")]}).encode()

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(text) + 1))
        handler.end_headers()
        handler.wfile.write(text)

    server.answer = answer
    unavailable(JwksUrl(server.url, clock=clock), "connection was closed in the middle of the answer")


def raw_server(serve, talk):
    """A server that says what `talk(send, gone)` sends, until the client is gone."""
    server = serve()

    def answer(handler):
        gone = threading.Event()

        def send(data):
            handler.connection.sendall(data)

        def listen():
            with contextlib.suppress(OSError):
                handler.connection.recv(1)
            gone.set()

        threading.Thread(target=listen, daemon=True).start()
        try:
            talk(send, gone)
        finally:  # to send may be what shows that the client is gone
            server.gone.set()

    server.gone = threading.Event()
    server.answer = answer
    return server


def drip(start):
    """Send `start`, then one byte each hundredth of a second for a minute, so that no single read ever takes long."""

    def talk(send, gone):
        send(start)
        for _ in range(6_000):
            if gone.wait(0.01):
                return
            send(b"x")

    return talk


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n",
    ],
    ids=["status line", "header", "body", "body without a length", "body of a redirect"],
)
def test_a_server_that_drips_is_left(serve, clock, start):
    server = raw_server(serve, drip(start))
    deadline, cause = (60, "status 302") if b"302" in start else (0.5, "within 0.5 s")
    unavailable(JwksUrl(server.url, deadline=deadline, clock=clock), cause)
    assert server.gone.wait(60)


def test_a_server_that_says_nothing_is_left_at_the_deadline(serve, clock):
    server = raw_server(serve, lambda _, gone: gone.wait(60))
    began = time.monotonic()
    unavailable(JwksUrl(server.url, deadline=0.5, clock=clock), "within 0.5 s")
    assert time.monotonic() - began >= 0.5
    assert server.gone.wait(60)


def test_a_server_that_accepts_and_never_shakes_hands(clock):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        unavailable(
            JwksUrl(f"https://127.0.0.1:{listening.getsockname()[1]}/", deadline=0.5, clock=clock), "within 0.5 s"
        )


def test_an_endless_body_is_left_at_its_bound(serve, clock):
    def talk(send, gone):
        send(b"HTTP/1.1 200 OK\r\n\r\n")
        while not gone.is_set():
            send(b" " * 65_536)

    server = raw_server(serve, talk)
    unavailable(JwksUrl(server.url, deadline=30, clock=clock), "larger than 1048576 bytes")
