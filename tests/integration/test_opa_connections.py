"""How answers are told from each other on a connection that is kept, and which connections are not kept."""

from __future__ import annotations

import gc
import select
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from fault_server import Exchange, FaultServer

from bridge.errors import EngineUnreachableError, InvalidResponseError
from bridge.http.sockets import TimedSocket
from bridge.opa import OpaClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INPUT = b'{"input":{}}'
ANSWER = b'{"result":true}'
LENGTH = b"Content-Length: 15\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"5\r\n" + ANSWER[:5] + b"\r\nA ;x=y\r\n" + ANSWER[5:] + b"\r\n0\r\nTrailer: x\r\n\r\n"


@contextmanager
def serving(answer: Callable[[Exchange], None], **settings: object) -> Iterator[tuple[FaultServer, OpaClient]]:
    with FaultServer(answer) as server, OpaClient(server.url, **settings) as client:
        yield server, client


def sending(data: bytes) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.send(data)


def ending(data: bytes) -> Callable[[Exchange], None]:
    def answer(exchange: Exchange) -> None:
        exchange.send(data)
        exchange.close()

    return answer


@pytest.mark.parametrize(
    ("head", "is_kept"),
    [
        (b"HTTP/1.1 200 OK\r\n" + LENGTH, True),
        (b"HTTP/1.1 200 \r\n" + LENGTH, True),
        (b"HTTP/1.1 200\r\n" + LENGTH, True),
        (b"HTTP/1.1 200 OK\n" + LENGTH.lower().replace(b"\r", b"").replace(b" ", b"\t "), True),
        (b"HTTP/1.1 200 OK\r\nX:\r\nX-Y: \xff, a:b\r\n" + LENGTH, True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\n" + LENGTH, False),
        (b"HTTP/1.0 200 OK\r\n" + LENGTH, False),
        (b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n" + LENGTH, True),
    ],
)
def test_answers_of_a_known_length(head, is_kept) -> None:
    with serving(sending(head + b"\r\n" + ANSWER)) as (server, client):
        assert [client.query(("x",), INPUT).result for _ in range(3)] == [True] * 3
        assert server.connections == (1 if is_kept else 3)


def test_answers_in_chunks() -> None:
    with serving(sending(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n" + CHUNKS)) as (server, client):
        assert [client.query(("x",), INPUT).result for _ in range(3)] == [True] * 3
        assert server.connections == 1


def test_answers_that_end_with_the_connection() -> None:
    with serving(ending(b"HTTP/1.1 200 OK\r\n\r\n" + ANSWER)) as (server, client):
        assert [client.query(("x",), INPUT).result for _ in range(3)] == [True] * 3
        assert server.connections == len(server.exchanges) == 3


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(CHUNKED + LENGTH, id="a length and chunks"),
        pytest.param(CHUNKED.replace(b"chunked", b"gzip, chunked"), id="another coding"),
        pytest.param(CHUNKED + CHUNKED.replace(b"chunked", b"identity"), id="two codings"),
        pytest.param(b"Content-Length: 15, 15\r\n", id="a list of lengths"),
        pytest.param(b"Content-Length: +15\r\n", id="a signed length"),
        pytest.param(b"Content-Length: -1\r\n", id="a negative length"),
        pytest.param(b"Content-Length: 0x0f\r\n", id="a length in another base"),
        pytest.param(b"Content-Length: \xd9\xa1\xd9\xa5\r\n", id="a length in other digits"),
        pytest.param(b"Content-Length: " + b"1" * 30 + b"\r\n", id="a length beyond all bounds"),
        pytest.param(b"Content-Length:\r\n", id="an empty length"),
        pytest.param(b"X : 15\r\n" + LENGTH, id="a space behind the name"),
        pytest.param(LENGTH + b" folded\r\n", id="a folded line"),
        pytest.param(b"nonsense\r\n" + LENGTH, id="a line without a colon"),
        pytest.param(b"X: a\rContent-Length: 15\r\n", id="a bare carriage return"),
    ],
)
def test_a_head_that_can_be_read_in_two_ways_is_refused(head) -> None:
    with (
        serving(ending(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + ANSWER)) as (server, client),
        pytest.raises(InvalidResponseError, match="the answer is not HTTP"),
    ):
        client.query(("x",), INPUT)
    assert len(server.exchanges) == 1


@pytest.mark.parametrize("line", [b"HTTP/2 200 OK", b"HTTP/1.1  200 OK", b"HTTP/1.1 2000 OK", b"http/1.1 200 OK"])
def test_another_status_line_is_refused(line) -> None:
    with (
        serving(ending(line + b"\r\n" + LENGTH + b"\r\n" + ANSWER)) as (_, client),
        pytest.raises(InvalidResponseError),
    ):
        client.query(("x",), INPUT)


@pytest.mark.parametrize("size", [b"-5", b"+5", b"0x5", b"5_0", b" 5", b"", b"5 5", b"1" * 17, b"\xd9\xa5"], ids=ascii)
def test_a_chunk_of_another_size_is_refused(size) -> None:
    body = size + b"\r\n" + ANSWER[:5] + CHUNKS[8:]
    with (
        serving(ending(b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n" + body)) as (_, client),
        pytest.raises(InvalidResponseError, match="the answer is not HTTP"),
    ):
        client.query(("x",), INPUT)


@pytest.mark.parametrize(
    "data",
    [b"HTT", b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nConte", b"HTTP/1.1 200 OK\r\n" + LENGTH],
)
def test_a_connection_that_ends_in_the_head_has_broken(data) -> None:
    with (
        serving(ending(data)) as (server, client),
        pytest.raises(EngineUnreachableError, match="in the middle of the answ"),
    ):
        client.query(("x",), INPUT)
    assert len(server.exchanges) == 3


def test_what_comes_while_nothing_was_asked_is_not_taken_for_the_next_answer() -> None:
    first_answer_read, late_answer_sent = threading.Event(), threading.Event()

    def answer(exchange: Exchange) -> None:
        exchange.reply(ANSWER)
        if exchange.number == 0:
            first_answer_read.wait()
            exchange.reply(b'{"result":false}')
            late_answer_sent.set()

    with serving(answer) as (server, client):
        client.query(("x",), INPUT)
        [idle] = client._http._pool.pool._owned[1]
        first_answer_read.set()
        assert late_answer_sent.wait(60)
        assert select.select([idle.sock], [], [], 60)[0], "it does not arrive"
        assert client.query(("x",), INPUT).result is True
        assert server.connections == 2


@pytest.mark.parametrize("status", ["101 Switching Protocols"])
def test_a_switch_of_protocols_is_no_answer_and_ends_the_connection(status) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send(f"HTTP/1.1 {status}\r\nX: y\r\n\r\n".encode() if exchange.number == 0 else b"")
        exchange.reply(ANSWER)

    with serving(answer) as (server, client):
        with pytest.raises(InvalidResponseError, match=f"status {status[:3]}"):
            client.query(("x",), INPUT)
        assert client.query(("x",), INPUT).result is True
        assert server.connections == 2


def test_a_black_hole_among_the_addresses_of_a_host_leaves_time_for_the_others(monkeypatch) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as hole:
        waiting = []
        for _ in range(4):  # so many that no more fit into the queue
            sock = socket.socket()
            sock.setblocking(False)  # noqa: FBT003
            sock.connect_ex(hole.getsockname())
            waiting.append(sock)
        with serving(lambda exchange: exchange.reply(ANSWER), deadline=60.0) as (server, client):
            family = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            addresses = [(*family, hole.getsockname()), (*family, ("127.0.0.1", server.port))]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_settings: addresses)
            connect, limits = TimedSocket.connect_within, []

            def connect_within(self: TimedSocket, seconds: float, address: object) -> None:
                limits.append(seconds)
                connect(self, seconds if len(limits) > 1 else 0.1, address)  # half a minute is not waited for

            monkeypatch.setattr(TimedSocket, "connect_within", connect_within)
            assert client.query(("x",), INPUT).result is True
            assert 0 < limits[0] <= 30 < limits[1] <= 60
        for sock in waiting:
            sock.close()


def test_a_client_that_is_closed_meanwhile_keeps_no_connection() -> None:
    request_received, closed = threading.Event(), threading.Event()

    def answer(exchange: Exchange) -> None:
        request_received.set()
        closed.wait()
        exchange.reply(ANSWER)

    with serving(answer) as (_, client):
        results: list[object] = []
        thread = threading.Thread(target=lambda: results.append(client.query(("x",), INPUT).result))
        thread.start()
        assert request_received.wait(60)
        idle = client._http._pool.pool
        client.close()
        closed.set()
        thread.join()
        assert results == [True]
        assert len(idle) == 0


def test_the_connections_of_a_client_that_nobody_closed_end_with_it() -> None:
    ended = threading.Event()
    with FaultServer(lambda exchange: exchange.reply(ANSWER)) as server:
        forget = server._forget
        server._forget = lambda connection: (forget(connection), ended.set())
        client = OpaClient(server.url)
        client.query(("x",), INPUT)
        del client
        gc.collect()
        assert ended.wait(60)


def test_a_fresh_connection_takes_the_place_of_the_last_one() -> None:
    with serving(sending(b"HTTP/1.1 200 OK\r\n" + LENGTH + b"\r\n" + ANSWER)) as (server, client):
        for number in range(1, 4):
            assert client.query(("x",), INPUT, fresh=True).result is True
            assert client.get_data(("x",)) is True
            assert server.connections == number
        idle = client._http._pool.pool._owned[1]
        assert len(idle) == 1
        first = idle[0]
        assert client.get_data(("x",), fresh=True) is True
        assert first.sock is None
        assert idle[0] is not first


def test_a_fresh_connection_that_breaks_is_followed_by_another_one() -> None:
    def answer(exchange: Exchange) -> None:
        if exchange.number in (1, 2):
            exchange.close()
        else:
            exchange.reply(ANSWER)

    with serving(answer) as (server, client):
        assert client.get_data(("x",)) is True
        assert client.get_data(("x",), fresh=True) is True
        assert (server.connections, len(server.exchanges)) == (4, 4)
