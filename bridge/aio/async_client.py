"""Asynchronous queries to OPA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from bridge.aio.async_http import AsyncHttpClient
from bridge.http import HttpRequestError, HttpSettings
from bridge.opa import OpaClient, QueryReply
from bridge.opa.base_client import BaseOpaClient
from bridge.opa.opa_errors import call_error
from bridge.opa.queries import RulesQuery, checked_body, query_reply, query_target


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
