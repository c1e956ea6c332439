"""Decide on an OPA server, in an asyncio application."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from bridge.aio.async_client import AsyncOpaClient
from bridge.decision import Decision, Request
from bridge.engines.base import PageRequest, PageResponse
from bridge.engines.opa_engine import OpaEngine
from bridge.engines.opa_queries import OpaCall, OpaQueries, RecoveryPause
from bridge.engines.recovery import PATIENCE, RECOVERY_ATTEMPTS, RECOVERY_TIMEOUT
from bridge.engines.recovery_run import RecoveryRun
from bridge.opa import QueryReply
from bridge.rendering import RuleSet
from bridge.steps import drive_async
from bridge.store import Source


class AsyncOpaEngine(OpaQueries):
    """Decides on an OPA server that has the rules installed.

    Args:
        opa: The server's URL, or a client for it, with its token, its TLS settings and its deadline.
        rule_set: The settings of the installed rules.
        sources: As for `OpaEngine`: with sources, an OPA that has lost the rules or the resources gets both again, from
            a thread, while the tasks that need them wait.
        omit: As for `OpaEngine`.
        patience: As for `OpaEngine`.
        recovery_timeout: As for `OpaEngine`.
        recovery_attempts: As for `OpaEngine`.

    Attributes:
        synchronous: The synchronous engine for the same OPA.

    Raises:
        ConfigurationError: The URL, a source or another setting cannot be used.
    """

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
        rule_set = RuleSet.or_default(rule_set)
        self.opa: AsyncOpaClient = AsyncOpaClient(opa) if isinstance(opa, str) else opa
        self.synchronous: OpaEngine = OpaEngine(
            self.opa.synchronous(),
            rule_set,
            sources=sources,
            omit=omit,
            patience=patience,
            recovery_timeout=recovery_timeout,
            recovery_attempts=recovery_attempts,
        )
        # Both must know which OPAs have responded, so they share the protocol.
        super().__init__(self.opa, rule_set, self.synchronous._protocol, self.synchronous.recovery)  # noqa: SLF001

    async def decide(self, requests: Sequence[Request]) -> list[Decision]:
        """Return exactly one decision for each request, in the same order.

        Raises:
            EngineError: There is no decision for any of them.
        """
        return await drive_async(self._decide(requests), self._perform)

    async def explain(self, request: Request) -> tuple[Decision, bytes | None]:
        """Return the decision, and the stored resource that a request by id is about, in canonical text, or None.

        Raises:
            EngineError: There is no decision.
        """
        return await drive_async(self._explain(request), self._perform)

    async def list_pages(self, request: PageRequest) -> PageResponse:
        """Return the requested pages of a list.

        Raises:
            ResourcesMissingError: There are no pushed resources.
            EngineError: There is no list.
        """
        return await drive_async(self._list_pages(request), self._perform)

    async def restore(self) -> None:
        """Bring back the rules and the resources that OPA has lost; as `OpaEngine.restore`."""
        recovery = self._required_recovery()
        run = recovery.begin()
        await _ended(run, run.limits.left)
        recovery.raise_failure(run)

    async def close(self) -> None:
        """Stop a recovery, within 5 s or the client's deadline, and close the connections."""
        recovery = self._recovery
        run = None if recovery is None else recovery.stop()
        if recovery is not None and run is not None and not recovery.is_inside:
            await _ended(run, recovery.closing)
        self.synchronous.opa.close()
        await self.opa.close()

    async def _perform(self, step: OpaCall | RecoveryPause) -> QueryReply | None:
        if isinstance(step, RecoveryPause):
            await _ended(step.run, step.seconds)
            return None
        return await self.opa.query(step.path, step.query, provenance=True, deadline=step.deadline)


async def _ended(run: RecoveryRun, seconds: float) -> None:
    """Wait until a run has ended, at most so many seconds; a cancelled task does not end the run."""
    ended = asyncio.Event()
    wake = partial(asyncio.get_running_loop().call_soon_threadsafe, ended.set)
    if run.call_at_end(wake):
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await ended.wait()
        finally:
            run.forget(wake)
