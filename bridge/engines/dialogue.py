"""What is said to an OPA with the rules installed, and what is understood of its answers; others carry them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.engines.answer import explaining_input, input_for, read_answer, read_own
from bridge.engines.listing import read_piece
from bridge.engines.memory import Memory
from bridge.engines.stored import explained_resource
from bridge.errors import RulesNotInstalled
from bridge.opa.question import Question
from bridge.rendering import fingerprint
from bridge.strict_json import ABSENT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.decision import Decision, Request
    from bridge.engines.piece import Piece, PieceRequest
    from bridge.opa import QueryReply
    from bridge.rendering import RuleSet
    from bridge.strict_json import Absent, Value

OPA_NAME = "opa"
OPA_BATCH_BYTES = 16 * 1024 * 1024


_HELD: Final = frozenset(("view",))


class Dialogue:
    """Questions to the rules of a rule set, by their entrypoint `answer`.

    Each question goes out with a nonce, and no answer with another one is believed: see
    docs/decisions/an-answer-belongs-to-its-question.md.

    Args:
        rule_set: The settings of the installed rules.

    Attributes:
        path: The names of the entrypoint from the root down; its answers must come with their provenance.
        list_path: The names of the rule that lists; likewise.
        held_path: The names of the rule that tells what is stored; likewise.
    """

    def __init__(self, rule_set: RuleSet) -> None:
        self._rule_set = rule_set
        self._fingerprint = fingerprint(rule_set)
        self._memory = Memory()
        self.path = (*rule_set.package_root.split("."), "answer")
        self.list_path = (*self.path[:-1], "list")
        self.held_path = (*self.path[:-1], "held")

    def question(self, requests: Sequence[Request]) -> Question:
        """The question for all these requests, one or more."""
        return Question(input_for(requests, verifies_tokens=self._rule_set.token is not None))

    def explaining_question(self, request: Request) -> Question:
        """The question for one decision, and for the stored resource it is about."""
        return Question(explaining_input(request))

    def decisions(self, reply: QueryReply, requests: Sequence[Request]) -> list[Decision]:
        """The decisions in a reply, one for each request in the same order.

        Raises:
            EngineFault: It has none that may be believed.
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
            EngineFault: The reply has no decision that may be believed.
        """
        decision = self.decisions(reply, [request])[0]
        answer = reply.result
        assert isinstance(answer, dict)
        return decision, explained_resource(answer, request, decision, OPA_NAME)

    def piece(self, reply: QueryReply, request: PieceRequest) -> Piece:
        """The piece of a list in a reply.

        Raises:
            ResourcesLost: There are no pushed resources.
            EngineFault: The reply has no piece that may be believed.
        """
        piece = read_piece(
            self._result(reply), request, fingerprint=self._fingerprint, engine=OPA_NAME, nonce=reply.nonce
        )
        if piece.decision is None:
            current = _current(reply.result)
            if piece.revision is None:
                raise self._memory.lost(current, request.type.decode("utf-8")[1:-1])
            self._memory.note(current)
        return piece

    def held(self, reply: QueryReply) -> dict[str, Value]:
        """What the rules tell of what is stored.

        Raises:
            EngineFault: The reply has nothing that may be believed.
        """
        result = self._result(reply)
        return read_own(result, _HELD, fingerprint=self._fingerprint, engine=OPA_NAME, nonce=reply.nonce)[0]

    def note(self, current: Mapping[str, Value]) -> None:
        """Note the stores that are read by other ways than questions.

        Raises:
            SeveralStores: Another OPA has answered meanwhile.
        """
        self._memory.note(current)

    def _result(self, reply: QueryReply) -> Value:
        if reply.result is ABSENT:
            raise RulesNotInstalled(
                f"OPA has no rules at `data.{self._rule_set.package_root}`: `jwt-bridge install` uploads them"
            )
        return reply.result


def _current(answer: Value | Absent) -> dict[str, Value]:
    """What is current, of an answer that was found to be well-formed."""
    assert isinstance(answer, dict)
    current = answer["current"]
    assert isinstance(current, dict)
    return current
