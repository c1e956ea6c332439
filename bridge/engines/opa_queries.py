"""The queries of an OPA engine, as steps without I/O: the synchronous and the asynchronous engine drive them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from bridge.decision import Decision, Request
from bridge.engines.base import PageRequest, PageResponse
from bridge.engines.protocol import OPA_BATCH_BYTES, OPA_NAME, RulesProtocol, halves_after
from bridge.engines.recovery import Recovery
from bridge.engines.recovery_run import RecoveryRun
from bridge.engines.recovery_wait import RecoveryWait
from bridge.errors import OpaStatusError, ResourcesMissingError, RulesNotInstalledError, UsageError
from bridge.opa import QueryReply
from bridge.opa.queries import RulesQuery
from bridge.process_bound import ProcessBound
from bridge.rendering import RuleSet

_Result = TypeVar("_Result")
_LOST: Final = (ResourcesMissingError, RulesNotInstalledError)
"""What a recovery brings back."""


class OpaSettings(Protocol):
    """The settings of a client that its engine needs."""

    deadline: float
    max_body: int


class OpaCall(NamedTuple):
    """A query to send to OPA, whose reply must come with its provenance; None is the client's own deadline."""

    path: Sequence[str]
    query: RulesQuery
    deadline: float | None = None


class RecoveryPause(NamedTuple):
    """A recovery to wait for, at most so many seconds."""

    run: RecoveryRun
    seconds: float


class OpaQueries(ProcessBound):
    """What a synchronous and an asynchronous OPA engine share; without sources, there is no recovery."""

    name = OPA_NAME

    def __init__(
        self, settings: OpaSettings, rule_set: RuleSet, protocol: RulesProtocol, recovery: Recovery | None
    ) -> None:
        self.rule_set = rule_set
        self.batch_bytes: int = min(OPA_BATCH_BYTES, settings.max_body)
        self._settings = settings
        self._protocol = protocol
        self._recovery = recovery

    @property
    def deadline(self) -> float:
        """Return the most seconds that one call to OPA may last."""
        return self._settings.deadline

    @property
    def recovery(self) -> Recovery | None:
        """Return what brings back what OPA loses; None without sources."""
        return self._recovery

    def _required_recovery(self) -> Recovery:
        if self._recovery is None:
            raise UsageError("the engine has no sources to restore from: give it `sources`")
        return self._recovery

    def _decide(self, requests: Sequence[Request]) -> Generator[OpaCall | RecoveryPause, Any, list[Decision]]:
        if not requests:
            return []
        path, query = self._protocol.path, self._protocol.question(requests)
        try:
            return (yield from self._ask(path, query, lambda reply: self._protocol.decisions(reply, requests)))
        except OpaStatusError as refused:
            halves = halves_after(refused, requests)
            if halves is None:
                raise
        self.batch_bytes = sum(request.size for request in requests) // 2
        decisions: list[Decision] = []
        for half in halves:
            decisions += yield from self._decide(half)
        return decisions

    def _explain(self, request: Request) -> Generator[OpaCall | RecoveryPause, Any, tuple[Decision, bytes | None]]:
        path, query = self._protocol.path, self._protocol.explaining_question(request)
        return (yield from self._ask(path, query, lambda reply: self._protocol.explained(reply, request)))

    def _list_pages(self, request: PageRequest) -> Generator[OpaCall | RecoveryPause, Any, PageResponse]:
        path, query = self._protocol.list_path, RulesQuery(request.text)
        return (yield from self._ask(path, query, lambda reply: self._protocol.pages(reply, request)))

    def _ask(
        self, path: Sequence[str], query: RulesQuery, read: Callable[[QueryReply], _Result]
    ) -> Generator[OpaCall | RecoveryPause, Any, _Result]:
        """Read the reply; if OPA has lost something, wait until it is back, and ask once more."""
        if self._recovery is None:
            return read((yield OpaCall(path, query)))
        wait = RecoveryWait(self._recovery, self.deadline)
        try:
            return read((yield OpaCall(path, query)))
        except _LOST as lost:
            yield RecoveryPause(*wait.waits_for(lost))
            left = wait.again(lost)
        try:
            result = read((yield OpaCall(path, query, left)))
        except _LOST as lost:
            raise wait.still(lost) from None
        wait.answered()
        return result
