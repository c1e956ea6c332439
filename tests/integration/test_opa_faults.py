"""How the OPA client meets deadlines, broken connections, broken HTTP, threads and forks."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress

import pytest
from fault_server import ANSWER, INPUT, Exchange, replying, sending, serving
from ports import reserved_port

from bridge.errors import (
    EngineTimeoutError,
    EngineUnreachableError,
    InvalidResponseError,
)
from bridge.http.sockets import TimedSocket
from bridge.opa import OpaClient


class ServerClock:
    """A clock in place of the module `time`; the server and the pauses move it."""

    def __init__(self) -> None:
        self._now = 1_000.0

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds


def test_deadline_holds_for_all_repetitions_together(monkeypatch) -> None:
    """By a clock that the server and the pauses move: 40 s for each attempt, and the pauses between them."""
    clock = ServerClock()
    monkeypatch.setattr("bridge.http.retries.monotonic", clock.monotonic)
    monkeypatch.setattr("bridge.http.sockets.time", clock)
    monkeypatch.setattr("bridge.http.session.sleep", clock.sleep)

    def close_late(exchange: Exchange) -> None:
        clock.sleep(40)
        exchange.close()

    with (
        serving(close_late, deadline=100.0) as (server, client),
        pytest.raises(EngineTimeoutError, match=r"no whole answer within 100 s: raise the deadline"),
    ):
        client.query(("x",), INPUT)
    assert len(server.exchanges) == 3


def test_each_operation_may_last_as_long_as_is_left_of_the_call(monkeypatch) -> None:
    """By a clock that moves a second with each operation on the socket."""
    clock, limits = ServerClock(), []

    def limit(self: socket.socket, seconds: float) -> None:
        limits.append(seconds)
        clock.sleep(1)
        socket.socket.settimeout(self, seconds)

    monkeypatch.setattr("bridge.http.retries.monotonic", clock.monotonic)
    monkeypatch.setattr("bridge.http.sockets.time", clock)
    monkeypatch.setattr(TimedSocket, "settimeout", limit, raising=False)
    with serving(replying(ANSWER)) as (_, client):
        for deadline in (100.0, 50.0):
            limits.clear()
            client.query(("x",), INPUT, deadline=deadline)
            assert len(limits) >= 2
            assert limits == [deadline - number for number in range(len(limits))]


def test_no_answer_is_taken_for_the_answer_to_another_call() -> None:
    late = threading.Event()

    def answer(exchange: Exchange) -> None:
        if exchange.number == 0:
            late.wait()
            exchange.reply(b'{"result":"of the first"}')
        else:
            exchange.reply(b'{"result":"of the second"}')

    with serving(answer) as (_, client):
        with pytest.raises(EngineTimeoutError):
            client.query(("x",), INPUT, deadline=0.2)
        late.set()
        assert client.query(("x",), INPUT).result == "of the second"


def test_what_comes_after_an_answer_is_not_taken_for_the_next() -> None:
    def answer(exchange: Exchange) -> None:
        answers = (ANSWER, b'{"result":false}')
        exchange.send(b"".join(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(a), a) for a in answers))

    with serving(answer) as (_, client):
        assert [client.query(("x",), INPUT).result for _ in range(3)] == [True, True, True]


# --- broken connections and broken HTTP
@pytest.fixture
def closed_port():
    with reserved_port() as port:
        yield port


def test_wrong_port(closed_port) -> None:
    refused = r"^`{} /v1/data/x` at http://127\.0\.0\.1:\d+: connection refused: is opa running there"
    with OpaClient(f"http://127.0.0.1:{closed_port}") as client:
        with pytest.raises(EngineUnreachableError, match=refused.format("POST")):
            client.query(("x",), INPUT)
        with pytest.raises(EngineUnreachableError, match=refused.format("PUT")):
            client.put_data(("x",), b"1")


def test_unknown_host(monkeypatch) -> None:
    def unknown(*_args: object, **_settings: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with (
        OpaClient("http://opa.invalid:8181") as client,
        pytest.raises(EngineUnreachableError, match="name cannot be resolved"),
    ):
        client.query(("x",), INPUT, deadline=30.0)


def test_a_connection_that_is_refused_is_not_called_a_missed_deadline(closed_port) -> None:
    with OpaClient(f"http://127.0.0.1:{closed_port}", deadline=0.08) as client, pytest.raises(EngineUnreachableError):
        client.query(("x",), INPUT)


BROKEN = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + ANSWER, id="shorter than its length"),
    pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n" + ANSWER, id="no last chunk"),
    pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + ANSWER, id="half a chunk"),
]


@pytest.mark.parametrize("data", BROKEN)
def test_reads_are_repeated_twice_when_the_connection_breaks(data) -> None:
    with serving(sending(data)) as (server, client), pytest.raises(EngineUnreachableError, match="was closed"):
        client.query(("x",), INPUT)
    assert server.lines == ["POST /v1/data/x HTTP/1.1"] * 3
    assert [exchange.body for exchange in server.exchanges] == [INPUT] * 3


@pytest.mark.parametrize("data", BROKEN[:1])
@pytest.mark.parametrize(
    "write",
    [
        lambda client: client.put_data(("x",), b"1"),
        lambda client: client.patch_data(("x",), b"[]"),
        lambda client: client.delete_data(("x",)),
        lambda client: client.put_policy("x", "package x"),
        lambda client: client.delete_policy("x"),
    ],
)
def test_writes_are_never_repeated(data, write) -> None:
    with serving(sending(data)) as (server, client), pytest.raises(EngineUnreachableError):
        write(client)
    assert len(server.exchanges) == 1


@pytest.mark.parametrize(
    "read",
    [
        lambda client: client.query(("x",), INPUT),
        lambda client: client.get_data(("x",)),
        lambda client: client.list_policies(),
        lambda client: client.get_policy("x"),
        lambda client: client.health(),
        lambda client: client.version(),
        lambda client: client.compile("true"),
    ],
)
def test_every_read_is_repeated(read) -> None:
    with serving(sending(b"")) as (server, client), pytest.raises(EngineUnreachableError):
        read(client)
    assert len(server.exchanges) == 3


def test_a_connection_that_has_gone_stale_is_not_noticed() -> None:
    """The server closes it at the moment when the next request arrives."""

    def answer(exchange: Exchange) -> None:
        exchange.close() if exchange.number == 1 else exchange.reply(ANSWER)

    with serving(answer) as (server, client):
        assert [client.query(("x",), INPUT).result for _ in range(3)] == [True] * 3
        assert server.connections == 2
        assert len(server.exchanges) == 4


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", id="not http"),
        pytest.param(b"\x15\x03\x01\x00\x02\x02\x46\r\n", id="tls alert"),
        pytest.param(b"HTTP/1.1 abc\r\n\r\n", id="no status"),
        pytest.param(b"HTTP/1.1 20\r\n\r\n", id="half a status"),
        pytest.param(b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n", id="huge status line"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", id="huge header"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", id="many headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nContent-Length: 16\r\n\r\n" + ANSWER, id="two lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + ANSWER, id="no chunk size"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n" + ANSWER, id="negative chunk size"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 99_999, id="huge chunk size"),
    ],
)
def test_broken_http(data) -> None:
    with serving(sending(data)) as (_, client), pytest.raises(InvalidResponseError):
        client.query(("x",), INPUT)


def test_compressed_answers_are_neither_asked_for_nor_read() -> None:
    refused = "the answer has the content encoding `gzip`, which was not asked for"
    with (
        serving(replying(ANSWER, "200 OK", "Content-Encoding: gzip")) as (server, client),
        pytest.raises(InvalidResponseError, match=refused),
    ):
        client.query(("x",), INPUT)
    assert b"Accept-Encoding: identity" in server.exchanges[0].head


@pytest.mark.parametrize("framing", [b"Content-Length: 2000\r\n\r\n", b"\r\n"])
def test_answers_beyond_the_limit(framing) -> None:
    body = b'{"result":"' + b"x" * 1987 + b'"}'
    data = b"HTTP/1.1 200 OK\r\n" + framing + body
    with (
        serving(sending(data), max_answer=1999) as (_, client),
        pytest.raises(InvalidResponseError, match="larger than 1999 bytes"),
    ):
        client.query(("x",), INPUT)
    with serving(sending(data), max_answer=2000) as (_, client):
        assert len(client.query(("x",), INPUT).result) == 1987


def test_an_answer_without_end_is_given_up_at_the_limit() -> None:
    def endless(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while not exchange.over.is_set():
            exchange.send(b" " * 65536)

    with (
        serving(endless, max_answer=10_000_000, deadline=60.0) as (_, client),
        pytest.raises(InvalidResponseError, match="larger"),
    ):
        client.query(("x",), INPUT)


def test_a_length_beyond_the_limit_is_refused_before_it_comes() -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n")
        exchange.over.wait()

    with serving(answer, deadline=60.0) as (_, client), pytest.raises(InvalidResponseError, match="larger"):
        client.query(("x",), INPUT)


# --- threads and forks
def test_threads_share_a_client_and_get_their_own_answers() -> None:
    answered: list[tuple[int, object]] = []

    def echo(exchange: Exchange) -> None:
        exchange.reply(b'{"result":' + exchange.body + b"}")

    with serving(echo, deadline=30.0) as (server, client):
        start = threading.Barrier(12)

        def ask(thread: int) -> None:
            start.wait()
            for i in range(40):
                number = thread * 1000 + i
                answered.append((number, client.query(("x",), b"%d" % number).result))

        threads = [threading.Thread(target=ask, args=(thread,)) for thread in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answered) == 12 * 40
        assert all(sent == got for sent, got in answered)
        assert server.connections <= 12


def test_a_forked_child_opens_connections_of_its_own() -> None:
    def echo(exchange: Exchange) -> None:
        exchange.reply(b'{"result":' + exchange.body + b"}")

    with serving(echo) as (server, client):
        client.query(("x",), b"1")
        child = os.fork()
        if not child:
            status = 1
            with suppress(BaseException):
                status = 0 if client.query(("x",), b"2").result == 2 else 2
            os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert client.query(("x",), b"3").result == 3
        assert server.connections == 2
        assert [exchange.body for exchange in server.exchanges] == [b"1", b"2", b"3"]


@pytest.mark.parametrize("step", [-1, 1])
def test_a_process_with_a_smaller_or_a_greater_id_is_another_process(monkeypatch, step) -> None:
    """The system starts again at low process ids, so a child's id may be smaller."""
    with serving(replying(ANSWER)) as (server, client):
        client.query(("x",), INPUT)
        here = os.getpid()
        with monkeypatch.context() as context:
            context.setattr(os, "getpid", lambda: here + step)
            for _ in range(2):
                client.query(("x",), INPUT)
                assert server.connections == 2
