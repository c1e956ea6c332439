"""Asynchronous queries to OPA, by `HttpClient` for asyncio: calls over aiohttp, each within its deadline."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.client import HTTPException
from time import monotonic
from typing import Final, Self, TypeVar

import aiohttp
from aiohttp import HttpVersion10, HttpVersion11
from yarl import URL

from bridge.aio.async_connection import FOREIGN, AsyncConnection, standard_error
from bridge.errors import UsageError
from bridge.http import Cause, HttpRequestError, HttpSettings, Reply
from bridge.http.framing import Framing, framing
from bridge.http.outcome import Renewable, may_answer
from bridge.http.retries import Attempts
from bridge.opa import OpaClient, QueryReply
from bridge.opa.base_client import BaseOpaClient
from bridge.opa.opa_errors import call_error
from bridge.opa.queries import RulesQuery, checked_body, query_reply, query_target

T = TypeVar("T")

_MOST_IDLE: Final = 64
_SLACK: Final = 0.001  # a timer that fires early must not be taken for a connection that broke


class AsyncHttpClient:
    """Connections to one server, kept open between calls, for the tasks of the event loop of the first call.

    Args:
        settings: The server's address, and the client's settings.
    """

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._origin = settings.address.origin.replace("%25", "%")  # aiohttp connects to what is written there
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: deque[AsyncConnection] = deque()

    async def close(self) -> None:
        """Close the connections and refuse further calls."""
        self._closed = True
        while self._idle:
            await self._idle.pop().close()

    async def query(self, method: str, target: str, body: bytes | Renewable, *, seconds: float) -> Reply:
        """Make a read and return its response, whatever its status; as `HttpClient.query`.

        Raises:
            HttpRequestError: There is no whole response.
            UsageError: The client is closed, or belongs to another event loop.
        """
        attempts = Attempts(seconds, is_read=True)
        if self._closed:
            raise UsageError("this client is closed: make another one")
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if self._loop is not loop:
            raise UsageError("this client belongs to another event loop: make one in each")
        bearer, renewed = self._settings.token, None
        while True:
            failure = None
            sent, nonce = (body, None) if isinstance(body, bytes) else body.fresh()
            try:
                async with asyncio.timeout(attempts.left + _SLACK):
                    token = renewed or await self._token()
                    reply = await self._attempt(method, target, sent, nonce, token, is_new=attempts.number > 0)
                    if reply.status == HTTPStatus.UNAUTHORIZED and bearer is not None and renewed is None:
                        renewed = await _in_thread(bearer.renewed, token)
                        if renewed is not None:
                            continue
                pause = attempts.after_status(reply.status)
            except HttpRequestError as error:
                failure, pause = error, None
            except FOREIGN as error:
                failure, pause = attempts.after(standard_error(error))
            if failure is not None and pause is None:
                raise failure
            if pause is None:
                return reply
            await asyncio.sleep(pause)

    async def _token(self) -> str | None:
        bearer = self._settings.token
        if bearer is None or bearer.is_immediate:
            return None if bearer is None else bearer.current()
        return await _in_thread(bearer.current)  # a disk may be slow, and so may an application's function

    async def _attempt(
        self, method: str, target: str, body: bytes, nonce: str | None, token: str | None, *, is_new: bool
    ) -> Reply:
        address = self._settings.address
        connection = AsyncConnection(self._settings) if is_new else await self._connection()
        try:
            # aiohttp sends a large body in pieces, and other tasks run in between.
            response = await connection.session.request(
                method,
                URL(f"{self._origin}{address.prefix}{target}", encoded=True),
                data=io.BytesIO(body),
                headers={"Content-Type": "application/json", **self._settings.authorization(token)},
                allow_redirects=False,
                server_hostname=address.name if self._settings.tls else None,
            )
            frame = _framing(response)
            content = await self._read(response, frame)
        except BaseException:  # cancelled, too: the response may still come
            await connection.abort()
            raise
        # As in bridge.http, a connection is kept only after a whole 200 that belongs to this request.
        is_in_step = response.status == HTTPStatus.OK and not frame.closes and may_answer(content, nonce)
        connection.idle_since = monotonic()
        if not is_in_step or not connection.is_usable or len(self._idle) >= _MOST_IDLE:
            await connection.abort()
        elif self._closed:
            await connection.close()
        else:
            self._idle.append(connection)
        return Reply(response.status, content, nonce)

    async def _connection(self) -> AsyncConnection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
            await connection.abort()
        return AsyncConnection(self._settings)

    async def _read(self, response: aiohttp.ClientResponse, frame: Framing) -> bytes:
        limit = self._settings.max_answer
        size = frame.length or 0  # refuse a body that is too large before it comes
        pieces: list[bytes] = []
        received, is_chunked = 0, False
        content = response.content
        while size <= limit and not content.at_eof():
            piece, ends_chunk = await content.readchunk()
            is_chunked = is_chunked or ends_chunk
            pieces.append(piece)
            received += len(piece)
            size = max(size, received)
        if size > limit:
            raise HttpRequestError(Cause.TOO_LARGE, f"the answer is larger than {limit} bytes")
        if frame.chunked and any(pieces) and not is_chunked:
            raise HTTPException("aiohttp did not take these for chunks")
        return b"".join(pieces)


def _framing(response: aiohttp.ClientResponse) -> Framing:
    """Return where the body ends, by the rules of the synchronous client; aiohttp is less strict.

    Raises:
        HTTPException: The head is refused.
    """
    if response.version not in (HttpVersion10, HttpVersion11) or response.status < HTTPStatus.CONTINUE:
        raise HTTPException("no status line of HTTP/1")
    return framing(response.status, response.raw_headers, is_1_0=response.version == HttpVersion10)


async def _in_thread(function: Callable[..., T], *args: object) -> T:
    try:
        return await asyncio.to_thread(function, *args)
    except RuntimeError:  # BearerToken raises none
        raise HttpRequestError(Cause.SETTING, "no thread can be started to read the token: try again later") from None


class AsyncOpaClient(BaseOpaClient):
    """A client for one OPA, for all tasks of one event loop.

    Settings and errors are those of `OpaClient`. A function for the token is called in a thread.
    """

    def _open(self, settings: HttpSettings) -> None:
        super()._open(settings)
        self._http = AsyncHttpClient(settings)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def synchronous(self) -> OpaClient:
        """Return a synchronous client with the same settings."""
        return OpaClient.of(self._settings)

    async def query(
        self, path: Sequence[str], body: bytes | RulesQuery, *, provenance: bool = False, deadline: float | None = None
    ) -> QueryReply:
        """Query a document by POST, as `OpaClient.query` does."""
        target = query_target(path, provenance=provenance)
        sent, seconds = checked_body(body), self._seconds(deadline)
        try:
            reply = await self._http.query("POST", target, sent, seconds=seconds)
        except HttpRequestError as error:
            failure = error
        else:
            return query_reply(reply, target, self._settings, provenance=provenance)
        raise call_error(failure, f"POST {target}", self._settings.address)
