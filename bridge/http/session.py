"""A client for one server: a `requests.Session` for administration, and its pool for the many calls that decide."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from itertools import count
from time import sleep
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Timeout

from bridge.errors import UsageError
from bridge.http.connection import Connection, ConnectionPool
from bridge.http.failures import FOREIGN
from bridge.http.outcome import Cause, HttpRequestError, Renewable, Reply, may_answer
from bridge.http.retries import Attempts
from bridge.http.settings import HttpSettings

_PIECE: Final = 1 << 20
_JSON: Final = {"Content-Type": "application/json"}


class HttpClient:
    """Calls to one server; threads and forked children may share it.

    Args:
        settings: The server's address, and the client's settings.
    """

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._session = _Session(settings)
        self._pool = self._session.adapter.pool
        self._fields = "".join(f"{name}: {value}\r\n" for name, value in settings.fields.items())
        self._turns = count()

    def close(self) -> None:
        """Close the connections and refuse further calls."""
        self._session.close()

    def request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        *,
        seconds: float,
        is_read: bool,
        headers: dict[str, str] | None = None,
        only_ok: bool = False,
    ) -> Reply:
        """Make a request and return its response, whatever its status.

        A read may use an idle connection. When that breaks, the read is repeated on a new one, at most twice. A write
        cannot be repeated safely, so each one opens a new connection.

        Args:
            method: The HTTP method.
            target: Path and query, below the address; quoted.
            body: What to send.
            seconds: The deadline for everything together.
            is_read: The request changes nothing at the server.
            headers: More header fields.
            only_ok: Do not read the body of any status but 200.

        Raises:
            HttpRequestError: There is no whole response.
            UsageError: The client is closed.
        """
        url = f"{self._settings.address.origin}{self._settings.address.prefix}{target}"
        fields = {**(headers or {}), **({} if body is None else _JSON)}

        def once(attempts: Attempts, token: str | None) -> Reply:
            alone = {} if is_read and not attempts.number else {"Connection": "close"}
            with self._session.request(
                method,
                url,
                data=body,
                headers={**fields, **alone, **self._settings.authorization(token)},
                timeout=Timeout(total=attempts.left),  # type: ignore[arg-type] # the stubs do not know it
                stream=True,
                allow_redirects=False,
            ) as response:
                status = response.status_code
                has_body = status == HTTPStatus.OK or not only_ok
                return Reply(status, _body_of(response.raw, self._settings.max_answer) if has_body else b"")

        return self._repeated(once, Attempts(seconds, is_read=is_read))

    def query(
        self, method: str, target: str, body: bytes | Renewable | None, *, seconds: float, fresh: bool = False
    ) -> Reply:
        """Make a read as `request` does, but directly on the pool, which is faster.

        Args:
            method: The HTTP method.
            target: Path and query, below the address; quoted.
            body: The JSON to send.
            seconds: The deadline for everything together.
            fresh: Use a new connection in place of the last one, so that a balancer chooses a server again. Where the
                host's name has several addresses, they take turns.

        Raises:
            HttpRequestError: There is no whole response.
            UsageError: The client is closed.
        """

        def once(attempts: Attempts, token: str | None) -> Reply:
            sent, nonce = (body, None) if body is None or isinstance(body, bytes) else body.fresh()
            head = self._head(method, target, sent, token)
            return self._exchange(self._connection(attempts, fresh=fresh), head, sent, nonce)

        return self._repeated(once, Attempts(seconds, is_read=True))

    def _repeated(self, once: Callable[[Attempts, str | None], Reply], attempts: Attempts) -> Reply:
        if self._pool.pool is None:
            raise UsageError("this client is closed")
        bearer, renewed = self._settings.token, None
        while True:
            why = None
            try:
                token = renewed or (None if bearer is None else bearer.current())
                reply = once(attempts, token)
                if reply.status == HTTPStatus.UNAUTHORIZED and bearer is not None and renewed is None:
                    renewed = bearer.renewed(token)
                    if renewed is not None:
                        continue
                pause = attempts.after_status(reply.status)
            except FOREIGN as error:
                why, pause = attempts.after(error)
            if why is not None and pause is None:
                raise why
            if pause is None:
                return reply
            sleep(pause)

    def _head(self, method: str, target: str, body: bytes | None, token: str | None) -> bytes:
        # http.client would check each target again, but targets consist of checked names alone.
        about = "" if body is None else f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        if token is not None:
            about = f"Authorization: Bearer {token}\r\n{about}"
        return f"{method} {self._settings.address.prefix}{target} HTTP/1.1\r\n{self._fields}{about}\r\n".encode("ascii")

    def _connection(self, attempts: Attempts, *, fresh: bool) -> Connection:
        pool = self._pool
        if fresh and pool.pool is not None:
            pool.pool.drop_last()
        # After an attempt that failed another idle connection may be as dead as the one that broke.
        is_new = fresh or attempts.number > 0
        connection = pool.new(next(self._turns) if fresh else None) if is_new else pool.take()
        connection.until(attempts.end)
        return connection

    def _exchange(self, connection: Connection, head: bytes, body: bytes | None, nonce: str | None) -> Reply:
        try:
            response = connection.exchange(head, body)
            content = response.body(self._settings.max_answer)
        except BaseException:
            connection.abort()
            raise
        if content is None or not may_answer(content, nonce):
            connection.abort()
        self._pool.give_back(connection)
        if content is None:
            raise _too_large(self._settings.max_answer)
        return Reply(response.status, content, nonce)


def _body_of(raw: Any, limit: int) -> bytes:
    """Return the body of urllib3's response."""
    pieces: list[bytes] = []
    left = limit
    if raw.length_remaining is not None and raw.length_remaining > limit:  # it need not come first
        raise _too_large(limit)
    while piece := raw.read(_PIECE, decode_content=False):
        left -= len(piece)
        if left < 0:
            raise _too_large(limit)
        pieces.append(piece)
    return b"".join(pieces)


def _too_large(limit: int) -> HttpRequestError:
    return HttpRequestError(Cause.TOO_LARGE, f"the answer is larger than {limit} bytes")


class _Session(requests.Session):
    """A session that takes nothing from the environment, keeps no cookies and follows no redirects."""

    def __init__(self, settings: HttpSettings) -> None:
        super().__init__()
        self.trust_env = False
        self.headers.clear()
        self.headers.update(settings.fields)
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.adapter = _Adapter(settings)
        self.adapters.clear()
        self.mount(settings.address.origin, self.adapter)

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        prepared = super().prepare_request(request)
        prepared.url = request.url  # requests quotes it again and removes dot segments
        return prepared

    def get_redirect_target(self, _: requests.Response) -> None:
        """Return None, or requests would read the whole body of a redirect."""


class _Adapter(HTTPAdapter):
    """The adapter for one server; it owns the pool of connections."""

    def __init__(self, settings: HttpSettings) -> None:
        self.pool = ConnectionPool(settings)
        self._single = ConnectionPool(settings, most=0)
        self._origin = settings.address.origin
        super().__init__()

    def get_connection_with_tls_context(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> ConnectionPool:
        return self._single if request.headers.get("Connection") == "close" else self.pool

    def cert_verify(self, *_: Any) -> None:
        """Do nothing, as the connections have their own TLS settings."""

    def request_url(self, request: requests.PreparedRequest, *_: Any) -> str:
        return request.url.removeprefix(self._origin) if request.url else ""

    def close(self) -> None:
        super().close()
        self.pool.close()
        self._single.close()
