"""The protocol between the bridge and an engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bridge.decision import Decision, Request
from bridge.engines.pages import PageRequest, PageResponse
from bridge.rendering import RuleSet
from bridge.store import Store


class Engine(Protocol):
    """Decides requests, and has the pushed resources for requests by id.

    Attributes:
        name: The name for `Decision.engine`.
        rule_set: Its settings.
        store: Its pushed resources.
        batch_bytes: The most bytes of requests for one call of `decide`; a single request may be larger, up to the
            limit of R12.
    """

    name: str
    rule_set: RuleSet
    batch_bytes: int

    @property
    def store(self) -> Store:
        """Return the pushed resources."""
        ...

    def decide(self, requests: Sequence[Request]) -> list[Decision]:
        """Return exactly one decision for each request, in the same order.

        Raises:
            EngineError: There is no decision for any of them.
        """
        ...

    def explain(self, request: Request) -> tuple[Decision, bytes | None]:
        """Return the decision, and the stored resource that a request by id is about, in canonical text, or None.

        Raises:
            EngineError: There is no decision.
        """
        ...

    def list_pages(self, request: PageRequest) -> PageResponse:
        """Return some pages of the ids that a policy allows.

        Raises:
            ResourcesMissingError: There are no pushed resources.
            EngineError: There is no list.
        """
        ...

    def install(self) -> None:
        """Install the rules in the engine, and make sure that they respond.

        Raises:
            EngineError: They could not be installed, or do not respond.
        """
        ...

    def close(self) -> None:
        """Close connections and free memory."""
        ...
