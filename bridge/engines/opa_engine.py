"""Decide on an OPA server, over HTTP."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from bridge.decision import Decision, Request
from bridge.engines.base import PageRequest, PageResponse
from bridge.engines.installation import Installation
from bridge.engines.inventory import modules_of
from bridge.engines.opa_queries import OpaCall, OpaQueries, RecoveryPause
from bridge.engines.protocol import RulesProtocol
from bridge.engines.recovery import PATIENCE, RECOVERY_ATTEMPTS, RECOVERY_TIMEOUT, Recovery
from bridge.opa import OpaClient, QueryReply
from bridge.opa.queries import RulesQuery
from bridge.rendering import RuleSet
from bridge.steps import drive
from bridge.store import OpaStore, Source, with_omission
from bridge.strict_json import Absent, Value

_ANYTHING: Final = Request(claims=None, type=None)


class OpaEngine(OpaQueries):
    """Decides on an OPA server that has the rules installed.

    Args:
        opa: The server's URL, or a client for it, with its token, its TLS settings and its deadline.
        rule_set: The settings of the installed rules.
        sources: The source of the resources of each type: the path of a file of JSON Lines or of one JSON array, or a
            callable that returns them. If one resource is rejected, none is stored. With sources, an OPA that has lost
            the resources or the rules gets both again (the recovery): one process brings them, in its own thread, which
            also calls the callables. A check waits for that until the client's deadline, and is then sent once more;
            the thread goes on. Without sources, lost rules or resources are an error.
        omit: Members of the sources' resources that are not stored, as for `PolicyBridge.push`.
        patience: If another process does the recovery and sends no heartbeat for so many seconds, this one takes over.
        recovery_timeout: The most seconds of a recovery.
        recovery_attempts: The most attempts of a recovery, if OPA fails meanwhile or loses something again. After a
            failed recovery, a later check begins another one, after a pause that grows from 0.1 to 60 s.

    Raises:
        ConfigurationError: The URL, a source or another setting cannot be used.
    """

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
        rule_set = RuleSet.or_default(rule_set)
        self.opa: OpaClient = OpaClient(opa) if isinstance(opa, str) else opa
        protocol, root = RulesProtocol(rule_set), tuple(rule_set.data_root.split("."))
        self._store = OpaStore(self.opa, root, rule_set.policy.types, self._stored_view, protocol.note)
        self._installation = Installation(self.opa, rule_set)
        recovery = None
        if sources is not None:
            recovery = Recovery(
                self._without_recovery,
                self.opa,
                with_omission(sources, omit),
                rule_set.policy.types,
                patience=patience,
                timeout=recovery_timeout,
                tries=recovery_attempts,
            )
        super().__init__(self.opa, rule_set, protocol, recovery)

    @property
    def store(self) -> OpaStore:
        """Return the pushed resources."""
        return self._store

    def decide(self, requests: Sequence[Request]) -> list[Decision]:
        """Return exactly one decision for each request, in the same order.

        Raises:
            EngineError: There is no decision for any of them.
        """
        return drive(self._decide(requests), self._perform)

    def explain(self, request: Request) -> tuple[Decision, bytes | None]:
        """Return the decision, and the stored resource that a request by id is about, in canonical text, or None.

        Raises:
            EngineError: There is no decision.
        """
        return drive(self._explain(request), self._perform)

    def list_pages(self, request: PageRequest) -> PageResponse:
        """Return the requested pages of a list.

        Raises:
            ResourcesMissingError: There are no pushed resources.
            EngineError: There is no list.
        """
        return drive(self._list_pages(request), self._perform)

    def query(self, entrypoint: str, input_: bytes) -> Value | Absent:
        """Return the value of a public entrypoint, such as `decision`, for an input in canonical text.

        Returns:
            The value; `ABSENT` if it is undefined.

        Raises:
            EngineError: OPA cannot be reached, or refuses.
        """
        return self.opa.query((*self._protocol.path[:-1], entrypoint), b'{"input":' + input_ + b"}").result

    def install(self, *, replace: Collection[str] = ()) -> None:
        """Upload the modules, and make sure that they compiled and respond with the rule set's fingerprint.

        Modules of an earlier release, or of other settings, are replaced. The module with the fingerprint is removed
        first and written last, so no bridge decides by a mixture. This needs an operator's rights on OPA: to list,
        write and delete policies, and to send ad hoc queries (POST /v1/query).

        Args:
            replace: Ids of foreign modules and data to remove: some of `ForeignContentError.ids`.

        Raises:
            ForeignContentError: Modules or data of others are in the place of the rules or the resources, and `replace`
                does not name them; nothing was changed.
            OwnedByBundleError: A bundle owns that place; nothing was changed.
            EngineError: OPA refused, or does not respond correctly afterwards. The text says whether the rules from
                before are back; if they are not, no bridge accepts the rules that are there.
        """
        self._store.require_one()
        self._installation.install(self._check_answers, replace=replace)

    def is_being_installed(self) -> bool:
        """Return whether OPA has some of the rules' modules: if they do not respond, an installation is under way.

        Raises:
            EngineError: OPA cannot be reached, or refuses.
        """
        return bool(modules_of(self.opa.list_policies(), self.rule_set))

    def restore(self) -> None:
        """Bring back the rules and the resources that OPA has lost; do nothing if they are back already.

        It waits until they are back, at most `recovery_timeout`, and makes no pause after an earlier failure.

        Raises:
            UsageError: The engine has no sources, or is closed, or one of its sources calls this.
            ResourcesMissingError: A source cannot be read, or has resources that are rejected.
            EngineError: OPA cannot be reached, or refuses.
        """
        self._required_recovery().run()

    def uninstall(self, *, deadline: float | None = None) -> tuple[str, ...]:
        """Remove the modules and the pushed resources; if one cannot be removed, go on with the others.

        Args:
            deadline: Seconds for each call, in place of the client's.

        Returns:
            The ids of foreign modules and data in the same place, which remain.

        Raises:
            MultipleStoresError: Several OPAs respond at this address; nothing was changed.
            OwnedByBundleError: A bundle owns the place; nothing was changed.
            EngineError: OPA could not be reached, or refused; something may be left.
        """
        self._store.require_one()
        return self._installation.uninstall(deadline=deadline)

    def close(self) -> None:
        """Stop a recovery, within 5 s or the client's deadline, and close the connections."""
        if self._recovery is not None:
            self._recovery.close()
        self.opa.close()

    def _perform(self, step: OpaCall | RecoveryPause) -> QueryReply | None:
        if isinstance(step, RecoveryPause):
            step.run.wait(step.seconds)
            return None
        return self.opa.query(step.path, step.query, provenance=True, deadline=step.deadline)

    def _check_answers(self) -> None:
        """Make sure that the rules respond as they are, without a recovery."""
        reply = self.opa.query(self._protocol.path, self._protocol.question([_ANYTHING]), provenance=True)
        self._protocol.decisions(reply, [_ANYTHING])

    def _without_recovery(self, opa: OpaClient) -> OpaEngine:
        """Return an engine for the same OPA, with another client and without sources."""
        engine = OpaEngine(opa, self.rule_set)
        engine.store.share_revisions(self._store)
        return engine

    def _stored_view(self, question: bytes, *, fresh: bool) -> dict[str, Value]:
        reply = self.opa.query(self._protocol.stored_view_path, RulesQuery(question), provenance=True, fresh=fresh)
        return self._protocol.stored_view(reply)
