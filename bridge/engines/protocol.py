"""What is said to an OPA with the rules installed, and what is understood of its answers; others carry them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.engines.codec import explaining_input, input_for, read_answer, read_own
from bridge.engines.listing import read_pages
from bridge.engines.store_identity import StoreIdentity
from bridge.engines.stored_resources import explained_resource
from bridge.errors import RulesNotInstalledError
from bridge.opa import is_too_large
from bridge.opa.queries import RulesQuery
from bridge.rendering import fingerprint
from bridge.strict_json import ABSENT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.decision import Decision, Request
    from bridge.engines.pages import PageRequest, PageResponse
    from bridge.errors import OpaStatusError
    from bridge.opa import QueryReply
    from bridge.rendering import RuleSet
    from bridge.strict_json import Absent, Value

OPA_NAME = "opa"
OPA_BATCH_BYTES = 16 * 1024 * 1024


_STORED_VIEW: Final = frozenset(("view",))


def halves_after(
    refused: OpaStatusError, requests: Sequence[Request]
) -> tuple[Sequence[Request], Sequence[Request]] | None:
    """Return the halves to ask in the place of a batch that OPA, or a proxy before it, finds too large; else None."""
    if len(requests) < 2 or not is_too_large(refused):  # noqa: PLR2004 - there are no halves
        return None
    middle = len(requests) // 2
    return requests[:middle], requests[middle:]


class RulesProtocol:
    """Questions to the rules of a rule set, by their entrypoint `answer`.

    Each question goes out with a nonce, and no answer with another one is believed: see
    docs/decisions/an-answer-belongs-to-its-question.md.

    Args:
        rule_set: The settings of the installed rules.

    Attributes:
        path: The names of the entrypoint from the root down; its answers must come with their provenance.
        list_path: The names of the rule that lists; likewise.
        stored_view_path: The names of the rule that tells what is stored; likewise.
    """

    def __init__(self, rule_set: RuleSet) -> None:
        self._rule_set = rule_set
        self._fingerprint = fingerprint(rule_set)
        self._memory = StoreIdentity()
        self.path = (*rule_set.package_root.split("."), "answer")
        self.list_path = (*self.path[:-1], "list")
        self.stored_view_path = (*self.path[:-1], "stored_view")

    def question(self, requests: Sequence[Request]) -> RulesQuery:
        """The question for all these requests, one or more."""
        return RulesQuery(input_for(requests, verifies_tokens=self._rule_set.token is not None))

    def explaining_question(self, request: Request) -> RulesQuery:
        """The question for one decision, and for the stored resource it is about."""
        return RulesQuery(explaining_input(request))

    def decisions(self, reply: QueryReply, requests: Sequence[Request]) -> list[Decision]:
        """The decisions in a reply, one for each request in the same order.

        Raises:
            EngineError: It has none that may be believed.
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
            self._memory.check(_current(reply.result), requests, decisions)
        return decisions

    def explained(self, reply: QueryReply, request: Request) -> tuple[Decision, bytes | None]:
        """The decision, and the stored resource it is about, in canonical text, where it was asked by id and known.

        Raises:
            EngineError: The reply has no decision that may be believed.
        """
        decision = self.decisions(reply, [request])[0]
        answer = reply.result
        assert isinstance(answer, dict)
        return decision, explained_resource(answer, request, decision, OPA_NAME)

    def pages(self, reply: QueryReply, request: PageRequest) -> PageResponse:
        """The pages of a list in a reply.

        Raises:
            ResourcesMissingError: There are no pushed resources.
            EngineError: The reply has no pages that may be believed.
        """
        pages = read_pages(
            self._result(reply), request, fingerprint=self._fingerprint, engine=OPA_NAME, nonce=reply.nonce
        )
        if pages.decision is None:
            current = _current(reply.result)
            if pages.revision is None:
                raise self._memory.lost(current, request.type.decode("utf-8")[1:-1])
            self._memory.note(current)
        return pages

    def stored_view(self, reply: QueryReply) -> dict[str, Value]:
        """What the rules tell of what is stored.

        Raises:
            EngineError: The reply has nothing that may be believed.
        """
        result = self._result(reply)
        return read_own(result, _STORED_VIEW, fingerprint=self._fingerprint, engine=OPA_NAME, nonce=reply.nonce)[0]

    def note(self, current: Mapping[str, Value]) -> None:
        """Note the stores that are read by other ways than questions.

        Raises:
            MultipleStoresError: Another OPA has answered meanwhile.
        """
        self._memory.note(current)

    def _result(self, reply: QueryReply) -> Value:
        if reply.result is ABSENT:
            raise RulesNotInstalledError(
                f"OPA has no rules at `data.{self._rule_set.package_root}`: `jwt-bridge install` uploads them"
            )
        return reply.result


def _current(answer: Value | Absent) -> dict[str, Value]:
    """What is current, of an answer that was found to be well-formed."""
    assert isinstance(answer, dict)
    current = answer["current"]
    assert isinstance(current, dict)
    return current
