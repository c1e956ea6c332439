"""Rule sets that verify raw tokens (SEMANTICS, "Tokens"), on a real OPA.

What is no valid token is asked of the bridge's own verifier as well: both must refuse it.
"""

import base64
import functools
import json
import math
import time
import uuid
from datetime import UTC, datetime

import jwt
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bridge.client import PolicyBridge
from bridge.decision import Failure, Reason
from bridge.engines import OpaEngine
from bridge.errors import ConfigurationError, InvalidSignatureError, InvalidTokenError
from bridge.policy import PolicySettings
from bridge.rendering import RuleSet, TokenChecks, render
from bridge.store import layout
from bridge.strict_json import encode
from bridge.tokens import JwkSet, TokenVerifier, may_be_sent_raw

NOW = int(time.time())
DAY = 24 * 3600  # longer than any run of all tests
POLICY = {"version": 2, "devices": {"custom_data": {"user_id": "user1"}}}
CLAIMS = {"sub": "agent@example.com", "exp": NOW + DAY, "policy": POLICY}
MINE = {"id": "device1", "custom_data": {"user_id": "user1"}}
THEIRS = {"id": "device2", "custom_data": {"user_id": "user2"}}

MATCHED = {"allow": True, "reason": "matched"}
FAILED = {
    "allow": False,
    "reason": "constraint_failed",
    "failures": [{"pointer": "/custom_data/user_id", "code": "different"}],
}
INVALID = {"allow": False, "reason": "invalid_token"}
MALFORMED = {"allow": False, "reason": "malformed_input"}

# --- making keys and tokens ---------------------------------------------------------------------------------------


@functools.cache
def private(name):
    makers = {
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "rsa-other": lambda: rsa.generate_private_key(65537, 2048),
        "rsa-1024": lambda: rsa.generate_private_key(65537, 1024),
        "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
        "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
        "Ed25519": ed25519.Ed25519PrivateKey.generate,
        "Ed448": ed448.Ed448PrivateKey.generate,
    }
    return makers[name]()


def pem(name="rsa", form=PublicFormat.SubjectPublicKeyInfo):
    return private(name).public_key().public_bytes(Encoding.PEM, form).decode()


def jwk(name, kid, **more):
    maker = jwt.algorithms.OKPAlgorithm
    if name.startswith("rsa"):
        maker = jwt.algorithms.RSAAlgorithm
    elif name.startswith("P-"):
        maker = jwt.algorithms.ECAlgorithm
    made = maker.to_jwk(private(name).public_key(), as_dict=True)
    made.pop("key_ops", None)
    return {**made, "kid": kid, **more}


def jwks(*keys):
    return json.dumps({"keys": list(keys)})


def b64(data):
    data = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def text_of(value):
    return value if isinstance(value, str | bytes) else json.dumps(value)


def signed(message, key="rsa", alg="RS256"):
    signer = jwt.algorithms.get_default_algorithms()[alg]
    return f"{message}.{b64(signer.sign(message.encode(), key if isinstance(key, bytes) else private(key)))}"


def token(claims=CLAIMS, *, key="rsa", alg="RS256", header=None, **more):
    """A signed token; `header` and `claims` may be texts, which are taken as they are."""
    header = {"alg": alg, "typ": "JWT", **more} if header is None else header
    return signed(f"{b64(text_of(header))}.{b64(text_of(claims))}", key, alg)


def having(**more):
    """A token with these claims besides the usual ones; None of Python's leaves one out."""
    return token({name: value for name, value in {**CLAIMS, **more}.items() if value is not None})


def spelled(member):
    """A token whose claims hold this text as a member besides the usual ones."""
    return token(json.dumps(CLAIMS)[:-1] + ", " + member + "}")


def shown(value):
    """A name of this value that is the same in each process that reads this file: times as seconds from `NOW`."""
    text = repr(value)
    for seconds in (-DAY, -1, 0, DAY):
        text = text.replace(str(NOW + seconds), f"now{seconds:+}")
    return text[:40]


def nested(depth):
    return '"deep": ' + "[" * depth + "]" * depth


# --- asking OPA ---------------------------------------------------------------------------------------------------


class Rules:
    """A rule set on a server, asked as any other client of OPA would."""

    def __init__(self, url, rule_set):
        self.url = url
        self.rule_set = rule_set
        self.root = rule_set.package_root

    def post(self, entrypoint, question):
        path = self.root.replace(".", "/")
        reply = requests.post(f"{self.url}/v1/data/{path}/{entrypoint}", json={"input": question}, timeout=60)
        assert reply.status_code == 200, reply.text
        return reply.json()["result"]

    def decision(self, token_, resource=MINE):
        return self.post("decision", {"token": token_, "type": "devices", "resource": resource})

    def at(self, nanoseconds, token_):
        """The decision as of a moment, told to OPA by its own `with`."""
        question = json.dumps({"token": token_, "type": "devices", "resource": MINE})
        query = f"x = data.{self.root}.decision with input as {question} with time.now_ns as {nanoseconds}"
        reply = requests.post(f"{self.url}/v1/query", json={"query": query}, timeout=60)
        assert reply.status_code == 200, reply.text
        return reply.json()["result"][0]["x"]


def rule_set_of(keys=None, *, policy=None, **settings):
    name = f"r{uuid.uuid4().hex}"
    return RuleSet(
        policy=PolicySettings(**policy or {}),
        package_root=f"token_rules.{name}",
        data_root=f"token_data.{name}",
        token=TokenChecks(pem() if keys is None else keys, **settings),
    )


@pytest.fixture(scope="module")
def rules(start_opa, tmp_path_factory):
    """Rules for these checks, each on an OPA of its own: one that has many compiles all of them for each change."""
    known = {}
    running = []

    def started(rule_set):
        folder = tmp_path_factory.mktemp("rules")
        for module in render(rule_set):
            path = folder / module.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(module.text, encoding="utf-8")
        opa = start_opa([folder])
        running.append(opa)
        return opa.url

    def of(*keys, **settings):
        name = repr((keys, settings))
        if name not in known:
            rule_set = rule_set_of(*keys, **settings)
            known[name] = Rules(started(rule_set), rule_set)
        return known[name]

    yield of
    for opa in running:
        opa.stop()


def verifier(rules_):
    checks = rules_.rule_set.token
    return TokenVerifier(
        JwkSet(checks.keys) if checks.keys.startswith("{") else checks.keys,
        algorithms=checks.algorithms,
        audience=checks.audience or None,
        issuer=checks.issuer,
        required=checks.required,
    )


def assert_valid(rules_, token_):
    verifier(rules_).verify(token_)
    assert rules_.decision(token_) == MATCHED
    assert rules_.decision(token_, THEIRS) == FAILED


def assert_invalid(rules_, token_):
    with pytest.raises(InvalidTokenError):
        verifier(rules_).verify(token_)
    assert_refused(rules_, token_)


def assert_refused(rules_, token_):
    question = {"token": token_, "type": "devices"}
    assert rules_.decision(token_) == INVALID
    assert rules_.decision(token_, None) == INVALID
    assert rules_.post("allow", {**question, "resource": MINE}) is False
    assert rules_.post("decisions", {**question, "resources": [MINE, None]}) == [INVALID, INVALID]
    assert rules_.post("answer", {"requests": [{**question, "resource": MINE}]})["decisions"] == [INVALID]


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
    asked = [{**question, "resource": MINE}, {**question, "resource": THEIRS}, {"type": "devices", "resource": MINE}]
    assert rules().post("answer", {"requests": asked})["decisions"] == [MATCHED, FAILED, MALFORMED]


# --- time ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exp", [NOW + DAY, NOW + DAY + 0.25, 1e300, 10**39, 99999999999], ids=shown)
def test_exp_in_the_future_is_valid(rules, exp):
    assert_valid(rules(), having(exp=exp))


@pytest.mark.parametrize(
    "exp",
    [NOW - 1, NOW - 0.5, 0, -1, -1e300, 1e-300, "", str(NOW + DAY), True, False, [], [NOW + DAY], {}],
    ids=shown,
)
def test_exp_in_the_past_or_of_another_kind_is_invalid(rules, exp):
    assert_invalid(rules(), having(exp=exp))


@pytest.mark.parametrize("claims", [{"policy": POLICY}, {**CLAIMS, "exp": None}, {"EXP": NOW + DAY, "policy": POLICY}])
def test_exp_must_be_there(rules, claims):
    assert_invalid(rules(), token(claims))


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize("begin", [0, -1, NOW - 1, NOW - 0.5, -1e300], ids=shown)
def test_a_beginning_in_the_past_is_valid(rules, name, begin):
    assert_valid(rules(), having(**{name: begin}))


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize(
    "begin", [NOW + DAY, NOW + DAY + 0.5, 1e300, "", "0", str(NOW), True, False, [], [0], {}], ids=shown
)
def test_a_beginning_in_the_future_or_of_another_kind_is_invalid(rules, name, begin):
    assert_invalid(rules(), having(**{name: begin}))


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_a_beginning_of_null_is_invalid(rules, name):
    assert_invalid(rules(), token({**CLAIMS, name: None}))


@pytest.mark.parametrize("exp", [NOW + DAY, NOW + DAY + 0.25], ids=shown)
def test_a_token_ends_at_the_nanosecond(rules, exp):
    end = int(exp * 1000) * 1_000_000
    assert rules().at(end - 1, having(exp=exp)) == MATCHED
    assert rules().at(end, having(exp=exp)) == INVALID


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize("begin", [NOW - DAY, NOW - DAY + 0.25], ids=shown)
def test_a_token_begins_at_the_nanosecond(rules, name, begin):
    start = int(begin * 1000) * 1_000_000
    assert rules().at(start, having(**{name: begin})) == MATCHED
    assert rules().at(start - 1, having(**{name: begin})) == INVALID


# --- header -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": True},
        {"crit": []},
        {"crit": None},
        {"crit": "exp"},
        {"b64": False},
        {"b64": True},
        {"zip": "DEF"},
    ],
    ids=shown,
)
def test_headers_that_change_the_meaning_are_refused(rules, more):
    assert_invalid(rules(), token(**more))


@pytest.mark.parametrize(
    "more", [{}, {"kid": "any"}, {"cty": "json"}, {"x5t": "abc"}, {"Crit": ["exp"]}, {"made-up": [1, {"a": 2}]}]
)
def test_other_headers_play_no_part(rules, more):
    assert_valid(rules(), token(**more))


@pytest.mark.parametrize("cty", ["JWT", "jwt", "JwT"])
def test_a_token_inside_the_token_is_not_opened(rules, cty):
    assert_invalid(rules(), token(token(), cty=cty))
    assert_invalid(rules(), token(json.dumps(token()), cty=cty))


@pytest.mark.parametrize("header", [{"cty": 1}, {"cty": None}, {"cty": ["JWT"]}, {"cty": {}}, {"enc": 1}, {"typ": 1}])
@pytest.mark.parametrize("signature", [True, False])
def test_headers_that_opa_trips_over_are_refused_and_answered(rules, header, signature):
    """OPA 1.20.2 panics at a `cty` that is no string, before any signature is looked at."""
    made = token(**header)
    assert_refused(rules(), made if signature else made.rpartition(".")[0] + ".AAAA")


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"typ": "JWT"},
        {"alg": None},
        {"alg": 256},
        {"alg": ["RS256"]},
        {"alg": "rs256"},
        {"alg": "RS256 "},
        {"ALG": "RS256"},
        [],
        ["RS256"],
        "RS256",
        "null",
        '"RS256"',
        '{"alg":"RS256"',
        '{"alg":"RS256",}',
        '{"alg":"none","alg":"RS256"}',
        '{"alg":"RS256","alg":"RS256"}',
        '{"alg":"RS256","x":"\\ud800"}',
        '{"alg":"RS256","x":' + "[" * 64 + "]" * 64 + "}",
        b'{"alg":"RS256","x":"\xff"}',
        b'\xef\xbb\xbf{"alg":"RS256"}',
        '{"alg":"RS256","x":NaN}',
        '{"alg":"RS256","x":1e1000000}',
        b"",
    ],
    ids=shown,
)
def test_a_header_that_is_none_is_refused(rules, header):
    assert_invalid(rules(), token(header=header))


# --- algorithm and signature --------------------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_an_unsigned_token_is_refused(rules, alg, signature):
    assert_invalid(rules(), f"{b64(json.dumps({'alg': alg}))}.{b64(json.dumps(CLAIMS))}.{signature}")


@pytest.mark.parametrize("secret", [pem(), pem().strip(), pem("rsa", PublicFormat.PKCS1), ""], ids=len)
@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_a_public_key_is_no_secret(rules, alg, secret):
    hmac = jwt.algorithms.get_default_algorithms()[alg]
    message = f"{b64(json.dumps({'alg': alg}))}.{b64(json.dumps(CLAIMS))}"
    assert_invalid(rules(), f"{message}.{b64(hmac.sign(message.encode(), secret.encode()))}")


@pytest.mark.parametrize("alg", ["RS384", "RS512", "PS256", "PS384", "PS512"])
def test_an_algorithm_that_is_not_configured_is_refused(rules, alg):
    assert_invalid(rules(), token(alg=alg))
    assert_valid(rules(algorithms=(alg,)), token(alg=alg))
    assert_invalid(rules(algorithms=(alg,)), token())


FAMILIES = [
    ("RS256", "rsa"),
    ("RS384", "rsa"),
    ("RS512", "rsa"),
    ("PS256", "rsa"),
    ("PS384", "rsa"),
    ("PS512", "rsa"),
    ("ES256", "P-256"),
    ("ES384", "P-384"),
    ("ES512", "P-521"),
    ("EdDSA", "Ed25519"),
]


@pytest.mark.parametrize(("alg", "name"), FAMILIES)
def test_every_algorithm_verifies_with_its_key_in_pem(rules, alg, name):
    mine = rules(pem(name), algorithms=(alg,))
    made = token(key=name, alg=alg)
    assert_valid(mine, made)
    head, _, tail = made.split(".")
    assert_invalid(mine, f"{head}.{b64(json.dumps({**CLAIMS, 'policy': None}))}.{tail}")


@pytest.mark.parametrize(("alg", "name"), FAMILIES)
def test_every_algorithm_verifies_with_its_key_in_a_set(rules, alg, name):
    mine = rules(jwks(*[jwk(name, name) for name in ("rsa", "P-256", "P-384", "P-521", "Ed25519")]), algorithms=ALL)
    assert_valid(mine, token(key=name, alg=alg, kid=name))
    for _, other in FAMILIES:
        if other != name:
            assert_invalid(mine, token(key=name, alg=alg, kid=other))


ALL = tuple(dict.fromkeys(alg for alg, _ in FAMILIES))


def test_a_key_verifies_no_other_algorithm_of_its_family(rules):
    mine = rules(jwks(jwk("rsa", "a", alg="RS256"), jwk("rsa-other", "b")), algorithms=("RS256", "PS256"))
    assert_valid(mine, token(kid="a"))
    assert_invalid(mine, token(kid="a", alg="PS256"))
    assert_valid(mine, token(kid="b", alg="PS256", key="rsa-other"))


def test_another_key_is_refused(rules):
    assert_invalid(rules(), token(key="rsa-other"))


def test_every_changed_part_is_refused(rules):
    head, body, tail = token().split(".")
    everything = b64(json.dumps({**CLAIMS, "policy": {"version": 2, "devices": {}}}))
    flipped = tail[:9] + ("A" if tail[9] != "A" else "B") + tail[10:]
    for changed in (
        f"{head}.{everything}.{tail}",
        f"{b64(json.dumps({'alg': 'RS256'}))}.{body}.{tail}",
        f"{head}.{body}.{flipped}",
        f"{head}.{body}.",
        f"{head}.{body}.{tail[:-4]}",
        f"{head}.{body}.{tail}AAAA",
        f"{head}.{body}.{having(jti='1').split('.')[2]}",
    ):
        assert_invalid(rules(), changed)


def test_a_key_that_the_token_brings_is_not_used(rules):
    own = jwk("rsa-other", "a")
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "made up")])
    certificate = (
        x509.CertificateBuilder(name, name, private("rsa-other").public_key(), 1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2050, 1, 1, tzinfo=UTC))
        .sign(private("rsa-other"), hashes.SHA256())
    )
    chain = [base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()]
    brought = {"jwk": own, "jku": "https://127.0.0.1/keys", "x5u": "https://127.0.0.1/chain", "x5c": chain}
    for mine in (rules(), rules(jwks(jwk("rsa", "a")))):
        assert_invalid(mine, token(key="rsa-other", kid="a", **brought))
        assert_valid(mine, token(kid="a", **brought))


# --- the token's text ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        " ",
        ".",
        "..",
        "...",
        "a",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "null",
        "{}",
        "é.é.é",
        "\u0000",
        "Bearer x.y.z",
        "🐍" * 9,
    ],
    ids=shown,
)
def test_text_that_is_no_token_is_refused(rules, wrong):
    assert_invalid(rules(), wrong)


def test_a_token_has_three_segments(rules):
    made = token()
    for wrong in (made + ".", "." + made, made + "." + made.split(".")[2], made.rpartition(".")[0], made + "." + made):
        assert_invalid(rules(), wrong)


@pytest.mark.parametrize(
    ("place", "text"),
    [(0, "="), (1, "="), (2, "="), (2, "=="), (2, "\n"), (0, "\n"), (1, "\r\n"), (2, " "), (1, "+"), (2, "/")],
)
def test_base64url_is_exact(rules, place, text):
    parts = token().split(".")
    parts[place] += text
    assert_invalid(rules(), ".".join(parts))
    assert_invalid(rules(), signed(".".join(parts[:2])) if place < 2 else ".".join(parts))


@pytest.mark.parametrize("place", [0, 1])
def test_base64url_of_what_is_signed_is_exact(rules, place):
    """OPA itself takes proper padding, line ends, and bits that are left over."""
    made = [token({**CLAIMS, "n": "x" * length}, n="x" * length).split(".")[:2] for length in range(3)]
    parts = next(parts for parts in made if len(parts[place]) % 4 == 2)
    segment = parts[place]
    left_over = segment[:-1] + chr(ord(segment[-1]) + 1)
    for changed in (segment + "==", segment + "\n", segment[:8] + "\r\n" + segment[8:], left_over):
        parts[place] = changed
        assert_invalid(rules(), signed(".".join(parts)))
    parts[place] = segment
    assert_valid(rules(), signed(".".join(parts)))


def test_a_token_has_nothing_around_it(rules):
    for wrong in (f" {token()}", f"{token()} ", f"{token()}\n", f"Bearer {token()}"):
        assert_invalid(rules(), wrong)


def test_left_over_bits_are_zero(rules):
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    head, body, tail = token().split(".")
    assert len(tail) % 4 == 2
    other = alphabet[alphabet.index(tail[-1]) + 1]
    assert base64.urlsafe_b64decode(tail + "==") == base64.urlsafe_b64decode(tail[:-1] + other + "==")
    assert_invalid(rules(), f"{head}.{body}.{tail[:-1]}{other}")


def test_the_longest_token(rules):
    def padded(length):
        return having(jti="x" * length)

    length = (65_536 - len(padded(0))) * 3 // 4
    assert len(padded(length)) in (65_535, 65_536)
    assert_valid(rules(), padded(length))
    assert_invalid(rules(), padded(length + 2))


@pytest.mark.parametrize(
    "claims",
    [
        b"",
        "null",
        "[]",
        '"text"',
        "1",
        "{",
        '{"exp":1e100000000}',
        json.dumps(CLAIMS)[:-1],
        json.dumps(CLAIMS) + "}",
        json.dumps(CLAIMS) + "x",
        json.dumps(CLAIMS)[:-1] + ",}",
        "\ufeff" + json.dumps(CLAIMS),
        "//\n" + json.dumps(CLAIMS),
        json.dumps({**CLAIMS, "x": math.nan}),
        json.dumps({**CLAIMS, "x": math.inf}),
    ],
    ids=shown,
)
def test_claims_that_are_no_json_object_are_refused(rules, claims):
    assert_invalid(rules(), token(claims))


@pytest.mark.parametrize(
    "member",
    [
        '"exp": 9999999999',
        '"policy": {"version": 2, "devices": {}}',
        '"a": 1, "a": 1',
        '"a": {"b": 1, "b": 2}',
        '"a": [{"": 1, "": 1}]',
        '"\\u0065xp": 9999999999',
        '"a" : 1, "\\u0061"\n:\t2',
        '"a\\"": 1, "a\\u0022": 2',
        '"a": "\\ud800"',
        '"a": "\\uDFFF"',
        '"a": "\\udc00\\ud800"',
        '"a": "\\ud800\\ud800\\udc00"',
        '"a": "\\ud800x\\udc00"',
        '"a": "\\\\\\ud800"',
        '"\\ud800": 1',
        b'"a": "\xff"',
        b'"a": "\xed\xa0\x80"',
        b'"a\xc0\x80": 1',
        nested(64),
        nested(2000),
        '"deep": ' + '{"a":' * 64 + "0" + "}" * 64,
        '"a": 1e1000',
        '"a": -1.5E+1000000',
        '"a": 1e-1000000000',
        '"a": 1e0001000',
    ],
    ids=shown,
)
def test_r12_holds_for_the_claims(rules, member):
    claims = (
        json.dumps(CLAIMS).encode()[:-1] + b", " + (member if isinstance(member, bytes) else member.encode()) + b"}"
    )
    assert_invalid(rules(), token(claims))


@pytest.mark.parametrize(
    "member",
    [
        '"a": {"a": 1}, "b": {"a": 1}, "c": [{"a": 1}, {"a": 2}]',
        '"a": ":", "b": "{\\"a\\":1,\\"a\\":2}", "c": "\\\\"',
        '":\\":": [":", {":": "\\\\\\":"}]',
        '"A": 1, "a": 2, "a ": 3',
        '"a": "\\ud83d\\ude00\\uD83D\\uDE00"',
        '"a": "\\\\ud800 \\\\\\\\ud800"',
        '"a": "\ufffd \\ufffd \\u0000 \\u0022 \\/ é 😀"',
        nested(63),
        '"deep": ' + '{"a":' * 63 + "0" + "}" * 63,
        '"a": [1e300, -1e-300, 1E+10, 1.50, 0.0, -0, 123456789012345678901234567890]',
        '"a": "1e1000000"',
        '"": {"": [[], {}]}',
    ],
    ids=shown,
)
def test_what_r12_allows_is_not_refused(rules, member):
    assert_valid(rules(), spelled(member))


# --- sets of keys -------------------------------------------------------------------------------------------------


def test_kid_names_the_key(rules):
    mine = rules(jwks(jwk("rsa", "a"), jwk("rsa-other", "b")))
    assert_valid(mine, token(kid="a"))
    assert_valid(mine, token(kid="b", key="rsa-other"))
    for made in (
        token(kid="b"),
        token(kid="a", key="rsa-other"),
        token(kid="c"),
        token(kid="A"),
        token(kid="a "),
        token(kid=""),
        token(),
        token(key="rsa-other"),
    ):
        assert_invalid(mine, made)


@pytest.mark.parametrize("kid", [None, 0, 1, True, ["a"], {"a": "a"}, {}], ids=shown)
def test_a_kid_that_is_no_string_is_refused(rules, kid):
    assert_invalid(rules(jwks(jwk("rsa", "a"), jwk("rsa-other", "1"))), token(kid=kid))
    assert_invalid(rules(), token(kid=kid))


def test_a_set_of_one_key_needs_a_kid_as_well(rules):
    mine = rules(jwks(jwk("rsa", "a")))
    assert_valid(mine, token(kid="a"))
    assert_invalid(mine, token())


def test_a_kid_may_be_any_text(rules):
    kid = 'é"\\{{ x }}\n`😀'
    mine = rules(jwks(jwk("rsa", kid)))
    assert_valid(mine, token(kid=kid))
    assert_invalid(mine, token(kid=kid[:-1]))


def test_a_kid_that_is_there_twice_names_no_key(rules):
    mine = rules(jwks(jwk("rsa", "a"), jwk("rsa-other", "a"), jwk("rsa", "b")))
    assert_valid(mine, token(kid="b"))
    assert_invalid(mine, token(kid="a"))
    assert_invalid(mine, token(kid="a", key="rsa-other"))


@pytest.mark.parametrize("more", [{"use": "enc"}, {"key_ops": ["sign"]}, {"key_ops": "verify"}, {"alg": "RS512"}])
def test_a_key_for_something_else_is_not_used(rules, more):
    mine = rules(jwks(jwk("rsa", "a", **more), jwk("rsa-other", "b", use="sig", key_ops=["verify"], alg="RS256")))
    assert_valid(mine, token(kid="b", key="rsa-other"))
    assert_invalid(mine, token(kid="a"))


# --- audience, issuer, required claims ----------------------------------------------------------------------------


@pytest.mark.parametrize("aud", ["https://cobrowse.io", ["https://cobrowse.io"], ["x", "https://cobrowse.io", "y"]])
def test_the_audience_is_or_is_among_them(rules, aud):
    assert_valid(rules(audience=("https://cobrowse.io",)), having(aud=aud))


@pytest.mark.parametrize(
    "aud",
    [
        None,
        "",
        "https://cobrowse.io/",
        "HTTPS://cobrowse.io",
        "https://cobrowse.i",
        [],
        [""],
        ["x"],
        [["https://cobrowse.io"]],
        ["https://cobrowse.io", 1],
        [None, "https://cobrowse.io"],
        0,
        True,
        {},
        {"https://cobrowse.io": True},
    ],
    ids=shown,
)
def test_another_audience_is_refused(rules, aud):
    assert_invalid(rules(audience=("https://cobrowse.io",)), having(aud=aud))


def test_an_audience_of_null_is_refused(rules):
    assert_invalid(rules(audience=("https://cobrowse.io",)), token({**CLAIMS, "aud": None}))
    assert_invalid(rules(), token({**CLAIMS, "aud": None}))


@pytest.mark.parametrize("aud", ["https://cobrowse.io", "", [], [""], ["x"], 0, False, {}], ids=shown)
def test_any_audience_is_refused_where_none_is_configured(rules, aud):
    assert_valid(rules(), having())
    assert_invalid(rules(), having(aud=aud))


def test_one_of_two_audiences_is_enough(rules):
    mine = rules(audience=("a", "b"))
    for aud in ("a", "b", ["a"], ["b"], ["a", "b"], ["c", "b", "a"]):
        assert_valid(mine, having(aud=aud))
    for aud in ("c", "ab", ["c"], [], None, ["a", "b", 0]):
        assert_invalid(mine, having(aud=aud))


def test_the_issuer_is_the_configured_string(rules):
    mine = rules(issuer="license")
    assert_valid(mine, having(iss="license"))
    for iss in (None, "", "License", "license ", ["license"], {"license": 1}, 0, True, []):
        assert_invalid(mine, having(iss=iss))
    assert_invalid(mine, token({**CLAIMS, "iss": None}))


@pytest.mark.parametrize("iss", ["license", "", 0, True, ["license"], {}], ids=shown)
def test_the_issuer_is_not_looked_at_where_none_is_configured(rules, iss):
    assert_valid(rules(), having(iss=iss))


def test_required_claims_are_there(rules):
    mine = rules(required=("sub", "iat"))
    assert_valid(mine, having(iat=NOW - 1))
    assert_valid(mine, having(iat=NOW - 1, sub=False))
    assert_valid(mine, token({**CLAIMS, "iat": NOW - 1, "sub": None}))
    for made in (having(), having(iat=NOW - 1, sub=None), having(sub=None)):
        assert_invalid(mine, made)


# --- numbers that nobody can rewrite ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number", ["1.50", "2.0", "0.1234567890123456780", "1e10", "1.5e10", "120.82399798385188e220", "0.0", "1" * 41]
)
def test_a_policy_with_a_number_that_opa_compares_inexactly_decides_nothing(rules, number):
    claims = json.dumps({**CLAIMS, "policy": {"version": 2, "devices": {"custom_data": {"n": "NUMBER"}}}})
    made = token(claims.replace('"NUMBER"', number))
    resource = json.loads(f'{{"id": "device1", "custom_data": {{"n": {number}}}}}')
    assert rules().decision(made, resource) == INVALID


@pytest.mark.parametrize("number", ["0", "-7", "10", "1.5", "-0.25", "15e3", "1e301", "0.1", "9007199254740993", "0.5"])
def test_a_policy_with_exact_numbers_decides(rules, number):
    claims = json.dumps({**CLAIMS, "policy": {"version": 2, "devices": {"custom_data": {"n": "NUMBER"}}}})
    made = token(claims.replace('"NUMBER"', number))
    question = '{"input": {"token": "%s", "type": "devices", "resource": {"id": "d", "custom_data": {"n": %s}}}}'
    mine = rules()
    url = f"{mine.url}/v1/data/{mine.root.replace('.', '/')}/decision"
    for found, reason in ((number, "matched"), ("8", "constraint_failed"), (f'"{number}"', "constraint_failed")):
        reply = requests.post(url, data=question % (made, found), timeout=60)
        assert reply.json()["result"]["reason"] == reason


def test_digits_in_the_strings_of_a_policy_are_no_numbers(rules):
    text = 'a"1.50,\\"2.0,'
    made = having(policy={"version": 2, "devices": {"custom_data": {text: text, "1.50": ":2.0,"}}})
    assert rules().decision(made, {"id": "d", "custom_data": {text: text, "1.50": ":2.0,"}}) == MATCHED
    assert rules().decision(made, {"id": "d", "custom_data": {text: text, "1.50": ":2,"}})["allow"] is False


def test_numbers_outside_the_policy_may_be_written_anyhow(rules):
    assert_valid(rules(), token(json.dumps(CLAIMS).replace(str(NOW + DAY), f"{NOW + DAY}.0")))


# --- settings -----------------------------------------------------------------------------------------------------


def private_pem(name):
    return private(name).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    "settings",
    [
        {"keys": ""},
        {"keys": "secret"},
        {"keys": pem() + pem("rsa-other")},
        {"keys": private_pem("rsa")},
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
        {"keys": json.dumps(jwk("rsa", "a"))},
        {"keys": jwks({"kty": "oct", "kid": "a", "k": b64(bytes(64))})},
        {"keys": jwks(jwk("rsa", "a", d="AAAA"))},
        {"keys": jwks(jwk("rsa-1024", "a"))},
        {"keys": jwks(jwk("rsa", "a"), jwk("rsa", "a"))},
        {"keys": jwks({name: value for name, value in jwk("rsa", "a").items() if name != "kid"})},
        {"keys": jwks(jwk("P-256", "a"))},
        {"keys": jwks(jwk("Ed448", "a")), "algorithms": ("EdDSA",)},
    ],
)
def test_keys_and_settings_that_would_weaken_the_checks_are_refused(settings):
    with pytest.raises(ConfigurationError):
        TokenChecks(**settings)


def test_a_secret_in_a_set_is_not_rendered(rules):
    mine = rules(jwks(jwk("rsa", "a"), {"kty": "oct", "kid": "b", "k": b64(b"very secret " * 6)}))
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

    asked = [device(other), device(equal), {"id": ""}, device(equal)]
    reasons = [decision.reason for decision in bridge.check_many(made, "devices", asked)]
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
