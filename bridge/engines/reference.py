"""The reference evaluator as an engine."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from bridge import reference
from bridge.rendering import RuleSet
from bridge.resources import MemoryStore
from bridge.strict_json import parse_canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.decision import Decision, Reason, Request
    from bridge.strict_json import Value


_LONGEST_KEPT: Final = 4_096
_parse_repeated: Final = lru_cache(maxsize=256)(parse_canonical)
"""Claims and types come again and again. Nothing changes what was parsed."""


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
        self._plain: dict[Reason, Decision] = {}

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

    def install(self) -> None:
        """Nothing to do: the rules are in this process."""

    def close(self) -> None:
        """Nothing to do."""

    def _decided(self, request: Request) -> tuple[Decision, bytes | None]:
        claims, type_, resource, id_ = request.claims, request.type, request.resource, request.id
        value: dict[str, Value] = {}
        if claims is not None:
            value["claims"] = _parse_repeated(claims) if len(claims) <= _LONGEST_KEPT else parse_canonical(claims)
        if type_ is not None:
            value["type"] = _parse_repeated(type_) if len(type_) <= _LONGEST_KEPT else parse_canonical(type_)
        if resource is not None:
            value["resource"] = parse_canonical(resource)
        if id_ is not None:
            value["id"] = parse_canonical(id_)
        found, revision = self._store.find(request)
        stored = {} if found is None else {str(value["type"]): {str(value["id"]): parse_canonical(found)}}
        decision = reference.decide(value, self.rule_set.policy, stored)
        return self._named(decision, revision), found

    def _named(self, decision: Decision, revision: str | None) -> Decision:
        """The decision as this engine's; without details and revision it is the same one each time."""
        if revision is not None or decision.failures or decision.violations:
            return replace(decision, engine=self.name, revision=revision)
        named = self._plain.get(decision.reason)
        if named is None:
            named = self._plain[decision.reason] = replace(decision, engine=self.name)
        return named
