"""An OPA server, awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.aio.client import AsyncOpaClient
from bridge.engines.dialogue import OPA_BATCH_BYTES, OPA_NAME, Dialogue, body
from bridge.rendering import RuleSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.decision import Decision, Request
    from bridge.engines.piece import Piece, PieceRequest


class AsyncOpaEngine:
    """Decides on an OPA server that has the rule set installed.

    Args:
        opa: The server's URL, or a client for it, with its token, its TLS settings and its deadline.
        rule_set: The settings of the installed rules.

    Raises:
        InvalidSetting: The URL cannot be used.
    """

    name = OPA_NAME
    batch_bytes = OPA_BATCH_BYTES

    def __init__(self, opa: str | AsyncOpaClient, rule_set: RuleSet | None = None) -> None:
        self.rule_set = rule_set or RuleSet()
        self.opa = AsyncOpaClient(opa) if isinstance(opa, str) else opa
        self._dialogue = Dialogue(self.rule_set)

    async def decide(self, requests: Sequence[Request]) -> list[Decision]:
        """Exactly one decision for each request, in the same order.

        Raises:
            EngineFault: There is no decision for any of them.
        """
        if not requests:
            return []
        reply = await self.opa.query(self._dialogue.path, self._dialogue.question(requests), provenance=True)
        return self._dialogue.decisions(reply, requests)

    async def explain(self, request: Request) -> tuple[Decision, bytes | None]:
        """The decision, and the stored resource it is about, in canonical text, where it was asked by id and known.

        Raises:
            EngineFault: There is no decision.
        """
        reply = await self.opa.query(self._dialogue.path, self._dialogue.explaining_question(request), provenance=True)
        return self._dialogue.explained(reply, request)

    async def piece(self, request: PieceRequest) -> Piece:
        """A piece of a list.

        Raises:
            ResourcesLost: There are no pushed resources.
            EngineFault: There is no list.
        """
        reply = await self.opa.query(self._dialogue.list_path, body(request.text), provenance=True)
        return self._dialogue.piece(reply, request)

    async def close(self) -> None:
        """Close the connections."""
        await self.opa.close()
