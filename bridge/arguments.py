"""Check the arguments of a bridge's constructor: an error for a wrong object says what was probably meant."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import iscoroutinefunction
from typing import Final

from bridge.engines import OpaEngine
from bridge.errors import UsageError
from bridge.opa import OpaClient
from bridge.policy import PolicySettings
from bridge.rendering import RuleSet
from bridge.tokens import JwkSet, JwksFile, JwksUrl, StaticKey, TokenVerifier

_INSTEAD_OF_ENGINE: Final[Mapping[type, str]] = {
    str: "an address is not an engine: PolicyBridge(OpaEngine(url))",
    OpaClient: "an OpaClient is not an engine: PolicyBridge(OpaEngine(client))",
    TokenVerifier: "a TokenVerifier is not an engine: PolicyBridge(verifier=verifier)",
    RuleSet: "a RuleSet is not an engine: PolicyBridge(WasmEngine(rule_set)), or OpaEngine(url, rule_set) in it",
    PolicySettings: "PolicySettings are not an engine: PolicyBridge(WasmEngine(RuleSet(policy=settings)))",
}
_INSTEAD_OF_ASYNC_ENGINE: Final[Mapping[type, str]] = {
    str: "an address is not an engine: AsyncPolicyBridge(AsyncOpaEngine(url))",
    OpaEngine: "an OpaEngine is synchronous: AsyncPolicyBridge(AsyncOpaEngine(url)), or PolicyBridge(engine)",
    OpaClient: "an OpaClient is synchronous: AsyncPolicyBridge(AsyncOpaEngine(url))",
    TokenVerifier: "a TokenVerifier is not an engine: AsyncPolicyBridge(AsyncOpaEngine(url), verifier=verifier)",
    RuleSet: "a RuleSet is not an engine: AsyncPolicyBridge(AsyncOpaEngine(url, rule_set))",
    PolicySettings: "PolicySettings are not an engine: AsyncOpaEngine(url, RuleSet(policy=settings)) is one",
}
_INSTEAD_OF_VERIFIER: Final[Mapping[type, str]] = dict.fromkeys(
    (StaticKey, JwkSet, JwksFile, JwksUrl, str, bytes),
    "a key is not a verifier: TokenVerifier(key, audience=..., issuer=...)",
)


def require_engine(engine: object) -> None:
    """Refuse an object that is no engine for `PolicyBridge`.

    Raises:
        UsageError: It is not a synchronous engine; the text says what was probably meant.
    """
    _refuse_mistaken(engine, _INSTEAD_OF_ENGINE)
    if _is_asynchronous(engine):
        raise UsageError("an asynchronous engine is for AsyncPolicyBridge (bridge.aio): AsyncPolicyBridge(engine)")
    _require_method(engine, "decide")


def require_async_engine(engine: object) -> None:
    """Refuse an object that is no engine for `AsyncPolicyBridge`.

    Raises:
        UsageError: It is not an asynchronous engine; the text says what was probably meant.
    """
    _refuse_mistaken(engine, _INSTEAD_OF_ASYNC_ENGINE)
    _require_method(engine, "decide")
    if not _is_asynchronous(engine):
        raise UsageError(f"the engine `{type(engine).__name__}` is synchronous: give it to PolicyBridge")


def require_verifier(verifier: object) -> None:
    """Refuse an object that cannot verify tokens.

    Raises:
        UsageError: It is not a verifier; the text says what was probably meant.
    """
    if verifier is not None:
        _refuse_mistaken(verifier, _INSTEAD_OF_VERIFIER)
        _require_method(verifier, "verify")


def _refuse_mistaken(value: object, instead: Mapping[type, str]) -> None:
    for kind, text in instead.items():
        if isinstance(value, kind):
            raise UsageError(text)


def _require_method(value: object, method: str) -> None:
    if isinstance(value, type):
        raise UsageError(f"`{value.__name__}` is a class, and an object is needed: {value.__name__}(...)")
    if not callable(getattr(value, method, None)):
        raise UsageError(
            f"a `{type(value).__name__}` cannot be used here: an object with the method `{method}` is needed"
        )


def _is_asynchronous(engine: object) -> bool:
    return iscoroutinefunction(getattr(engine, "decide", None))
