"""The seam between the bridge and whatever decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.decision import Decision, Request
    from bridge.engines.pages import PageRequest, PageResponse
    from bridge.rendering import RuleSet
    from bridge.store import Store


class Engine(Protocol):
    """Decides requests, and holds the pushed resources that requests by id are about.

    Attributes:
        name: What decisions of this engine say in `Decision.engine`.
        rule_set: The settings that it decides by.
        store: Its pushed resources.
        batch_bytes: How many bytes of requests one call of `decide` should be given at most; a single request may be
            larger, up to what R12 allows.
    """

    name: str
    rule_set: RuleSet
    batch_bytes: int

    @property
    def store(self) -> Store:
        """The pushed resources."""
        ...

    def decide(self, requests: Sequence[Request]) -> list[Decision]:
        """Exactly one decision for each request, in the same order.

        Raises:
            EngineError: There is no decision for any of them.
        """
        ...

    def explain(self, request: Request) -> tuple[Decision, bytes | None]:
        """The decision, and the stored resource it is about, in canonical text, where it was asked by id and known.

        Raises:
            EngineError: There is no decision.
        """
        ...

    def list_pages(self, request: PageRequest) -> PageResponse:
        """Some pages of the ids that a policy allows.

        Raises:
            ResourcesMissingError: There are no pushed resources.
            EngineError: There is no list.
        """
        ...

    def install(self) -> None:
        """Bring the rules to the engine, and make sure that they answer.

        Raises:
            EngineError: They could not be installed, or do not answer.
        """
        ...

    def close(self) -> None:
        """Let go of connections and memory."""
        ...
