"""The values that go to an engine and come back: Request, Decision and its details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Final, NamedTuple, NoReturn

from bridge.errors import EngineError


class Reason(StrEnum):
    """Why a decision allows or denies (SEMANTICS, "Order of the questions")."""

    UNKNOWN_TYPE = "unknown_type"
    INVALID_RESOURCE = "invalid_resource"
    UNKNOWN_RESOURCE = "unknown_resource"
    UNRESTRICTED = "unrestricted"
    POLICY_REQUIRED = "policy_required"
    INVALID_POLICY = "invalid_policy"
    TYPE_NOT_GRANTED = "type_not_granted"
    CONSTRAINT_FAILED = "constraint_failed"
    MATCHED = "matched"
    MALFORMED_INPUT = "malformed_input"
    INVALID_TOKEN = "invalid_token"  # noqa: S105 - a reason, not a password
    ENGINE_UNAVAILABLE = "engine_unavailable"

    __hash__ = str.__hash__  # that of the text it is equal to; an Enum's own is that of the name


ALLOWING: Final = frozenset({Reason.UNRESTRICTED, Reason.MATCHED})
"""The reasons that allow; every other one denies."""


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """One demand of R8 that a policy claim breaks.

    Attributes:
        pointer: JSON Pointer (RFC 6901) into the policy claim.
        code: The violation code of R8's table.
    """

    pointer: str
    code: str


@dataclass(frozen=True, slots=True, order=True)
class Failure:
    """One constraint that a resource does not meet (R6).

    Attributes:
        pointer: JSON Pointer (RFC 6901) into the resource: `/id` or `/custom_data/NAME`.
        code: `missing` or `different`.
    """

    pointer: str
    code: str


class _Nothing(dict[str, str]):
    """A mapping that stays empty, so decisions can share it."""

    def _refuse(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise TypeError("a decision cannot be changed")

    def __reduce__(self) -> str:
        return "NO_BUNDLES"  # a copy of a decision shares it as well

    __setitem__ = __ior__ = setdefault = update = _refuse


NO_BUNDLES: Final[Mapping[str, str]] = _Nothing()
"""The `bundles` of a decision without bundles."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The result of one request. It is true in a condition exactly if it allows.

    Attributes:
        allow: Whether the access is allowed.
        reason: Why (R1-R7).
        violations: What is wrong with the policy claim, sorted by (pointer, code); only with `invalid_policy`.
        failures: The constraints that failed, sorted by (pointer, code); only with `constraint_failed`.
        engine: The name of the engine that decided, or could not decide; empty if no engine took part.
        decision_id: The id of the decision in OPA's decision log, if OPA logs.
        revision: The revision of the pushed resources, for a request by id.
        bundles: The revisions of OPA's bundles, by name.
        error: The text of the error behind `engine_unavailable`; or the cause of `malformed_input` in `check_many`.
    """

    allow: bool
    reason: Reason
    violations: tuple[Violation, ...] = ()
    failures: tuple[Failure, ...] = ()
    engine: str = field(default="", kw_only=True)
    decision_id: str | None = field(default=None, kw_only=True)
    revision: str | None = field(default=None, kw_only=True)
    bundles: Mapping[str, str] = field(default_factory=lambda: NO_BUNDLES, kw_only=True, hash=False)
    error: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        # No code can make a decision that contradicts itself.
        if self.allow is not (self.reason in ALLOWING):
            raise ValueError(f"allow {self.allow!r} does not go with the reason `{self.reason}`")
        if bool(self.violations) is not (self.reason is Reason.INVALID_POLICY):
            raise ValueError(f"{len(self.violations)} violations do not go with the reason `{self.reason}`")
        if bool(self.failures) is not (self.reason is Reason.CONSTRAINT_FAILED):
            raise ValueError(f"{len(self.failures)} failures do not go with the reason `{self.reason}`")

    def __bool__(self) -> bool:
        return self.allow

    def as_dict(self) -> dict[str, object]:
        """Return what all engines agree on: `allow`, `reason`, and `violations` or `failures` if there are any."""
        members: dict[str, object] = {"allow": self.allow, "reason": str(self.reason)}
        for name, details in (("violations", self.violations), ("failures", self.failures)):
            if details:
                members[name] = [{"pointer": detail.pointer, "code": detail.code} for detail in details]
        return members


class Request(NamedTuple):
    """One request in canonical text, as it goes to any engine; None is an absent member.

    It is a named tuple, because each check makes one, and a frozen dataclass takes three times as long.

    Attributes:
        claims: The claims, or the value in their place.
        type: The resource type, or the value in its place.
        resource: The resource, or the value in its place.
        id: The id of a stored resource, or the value in its place; it counts only without `resource`.
        token: The raw token in place of claims, for a rule set that verifies tokens itself.
    """

    claims: bytes | None
    type: bytes | None
    resource: bytes | None = None
    id: bytes | None = None
    token: bytes | None = None

    @property
    def is_by_id(self) -> bool:
        """Return whether it is about a stored resource (R2)."""
        return self.resource is None and self.id is not None

    @property
    def size(self) -> int:
        """Return how many bytes its texts have."""
        return sum(len(text) for text in self if text)

    @property
    def text(self) -> bytes:
        """Return the input for the rules that makes this one request."""
        members = (
            (b'"claims":', self.claims),
            (b'"type":', self.type),
            (b'"resource":', self.resource),
            (b'"id":', self.id),
            (b'"token":', self.token),
        )
        return b"{" + b",".join(name + text for name, text in members if text is not None) + b"}"


class PartialResultError(EngineError):
    """The engine decided on some of several requests only; nothing is known about the others.

    Attributes:
        fault: The first error of the engine.
        decisions: In the order of the requests: the decision, or None if there is none.
    """

    code: ClassVar[str] = "partial_result"

    def __init__(self, fault: EngineError, decisions: Sequence[Decision | None]) -> None:
        known = sum(decision is not None for decision in decisions)
        super().__init__(f"only {known:,} of {len(decisions):,} were decided: {fault}")
        self.fault = fault
        self.decisions: list[Decision | None] = list(decisions)

    def __reduce__(self) -> tuple[object, ...]:
        return (PartialResultError, (self.fault, self.decisions), vars(self))
