"""Ports of the loopback address at which nothing answers unless the test starts something there."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port that the system gives to nobody else, whatever other processes ask for meanwhile.

    A socket that does not listen keeps it: connections are refused, and a server that is told the port may listen.
    """
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        yield keeper.getsockname()[1]
