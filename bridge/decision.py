"""What is asked and what is answered: Request, Decision and its details."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping


class Reason(StrEnum):
    """Why a decision is what it is (SEMANTICS, "Order of the questions")."""

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
"""The reasons that go with an allow; every other one denies."""


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
    """A mapping that stays empty, so that decisions can share it."""

    def _refuse(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise TypeError("a decision cannot be changed")

    def __reduce__(self) -> str:
        return "NO_BUNDLES"  # whoever is unpickled or copied shares it as well

    __setitem__ = __ior__ = setdefault = update = _refuse


NO_BUNDLES: Final[Mapping[str, str]] = _Nothing()
"""The `bundles` of a decision that no bundle took part in."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one request. True in a condition exactly when it allows.

    Attributes:
        allow: Whether the access is allowed.
        reason: Why (R1-R7).
        violations: What is wrong with the policy claim, sorted by (pointer, code); only with `invalid_policy`.
        failures: The constraints that failed, sorted by (pointer, code); only with `constraint_failed`.
        engine: The name of the engine that decided, or could not; empty where none was asked.
        decision_id: OPA's id of the decision in its decision log, if it logs.
        revision: The revision of the pushed resources that were asked, for a request by id.
        bundles: Revisions of OPA's bundles by name.
        error: The text of the fault behind `engine_unavailable`; what is wrong, with `malformed_input` of `check_many`.
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
        # A decision that contradicts itself must not come into being, wherever it was made.
        if self.allow is not (self.reason in ALLOWING):
            raise ValueError(f"allow {self.allow!r} does not go with the reason `{self.reason}`")
        if bool(self.violations) is not (self.reason is Reason.INVALID_POLICY):
            raise ValueError(f"{len(self.violations)} violations do not go with the reason `{self.reason}`")
        if bool(self.failures) is not (self.reason is Reason.CONSTRAINT_FAILED):
            raise ValueError(f"{len(self.failures)} failures do not go with the reason `{self.reason}`")

    def __bool__(self) -> bool:
        return self.allow

    def as_dict(self) -> dict[str, object]:
        """What all engines agree on: `allow`, `reason`, and `violations` or `failures` where there are any."""
        answer: dict[str, object] = {"allow": self.allow, "reason": str(self.reason)}
        for name, details in (("violations", self.violations), ("failures", self.failures)):
            if details:
                answer[name] = [{"pointer": detail.pointer, "code": detail.code} for detail in details]
        return answer


class Request(NamedTuple):
    """One question in canonical text, as it goes to any engine; None stands for an absent member.

    A named tuple, for each check makes one: a frozen dataclass takes three times as long to make.

    Attributes:
        claims: The claims, or whatever was given as such.
        type: The resource type, or whatever was given as such.
        resource: The resource, or whatever was given as such.
        id: The id of a stored resource, or whatever was given as such; only looked at without `resource`.
        token: The raw token in place of claims, for a rule set that verifies tokens itself.
    """

    claims: bytes | None
    type: bytes | None
    resource: bytes | None = None
    id: bytes | None = None
    token: bytes | None = None

    @property
    def is_by_id(self) -> bool:
        """Whether it is about a stored resource (R2)."""
        return self.resource is None and self.id is not None

    @property
    def size(self) -> int:
        """The bytes of its texts."""
        return sum(len(text) for text in self if text)

    @property
    def text(self) -> bytes:
        """The input that asks this one question."""
        members = (
            (b'"claims":', self.claims),
            (b'"type":', self.type),
            (b'"resource":', self.resource),
            (b'"id":', self.id),
            (b'"token":', self.token),
        )
        return b"{" + b",".join(name + text for name, text in members if text is not None) + b"}"
