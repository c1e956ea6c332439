"""Every error that the bridge raises.

A denial is a value (`bridge.Decision`); an error is raised when there is no decision to give::

    BridgeError
    ├── MalformedInput        a text or a value breaks R12; says where and why
    ├── InvalidToken          a token that must not be believed; `code` tells the cause
    │   ├── MalformedToken        no JWS, header or payload break R12, or a checked claim is of the wrong type
    │   ├── AlgorithmRefused      the algorithm is not configured, or not one for the key
    │   ├── InvalidSignature      the signature is not right for the key
    │   ├── UnknownKey            no key, or more than one, of that `kid`; or no `kid`
    │   ├── TokenExpired          now >= `exp` + leeway
    │   ├── TokenNotYetValid      now < `nbf` or `iat` - leeway
    │   ├── AudienceRefused       `aud` is for somebody else
    │   ├── IssuerRefused         `iss` is somebody else
    │   └── MissingClaim          a required claim is absent
    ├── KeysUnavailable       the verification keys cannot be had
    ├── EngineFault           the engine cannot decide; `on_error="deny"` denies for these, and only these
    │   ├── EngineUnreachable     no connection, or it broke
    │   ├── DeadlineExceeded      no answer within the call's total deadline
    │   ├── BadAnswer             an answer that is not what the protocol promises, or not to this question
    │   ├── OpaRefused            OPA answered with an error status
    │   ├── RulesNotInstalled     the rule set is not there (OPA answered without `result`)
    │   ├── RulesDiffer           the engine's rules carry another fingerprint
    │   ├── EngineTooOld          an OPA that compares numbers wrongly
    │   ├── ResourcesLost         the engine has no pushed resources, never or no more
    │   ├── ResourcesStale        the engine's resources are older than the revision that was asked for
    │   ├── SeveralStores         several OPAs with other data answer at one address
    │   ├── LayoutDiffers         a newer bridge has written the pushed resources
    │   ├── ForeignContent        others' modules or data lie where the rules' or the resources' place is
    │   ├── OwnedByBundle         a bundle owns the place of the rules or of the resources
    │   ├── PushOvertaken         another push took this one's place; nothing of this one is there
    │   └── PartialAnswer         a fault left some of many undecided; has the decisions on the others
    ├── Misuse                a call that makes no sense, whatever the data
    │   └── InvalidSetting        a setting that cannot be used
    ├── PushRefused           resources that must not be pushed as they are
    ├── ListChanged           a list cannot go on, for the resources have changed since
    └── OpaMissing            no usable `opa` executable
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bridge.escapes import escaped, shown

if TYPE_CHECKING:
    from bridge.decision import Decision


class BridgeError(Exception):
    """The base of all errors here.

    Attributes:
        code: A stable word for the kind of error, for programs to branch on.
    """

    code: ClassVar[str] = "error"

    def __str__(self) -> str:
        """The text on one line, without a character that is not printable: services write it to their logs."""
        return escaped(super().__str__())


class MalformedInput(BridgeError):
    """A text or a value that is not well-formed (R12).

    Attributes:
        cause: What is wrong, in words.
        rule: The rule that is broken, such as `R12.2`.
        what: What was read: `claims`, `resource`, `token header`, ...; empty where the caller knows.
        line: 1-based line in the text, or None where there was no text.
        column: 1-based column, in code points, or None.
        pointer: JSON Pointer (RFC 6901) into the value, or None where line and column tell the place.
    """

    code: ClassVar[str] = "malformed_input"

    def __init__(
        self,
        cause: str,
        *,
        rule: str,
        what: str = "",
        line: int | None = None,
        column: int | None = None,
        pointer: str | None = None,
    ) -> None:
        super().__init__(cause, rule, what, line, column, pointer)
        self.cause = cause
        self.rule = rule
        self.what = what
        self.line = line
        self.column = column
        self.pointer = pointer

    def __str__(self) -> str:
        parts = [self.what] if self.what else []
        if self.line is not None:
            parts.append(f"line {self.line}, column {self.column}")
        if self.pointer:
            parts.append(f"at `{shown(self.pointer)}`")
        return escaped(": ".join([*parts, f"{self.cause} ({self.rule})"]))

    def __reduce__(self) -> tuple[object, ...]:
        arguments = (self.cause, self.rule, self.what, self.line, self.column, self.pointer)
        return (_rebuild_malformed, arguments, vars(self))

    def named(self, what: str) -> MalformedInput:
        """The same error, saying that it is about `what`."""
        return MalformedInput(
            self.cause, rule=self.rule, what=what, line=self.line, column=self.column, pointer=self.pointer
        )


def _rebuild_malformed(
    cause: str, rule: str, what: str, line: int | None, column: int | None, pointer: str | None
) -> MalformedInput:
    return MalformedInput(cause, rule=rule, what=what, line=line, column=column, pointer=pointer)


class InvalidToken(BridgeError):
    """A token that must not be believed (SEMANTICS, "Tokens")."""

    code: ClassVar[str] = "invalid_token"


class MalformedToken(InvalidToken):
    """The text is no compact JWS, its header or payload break R12, or a claim that is checked is of the wrong type."""

    code: ClassVar[str] = "malformed"


class AlgorithmRefused(InvalidToken):
    """The token's algorithm is not one of the configured, or not one for the key."""

    code: ClassVar[str] = "algorithm"


class InvalidSignature(InvalidToken):
    """The signature is not right for the key."""

    code: ClassVar[str] = "signature"


class UnknownKey(InvalidToken):
    """The token's `kid` names no key, or more than one, or there is no `kid`."""

    code: ClassVar[str] = "unknown_key"


class TokenExpired(InvalidToken):
    """The token's time is over."""

    code: ClassVar[str] = "expired"


class TokenNotYetValid(InvalidToken):
    """The token's time has not come."""

    code: ClassVar[str] = "not_yet_valid"


class AudienceRefused(InvalidToken):
    """The token is for another audience."""

    code: ClassVar[str] = "audience"


class IssuerRefused(InvalidToken):
    """The token is from another issuer."""

    code: ClassVar[str] = "issuer"


class MissingClaim(InvalidToken):
    """A required claim is absent."""

    code: ClassVar[str] = "missing_claim"


class KeysUnavailable(BridgeError):
    """The verification keys cannot be had, so no token can be verified now."""

    code: ClassVar[str] = "keys_unavailable"


class EngineFault(BridgeError):
    """The engine cannot decide; nothing is known about the access asked for."""

    code: ClassVar[str] = "engine_fault"


class EngineUnreachable(EngineFault):
    """No connection to the engine, or it broke before the answer was whole."""

    code: ClassVar[str] = "unreachable"


class DeadlineExceeded(EngineFault):
    """No whole answer within the call's total deadline."""

    code: ClassVar[str] = "deadline"


class BadAnswer(EngineFault):
    """The engine answered something that its protocol does not promise, or the answer is to another question."""

    code: ClassVar[str] = "bad_answer"


class OpaRefused(EngineFault):
    """OPA answered with an error status.

    Attributes:
        status: The HTTP status.
        opa_code: OPA's own error code, such as `invalid_parameter`, or empty.
        opa_message: OPA's own message, or empty.
    """

    code: ClassVar[str] = "refused"

    def __init__(self, message: str, *, status: int, opa_code: str = "", opa_message: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.opa_code = opa_code
        self.opa_message = opa_message

    def __reduce__(self) -> tuple[object, ...]:
        # Its arguments go by keyword, which pickle cannot know.
        return (_rebuild_refused, (str(self), self.status, self.opa_code, self.opa_message), vars(self))


def _rebuild_refused(message: str, status: int, opa_code: str, opa_message: str) -> OpaRefused:
    return OpaRefused(message, status=status, opa_code=opa_code, opa_message=opa_message)


class RulesNotInstalled(EngineFault):
    """The engine does not have the rule set."""

    code: ClassVar[str] = "rules_not_installed"


class RulesDiffer(EngineFault):
    """The engine's rules were rendered from other settings, or by another release of the rules."""

    code: ClassVar[str] = "rules_differ"


class EngineTooOld(EngineFault):
    """An OPA older than the oldest that compares numbers as R11 demands."""

    code: ClassVar[str] = "too_old"


class ResourcesLost(EngineFault):
    """The engine has no pushed resources of the type: none was ever pushed, or it was restarted without them."""

    code: ClassVar[str] = "resources_lost"


class ResourcesStale(EngineFault):
    """The engine answered from resources that are older than the revision that the caller asked for."""

    code: ClassVar[str] = "resources_stale"


class SeveralStores(EngineFault):
    """Several OPAs answer at one address, each with resources of its own, so no answer can be relied on."""

    code: ClassVar[str] = "several_stores"


class LayoutDiffers(EngineFault):
    """The pushed resources were written by a newer bridge, in a layout that this one does not know."""

    code: ClassVar[str] = "layout_differs"


class ForeignContent(EngineFault):
    """Modules or data that no bridge wrote lie where those of a rule set belong; nothing was changed.

    Attributes:
        ids: What they are called: a module by its policy id, data by its reference, such as `data.jwt_policy_data.x`.
    """

    code: ClassVar[str] = "foreign_content"

    def __init__(self, message: str, ids: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.ids = ids

    def __reduce__(self) -> tuple[object, ...]:
        return (ForeignContent, (str(self), self.ids), vars(self))


class OwnedByBundle(EngineFault):
    """A bundle owns the place of the rules or of the resources, so nobody else may write there.

    Attributes:
        bundle: The bundle's name.
    """

    code: ClassVar[str] = "owned_by_bundle"

    def __init__(self, message: str, bundle: str = "") -> None:
        super().__init__(message)
        self.bundle = bundle

    def __reduce__(self) -> tuple[object, ...]:
        return (OwnedByBundle, (str(self), self.bundle), vars(self))


class PushOvertaken(EngineFault):
    """Another push took this one's place; nothing of this one is there."""

    code: ClassVar[str] = "push_overtaken"


class PartialAnswer(EngineFault):
    """A fault left some of many questions undecided; about these nothing is known.

    Attributes:
        fault: The first fault.
        decisions: In the order of the questions: the decision, or None where there is none.
    """

    code: ClassVar[str] = "partial"

    def __init__(self, fault: EngineFault, decisions: tuple[Decision | None, ...]) -> None:
        known = sum(decision is not None for decision in decisions)
        super().__init__(f"only {known:,} of {len(decisions):,} were decided: {fault}")
        self.fault = fault
        self.decisions = list(decisions)

    def __reduce__(self) -> tuple[object, ...]:
        return (PartialAnswer, (self.fault, tuple(self.decisions)), vars(self))


class Misuse(BridgeError):
    """A call that makes no sense, whatever the data."""

    code: ClassVar[str] = "misuse"


class InvalidSetting(Misuse):
    """A setting that cannot be used; the text names it and says why."""

    code: ClassVar[str] = "invalid_setting"


class PushRefused(BridgeError):
    """Resources that must not be pushed as they are; nothing was changed.

    Attributes:
        refusals: The resources that cannot be pushed, each of which says where it stands and why.
    """

    code: ClassVar[str] = "push_refused"

    def __init__(self, message: str, refusals: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.refusals = refusals

    def __reduce__(self) -> tuple[object, ...]:
        return (PushRefused, (str(self), self.refusals), vars(self))


class ListChanged(BridgeError):
    """A list cannot go on where it ended, for the resources have changed since; it must begin anew."""

    code: ClassVar[str] = "list_changed"


class OpaMissing(BridgeError):
    """No usable `opa` executable; the text says what to install."""

    code: ClassVar[str] = "opa_missing"
