"""Bytes on the wire: the bridge's request is recorded once, and simple clients send it again."""

from __future__ import annotations

import http.client
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import urllib3

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Sent:
    """A request and its response."""

    method: str
    target: str
    body: bytes
    status: int
    answer: bytes


def recorded(url: str, act: Callable[[str], object]) -> list[Sent]:
    """Return what an action sends to the server: `act` gets the URL of a recording proxy."""
    sent: list[Sent] = []
    server = urlsplit(url)

    class InBetween(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            onward = http.client.HTTPConnection(server.hostname or "", server.port)
            onward.request(self.command, self.path, body, {"Content-Type": "application/json"})
            reply = onward.getresponse()
            answer = reply.read()
            onward.close()
            sent.append(Sent(self.command, self.path, body, reply.status, answer))
            self.send_response(reply.status)
            if reply.status != 204:
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_any  # noqa: N815 - as the library calls them

        def log_message(self, *_: object) -> None:
            pass

    between = ThreadingHTTPServer(("127.0.0.1", 0), InBetween)
    between.daemon_threads = True
    thread = threading.Thread(target=between.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        act(f"http://127.0.0.1:{between.server_address[1]}")
    finally:
        between.shutdown()
        thread.join()
        between.server_close()
    return sent


class PoolFloor:
    """urllib3's pool: it sends bytes and reads the whole response without parsing it."""

    def __init__(self, url: str) -> None:
        at = urlsplit(url)
        self._pool = urllib3.HTTPConnectionPool(at.hostname or "", at.port, maxsize=64, retries=False)

    def send(self, method: str, target: str, body: bytes | None = None) -> bytes:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        answer = self._pool.urlopen(method, target, body=body, headers=headers, retries=False)
        if answer.status not in (200, 204):
            raise RuntimeError(f"{method} {target}: {answer.status} {answer.data[:200]!r}")
        data: bytes = answer.data
        return data

    def close(self) -> None:
        self._pool.close()


class ConnectionFloor:
    """One open connection of http.client."""

    def __init__(self, url: str) -> None:
        at = urlsplit(url)
        self._connection = http.client.HTTPConnection(at.hostname or "", at.port)

    def send(self, method: str, target: str, body: bytes | None = None) -> bytes:
        self._connection.request(method, target, body, {"Content-Type": "application/json"})
        return self._connection.getresponse().read()

    def close(self) -> None:
        self._connection.close()
