"""An OPA server over HTTP."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from bridge.decision import Request
from bridge.engines.answer import explaining_input, input_for, read_answer, read_own
from bridge.engines.listing import read_piece
from bridge.engines.memory import Memory
from bridge.errors import BadAnswer, EngineFault, MalformedInput, OpaRefused, RulesNotInstalled
from bridge.opa import OpaClient
from bridge.rendering import RuleSet, fingerprint, module_paths, render
from bridge.resources import OpaStore
from bridge.strict_json import ABSENT, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.decision import Decision
    from bridge.engines.piece import Piece, PieceRequest
    from bridge.strict_json import Absent, Value

_ANYTHING: Final = Request(claims=None, type=None)


class OpaEngine:
    """Decides on an OPA server that has the rule set installed.

    Args:
        opa: The server's URL, or a client for it, with its token, its TLS settings and its deadline.
        rule_set: The settings of the installed rules.

    Raises:
        InvalidSetting: The URL cannot be used.
    """

    name = "opa"
    batch_bytes = 16 * 1024 * 1024

    def __init__(self, opa: str | OpaClient, rule_set: RuleSet | None = None) -> None:
        self.rule_set = rule_set or RuleSet()
        self.opa = OpaClient(opa) if isinstance(opa, str) else opa
        self._fingerprint = fingerprint(self.rule_set)
        self._path = (*self.rule_set.package_root.split("."), "answer")
        root = tuple(self.rule_set.data_root.split("."))
        self._store = OpaStore(self.opa, root, self.rule_set.policy.types, self._held)
        self._memory = Memory(self._store)

    @property
    def store(self) -> OpaStore:
        """The pushed resources."""
        return self._store

    def decide(self, requests: Sequence[Request]) -> list[Decision]:
        """Exactly one decision for each request, in the same order.

        Raises:
            EngineFault: There is no decision for any of them.
        """
        if not requests:
            return []
        return self._asked(requests, input_for(requests, verifies_tokens=self.rule_set.token is not None))[0]

    def explain(self, request: Request) -> tuple[Decision, bytes | None]:
        """The decision, and the stored resource it is about, in canonical text, where it was asked by id and known.

        Raises:
            EngineFault: There is no decision.
        """
        decisions, answer = self._asked([request], explaining_input(request))
        found = answer.get("resource", ABSENT) if request.is_by_id and isinstance(answer, dict) else ABSENT
        try:
            return decisions[0], None if found is ABSENT else encode(found, what="stored resource")
        except MalformedInput as error:
            raise BadAnswer(f"what OPA has under that id was never pushed by a bridge: {error}") from None

    def piece(self, request: PieceRequest) -> Piece:
        """A piece of a list.

        Raises:
            ResourcesLost: There are no pushed resources.
            EngineFault: There is no list.
        """
        answer = self._own("list", request.text)
        piece = read_piece(answer, request, fingerprint=self._fingerprint, engine=self.name)
        if piece.decision is None:
            type_ = request.type.decode("utf-8")[1:-1]
            if piece.revision is None:
                self._memory.lost(type_)
            self._memory.note(answer["current"])
        return piece

    def query(self, entrypoint: str, input_: bytes) -> Value | Absent:
        """What a public entrypoint, such as `decision`, is for an input in canonical text; `ABSENT` if nothing.

        Raises:
            EngineFault: There is no answer.
        """
        return self.opa.query((*self._path[:-1], entrypoint), b'{"input":' + input_ + b"}").result

    def install(self) -> None:
        """Upload the modules, and make sure that they compiled and answer with the rule set's fingerprint.

        Raises:
            EngineFault: OPA refused a module, or does not answer as it must afterwards.
        """
        self.opa.require_version(self._path)
        modules = render(self.rule_set)
        for module in modules:
            try:
                self.opa.put_policy(module.path, module.text)
            except OpaRefused as refused:
                if refused.status != HTTPStatus.BAD_REQUEST:
                    raise
                hint = (
                    f"is `data.{self.rule_set.package_root}` loaded already, from a bundle or under other policy ids?"
                )
                raise OpaRefused(
                    f"{refused}; {hint}",
                    status=refused.status,
                    opa_code=refused.opa_code,
                    opa_message=refused.opa_message,
                ) from None
        # What an earlier rule set had here and this one has not.
        for path in module_paths(self.rule_set) - {module.path for module in modules}:
            self.opa.delete_policy(path)
        self.decide([_ANYTHING])

    def uninstall(self, *, deadline: float | None = None) -> None:
        """Take the modules away again, and the resources below the data root; go on where one of them cannot be had.

        Args:
            deadline: Seconds for each call, in place of the client's.

        Raises:
            EngineFault: OPA could not be reached, or refused; something may be left.
        """
        modules = [module.path for module in reversed(render(self.rule_set))]
        paths = [*modules, *(module_paths(self.rule_set) - set(modules))]
        fault = None
        try:
            self.opa.delete_data(tuple(self.rule_set.data_root.split(".")), deadline=deadline)
        except EngineFault as error:
            fault = error
        for path in paths:
            try:
                self.opa.delete_policy(path, deadline=deadline)
            except EngineFault as error:
                fault = fault or error
        if fault is not None:
            raise fault

    def close(self) -> None:
        """Close the connections."""
        self.opa.close()

    def _held(self, question: bytes) -> dict[str, Value]:
        return self._own("held", question)

    def _own(self, name: str, input_: bytes) -> dict[str, Value]:
        """What a rule gives that is the bridge's own."""
        reply = self.opa.query((*self._path[:-1], name), b'{"input":' + input_ + b"}", provenance=True)
        if reply.result is ABSENT:
            raise self._not_installed()
        return read_own(reply.result, fingerprint=self._fingerprint, engine=self.name)

    def _not_installed(self) -> RulesNotInstalled:
        return RulesNotInstalled(
            f"OPA has no rules at `data.{self.rule_set.package_root}`: `jwt-bridge install` uploads them"
        )

    def _asked(self, requests: Sequence[Request], input_: bytes) -> tuple[list[Decision], Value]:
        reply = self.opa.query(self._path, b'{"input":' + input_ + b"}", provenance=True)
        if reply.result is ABSENT:
            raise self._not_installed()
        decisions = read_answer(
            reply.result,
            requests,
            fingerprint=self._fingerprint,
            engine=self.name,
            decision_id=reply.decision_id,
            bundles=reply.bundles,
        )
        if any(request.is_by_id for request in requests):
            self._memory.check(reply.result, requests, decisions)
        return decisions, reply.result
