"""One call to one OPA, awaited: bytes go, bytes come, in time, or one of our errors is raised."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from bridge.aio.carrier import Carrier
from bridge.aio.faults import FOREIGN, plain
from bridge.errors import UsageError
from bridge.opa.answer import Answer
from bridge.opa.attempts import Attempts
from bridge.opa.question import RulesQuery, may_answer

if TYPE_CHECKING:
    import aiohttp

    from bridge.opa.settings import OpaSettings

_MOST_IDLE: Final = 64
_SLACK: Final = 0.001  # a timer that fires early must not be taken for a connection that broke


class AsyncTransport:
    """Connections to one OPA, kept open between calls, for the tasks of the event loop of the first call.

    Args:
        settings: Where it is, and how to speak to it.
    """

    def __init__(self, settings: OpaSettings) -> None:
        self._settings = settings
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
        """Ask, and give the answer, whatever its status; arguments and errors as for `opa.transport.Transport.call`.

        Raises:
            UsageError: The client is closed, or belongs to another event loop.
        """
        attempts = Attempts(self._settings, method, target, seconds, is_read=is_read)
        if self._closed:
            raise UsageError("this client is closed")
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if self._loop is not loop:
            raise UsageError("this client belongs to another event loop; make one in each")
        while True:
            fault = None
            sent, nonce = body.fresh() if isinstance(body, RulesQuery) else (body, None)
            try:
                async with asyncio.timeout(attempts.left + _SLACK):
                    answer = await self._exchange(method, target, sent, nonce)
            except FOREIGN as error:
                fault, pause = attempts.after(plain(error))
            if fault is None:
                break
            if pause is None:
                raise fault
            await asyncio.sleep(pause)
        if answer is None:
            raise attempts.too_large()
        return answer

    async def _exchange(self, method: str, target: str, body: bytes | None, nonce: str | None) -> Answer | None:
        """The answer, or None where it is too large."""
        carrier = await self._carrier()
        try:
            # A large body goes in pieces, between which other tasks have their turns.
            response = await carrier.session.request(
                method,
                f"{self._settings.address}{target}",
                data=None if body is None else io.BytesIO(body),
                headers={"Content-Type": "application/json"},
                allow_redirects=False,
            )
            found = await self._read(response)
        except BaseException:  # cancelled, too: the answer may still be to come
            await carrier.end()
            raise
        # As in opa.transport: nobody uses a connection again after any answer but a whole 200 to this very question.
        is_done = found is not None and response.status == HTTPStatus.OK and may_answer(found, nonce)
        if not is_done or not carrier.is_usable or len(self._idle) >= _MOST_IDLE:
            await carrier.end()
        elif self._closed:
            await carrier.close()
        else:
            self._idle.append(carrier)
        return None if found is None else Answer(response.status, found, nonce)

    async def _carrier(self) -> Carrier:
        while self._idle:
            carrier = self._idle.pop()
            if carrier.is_usable:
                return carrier
            await carrier.end()
        return Carrier(self._settings)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes | None:
        room = self._settings.max_answer
        announced = response.content_length  # it need not come first
        if announced is not None and announced > room:
            return None
        pieces = []
        async for piece in response.content.iter_any():
            room -= len(piece)
            if room < 0:
                return None
            pieces.append(piece)
        return b"".join(pieces)
