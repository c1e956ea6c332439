"""Sockets whose every operation ends at the call's deadline.

Python's timeouts are per socket operation: a peer that drips one byte every 50 ms never runs into them. Here each
operation may last as long as is left of the whole call, so that connecting, TLS, sending and reading together end in
time, whatever the peer does. A deadline is a time of `time.monotonic`.
"""

from __future__ import annotations

import socket
import ssl
import time
from typing import Any


def time_left(end: float) -> float:
    """Seconds until a deadline, for a timeout.

    Raises:
        TimeoutError: None are left.
    """
    seconds = end - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the deadline has passed")
    return seconds


class _Timed(socket.socket):
    """What `http.client` calls on a connected socket, in time.

    One operation of CPython's, the whole `sendall` of a plain socket included, lasts no longer than its timeout.

    Attributes:
        end: The deadline of the call that the socket serves now.
    """

    end: float

    def send(self, *args: Any) -> int:
        self.settimeout(time_left(self.end))
        return super().send(*args)

    def sendall(self, *args: Any) -> None:
        self.settimeout(time_left(self.end))
        super().sendall(*args)

    def recv_into(self, *args: Any) -> int:
        self.settimeout(time_left(self.end))
        return super().recv_into(*args)


class TimedSocket(_Timed):
    """A TCP socket."""

    def connect_within(self, seconds: float, address: Any) -> None:
        """Connect, in `seconds` at most."""
        self.settimeout(seconds)
        self.connect(address)


class TimedTlsSocket(_Timed, ssl.SSLSocket):
    """A TLS socket, for `SSLContext.sslsocket_class`."""

    def do_handshake(self, *_: Any, **__: Any) -> None:
        """Shake hands, in time: the timeout alone says how long it may block."""
        self.settimeout(time_left(self.end))
        super().do_handshake()
