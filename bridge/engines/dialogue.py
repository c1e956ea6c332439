"""What is said to an OPA with the rules installed, and what is understood of its answers; others carry them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.engines.answer import explaining_input, input_for, read_answer
from bridge.errors import BadAnswer, MalformedInput, RulesNotInstalled
from bridge.rendering import fingerprint
from bridge.strict_json import ABSENT, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.decision import Decision, Request
    from bridge.opa import QueryReply
    from bridge.rendering import RuleSet

OPA_NAME = "opa"
OPA_BATCH_BYTES = 16 * 1024 * 1024


class Dialogue:
    """Questions to the rules of a rule set, by their entrypoint `answer`.

    Args:
        rule_set: The settings of the installed rules.

    Attributes:
        path: The names of the entrypoint from the root down; its answers must come with their provenance.
    """

    def __init__(self, rule_set: RuleSet) -> None:
        self._rule_set = rule_set
        self._fingerprint = fingerprint(rule_set)
        self.path = (*rule_set.package_root.split("."), "answer")

    def question(self, requests: Sequence[Request]) -> bytes:
        """The body that asks for all these requests, one or more."""
        return _body(input_for(requests, verifies_tokens=self._rule_set.token is not None))

    def explaining_question(self, request: Request) -> bytes:
        """The body that asks for one decision, and for the stored resource it is about."""
        return _body(explaining_input(request))

    def decisions(self, reply: QueryReply, requests: Sequence[Request]) -> list[Decision]:
        """The decisions in a reply, one for each request in the same order.

        Raises:
            EngineFault: It has none that may be believed.
        """
        if reply.result is ABSENT:
            raise RulesNotInstalled(
                f"OPA has no rules at `data.{self._rule_set.package_root}`: `jwt-bridge install` uploads them"
            )
        return read_answer(
            reply.result,
            requests,
            fingerprint=self._fingerprint,
            engine=OPA_NAME,
            decision_id=reply.decision_id,
            bundles=reply.bundles,
        )

    def explained(self, reply: QueryReply, request: Request) -> tuple[Decision, bytes | None]:
        """The decision, and the stored resource it is about, in canonical text, where it was asked by id and known.

        Raises:
            EngineFault: The reply has no decision that may be believed.
        """
        decision = self.decisions(reply, [request])[0]
        by_id = request.resource is None and request.id is not None
        answer = reply.result
        found = answer.get("resource", ABSENT) if by_id and isinstance(answer, dict) else ABSENT
        try:
            return decision, None if found is ABSENT else encode(found, what="stored resource")
        except MalformedInput as error:
            raise BadAnswer(f"what OPA has under that id was never pushed by a bridge: {error}") from None


def _body(input_: bytes) -> bytes:
    return b'{"input":' + input_ + b"}"
