"""One bounded GET: a total deadline, a bound on the body, nothing from the environment.

A time limit on each read does not bound the whole: a server that drips one byte at a time resets it each time, and
looking up a name has no limit at all. So the request runs in a thread of its own; at the deadline the caller goes its
way and cuts the connection under it, which ends the thread.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any, Final, cast

import requests
from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    from urllib3 import HTTPConnectionPool

_OK: Final = 200
_CHUNK: Final = 65_536
_HEADERS: Final = {
    "Accept": "application/jwk-set+json, application/json",
    "Accept-Encoding": "identity",  # a compressed body could be small on the wire and huge here
    "Connection": "close",
    "User-Agent": "jwt-policy-bridge",
}


class FetchError(Exception):
    """There is no body to be had; the message is the cause."""


def get(url: str, *, deadline: float, max_bytes: int, ca: str | None = None) -> bytes:
    """The body that `url` answers with.

    Redirects are not followed; proxies, `.netrc` and CA settings of the environment are not used.

    Args:
        url: An http or https URL.
        deadline: Seconds for the whole, from looking up the name to the last byte.
        max_bytes: The longest body taken.
        ca: A file of CA certificates in PEM, or None for those of `certifi`.

    Raises:
        FetchError: No whole 200 answer of at most `max_bytes` in time.
    """
    fetch = _Fetch(url, deadline, max_bytes, ca)
    try:
        threading.Thread(target=fetch.run, name="jwks-fetch", daemon=True).start()
    except RuntimeError:
        raise FetchError("no thread can be started") from None
    try:
        if not fetch.ended.wait(deadline):
            raise FetchError(f"no whole answer within {deadline:g} s")
    finally:
        fetch.cut()
    if fetch.body is None:
        raise FetchError(fetch.cause)
    return fetch.body


class _Fetch:
    """One request, run in a thread, that another thread can cut."""

    def __init__(self, url: str, deadline: float, max_bytes: int, ca: str | None) -> None:
        self.url = url
        self.deadline = deadline
        self.max_bytes = max_bytes
        self.ca = ca
        self.ended = threading.Event()
        self.body: bytes | None = None
        self.cause = ""
        self._lock = threading.Lock()
        self._cut = False
        self._socket: socket.socket | None = None

    def run(self) -> None:
        try:
            self.body = self._read()
        except FetchError as failed:
            self.cause = str(failed)
        except Exception as error:  # noqa: BLE001 - the caller must learn of any end of this thread
            self.cause = _in_words(error)
        finally:
            self.ended.set()

    def cut(self) -> None:
        """End the connection, now or as soon as there is one."""
        with self._lock:
            self._cut = True
            if self._socket is not None:
                _shut(self._socket)

    def watch(self, connected: socket.socket) -> None:
        """Take note of the connection that `cut` ends."""
        with self._lock:
            self._socket = connected
            if self._cut:
                _shut(connected)

    def _read(self) -> bytes:
        # the adapter alone: a Session would read the whole body of a redirect, and look at the environment
        with contextlib.closing(_WatchedAdapter(self)) as adapter:
            request = requests.Request("GET", self.url, headers=_HEADERS).prepare()
            verify = True if self.ca is None else self.ca
            # the deadline is kept by `get`; this limit ends the thread where nothing can be cut yet, as in a handshake
            limit = 2 * self.deadline
            with adapter.send(request, stream=True, timeout=limit, verify=verify) as answer:
                if answer.status_code != _OK:
                    raise FetchError(f"the server answered with status {answer.status_code}")
                if answer.headers.get("Content-Encoding", "identity") != "identity":
                    raise FetchError("the server answered with a compressed body")
                body = bytearray()
                while chunk := answer.raw.read(_CHUNK, decode_content=False):
                    body += chunk
                    if len(body) > self.max_bytes:
                        raise FetchError(f"the answer has more than {self.max_bytes:,} bytes")
                return bytes(body)


class _WatchedAdapter(HTTPAdapter):
    """Tells a `_Fetch` of the connection that it makes."""

    def __init__(self, fetch: _Fetch) -> None:
        super().__init__(max_retries=0)
        self._fetch = fetch

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        fetch = self._fetch

        class Watched(pool.ConnectionCls):  # type: ignore[misc] # the scheme decides its base
            def connect(self) -> None:
                super().connect()
                fetch.watch(self.sock)

        pool.ConnectionCls = Watched
        return cast("HTTPConnectionPool", pool)


def _shut(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # not SSLSocket.shutdown, which would take the TLS state away from under the reading thread
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


def _in_words(error: BaseException) -> str:
    """The innermost cause that says something, without the URL that `requests` puts into its texts."""
    causes: list[BaseException] = []
    todo: list[BaseException] = [error]
    while todo and len(causes) < 20:  # noqa: PLR2004 - a bound against a chain in a circle
        cause = todo.pop(0)
        causes.append(cause)
        inner = (*cause.args, cause.__cause__, cause.__context__, getattr(cause, "reason", None))
        todo += [one for one in inner if isinstance(one, BaseException) and one not in causes]
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the server's certificate is not trusted: {cause.verify_message}"
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {getattr(cause, 'reason', None) or type(cause).__name__}"  # Python's own have none
        if isinstance(cause, socket.gaierror):
            return "the host's name cannot be looked up"
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, requests.RequestException):
            return cause.strerror.lower()
    return f"the connection failed ({type(causes[-1]).__name__})"
