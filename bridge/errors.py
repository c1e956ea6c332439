"""Every error that the bridge raises.

A denial is a value (`bridge.Decision`). An error is raised if there is no decision to return::

    BridgeError
    ├── MalformedInputError             a text or a value breaks R12; says where and why
    ├── InvalidTokenError               the token is not valid; `code` tells the cause
    │   ├── MalformedTokenError         no JWS; header or payload break R12; or a checked claim has the wrong type
    │   ├── AlgorithmNotAllowedError    the algorithm is not configured, or does not fit the key
    │   ├── InvalidSignatureError       the signature does not fit the key
    │   ├── UnknownKeyError             no key has the `kid`, or several have it; or no `kid`
    │   ├── ExpiredTokenError           now >= `exp` + leeway
    │   ├── ImmatureTokenError          now < `nbf` or `iat` - leeway
    │   ├── InvalidAudienceError        `aud` names another audience
    │   ├── InvalidIssuerError          `iss` names another issuer
    │   └── MissingRequiredClaimError   a required claim is missing
    ├── KeysUnavailableError            the verification keys cannot be read or fetched
    ├── EngineError                     the engine cannot decide; `on_error="deny"` denies for these, and only these
    │   ├── EngineUnreachableError      no connection, or it broke
    │   ├── EngineTimeoutError          no response within the call's total deadline
    │   ├── InvalidResponseError        the response breaks the protocol, or belongs to another request
    │   ├── OpaStatusError              OPA responded with an error status
    │   ├── RulesNotInstalledError      the rule set is not there (OPA responded without `result`)
    │   ├── RulesMismatchError          the engine's rules have another fingerprint
    │   ├── UnsupportedOpaVersionError  the OPA compares numbers wrongly
    │   ├── ResourcesMissingError       the engine has no pushed resources: none were pushed, or it lost them
    │   ├── StaleResourcesError         the engine's resources are older than `at_least`
    │   ├── MultipleStoresError         several OPAs with different data respond at one address
    │   ├── UnsupportedLayoutError      a newer bridge wrote the pushed resources
    │   ├── ForeignContentError         modules or data of others are in the place of the rules or the resources
    │   ├── OwnedByBundleError          a bundle owns the place of the rules or the resources
    │   ├── PushConflictError           another push took the place of this one; nothing of this one remains
    │   └── PartialResultError          the engine decided on some requests only; has the decisions (`bridge.decision`)
    ├── UsageError                      the call makes no sense, whatever the data
    │   └── ConfigurationError          a setting cannot be used
    ├── PushRejectedError               some resources must not be pushed as they are
    ├── CursorExpiredError              a list cannot go on, because the resources have changed
    └── OpaNotFoundError                no usable `opa` executable
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from bridge.escapes import escaped, shown


class BridgeError(Exception):
    """The base of all errors of the bridge.

    Attributes:
        code: A stable word for the kind of error, on which programs can branch.
    """

    code: ClassVar[str] = "error"

    def __str__(self) -> str:
        """Return the text on one line, printable characters only: services write it to their logs."""
        return escaped(super().__str__())


class MalformedInputError(BridgeError):
    """A text or a value is not well-formed (R12).

    Attributes:
        cause: What is wrong, in words.
        rule: The rule that is broken, such as `R12.2`.
        what: What was read: `claims`, `resource`, `token header`, ...; empty if the caller knows.
        line: The line in the text, from 1; None if there was no text.
        column: The column in code points, from 1; or None.
        pointer: JSON Pointer (RFC 6901) into the value; None if line and column give the place.
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
        return (partial(MalformedInputError, **self._place(), what=self.what), (self.cause,), vars(self))

    def named(self, what: str) -> MalformedInputError:
        """Return the same error with another `what`."""
        return MalformedInputError(self.cause, **self._place(), what=what)

    def _place(self) -> dict[str, Any]:
        return {"rule": self.rule, "line": self.line, "column": self.column, "pointer": self.pointer}


class InvalidTokenError(BridgeError):
    """The token is not valid (SEMANTICS, "Tokens")."""

    code: ClassVar[str] = "invalid_token"


class MalformedTokenError(InvalidTokenError):
    """The text is no compact JWS, its header or payload break R12, or a checked claim has the wrong type."""

    code: ClassVar[str] = "malformed"


class AlgorithmNotAllowedError(InvalidTokenError):
    """The token's algorithm is not configured, or does not fit the key."""

    code: ClassVar[str] = "algorithm"


class InvalidSignatureError(InvalidTokenError):
    """The signature does not fit the key."""

    code: ClassVar[str] = "signature"


class UnknownKeyError(InvalidTokenError):
    """No key has the token's `kid`, or several have it, or the token has no `kid`."""

    code: ClassVar[str] = "unknown_key"


class ExpiredTokenError(InvalidTokenError):
    """The token has expired."""

    code: ClassVar[str] = "expired"


class ImmatureTokenError(InvalidTokenError):
    """The token is not valid yet."""

    code: ClassVar[str] = "not_yet_valid"


class InvalidAudienceError(InvalidTokenError):
    """The token is for another audience."""

    code: ClassVar[str] = "audience"


class InvalidIssuerError(InvalidTokenError):
    """The token is from another issuer."""

    code: ClassVar[str] = "issuer"


class MissingRequiredClaimError(InvalidTokenError):
    """A required claim is missing."""

    code: ClassVar[str] = "missing_claim"


class KeysUnavailableError(BridgeError):
    """The verification keys are unavailable, so no token can be verified now."""

    code: ClassVar[str] = "keys_unavailable"


class EngineError(BridgeError):
    """The engine cannot decide; nothing is known about the requested access."""

    code: ClassVar[str] = "engine_error"


class EngineUnreachableError(EngineError):
    """There is no connection to the engine, or it broke before the response was complete."""

    code: ClassVar[str] = "unreachable"


class EngineTimeoutError(EngineError):
    """There is no complete response within the call's total deadline."""

    code: ClassVar[str] = "timeout"


class InvalidResponseError(EngineError):
    """The engine's response breaks its protocol, or belongs to another request."""

    code: ClassVar[str] = "invalid_response"


class OpaStatusError(EngineError):
    """OPA responded with an error status.

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
        keywords: dict[str, Any] = {"status": self.status, "opa_code": self.opa_code, "opa_message": self.opa_message}
        return (partial(OpaStatusError, **keywords), (str(self),), vars(self))


class RulesNotInstalledError(EngineError):
    """The engine does not have the rule set."""

    code: ClassVar[str] = "rules_not_installed"


class RulesMismatchError(EngineError):
    """The engine's rules were rendered from other settings, or by another release of the rules."""

    code: ClassVar[str] = "rules_mismatch"


class UnsupportedOpaVersionError(EngineError):
    """The OPA is too old to compare numbers as R11 demands."""

    code: ClassVar[str] = "unsupported_opa_version"


class ResourcesMissingError(EngineError):
    """The engine has no pushed resources of the type: none were pushed, or it has restarted without them."""

    code: ClassVar[str] = "resources_missing"


class StaleResourcesError(EngineError):
    """The engine's resources are older than the revision `at_least`."""

    code: ClassVar[str] = "stale_resources"


class MultipleStoresError(EngineError):
    """Several OPAs respond at one address, each with its own resources, so no response can be relied on."""

    code: ClassVar[str] = "multiple_stores"


class UnsupportedLayoutError(EngineError):
    """A newer bridge has written the pushed resources, in a layout that this one does not know."""

    code: ClassVar[str] = "unsupported_layout"


class ForeignContentError(EngineError):
    """Modules or data of others are in the place of a rule set's; nothing was changed.

    Attributes:
        ids: Their names: a module's policy id, or a reference to data, such as `data.jwt_policy_data.x`.
    """

    code: ClassVar[str] = "foreign_content"

    def __init__(self, message: str, ids: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.ids = ids

    def __reduce__(self) -> tuple[object, ...]:
        return (ForeignContentError, (str(self), self.ids), vars(self))


class OwnedByBundleError(EngineError):
    """A bundle owns the place of the rules or of the resources, so only the bundle may write there.

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
    """Another push took the place of this one; nothing of this one remains."""

    code: ClassVar[str] = "push_conflict"


class UsageError(BridgeError):
    """The call makes no sense, whatever the data."""

    code: ClassVar[str] = "usage"


class ConfigurationError(UsageError):
    """A setting cannot be used; the text names it and says why."""

    code: ClassVar[str] = "invalid_setting"


class PushRejectedError(BridgeError):
    """Some resources must not be pushed as they are; nothing was changed.

    Attributes:
        rejected: The rejected resources; each says its place and the cause.
    """

    code: ClassVar[str] = "push_rejected"

    def __init__(self, message: str, rejected: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.rejected = rejected

    def __reduce__(self) -> tuple[object, ...]:
        return (PushRejectedError, (str(self), self.rejected), vars(self))


class CursorExpiredError(BridgeError):
    """A list cannot go on, because the resources have changed since it began: begin it again."""

    code: ClassVar[str] = "cursor_expired"


class OpaNotFoundError(BridgeError):
    """There is no usable `opa` executable; the text says what to install."""

    code: ClassVar[str] = "opa_not_found"
