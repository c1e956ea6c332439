"""A server on loopback that does what no real OPA does."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import pytest

from bridge.errors import EngineTimeoutError
from bridge.opa import OpaClient

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

TOKEN = "s3cret-token"
INPUT = b'{"input":{"password":"hunter2"}}'
ANSWER = b'{"result":true}'

_LF2 = b"\r\n\r\n"
_NEVER = 50.0
"""Seconds after which a call is one that no deadline ends. No machine is so busy; what drips here drips for longer."""


@contextlib.contextmanager
def ends_by_deadline(seconds: float) -> Iterator[None]:
    """The call fails for its deadline, and not before it. How soon after it is a matter of the machine."""
    start = time.monotonic()
    with pytest.raises(EngineTimeoutError, match="no whole answer within"):
        yield
    assert seconds <= time.monotonic() - start < _NEVER


NONCE = "the nonce of the question"
"""Where it stands in the body of a reply, the reply echoes the nonce, as the rules do."""


@dataclass
class Exchange:
    """A request that came in whole, and the connection to answer on.

    Attributes:
        connection: To write to; closing it is an answer as well.
        head: Request line and headers.
        body: The body.
        number: 0 for the first request to this server.
        over: Set when the server ends.
    """

    connection: socket.socket
    head: bytes
    body: bytes
    number: int
    over: threading.Event

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode()

    @property
    def nonce(self) -> str:
        """What a question of the bridge's went out with."""
        return json.loads(self.body)["input"]["nonce"]

    @property
    def header_names(self) -> set[str]:
        return {line.split(b":")[0].decode().lower() for line in self.head.split(b"\r\n")[1:]}

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def reply(self, body: bytes, status: str = "200 OK", *headers: str) -> None:
        if NONCE.encode() in body:
            body = body.replace(NONCE.encode(), self.nonce.encode())
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        self.send("\r\n".join(lines).encode() + _LF2 + body)

    def drip(self, data: bytes) -> None:
        """One byte every 50 ms, for as long as the server lives: 1,200 bytes take a minute."""
        for byte in data:
            if self.over.wait(0.05):
                return
            self.send(bytes([byte]))

    def close(self) -> None:
        """Close the connection without a word more."""
        self.connection.shutdown(socket.SHUT_RDWR)


@dataclass
class FaultServer:
    """Hands each request to `answer`, in a thread for each connection.

    Attributes:
        answer: What to do with a request; None: accept connections and read nothing at all.
        tls: Serve TLS with this.
        exchanges: The requests so far.
        connections: How many connections were accepted.
    """

    answer: Callable[[Exchange], None] | None
    tls: ssl.SSLContext | None = None
    exchanges: list[Exchange] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = self.listen()
        self.port = self._listener.getsockname()[1]
        self.url = self.address
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with self._lock:
            for sock in (self._listener, *self._open):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def listen(self) -> socket.socket:
        return socket.create_server(("127.0.0.1", 0))

    @property
    def address(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def lines(self) -> list[str]:
        return [exchange.line for exchange in self.exchanges]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._over.is_set():
                    connection.close()
                    return
                self.connections += 1
                self._open.append(connection)
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(self._forget, connection)
            if self.answer is None:
                self._over.wait()
                return
            if self.tls is not None:
                secured = stack.enter_context(self.tls.wrap_socket(connection, server_side=True))
                with self._lock:
                    self._open.append(secured)
                stack.callback(self._forget, secured)
                connection = secured
            while exchange := self._read(connection):
                self.answer(exchange)

    def _forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.remove(connection)
        connection.close()

    def _read(self, connection: socket.socket) -> Exchange | None:
        data = b""
        while _LF2 not in data:
            piece = connection.recv(65536)
            if not piece:
                return None
            data += piece
        head, _, body = data.partition(_LF2)
        lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        while len(body) < int(lengths[0] if lengths else 0):
            piece = connection.recv(1 << 20)
            if not piece:
                return None
            body += piece
        with self._lock:
            exchange = Exchange(connection, head, body, len(self.exchanges), self._over)
            self.exchanges.append(exchange)
        return exchange


@contextlib.contextmanager
def serving(answer: Callable[[Exchange], None] | None, **settings: object) -> Iterator[tuple[FaultServer, OpaClient]]:
    """A server, and a client with a token that asks it."""
    with FaultServer(answer) as server, OpaClient(server.url, token=TOKEN, **settings) as client:
        yield server, client


def replying(*args: object) -> Callable[[Exchange], None]:
    """An answer that is the same each time."""
    return lambda exchange: exchange.reply(*args)


def sending(data: bytes) -> Callable[[Exchange], None]:
    """These bytes, and the end of the connection."""

    def send_and_close(exchange: Exchange) -> None:
        exchange.send(data)
        exchange.close()

    return send_and_close
