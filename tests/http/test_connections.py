"""Which connection a call uses: what stands in between may drop idle ones, with a word or without one."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest
from fault_server import ANSWER, INPUT, Exchange, FaultServer, replying

from bridge.aio import AsyncOpaClient
from bridge.errors import ConfigurationError, EngineUnreachableError, OpaStatusError
from bridge.http import Address
from bridge.http.sockets import connected
from bridge.opa import OpaClient

SAFETY = 60.0
IDLE = 8


class Balancer:
    """Answers, and once it is `switched` resets each connection of before at its next packet."""

    def __init__(self) -> None:
        self.together = threading.Barrier(IDLE)
        self.old: set[int] = set()
        self.resets = 0
        self.is_switched = False

    def __call__(self, exchange: Exchange) -> None:
        connection = exchange.connection
        if not self.is_switched:
            self.together.wait(SAFETY)
            self.old.add(connection.fileno())
        elif connection.fileno() in self.old:
            self.old.remove(connection.fileno())
            self.resets += 1
            linger = b"\x01\0\0\0\0\0\0\0"  # closing sends a reset
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.close()
            return
        exchange.reply(ANSWER if exchange.line.startswith(("POST", "GET")) else b"{}")


def reads_and_writes(client: OpaClient) -> None:
    assert client.query(("x",), INPUT).result is True
    assert client.get_data(("x",)) is True
    client.put_data(("x",), b"1")
    client.patch_data(("x",), b"[]")
    client.put_policy("x", "package x")
    assert client.query(("x",), INPUT).result is True


@pytest.mark.parametrize("first", ["query", "put", "get"])
def test_a_balancer_that_resets_each_of_eight_idle_connections_costs_no_call(first) -> None:
    balancer = Balancer()
    with FaultServer(balancer) as server, OpaClient(server.url, deadline=SAFETY) as client:
        threads = [threading.Thread(target=client.query, args=(("x",), INPUT)) for _ in range(IDLE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.connections == IDLE
        balancer.is_switched = True
        if first == "put":
            client.put_data(("x",), b"1")
            assert balancer.resets == 0, "a write is sent on no idle connection"
        elif first == "get":
            assert client.get_data(("x",)) is True
            assert balancer.resets == 1
        for _ in range(IDLE + 1):
            reads_and_writes(client)
            client._http._pool.pool._owned[1].rotate()  # so that each idle one has its turn
        assert balancer.resets == IDLE


def test_the_same_for_the_asynchronous_client() -> None:
    balancer = Balancer()

    async def ask(url: str) -> None:
        async with AsyncOpaClient(url, deadline=SAFETY) as client:
            await asyncio.gather(*(client.query(("x",), INPUT) for _ in range(IDLE)))
            balancer.is_switched = True
            for _ in range(IDLE + 1):
                assert (await client.query(("x",), INPUT)).result is True
                client._http._idle.rotate()

    with FaultServer(balancer) as server:
        asyncio.run(ask(server.url))
        assert balancer.resets == IDLE


@pytest.mark.parametrize("max_idle", [None, 7.0])
def test_a_connection_that_was_idle_too_long_is_not_used(monkeypatch, max_idle) -> None:
    now = [1_000.0]
    settings = {} if max_idle is None else {"max_idle": max_idle}
    monkeypatch.setattr("bridge.http.connection.time.monotonic", lambda: now[0])
    with FaultServer(replying(ANSWER)) as server, OpaClient(server.url, deadline=SAFETY, **settings) as client:
        for call in (lambda: client.query(("x",), INPUT), lambda: client.get_data(("x",))):
            call()
            before = server.connections
            now[0] += 50.0 if max_idle is None else max_idle
            call()
            assert server.connections == before
            now[0] += 50.1 if max_idle is None else max_idle + 0.1
            call()
            assert server.connections == before + 1


def test_no_connection_is_kept_where_none_may_be_idle() -> None:
    with FaultServer(replying(ANSWER)) as server, OpaClient(server.url, max_idle=0) as client:
        for number in (1, 2):
            client.query(("x",), INPUT)
            assert server.connections == number


@pytest.mark.parametrize("max_idle", [-1, True, None, "5", float("nan"), float("inf")])
def test_what_is_no_time_to_be_idle(max_idle) -> None:
    with pytest.raises(ConfigurationError, match="`max_idle` must be a number of seconds"):
        OpaClient("http://127.0.0.1", max_idle=max_idle)


def test_tcp_keep_alive_is_on() -> None:
    with FaultServer(replying(ANSWER)) as server:
        with connected(Address("http", "127.0.0.1", server.port), float("9e9")) as sock:
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

        async def ask() -> bool:
            async with AsyncOpaClient(server.url) as client:
                await client.query(("x",), INPUT)
                [connection] = client._http._idle
                sock = connection.transport.get_extra_info("socket")
                return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

        assert asyncio.run(ask())


# --- gateways


@pytest.fixture
def no_pauses(monkeypatch) -> None:
    monkeypatch.setattr("bridge.http.session.sleep", lambda _: None)
    monkeypatch.setattr("bridge.http.retries._AFTER_GATEWAY", (0.0, 0.0))


def gateway(failing: int):
    """A gateway whose OPA comes back after some requests."""

    def answer(exchange: Exchange) -> None:
        if exchange.number < failing:
            exchange.reply(b"<html>no</html>", "503 Service Unavailable")
        else:
            exchange.reply(ANSWER)

    return answer


@pytest.mark.usefixtures("no_pauses")
def test_what_a_gateway_answers_is_repeated_for_reads_alone() -> None:
    with FaultServer(gateway(2)) as server, OpaClient(server.url) as client:
        assert client.query(("x",), INPUT).result is True
    with FaultServer(gateway(2)) as server, OpaClient(server.url) as client:
        assert client.get_data(("x",)) is True
    with FaultServer(gateway(2)) as server, OpaClient(server.url) as client:
        with pytest.raises(EngineUnreachableError, match=r"^`PUT /v1/data/x` at .* a gateway answered 503"):
            client.put_data(("x",), b"1")
        assert len(server.exchanges) == 1
    with FaultServer(gateway(9)) as server, OpaClient(server.url) as client:
        with pytest.raises(EngineUnreachableError, match=r"^`POST /v1/data/x` at .* a gateway answered 503"):
            client.query(("x",), INPUT)
        assert len(server.exchanges) == 3


@pytest.mark.usefixtures("no_pauses")
def test_what_a_gateway_answers_is_repeated_by_the_asynchronous_client() -> None:
    async def ask(url: str) -> object:
        async with AsyncOpaClient(url) as client:
            return (await client.query(("x",), INPUT)).result

    with FaultServer(gateway(2)) as server:
        assert asyncio.run(ask(server.url)) is True
    with FaultServer(gateway(9)) as server:
        with pytest.raises(EngineUnreachableError, match="a gateway answered 503"):
            asyncio.run(ask(server.url))
        assert len(server.exchanges) == 3


# --- addresses

PREFIXES = [
    "/api/v1/namespaces/opa/services/http:opa:8181/proxy",
    "/a@b",
    "/a%2Fb%25",
    "/a;b,c=d!$&'()*+",
    "/v1/x",
    "//a//b",
    "/%7Ea",
]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_is_sent_as_it_is(prefix) -> None:
    async def ask(url: str) -> None:
        async with AsyncOpaClient(url) as client:
            await client.query(("x",), INPUT)

    with FaultServer(replying(ANSWER)) as server:
        with OpaClient(server.url + prefix + "/") as client:
            client.query(("x",), INPUT)
            client.get_data(("x",))
            client.delete_data(("..", "a/b", "."), quoted=True)
        asyncio.run(ask(server.url + prefix))
    assert server.lines == [
        f"POST {prefix}/v1/data/x HTTP/1.1",
        f"GET {prefix}/v1/data/x HTTP/1.1",
        f"DELETE {prefix}/v1/data/%2E%2E/a%2Fb/%2E HTTP/1.1",
        f"POST {prefix}/v1/data/x HTTP/1.1",
    ]


def test_a_unix_socket(tmp_path) -> None:
    async def ask(url: str) -> object:
        async with AsyncOpaClient(url) as client:
            return [(await client.query(("x",), INPUT)).result for _ in range(2)]

    path = tmp_path / "opa server.sock"
    with UnixServer(replying(ANSWER), path=str(path)) as server:
        with OpaClient(server.url) as client:
            assert client.query(("x",), INPUT).result is True
            assert client.get_data(("x",)) is True
            client.put_data(("x",), b"1")
            assert server.connections == 2
        assert asyncio.run(ask(server.url)) == [True, True]
        assert server.connections == 3
        assert all(b"Host: localhost\r\n" in exchange.head + b"\r\n" for exchange in server.exchanges)
    nothing = rf"at unix://{tmp_path}/nothing: no such file or directory"
    with OpaClient(f"unix://{tmp_path}/nothing") as client, pytest.raises(EngineUnreachableError, match=nothing):
        client.query(("x",), INPUT)
    with pytest.raises(ConfigurationError, match="need a url that starts with `https://`"):
        OpaClient(server.url, ca="ca.pem")


class UnixServer(FaultServer):
    """The same at a Unix socket."""

    def __init__(self, answer, *, path: str) -> None:
        super().__init__(answer)
        self.path = path

    def listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen()
        return listener

    @property
    def address(self) -> str:
        return "unix://" + self.path.replace(" ", "%20")


def test_an_ipv6_address_with_a_zone() -> None:
    """The zone (here by its number) says which interface of this machine is meant; nobody else is told."""
    with V6Server(replying(ANSWER)) as server:
        port = server.port

        async def ask() -> object:
            async with AsyncOpaClient(f"http://[::1%251]:{port}") as client:
                return (await client.query(("x",), INPUT)).result

        with OpaClient(f"http://[::1%251]:{port}") as client:
            assert client.url == f"http://[::1%251]:{port}"
            assert client.query(("x",), INPUT).result is True
            assert client.get_data(("x",)) is True
        assert asyncio.run(ask()) is True
        for exchange in server.exchanges:
            assert f"Host: [::1]:{port}\r\n".encode() in exchange.head + b"\r\n"


class V6Server(FaultServer):
    """The same at the loopback address of IPv6."""

    def listen(self) -> socket.socket:
        return socket.create_server(("::1", 0), family=socket.AF_INET6)


def test_a_404_says_where() -> None:
    with (
        FaultServer(replying(b"page not found", "404 Not Found")) as server,
        OpaClient(server.url + "/x") as client,
        pytest.raises(OpaStatusError, match=rf"no opa answers at {server.url}/x: check the path prefix in its url"),
    ):
        client.query(("x",), INPUT)
