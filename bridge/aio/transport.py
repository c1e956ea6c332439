"""One call to one OPA, awaited: bytes go, bytes come, in time, or one of our errors is raised."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from http import HTTPStatus
from http.client import HTTPException
from time import monotonic
from typing import TYPE_CHECKING, Final

from aiohttp import HttpVersion10, HttpVersion11
from yarl import URL

from bridge.aio.carrier import Carrier
from bridge.aio.faults import FOREIGN, plain
from bridge.errors import UsageError
from bridge.http import Cause, HttpFailure
from bridge.http.framing import framing
from bridge.http.retries import Attempts
from bridge.opa.answer import Answer
from bridge.opa.question import RulesQuery, may_answer
from bridge.opa.refusal import fault

if TYPE_CHECKING:
    import aiohttp

    from bridge.http import HttpSettings
    from bridge.http.framing import Framing

_MOST_IDLE: Final = 64
_SLACK: Final = 0.001  # a timer that fires early must not be taken for a connection that broke


class AsyncTransport:
    """Connections to one OPA, kept open between calls, for the tasks of the event loop of the first call.

    Args:
        settings: Where it is, and how to speak to it.
    """

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._origin = settings.address.origin.replace("%25", "%")  # aiohttp connects to what is written there
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: deque[Carrier] = deque()

    async def close(self) -> None:
        """Close the connections; no call can be made any more."""
        self._closed = True
        while self._idle:
            await self._idle.pop().close()

    async def call(
        self, method: str, target: str, body: bytes | RulesQuery | None, *, seconds: float, is_read: bool
    ) -> Answer:
        """Make a request, and return its answer, whatever its status; as `HttpClient.query`, with the errors of OPA.

        Raises:
            EngineError: There is no whole answer.
            UsageError: The client is closed, or belongs to another event loop.
        """
        attempts = Attempts(seconds, is_read=is_read)
        if self._closed:
            raise UsageError("this client is closed")
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if self._loop is not loop:
            raise UsageError("this client belongs to another event loop; make one in each")
        bearer, renewed = self._settings.token, None
        while True:
            why = None
            sent, nonce = body.fresh() if isinstance(body, RulesQuery) else (body, None)
            try:
                async with asyncio.timeout(attempts.left + _SLACK):
                    token = renewed or await self._token()
                    answer = await self._exchange(method, target, sent, nonce, token, is_new=attempts.number > 0)
                    if answer.status == HTTPStatus.UNAUTHORIZED and bearer is not None and renewed is None:
                        renewed = await asyncio.to_thread(bearer.renewed, token)
                        if renewed is not None:
                            continue
                pause = attempts.after_status(answer.status)
            except HttpFailure as error:
                why, pause = error, None
            except FOREIGN as error:
                why, pause = attempts.after(plain(error))
            if why is not None and pause is None:
                break
            if pause is None:
                return answer
            await asyncio.sleep(pause)
        raise fault(why, f"{method} {target}", self._settings.address)

    async def _token(self) -> str | None:
        bearer = self._settings.token
        if bearer is None or bearer.is_at_hand:
            return None if bearer is None else bearer.current()
        return await asyncio.to_thread(bearer.current)  # a disk may be slow, and so may an application's function

    async def _exchange(
        self, method: str, target: str, body: bytes | None, nonce: str | None, token: str | None, *, is_new: bool
    ) -> Answer:
        address = self._settings.address
        carrier = Carrier(self._settings) if is_new else await self._carrier()
        try:
            # A large body goes in pieces, between which other tasks have their turns.
            response = await carrier.session.request(
                method,
                URL(f"{self._origin}{address.prefix}{target}", encoded=True),
                data=None if body is None else io.BytesIO(body),
                headers={"Content-Type": "application/json", **self._settings.authorization(token)},
                allow_redirects=False,
                server_hostname=address.name if self._settings.tls else None,
            )
            frame = _framing(response)
            content = await self._read(response, frame)
        except BaseException:  # cancelled, too: the answer may still be to come
            await carrier.end()
            raise
        # As in bridge.http: nobody uses a connection again after any answer but a whole 200 to this very question.
        is_done = response.status == HTTPStatus.OK and not frame.closes and may_answer(content, nonce)
        carrier.idle_since = monotonic()
        if not is_done or not carrier.is_usable or len(self._idle) >= _MOST_IDLE:
            await carrier.end()
        elif self._closed:
            await carrier.close()
        else:
            self._idle.append(carrier)
        return Answer(response.status, content, nonce)

    async def _carrier(self) -> Carrier:
        while self._idle:
            carrier = self._idle.pop()
            if carrier.is_usable:
                return carrier
            await carrier.end()
        return Carrier(self._settings)

    async def _read(self, response: aiohttp.ClientResponse, frame: Framing) -> bytes:
        limit = self._settings.max_answer
        size = frame.length or 0  # what is announced need not come first
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
            raise HttpFailure(Cause.TOO_LARGE, f"the answer is larger than {limit} bytes")
        if frame.chunked and any(pieces) and not is_chunked:
            raise HTTPException("aiohttp did not take these for chunks")
        return b"".join(pieces)


def _framing(response: aiohttp.ClientResponse) -> Framing:
    """Return where the answer ends, as the synchronous client reads it; aiohttp lets more pass.

    Raises:
        HTTPException: It is refused.
    """
    if response.version not in (HttpVersion10, HttpVersion11) or response.status < HTTPStatus.CONTINUE:
        raise HTTPException("no status line of HTTP/1")
    return framing(response.status, response.raw_headers, is_1_0=response.version == HttpVersion10)
