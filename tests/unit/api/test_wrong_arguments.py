"""What is given in place of something else is refused, and the error says what was probably meant."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bridge import (
    OpaClient,
    OpaEngine,
    PolicyBridge,
    PolicySettings,
    ReferenceEngine,
    RuleSet,
    StaticKey,
    TokenVerifier,
    UsageError,
    WasmEngine,
)
from bridge.aio import AsyncOpaEngine, AsyncPolicyBridge

URL = "http://127.0.0.1:9"
SECRET = b"a secret of more than thirty-two bytes"


def verifier():
    return TokenVerifier(StaticKey.from_secret(SECRET), algorithms=["HS256"])


@pytest.mark.parametrize(
    ("make", "meant"),
    [
        (lambda: PolicyBridge(URL), r"PolicyBridge\(OpaEngine\(url\)\)"),
        (lambda: PolicyBridge(OpaClient(URL)), r"PolicyBridge\(OpaEngine\(client\)\)"),
        (lambda: PolicyBridge(verifier()), r"PolicyBridge\(verifier=verifier\)"),
        (lambda: PolicyBridge(RuleSet()), r"PolicyBridge\(WasmEngine\(rule_set\)\)"),
        (lambda: PolicyBridge(PolicySettings()), r"WasmEngine\(RuleSet\(policy=settings\)\)"),
        (lambda: PolicyBridge(AsyncOpaEngine(URL)), r"AsyncPolicyBridge\(engine\)"),
        (lambda: PolicyBridge(WasmEngine), r"`WasmEngine` is a class, .*WasmEngine\(\.\.\.\)"),
        (lambda: PolicyBridge(7), "an object with the method `decide` is needed"),
        (lambda: PolicyBridge(verifier=StaticKey.from_secret(SECRET)), r"TokenVerifier\(key"),
        (lambda: PolicyBridge(verifier="-----BEGIN PUBLIC KEY-----"), r"TokenVerifier\(key"),
        (lambda: PolicyBridge(verifier=7), "an object with the method `verify` is needed"),
        (lambda: AsyncPolicyBridge(URL), r"AsyncPolicyBridge\(AsyncOpaEngine\(url\)\)"),
        (lambda: AsyncPolicyBridge(OpaEngine(URL)), r"AsyncPolicyBridge\(AsyncOpaEngine\(url\)\)"),
        (lambda: AsyncPolicyBridge(OpaClient(URL)), r"AsyncPolicyBridge\(AsyncOpaEngine\(url\)\)"),
        (lambda: AsyncPolicyBridge(verifier()), r"AsyncOpaEngine\(url\), verifier=verifier"),
        (lambda: AsyncPolicyBridge(RuleSet()), r"AsyncOpaEngine\(url, rule_set\)"),
        (lambda: AsyncPolicyBridge(PolicySettings()), r"RuleSet\(policy=settings\)"),
        (lambda: AsyncPolicyBridge(ReferenceEngine()), "`ReferenceEngine` is synchronous: give it to PolicyBridge"),
        (lambda: AsyncPolicyBridge(None), "an object with the method `decide` is needed"),
        (lambda: AsyncPolicyBridge(AsyncOpaEngine(URL), verifier=SECRET), r"TokenVerifier\(key"),
        (lambda: WasmEngine(PolicySettings()), r"RuleSet\(policy=settings\)"),
        (lambda: ReferenceEngine(PolicySettings()), r"RuleSet\(policy=settings\)"),
        (lambda: OpaEngine(URL, PolicySettings()), r"RuleSet\(policy=settings\)"),
        (lambda: AsyncOpaEngine(URL, PolicySettings()), r"RuleSet\(policy=settings\)"),
        (lambda: WasmEngine("rules.json"), r"RuleSet\.load\(path\)"),
        (lambda: WasmEngine(Path("rules.wasm")), r"RuleSet\.load\(path\)"),
        (lambda: WasmEngine({}), r"not a `dict`: RuleSet\(\.\.\.\)"),
        (lambda: WasmEngine(()), r"not a `tuple`: RuleSet\(\.\.\.\)"),
    ],
)
def test_a_wrong_object_in_a_constructor_is_refused_with_what_was_meant(make, meant):
    with pytest.raises(UsageError, match=meant):
        make()


@pytest.mark.parametrize("name", ["devices.jsonl", b'[{"id":"d1"}]', Path("devices.jsonl"), ""])
@pytest.mark.parametrize("method", ["push", "sync", "upsert"])
def test_a_file_in_place_of_resources_is_refused(method, name):
    bridge = PolicyBridge(ReferenceEngine())
    with pytest.raises(UsageError, match=r"`bridge\.store\.from_file` reads a file"):
        getattr(bridge, method)("devices", name)


@pytest.mark.parametrize(
    ("token", "meant"),
    [
        (b"eyJ", r"not bytes: decode it, as in `token\.decode\(\)`"),
        (None, "not None: is there an `Authorization` header"),
        ({"policy": {}}, "not a dict: give claims that are already verified to `check`"),
        (7, "a token must be a string$"),
    ],
)
def test_what_is_no_token_is_refused_with_what_was_meant(token, meant):
    with pytest.raises(UsageError, match=meant):
        PolicyBridge(ReferenceEngine(), verifier=verifier()).verify(token)


def test_lists_and_explanations_are_no_conditions():
    bridge = PolicyBridge(ReferenceEngine())
    denied = {"policy": {"version": 2}}
    explanation = bridge.explain(denied, "devices", {"id": "d1"})
    assert not explanation.decision
    with pytest.raises(UsageError, match=r"use `explanation\.decision`"):
        bool(explanation)
    listing = bridge.list_allowed(denied, "devices")
    assert listing.ids == ()
    with pytest.raises(UsageError, match=r"use `listing\.ids`"):
        bool(listing)


def test_the_asynchronous_bridge_says_which_extra_it_needs():
    hide = "import sys; sys.modules['aiohttp'] = None; import importlib.util as u; "
    hide += "find = u.find_spec; u.find_spec = lambda name, *more: None if name == 'aiohttp' else find(name, *more); "
    done = subprocess.run(
        [sys.executable, "-c", hide + "import bridge.aio"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "ImportError: bridge.aio needs the extra `async`: pip install 'jwt-policy-bridge[async]'" in done.stderr
