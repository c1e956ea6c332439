"""One call to one OPA: bytes go, bytes come, in time, or one of our errors is raised."""

from __future__ import annotations

import os
from collections import deque
from http import HTTPStatus
from itertools import count
from time import sleep
from typing import TYPE_CHECKING, Final

from bridge.errors import UsageError
from bridge.opa.answer import Answer
from bridge.opa.attempts import Attempts
from bridge.opa.connection import Connection
from bridge.opa.faults import FOREIGN
from bridge.opa.question import RulesQuery, may_answer

if TYPE_CHECKING:
    from bridge.opa.response import Response
    from bridge.opa.settings import OpaSettings

_MOST_IDLE: Final = 64


class Transport:
    """Connections to one OPA, kept open between calls; threads and forked children may share it.

    Args:
        settings: Where it is, and how to speak to it.
    """

    def __init__(self, settings: OpaSettings) -> None:
        self._settings = settings
        self._address = settings.address
        self._fields = "".join(f"{name}: {value}\r\n" for name, value in settings.fields.items())
        self._closed = False
        self._turns = count()
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

    def call(
        self,
        method: str,
        target: str,
        body: bytes | RulesQuery | None,
        *,
        seconds: float,
        is_read: bool,
        if_absent: bool,
        fresh: bool,
    ) -> Answer:
        """Ask, and give the answer, whatever its status.

        Args:
            method: The HTTP method.
            target: Path and query, below the address.
            body: What to send; a question goes out with a nonce of its own at each attempt.
            seconds: For everything together.
            is_read: It changes nothing in OPA, so it may be repeated when a connection breaks.
            if_absent: Only where there is nothing yet.
            fresh: On a new connection, in place of the last one that was used: whoever spreads connections over
                several servers chooses anew. Where the host's name has several addresses, it is each one's turn.

        Raises:
            EngineUnreachableError: No connection, or it broke.
            EngineTimeoutError: The answer was not whole in time.
            InvalidResponseError: It is no HTTP, or too big.
            UsageError: The client is closed.
        """
        attempts = Attempts(self._settings, method, target, seconds, is_read=is_read)
        if self._closed:
            raise UsageError("this client is closed")
        owner, idle = self._owned
        if owner != os.getpid():  # the parent's sockets are the parent's
            idle = self._open()
        while True:
            fault = None
            sent, nonce = body.fresh() if isinstance(body, RulesQuery) else (body, None)
            head = self._head(method, target, sent, if_absent=if_absent)
            if fresh:
                _close_last(idle)
            try:
                turn = next(self._turns) if fresh else None
                connection = self._connection(deque() if fresh else idle, attempts.end, is_read=is_read, turn=turn)
                answer = self._exchange(connection, idle, method, head, sent, nonce)
            except FOREIGN as error:
                fault, pause = attempts.after(error)
            if fault is None:
                break
            if pause is None:
                raise fault
            sleep(pause)
        if answer is None:
            raise attempts.too_large()
        return answer

    def _head(self, method: str, target: str, body: bytes | None, *, if_absent: bool) -> bytes:
        # Not by http.client, which checks each time what is right already: targets are made of checked names alone.
        about = "" if body is None else f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        if if_absent:
            about += "If-None-Match: *\r\n"
        return f"{method} {self._address.prefix}{target} HTTP/1.1\r\n{self._fields}{about}\r\n".encode("ascii")

    def _exchange(
        self,
        connection: Connection,
        idle: deque[Connection],
        method: str,
        head: bytes,
        body: bytes | None,
        nonce: str | None,
    ) -> Answer | None:
        """The answer, or None where it is too large."""
        try:
            response = connection.ask(head, body)
            found = self._read(response)
        except BaseException:
            connection.close()
            raise
        # Nobody uses a connection again after any answer but a whole 200. After an informational status (102, 103),
        # which is taken for the answer here, the true one is still to come: it would be read as the answer to the
        # next question. The same goes for a 204 that somebody in between made up: what OPA then says of the first write
        # would be believed of the second. After the 204 of a PATCH a read may come: it believes a 200 alone, which OPA
        # never answers to a PATCH, so that a true answer which is still to come ends the connection there.
        connection.is_for_reads = method == "PATCH" and response.status == HTTPStatus.NO_CONTENT
        # Likewise after an answer without this question's nonce: the true one may still be to come.
        is_done = (
            found is not None
            and (response.status == HTTPStatus.OK or connection.is_for_reads)
            and may_answer(found, nonce)
        )
        if not is_done or response.will_close or len(idle) >= _MOST_IDLE:
            connection.close()
        else:
            idle.append(connection)
            if self._closed:  # by another thread, which may have looked before
                _close_all(idle)
        return None if found is None else Answer(response.status, found, nonce)

    def _connection(self, idle: deque[Connection], end: float, *, is_read: bool, turn: int | None = None) -> Connection:
        while True:
            try:
                connection = idle.pop()
            except IndexError:
                connection = Connection(self._address.host, self._address.port, self._settings.tls, turn=turn)
            if connection.serve(end) and (is_read or not connection.is_for_reads):
                return connection
            connection.close()

    def _read(self, response: Response) -> bytes | None:
        return response.body(self._settings.max_answer)


def _close_all(idle: deque[Connection]) -> None:
    while _close_last(idle):
        pass


def _close_last(idle: deque[Connection]) -> bool:
    try:
        connection = idle.pop()
    except IndexError:
        return False
    connection.close()
    return True
