"""Queries to an OPA, awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from bridge.aio.transport import AsyncTransport
from bridge.http import HttpSettings
from bridge.http.settings import DEADLINE, MAX_ANSWER, MAX_BODY, MAX_IDLE, checked_deadline
from bridge.opa import OpaClient
from bridge.opa.queries import Queries, sendable
from bridge.process_bound import ProcessBound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.http.credentials import Token
    from bridge.http.tls import ClientCertificate, Path
    from bridge.opa import QueryReply
    from bridge.opa.question import RulesQuery


class AsyncOpaClient(ProcessBound):
    """Asks one OPA; for all tasks of one event loop. Settings and errors are those of `OpaClient`.

    Args:
        url: Where OPA is.
        token: The bearer token: a text, a file or a function, which is called in a thread.
        ca: PEM file of the only certificate authorities to trust.
        client_certificate: PEM files of a certificate and its key.
        deadline: Seconds for a call that is not given a deadline of its own.
        max_answer: The size of the largest answer to accept, in bytes.
        max_idle: Seconds for which a connection that nobody uses is kept.
        max_body: The size of a batch, in bytes, as for `OpaClient`.

    Raises:
        ConfigurationError: One of these cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        ca: Path | None = None,
        client_certificate: ClientCertificate | None = None,
        deadline: float = DEADLINE,
        max_answer: int = MAX_ANSWER,
        max_idle: float = MAX_IDLE,
        max_body: int = MAX_BODY,
    ) -> None:
        settings = HttpSettings.checked(
            url,
            token=token,
            ca=ca,
            client_certificate=client_certificate,
            deadline=deadline,
            max_answer=max_answer,
            max_idle=max_idle,
            max_body=max_body,
        )
        self._settings = settings
        self.url = str(settings.address)
        self.deadline = settings.deadline
        self.max_body = settings.max_body
        self._queries = Queries(settings)
        self._transport = AsyncTransport(settings)

    def __repr__(self) -> str:
        return f"AsyncOpaClient({self.url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    def waiting(self) -> OpaClient:
        """A client for the same OPA, of the same settings, that does not await."""
        return OpaClient.of(self._settings)

    async def query(
        self, path: Sequence[str], body: bytes | RulesQuery, *, provenance: bool = False, deadline: float | None = None
    ) -> QueryReply:
        """Ask for a document, by POST; as `OpaClient.query`."""
        target = self._queries.target(path, provenance=provenance)
        seconds = self.deadline if deadline is None else checked_deadline(deadline)
        answer = await self._transport.call("POST", target, sendable(body), seconds=seconds, is_read=True)
        return self._queries.reply(answer, target, provenance=provenance)
