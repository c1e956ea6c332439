"""Rule sets that verify raw tokens (SEMANTICS, "Tokens"), on a real OPA: requests, decisions and settings."""

import json

import pytest
import requests
from cryptography.hazmat.primitives.serialization import PublicFormat
from rego_token_rules import (
    CLAIMS,
    DAY,
    FAILED,
    INVALID,
    MATCHED,
    MINE,
    NOW,
    POLICY,
    THEIRS,
    OpaRules,
    Rules,
    assert_invalid,
    assert_valid,
    having,
    jwks,
    pem,
    rule_set_of,
    shown,
    token,
    verifier,
)
from token_making import b64, jwk_of, private_pem

from bridge.client import PolicyBridge
from bridge.decision import Failure, Reason
from bridge.engines import OpaEngine
from bridge.errors import ConfigurationError, InvalidSignatureError, InvalidTokenError
from bridge.rendering import TokenChecks
from bridge.store import layout
from bridge.strict_json import encode
from bridge.tokens import may_be_sent_raw

MALFORMED = {"allow": False, "reason": "malformed_input"}


@pytest.fixture(scope="module")
def rules(start_opa, tmp_path_factory):
    started = OpaRules(start_opa, tmp_path_factory)
    yield started
    started.stop()


# --- a valid token ------------------------------------------------------------------------------------------------


def test_valid_token_decides_by_its_policy(rules):
    assert rules().decision(token()) == MATCHED
    assert rules().decision(token(), THEIRS) == FAILED


def test_allow_says_what_the_decision_says(rules):
    question = {"token": token(), "type": "devices"}
    assert rules().post("allow", {**question, "resource": MINE}) is True
    assert rules().post("allow", {**question, "resource": THEIRS}) is False


def test_stored_resources_are_decided_by_id(rules):
    mine = rules()
    path = mine.rule_set.data_root.replace(".", "/")
    devices = layout.document({b'"device1"': encode(MINE), b'"device2"': encode(THEIRS)})
    requests.put(f"{mine.url}/v1/data/{path}/devices", data=devices, timeout=60).raise_for_status()
    question = {"token": token(), "type": "devices"}
    assert mine.post("decision", {**question, "id": "device1"}) == MATCHED
    assert mine.post("decision", {**question, "id": "device2"}) == FAILED
    assert mine.post("decision", {**question, "id": "device3"}) == {"allow": False, "reason": "unknown_resource"}
    assert mine.post("decisions", {**question, "ids": ["device2", "device3", None, "device1"]}) == [
        FAILED,
        {"allow": False, "reason": "unknown_resource"},
        {"allow": False, "reason": "unknown_resource"},
        MATCHED,
    ]


def test_decisions_are_one_for_each_resource_in_order(rules):
    question = {"token": token(), "type": "devices", "resources": [THEIRS, None, MINE, False, {}, 0]}
    nothing = {"allow": False, "reason": "invalid_resource"}
    assert rules().post("decisions", question) == [FAILED, nothing, MATCHED, nothing, nothing, nothing]


@pytest.mark.parametrize(
    ("claims", "type_", "reason"),
    [
        ({"exp": NOW + DAY}, "devices", "unrestricted"),
        ({"exp": NOW + DAY}, "users", "unknown_type"),
        ({"exp": NOW + DAY, "policy": None}, "devices", "invalid_policy"),
        ({"exp": NOW + DAY, "policy": {"version": 2}}, "devices", "type_not_granted"),
        ({"exp": NOW + DAY, "policy": {"version": 2, "devices": {}}}, "devices", "matched"),
    ],
)
def test_the_rules_are_asked_about_the_claims(rules, claims, type_, reason):
    decided = rules().post("decision", {"token": token(claims), "type": type_, "resource": MINE})
    assert decided["reason"] == reason


def test_the_settings_of_the_policy_hold_for_tokens_as_well(rules):
    mine = rules(policy={"claim": "https://acme.example/policy", "require_policy": True})
    assert mine.decision(token()) == {"allow": False, "reason": "policy_required"}
    assert mine.decision(token({"exp": NOW + DAY, "https://acme.example/policy": POLICY})) == MATCHED


# --- what is asked ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [None, 0, 1.5, True, False, [], {}, ["a.b.c"], {"token": "a.b.c"}], ids=shown)
def test_a_token_that_is_no_string_is_malformed(rules, wrong):
    question = {"token": wrong, "type": "devices"}
    assert rules().decision(wrong) == MALFORMED
    assert rules().post("decisions", {**question, "resources": [MINE, 1]}) == [MALFORMED, MALFORMED]
    assert rules().post("decisions", {**question, "ids": ["device1"]}) == [MALFORMED]
    assert rules().post("allow", {**question, "resource": MINE}) is False


@pytest.mark.parametrize("wrong", [None, 0, True, [], {}, ["devices"]], ids=shown)
def test_a_type_that_is_no_string_is_malformed(rules, wrong):
    assert rules().post("decision", {"token": token(), "type": wrong, "resource": MINE}) == MALFORMED


@pytest.mark.parametrize("question", [None, [], "", 0, {}, {"type": "devices"}, {"token": "a.b.c"}], ids=shown)
def test_what_is_no_question_is_malformed(rules, question):
    assert rules().post("decision", question) == MALFORMED
    assert rules().post("allow", question) is False
    assert rules().post("decisions", question) == []


def test_claims_without_a_token_are_malformed(rules):
    question = {"claims": {"policy": {"version": 2, "devices": {}}}, "type": "devices"}
    assert rules().post("decision", {**question, "resource": MINE}) == MALFORMED
    assert rules().post("allow", {**question, "resource": MINE}) is False
    assert rules().post("decisions", {**question, "resources": [MINE]}) == [MALFORMED]
    assert rules().post("answer", {**question, "resource": MINE})["decisions"] == [MALFORMED]
    assert rules().post("answer", {**question, "resources": [MINE]})["decisions"] == [MALFORMED]


def test_claims_beside_a_token_do_not_count(rules):
    everything = {"policy": {"version": 2, "devices": {}}}
    question = {"claims": everything, "token": token(), "type": "devices", "resource": THEIRS}
    assert rules().post("decision", question) == FAILED
    assert rules().post("decision", {**question, "token": having(exp=NOW - 1)}) == INVALID
    assert rules().post("decision", {**question, "token": None}) == MALFORMED
    assert rules().post("answer", {"requests": [question, {**question, "token": None}]})["decisions"] == [
        FAILED,
        MALFORMED,
    ]


def test_requests_to_the_bridges_entrypoint_may_carry_claims(rules):
    question = {"claims": CLAIMS, "type": "devices"}
    questions = [
        {**question, "resource": MINE},
        {**question, "resource": THEIRS},
        {"type": "devices", "resource": MINE},
    ]
    assert rules().post("answer", {"requests": questions})["decisions"] == [MATCHED, FAILED, MALFORMED]


# --- settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"keys": ""},
        {"keys": "secret"},
        {"keys": pem() + pem("rsa-other")},
        {"keys": private_pem("rsa").decode()},
        {"keys": pem("rsa-1024")},
        {"keys": pem("secp256k1"), "algorithms": ("ES256",)},
        {"keys": pem("P-384"), "algorithms": ("ES256",)},
        {"keys": pem("P-256"), "algorithms": ("ES256", "RS256")},
        {"keys": pem("Ed448"), "algorithms": ("EdDSA",)},
        {"keys": pem(), "algorithms": ("HS256",)},
        {"keys": pem(), "algorithms": ("none",)},
        {"keys": pem(), "algorithms": ()},
        {"keys": pem(), "algorithms": "RS256"},
        {"keys": pem(), "audience": ("",)},
        {"keys": pem(), "audience": "https://cobrowse.io"},
        {"keys": pem(), "issuer": ""},
        {"keys": pem(), "required": "exp"},
        {"keys": jwks()},
        {"keys": '{"keys": 1}'},
        {"keys": '{"keys": [1]}'},
        {"keys": json.dumps(jwk_of("rsa", "a"))},
        {"keys": jwks({"kty": "oct", "kid": "a", "k": b64(bytes(64))})},
        {"keys": jwks(jwk_of("rsa", "a", d="AAAA"))},
        {"keys": jwks(jwk_of("rsa-1024", "a"))},
        {"keys": jwks(jwk_of("rsa", "a"), jwk_of("rsa", "a"))},
        {"keys": jwks({name: value for name, value in jwk_of("rsa", "a").items() if name != "kid"})},
        {"keys": jwks(jwk_of("P-256", "a"))},
        {"keys": jwks(jwk_of("Ed448", "a")), "algorithms": ("EdDSA",)},
    ],
)
def test_keys_and_settings_that_would_weaken_the_checks_are_refused(settings):
    with pytest.raises(ConfigurationError):
        TokenChecks(**settings)


def test_a_secret_in_a_set_is_not_rendered(rules):
    mine = rules(jwks(jwk_of("rsa", "a"), {"kty": "oct", "kid": "b", "k": b64(b"very secret " * 6)}))
    assert_valid(mine, token(kid="a"))
    assert_invalid(mine, token(kid="b", key=b"very secret " * 6, alg="HS256"))
    policies = requests.get(f"{mine.url}/v1/policies", timeout=60).text
    assert b64(b"very secret " * 6) not in policies


@pytest.mark.parametrize("form", [PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1])
def test_every_pem_form_of_a_public_key_verifies(rules, form):
    assert_valid(rules(pem("rsa", form)), token())
    assert_valid(rules("\n" + pem("rsa", form).replace("\n", "\r\n") + "\n\n"), token())


# --- the whole way ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bridge(opa_url):
    rule_set = rule_set_of(audience=("https://cobrowse.io",), issuer="license")
    engine = OpaEngine(opa_url, rule_set)
    with PolicyBridge(engine, verifier=verifier(Rules(opa_url, rule_set))) as bridge:
        bridge.install()
        yield bridge
        engine.uninstall()


def number_token(number):
    policy = {"version": 2, "devices": {"custom_data": {"n": "NUMBER"}}}
    claims = {"exp": NOW + DAY, "aud": "https://cobrowse.io", "iss": "license", "policy": policy}
    return token(json.dumps(claims).replace('"NUMBER"', number))


def device(number):
    return {"id": "d", "custom_data": {"n": number}}


@pytest.mark.parametrize(
    ("number", "is_raw", "equal", "other"),
    [("15", True, 15, 15.5), ("1.5", True, 1.5, 1), ("1.50", False, 1.5, 1.25), ("1e2", False, 100, 10)],
)
def test_the_bridge_decides_whatever_way_the_token_takes(bridge, number, is_raw, equal, other):
    made = number_token(number)
    assert may_be_sent_raw(made) is is_raw
    allowed, denied = bridge.check(made, "devices", device(equal)), bridge.check(made, "devices", device(other))
    assert allowed.allow is True
    assert allowed.reason is Reason.MATCHED
    assert denied.allow is False
    assert denied.failures == (Failure("/custom_data/n", "different"),)

    resources = [device(other), device(equal), {"id": ""}, device(equal)]
    reasons = [decision.reason for decision in bridge.check_many(made, "devices", resources)]
    assert reasons == [Reason.CONSTRAINT_FAILED, Reason.MATCHED, Reason.INVALID_RESOURCE, Reason.MATCHED]

    explanation = bridge.explain(made, "devices", device(other))
    assert explanation.decision == denied
    [demand] = explanation.failures
    assert demand.failure == Failure("/custom_data/n", "different")
    assert float(demand.expected) == equal
    assert float(demand.actual) == other


@pytest.mark.parametrize("number", ["15", "15.0"])
def test_the_bridge_decides_by_id_whatever_way_the_token_takes(bridge, number):
    made = number_token(number)
    resources = [{"id": "yes", "custom_data": {"n": 15}}, {"id": "no", "custom_data": {"n": 16}}]
    bridge.push("devices", resources, force=True)
    assert bridge.check(made, "devices", "yes").allow is True
    assert bridge.check(made, "devices", "no").allow is False
    assert [decision.allow for decision in bridge.check_many(made, "devices", ["no", "gone", "yes"])] == [
        False,
        False,
        True,
    ]
    assert bridge.explain(made, "devices", "no").resource == resources[1]


def test_the_bridge_takes_claims_that_are_verified_already(bridge):
    claims = {"policy": POLICY}
    assert bridge.check(claims, "devices", MINE).allow is True
    assert bridge.check(claims, "devices", THEIRS).allow is False


def test_a_token_decides_even_when_it_is_opa_that_verifies_it(bridge, rules):
    """Rules with another key refuse the token that the bridge's verifier accepts; the bridge knows it beforehand."""
    others = rules(pem("rsa-other"), audience=("https://cobrowse.io",), issuer="license")
    assert others.decision(number_token("15"), device(15)) == INVALID
    misconfigured = PolicyBridge(OpaEngine(others.url, others.rule_set), verifier=bridge.verifier)
    with pytest.raises(InvalidSignatureError, match="the rules on OPA verify tokens too, and refuse this one"):
        misconfigured.check(number_token("15"), "devices", device(15))


def test_an_invalid_token_raises_before_opa_is_asked(bridge):
    with pytest.raises(InvalidTokenError):
        bridge.check(having(aud="https://cobrowse.io", iss="license", exp=NOW - 1), "devices", MINE)
