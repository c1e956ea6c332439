"""The public names of the package, and its version."""

from __future__ import annotations

import importlib.metadata

import bridge
import bridge.aio

NAMES = [
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


def test_the_package_has_exactly_these_public_names():
    assert bridge.__all__ == NAMES
    assert {name for name in vars(bridge) if name[0].isupper()} == set(NAMES)


def test_the_asynchronous_package_has_exactly_these_public_names():
    assert bridge.aio.__all__ == ["AsyncOpaClient", "AsyncOpaEngine", "AsyncPolicyBridge"]


def test_the_version_is_the_installed_one():
    assert bridge.__version__ == importlib.metadata.version("jwt-policy-bridge")
