"""PolicyBridge: it takes tokens and resources, and returns decisions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import TracebackType
from typing import Any, Literal, Self

from bridge.arguments import require_engine, require_verifier
from bridge.bearer import Bearer, RawTokens, required_verifier, type_text
from bridge.checks import OnError, check_many, denies_on_error, fresh_decision, revision_number
from bridge.decision import Decision
from bridge.engines import Engine, OpaEngine, WasmEngine
from bridge.errors import EngineError, PushRejectedError, UsageError
from bridge.escapes import shown
from bridge.explanation import Explanation, explain
from bridge.listing import LIMIT, Listing, list_allowed
from bridge.policy import PolicySettings
from bridge.process_bound import ProcessBound
from bridge.rendering import RuleSet
from bridge.steps import drive
from bridge.store import ChangeReport, LoadResult, PushReport, SyncReport, collected_from, from_objects, push, sync
from bridge.strict_json import Value, encode
from bridge.tokens import TokenVerifier


class PolicyBridge(ProcessBound):
    """Asks an engine what a token's policy claim lets its bearer access.

    Threads may share it. It fails closed: an error of the engine raises, or denies if `on_error` says so.

    Args:
        engine: The engine that decides; by default the Wasm build of the rules, in this process.
        verifier: The verifier of tokens; without one, `check` takes verified claims only.
        require_policy: Whether claims without a policy are denied (R3); by default they are not. Switch it on if every
            token must have a policy. Only without `engine`: the rule set of an engine has this setting already.
        versions: The valid versions of the policy claim (R8.3), such as `{2, 3}`; by default 2 only. Only without
            `engine`, like `require_policy`.
        on_error: With `raise`, errors of the engine raise an `EngineError`; with `deny`, they return a denial with the
            reason `engine_unavailable`. Invalid tokens, malformed claims and wrong calls always raise.

    Raises:
        UsageError: `engine` is no engine, `verifier` is no verifier, `on_error` is neither word, or `engine` comes
            together with `require_policy` or `versions`.
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
        denies = denies_on_error(on_error)
        if engine is not None:
            require_engine(engine)
        require_verifier(verifier)
        settings: dict[str, Any] = {
            name: value
            for name, value in (("require_policy", require_policy), ("versions", versions))
            if value is not None
        }
        if engine is not None and settings:
            raise UsageError(
                f"{' and '.join(settings)} cannot stand beside `engine`, which decides by its own rule set: set it "
                f"there, as in OpaEngine(url, RuleSet(policy=PolicySettings({next(iter(settings))}=...)))"
            )
        self.engine: Engine = WasmEngine(RuleSet(policy=PolicySettings(**settings))) if engine is None else engine
        self.verifier = verifier
        self._on_error = OnError(self.engine.name, denies)
        self._raw = RawTokens.of(self.engine.rule_set, self.engine)

    def verify(self, token: str) -> dict[str, Value]:
        """Verify the token and return its claims (SEMANTICS, "Tokens").

        Raises:
            InvalidTokenError: The token is not valid; the class and `code` tell the cause.
            KeysUnavailableError: The keys to verify it are unavailable.
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
        """Decide whether the bearer may access a resource.

        Args:
            token_or_claims: A token, which is verified; or claims that are verified already.
            type_: The resource type, such as `devices`.
            resource_or_id: A string is the id of a pushed resource; every other value is the resource itself.
            at_least: A revision from `push` or another change: refuse to decide by id on older resources.

        Raises:
            InvalidTokenError: The token is not valid.
            KeysUnavailableError: The keys to verify it are unavailable.
            MalformedInputError: The claims or the resource break R12.1-R12.7.
            ResourcesMissingError: The check is by id, and there are no pushed resources; with `on_error="raise"`.
            StaleResourcesError: The pushed resources are older than `at_least`; with `on_error="raise"`.
            EngineError: The engine could not decide; with `on_error="raise"`.
            UsageError: There is a token and no verifier, or `at_least` is no revision.
        """
        bearer = Bearer.of(token_or_claims, self.verifier, self._raw)
        request = bearer.request(type_text(type_), resource_or_id)
        oldest = revision_number(at_least)
        try:
            return fresh_decision(request, self.engine.decide([request]), oldest)
        except EngineError as error:
            return self._on_error.denial(error)

    def check_many(
        self,
        token_or_claims: str | Mapping[str, object],
        type_: str,
        resources_or_ids: Iterable[object],
        *,
        at_least: str | None = None,
    ) -> list[Decision]:
        """Return the decision for each resource or id, in the same order; arguments and errors as for `check`.

        A resource or id that breaks R12 is denied with the reason `malformed_input`; it does not affect the others. A
        large number is sent in several batches. If one of them fails, the call raises; with `on_error="deny"`, it
        denies the resources of that batch.

        Raises:
            PartialResultError: The engine could not decide on all; with `on_error="raise"`. It has the other decisions.
        """
        bearer = Bearer.of(token_or_claims, self.verifier, self._raw)
        steps = check_many(
            bearer, type_, resources_or_ids, at_least, self._on_error, batch_bytes=self.engine.batch_bytes
        )
        return drive(steps, self.engine.decide)

    def explain(self, token_or_claims: str | Mapping[str, object], type_: str, resource_or_id: object) -> Explanation:
        """Return the decision, and the expected and the actual value of each constraint that failed.

        Arguments and errors as for `check`.
        """
        bearer = Bearer.of(token_or_claims, self.verifier, self._raw)
        claim = self.engine.rule_set.policy.claim
        return drive(explain(bearer, type_, resource_or_id, claim, self._on_error), self.engine.explain)

    def push(
        self,
        type_: str,
        resources: Iterable[object] | LoadResult,
        *,
        omit: Iterable[str] = (),
        skip_invalid: bool = False,
        force: bool = False,
    ) -> PushReport:
        """Replace all stored resources of a type; other types do not change.

        Args:
            type_: The resource type.
            resources: Resources as Python objects (R12.7), or the result of `bridge.store.from_file`.
            omit: Members that are not stored, such as secrets that no policy looks at, by top-level name or JSON
                Pointer (RFC 6901); they are checked like the others. `id` and `custom_data` cannot be omitted. A result
                of `from_file` must have been read with the same `omit`.
            skip_invalid: Push the other resources if some are rejected; the report names the rejected ones, and the
                stored ones that this removes. If more than half are rejected, pass `force` as well.
            force: Push also if that removes more than half of the stored resources, or if there is nothing to push.

        Raises:
            PushRejectedError: Nothing was pushed: resources are rejected (`rejected` has all of them), or the push
                needs `force`.
            ConfigurationError: `omit` cannot be used.
            MultipleStoresError: Several OPAs respond at the engine's address; nothing has changed.
            EngineError: The engine's store could not be read or written.
            UsageError: The type is unknown.
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
        """Make the stored resources of a type equal to these, and send only the difference.

        A small difference takes one revision or several, each of them consistent; a large one takes a single new one.
        Arguments and errors are those of `push`, and also:

        Raises:
            PushConflictError: Another program changes the resources too. The steps before are done, the rest is not.
        """
        collected = collected_from(resources, omit)
        return sync(self.engine.store, self._known(type_), collected, skip_invalid=skip_invalid, force=force)

    def upsert(self, type_: str, resources: Iterable[object], *, omit: Iterable[str] = ()) -> ChangeReport:
        """Store some resources, in place of those with the same ids: all of them, or none.

        Args:
            type_: The resource type.
            resources: Resources as Python objects (R12.7).
            omit: Members that are not stored, as for `push`.

        Raises:
            PushRejectedError: A resource is malformed, an id comes twice, or they are too many for one change; nothing
                has changed.
            ResourcesMissingError: There are no pushed resources: none were pushed, or the engine lost them.
            MultipleStoresError: Several OPAs respond at the engine's address; nothing has changed.
            EngineError: The engine's store could not be read or written.
            UsageError: The type is unknown.
        """
        collected = from_objects(resources, omit=omit)
        if collected.rejected:
            raise PushRejectedError(
                f"nothing was changed: {collected.rejected[0]}"
                + (f", and {len(collected.rejected) - 1} more are rejected" if len(collected.rejected) > 1 else ""),
                collected.rejected,
            )
        return self.engine.store.change(self._known(type_), collected.resources, [])

    def delete(self, type_: str, ids: Iterable[str]) -> ChangeReport:
        """Remove some resources: all of them, or none.

        Args:
            type_: The resource type.
            ids: Their ids; the report counts unknown ids, which are no error.

        Raises:
            PushRejectedError: They are too many for one change.
            ResourcesMissingError: There are no pushed resources: none were pushed, or the engine lost them.
            MultipleStoresError: Several OPAs respond at the engine's address; nothing has changed.
            EngineError: The engine's store could not be read or written.
            UsageError: The type is unknown, or an id is no string.
        """
        if isinstance(ids, (str, bytes)):
            raise UsageError("`delete` takes several ids: pass a list, such as [id]")
        texts = []
        for id_ in ids:
            if type(id_) is not str:
                raise UsageError("an id must be a string: pass the `id` of the resource")
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
        """Return the ids of the pushed resources that `check` allows, no more and no fewer.

        Args:
            token_or_claims: As for `check`.
            type_: The resource type.
            limit: The most ids.
            after: The `cursor` of an earlier list, to go on after it. The type, the rules and the policy claim must be
                the same; the token may be a renewed one. A cursor grants nothing, so it may come back from a client:
                the claims of this call decide what is allowed.
            at_least: A revision from `push` or another change: refuse to list older resources.

        Raises:
            CursorExpiredError: The resources have changed since that list.
            ResourcesMissingError: There are no pushed resources.
            StaleResourcesError: They are older than `at_least`.
            InvalidTokenError: The token is not valid.
            KeysUnavailableError: The keys to verify it are unavailable.
            MalformedInputError: The claims break R12.1-R12.7.
            EngineError: The engine could not list them; also with `on_error="deny"`.
            UsageError: The limit or the revision makes no sense, or the cursor is of another list, or of none.
        """
        bearer = Bearer.of(token_or_claims, self.verifier, self._raw)
        steps = list_allowed(bearer, type_, self.engine.rule_set, limit=limit, after=after, at_least=at_least)
        return drive(steps, self.engine.list_pages)

    def install(self, *, replace: Collection[str] = ()) -> None:
        """Install the rules in the engine, and make sure that they respond.

        Args:
            replace: Ids of foreign modules and data in their place on an OPA, which are removed: some of
                `ForeignContentError.ids`.

        Raises:
            ForeignContentError: There are others; nothing was changed.
            OwnedByBundleError: A bundle owns the place on the OPA; nothing was changed.
            EngineError: The rules could not be installed, or do not respond correctly.
            UsageError: There is something to replace, and the engine is no OPA server.
        """
        if not replace:
            self.engine.install()
        elif isinstance(self.engine, OpaEngine):
            self.engine.install(replace=replace)
        else:
            raise UsageError(
                f"the {self.engine.name} engine has nothing to replace: omit `replace`, or use an OpaEngine"
            )

    def close(self) -> None:
        """Close the engine: release its connections and memory."""
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _known(self, type_: str) -> str:
        types = self.engine.rule_set.policy.types
        if type_ not in types:
            raise UsageError(f"`{shown(type_)}` is not one of the resource types: {', '.join(map(shown, types))}")
        return type_
