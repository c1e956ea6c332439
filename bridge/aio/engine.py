"""An OPA server, awaited."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from bridge.aio.client import AsyncOpaClient
from bridge.engines.dialogue import OPA_BATCH_BYTES, OPA_NAME
from bridge.engines.opa import LOST, OpaEngine
from bridge.engines.restoring import PATIENCE, RESTORE_TIMEOUT, RESTORE_TRIES
from bridge.engines.restoring_wait import Wait
from bridge.opa.question import Question
from bridge.process_bound import ProcessBound
from bridge.rendering import RuleSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bridge.decision import Decision, Request
    from bridge.engines.piece import Piece, PieceRequest
    from bridge.engines.restoring_run import Run
    from bridge.opa import QueryReply
    from bridge.resources import Source

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
        restore_timeout: As for `OpaEngine`.
        restore_tries: As for `OpaEngine`.

    Attributes:
        waiting: The engine that does not await, for the same OPA.

    Raises:
        InvalidSetting: The URL, a source or another setting cannot be used.
    """

    name = OPA_NAME
    batch_bytes = OPA_BATCH_BYTES

    def __init__(
        self,
        opa: str | AsyncOpaClient,
        rule_set: RuleSet | None = None,
        *,
        sources: Mapping[str, Source] | None = None,
        omit: Iterable[str] = (),
        patience: float = PATIENCE,
        restore_timeout: float = RESTORE_TIMEOUT,
        restore_tries: int = RESTORE_TRIES,
    ) -> None:
        self.rule_set = rule_set or RuleSet()
        self.opa = AsyncOpaClient(opa) if isinstance(opa, str) else opa
        self.waiting = OpaEngine(
            self.opa.waiting(),
            self.rule_set,
            sources=sources,
            omit=omit,
            patience=patience,
            restore_timeout=restore_timeout,
            restore_tries=restore_tries,
        )
        self._dialogue = self.waiting._dialogue  # noqa: SLF001 - which OPAs answered, both must know

    @property
    def deadline(self) -> float:
        """Seconds that one call to OPA may last at most."""
        return self.opa.deadline

    async def decide(self, requests: Sequence[Request]) -> list[Decision]:
        """Exactly one decision for each request, in the same order.

        Raises:
            EngineFault: There is no decision for any of them.
        """
        if not requests:
            return []
        path, question = self._dialogue.path, self._dialogue.question(requests)
        return await self._asked(path, question, lambda reply: self._dialogue.decisions(reply, requests))

    async def explain(self, request: Request) -> tuple[Decision, bytes | None]:
        """The decision, and the stored resource it is about, in canonical text, where it was asked by id and known.

        Raises:
            EngineFault: There is no decision.
        """
        path, question = self._dialogue.path, self._dialogue.explaining_question(request)
        return await self._asked(path, question, lambda reply: self._dialogue.explained(reply, request))

    async def piece(self, request: PieceRequest) -> Piece:
        """A piece of a list.

        Raises:
            ResourcesLost: There are no pushed resources.
            EngineFault: There is no list.
        """
        path, question = self._dialogue.list_path, Question(request.text)
        return await self._asked(path, question, lambda reply: self._dialogue.piece(reply, request))

    async def restore(self) -> None:
        """Bring back the rules and the resources that OPA has lost; as `OpaEngine.restore`."""
        restoration = self.waiting.needed_restoration()
        run = restoration.begun()
        await _ended(run, run.limits.left)
        restoration.raise_failure(run)

    async def close(self) -> None:
        """End the thread that brings back what OPA lost, within 5 s or the client's deadline; close the connections."""
        restoration = self.waiting.restoration
        run = None if restoration is None else restoration.stop()
        if restoration is not None and run is not None and not restoration.is_inside:
            await _ended(run, restoration.closing)
        self.waiting.opa.close()
        await self.opa.close()

    async def _asked(self, path: Sequence[str], question: Question, read: Callable[[QueryReply], _Answer]) -> _Answer:
        """The answer; asked once more where what OPA had lost has been brought back."""
        restoration = self.waiting.restoration
        if restoration is None:
            return read(await self.opa.query(path, question, provenance=True))
        waiting = Wait(restoration, self.opa.deadline)
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


async def _ended(run: Run, seconds: float) -> None:
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
