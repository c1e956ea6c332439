"""An OPA server, awaited."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from bridge.aio.async_client import AsyncOpaClient
from bridge.engines.opa_engine import LOST, OpaEngine
from bridge.engines.protocol import OPA_BATCH_BYTES, OPA_NAME, halves_after
from bridge.engines.recovery import PATIENCE, RECOVERY_ATTEMPTS, RECOVERY_TIMEOUT
from bridge.engines.recovery_wait import RecoveryWait
from bridge.errors import OpaStatusError
from bridge.opa.question import RulesQuery
from bridge.process_bound import ProcessBound
from bridge.rendering import RuleSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bridge.decision import Decision, Request
    from bridge.engines.pages import PageRequest, PageResponse
    from bridge.engines.recovery_run import RecoveryRun
    from bridge.opa import QueryReply
    from bridge.store import Source

_Answer = TypeVar("_Answer")


class AsyncOpaEngine(ProcessBound):
    """Decides on an OPA server that has the rule set installed.

    Args:
        opa: The server's URL, or a client for it, with its token, its TLS settings and its deadline.
        rule_set: The settings of the installed rules.
        sources: As for `OpaEngine`: with these, an OPA that has lost the rules or the resources gets both anew, in a
            thread of its own, while all tasks wait that asked.
        omit: As for `OpaEngine`.
        patience: As for `OpaEngine`.
        recovery_timeout: As for `OpaEngine`.
        recovery_attempts: As for `OpaEngine`.

    Attributes:
        waiting: The engine that does not await, for the same OPA.

    Raises:
        ConfigurationError: The URL, a source or another setting cannot be used.
    """

    name = OPA_NAME

    def __init__(
        self,
        opa: str | AsyncOpaClient,
        rule_set: RuleSet | None = None,
        *,
        sources: Mapping[str, Source] | None = None,
        omit: Iterable[str] = (),
        patience: float = PATIENCE,
        recovery_timeout: float = RECOVERY_TIMEOUT,
        recovery_attempts: int = RECOVERY_ATTEMPTS,
    ) -> None:
        self.rule_set = RuleSet.given(rule_set)
        self.opa = AsyncOpaClient(opa) if isinstance(opa, str) else opa
        self.batch_bytes = min(OPA_BATCH_BYTES, self.opa.max_body)
        self.waiting = OpaEngine(
            self.opa.waiting(),
            self.rule_set,
            sources=sources,
            omit=omit,
            patience=patience,
            recovery_timeout=recovery_timeout,
            recovery_attempts=recovery_attempts,
        )
        self._protocol = self.waiting._protocol  # noqa: SLF001 - which OPAs answered, both must know

    @property
    def deadline(self) -> float:
        """Seconds that one call to OPA may last at most."""
        return self.opa.deadline

    async def decide(self, requests: Sequence[Request]) -> list[Decision]:
        """Exactly one decision for each request, in the same order.

        Raises:
            EngineError: There is no decision for any of them.
        """
        if not requests:
            return []
        path, question = self._protocol.path, self._protocol.question(requests)
        try:
            return await self._asked(path, question, lambda reply: self._protocol.decisions(reply, requests))
        except OpaStatusError as refused:
            halves = halves_after(refused, requests)
            if halves is None:
                raise
        self.batch_bytes = max(1, sum(request.size for request in requests) // 2)
        return [decision for half in halves for decision in await self.decide(half)]

    async def explain(self, request: Request) -> tuple[Decision, bytes | None]:
        """The decision, and the stored resource it is about, in canonical text, where it was asked by id and known.

        Raises:
            EngineError: There is no decision.
        """
        path, question = self._protocol.path, self._protocol.explaining_question(request)
        return await self._asked(path, question, lambda reply: self._protocol.explained(reply, request))

    async def list_pages(self, request: PageRequest) -> PageResponse:
        """A pages of a list.

        Raises:
            ResourcesMissingError: There are no pushed resources.
            EngineError: There is no list.
        """
        path, question = self._protocol.list_path, RulesQuery(request.text)
        return await self._asked(path, question, lambda reply: self._protocol.pages(reply, request))

    async def restore(self) -> None:
        """Bring back the rules and the resources that OPA has lost; as `OpaEngine.restore`."""
        recovery = self.waiting.needed_restoration()
        run = recovery.begun()
        await _ended(run, run.limits.left)
        recovery.raise_failure(run)

    async def close(self) -> None:
        """End the thread that brings back what OPA lost, within 5 s or the client's deadline; close the connections."""
        recovery = self.waiting.recovery
        run = None if recovery is None else recovery.stop()
        if recovery is not None and run is not None and not recovery.is_inside:
            await _ended(run, recovery.closing)
        self.waiting.opa.close()
        await self.opa.close()

    async def _asked(self, path: Sequence[str], question: RulesQuery, read: Callable[[QueryReply], _Answer]) -> _Answer:
        """The answer; asked once more where what OPA had lost has been brought back."""
        recovery = self.waiting.recovery
        if recovery is None:
            return read(await self.opa.query(path, question, provenance=True))
        waiting = RecoveryWait(recovery, self.opa.deadline)
        try:
            return read(await self.opa.query(path, question, provenance=True))
        except LOST as lost:
            await _ended(*waiting.waits_for(lost))
            left = waiting.again(lost)
        try:
            answer = read(await self.opa.query(path, question, provenance=True, deadline=left))
        except LOST as lost:
            raise waiting.still(lost) from None
        waiting.answered()
        return answer


async def _ended(run: RecoveryRun, seconds: float) -> None:
    """Wait until a run has ended, so many seconds at most; a task that is cancelled takes it from nobody."""
    ended = asyncio.Event()
    wake = partial(asyncio.get_running_loop().call_soon_threadsafe, ended.set)
    if run.call_at_end(wake):
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await ended.wait()
        finally:
            run.forget(wake)
