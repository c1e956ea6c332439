"""An OPA server over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from bridge.decision import Request
from bridge.engines.dialogue import OPA_BATCH_BYTES, OPA_NAME, Dialogue, body
from bridge.engines.installation import Installation
from bridge.engines.restoring import PATIENCE, Restoration
from bridge.errors import Misuse, ResourcesLost, RulesNotInstalled
from bridge.opa import OpaClient
from bridge.rendering import RuleSet
from bridge.resources import OpaStore

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from bridge.decision import Decision
    from bridge.engines.piece import Piece, PieceRequest
    from bridge.engines.restoring import Source
    from bridge.strict_json import Absent, Value

_Answer = TypeVar("_Answer")
_ANYTHING: Final = Request(claims=None, type=None)


class OpaEngine:
    """Decides on an OPA server that has the rule set installed.

    Args:
        opa: The server's URL, or a client for it, with its token, its TLS settings and its deadline.
        rule_set: The settings of the installed rules.
        sources: Where the resources of each type come from: the path of a file of JSON Lines, or a callable that gives
            them. With these, an OPA that has lost them, or the rules, gets both anew, from one thread of one process
            while all others wait; a question is then asked once more. Without, that is an error.
        patience: How many seconds another process that brings them back may give no sign of life before this one
            takes its place.

    Raises:
        InvalidSetting: The URL or a source cannot be used.
    """

    name = OPA_NAME
    batch_bytes = OPA_BATCH_BYTES

    def __init__(
        self,
        opa: str | OpaClient,
        rule_set: RuleSet | None = None,
        *,
        sources: Mapping[str, Source] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.rule_set = rule_set or RuleSet()
        self.opa = OpaClient(opa) if isinstance(opa, str) else opa
        self._dialogue = Dialogue(self.rule_set)
        self._path = self._dialogue.path
        root = tuple(self.rule_set.data_root.split("."))
        self._store = OpaStore(self.opa, root, self.rule_set.policy.types, self._held)
        self._installation = Installation(self.opa, self.rule_set)
        self._restoration = None
        if sources is not None:
            self._restoration = Restoration(self.install, self._store, sources, patience=patience)

    @property
    def store(self) -> OpaStore:
        """The pushed resources."""
        return self._store

    @property
    def restores(self) -> bool:
        """Whether it has sources to bring back from what OPA loses."""
        return self._restoration is not None

    def decide(self, requests: Sequence[Request]) -> list[Decision]:
        """Exactly one decision for each request, in the same order.

        Raises:
            EngineFault: There is no decision for any of them.
        """
        if not requests:
            return []
        question = self._dialogue.question(requests)
        return self._asked(
            lambda: self._dialogue.decisions(self.opa.query(self._path, question, provenance=True), requests)
        )

    def explain(self, request: Request) -> tuple[Decision, bytes | None]:
        """The decision, and the stored resource it is about, in canonical text, where it was asked by id and known.

        Raises:
            EngineFault: There is no decision.
        """
        question = self._dialogue.explaining_question(request)
        return self._asked(
            lambda: self._dialogue.explained(self.opa.query(self._path, question, provenance=True), request)
        )

    def piece(self, request: PieceRequest) -> Piece:
        """A piece of a list.

        Raises:
            ResourcesLost: There are no pushed resources.
            EngineFault: There is no list.
        """
        path, question = self._dialogue.list_path, body(request.text)
        return self._asked(lambda: self._dialogue.piece(self.opa.query(path, question, provenance=True), request))

    def query(self, entrypoint: str, input_: bytes) -> Value | Absent:
        """What a public entrypoint, such as `decision`, is for an input in canonical text; `ABSENT` if nothing.

        Raises:
            EngineFault: There is no answer.
        """
        return self.opa.query((*self._path[:-1], entrypoint), b'{"input":' + input_ + b"}").result

    def install(self, *, replace: Collection[str] = ()) -> None:
        """Upload the modules, and make sure that they compiled and answer with the rule set's fingerprint.

        Modules of an earlier release, or of other settings, are replaced; the module with the fingerprint goes first
        and comes last, so nobody ever decides by a mixture. This needs an operator's rights on OPA: to list, write and
        delete policies, and to ask a query of one's own (POST /v1/query).

        Args:
            replace: Ids of foreign modules and data to remove, as `ForeignContent.ids` has them, and no others.

        Raises:
            ForeignContent: Where the rules or the resources belong there is what no bridge wrote, and `replace` does
                not name it; nothing was changed.
            OwnedByBundle: A bundle owns that place; nothing was changed.
            EngineFault: OPA refused, or does not answer as it must afterwards. The text says whether what was there
                before is back; where it is not, there are no rules that a bridge believes.
        """
        self._installation.install(self._asked_plainly, replace=replace)

    def restore(self) -> None:
        """Bring back the rules and the resources that OPA has lost; where they are back already, do nothing.

        Raises:
            Misuse: The engine has no sources.
            ResourcesLost: A source cannot be read, or has resources that are refused.
            EngineFault: OPA cannot be reached, or refuses.
        """
        if self._restoration is None:
            raise Misuse("there are no `sources` to restore from")
        self._restoration.run()

    def uninstall(self, *, deadline: float | None = None) -> tuple[str, ...]:
        """Take the modules away again, and the resources that were pushed; go on where one of them cannot be had.

        Args:
            deadline: Seconds for each call, in place of the client's.

        Returns:
            The ids of foreign modules and data that lie in the same place, and were left alone.

        Raises:
            OwnedByBundle: A bundle owns the place; nothing was changed.
            EngineFault: OPA could not be reached, or refused; something may be left.
        """
        return self._installation.uninstall(deadline=deadline)

    def close(self) -> None:
        """Close the connections."""
        self.opa.close()

    def _asked(self, ask: Callable[[], _Answer]) -> _Answer:
        """The answer; asked once more where what OPA had lost has been brought back."""
        try:
            return ask()
        except (ResourcesLost, RulesNotInstalled):
            if self._restoration is None:
                raise
        self._restoration.run()
        return ask()

    def _asked_plainly(self) -> None:
        """Ask once, and bring nothing back."""
        requests = [_ANYTHING]
        self._dialogue.decisions(
            self.opa.query(self._path, self._dialogue.question(requests), provenance=True), requests
        )

    def _held(self, question: bytes) -> dict[str, Value]:
        reply = self.opa.query(self._dialogue.held_path, body(question), provenance=True)
        return self._dialogue.held(reply)
