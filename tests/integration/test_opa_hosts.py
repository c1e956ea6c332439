"""How the OPA client finds the addresses of its host."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from fault_server import ANSWER, INPUT, FaultServer, replying
from opa_clock import SAFETY, OpaClock
from ports import reserved_port

from bridge.errors import EngineTimeoutError, EngineUnreachableError
from bridge.http.sockets import TimedSocket
from bridge.http.sockets import look_up as addresses
from bridge.opa import OpaClient


@pytest.fixture
def clock(monkeypatch) -> OpaClock:
    return OpaClock(monkeypatch)


@pytest.mark.parametrize("rotates", [False, True])
def test_addresses_of_the_host_take_turns_for_fresh_connections(monkeypatch, rotates) -> None:
    family = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    with FaultServer(replying(ANSWER)) as one, FaultServer(replying(ANSWER)) as other, OpaClient(one.url) as client:
        by_port = sorted((one, other), key=lambda server: server.port)
        resolved = [(*family, ("127.0.0.1", server.port)) for server in (one, other)]

        def rotating(*_: object, **__: object) -> list[object]:
            if rotates:  # as name services do; with turns of our own beside it, each call would go to the same server
                resolved.reverse()
            return list(resolved)

        monkeypatch.setattr(socket, "getaddrinfo", rotating)
        for number in range(1, 4):
            for server in by_port:
                before = server.connections
                client.query(("x",), INPUT, fresh=True)
                assert server.connections == before + 1 == number


def test_addresses_are_tried_as_the_name_service_has_them(monkeypatch) -> None:
    with FaultServer(replying(ANSWER)) as one, FaultServer(replying(ANSWER)) as other:
        servers = sorted((one, other), key=lambda server: -server.port)
        resolved = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port)) for server in servers]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: list(resolved))
        with OpaClient("http://opa.example:1") as client:
            client.query(("x",), INPUT)
        assert [server.connections for server in servers] == [1, 0]


def test_an_address_that_refuses_is_followed_by_the_next(monkeypatch) -> None:
    with reserved_port() as port, FaultServer(replying(ANSWER)) as server:
        closed = ("127.0.0.1", port)
        resolved = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", where) for where in (closed, closed, ("127.0.0.1", server.port))
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: list(resolved))
        with OpaClient("http://opa.example:1", deadline=SAFETY) as client:
            assert client.query(("x",), INPUT).result is True
            del resolved[2]
            with pytest.raises(EngineUnreachableError, match="connection refused"):
                client.query(("x",), INPUT, fresh=True)
            resolved.clear()
            with pytest.raises(EngineUnreachableError, match="the connection broke"):
                client.get_data(("x",), fresh=False) and client.query(("x",), INPUT)
            assert server.connections == 1


def test_an_address_whose_turn_it_is_and_that_refuses_is_followed_by_the_first(monkeypatch) -> None:
    family = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    with FaultServer(replying(ANSWER)) as server:
        resolved = [(*family, ("127.0.0.1", server.port)), (*family, ("127.0.0.2", 1))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: list(resolved))
        with OpaClient("http://opa.example:1", deadline=SAFETY) as client:
            for number in range(1, 5):
                assert client.query(("x",), INPUT, fresh=True).result is True
                assert server.connections == len(server.exchanges) == number


def test_each_address_gets_its_share_of_the_time(clock, monkeypatch) -> None:
    shares: list[float] = []

    def never(_: TimedSocket, seconds: float, __: object) -> None:
        shares.append(seconds)
        clock.now += seconds
        raise TimeoutError

    monkeypatch.setattr(TimedSocket, "connect_within", never)
    resolved = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))] * 3
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: list(resolved))
    with OpaClient("http://opa.example:1") as client:
        for fresh in (False, True, True, True, True, True):
            shares.clear()
            with pytest.raises(EngineTimeoutError):
                client.query(("x",), INPUT, deadline=30.0, fresh=fresh)
            assert shares == [10.0, 10.0, 10.0]


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", (socket.AF_INET, ("127.0.0.1", 8181))),
        ("::1", (socket.AF_INET6, ("::1", 8181, 0, 0))),
    ],
)
def test_an_ip_address_needs_no_look_up(monkeypatch, host, address) -> None:
    monkeypatch.setattr(threading.Thread, "start", None)
    assert addresses(host, 8181, end=time.monotonic() + SAFETY) == [address]


def test_a_name_is_looked_up_in_a_thread_that_keeps_no_process(monkeypatch) -> None:
    seen: list[threading.Thread] = []
    real = socket.getaddrinfo

    def look_up(host: str, port: int, **settings: object) -> object:
        if not settings["flags"]:
            seen.append(threading.current_thread())
            assert settings["type"] == socket.SOCK_STREAM
            return real("127.0.0.1", port, **settings)
        return real(host, port, **settings)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    looked_up = addresses("opa.example", 8181, end=time.monotonic() + SAFETY)
    assert looked_up == [(socket.AF_INET, ("127.0.0.1", 8181))]
    [thread] = seen
    assert (thread.daemon, thread.name) == (True, "bridge-name-lookup")


def test_names_that_cannot_be_looked_up(monkeypatch) -> None:
    end = time.monotonic() + SAFETY
    with pytest.raises(socket.gaierror):
        addresses("a" * 64, 8181, end=end)  # no name at all: a label has 63 letters at most
    with pytest.raises(socket.gaierror):
        addresses(".." * 4, 8181, end=end)

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "who?")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(socket.gaierror, match="who"):
        addresses("opa.example", 8181, end=end)

    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with pytest.raises(OSError, match="can't start new thread"):
        addresses("opa.example", 8181, end=end)


def test_a_look_up_is_given_up_at_the_deadline(monkeypatch) -> None:
    over = threading.Event()

    def never(*_: object, flags: int, **__: object) -> list[object]:
        if not flags:
            over.wait(SAFETY)
            return []
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", never)
    with pytest.raises(TimeoutError, match="looking up"):
        addresses("opa.example", 8181, end=time.monotonic() + 0.05)
    over.set()
