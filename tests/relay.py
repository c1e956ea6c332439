"""A server that hands each request on to an OPA, and lets a test do something at any moment of it."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fault_server import FaultServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fault_server import Exchange

MOMENTS = ("before", "in the middle", "after", "answered")
"""Of a request: before OPA gets it, when OPA has half of it, when OPA has done it, when the answer was handed on.

At all but the last its client waits; at the last it goes on, and may have made its next request."""


class ConnectionCutError(Exception):
    """The connection is to be cut, on both sides."""


@dataclass
class Relay:
    """Hands requests on.

    Attributes:
        url: Where the OPA is.
        at: Called at each moment of each request, with its number, its first line and the moment; may raise
            `ConnectionCutError`.
        lines: The first lines of the requests so far.
    """

    url: str
    at: Callable[[int, str, str], None] | None = None
    lines: list[str] = field(default_factory=list)

    def answer(self, exchange: Exchange) -> None:
        number = len(self.lines)
        self.lines.append(exchange.line)
        try:
            self._hand_on(exchange, number)
        except (ConnectionCutError, OSError):
            with contextlib.suppress(OSError):
                exchange.close()

    def _hand_on(self, exchange: Exchange, number: int) -> None:
        def moment(name: str) -> None:
            if self.at is not None:
                self.at(number, exchange.line, name)

        moment("before")
        address = urlsplit(self.url)
        with socket.create_connection((address.hostname, address.port)) as opa:
            first, _, rest = exchange.head.partition(b"\r\n")
            data = first + b"\r\nConnection: close\r\n" + rest + b"\r\n\r\n" + exchange.body
            opa.sendall(data[: len(data) // 2])
            moment("in the middle")
            opa.sendall(data[len(data) // 2 :])
            answer = b"".join(iter(lambda: opa.recv(1 << 20), b""))
        moment("after")
        exchange.send(answer)
        moment("answered")
        exchange.close()


@contextlib.contextmanager
def relayed(url: str, at: Callable[[int, str, str], None] | None = None) -> Iterator[tuple[str, Relay]]:
    """The address of a relay to the OPA, and the relay."""
    relay = Relay(url, at)
    with FaultServer(relay.answer) as server:
        yield server.url, relay
