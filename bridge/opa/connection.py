"""A connection to one server, bound by the deadline of the call that it serves."""

from __future__ import annotations

import select
import socket
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Final

from bridge.opa.deadline import TimedSocket, TimedTlsSocket, time_left
from bridge.opa.lookup import addresses
from bridge.opa.response import Response

if TYPE_CHECKING:
    import ssl

_TOGETHER: Final = 1 << 16


class Connection(HTTPConnection):
    """An `http.client` connection for one thread at a time, which opens itself when it first sends.

    Args:
        host: Name or IP address.
        port: The port.
        tls: Settings for TLS, or None for none.
        turn: Which of the name's addresses is tried first, counted over; None: as the name service has them.

    Attributes:
        end: The deadline of the call that it serves now.
        is_for_reads: No write may come next.
    """

    end: float

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, *, turn: int | None = None) -> None:
        super().__init__(host, port)
        self._tls = tls
        self._turn = turn
        self.is_for_reads = False

    def __del__(self) -> None:
        self.close()  # of a client that nobody closed

    def connect(self) -> None:
        """Connect, and shake hands.

        Raises:
            OSError: It cannot be done, or not in time.
        """
        sock: TimedSocket | TimedTlsSocket = _connected(self.host, self.port, self.end, self._turn)
        if self._tls is not None:
            try:
                # Not at once: the handshake needs the deadline, which can only be set on what is wrapped.
                sock = self._tls.wrap_socket(sock, server_hostname=self.host, do_handshake_on_connect=False)  # type: ignore[assignment] # its sslsocket_class
                sock.end = self.end
                sock.do_handshake()  # type: ignore[union-attr] # as above
            except BaseException:
                sock.close()
                raise
        self.sock = sock

    def serve(self, end: float) -> bool:
        """Serve a call with this deadline; gives whether the connection can still be used.

        It cannot when anything came that was not asked for: the end of the connection, or an answer to nothing.
        """
        self.end = end
        if self.sock is None:
            return True
        self.sock.end = end  # type: ignore[union-attr] # a timed one
        is_decrypted = self._tls is not None and self.sock.pending() > 0  # type: ignore[union-attr] # a TLS one
        return not is_decrypted and not _is_readable(self.sock)

    def ask(self, head: bytes, body: bytes | None) -> Response:
        """Send a request, and give its answer, of which the head has been read.

        Raises:
            OSError: The connection broke, or the deadline has passed.
            HTTPException: The answer is no HTTP.
        """
        self._send(head, body)
        response = Response(self.sock)
        response.begin()
        return response

    def _send(self, head: bytes, body: bytes | None) -> None:
        """Send what the peer takes: one that refuses a large body answers, and does not read the rest."""
        try:
            if body is None:
                self.send(head)
            elif len(body) <= _TOGETHER:
                self.send(head + body)  # one packet wakes the server once
            else:
                self.send(head)
                self.send(body)
        except (BrokenPipeError, ConnectionResetError):
            if self.sock is None:  # it was never connected
                raise


def _connected(host: str, port: int, end: float, turn: int | None) -> TimedSocket:
    found = addresses(host, port, end=end)
    if turn is not None:
        found.sort()  # a name service may take turns as well, and both together would none
        found = found[turn % len(found) :] + found[: turn % len(found)]
    failure = OSError("no address")
    for position, (family, address) in enumerate(found):
        sock = TimedSocket(family, socket.SOCK_STREAM)
        sock.end = end
        try:
            # A black hole among several addresses must not eat the time of the others.
            sock.connect_within(time_left(end) / (len(found) - position), address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def _is_readable(sock: socket.socket) -> bool:
    if not hasattr(select, "poll"):
        return bool(select.select([sock], [], [], 0)[0])
    waiting = select.poll()  # unlike select.select, it knows file descriptors above 1,023
    waiting.register(sock, select.POLLIN)
    return bool(waiting.poll(0))
