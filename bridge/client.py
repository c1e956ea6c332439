"""PolicyBridge: verified tokens and resources in, decisions out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from bridge.asking import Several, Subject, checked_on_error, denial, needed, type_text
from bridge.engines import WasmEngine
from bridge.errors import EngineFault, Misuse
from bridge.explaining import Explanation, explanation
from bridge.resources import Collected, from_objects, push
from bridge.strict_json import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from bridge.decision import Decision
    from bridge.engines import Engine
    from bridge.resources import PushReport
    from bridge.strict_json import Value
    from bridge.tokens import TokenVerifier


class PolicyBridge:
    """Asks an engine what a token's policy claim lets its bearer access.

    Safe to share between threads. Fails closed: a fault raises, or, on demand, denies.

    Args:
        engine: What decides; by default the Wasm build of the default rules, in this process.
        verifier: What verifies tokens; without one, `check` takes verified claims only.
        on_error: `raise` lets faults of the engine through as `EngineFault`; `deny` gives a denied decision with the
            reason `engine_unavailable` for them. Invalid tokens, malformed claims and misuse always raise.
    """

    def __init__(
        self,
        engine: Engine | None = None,
        *,
        verifier: TokenVerifier | None = None,
        on_error: Literal["raise", "deny"] = "raise",
    ) -> None:
        self._denies = checked_on_error(on_error)
        self.engine: Engine = WasmEngine() if engine is None else engine
        self.verifier = verifier

    def verify(self, token: str) -> dict[str, Value]:
        """The claims of a token that is valid (SEMANTICS, "Tokens").

        Raises:
            InvalidToken: It is not; the class and `code` tell the cause.
            KeysUnavailable: The keys to verify it with cannot be had.
            Misuse: There is no verifier.
        """
        return needed(self.verifier).verify(token)

    def check(self, token_or_claims: str | dict[str, object], type_: str, resource_or_id: object) -> Decision:
        """Whether the bearer may access a resource.

        Args:
            token_or_claims: A token, which is verified, or claims that have been verified already.
            type_: The resource type, such as `devices`.
            resource_or_id: A string is the id of a pushed resource; everything else is taken as the resource itself.

        Raises:
            InvalidToken: The token is not valid.
            KeysUnavailable: The keys to verify it with cannot be had.
            MalformedInput: The claims or the resource break R12.1-R12.7.
            EngineFault: The engine could not decide, with `on_error="raise"`.
            Misuse: A token was given, but there is no verifier.
        """
        request = self._subject(token_or_claims).request(type_text(type_), resource_or_id)
        try:
            return self.engine.decide([request])[0]
        except EngineFault as fault:
            if not self._denies:
                raise
            return denial(self.engine.name, fault)

    def check_many(
        self, token_or_claims: str | dict[str, object], type_: str, resources_or_ids: Iterable[object]
    ) -> list[Decision]:
        """The decision for each resource or id, in the same order; arguments and errors as for `check`.

        A resource or id that breaks R12 is denied with the reason `malformed_input` and spoils no other. Large numbers
        are asked in several queries. Where one of them fails, nothing is guessed: the call raises, or, with
        `on_error="deny"`, each query that failed denies for its part.

        Raises:
            PartialAnswer: The engine could not decide, with `on_error="raise"`, after some were decided; it has those.
        """
        subject = self._subject(token_or_claims)
        several = Several(subject, type_, resources_or_ids, engine=self.engine.name, denies=self._denies)
        for places, requests in several.parts(self.engine.batch_bytes):
            try:
                several.answered(places, self.engine.decide(requests))
            except EngineFault as fault:
                several.failed(places, fault)
        return several.decisions()

    def explain(self, token_or_claims: str | dict[str, object], type_: str, resource_or_id: object) -> Explanation:
        """The decision for a resource, and for each constraint that failed what was wanted and what was found.

        Arguments and errors as for `check`.
        """
        subject = self._subject(token_or_claims)
        request = subject.request(type_text(type_), resource_or_id)
        try:
            decision, stored = self.engine.explain(request)
            description = (self.engine.rule_set.policy.claim, type_)
            return explanation(decision, claims=subject.claims, description=description, request=request, stored=stored)
        except EngineFault as fault:
            if not self._denies:
                raise
            return Explanation(denial(self.engine.name, fault), (), ABSENT)

    def push(
        self, type_: str, resources: Iterable[object] | Collected, *, strict: bool = False, force: bool = False
    ) -> PushReport:
        """Store resources in place of all that are stored of their type; other types are left alone.

        Args:
            type_: The resource type.
            resources: Resources as Python objects (R12.7), or what `resources.from_lines` read from JSON Lines. Those
                that are refused are left out, and reported.
            strict: Push nothing at all where any is refused.
            force: Push even if more than half of what is there would be removed.

        Raises:
            PushRefused: Nothing was pushed, because of what `strict` or `force` speak of.
            EngineFault: The engine's store could not be read or written.
            Misuse: The type is not one of the known ones.
        """
        if type_ not in self.engine.rule_set.policy.types:
            raise Misuse(f"`{type_}` is not one of the resource types")
        collected = resources if isinstance(resources, Collected) else from_objects(resources)
        return push(self.engine.store, type_, collected, strict=strict, force=force)

    def install(self) -> None:
        """Bring the rules to the engine, and make sure that they answer.

        Raises:
            EngineFault: They could not be installed, or do not answer as they must.
        """
        self.engine.install()

    def close(self) -> None:
        """Let go of the engine's connections and memory."""
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _subject(self, token_or_claims: object) -> Subject:
        if not isinstance(token_or_claims, str):
            return Subject.of_claims(token_or_claims)
        sends_raw = self.engine.rule_set.token is not None
        return Subject.of_token(token_or_claims, needed(self.verifier), sends_raw=sends_raw)
