"""A pool of connections to one server, all bound by the deadline in force."""

from __future__ import annotations

import queue
import socket
import threading
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NameResolutionError, NewConnectionError

from bridge.opa.deadline import TimedSocket, time_left

if TYPE_CHECKING:
    import ssl

    from urllib3 import HTTPResponse

_Address = tuple[socket.AddressFamily, Any]


def open_pool(scheme: str, host: str, port: int, *, size: int, tls: ssl.SSLContext | None) -> HTTPConnectionPool:
    """A pool that keeps up to `size` connections open and opens more when all are in use."""
    if scheme == "https":
        return _TlsPool(host, port, maxsize=size, ssl_context=tls)
    return _Pool(host, port, maxsize=size)


class _Stack(queue.LifoQueue[Any]):
    """What a pool needs of a `LifoQueue`, without its lock.

    The lock, held by another thread at the moment of a fork, would stay locked for ever in the child.
    """

    def __init__(self, maxsize: int = 0) -> None:
        self._items: deque[Any] = deque()
        self._maxsize = maxsize

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ARG002, FBT001, FBT002
        try:
            return self._items.pop()
        except IndexError:
            raise queue.Empty from None

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ARG002, FBT001, FBT002
        if len(self._items) >= self._maxsize:
            raise queue.Full
        self._items.append(item)

    def qsize(self) -> int:
        return len(self._items)


class _TimedConnection(HTTPConnection):
    status: int = HTTPStatus.OK

    def _new_conn(self) -> socket.socket:
        return _connected(self, self.host, self.port or self.default_port)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override] # as urllib3 does
        response = super().getresponse()
        self.status = response.status
        return response


class _TimedTlsConnection(_TimedConnection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _TimedConnection
    QueueCls = _Stack

    def _put_conn(self, conn: Any) -> None:
        super()._put_conn(_closed_unless_ok(conn))


class _TlsPool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _TimedTlsConnection


def _closed_unless_ok(connection: Any) -> Any:
    """The connection, which nobody uses again after any answer but a 200.

    After an informational status (102, 103), which http.client takes for the answer, the true one is still to come: it
    would be read as the answer to the next question. The same goes for a 204 that somebody in between made up.
    """
    if connection is not None and connection.status != HTTPStatus.OK:
        connection.status = HTTPStatus.OK
        connection.close()
    return connection


def _connected(connection: HTTPConnection, host: str, port: int) -> socket.socket:
    try:
        addresses = _addresses(host, port)
    except socket.gaierror as error:
        raise NameResolutionError(host, connection, error) from error
    failure: OSError | None = None
    for position, (family, address) in enumerate(addresses):
        sock = TimedSocket(family, socket.SOCK_STREAM)
        try:
            # A black hole among several addresses must not eat the time of the others.
            sock.connect_within(time_left() / (len(addresses) - position), address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise NewConnectionError(connection, str(failure or "no address")) from failure


def _addresses(host: str, port: int) -> list[_Address]:
    try:
        return _look_up(host, port, socket.AI_NUMERICHOST)
    except socket.gaierror:
        return _looked_up_in_time(host, port)


def _looked_up_in_time(host: str, port: int) -> list[_Address]:
    """Name resolution knows no timeout, so it runs in a thread that may be left behind."""
    answers: queue.SimpleQueue[list[_Address] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(_look_up(host, port, 0))
        except OSError as error:
            answers.put(error)
        except UnicodeError:
            answers.put(socket.gaierror("no host name"))

    try:
        threading.Thread(target=look_up, daemon=True, name="opa-name-lookup").start()
    except RuntimeError as error:  # no more threads can be had
        raise OSError(str(error)) from error
    try:
        answer = answers.get(timeout=time_left())
    except queue.Empty:
        raise TimeoutError("looking up the host's name took too long") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _look_up(host: str, port: int, flags: int) -> list[_Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]
