"""The reference evaluator as an engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bridge import reference
from bridge.engines.in_process import piece_of
from bridge.rendering import RuleSet
from bridge.resources import MemoryStore
from bridge.strict_json import MAX_DEPTH, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.decision import Decision, Request
    from bridge.engines.piece import Piece, PieceRequest


class ReferenceEngine:
    """Decides in plain Python, by the definition itself: for tests, and to compare with.

    Args:
        rule_set: The settings to decide by.

    Raises:
        InvalidSetting: The rule set verifies raw tokens, which runs on an OPA server only.
    """

    name = "reference"
    batch_bytes = 16 * 1024 * 1024

    def __init__(self, rule_set: RuleSet | None = None) -> None:
        self.rule_set = rule_set or RuleSet()
        self.rule_set.refuse_token_checks(self.name)
        self._store = MemoryStore(self.rule_set.policy.types)

    @property
    def store(self) -> MemoryStore:
        """The pushed resources."""
        return self._store

    def decide(self, requests: Sequence[Request]) -> list[Decision]:
        """Exactly one decision for each request, in the same order."""
        return [self._decided(request)[0] for request in requests]

    def explain(self, request: Request) -> tuple[Decision, bytes | None]:
        """The decision, and the stored resource it is about, in canonical text, where it was asked by id and known."""
        return self._decided(request)

    def piece(self, request: PieceRequest) -> Piece:
        """A piece of a list."""
        return piece_of(request, self.decide, self._store, self.rule_set.policy)

    def install(self) -> None:
        """Nothing to do: the rules are in this process."""

    def close(self) -> None:
        """Nothing to do."""

    def _decided(self, request: Request) -> tuple[Decision, bytes | None]:
        # The request holds claims and a resource, which may be nested as deep as R12.4 allows each.
        value = parse(request.text, max_depth=MAX_DEPTH + 1)
        found, revision = self._store.find(request)
        stored = {}
        if found is not None:
            assert isinstance(value, dict)
            stored = {str(value["type"]): {str(value["id"]): parse(found)}}
        decision = reference.decide(value, self.rule_set.policy, stored)
        return replace(decision, engine=self.name, revision=revision), found
