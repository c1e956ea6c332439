"""AsyncPolicyBridge: `PolicyBridge` for programs that await."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal, Self

from bridge.aio.async_keys import AsyncKeys
from bridge.arguments import require_async_engine, require_verifier
from bridge.checks import BatchCheck, Bearer, checked_on_error, denial_for, required_verifier, type_text
from bridge.client import PolicyBridge
from bridge.errors import EngineError
from bridge.explanation import Explanation, explain
from bridge.freshness import require_fresh, revision_number
from bridge.listing import LIMIT, Listing, listing
from bridge.process_bound import ProcessBound
from bridge.raw_tokens import RawTokens
from bridge.strict_json import ABSENT
from bridge.tokens import TokenVerifier

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from types import TracebackType

    from bridge.aio.async_engine import AsyncOpaEngine
    from bridge.decision import Decision
    from bridge.store import ChangeReport, LoadResult, PushReport, SyncReport
    from bridge.strict_json import Value


class AsyncPolicyBridge(ProcessBound):
    """Asks an OPA server what a token's policy claim lets its bearer access.

    To be shared by all tasks of one event loop; use it in `async with`, or `await bridge.close()`. Whatever
    `PolicyBridge` says of arguments, decisions and errors holds here. A question that is cancelled leaves nothing
    behind. What changes rules or resources is done in a thread, which goes on to its end whatever is cancelled.

    A token whose key is at hand is verified at once, in the event loop. Threads of the bridge's own, 16 at most, do
    what may wait for others: they fetch keys (`JwksUrl`), look at a key file (`JwksFile`, for each token), and ask a
    source or a verifier of the application's own. A slow key server holds up only the tokens that need its answer.

    Args:
        engine: What decides; `require_policy` and `versions` are settings of its rule set.
        verifier: What verifies tokens; without one, `check` takes verified claims only.
        on_error: As for `PolicyBridge`.

    Raises:
        UsageError: `engine` is no asynchronous engine, `verifier` no verifier, or `on_error` is neither.
    """

    def __init__(
        self,
        engine: AsyncOpaEngine,
        *,
        verifier: TokenVerifier | None = None,
        on_error: Literal["raise", "deny"] = "raise",
    ) -> None:
        self._denies = checked_on_error(on_error)
        require_async_engine(engine)
        require_verifier(verifier)
        self.engine = engine
        self.verifier = verifier
        self._waiting = PolicyBridge(engine.waiting)
        self._raw = RawTokens.of(engine.rule_set, engine)
        self._keys = AsyncKeys()

    async def verify(self, token: str) -> dict[str, Value]:
        """The claims of a token that is valid; as `PolicyBridge.verify`."""
        return await self._keys.verify(required_verifier(self.verifier), token)

    async def check(
        self,
        token_or_claims: str | Mapping[str, object],
        type_: str,
        resource_or_id: object,
        *,
        at_least: str | None = None,
    ) -> Decision:
        """Whether the bearer may access a resource; as `PolicyBridge.check`."""
        oldest = revision_number(at_least)
        request = (await self._subject(token_or_claims)).request(type_text(type_), resource_or_id)
        try:
            decisions = await self.engine.decide([request])
            require_fresh([request], decisions, oldest)
            return decisions[0]
        except EngineError as fault:
            if not self._denies:
                raise
            return denial_for(self.engine.name, fault)

    async def check_many(
        self,
        token_or_claims: str | Mapping[str, object],
        type_: str,
        resources_or_ids: Iterable[object],
        *,
        at_least: str | None = None,
    ) -> list[Decision]:
        """The decision for each resource or id, in the same order; as `PolicyBridge.check_many`."""
        oldest = revision_number(at_least)
        subject = await self._subject(token_or_claims)
        several = BatchCheck(
            subject, type_, resources_or_ids, engine=self.engine.name, denies=self._denies, oldest=oldest
        )
        for places, requests in several.parts(self.engine.batch_bytes):
            try:
                decisions = await self.engine.decide(requests)
                require_fresh(requests, decisions, oldest)
                several.answered(places, decisions)
            except EngineError as fault:
                several.failed(places, fault)
        return several.decisions()

    async def explain(
        self, token_or_claims: str | Mapping[str, object], type_: str, resource_or_id: object
    ) -> Explanation:
        """The decision, and what each failed constraint wanted and found; as `PolicyBridge.explain`."""
        subject = await self._subject(token_or_claims)
        request = subject.request(type_text(type_), resource_or_id)
        try:
            decision, stored = await self.engine.explain(request)
            description = (self.engine.rule_set.policy.claim, type_)
            return explain(decision, claims=subject.claims, description=description, request=request, stored=stored)
        except EngineError as fault:
            if not self._denies:
                raise
            return Explanation(denial_for(self.engine.name, fault), (), ABSENT)

    async def list_allowed(
        self,
        token_or_claims: str | Mapping[str, object],
        type_: str,
        *,
        limit: int = LIMIT,
        after: str | None = None,
        at_least: str | None = None,
    ) -> Listing:
        """The ids of the pushed resources that `check` allows; as `PolicyBridge.list_allowed`."""
        claims = (await self._subject(token_or_claims)).claims
        steps = listing(self.engine.rule_set, claims, type_text(type_), limit, after, at_least)
        try:
            request = next(steps)
            while True:
                request = steps.send(await self.engine.list_pages(request))
        except StopIteration as stop:
            listed: Listing = stop.value
            return listed

    async def push(
        self,
        type_: str,
        resources: Iterable[object] | LoadResult,
        *,
        omit: Iterable[str] = (),
        skip_invalid: bool = False,
        force: bool = False,
    ) -> PushReport:
        """Store resources in place of all that are stored of their type; as `PolicyBridge.push`."""
        return await asyncio.to_thread(
            self._waiting.push, type_, resources, omit=omit, skip_invalid=skip_invalid, force=force
        )

    async def sync(
        self,
        type_: str,
        resources: Iterable[object] | LoadResult,
        *,
        omit: Iterable[str] = (),
        skip_invalid: bool = False,
        force: bool = False,
    ) -> SyncReport:
        """Make the stored resources of a type equal to these; as `PolicyBridge.sync`."""
        return await asyncio.to_thread(
            self._waiting.sync, type_, resources, omit=omit, skip_invalid=skip_invalid, force=force
        )

    async def upsert(self, type_: str, resources: Iterable[object], *, omit: Iterable[str] = ()) -> ChangeReport:
        """Store some resources, all at once or none; as `PolicyBridge.upsert`."""
        return await asyncio.to_thread(self._waiting.upsert, type_, resources, omit=omit)

    async def delete(self, type_: str, ids: Iterable[str]) -> ChangeReport:
        """Remove some resources, all at once or none; as `PolicyBridge.delete`."""
        return await asyncio.to_thread(self._waiting.delete, type_, ids)

    async def install(self, *, replace: Collection[str] = ()) -> None:
        """Bring the rules to OPA, and make sure that they answer; as `PolicyBridge.install`."""
        await asyncio.to_thread(self._waiting.install, replace=replace)

    async def close(self) -> None:
        """Close the engine's connections, and find no more keys; a fetch that has begun holds up nothing."""
        self._keys.close()
        await self.engine.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _subject(self, token_or_claims: object) -> Bearer:
        if not isinstance(token_or_claims, str):
            return Bearer.of_claims(token_or_claims)
        verifier = required_verifier(self.verifier)
        if type(verifier) is not TokenVerifier:
            return Bearer.of_claims(await self._keys.verify(verifier, token_or_claims))
        return Bearer.of_verified(await self._keys.verified(verifier, token_or_claims), verifier, self._raw)
