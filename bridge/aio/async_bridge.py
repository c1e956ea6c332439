"""AsyncPolicyBridge: `PolicyBridge` for asyncio applications."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from types import TracebackType
from typing import Literal, Self

from bridge.aio.async_engine import AsyncOpaEngine
from bridge.aio.async_keys import AsyncKeys
from bridge.arguments import require_async_engine, require_verifier
from bridge.bearer import Bearer, RawTokens, required_verifier, type_text
from bridge.checks import OnError, check_many, denies_on_error, fresh_decision, revision_number
from bridge.client import PolicyBridge
from bridge.decision import Decision
from bridge.errors import EngineError
from bridge.explanation import Explanation, explain
from bridge.listing import LIMIT, Listing, list_allowed
from bridge.process_bound import ProcessBound
from bridge.steps import drive_async
from bridge.store import ChangeReport, LoadResult, PushReport, SyncReport
from bridge.strict_json import Value
from bridge.tokens import TokenVerifier


class AsyncPolicyBridge(ProcessBound):
    """Asks an OPA server what a token's policy claim lets its bearer access.

    All tasks of one event loop may share it. Use it in `async with`, or `await bridge.close()`. Arguments, decisions
    and errors are those of `PolicyBridge`. A cancelled check leaves nothing behind. Methods that change rules or
    resources run in a thread, which runs to its end also if the task is cancelled.

    If the key is already known, the event loop verifies the token at once. At most 16 threads of the bridge do what may
    block: fetch keys (`JwksUrl`), read a key file (`JwksFile`, for each token), and call a key source or a verifier of
    the application. A slow key server delays only the tokens that need its response.

    Args:
        engine: The engine that decides; `require_policy` and `versions` are settings of its rule set.
        verifier: The verifier of tokens; without one, `check` takes verified claims only.
        on_error: As for `PolicyBridge`.

    Raises:
        UsageError: `engine` is no asynchronous engine, `verifier` is no verifier, or `on_error` is neither word.
    """

    def __init__(
        self,
        engine: AsyncOpaEngine,
        *,
        verifier: TokenVerifier | None = None,
        on_error: Literal["raise", "deny"] = "raise",
    ) -> None:
        denies = denies_on_error(on_error)
        require_async_engine(engine)
        require_verifier(verifier)
        self.engine = engine
        self.verifier = verifier
        self._synchronous = PolicyBridge(engine.synchronous)
        self._on_error = OnError(engine.name, denies)
        self._raw = RawTokens.of(engine.rule_set, engine)
        self._keys = AsyncKeys()

    async def verify(self, token: str) -> dict[str, Value]:
        """Verify the token and return its claims; as `PolicyBridge.verify`."""
        return await self._keys.verify(required_verifier(self.verifier), token)

    async def check(
        self,
        token_or_claims: str | Mapping[str, object],
        type_: str,
        resource_or_id: object,
        *,
        at_least: str | None = None,
    ) -> Decision:
        """Decide whether the bearer may access a resource; as `PolicyBridge.check`."""
        bearer = await self._bearer(token_or_claims)
        request = bearer.request(type_text(type_), resource_or_id)
        oldest = revision_number(at_least)
        try:
            return fresh_decision(request, await self.engine.decide([request]), oldest)
        except EngineError as error:
            return self._on_error.denial(error)

    async def check_many(
        self,
        token_or_claims: str | Mapping[str, object],
        type_: str,
        resources_or_ids: Iterable[object],
        *,
        at_least: str | None = None,
    ) -> list[Decision]:
        """Return the decision for each resource or id, in the same order; as `PolicyBridge.check_many`."""
        bearer = await self._bearer(token_or_claims)
        most = self.engine.batch_bytes
        steps = check_many(bearer, type_, resources_or_ids, at_least, self._on_error, batch_bytes=most)
        return await drive_async(steps, self.engine.decide)

    async def explain(
        self, token_or_claims: str | Mapping[str, object], type_: str, resource_or_id: object
    ) -> Explanation:
        """Return the decision, and the expected and actual values of failed constraints; as `PolicyBridge.explain`."""
        bearer = await self._bearer(token_or_claims)
        steps = explain(bearer, type_, resource_or_id, self.engine.rule_set.policy.claim, self._on_error)
        return await drive_async(steps, self.engine.explain)

    async def list_allowed(
        self,
        token_or_claims: str | Mapping[str, object],
        type_: str,
        *,
        limit: int = LIMIT,
        after: str | None = None,
        at_least: str | None = None,
    ) -> Listing:
        """Return the ids of the pushed resources that `check` allows; as `PolicyBridge.list_allowed`."""
        bearer, rule_set = await self._bearer(token_or_claims), self.engine.rule_set
        steps = list_allowed(bearer, type_, rule_set, limit=limit, after=after, at_least=at_least)
        return await drive_async(steps, self.engine.list_pages)

    async def push(
        self,
        type_: str,
        resources: Iterable[object] | LoadResult,
        *,
        omit: Iterable[str] = (),
        skip_invalid: bool = False,
        force: bool = False,
    ) -> PushReport:
        """Replace all stored resources of a type; as `PolicyBridge.push`."""
        return await asyncio.to_thread(
            self._synchronous.push, type_, resources, omit=omit, skip_invalid=skip_invalid, force=force
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
            self._synchronous.sync, type_, resources, omit=omit, skip_invalid=skip_invalid, force=force
        )

    async def upsert(self, type_: str, resources: Iterable[object], *, omit: Iterable[str] = ()) -> ChangeReport:
        """Store some resources, all or none; as `PolicyBridge.upsert`."""
        return await asyncio.to_thread(self._synchronous.upsert, type_, resources, omit=omit)

    async def delete(self, type_: str, ids: Iterable[str]) -> ChangeReport:
        """Remove some resources, all or none; as `PolicyBridge.delete`."""
        return await asyncio.to_thread(self._synchronous.delete, type_, ids)

    async def install(self, *, replace: Collection[str] = ()) -> None:
        """Install the rules on OPA, and make sure that they respond; as `PolicyBridge.install`."""
        await asyncio.to_thread(self._synchronous.install, replace=replace)

    async def close(self) -> None:
        """Close the engine's connections, and fetch no more keys; wait for no fetch that has begun."""
        self._keys.close()
        await self.engine.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _bearer(self, token_or_claims: object) -> Bearer:
        if not isinstance(token_or_claims, str):
            return Bearer.of_claims(token_or_claims)
        verifier = required_verifier(self.verifier)
        if type(verifier) is not TokenVerifier:
            return Bearer.of_claims(await self._keys.verify(verifier, token_or_claims))
        return Bearer.of_verified(await self._keys.verified(verifier, token_or_claims), verifier, self._raw)
