"""Sockets that look up, connect, send and receive within the deadline of the call.

A timeout of Python's bounds one operation: a server that sends one byte every 50 ms never exceeds it. Here each
operation may last as long as is left of the whole call. A deadline is a time of `time.monotonic`.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import threading
import time
from typing import Any, Final, TypeAlias

from bridge.http.address import Address

_Target: TypeAlias = tuple[socket.AddressFamily, Any]

_KEEPALIVE: Final = [
    (level, getattr(socket, name), value)
    for level, name, value in (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 30),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 10),
    )
    if hasattr(socket, name)  # the last two differ by system
]


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
        """Send a part of the data."""
        self.settimeout(time_left(self.end))
        return super().send(*args)

    def sendall(self, *args: Any) -> None:
        """Send all of the data."""
        self.settimeout(time_left(self.end))
        super().sendall(*args)

    def recv_into(self, *args: Any) -> int:
        """Receive into a buffer."""
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


def connected(address: Address, end: float, turn: int | None = None) -> TimedSocket:
    """Connect to a server.

    Args:
        address: Where it is.
        end: The deadline.
        turn: Which address of the host's name comes first, modulo their number; None: the name service's first.

    Raises:
        OSError: No connection; `socket.gaierror` for an unknown name, `TimeoutError` at the deadline.
    """
    if address.is_unix:
        targets: list[_Target] = [(socket.AF_UNIX, address.socket)]
    else:
        targets = look_up(address.host, address.port, end=end)
    if turn is not None:
        targets.sort()  # the name service may rotate them as well, and two rotations can cancel out
        targets = targets[turn % len(targets) :] + targets[: turn % len(targets)]
    failure = OSError("no address")
    for position, (family, target) in enumerate(targets):
        sock = TimedSocket(family, socket.SOCK_STREAM)
        sock.end = end
        try:
            # An address that drops packets must leave time for the others.
            sock.connect_within(time_left(end) / (len(targets) - position), target)
            if not address.is_unix:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                keep_alive(sock)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def keep_alive(sock: socket.socket) -> None:
    """Switch TCP keep-alive on, so that firewalls and balancers see idle connections."""
    for option in _KEEPALIVE:
        with contextlib.suppress(OSError):  # nothing depends on it
            sock.setsockopt(*option)


def look_up(host: str, port: int, *, end: float) -> list[_Target]:
    """Return the families and addresses of a host name, or of an IP address, which needs no name service.

    Raises:
        OSError: There are none; `socket.gaierror` for an unknown name, `TimeoutError` at the deadline.
    """
    try:
        return _resolved(host, port, socket.AI_NUMERICHOST)
    except socket.gaierror:
        return _resolved_in_thread(host, port, end)


def _resolved_in_thread(host: str, port: int, end: float) -> list[_Target]:
    """Resolve a name in a thread that may be left behind, as name resolution has no timeout."""
    outcomes: queue.SimpleQueue[list[_Target] | OSError] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            outcomes.put(_resolved(host, port, 0))
        except OSError as error:
            outcomes.put(error)

    try:
        threading.Thread(target=resolve, daemon=True, name="bridge-name-lookup").start()
    except RuntimeError as error:  # no more threads
        raise OSError(error) from error
    try:
        outcome = outcomes.get(timeout=time_left(end))
    except queue.Empty:
        raise TimeoutError("looking up the host's name took too long") from None
    if isinstance(outcome, OSError):
        raise outcome
    return outcome


def _resolved(host: str, port: int, flags: int) -> list[_Target]:
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except UnicodeError:
        raise socket.gaierror("no host name") from None
    return [(family, address) for family, _, _, _, address in infos]
