"""Sockets whose operations all end at the deadline of the call.

A timeout of Python's bounds one operation: a server that sends one byte every 50 ms never runs into it. Here each
operation may last as long as is left of the whole call. A deadline is a time of `time.monotonic`.
"""

from __future__ import annotations

import socket
import ssl
import time
from typing import Any


def time_left(end: float) -> float:
    """Return the seconds until a deadline, for a timeout.

    Raises:
        TimeoutError: The deadline has passed.
    """
    seconds = end - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the deadline has passed")
    return seconds


class _Timed(socket.socket):
    """The operations that `http.client` uses, each within the deadline.

    One operation of CPython, the whole `sendall` of a plain socket included, lasts no longer than its timeout.

    Attributes:
        end: The deadline of the current call.
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
    """A TCP or Unix socket."""

    def connect_within(self, seconds: float, address: Any) -> None:
        """Connect within `seconds`."""
        self.settimeout(seconds)
        self.connect(address)


class TimedTlsSocket(_Timed, ssl.SSLSocket):
    """A TLS socket, for `SSLContext.sslsocket_class`."""

    def do_handshake(self, *_: Any, **__: Any) -> None:
        """Shake hands within the deadline."""
        self.settimeout(time_left(self.end))
        super().do_handshake()
