"""An OPA server, awaited."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from bridge.aio.client import AsyncOpaClient
from bridge.engines.dialogue import OPA_BATCH_BYTES, OPA_NAME, Dialogue, body
from bridge.engines.opa import OpaEngine
from bridge.engines.restoring import PATIENCE
from bridge.errors import ResourcesLost, RulesNotInstalled
from bridge.rendering import RuleSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bridge.decision import Decision, Request
    from bridge.engines.piece import Piece, PieceRequest
    from bridge.opa import QueryReply
    from bridge.resources import Source

_Answer = TypeVar("_Answer")


class AsyncOpaEngine:
    """Decides on an OPA server that has the rule set installed.

    Args:
        opa: The server's URL, or a client for it, with its token, its TLS settings and its deadline.
        rule_set: The settings of the installed rules.
        sources: As for `OpaEngine`: with these, an OPA that has lost the rules or the resources gets both anew, in a
            thread, while all tasks wait that asked.
        omit: As for `OpaEngine`.
        patience: As for `OpaEngine`.

    Attributes:
        waiting: The engine that does not await, for the same OPA.

    Raises:
        InvalidSetting: The URL, a source or `omit` cannot be used.
    """

    name = OPA_NAME
    batch_bytes = OPA_BATCH_BYTES

    def __init__(
        self,
        opa: str | AsyncOpaClient,
        rule_set: RuleSet | None = None,
        *,
        sources: Mapping[str, Source] | None = None,
        omit: Iterable[str] = (),
        patience: float = PATIENCE,
    ) -> None:
        self.rule_set = rule_set or RuleSet()
        self.opa = AsyncOpaClient(opa) if isinstance(opa, str) else opa
        self._dialogue = Dialogue(self.rule_set)
        self.waiting = OpaEngine(self.opa.waiting(), self.rule_set, sources=sources, omit=omit, patience=patience)
        self._restoring: asyncio.Future[None] | None = None

    async def decide(self, requests: Sequence[Request]) -> list[Decision]:
        """Exactly one decision for each request, in the same order.

        Raises:
            EngineFault: There is no decision for any of them.
        """
        if not requests:
            return []
        path, question = self._dialogue.path, self._dialogue.question(requests)
        return await self._asked(path, question, lambda reply: self._dialogue.decisions(reply, requests))

    async def explain(self, request: Request) -> tuple[Decision, bytes | None]:
        """The decision, and the stored resource it is about, in canonical text, where it was asked by id and known.

        Raises:
            EngineFault: There is no decision.
        """
        path, question = self._dialogue.path, self._dialogue.explaining_question(request)
        return await self._asked(path, question, lambda reply: self._dialogue.explained(reply, request))

    async def piece(self, request: PieceRequest) -> Piece:
        """A piece of a list.

        Raises:
            ResourcesLost: There are no pushed resources.
            EngineFault: There is no list.
        """
        path, question = self._dialogue.list_path, body(request.text)
        return await self._asked(path, question, lambda reply: self._dialogue.piece(reply, request))

    async def close(self) -> None:
        """Close the connections."""
        self.waiting.close()
        await self.opa.close()

    async def _asked(self, path: Sequence[str], question: bytes, read: Callable[[QueryReply], _Answer]) -> _Answer:
        """The answer; asked once more where what OPA had lost has been brought back."""
        try:
            return read(await self.opa.query(path, question, provenance=True))
        except (ResourcesLost, RulesNotInstalled):
            if not self.waiting.restores:
                raise
            # One thread for all tasks: each would wait for the first, and there are not many threads.
            if self._restoring is None or self._restoring.done():
                self._restoring = asyncio.ensure_future(asyncio.to_thread(self.waiting.restore))
            restoring = self._restoring
        await asyncio.shield(restoring)  # a task that is cancelled takes it from nobody
        return read(await self.opa.query(path, question, provenance=True))
