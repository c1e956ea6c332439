"""The addresses of a host, in time."""

from __future__ import annotations

import queue
import socket
import threading
from typing import Any, TypeAlias

from bridge.opa.deadline import time_left

_Address: TypeAlias = tuple[socket.AddressFamily, Any]


def addresses(host: str, port: int, *, end: float) -> list[_Address]:
    """Families and addresses of a name, or of an IP address, which needs no look-up.

    Raises:
        OSError: There are none; `socket.gaierror` where the name is not known, `TimeoutError` at the deadline.
    """
    try:
        return _look_up(host, port, socket.AI_NUMERICHOST)
    except socket.gaierror:
        return _looked_up_in_time(host, port, end)


def _looked_up_in_time(host: str, port: int, end: float) -> list[_Address]:
    """Name resolution knows no timeout, so it runs in a thread that may be left behind."""
    answers: queue.SimpleQueue[list[_Address] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(_look_up(host, port, 0))
        except OSError as error:
            answers.put(error)

    try:
        threading.Thread(target=look_up, daemon=True, name="opa-name-lookup").start()
    except RuntimeError as error:  # no more threads can be had
        raise OSError(error) from error
    try:
        answer = answers.get(timeout=time_left(end))
    except queue.Empty:
        raise TimeoutError("looking up the host's name took too long") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _look_up(host: str, port: int, flags: int) -> list[_Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except UnicodeError:
        raise socket.gaierror("no host name") from None
    return [(family, address) for family, _, _, _, address in found]
