"""An OPA server over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from bridge.decision import Request
from bridge.engines.installation import Installation
from bridge.engines.inventory import modules_of
from bridge.engines.protocol import OPA_BATCH_BYTES, OPA_NAME, RulesProtocol, halves_after
from bridge.engines.recovery import PATIENCE, RECOVERY_ATTEMPTS, RECOVERY_TIMEOUT, Recovery
from bridge.engines.recovery_wait import RecoveryWait
from bridge.errors import OpaStatusError, ResourcesMissingError, RulesNotInstalledError, UsageError
from bridge.opa import OpaClient
from bridge.opa.question import RulesQuery
from bridge.process_bound import ProcessBound
from bridge.rendering import RuleSet
from bridge.store import OpaStore, with_omission

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from bridge.decision import Decision
    from bridge.engines.pages import PageRequest, PageResponse
    from bridge.opa import QueryReply
    from bridge.store import Source
    from bridge.strict_json import Absent, Value

_Answer = TypeVar("_Answer")
_ANYTHING: Final = Request(claims=None, type=None)
LOST: Final = (ResourcesMissingError, RulesNotInstalledError)
"""What is brought back where there are sources."""


class OpaEngine(ProcessBound):
    """Decides on an OPA server that has the rule set installed.

    Args:
        opa: The server's URL, or a client for it, with its token, its TLS settings and its deadline.
        rule_set: The settings of the installed rules.
        sources: Where the resources of each type come from: the path of a file of JSON Lines or of one JSON array, or a
            callable that gives them; all of them are good, or none is stored. With these, an OPA that has lost them, or
            the rules, gets both again: one process does it, in a thread of its own, in which the callables are called.
            A question waits for that until the client's deadline, and is then asked once more; the thread goes on
            without it. Without sources, that is an error.
        omit: Members that are left out of what the sources have, as for `PolicyBridge.push`.
        patience: How many seconds another process that brings them back may give no sign of life before this one
            takes its place.
        recovery_timeout: How many seconds it may take to bring all back.
        recovery_attempts: How often that is tried, where OPA fails in between or loses it again. What was tried in
            vain is tried again for a later question, after a pause that grows from 0.1 to 60 s.

    Raises:
        ConfigurationError: The URL, a source or another setting cannot be used.
    """

    name = OPA_NAME

    def __init__(
        self,
        opa: str | OpaClient,
        rule_set: RuleSet | None = None,
        *,
        sources: Mapping[str, Source] | None = None,
        omit: Iterable[str] = (),
        patience: float = PATIENCE,
        recovery_timeout: float = RECOVERY_TIMEOUT,
        recovery_attempts: int = RECOVERY_ATTEMPTS,
    ) -> None:
        self.rule_set = RuleSet.given(rule_set)
        self.opa = OpaClient(opa) if isinstance(opa, str) else opa
        self.batch_bytes = min(OPA_BATCH_BYTES, self.opa.max_body)
        self._protocol = RulesProtocol(self.rule_set)
        self._path = self._protocol.path
        root = tuple(self.rule_set.data_root.split("."))
        self._store = OpaStore(self.opa, root, self.rule_set.policy.types, self._stored_view, self._protocol.note)
        self._installation = Installation(self.opa, self.rule_set)
        self._recovery = None
        if sources is not None:
            self._recovery = Recovery(
                self._plain,
                self.opa,
                with_omission(sources, omit),
                self.rule_set.policy.types,
                patience=patience,
                timeout=recovery_timeout,
                tries=recovery_attempts,
            )

    @property
    def store(self) -> OpaStore:
        """The pushed resources."""
        return self._store

    @property
    def recovery(self) -> Recovery | None:
        """What brings back what OPA loses; None without sources."""
        return self._recovery

    @property
    def deadline(self) -> float:
        """Seconds that one call to OPA may last at most."""
        return self.opa.deadline

    def decide(self, requests: Sequence[Request]) -> list[Decision]:
        """Exactly one decision for each request, in the same order.

        Raises:
            EngineError: There is no decision for any of them.
        """
        if not requests:
            return []
        question = self._protocol.question(requests)
        try:
            return self._asked(self._path, question, lambda reply: self._protocol.decisions(reply, requests))
        except OpaStatusError as refused:
            halves = halves_after(refused, requests)
            if halves is None:
                raise
        self.batch_bytes = max(1, sum(request.size for request in requests) // 2)
        return [decision for half in halves for decision in self.decide(half)]

    def explain(self, request: Request) -> tuple[Decision, bytes | None]:
        """The decision, and the stored resource it is about, in canonical text, where it was asked by id and known.

        Raises:
            EngineError: There is no decision.
        """
        question = self._protocol.explaining_question(request)
        return self._asked(self._path, question, lambda reply: self._protocol.explained(reply, request))

    def list_pages(self, request: PageRequest) -> PageResponse:
        """A pages of a list.

        Raises:
            ResourcesMissingError: There are no pushed resources.
            EngineError: There is no list.
        """
        path, question = self._protocol.list_path, RulesQuery(request.text)
        return self._asked(path, question, lambda reply: self._protocol.pages(reply, request))

    def query(self, entrypoint: str, input_: bytes) -> Value | Absent:
        """What a public entrypoint, such as `decision`, is for an input in canonical text; `ABSENT` if nothing.

        Raises:
            EngineError: There is no answer.
        """
        return self.opa.query((*self._path[:-1], entrypoint), b'{"input":' + input_ + b"}").result

    def install(self, *, replace: Collection[str] = ()) -> None:
        """Upload the modules, and make sure that they compiled and answer with the rule set's fingerprint.

        Modules of an earlier release, or of other settings, are replaced; the module with the fingerprint goes first
        and comes last, so nobody ever decides by a mixture. This needs an operator's rights on OPA: to list, write and
        delete policies, and to ask a query of one's own (POST /v1/query).

        Args:
            replace: Ids of foreign modules and data to remove, as `ForeignContentError.ids` has them, and no others.

        Raises:
            ForeignContentError: Where the rules or the resources belong there is what no bridge wrote, and `replace`
                does not name it; nothing was changed.
            OwnedByBundleError: A bundle owns that place; nothing was changed.
            EngineError: OPA refused, or does not answer as it must afterwards. The text says whether what was there
                before is back; where it is not, there are no rules that a bridge believes.
        """
        self._store.require_one()
        self._installation.install(self._check_answers, replace=replace)

    def is_being_installed(self) -> bool:
        """Whether OPA has some of the rules' modules: where they do not answer, somebody installs them just now.

        Raises:
            EngineError: OPA cannot be reached, or refuses.
        """
        return bool(modules_of(self.opa.list_policies(), self.rule_set))

    def restore(self) -> None:
        """Bring back the rules and the resources that OPA has lost; where they are back already, do nothing.

        It waits for as long as that takes, `recovery_timeout` at most, and pauses after no earlier failure.

        Raises:
            UsageError: The engine has no sources, or is closed, or one of its sources calls this.
            ResourcesMissingError: A source cannot be read, or has resources that are refused.
            EngineError: OPA cannot be reached, or refuses.
        """
        self.needed_restoration().run()

    def needed_restoration(self) -> Recovery:
        """What brings back what OPA loses.

        Raises:
            UsageError: There are no sources.
        """
        if self._recovery is None:
            raise UsageError("there are no `sources` to restore from: give some to the engine")
        return self._recovery

    def uninstall(self, *, deadline: float | None = None) -> tuple[str, ...]:
        """Take the modules away again, and the resources that were pushed; go on where one of them cannot be had.

        Args:
            deadline: Seconds for each call, in place of the client's.

        Returns:
            The ids of foreign modules and data that lie in the same place, and were left alone.

        Raises:
            MultipleStoresError: Several OPAs answer at this address; nothing was changed.
            OwnedByBundleError: A bundle owns the place; nothing was changed.
            EngineError: OPA could not be reached, or refused; something may be left.
        """
        self._store.require_one()
        return self._installation.uninstall(deadline=deadline)

    def close(self) -> None:
        """End the thread that brings back what OPA lost, within 5 s or the client's deadline; close the connections."""
        if self._recovery is not None:
            self._recovery.close()
        self.opa.close()

    def _asked(self, path: Sequence[str], question: RulesQuery, read: Callable[[QueryReply], _Answer]) -> _Answer:
        """The answer; asked once more where what OPA had lost has been brought back."""
        if self._recovery is None:
            return read(self.opa.query(path, question, provenance=True))
        waiting = RecoveryWait(self._recovery, self.opa.deadline)
        try:
            return read(self.opa.query(path, question, provenance=True))
        except LOST as lost:
            run, seconds = waiting.waits_for(lost)
            run.wait(seconds)
            left = waiting.again(lost)
        try:
            answer = read(self.opa.query(path, question, provenance=True, deadline=left))
        except LOST as lost:
            raise waiting.still(lost) from None
        waiting.answered()
        return answer

    def _check_answers(self) -> None:
        """Make sure that the rules answer, as they are: nothing is brought back for this."""
        reply = self.opa.query(self._path, self._protocol.question([_ANYTHING]), provenance=True)
        self._protocol.decisions(reply, [_ANYTHING])

    def _plain(self, opa: OpaClient) -> OpaEngine:
        """An engine for the same OPA, by another client, that brings nothing back itself."""
        engine = OpaEngine(opa, self.rule_set)
        engine.store.share_revisions(self._store)
        return engine

    def _stored_view(self, question: bytes, *, fresh: bool) -> dict[str, Value]:
        reply = self.opa.query(self._protocol.stored_view_path, RulesQuery(question), provenance=True, fresh=fresh)
        return self._protocol.stored_view(reply)
