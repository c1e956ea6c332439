"""What a caller writes: both type checkers accept it, in their strict modes."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from fastapi import FastAPI

import bridge
from bridge.aio import AsyncPolicyBridge

app = FastAPI()


def allowed(policy_bridge: bridge.PolicyBridge, token: str, device: Mapping[str, object]) -> bool:
    claims = policy_bridge.verify(token)
    decision = policy_bridge.check(claims, "devices", device)
    if decision.reason is bridge.Reason.MATCHED:
        return decision.allow
    return policy_bridge.check(token, "devices", "d1").allow


def every_call(policy_bridge: bridge.PolicyBridge, claims: Mapping[str, object]) -> list[str]:
    decisions: list[bridge.Decision] = policy_bridge.check_many(claims, "devices", ["d1", {"id": "d2"}])
    listing = policy_bridge.list_allowed(claims, "devices", limit=10)
    explanation = policy_bridge.explain(claims, "devices", "d1")
    report = policy_bridge.push("devices", [{"id": "d1"}], omit=["secret"])
    return [*(str(decision) for decision in decisions), *listing.ids, str(explanation), str(report)]


async def asynchronous(policy_bridge: AsyncPolicyBridge, token: str) -> bool:
    claims = await policy_bridge.verify(token)
    decision = await policy_bridge.check(claims, "devices", {"id": "d1"})
    return decision.allow


def settings() -> bridge.PolicyBridge:
    verifier = bridge.TokenVerifier(
        bridge.JwksUrl("https://issuer.example/jwks"),
        algorithms=["RS256"],
        audience="devices",
        issuer="https://issuer.example",
    )
    rules = bridge.RuleSet(policy=bridge.PolicySettings(require_policy=True, versions={2}))
    return bridge.PolicyBridge(bridge.OpaEngine("http://127.0.0.1:8181", rules), verifier=verifier, on_error="deny")


def every_form_of_a_setting(pem: str, jwks: Mapping[str, object]) -> list[object]:
    """A set, a tuple or a list, a text or a path: what works at run time also passes here."""
    required = frozenset({"sub"})
    rules = bridge.RuleSet(bridge.PolicySettings(versions=[2, 3]), token=bridge.TokenChecks(pem, required=("sub",)))
    return [
        bridge.PolicySettings("policy", ("devices",), versions=(2,)),
        bridge.PolicySettings(versions=rules.policy.versions | {3}),
        bridge.PolicyBridge(versions={2}),
        bridge.TokenVerifier(pem, algorithms={"RS256", "PS256"}, audience={"a", "b"}, required=required),
        bridge.TokenVerifier(bridge.JwkSet(jwks), audience=["a"], leeway=Decimal("0.5")),
        bridge.TokenVerifier(bridge.JwksFile("keys.json")),
        bridge.TokenVerifier(bridge.JwksFile(Path("keys.json"))),
        bridge.TokenVerifier(bridge.StaticKey.from_pem_file("key.pem")),
        bridge.TokenVerifier(bridge.JwksUrl("https://issuer.example/jwks", ca=Path("ca.pem"))),
        bridge.WasmEngine(wasm="policy.wasm"),
        bridge.WasmEngine(wasm=Path("policy.wasm")),
        bridge.OpaEngine(bridge.OpaClient("http://127.0.0.1:8181", token=Path("token")), rules),
    ]


@app.get("/decision")
def decision() -> bridge.Decision:
    return bridge.PolicyBridge().check({}, "devices", {"id": "d1"})
