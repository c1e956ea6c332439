"""The client's deadline, waited for: a second each, with servers that do what no real OPA does."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from contextlib import suppress

import pytest
from fault_server import INPUT, Exchange, FaultServer, ends_by_deadline, serving
from loopback_certificates import Authority

from bridge.opa import OpaClient

SECONDS = 1.0
LARGE = b" " * 64_000_000


def wait_for_end(exchange: Exchange) -> None:
    exchange.over.wait()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1300\r\n\r\n"
LONG_HEAD = b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1_200


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(wait_for_end, id="never answers"),
        pytest.param(lambda exchange: exchange.drip(LONG_HEAD), id="drips the head"),
        pytest.param(lambda exchange: exchange.drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 50), id="drips other heads"),
        pytest.param(lambda exchange: (exchange.send(HEAD), exchange.drip(b" " * 1_200)), id="drips the body"),
        pytest.param(
            lambda exchange: (
                exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
                exchange.drip(b"1\r\n \r\n" * 200),
            ),
            id="drips chunks",
        ),
        pytest.param(
            lambda exchange: (exchange.send(b"HTTP/1.1 200 OK\r\n\r\n"), exchange.drip(b" " * 1_200)),
            id="drips a body without a length",
        ),
    ],
)
@pytest.mark.parametrize("per_call", [False, True])
def test_deadline(answer, per_call) -> None:
    with serving(answer, deadline=60.0 if per_call else SECONDS) as (_, client), ends_by_deadline(SECONDS):
        client.query(("x",), INPUT, deadline=SECONDS if per_call else None)


def test_deadline_of_a_server_that_does_not_read() -> None:
    with serving(None, deadline=SECONDS) as (_, client), ends_by_deadline(SECONDS):
        client.put_data(("x",), LARGE)


def test_deadline_of_a_server_that_does_not_accept() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = [_connecting(address) for _ in range(4)]  # so many that no more fit into the queue
        try:
            with OpaClient(f"http://127.0.0.1:{address[1]}", deadline=SECONDS) as client, ends_by_deadline(SECONDS):
                client.query(("x",), INPUT)
        finally:
            for sock in waiting:
                sock.close()


def _connecting(address: tuple[str, int]) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)  # noqa: FBT003
    with suppress(BlockingIOError):
        sock.connect(address)
    select.select([], [sock], [], 0.05)
    return sock


def test_deadline_of_a_name_server_that_does_not_answer(monkeypatch) -> None:
    over = threading.Event()
    real = socket.getaddrinfo

    def never(host: str, *args: object, **settings: object) -> object:
        if not settings.get("flags"):
            over.wait(60)
        return real("127.0.0.1" if over.is_set() else host, *args, **settings)

    monkeypatch.setattr(socket, "getaddrinfo", never)
    with OpaClient("http://opa.invalid:8181", deadline=SECONDS) as client, ends_by_deadline(SECONDS):
        client.query(("x",), INPUT)
    over.set()


def test_deadline_of_a_server_that_does_not_shake_hands() -> None:
    with (
        FaultServer(None) as server,
        OpaClient(server.url.replace("http", "https"), deadline=SECONDS) as client,
        ends_by_deadline(SECONDS),
    ):
        client.query(("x",), INPUT)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("fault-server"))
    return context


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(wait_for_end, id="never answers"),
        pytest.param(lambda exchange: exchange.drip(LONG_HEAD), id="drips the head"),
        pytest.param(lambda exchange: (exchange.send(HEAD), exchange.drip(b" " * 1_200)), id="drips the body"),
    ],
)
def test_deadline_over_tls(answer, tls, authority) -> None:
    with (
        FaultServer(answer, tls) as server,
        OpaClient(server.url, ca=authority.file, deadline=SECONDS) as client,
        ends_by_deadline(SECONDS),
    ):
        client.query(("x",), INPUT)


def read_no_more(exchange: Exchange) -> None:
    exchange.reply(b"{}")
    exchange.over.wait()


def read_slowly(exchange: Exchange) -> None:
    exchange.reply(b"{}")
    while not exchange.over.wait(0.05):
        exchange.connection.recv(32768)


@pytest.mark.parametrize("answer", [read_no_more, read_slowly])
@pytest.mark.parametrize("is_tls", [False, True])
def test_deadline_of_a_server_that_does_not_take_a_large_body(answer, is_tls, tls, authority) -> None:
    with (
        FaultServer(answer, tls if is_tls else None) as server,
        OpaClient(server.url, ca=authority.file if is_tls else None, deadline=60.0) as client,
    ):
        client.put_data(("x",), b"1")
        with ends_by_deadline(SECONDS):
            client.put_data(("x",), LARGE, deadline=SECONDS)
