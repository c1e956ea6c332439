"""The asynchronous OPA client: deadlines, connections, retries and limits."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from async_tests import async_test, serving
from fault_server import ANSWER, INPUT, Exchange, FaultServer, replying, sending

from bridge import EngineError, EngineTimeoutError, EngineUnreachableError, UsageError
from bridge.aio import AsyncOpaClient
from bridge.errors import InvalidResponseError

if TYPE_CHECKING:
    from collections.abc import Iterator


# --- the deadline
@async_test
async def test_deadline_holds_for_all_repetitions_together(monkeypatch) -> None:
    """By a clock that the server moves: 40 s for each attempt."""
    now = [1_000.0]
    monkeypatch.setattr("bridge.http.retries.monotonic", lambda: now[0])

    def close_late(exchange: Exchange) -> None:
        now[0] += 40
        exchange.close()

    async with serving(close_late, deadline=100.0) as (server, client):
        with pytest.raises(EngineTimeoutError, match=r"no whole answer within 100 s: raise the deadline"):
            await client.query(("x",), INPUT)
        assert len(server.exchanges) == 3


@async_test
async def test_each_attempt_may_last_as_long_as_is_left_of_the_call(monkeypatch) -> None:
    now, limits, timeout = [1_000.0], [], asyncio.timeout

    def limit(seconds: float | None) -> asyncio.Timeout:
        if seconds is not None:  # aiohttp makes timeouts without a limit, too
            limits.append(seconds)
        return timeout(seconds)

    def close_late(exchange: Exchange) -> None:
        now[0] += 30
        exchange.close()

    async with serving(close_late, deadline=100.0) as (_, client):
        monkeypatch.setattr("bridge.http.retries.monotonic", lambda: now[0])
        monkeypatch.setattr("bridge.aio.async_client.asyncio.timeout", limit)
        with pytest.raises(EngineUnreachableError):
            await client.query(("x",), INPUT)
    assert limits == pytest.approx([100.001, 70.001, 40.001], abs=1e-6)


# --- connections
BROKEN = [
    b"",
    b"HTTP/1.1 200 OK\r\nConte",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + ANSWER,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n" + ANSWER,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + ANSWER,
]


@pytest.mark.parametrize("data", BROKEN)
@async_test
async def test_questions_are_repeated_twice_when_the_connection_breaks(data) -> None:
    async with serving(sending(data)) as (server, client):
        with pytest.raises(EngineUnreachableError, match="was closed"):
            await client.query(("x",), INPUT)
        assert server.lines == ["POST /v1/data/x HTTP/1.1"] * 3
        assert [exchange.body for exchange in server.exchanges] == [INPUT] * 3


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nContent-Length: 16\r\n\r\n" + ANSWER,
        b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n" + ANSWER,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + ANSWER,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n" + ANSWER,
    ],
)
@async_test
async def test_broken_http(data) -> None:
    async with serving(sending(data)) as (server, client):
        with pytest.raises(InvalidResponseError, match="the answer is not HTTP"):
            await client.query(("x",), INPUT)
        assert len(server.exchanges) == 1


@async_test
async def test_a_connection_that_has_gone_stale_is_not_noticed() -> None:
    def answer(exchange: Exchange) -> None:
        exchange.close() if exchange.number == 1 else exchange.reply(ANSWER)

    async with serving(answer) as (server, client):
        assert [(await client.query(("x",), INPUT)).result for _ in range(3)] == [True] * 3
        assert server.connections == 2
        assert len(server.exchanges) == 4


@async_test
async def test_nobody_listens() -> None:
    with FaultServer(None) as server:
        pass
    async with AsyncOpaClient(server.url) as client:
        with pytest.raises(EngineUnreachableError, match=r"^`POST /v1/data/x` at http://127\.0\.0\.1:\d+: connect"):
            await client.query(("x",), INPUT)


@pytest.mark.parametrize("framing", [b"Content-Length: 2000\r\n\r\n", b"\r\n"])
@async_test
async def test_answers_beyond_the_limit(framing) -> None:
    data = b"HTTP/1.1 200 OK\r\n" + framing + b'{"result":"' + b"x" * 1987 + b'"}'
    async with serving(sending(data), max_answer=1999) as (_, client):
        with pytest.raises(InvalidResponseError, match="larger than 1999 bytes"):
            await client.query(("x",), INPUT)
    async with serving(sending(data), max_answer=2000) as (_, client):
        assert len((await client.query(("x",), INPUT)).result) == 1987


@pytest.mark.parametrize("framing", [b"Content-Length: 3000013\r\n\r\n", b"\r\n"])
@async_test
async def test_an_answer_of_many_pieces_is_read_as_it_was_sent(framing) -> None:
    sent = "abc" * 1_000_000  # without a line's end
    async with serving(sending(b"HTTP/1.1 200 OK\r\n" + framing + b'{"result":"%b"}' % sent.encode())) as (_, client):
        assert (await client.query(("x",), INPUT)).result == sent


@async_test
async def test_a_connection_that_the_server_gives_up_is_not_kept() -> None:
    async with serving(replying(ANSWER, "200 OK", "Connection: close")) as (server, client):
        for connections in (1, 2):
            assert (await client.query(("x",), INPUT)).result is True
            assert server.connections == connections
            assert not client._http._idle


@async_test
async def test_a_connection_is_used_again_after_a_200_alone() -> None:
    statuses = ["200 OK", "200 OK", "500 Internal Server Error", "204 No Content", "403 Forbidden", "200 OK", "200 OK"]

    def answer(exchange: Exchange) -> None:
        status = statuses[exchange.number]
        exchange.reply(b"" if status.startswith("204") else ANSWER, status)

    async with serving(answer) as (server, client):
        counts = []
        for status in statuses:
            if status == "200 OK":
                await client.query(("x",), INPUT)
            else:
                with pytest.raises(EngineError):
                    await client.query(("x",), INPUT)
            counts.append(server.connections)
        assert counts == [1, 1, 1, 2, 3, 4, 4]


@async_test
async def test_what_comes_while_nothing_was_asked_is_not_taken_for_the_next_answer() -> None:
    first_answer_read, late_answer_sent = threading.Event(), threading.Event()

    def answer(exchange: Exchange) -> None:
        exchange.reply(ANSWER)
        if exchange.number == 0:
            first_answer_read.wait()
            exchange.reply(b'{"result":false}')
            late_answer_sent.set()

    async with serving(answer) as (server, client):
        await client.query(("x",), INPUT)
        [connection] = client._http._idle
        first_answer_read.set()
        await asyncio.to_thread(late_answer_sent.wait, 10)
        while connection.is_usable:  # noqa: ASYNC110 - until the loop has read it, of which nothing tells
            await asyncio.sleep(0)
        assert (await client.query(("x",), INPUT)).result is True
        assert server.connections == 2


@async_test
async def test_a_call_that_is_cancelled_leaves_nothing_behind() -> None:
    request_received, late = threading.Event(), threading.Event()

    def answer(exchange: Exchange) -> None:
        if exchange.number == 0:
            request_received.set()
            late.wait()
            exchange.reply(b'{"result":"of the first"}')
        else:
            exchange.reply(b'{"result":"of the second"}')

    async with serving(answer) as (server, client):
        task = asyncio.create_task(client.query(("x",), INPUT))
        await asyncio.to_thread(request_received.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        late.set()
        assert not client._http._idle
        assert (await client.query(("x",), INPUT)).result == "of the second"
        assert server.connections == 2


@async_test
async def test_a_call_that_is_cancelled_while_it_connects_or_sends() -> None:
    async with serving(None, deadline=30.0) as (_, client):
        for turns in (0, 1, 2, 5, 20, 200):
            task = asyncio.create_task(client.query(("x",), b" " * 8_000_000))
            for _ in range(turns):
                await asyncio.sleep(0)  # one turn of the loop
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert not client._http._idle


def sockets_to(port: int) -> list[socket.socket]:
    """The open sockets of this process that are connected to a port."""
    sockets = []
    for one in gc.get_objects():  # by their types: a weak proxy of what is gone raises if it is asked for its class
        if issubclass(type(one), socket.socket) and one.family == socket.AF_INET:
            with suppress(OSError):  # it is closed, or not connected
                sockets += [one] if one.getpeername()[1] == port else []
    return sockets


@async_test
async def test_a_call_that_ends_before_all_is_sent_leaves_no_socket_though_the_server_reads_nothing() -> None:
    async with serving(None) as (server, client):
        task = asyncio.create_task(client.query(("x",), b" " * 16_000_000, deadline=60.0))
        while not server.connections:
            assert not task.done()
            await asyncio.sleep(0)
        for _ in range(1_000):  # turns of the loop, in which it sends what the system takes
            await asyncio.sleep(0)
        assert not task.done()
        assert len(sockets_to(server.port)) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert not sockets_to(server.port)


@async_test
async def test_tasks_share_a_client_and_get_their_own_answers() -> None:
    async with serving(lambda exchange: exchange.reply(b'{"result":' + exchange.body + b"}"), deadline=30.0) as (
        server,
        client,
    ):

        async def ask(task: int) -> list[bool]:
            numbers = range(task * 1_000, task * 1_000 + 20)
            return [(await client.query(("x",), b"%d" % number)).result == number for number in numbers]

        assert await asyncio.gather(*map(ask, range(16))) == [[True] * 20] * 16
        assert server.connections <= 16


@async_test
async def test_a_closed_client_is_closed() -> None:
    async with serving(replying(ANSWER)) as (_, client):
        await client.query(("x",), INPUT)
        await client.close()
        await client.close()
        with pytest.raises(UsageError, match="closed"):
            await client.query(("x",), INPUT)


def test_a_client_belongs_to_one_event_loop() -> None:
    with FaultServer(replying(ANSWER)) as server, asyncio.Runner() as first:
        client = AsyncOpaClient(server.url)
        first.run(client.query(("x",), INPUT))
        with pytest.raises(UsageError, match="another event loop"):
            _in_another_thread(client.query(("x",), INPUT))
        first.run(client.close())


def _in_another_thread(call) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(call)
        except UsageError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    raise errors[0]


# --- how long, how often, how many
@async_test
async def test_the_pauses_between_attempts(monkeypatch) -> None:
    pauses, sleep = [], asyncio.sleep

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    async with serving(lambda exchange: exchange.close()) as (server, client):
        monkeypatch.setattr("bridge.aio.async_client.asyncio.sleep", pause)
        with pytest.raises(EngineUnreachableError, match="closed before the answer"):
            await client.query(("x",), INPUT)
        monkeypatch.undo()
        assert pauses == [0.0, 0.1]
        assert len(server.exchanges) == 3


@async_test
async def test_a_deadline_that_passes() -> None:
    async with serving(lambda exchange: exchange.over.wait()) as (server, client):
        with pytest.raises(
            EngineTimeoutError, match=r"^`POST /v1/data/x` at http://127.*: no whole answer within 0.1 s"
        ):
            await client.query(("x",), INPUT, deadline=0.1)
        assert len(server.exchanges) <= 1


@pytest.fixture
def small_threads() -> Iterator[None]:
    before = threading.stack_size(1 << 18)
    yield
    threading.stack_size(before)


@pytest.mark.usefixtures("small_threads")
@async_test
async def test_connections_are_kept_up_to_64() -> None:
    together = threading.Barrier(66)

    def answer(exchange: Exchange) -> None:
        together.wait(60)
        exchange.reply(ANSWER)

    async with serving(answer, deadline=60.0) as (server, client):
        await asyncio.gather(*(client.query(("x",), INPUT) for _ in range(66)))
        assert server.connections == 66
        assert len(client._http._idle) == 64
        await client.close()
        assert not client._http._idle


@async_test
async def test_an_idle_connection_is_kept_for_50_seconds(monkeypatch) -> None:
    now = 0.0
    monkeypatch.setattr("aiohttp.connector.monotonic", lambda: now)
    monkeypatch.setattr("bridge.aio.async_connection.monotonic", lambda: now)
    monkeypatch.setattr("bridge.aio.async_client.monotonic", lambda: now)
    async with serving(replying(ANSWER)) as (server, client):
        for idle, connections in ((0, 1), (50, 1), (50.5, 2)):
            now += idle
            await client.query(("x",), INPUT)
            assert server.connections == connections


@async_test
async def test_nothing_but_the_deadline_bounds_a_call() -> None:
    async with serving(replying(ANSWER)) as (_, client):
        await client.query(("x",), INPUT)
        [connection] = client._http._idle
        timeout = connection.session.timeout
        assert (timeout.total, timeout.connect, timeout.sock_connect, timeout.sock_read) == (None, None, None, None)


@async_test
async def test_a_client_that_is_closed_meanwhile_keeps_no_connection() -> None:
    request_received, closed = threading.Event(), threading.Event()

    def answer(exchange: Exchange) -> None:
        request_received.set()
        closed.wait(60)
        exchange.reply(ANSWER)

    async with serving(answer, deadline=60.0) as (server, client):
        task = asyncio.create_task(client.query(("x",), INPUT))
        await asyncio.to_thread(request_received.wait, 60)
        await client.close()
        closed.set()
        assert (await task).result is True
        assert not client._http._idle
        assert server.connections == 1


@pytest.mark.parametrize("ends", ["cancelled", "late", "too large", "closed"])
@async_test
async def test_the_server_sees_the_end_at_once(ends) -> None:
    request_received, ended = threading.Event(), threading.Event()

    def answer(exchange: Exchange) -> None:
        request_received.set()
        if ends == "too large":
            exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        if ends == "closed":
            exchange.reply(ANSWER)
        else:
            while exchange.connection.recv(1):
                pass
            ended.set()

    async with serving(answer, deadline=60.0, max_answer=100) as (server, client):
        forget = server._forget
        server._forget = lambda connection: (forget(connection), ended.set())
        task = asyncio.create_task(client.query(("x",), INPUT, deadline=0.1 if ends == "late" else None))
        if ends == "cancelled":
            await asyncio.to_thread(request_received.wait, 60)
            task.cancel()
        with suppress(asyncio.CancelledError, EngineError):
            await task
        if ends == "closed":
            await client.close()
        assert await asyncio.to_thread(ended.wait, 60) or ends == "late"


def test_what_a_client_is_made_with() -> None:
    client = AsyncOpaClient("http://OPA.example/x", deadline=7)
    assert (repr(client), client.url, client.deadline) == (
        "AsyncOpaClient('http://opa.example:80/x')",
        "http://opa.example:80/x",
        7.0,
    )
    with client.synchronous() as waiting:
        assert (waiting.url, waiting.deadline) == (client.url, 7.0)


@pytest.mark.parametrize(("deadline", "body"), [(0, INPUT), (-1, INPUT), (None, "text"), (None, {})])
@async_test
async def test_misuse(deadline, body) -> None:
    async with serving(replying(ANSWER)) as (server, client):
        with pytest.raises(UsageError):
            await client.query(("x",), body, deadline=deadline)
        assert server.connections == 0
