"""Load balancers on loopback: one that chooses an OPA for each connection, and one that does so for each request."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from fault_server import FaultServer
from relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fault_server import Exchange


@dataclass
class Connections:
    """Hands whole connections on, as they come, byte by byte: whoever keeps one alive stays with its OPA.

    Attributes:
        choose: Gives the address for a connection, by its number.
        chosen: The addresses of the connections so far.
    """

    choose: Callable[[int], str]
    chosen: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._over = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._over = True
            for sock in (self._listener, *self._open):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for sock in (self._listener, *self._open):
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            url = self.choose(len(self.chosen))
            address = urlsplit(url)
            opa = socket.create_connection((address.hostname, address.port))
            with self._lock:
                self.chosen.append(url)
                self._open += [client, opa]
                if self._over:
                    return
                pair = [threading.Thread(target=_pipe, args=ends) for ends in ((client, opa), (opa, client))]
                self._threads += pair
            for thread in pair:
                thread.start()


def _pipe(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    for sock in (source, target):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


@dataclass
class Requests(Relay):
    """Hands each request on to an OPA of its own choice, though the client keeps its connection.

    Attributes:
        choose: Gives the address for a request, by its number and its first line.
        chosen: The addresses of the requests so far, each with the first line.
    """

    choose: Callable[[int, str], str] | None = None
    chosen: list[tuple[str, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, exchange: Exchange) -> None:
        assert self.choose is not None
        with self._lock:
            number = len(self.chosen)
            url = self.choose(number, exchange.line)
            self.chosen.append((url, exchange.line))
        address = urlsplit(url)
        with contextlib.suppress(OSError), socket.create_connection((address.hostname, address.port)) as opa:
            first, _, rest = exchange.head.partition(b"\r\n")
            opa.sendall(first + b"\r\nConnection: close\r\n" + rest + b"\r\n\r\n" + exchange.body)
            answer = b"".join(iter(lambda: opa.recv(1 << 20), b""))
            # The answer itself may go on: only this side's connection to the OPA is closed.
            exchange.send(answer.replace(b"Connection: close\r\n", b"", 1))


@contextlib.contextmanager
def by_connection(choose: Callable[[int], str]) -> Iterator[Connections]:
    """A balancer that chooses for each connection."""
    with Connections(choose) as balancer:
        yield balancer


@contextlib.contextmanager
def by_request(choose: Callable[[int, str], str]) -> Iterator[tuple[str, Requests]]:
    """A balancer that chooses for each request, and its address."""
    relay = Requests("", choose=choose)
    with FaultServer(relay.answer) as server:
        yield server.url, relay


def in_turn(urls: Sequence[str]) -> Callable[..., str]:
    """One after the other, whatever is asked."""
    return lambda number, *_: urls[number % len(urls)]
