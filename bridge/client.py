"""PolicyBridge: verified tokens and resources in, decisions out."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Self

from bridge.decision import Decision, Reason, Request
from bridge.engines import WasmEngine
from bridge.errors import BadAnswer, EngineFault, MalformedInput, Misuse
from bridge.resources import Collected, from_objects, push
from bridge.strict_json import (
    ABSENT,
    CLAIMS_BYTES,
    RESOURCE_BYTES,
    Absent,
    encode,
    encode_repeated,
    parse,
    pointer,
    resolve,
)
from bridge.tokens import may_be_sent_raw

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from bridge.decision import Failure
    from bridge.engines import Engine
    from bridge.resources import PushReport
    from bridge.strict_json import Value
    from bridge.tokens import TokenVerifier

_BATCH_ITEMS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Demand:
    """A constraint that failed.

    Attributes:
        failure: Which one, and how.
        wanted: The value that the policy demands.
        found: The value that the resource has; ABSENT where it has none.
    """

    failure: Failure
    wanted: Value
    found: Value | Absent


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision and what it was made of.

    Attributes:
        decision: The decision, as `check` gives it.
        demands: The constraints that failed, in the order of `decision.failures`.
        resource: The resource that was looked at; ABSENT where there is none.
    """

    decision: Decision
    demands: tuple[Demand, ...]
    resource: Value | Absent


class PolicyBridge:
    """Asks an engine what a token's policy claim lets its bearer access.

    Safe to share between threads. Fails closed: a fault raises, or, on demand, denies.

    Args:
        engine: What decides; by default the Wasm build of the default rules, in this process.
        verifier: What verifies tokens; without one, `check` takes verified claims only.
        on_error: `raise` lets faults of the engine through as `EngineFault`; `deny` gives a denied decision with the
            reason `engine_unavailable` for them. Invalid tokens, malformed input and misuse always raise.
    """

    def __init__(
        self,
        engine: Engine | None = None,
        *,
        verifier: TokenVerifier | None = None,
        on_error: Literal["raise", "deny"] = "raise",
    ) -> None:
        if on_error not in ("raise", "deny"):
            raise Misuse('on_error must be "raise" or "deny"')
        self.engine: Engine = WasmEngine() if engine is None else engine
        self.verifier = verifier
        self._denies = on_error == "deny"

    def verify(self, token: str) -> dict[str, Value]:
        """The claims of a token that is valid (SEMANTICS, "Tokens").

        Raises:
            InvalidToken: It is not; the class and `code` tell the cause.
            KeysUnavailable: The keys to verify it with cannot be had.
            Misuse: There is no verifier.
        """
        if self.verifier is None:
            raise Misuse("a token was given, but the bridge has no verifier: PolicyBridge(verifier=TokenVerifier(...))")
        return self.verifier.verify(token)

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
        return self._decided(self._subject(token_or_claims).requests(type_, [resource_or_id]))[0]

    def check_many(
        self, token_or_claims: str | dict[str, object], type_: str, resources_or_ids: Iterable[object]
    ) -> list[Decision]:
        """The decision for each resource or id, in the same order; arguments and errors as for `check`.

        Large numbers are asked in several queries; either all of them are answered, or the call raises, or, with
        `on_error="deny"`, each query that failed denies for its part.
        """
        if isinstance(resources_or_ids, (str, bytes, dict)) or not isinstance(resources_or_ids, Iterable):
            raise Misuse("check_many takes several resources or ids; `check` takes one")
        requests = self._subject(token_or_claims).requests(type_, resources_or_ids)
        decisions: list[Decision] = []
        for batch in batches(requests, self.engine.batch_bytes):
            decisions += self._decided(batch)
        return decisions

    def explain(self, token_or_claims: str | dict[str, object], type_: str, resource_or_id: object) -> Explanation:
        """The decision for a resource, and for each constraint that failed what was wanted and what was found.

        Arguments and errors as for `check`.
        """
        subject = self._subject(token_or_claims)
        request = subject.requests(type_, [resource_or_id])[0]
        try:
            decision, stored = self.engine.explain(request)
            text = request.resource if request.resource is not None else stored
            resource = ABSENT if text is None else parse(text)
            return Explanation(decision, self._demands(subject.claims, type_, decision, resource), resource)
        except EngineFault as fault:
            if not self._denies:
                raise
            return Explanation(self._denial(fault), (), ABSENT)

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

    def _subject(self, token_or_claims: object) -> _Subject:
        if not isinstance(token_or_claims, str):
            return _Subject(encode_repeated(token_or_claims, max_bytes=CLAIMS_BYTES, what="claims"))
        claims = encode_repeated(self.verify(token_or_claims), max_bytes=CLAIMS_BYTES, what="claims")
        if self.engine.rule_set.token is not None and may_be_sent_raw(token_or_claims):
            return _Subject(claims, encode(token_or_claims, what="token"))
        return _Subject(claims)

    def _decided(self, requests: Sequence[Request]) -> list[Decision]:
        try:
            return self.engine.decide(requests)
        except EngineFault as fault:
            if not self._denies:
                raise
            return [self._denial(fault)] * len(requests)

    def _denial(self, fault: EngineFault) -> Decision:
        return Decision(allow=False, reason=Reason.ENGINE_UNAVAILABLE, engine=self.engine.name, error=str(fault))

    def _demands(self, claims: bytes, type_: str, decision: Decision, resource: Value | Absent) -> tuple[Demand, ...]:
        """What each failed constraint wanted and found: its pointer names both, in the description and the resource."""
        if not decision.failures or resource is ABSENT:
            return ()
        description = resolve(parse(claims), pointer(self.engine.rule_set.policy.claim, type_))
        return tuple(
            Demand(failure, _present(description, failure.pointer), resolve(resource, failure.pointer))
            for failure in decision.failures
        )


@dataclass(frozen=True, slots=True)
class _Subject:
    """Whose access is asked about, in canonical text: claims, and the token where it may speak for itself."""

    claims: bytes
    token: bytes | None = None

    def requests(self, type_: object, resources_or_ids: Iterable[object]) -> list[Request]:
        """A request for each resource or id."""
        claims = None if self.token is not None else self.claims
        # R12.6 bounds the claims and a resource, but no type and no id: a huge one is merely unknown.
        type_text = encode(type_, max_bytes=sys.maxsize, what="type")
        values = list(resources_or_ids)
        requests = []
        for index, value in enumerate(values):
            by_id = isinstance(value, str)
            try:
                text = encode(value, max_bytes=sys.maxsize if by_id else RESOURCE_BYTES)
            except MalformedInput as error:
                what = "id" if by_id else "resource"
                raise error.named(f"{what} {index}" if len(values) > 1 else what) from None
            requests.append(Request(claims, type_text, None if by_id else text, text if by_id else None, self.token))
        return requests


def _present(description: Value | Absent, pointer_: str) -> Value:
    wanted = ABSENT if description is ABSENT else resolve(description, pointer_)
    if wanted is ABSENT:
        raise BadAnswer(f"the engine says that `{pointer_}` failed, which the policy does not demand")
    return wanted


def batches(requests: Sequence[Request], most_bytes: int) -> Iterator[Sequence[Request]]:
    """The requests in runs of at most 1,000 and of at most so many bytes, but of one request at least."""
    start = size = 0
    for end, request in enumerate(requests):
        size += request.size
        if end > start and (size > most_bytes or end - start == _BATCH_ITEMS):
            yield requests[start:end]
            start, size = end, request.size
    if start < len(requests):
        yield requests[start:]
