"""One call to one OPA: bytes go, bytes come, in time, or one of our errors is raised."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from bridge.errors import BadAnswer, DeadlineExceeded, EngineFault, EngineUnreachable, Misuse
from bridge.opa.connection import Connection
from bridge.opa.faults import FOREIGN, is_protocol_breach, is_tls_failure, reason

if TYPE_CHECKING:
    import ssl

    from bridge.opa.address import Address
    from bridge.opa.response import Response

_PAUSES: Final = (0.0, 0.1)
"""Seconds before each repetition: the first is for a connection that had gone stale, the second for a restart."""

_MOST_IDLE: Final = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whole.

    Attributes:
        status: The HTTP status.
        body: Its body, however it was framed.
    """

    status: int
    body: bytes


class Transport:
    """Connections to one OPA, kept open between calls; threads and forked children may share it.

    Args:
        address: Where it is.
        tls: Needed for `https`.
        headers: Sent with every call.
        max_answer: The size of the largest body to accept, in bytes.
    """

    def __init__(
        self, address: Address, *, tls: ssl.SSLContext | None, headers: dict[str, str], max_answer: int
    ) -> None:
        self._address = address
        self._tls = tls
        self._fields = fields(address, headers)
        self._max_answer = max_answer
        self._closed = False
        self._open()

    def _open(self) -> deque[Connection]:
        """Idle connections of this process's own; set at once with its id, for another thread may look in between.

        The last one in is the first one out; both are atomic. A lock, held by another thread at the moment of a fork,
        would stay locked for ever in the child.
        """
        idle: deque[Connection] = deque()
        self._owned = (os.getpid(), idle)
        return idle

    def close(self) -> None:
        """Close the connections; no call can be made any more."""
        self._closed = True
        _close_all(self._owned[1])

    def call(self, method: str, target: str, body: bytes | None, *, seconds: float, is_read: bool) -> Answer:
        """Ask, and give the answer, whatever its status.

        Args:
            method: The HTTP method.
            target: Path and query, below the address.
            body: What to send.
            seconds: For everything together.
            is_read: It changes nothing in OPA, so it may be repeated when a connection breaks.

        Raises:
            EngineUnreachable: No connection, or it broke.
            DeadlineExceeded: The answer was not whole in time.
            BadAnswer: It is no HTTP, or too big.
            Misuse: The client is closed.
        """
        end = monotonic() + seconds
        if self._closed:
            raise Misuse("this client is closed")
        owner, idle = self._owned
        if owner != os.getpid():  # the parent's sockets are the parent's
            idle = self._open()
        head = self._head(method, target, body)
        pauses = iter(_PAUSES if is_read else ())
        while True:
            try:
                answer = self._exchange(idle, method, head, body, end)
                fault, is_broken = None, False
            except FOREIGN as error:
                # Made here and raised below: a foreign exception may hold what was sent, the token too.
                fault, is_broken = self._fault(error, f"{method} {target}", end, seconds)
            if fault is None:
                if answer is None:
                    raise BadAnswer(f"`{method} {target}`: the answer is larger than {self._max_answer} bytes")
                return answer
            pause = next(pauses, None) if is_broken else None
            if pause is None or end - monotonic() <= pause:
                raise fault
            sleep(pause)

    def _head(self, method: str, target: str, body: bytes | None) -> bytes:
        # Not by http.client, which checks each time what is right already: targets are made of checked names alone.
        about = "" if body is None else f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return f"{method} {self._address.prefix}{target} HTTP/1.1\r\n{self._fields}{about}\r\n".encode("ascii")

    def _exchange(
        self, idle: deque[Connection], method: str, head: bytes, body: bytes | None, end: float
    ) -> Answer | None:
        """The answer, or None where it is too large."""
        connection = self._connection(idle, end)
        try:
            response = connection.ask(method, head, body)
            found = self._read(response)
        except BaseException:
            connection.close()
            raise
        # Nobody uses a connection again after any answer but a whole 200. After an informational status (102, 103),
        # which is taken for the answer here, the true one is still to come: it would be read as the answer to the
        # next question. The same goes for a 204 that somebody in between made up.
        if found is None or response.status != HTTPStatus.OK or response.will_close or len(idle) >= _MOST_IDLE:
            connection.close()
        else:
            idle.append(connection)
            if self._closed:  # by another thread, which may have looked before
                _close_all(idle)
        return None if found is None else Answer(response.status, found)

    def _connection(self, idle: deque[Connection], end: float) -> Connection:
        while True:
            try:
                connection = idle.pop()
            except IndexError:
                connection = Connection(self._address.host, self._address.port, self._tls)
            if connection.serve(end):
                return connection
            connection.close()

    def _read(self, response: Response) -> bytes | None:
        return response.body(self._max_answer)

    def _fault(self, error: Exception, what: str, end: float, seconds: float) -> tuple[EngineFault, bool]:
        """The fault, and whether the connection broke."""
        if end - monotonic() <= 0:
            return DeadlineExceeded(f"`{what}` at {self._address}: no whole answer within {seconds:g} s"), False
        if is_tls_failure(error):
            return EngineUnreachable(f"`{what}` at {self._address}: {reason(error)}"), False
        if is_protocol_breach(error):
            return BadAnswer(f"`{what}`: the answer is no http"), False
        return EngineUnreachable(f"`{what}` at {self._address}: {reason(error)}"), True


def fields(address: Address, headers: dict[str, str]) -> str:
    """The header fields that go with every call, each on a line."""
    host = f"[{address.host.partition('%')[0]}]" if ":" in address.host else address.host
    standing = {
        "Host": host if address.port == address.usual_port else f"{host}:{address.port}",
        "Accept-Encoding": "identity",
        "User-Agent": "jwt-policy-bridge",
    }
    return "".join(f"{name}: {value}\r\n" for name, value in (standing | headers).items())


def _close_all(idle: deque[Connection]) -> None:
    while True:
        try:
            connection = idle.pop()
        except IndexError:
            return
        connection.close()
