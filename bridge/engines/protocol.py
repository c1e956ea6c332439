"""The protocol between a bridge and the rules on an OPA: queries, their responses, and the stores they come from.

It does no I/O: the synchronous and the asynchronous engine send the queries.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from bridge.decision import Decision, Reason, Request
from bridge.engines.base import PageRequest, PageResponse, read_pages
from bridge.engines.codec import explained_resource, explaining_input, input_for, read_answer, read_own
from bridge.errors import (
    MultipleStoresError,
    OpaStatusError,
    ResourcesMissingError,
    RulesNotInstalledError,
    UnsupportedLayoutError,
)
from bridge.opa import QueryReply, is_too_large
from bridge.opa.queries import RulesQuery
from bridge.rendering import RuleSet, fingerprint
from bridge.strict_json import ABSENT, Absent, Value

OPA_NAME = "opa"
OPA_BATCH_BYTES = 16 * 1024 * 1024

_STORED_VIEW: Final = frozenset(("view",))
_REMEMBERED: Final = 64


def halves_after(
    refused: OpaStatusError, requests: Sequence[Request]
) -> tuple[Sequence[Request], Sequence[Request]] | None:
    """Return the halves of a batch that OPA, or a proxy before it, finds too large; None after another refusal."""
    if len(requests) < 2 or not is_too_large(refused):  # noqa: PLR2004 - there are no halves
        return None
    middle = len(requests) // 2
    return requests[:middle], requests[middle:]


class RulesProtocol:
    """Queries to the rules of a rule set, and what their responses mean.

    Each query has a nonce, and a response with another nonce is an error: see
    docs/decisions/an-answer-belongs-to-its-question.md.

    Args:
        rule_set: The settings of the installed rules.

    Attributes:
        path: The names of the entrypoint `answer` from the root down; request its responses with their provenance.
        list_path: The names of the rule that lists; likewise.
        stored_view_path: The names of the rule that shows what is stored; likewise.
    """

    def __init__(self, rule_set: RuleSet) -> None:
        self._rule_set = rule_set
        self._fingerprint = fingerprint(rule_set)
        self._stores = StoreIdentity()
        self.path: tuple[str, ...] = (*rule_set.package_root.split("."), "answer")
        self.list_path: tuple[str, ...] = (*self.path[:-1], "list")
        self.stored_view_path: tuple[str, ...] = (*self.path[:-1], "stored_view")

    def question(self, requests: Sequence[Request]) -> RulesQuery:
        """Return the query for all these requests, one or more."""
        return RulesQuery(input_for(requests, verifies_tokens=self._rule_set.token is not None))

    def explaining_question(self, request: Request) -> RulesQuery:
        """Return the query for one decision together with the stored resource that it is about."""
        return RulesQuery(explaining_input(request))

    def decisions(self, reply: QueryReply, requests: Sequence[Request]) -> list[Decision]:
        """Return the decisions in a reply, one for each request in the same order.

        Raises:
            EngineError: The reply has no valid decisions.
        """
        decisions = read_answer(
            self._result(reply),
            requests,
            fingerprint=self._fingerprint,
            engine=OPA_NAME,
            nonce=reply.nonce,
            decision_id=reply.decision_id,
            bundles=reply.bundles,
        )
        if any(request.is_by_id for request in requests):
            self._stores.check(_current(reply.result), requests, decisions)
        return decisions

    def explained(self, reply: QueryReply, request: Request) -> tuple[Decision, bytes | None]:
        """Return the decision, and the stored resource that a request by id is about, in canonical text, or None.

        Raises:
            EngineError: The reply has no valid decision.
        """
        decision = self.decisions(reply, [request])[0]
        answer = reply.result
        assert isinstance(answer, dict)
        return decision, explained_resource(answer, request, decision, OPA_NAME)

    def pages(self, reply: QueryReply, request: PageRequest) -> PageResponse:
        """Return the pages of a list in a reply.

        Raises:
            ResourcesMissingError: There are no pushed resources.
            EngineError: The reply has no valid pages.
        """
        pages = read_pages(
            self._result(reply), request, fingerprint=self._fingerprint, engine=OPA_NAME, nonce=reply.nonce
        )
        if pages.decision is None:
            current = _current(reply.result)
            if pages.revision is None:
                raise self._stores.lost(current, request.type.decode("utf-8")[1:-1])
            self._stores.note(current)
        return pages

    def stored_view(self, reply: QueryReply) -> dict[str, Value]:
        """Return what the rules show of the stored resources.

        Raises:
            EngineError: The reply is not valid.
        """
        result = self._result(reply)
        return read_own(result, _STORED_VIEW, fingerprint=self._fingerprint, engine=OPA_NAME, nonce=reply.nonce)[0]

    def note(self, current: Mapping[str, Value]) -> None:
        """Note the stores of responses that do not come through this protocol.

        Raises:
            MultipleStoresError: Another OPA has responded in between.
        """
        self._stores.note(current)

    def _result(self, reply: QueryReply) -> Value:
        if reply.result is ABSENT:
            raise RulesNotInstalledError(
                f"OPA has no rules at `data.{self._rule_set.package_root}`: `jwt-bridge install` uploads them"
            )
        return reply.result


class StoreIdentity:
    """Remembers which stores respond, to notice lost resources and several OPAs; threads may share it."""

    def __init__(self) -> None:
        self._latest: dict[str, str] = {}
        self._earlier: dict[str, deque[str]] = {}

    def check(self, current: Mapping[str, Value], requests: Sequence[Request], decisions: Sequence[Decision]) -> None:
        """Refuse a decision by id that only says that no resources are stored.

        Args:
            current: The current generations in the response, by resource type.
            requests: The requests that were sent.
            decisions: The decisions in the response.

        Raises:
            ResourcesMissingError: The type has no pushed resources.
            UnsupportedLayoutError: The rules do not know the layout of the resources.
            MultipleStoresError: Another OPA has responded in between.
        """
        self.note(current)
        for request, decision in zip(requests, decisions, strict=True):
            if request.is_by_id and decision.reason is Reason.UNKNOWN_RESOURCE and decision.revision is None:
                assert request.type is not None
                raise self.lost(current, request.type.decode("utf-8")[1:-1])

    def note(self, current: Mapping[str, Value]) -> None:
        """Note the stores that a response comes from.

        Raises:
            MultipleStoresError: Another OPA has responded in between.
        """
        for type_, generation in current.items():
            if isinstance(generation, dict) and isinstance(store := generation.get("store"), str):
                self._note(type_, store)

    def lost(self, current: Mapping[str, Value], type_: str) -> ResourcesMissingError | UnsupportedLayoutError:
        """Return the error that says why there are no resources of a type."""
        generation = current.get(type_)
        if isinstance(generation, dict) and "layout" in generation:
            return UnsupportedLayoutError(
                f"the resources of `{type_}` lie in OPA in a layout that its rules do not know: push them "
                "again with the release of the bridge that installed the rules"
            )
        if type_ in self._latest:
            cause = "it was restarted without them, or somebody removed them"
        else:
            cause = "none were ever pushed, or it was restarted without them"
        return ResourcesMissingError(f"OPA has no pushed resources of `{type_}`: {cause}; push them (again)")

    def _note(self, type_: str, store: str) -> None:
        latest = self._latest.get(type_)
        if store == latest:
            return
        earlier = self._earlier.setdefault(type_, deque(maxlen=_REMEMBERED))
        if store in earlier:
            raise MultipleStoresError(
                f"several OPAs answer at this address, each with `{type_}` of its own (stores `{store[:8]}` and "
                f"`{(latest or '')[:8]}`): use the address of one of them, or give all of them the same bundle"
            )
        if latest is not None:
            earlier.append(latest)
        self._latest[type_] = store


def _current(answer: Value | Absent) -> dict[str, Value]:
    """Return the current generations of a well-formed response."""
    assert isinstance(answer, dict)
    current = answer["current"]
    assert isinstance(current, dict)
    return current
