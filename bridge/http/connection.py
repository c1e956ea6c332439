"""Connections to one server, and the pool of idle ones."""

from __future__ import annotations

import os
import queue
import select
import socket
import time
from collections import deque
from contextlib import suppress
from typing import Any, Final

from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection

from bridge.http.response import SessionResponse, StrictResponse
from bridge.http.settings import HttpSettings
from bridge.http.sockets import TimedSocket, TimedTlsSocket, connected

_OK: Final = 200
_TOGETHER: Final = 1 << 16
_MOST_IDLE: Final = 64


class Connection(HTTPConnection):
    """A connection for one thread at a time, which opens itself when it first sends.

    Args:
        settings: Where it goes.
        turn: Which address of the host's name is tried first; None keeps the name service's order.
        http_client: Arguments of `http.client`.

    Attributes:
        end: The deadline of the current call.
        last_response: The last response.
        idle_since: When it was put into the pool.
    """

    def __init__(self, *, settings: HttpSettings, turn: int | None = None, **http_client: Any) -> None:
        self.end: float = 0.0
        self.sock: TimedSocket | TimedTlsSocket | None = None
        self.last_response: StrictResponse | None = None
        super().__init__(**http_client)
        self.idle_since: float = 0.0
        self._settings = settings
        self._turn = turn

    def __del__(self) -> None:
        self.close()  # of a client that nobody closed

    @property
    def timeout(self) -> float | None:
        """Return the seconds until the deadline; urllib3 sets what is left of its `Timeout(total=...)`."""
        return max(self.end - time.monotonic(), 0.0)

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self.until(time.monotonic() + (seconds or 0.0))

    def until(self, end: float) -> None:
        """Serve a call with this deadline."""
        self.end = end
        if self.sock is not None:
            self.sock.end = end

    def connect(self) -> None:
        """Connect, and shake hands for TLS.

        Raises:
            OSError: There is no connection, or not in time.
            ConfigurationError: A certificate file changed and cannot be used.
        """
        address, tls = self._settings.address, self._settings.tls
        context = None if tls is None else tls.context()
        sock: TimedSocket | TimedTlsSocket = connected(address, self.end, self._turn)
        if context is not None:
            try:
                # The handshake comes later, as the deadline can only be set on the wrapped socket.
                sock = context.wrap_socket(sock, server_hostname=address.name, do_handshake_on_connect=False)  # type: ignore[assignment] # its sslsocket_class
                sock.end = self.end
                sock.do_handshake()  # type: ignore[union-attr] # as above
            except BaseException:
                sock.close()
                raise
        self.sock = sock

    @property
    def is_connected(self) -> bool:
        """Return whether an idle connection may be used: it is young enough, and no unexpected bytes have arrived."""
        sock = self.sock
        if sock is None or time.monotonic() - self.idle_since > self._settings.max_idle:
            return False
        is_decrypted = self._settings.tls is not None and sock.pending() > 0  # type: ignore[union-attr] # a TLS one
        return not is_decrypted and not _is_readable(sock)

    @property
    def may_be_kept(self) -> bool:
        """Return whether another call may use the connection: only after a whole response with status 200.

        Any other status may come from a proxy in between, and the true response may still be on its way.
        """
        response = self.last_response
        return (
            self.sock is not None
            and response is not None
            and response.status == _OK
            and response.is_whole
            and not response.will_close
        )

    def exchange(self, head: bytes, body: bytes | None) -> StrictResponse:
        """Send a request, and return its response with the head read and the body not yet.

        Raises:
            OSError: The connection broke, or the deadline has passed.
            HTTPException: The response is no HTTP.
        """
        self._send(head, body)
        assert self.sock is not None
        self.last_response = StrictResponse(self.sock)
        self.last_response.begin()
        return self.last_response

    def _send(self, head: bytes, body: bytes | None) -> None:
        """Send as much as the server takes: one that refuses a large body responds without reading the rest."""
        try:
            if body is None:
                self.send(head)
            elif len(body) <= _TOGETHER:
                self.send(head + body)  # one packet wakes the server once
            else:
                self.send(head)
                self.send(body)
        except (BrokenPipeError, ConnectionResetError):
            if self.sock is None:  # the connection was never made
                raise

    def response_class(self, *args: Any, **settings: Any) -> SessionResponse:  # type: ignore[override] # it is only called
        """Make the response to a request of the session, for `http.client`."""
        self.last_response = SessionResponse(*args, **settings)
        return self.last_response

    def abort(self) -> None:
        """Close the connection, and the response that was not read to its end."""
        self.close()
        if self.last_response is not None:
            self.last_response.close()


class IdleConnections:
    """Idle connections, for urllib3's pool: the last one in is the first one out.

    There is no lock: after a fork, no thread of the child could release a lock that another thread held.

    Args:
        most: How many are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._closed = False
        self._open()

    def _open(self) -> deque[Connection]:
        """Set the connections and their owning process in one step, as another thread may read them in between."""
        connections: deque[Connection] = deque()
        self._owned = (os.getpid(), connections)
        return connections

    def __len__(self) -> int:
        return len(self._owned[1])

    def get(self, block: bool = False, timeout: float | None = None) -> Connection:  # noqa: ARG002, FBT001, FBT002 - as queues have it
        """Return a connection.

        Raises:
            queue.Empty: There is none.
        """
        owner, connections = self._owned
        if owner != os.getpid():  # the parent's sockets are the parent's
            connections = self._open()
        try:
            return connections.pop()
        except IndexError:
            raise queue.Empty from None

    def put(self, connection: Connection | None, block: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - as queues have it
        """Keep a connection, or close it if it cannot be kept; urllib3 puts None for one that it has closed."""
        if connection is None:
            return
        connections = self._owned[1]
        if not connection.may_be_kept or len(connections) >= self._most:
            connection.close()
            return
        connection.idle_since = time.monotonic()
        connections.append(connection)
        if self._closed:  # another thread closed the pool before this connection was in it
            self.close()

    def close(self) -> None:
        """Close the connections and keep no further ones."""
        self._closed = True
        while self._owned[1]:
            self.drop_last()

    def drop_last(self) -> None:
        """Close the connection that was used last."""
        with suppress(IndexError):
            self._owned[1].pop().close()


class ConnectionPool(HTTPConnectionPool):
    """Urllib3's pool of connections to one server.

    Args:
        settings: The server's address, and the client's settings.
        most: How many idle connections are kept.
    """

    ConnectionCls = Connection
    QueueCls = IdleConnections  # type: ignore[assignment] # what the pool asks of a queue
    pool: IdleConnections | None  # type: ignore[assignment] # as above

    def __init__(self, settings: HttpSettings, most: int = _MOST_IDLE) -> None:
        address = settings.address
        super().__init__(
            address.name, address.port, maxsize=most, timeout=settings.deadline, retries=False, settings=settings
        )

    def _validate_conn(self, conn: Any) -> None:
        """Connect before the request is sent, as urllib3 ignores a connection that breaks while it sends."""
        if conn.is_closed:
            conn.connect()

    def take(self) -> Connection:
        """Return an idle connection, or a new one."""
        return self._get_conn()  # type: ignore[return-value] # its ConnectionCls

    def new(self, turn: int | None = None) -> Connection:
        """Return a new connection."""
        connection: Connection = self._new_conn()  # type: ignore[assignment] # its ConnectionCls
        connection._turn = turn  # noqa: SLF001 - of this module
        return connection

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for other calls, or close it if it cannot be used again."""
        self._put_conn(connection)

    def close(self) -> None:
        """Close the idle connections and keep no further ones."""
        if self.pool is not None:
            self.pool.close()
        super().close()


def _is_readable(sock: socket.socket) -> bool:
    if not hasattr(select, "poll"):
        return bool(select.select([sock], [], [], 0)[0])
    waiting = select.poll()  # unlike select.select, it knows file descriptors above 1,023
    waiting.register(sock, select.POLLIN)
    return bool(waiting.poll(0))
