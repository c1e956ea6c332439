"""One call to one OPA: bytes go, bytes come, in time, or one of our errors is raised."""

from __future__ import annotations

import os
from dataclasses import dataclass
from time import sleep
from typing import TYPE_CHECKING, Any, Final

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from bridge.errors import BadAnswer, BridgeError, DeadlineExceeded, EngineFault, EngineUnreachable, Misuse
from bridge.opa.connection import open_pool
from bridge.opa.deadline import deadline, left
from bridge.opa.faults import FOREIGN, is_protocol_breach, is_tls_failure, reason

if TYPE_CHECKING:
    import ssl

    from urllib3 import HTTPConnectionPool

    from bridge.opa.address import Address

_PAUSES: Final = (0.0, 0.1)
"""Seconds before each repetition: the first is for a connection that had gone stale, the second for a restart."""

_PIECE: Final = 1 << 20
_POOL_SIZE: Final = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whole.

    Attributes:
        status: The HTTP status.
        body: Its body, however it was framed.
    """

    status: int
    body: bytes


class Transport:
    """Connections to one OPA, kept open between calls; threads and forked children may share it.

    Args:
        address: Where it is.
        tls: Needed for `https`.
        headers: Sent with every call.
        max_answer: The size of the largest body to accept, in bytes.
    """

    def __init__(
        self, address: Address, *, tls: ssl.SSLContext | None, headers: dict[str, str], max_answer: int
    ) -> None:
        self._address = address
        self._tls = tls
        self._headers = {"User-Agent": "jwt-policy-bridge", **headers}
        self._max_answer = max_answer
        self._closed = False
        self._open()

    def _open(self) -> _Adapter:
        """Connections of this process's own; set at once with its id, for another thread may look in between."""
        a = self._address
        adapter = _Adapter(open_pool(a.scheme, a.host, a.port, size=_POOL_SIZE, tls=self._tls))
        self._owned = (os.getpid(), adapter)
        return adapter

    def close(self) -> None:
        """Close the connections; no call can be made any more."""
        self._closed = True
        self._owned[1].close()

    def call(
        self,
        method: str,
        target: str,
        body: bytes | None,
        *,
        seconds: float,
        is_read: bool,
        if_absent: bool = False,
    ) -> Answer:
        """Ask, and give the answer, whatever its status.

        Args:
            method: The HTTP method.
            target: Path and query, below the address.
            body: What to send.
            seconds: For everything together.
            is_read: It changes nothing in OPA, so it may be repeated when a connection breaks.
            if_absent: Only where there is nothing yet.

        Raises:
            EngineUnreachable: No connection, or it broke.
            DeadlineExceeded: The answer was not whole in time.
            BadAnswer: It is no HTTP, or too big.
            Misuse: The client is closed.
        """
        if self._closed:
            raise Misuse("this client is closed")
        owner, adapter = self._owned
        if owner != os.getpid():  # the parent's sockets are the parent's
            adapter = self._open()
        request = self._request(method, target, body)
        if if_absent:
            request.headers["If-None-Match"] = "*"
        what = f"{method} {target}"
        with deadline(seconds):
            outcome, is_broken = self._attempt(adapter, request, what, seconds)
            for pause in _PAUSES if is_read else ():
                if not is_broken or left() <= pause:
                    break
                sleep(pause)
                outcome, is_broken = self._attempt(adapter, request, what, seconds)
        if isinstance(outcome, Answer):
            return outcome
        raise outcome

    def _request(self, method: str, target: str, body: bytes | None) -> PreparedRequest:
        # Not by `prepare`, which costs more than all else here and could only change what is right already.
        request = PreparedRequest()
        request.method = method
        request.url = self._address.prefix + target
        request.body = body
        headers = CaseInsensitiveDict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
            headers["Content-Length"] = str(len(body))
        request.headers = headers
        return request

    def _attempt(
        self, adapter: _Adapter, request: PreparedRequest, what: str, seconds: float
    ) -> tuple[Answer | EngineFault, bool]:
        """The answer; or the fault, and whether the connection broke.

        A fault is given, not raised, so that it keeps no reference to a foreign exception: those hold the request,
        with its token.
        """
        try:
            return self._exchange(adapter, request, what), False
        except BridgeError:
            raise
        except FOREIGN as error:
            if left() <= 0:
                return DeadlineExceeded(f"`{what}` at {self._address}: no whole answer within {seconds:g} s"), False
            if is_tls_failure(error):
                return EngineUnreachable(f"`{what}` at {self._address}: {reason(error)}"), False
            if is_protocol_breach(error):
                return BadAnswer(f"`{what}`: the answer is no http"), False
            return EngineUnreachable(f"`{what}` at {self._address}: {reason(error)}"), True

    def _exchange(self, adapter: _Adapter, request: PreparedRequest, what: str) -> Answer:
        response = adapter.send(request, stream=True)
        try:
            return Answer(response.status_code, self._read(response, what))
        finally:
            response.raw.close()  # does nothing to a connection that went back to the pool

    def _read(self, response: Response, what: str) -> bytes:
        raw = response.raw
        pieces: list[bytes] = []
        room = self._max_answer
        if (raw.length_remaining or 0) > room:  # as announced; it need not come first
            raise self._too_large(what)
        while piece := raw.read(_PIECE):
            room -= len(piece)
            if room < 0:
                raise self._too_large(what)
            pieces.append(piece)
            if raw.length_remaining == 0:
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _too_large(self, what: str) -> BadAnswer:
        return BadAnswer(f"`{what}`: the answer is larger than {self._max_answer} bytes")


class _Adapter(HTTPAdapter):
    """The adapter of `requests` for one server; without a Session, there is no proxy, no `.netrc`, no cookie.

    What it replaces is there to find the server, its TLS settings and a proxy anew at each call.
    """

    def __init__(self, pool: HTTPConnectionPool) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1)
        self._pool = pool

    def get_connection_with_tls_context(self, *_args: Any, **_kwargs: Any) -> HTTPConnectionPool:
        return self._pool

    def cert_verify(self, *_args: Any) -> None:
        """The pool's TLS context says it all; the original would add certificate authorities to it."""

    def request_url(self, request: PreparedRequest, _proxies: Any) -> str:
        return str(request.url)

    def build_response(self, _request: PreparedRequest, answer: Any) -> Response:
        response = Response()
        response.status_code = answer.status
        response.raw = answer
        return response

    def close(self) -> None:
        super().close()
        self._pool.close()
