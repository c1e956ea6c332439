"""Every error that the bridge raises.

A denial is a value (`bridge.Decision`); an error is raised when there is no decision to give::

    BridgeError
    ├── MalformedInputError        a text or a value breaks R12; says where and why
    ├── InvalidTokenError          a token that must not be believed; `code` tells the cause
    │   ├── MalformedTokenError        no JWS, header or payload break R12, or a checked claim is of the wrong type
    │   ├── AlgorithmNotAllowedError      the algorithm is not configured, or not one for the key
    │   ├── InvalidSignatureError      the signature is not right for the key
    │   ├── UnknownKeyError            no key, or more than one, of that `kid`; or no `kid`
    │   ├── ExpiredTokenError          now >= `exp` + leeway
    │   ├── ImmatureTokenError      now < `nbf` or `iat` - leeway
    │   ├── InvalidAudienceError       `aud` is for somebody else
    │   ├── InvalidIssuerError         `iss` is somebody else
    │   └── MissingRequiredClaimError          a required claim is absent
    ├── KeysUnavailableError       the verification keys cannot be had
    ├── EngineError           the engine cannot decide; `on_error="deny"` denies for these, and only these
    │   ├── EngineUnreachableError     no connection, or it broke
    │   ├── EngineTimeoutError      no answer within the call's total deadline
    │   ├── InvalidResponseError             an answer that is not what the protocol promises, or not to this question
    │   ├── OpaStatusError            OPA answered with an error status
    │   ├── RulesNotInstalledError     the rule set is not there (OPA answered without `result`)
    │   ├── RulesMismatchError           the engine's rules carry another fingerprint
    │   ├── UnsupportedOpaVersionError          an OPA that compares numbers wrongly
    │   ├── ResourcesMissingError         the engine has no pushed resources, never or no more
    │   ├── StaleResourcesError        the engine's resources are older than the revision that was asked for
    │   ├── MultipleStoresError         several OPAs with other data answer at one address
    │   ├── UnsupportedLayoutError         a newer bridge has written the pushed resources
    │   ├── ForeignContentError        others' modules or data lie where the rules' or the resources' place is
    │   ├── OwnedByBundleError         a bundle owns the place of the rules or of the resources
    │   ├── PushConflictError         another push took this one's place; nothing of this one is there
    │   └── PartialResultError         a fault left some of many undecided; has the decisions on the others
    ├── UsageError                a call that makes no sense, whatever the data
    │   └── ConfigurationError        a setting that cannot be used
    ├── PushRejectedError           resources that must not be pushed as they are
    ├── CursorExpiredError           a list cannot go on, for the resources have changed since
    └── OpaNotFoundError            no usable `opa` executable
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


class MalformedInputError(BridgeError):
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

    def named(self, what: str) -> MalformedInputError:
        """The same error, saying that it is about `what`."""
        return MalformedInputError(
            self.cause, rule=self.rule, what=what, line=self.line, column=self.column, pointer=self.pointer
        )


def _rebuild_malformed(
    cause: str, rule: str, what: str, line: int | None, column: int | None, pointer: str | None
) -> MalformedInputError:
    return MalformedInputError(cause, rule=rule, what=what, line=line, column=column, pointer=pointer)


class InvalidTokenError(BridgeError):
    """A token that must not be believed (SEMANTICS, "Tokens")."""

    code: ClassVar[str] = "invalid_token"


class MalformedTokenError(InvalidTokenError):
    """The text is no compact JWS, its header or payload break R12, or a claim that is checked is of the wrong type."""

    code: ClassVar[str] = "malformed"


class AlgorithmNotAllowedError(InvalidTokenError):
    """The token's algorithm is not one of the configured, or not one for the key."""

    code: ClassVar[str] = "algorithm"


class InvalidSignatureError(InvalidTokenError):
    """The signature is not right for the key."""

    code: ClassVar[str] = "signature"


class UnknownKeyError(InvalidTokenError):
    """The token's `kid` names no key, or more than one, or there is no `kid`."""

    code: ClassVar[str] = "unknown_key"


class ExpiredTokenError(InvalidTokenError):
    """The token's time is over."""

    code: ClassVar[str] = "expired"


class ImmatureTokenError(InvalidTokenError):
    """The token's time has not come."""

    code: ClassVar[str] = "not_yet_valid"


class InvalidAudienceError(InvalidTokenError):
    """The token is for another audience."""

    code: ClassVar[str] = "audience"


class InvalidIssuerError(InvalidTokenError):
    """The token is from another issuer."""

    code: ClassVar[str] = "issuer"


class MissingRequiredClaimError(InvalidTokenError):
    """A required claim is absent."""

    code: ClassVar[str] = "missing_claim"


class KeysUnavailableError(BridgeError):
    """The verification keys cannot be had, so no token can be verified now."""

    code: ClassVar[str] = "keys_unavailable"


class EngineError(BridgeError):
    """The engine cannot decide; nothing is known about the access asked for."""

    code: ClassVar[str] = "engine_error"


class EngineUnreachableError(EngineError):
    """No connection to the engine, or it broke before the answer was whole."""

    code: ClassVar[str] = "unreachable"


class EngineTimeoutError(EngineError):
    """No whole answer within the call's total deadline."""

    code: ClassVar[str] = "timeout"


class InvalidResponseError(EngineError):
    """The engine answered something that its protocol does not promise, or the answer is to another question."""

    code: ClassVar[str] = "invalid_response"


class OpaStatusError(EngineError):
    """OPA answered with an error status.

    Attributes:
        status: The HTTP status.
        opa_code: OPA's own error code, such as `invalid_parameter`, or empty.
        opa_message: OPA's own message, or empty.
    """

    code: ClassVar[str] = "opa_status"

    def __init__(self, message: str, *, status: int, opa_code: str = "", opa_message: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.opa_code = opa_code
        self.opa_message = opa_message

    def __reduce__(self) -> tuple[object, ...]:
        # Its arguments go by keyword, which pickle cannot know.
        return (_rebuild_refused, (str(self), self.status, self.opa_code, self.opa_message), vars(self))


def _rebuild_refused(message: str, status: int, opa_code: str, opa_message: str) -> OpaStatusError:
    return OpaStatusError(message, status=status, opa_code=opa_code, opa_message=opa_message)


class RulesNotInstalledError(EngineError):
    """The engine does not have the rule set."""

    code: ClassVar[str] = "rules_not_installed"


class RulesMismatchError(EngineError):
    """The engine's rules were rendered from other settings, or by another release of the rules."""

    code: ClassVar[str] = "rules_mismatch"


class UnsupportedOpaVersionError(EngineError):
    """An OPA older than the oldest that compares numbers as R11 demands."""

    code: ClassVar[str] = "unsupported_opa_version"


class ResourcesMissingError(EngineError):
    """The engine has no pushed resources of the type: none was ever pushed, or it was restarted without them."""

    code: ClassVar[str] = "resources_missing"


class StaleResourcesError(EngineError):
    """The engine answered from resources that are older than the revision that the caller asked for."""

    code: ClassVar[str] = "stale_resources"


class MultipleStoresError(EngineError):
    """Several OPAs answer at one address, each with resources of its own, so no answer can be relied on."""

    code: ClassVar[str] = "multiple_stores"


class UnsupportedLayoutError(EngineError):
    """The pushed resources were written by a newer bridge, in a layout that this one does not know."""

    code: ClassVar[str] = "unsupported_layout"


class ForeignContentError(EngineError):
    """Modules or data that no bridge wrote lie where those of a rule set belong; nothing was changed.

    Attributes:
        ids: What they are called: a module by its policy id, data by its reference, such as `data.jwt_policy_data.x`.
    """

    code: ClassVar[str] = "foreign_content"

    def __init__(self, message: str, ids: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.ids = ids

    def __reduce__(self) -> tuple[object, ...]:
        return (ForeignContentError, (str(self), self.ids), vars(self))


class OwnedByBundleError(EngineError):
    """A bundle owns the place of the rules or of the resources, so nobody else may write there.

    Attributes:
        bundle: The bundle's name.
    """

    code: ClassVar[str] = "owned_by_bundle"

    def __init__(self, message: str, bundle: str = "") -> None:
        super().__init__(message)
        self.bundle = bundle

    def __reduce__(self) -> tuple[object, ...]:
        return (OwnedByBundleError, (str(self), self.bundle), vars(self))


class PushConflictError(EngineError):
    """Another push took this one's place; nothing of this one is there."""

    code: ClassVar[str] = "push_conflict"


class PartialResultError(EngineError):
    """A fault left some of many questions undecided; about these nothing is known.

    Attributes:
        fault: The first fault.
        decisions: In the order of the questions: the decision, or None where there is none.
    """

    code: ClassVar[str] = "partial_result"

    def __init__(self, fault: EngineError, decisions: tuple[Decision | None, ...]) -> None:
        known = sum(decision is not None for decision in decisions)
        super().__init__(f"only {known:,} of {len(decisions):,} were decided: {fault}")
        self.fault = fault
        self.decisions = list(decisions)

    def __reduce__(self) -> tuple[object, ...]:
        return (PartialResultError, (self.fault, tuple(self.decisions)), vars(self))


class UsageError(BridgeError):
    """A call that makes no sense, whatever the data."""

    code: ClassVar[str] = "usage"


class ConfigurationError(UsageError):
    """A setting that cannot be used; the text names it and says why."""

    code: ClassVar[str] = "invalid_setting"


class PushRejectedError(BridgeError):
    """Resources that must not be pushed as they are; nothing was changed.

    Attributes:
        rejected: The resources that cannot be pushed, each of which says where it stands and why.
    """

    code: ClassVar[str] = "push_rejected"

    def __init__(self, message: str, rejected: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.rejected = rejected

    def __reduce__(self) -> tuple[object, ...]:
        return (PushRejectedError, (str(self), self.rejected), vars(self))


class CursorExpiredError(BridgeError):
    """A list cannot go on where it ended, for the resources have changed since; it must begin anew."""

    code: ClassVar[str] = "cursor_expired"


class OpaNotFoundError(BridgeError):
    """No usable `opa` executable; the text says what to install."""

    code: ClassVar[str] = "opa_not_found"
