"""Decide, through Open Policy Agent, what the `policy` claim of a JWT lets its bearer access.

These are the names that most programs need. Import the others from their packages: `bridge.aio`, `bridge.errors`,
`bridge.opa`, `bridge.store`, `bridge.strict_json`.
"""

from bridge.client import PolicyBridge
from bridge.decision import Decision, Failure, PartialResultError, Reason, Violation
from bridge.engines import Engine, OpaEngine, ReferenceEngine, WasmEngine
from bridge.errors import (
    BridgeError,
    ConfigurationError,
    CursorExpiredError,
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    ExpiredTokenError,
    InvalidTokenError,
    KeysUnavailableError,
    MalformedInputError,
    PushRejectedError,
    ResourcesMissingError,
    RulesMismatchError,
    RulesNotInstalledError,
    StaleResourcesError,
    UsageError,
)
from bridge.explanation import Explanation
from bridge.listing import Listing
from bridge.opa import OpaClient
from bridge.policy import PolicySettings
from bridge.rendering import RuleSet, TokenChecks
from bridge.store import PushReport
from bridge.tokens import JwkSet, JwksFile, JwksUrl, StaticKey, TokenVerifier

__version__ = "0.1.0"

__all__ = [
    "BridgeError",
    "ConfigurationError",
    "CursorExpiredError",
    "Decision",
    "Engine",
    "EngineError",
    "EngineTimeoutError",
    "EngineUnreachableError",
    "ExpiredTokenError",
    "Explanation",
    "Failure",
    "InvalidTokenError",
    "JwkSet",
    "JwksFile",
    "JwksUrl",
    "KeysUnavailableError",
    "Listing",
    "MalformedInputError",
    "OpaClient",
    "OpaEngine",
    "PartialResultError",
    "PolicyBridge",
    "PolicySettings",
    "PushRejectedError",
    "PushReport",
    "Reason",
    "ReferenceEngine",
    "ResourcesMissingError",
    "RuleSet",
    "RulesMismatchError",
    "RulesNotInstalledError",
    "StaleResourcesError",
    "StaticKey",
    "TokenChecks",
    "TokenVerifier",
    "UsageError",
    "Violation",
    "WasmEngine",
]
