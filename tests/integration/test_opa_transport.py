"""What the OPA client sends, on which connection, how often, and until when."""

from __future__ import annotations

import errno
import io
import json
import select
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest
from fault_server import ANSWER, INPUT, NONCE, TOKEN, Exchange, FaultServer, replying, serving
from loopback_certificates import Authority

from bridge.errors import EngineTimeoutError, EngineUnreachableError, InvalidResponseError, OpaStatusError, UsageError
from bridge.http.connection import Connection
from bridge.http.sockets import TimedSocket, TimedTlsSocket, time_left
from bridge.opa import OpaClient
from bridge.opa.queries import RulesQuery

if TYPE_CHECKING:
    from collections.abc import Iterator
from opa_clock import SAFETY, OpaClock


@pytest.fixture
def clock(monkeypatch) -> OpaClock:
    return OpaClock(monkeypatch)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server"))
    return context


# --- what is sent
def test_the_bytes_of_a_request() -> None:
    wanted = [(ANSWER,), (ANSWER,), (b"", "204 No Content"), (b"", "204 No Content")]
    with FaultServer(lambda exchange: exchange.reply(*wanted[exchange.number])) as server:
        fields = f"Host: 127.0.0.1:{server.port}\r\nAccept-Encoding: identity\r\nUser-Agent: jwt-policy-bridge"
        with OpaClient(f"{server.url}/team", token=TOKEN) as client:
            client.query(("x",), INPUT)
            client.get_data(("a", "b"))
        with OpaClient(server.url) as client:
            client.put_data(("x",), b"1")
            client.create_data(("x",), b"1")
    secret, json_ = f"\r\nAuthorization: Bearer {TOKEN}", "\r\nContent-Type: application/json\r\nContent-Length: "
    lines = [set(exchange.head.decode().split("\r\n")) for exchange in server.exchanges]
    alone = {f"{fields}{json_}1".replace("Content-Length", "Connection: close\r\nContent-Length")}
    alone = set(alone.pop().split("\r\n"))
    assert lines[1:] == [
        {"GET /team/v1/data/a/b HTTP/1.1", *f"{fields}{secret}".split("\r\n")},
        {"PUT /v1/data/x HTTP/1.1", *alone},
        {"PUT /v1/data/x HTTP/1.1", "If-None-Match: *", *alone},
    ]
    assert [exchange.body for exchange in server.exchanges] == [INPUT, b"", b"1", b"1"]
    assert [exchange.head.decode() for exchange in server.exchanges[:1]] == [
        f"POST /team/v1/data/x HTTP/1.1\r\n{fields}{secret}{json_}{len(INPUT)}",
    ]


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 3_000_000])
def test_a_body_arrives_whole(size) -> None:
    body = b"x" * size
    with serving(replying(ANSWER), deadline=SAFETY) as (server, client):
        assert client.query(("x",), body).result is True
        assert server.exchanges[0].body == body


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.put_data(("x",), b" " * 100_000),
        lambda client: client.query(("x",), b" " * 100_000),
    ],
    ids=["put", "query"],
)
@pytest.mark.parametrize("breaks", [BrokenPipeError, ConnectionResetError])
def test_a_server_that_does_not_read_a_large_body_may_still_say_why(monkeypatch, breaks, call) -> None:
    errnos = {BrokenPipeError: errno.EPIPE, ConnectionResetError: errno.ECONNRESET}

    def answer(connection: socket.socket) -> None:
        while b"\r\n\r\n" not in connection.recv(65_536):
            pass
        connection.sendall(b'HTTP/1.1 413 No\r\nContent-Length: 20\r\n\r\n{"code":"too_large"}')
        connection.shutdown(socket.SHUT_WR)

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                answer(connection)
                done.wait(SAFETY)

        done = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        with OpaClient(f"http://127.0.0.1:{listener.getsockname()[1]}", deadline=SAFETY) as client:
            send = Connection.send  # what is sent breaks as it does where the peer has closed its side

            def send_head_alone(self: Connection, data: bytes) -> None:
                send(self, data[:1_000])
                if b"\r\n\r\n" in data or data[:1] == b" ":
                    raise breaks(breaks().errno or errnos[breaks], "broken")

            monkeypatch.setattr(Connection, "send", send_head_alone)
            with pytest.raises(OpaStatusError) as caught:
                call(client)
        done.set()
        thread.join()
    assert (caught.value.status, caught.value.opa_code) == (413, "too_large")


@pytest.mark.parametrize("error", [BrokenPipeError, ConnectionResetError])
def test_a_connection_that_cannot_be_made_answers_nothing(monkeypatch, error) -> None:
    def refuse(*_: object) -> None:
        raise error(104, "Reset at once")

    monkeypatch.setattr(TimedSocket, "connect_within", refuse)
    with OpaClient("http://127.0.0.1:1") as client:
        for call in (client.put_data, client.query):
            with pytest.raises(EngineUnreachableError, match="reset at once"):
                call(("x",), b"1")


def test_packets_are_not_held_back() -> None:
    with serving(replying(ANSWER)) as (_, client):
        client.query(("x",), INPUT)
        [idle] = client._http._pool.pool._owned[1]
        assert idle.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# --- which answer belongs to which question
def test_each_attempt_asks_with_a_nonce_of_its_own() -> None:
    def answer(exchange: Exchange) -> None:
        exchange.close() if exchange.number < 2 else exchange.reply(b'{"result":"%b"}' % NONCE.encode())

    with serving(answer) as (server, client):
        reply = client.query(("x",), RulesQuery(b'{"a":1}'))
    with serving(replying(ANSWER)) as (_, client):
        assert client.query(("x",), INPUT).nonce is None
    nonces = [exchange.nonce for exchange in server.exchanges]
    assert len(set(nonces)) == 3
    assert reply.nonce == reply.result == nonces[2]
    assert [json.loads(exchange.body)["input"]["a"] for exchange in server.exchanges] == [1] * 3


def test_after_an_answer_without_the_nonce_the_connection_is_not_used_again() -> None:
    bodies = [NONCE.encode(), NONCE.encode(), b"another", NONCE.encode(), NONCE.encode()]

    with serving(lambda exchange: exchange.reply(b'{"result":"%b"}' % bodies[exchange.number])) as (server, client):
        counts = []
        for _ in bodies:
            client.query(("x",), RulesQuery(b"{}"))
            counts.append(server.connections)
        assert counts == [1, 1, 1, 2, 2]


@pytest.mark.parametrize("has_poll", [True, False])
def test_a_connection_on_which_something_came_unasked_is_not_used(monkeypatch, has_poll) -> None:
    if not has_poll:
        monkeypatch.delattr(select, "poll")
    unasked = b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + b'{"result":false}'

    def answer(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n" + ANSWER + unasked * 500)

    with serving(answer) as (server, client):
        for number in range(1, 4):
            assert client.query(("x",), INPUT).result is True
            assert server.connections == number


@pytest.mark.parametrize("has_poll", [True, False])
def test_nobody_waits_for_what_may_come_unasked(monkeypatch, has_poll) -> None:
    """With `poll`, which knows file descriptors above 1,023, where there is one."""
    waits: list[object] = []
    poll, look = select.poll, select.select

    class Poll:
        def __init__(self) -> None:
            self._poll = poll()
            self.register = self._poll.register

        def poll(self, milliseconds: float) -> object:
            waits.append(milliseconds)
            return self._poll.poll(milliseconds)

    def selected(*args: object) -> object:
        waits.append(args[3])
        return look(*args)

    monkeypatch.setattr(select, "poll", Poll)
    if not has_poll:
        monkeypatch.delattr(select, "poll")
    monkeypatch.setattr(select, "select", None if has_poll else selected)
    with serving(replying(ANSWER)) as (server, client):
        assert [client.query(("x",), INPUT).result for _ in range(3)] == [True] * 3
        assert server.connections == 1
        assert waits == [0, 0]


@pytest.mark.parametrize("size", [io.DEFAULT_BUFFER_SIZE + 1, 16_000])
def test_what_came_unasked_and_is_decrypted_already_ends_the_connection(tls, authority, size) -> None:
    """In one record with the answer: the socket itself has nothing more to read."""
    unasked = b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + b'{"result":false}'

    def answer(exchange: Exchange) -> None:
        exchange.send((b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n" + ANSWER + unasked * 500)[:size])

    with FaultServer(answer, tls) as server, OpaClient(server.url, ca=authority.file, deadline=SAFETY) as client:
        for number in range(1, 4):
            assert client.query(("x",), INPUT).result is True
            assert server.connections == number


def test_a_connection_over_tls_is_used_again(tls, authority) -> None:
    with (
        FaultServer(replying(ANSWER), tls) as server,
        OpaClient(server.url, ca=authority.file, deadline=SAFETY) as client,
    ):
        assert [client.query(("x",), INPUT).result for _ in range(3)] == [True] * 3
        assert server.connections == 1


def test_a_certificate_that_is_refused_ends_the_connection(tls, tmp_path) -> None:
    ended = threading.Event()
    with FaultServer(replying(ANSWER), tls) as server:
        forget = server._forget
        server._forget = lambda connection: (forget(connection), ended.set())
        with OpaClient(server.url, ca=Authority(tmp_path).file, deadline=SAFETY) as client:
            with pytest.raises(EngineUnreachableError, match="certificate is refused"):
                client.query(("x",), INPUT)
            assert ended.wait(SAFETY)
        assert server.connections == 1, "another attempt would end in the same way"


@pytest.fixture
def small_threads() -> Iterator[None]:
    before = threading.stack_size(1 << 18)
    yield
    threading.stack_size(before)


@pytest.mark.usefixtures("small_threads")
def test_no_more_connections_are_kept_than_64() -> None:
    together = threading.Barrier(66)

    def answer(exchange: Exchange) -> None:
        together.wait(SAFETY)
        exchange.reply(ANSWER)

    with serving(answer, deadline=SAFETY) as (server, client):
        threads = [threading.Thread(target=client.query, args=(("x",), INPUT)) for _ in range(66)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.connections == 66
        idle = client._http._pool.pool
        assert len(idle) == 64
        client.close()
        assert len(idle) == 0


def test_the_connection_that_was_used_last_is_used_first() -> None:
    ports: list[int] = []
    together = threading.Barrier(2)

    def answer(exchange: Exchange) -> None:
        if exchange.number < 2:
            together.wait(SAFETY)
        ports.append(exchange.connection.getpeername()[1])
        exchange.reply(ANSWER)

    with serving(answer, deadline=SAFETY) as (_, client):
        threads = [threading.Thread(target=client.query, args=(("x",), INPUT)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        last = client._http._pool.pool._owned[1][-1].sock.getsockname()[1]
        for _ in range(3):
            client.query(("x",), INPUT)
        assert ports[2:] == [last] * 3


def test_a_fresh_connection_is_none_of_those_that_are_idle() -> None:
    together = threading.Barrier(2)

    def answer(exchange: Exchange) -> None:
        if exchange.number < 2:
            together.wait(SAFETY)
        exchange.reply(ANSWER)

    with serving(answer, deadline=SAFETY) as (server, client):
        threads = [threading.Thread(target=client.query, args=(("x",), INPUT)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.connections == 2
        for number in (3, 4):
            assert client.query(("x",), INPUT, fresh=True).result is True
            assert server.connections == number
        assert len(client._http._pool.pool._owned[1]) == 2, "each takes the place of one"


# --- repetitions and time
def test_the_pauses_between_attempts(clock) -> None:
    with serving(lambda exchange: exchange.close()) as (server, client):
        with pytest.raises(EngineUnreachableError, match="closed before the answer"):
            client.query(("x",), INPUT)
        assert clock.pauses == [0.0, 0.1]
        assert len(server.exchanges) == 3
        with pytest.raises(EngineUnreachableError):
            client.put_data(("x",), b"1")
        assert clock.pauses == [0.0, 0.1]


def test_nothing_is_sent_once_the_deadline_has_passed(clock) -> None:
    def late(exchange: Exchange) -> None:
        clock.now += 10
        exchange.close()

    with serving(late) as (server, client):
        with pytest.raises(EngineTimeoutError, match=r"^`POST /v1/data/x` at http://127\.0\.0\.1:\d+: .* 10 s: raise"):
            client.query(("x",), INPUT, deadline=10)
        assert len(server.exchanges) == 1


def test_an_answer_that_is_too_large_is_not_asked_for_again() -> None:
    with serving(replying(ANSWER), max_answer=14) as (server, client):
        for number in (1, 2):
            with pytest.raises(
                InvalidResponseError, match=r"^`POST /v1/data/x` at .*: the answer is larger than 14 bytes: raise"
            ):
                client.query(("x",), INPUT)
            assert server.connections == len(server.exchanges) == number


def test_each_operation_over_tls_may_last_as_long_as_is_left(clock, monkeypatch, tls, authority) -> None:
    """By a clock that moves a second with each operation on the socket."""
    limits: list[float] = []

    def limit(self: socket.socket, seconds: float | None) -> None:
        if not seconds or limits[-1:] == [seconds]:  # ssl's own, which puts back what was
            socket.socket.settimeout(self, seconds)
            return
        limits.append(seconds)
        clock.now += 1
        socket.socket.settimeout(self, seconds)

    monkeypatch.setattr(TimedTlsSocket, "settimeout", limit, raising=False)
    with FaultServer(replying(ANSWER), tls) as server, OpaClient(server.url, ca=authority.file) as client:
        for deadline in (1_000.0, 500.0):
            limits.clear()
            client.query(("x",), b"x" * 100_000, deadline=deadline)
            assert len(limits) >= 5
            assert limits == [deadline - number for number in range(len(limits))]


def test_the_handshake_may_last_as_long_as_is_left(clock, monkeypatch, tls, authority) -> None:
    limits: list[float | None] = []
    connect, shake = TimedSocket.connect_within, ssl.SSLSocket.do_handshake

    def connect_within(self: TimedSocket, seconds: float, address: object) -> None:
        connect(self, seconds, address)
        clock.now += 10

    def do_handshake(self: ssl.SSLSocket, *args: bool) -> None:
        if isinstance(self, TimedTlsSocket):  # and not the server's
            limits.append(self.gettimeout())
        shake(self, *args)

    monkeypatch.setattr(TimedSocket, "connect_within", connect_within)
    monkeypatch.setattr(ssl.SSLSocket, "do_handshake", do_handshake)
    with FaultServer(replying(ANSWER), tls) as server, OpaClient(server.url, ca=authority.file) as client:
        assert client.query(("x",), INPUT, deadline=100.0).result is True
    assert limits == [90.0]


def test_no_operation_begins_at_the_deadline(clock) -> None:
    assert time_left(clock.now + 0.5) == 0.5
    for end in (clock.now, clock.now - 1):
        with pytest.raises(TimeoutError):
            time_left(end)


# --- closing
def test_no_call_is_made_by_a_closed_client() -> None:
    with serving(replying(ANSWER)) as (server, client):
        client.close()
        for call in (lambda: client.query(("x",), INPUT), lambda: client.put_data(("x",), b"1")):
            with pytest.raises(UsageError, match="this client is closed"):
                call()
        assert server.connections == 0


def test_closing_ends_the_connections() -> None:
    ended = threading.Event()
    with serving(replying(ANSWER)) as (server, client):
        forget = server._forget
        server._forget = lambda connection: (forget(connection), ended.set())
        client.query(("x",), INPUT)
        client.close()
        assert ended.wait(SAFETY)
