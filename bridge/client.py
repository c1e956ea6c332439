"""PolicyBridge: verified tokens and resources in, decisions out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from bridge.arguments import require_engine, require_verifier
from bridge.checks import BatchCheck, Bearer, checked_on_error, denial_for, required_verifier, type_text
from bridge.engines import OpaEngine, WasmEngine
from bridge.errors import EngineError, PushRejectedError, UsageError
from bridge.escapes import shown
from bridge.explanation import Explanation, explain
from bridge.freshness import require_fresh, revision_number
from bridge.listing import LIMIT, Listing, listing
from bridge.policy import PolicySettings
from bridge.process_bound import ProcessBound
from bridge.raw_tokens import RawTokens
from bridge.rendering import RuleSet
from bridge.store import collected_from, from_objects, push, sync
from bridge.strict_json import ABSENT, encode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from types import TracebackType

    from bridge.decision import Decision
    from bridge.engines import Engine
    from bridge.store import ChangeReport, LoadResult, PushReport, SyncReport
    from bridge.strict_json import Value
    from bridge.tokens import TokenVerifier


class PolicyBridge(ProcessBound):
    """Asks an engine what a token's policy claim lets its bearer access.

    Safe to share between threads. Fails closed: a fault raises, or, on demand, denies.

    Args:
        engine: What decides; by default the Wasm build of the rules, in this process.
        verifier: What verifies tokens; without one, `check` takes verified claims only.
        require_policy: Whether claims without a policy are denied (R3); by default not. Switch it on where every token
            must have a policy. Only without `engine`, whose rule set has this setting already.
        versions: The versions of the policy claim that are valid (R8.3), such as `{2, 3}`; as `require_policy`, by
            default 2 alone.
        on_error: `raise` lets faults of the engine through as `EngineError`; `deny` gives a denied decision with the
            reason `engine_unavailable` for them. Invalid tokens, malformed claims and misuse always raise.

    Raises:
        UsageError: `engine` is no engine, `verifier` no verifier or `on_error` neither word, or `require_policy` or
            `versions` stands beside `engine`.
        ConfigurationError: `require_policy` or `versions` cannot be used.
    """

    def __init__(
        self,
        engine: Engine | None = None,
        *,
        verifier: TokenVerifier | None = None,
        require_policy: bool | None = None,
        versions: Collection[int] | None = None,
        on_error: Literal["raise", "deny"] = "raise",
    ) -> None:
        self._denies = checked_on_error(on_error)
        if engine is not None:
            require_engine(engine)
        require_verifier(verifier)
        given: dict[str, Any] = {
            name: value
            for name, value in (("require_policy", require_policy), ("versions", versions))
            if value is not None
        }
        if engine is not None and given:
            raise UsageError(
                f"{' and '.join(given)} cannot stand beside `engine`, which decides by its own rule set: set it there, "
                f"as in OpaEngine(url, RuleSet(policy=PolicySettings({next(iter(given))}=...)))"
            )
        self.engine: Engine = WasmEngine(RuleSet(policy=PolicySettings(**given))) if engine is None else engine
        self.verifier = verifier
        self._raw = RawTokens.of(self.engine.rule_set, self.engine)

    def verify(self, token: str) -> dict[str, Value]:
        """The claims of a token that is valid (SEMANTICS, "Tokens").

        Raises:
            InvalidTokenError: It is not; the class and `code` tell the cause.
            KeysUnavailableError: The keys to verify it with cannot be had.
            UsageError: There is no verifier.
        """
        return required_verifier(self.verifier).verify(token)

    def check(
        self,
        token_or_claims: str | Mapping[str, object],
        type_: str,
        resource_or_id: object,
        *,
        at_least: str | None = None,
    ) -> Decision:
        """Whether the bearer may access a resource.

        Args:
            token_or_claims: A token, which is verified, or claims that have been verified already.
            type_: The resource type, such as `devices`.
            resource_or_id: A string is the id of a pushed resource; everything else is taken as the resource itself.
            at_least: A revision, as `push` gives it: refuse to answer by id from resources that are older.

        Raises:
            InvalidTokenError: The token is not valid.
            KeysUnavailableError: The keys to verify it with cannot be had.
            MalformedInputError: The claims or the resource break R12.1-R12.7.
            ResourcesMissingError: It is asked by id, and there are no pushed resources, with `on_error="raise"`.
            StaleResourcesError: The pushed resources are older than `at_least`, with `on_error="raise"`.
            EngineError: The engine could not decide, with `on_error="raise"`.
            UsageError: A token was given, but there is no verifier.
        """
        request = self._subject(token_or_claims).request(type_text(type_), resource_or_id)
        oldest = revision_number(at_least)
        try:
            decisions = self.engine.decide([request])
            require_fresh([request], decisions, oldest)
            return decisions[0]
        except EngineError as fault:
            if not self._denies:
                raise
            return denial_for(self.engine.name, fault)

    def check_many(
        self,
        token_or_claims: str | Mapping[str, object],
        type_: str,
        resources_or_ids: Iterable[object],
        *,
        at_least: str | None = None,
    ) -> list[Decision]:
        """The decision for each resource or id, in the same order; arguments and errors as for `check`.

        A resource or id that breaks R12 is denied with the reason `malformed_input` and spoils no other. Large numbers
        are asked in several queries. Where one of them fails, nothing is guessed: the call raises, or, with
        `on_error="deny"`, each query that failed denies for its part.

        Raises:
            PartialResultError: The engine could not decide all, with `on_error="raise"`; it has the decisions on the
                others.
        """
        oldest = revision_number(at_least)
        subject = self._subject(token_or_claims)
        several = BatchCheck(
            subject, type_, resources_or_ids, engine=self.engine.name, denies=self._denies, oldest=oldest
        )
        for places, requests in several.parts(self.engine.batch_bytes):
            try:
                decisions = self.engine.decide(requests)
                require_fresh(requests, decisions, oldest)
                several.answered(places, decisions)
            except EngineError as fault:
                several.failed(places, fault)
        return several.decisions()

    def explain(self, token_or_claims: str | Mapping[str, object], type_: str, resource_or_id: object) -> Explanation:
        """The decision for a resource, and for each constraint that failed what was wanted and what was found.

        Arguments and errors as for `check`.
        """
        subject = self._subject(token_or_claims)
        request = subject.request(type_text(type_), resource_or_id)
        try:
            decision, stored = self.engine.explain(request)
            description = (self.engine.rule_set.policy.claim, type_)
            return explain(decision, claims=subject.claims, description=description, request=request, stored=stored)
        except EngineError as fault:
            if not self._denies:
                raise
            return Explanation(denial_for(self.engine.name, fault), (), ABSENT)

    def push(
        self,
        type_: str,
        resources: Iterable[object] | LoadResult,
        *,
        omit: Iterable[str] = (),
        skip_invalid: bool = False,
        force: bool = False,
    ) -> PushReport:
        """Store resources in place of all that are stored of their type; other types are left alone.

        Args:
            type_: The resource type.
            resources: Resources as Python objects (R12.7), or what `bridge.store.from_file` read.
            omit: Members that are not stored, such as secrets that no policy looks at, by top-level name or JSON
                Pointer (RFC 6901); they are checked like the others. `id` and `custom_data` cannot be left out. What
                was read already must have been read with the same `omit`.
            skip_invalid: Push the others where some are refused, and report both those and what was removed so; where
                more than half are refused, it takes `force` as well.
            force: Push even if more than half of what is there would be removed, or nothing is to be pushed.

        Raises:
            PushRejectedError: Nothing was pushed: a resource is refused (its `rejected` has all of them), or what
                `force` speaks of.
            ConfigurationError: `omit` cannot be used.
            MultipleStoresError: Several OPAs answer at the engine's address; nothing has changed.
            EngineError: The engine's store could not be read or written.
            UsageError: The type is not one of the known ones.
        """
        collected = collected_from(resources, omit)
        return push(self.engine.store, self._known(type_), collected, skip_invalid=skip_invalid, force=force)

    def sync(
        self,
        type_: str,
        resources: Iterable[object] | LoadResult,
        *,
        omit: Iterable[str] = (),
        skip_invalid: bool = False,
        force: bool = False,
    ) -> SyncReport:
        """Make the stored resources of a type equal to these, and send no more than what differs.

        A small difference goes in one or several revisions, each of them whole; a large one in a single new one.
        Arguments and errors as for `push`, and besides:

        Raises:
            PushConflictError: Others change the resources too; what was changed so far is whole, and the rest is not.
        """
        collected = collected_from(resources, omit)
        return sync(self.engine.store, self._known(type_), collected, skip_invalid=skip_invalid, force=force)

    def upsert(self, type_: str, resources: Iterable[object], *, omit: Iterable[str] = ()) -> ChangeReport:
        """Store some resources, in place of those of the same ids; all at once, or none.

        Args:
            type_: The resource type.
            resources: Resources as Python objects (R12.7).
            omit: Members that are not stored, as for `push`.

        Raises:
            PushRejectedError: A resource is malformed, or an id comes twice, or they are too many for one change:
                nothing has changed.
            ResourcesMissingError: Nothing was ever pushed, or it is there no more.
            MultipleStoresError: Several OPAs answer at the engine's address; nothing has changed.
            EngineError: The engine's store could not be read or written.
            UsageError: The type is not one of the known ones.
        """
        collected = from_objects(resources, omit=omit)
        if collected.rejected:
            raise PushRejectedError(
                f"nothing was changed: {collected.rejected[0]}"
                + (f", and {len(collected.rejected) - 1} more are refused" if len(collected.rejected) > 1 else ""),
                collected.rejected,
            )
        return self.engine.store.change(self._known(type_), collected.resources, [])

    def delete(self, type_: str, ids: Iterable[str]) -> ChangeReport:
        """Remove some resources; all at once, or none.

        Args:
            type_: The resource type.
            ids: Their ids; those that are not there are counted, and no error.

        Raises:
            PushRejectedError: They are too many for one change.
            ResourcesMissingError: Nothing was ever pushed, or it is there no more.
            MultipleStoresError: Several OPAs answer at the engine's address; nothing has changed.
            EngineError: The engine's store could not be read or written.
            UsageError: The type is not one of the known ones, or an id is no string.
        """
        if isinstance(ids, (str, bytes)):
            raise UsageError("delete takes several ids")
        texts = []
        for id_ in ids:
            if type(id_) is not str:
                raise UsageError("an id must be a string")
            texts.append(encode(id_, what="id"))
        return self.engine.store.change(self._known(type_), {}, texts)

    def list_allowed(
        self,
        token_or_claims: str | Mapping[str, object],
        type_: str,
        *,
        limit: int = LIMIT,
        after: str | None = None,
        at_least: str | None = None,
    ) -> Listing:
        """The ids of the pushed resources that `check` allows, no more and no fewer.

        Args:
            token_or_claims: As for `check`.
            type_: The resource type.
            limit: How many ids at most.
            after: The `cursor` of an earlier list, to go on behind it: of the same type, by the same rules, and with
                the same policy claim, though the token may have been renewed. It grants nothing, so it may come back
                from anybody: what is allowed is decided anew, by the claims given here.
            at_least: A revision, as `push` gives it: refuse to answer from resources that are older.

        Raises:
            CursorExpiredError: The resources have changed since that list.
            ResourcesMissingError: There are no pushed resources.
            StaleResourcesError: They are older than `at_least`.
            InvalidTokenError: The token is not valid.
            KeysUnavailableError: The keys to verify it with cannot be had.
            MalformedInputError: The claims break R12.1-R12.7.
            EngineError: The engine could not list them; whatever `on_error` says.
            UsageError: The limit or the revision makes no sense, or the cursor is of another list, or of none.
        """
        subject = self._subject(token_or_claims)
        steps = listing(self.engine.rule_set, subject.claims, type_text(type_), limit, after, at_least)
        try:
            request = next(steps)
            while True:
                request = steps.send(self.engine.list_pages(request))
        except StopIteration as stop:
            listed: Listing = stop.value
            return listed

    def install(self, *, replace: Collection[str] = ()) -> None:
        """Bring the rules to the engine, and make sure that they answer.

        Args:
            replace: Ids of foreign modules and data in their place on an OPA, which are removed; as
                `ForeignContentError.ids` has them.

        Raises:
            ForeignContentError: There are others; nothing was changed.
            OwnedByBundleError: A bundle owns the place on the OPA; nothing was changed.
            EngineError: They could not be installed, or do not answer as they must.
            UsageError: Something is to be replaced where there is no OPA.
        """
        if not replace:
            self.engine.install()
        elif isinstance(self.engine, OpaEngine):
            self.engine.install(replace=replace)
        else:
            raise UsageError(f"the {self.engine.name} engine has nothing to replace: that is for an OPA server")

    def close(self) -> None:
        """Let go of the engine's connections and memory."""
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _known(self, type_: str) -> str:
        if type_ not in self.engine.rule_set.policy.types:
            raise UsageError(f"`{shown(type_)}` is not one of the resource types")
        return type_

    def _subject(self, token_or_claims: object) -> Bearer:
        if not isinstance(token_or_claims, str):
            return Bearer.of_claims(token_or_claims)
        return Bearer.of_token(token_or_claims, required_verifier(self.verifier), self._raw)
