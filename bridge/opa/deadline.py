"""Sockets whose every operation ends at the call's deadline.

The timeouts of `requests` are per socket operation: a peer that drips one byte every 50 ms never runs into
them. Here each operation may last as long as is left of the whole call, so that connecting, TLS, sending and
reading together end in time, whatever the peer does.
"""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_end: ContextVar[float] = ContextVar("_end")


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Within the block, every operation of this thread's timed sockets ends `seconds` from now at the latest."""
    token = _end.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


def left() -> float:
    """Seconds until the deadline of the block that we are in; none or fewer when it has passed."""
    return _end.get() - time.monotonic()


def time_left() -> float:
    """The same, for a timeout.

    Raises:
        TimeoutError: None are left.
    """
    seconds = left()
    if seconds <= 0:
        raise TimeoutError("the deadline has passed")
    return seconds


class _Timed(socket.socket):
    """What `http.client` calls on a connected socket, in time.

    One operation of CPython's, the whole `sendall` of a plain socket included, lasts no longer than its timeout.
    """

    def send(self, *args: Any) -> int:
        self.settimeout(time_left())
        return super().send(*args)

    def sendall(self, *args: Any) -> None:
        self.settimeout(time_left())
        super().sendall(*args)

    def recv_into(self, *args: Any) -> int:
        self.settimeout(time_left())
        return super().recv_into(*args)


class TimedSocket(_Timed):
    """A TCP socket."""

    def connect_within(self, seconds: float, address: Any) -> None:
        """Connect, in `seconds` at most."""
        self.settimeout(seconds)
        self.connect(address)


class TimedTlsSocket(_Timed, ssl.SSLSocket):
    """A TLS socket, for `SSLContext.sslsocket_class`."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - the signature of ssl.SSLSocket
        """Shake hands, in time."""
        self.settimeout(time_left())
        super().do_handshake(block)
