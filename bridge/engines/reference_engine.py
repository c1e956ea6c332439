"""The reference evaluator as an engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bridge import reference
from bridge.decision import Decision, Request
from bridge.engines.base import PageRequest, PageResponse
from bridge.engines.local_listing import local_pages, refuse_never_pushed
from bridge.policy import Policy
from bridge.process_bound import ProcessBound
from bridge.rendering import RuleSet
from bridge.store import MemoryStore
from bridge.strict_json import Memo, Value, parse_canonical


class ReferenceEngine(ProcessBound):
    """Decides in plain Python, by the definition itself: for tests and comparisons.

    Args:
        rule_set: The settings.

    Raises:
        ConfigurationError: The rule set verifies raw tokens, which runs on an OPA server only.
    """

    name = reference.NAME
    batch_bytes = 16 * 1024 * 1024

    def __init__(self, rule_set: RuleSet | None = None) -> None:
        self.rule_set: RuleSet = RuleSet.or_default(rule_set)
        self.rule_set.refuse_token_checks(self.name)
        self._store = MemoryStore(self.rule_set.policy.types)
        # Many requests have the same claims and type, and nothing changes a parsed value.
        self._claims = Memo(self._parse_claims)
        self._types = Memo(parse_canonical)

    @property
    def store(self) -> MemoryStore:
        """Return the pushed resources."""
        return self._store

    def decide(self, requests: Sequence[Request]) -> list[Decision]:
        """Return exactly one decision for each request, in the same order.

        Raises:
            ResourcesMissingError: One of them is by id, and nothing was ever pushed for its type.
        """
        return [self._decide(request)[0] for request in requests]

    def explain(self, request: Request) -> tuple[Decision, bytes | None]:
        """Return the decision, and the stored resource that a request by id is about, in canonical text, or None.

        Raises:
            ResourcesMissingError: The request is by id, and nothing was ever pushed for its type.
        """
        return self._decide(request)

    def list_pages(self, request: PageRequest) -> PageResponse:
        """Return pages of a list.

        Raises:
            ResourcesMissingError: Nothing was ever pushed for the type.
        """
        return local_pages(request, self.decide, self._store, self.rule_set.policy)

    def install(self) -> None:
        """Do nothing: the rules are in this process."""

    def close(self) -> None:
        """Do nothing: there are no connections."""

    def _decide(self, request: Request) -> tuple[Decision, bytes | None]:
        value: dict[str, Value] = {}
        policy = None
        if request.claims is not None:
            value["claims"], policy = self._claims(request.claims) or self._parse_claims(request.claims)
        if request.type is not None:
            value["type"] = self._types(request.type) or parse_canonical(request.type)
        if request.resource is not None:
            value["resource"] = parse_canonical(request.resource)
        if request.id is not None:
            value["id"] = parse_canonical(request.id)
        text, revision = self._store.find(request)
        stored = {} if text is None else {str(value["type"]): {str(value["id"]): parse_canonical(text)}}
        decision = reference.decide(value, self.rule_set.policy, stored, policy)
        refuse_never_pushed(request, decision, revision)
        return decision if revision is None else replace(decision, revision=revision), text

    def _parse_claims(self, text: bytes) -> tuple[Value, Policy | Decision | None]:
        claims = parse_canonical(text)
        return claims, reference.policy_in(claims, self.rule_set.policy) if isinstance(claims, dict) else None
