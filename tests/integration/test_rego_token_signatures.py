"""What rule sets demand of the header, the algorithm, the signature and the key of a raw token."""

import base64
import json
from datetime import UTC, datetime

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from rego_token_rules import (
    ALL,
    CLAIMS,
    FAMILIES,
    OpaRules,
    assert_invalid,
    assert_refused,
    assert_valid,
    having,
    jwks,
    pem,
    shown,
    token,
)
from token_making import b64, jwk_of, private


@pytest.fixture(scope="module")
def rules(start_opa, tmp_path_factory):
    started = OpaRules(start_opa, tmp_path_factory)
    yield started
    started.stop()


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


@pytest.mark.parametrize(("alg", "name"), FAMILIES)
def test_every_algorithm_verifies_with_its_key_in_pem(rules, alg, name):
    mine = rules(pem(name), algorithms=(alg,))
    made = token(key=name, alg=alg)
    assert_valid(mine, made)
    head, _, tail = made.split(".")
    assert_invalid(mine, f"{head}.{b64(json.dumps({**CLAIMS, 'policy': None}))}.{tail}")


@pytest.mark.parametrize(("alg", "name"), FAMILIES)
def test_every_algorithm_verifies_with_its_key_in_a_set(rules, alg, name):
    mine = rules(jwks(*[jwk_of(name, name) for name in ("rsa", "P-256", "P-384", "P-521", "Ed25519")]), algorithms=ALL)
    assert_valid(mine, token(key=name, alg=alg, kid=name))
    for _, other in FAMILIES:
        if other != name:
            assert_invalid(mine, token(key=name, alg=alg, kid=other))


def test_a_key_verifies_no_other_algorithm_of_its_family(rules):
    mine = rules(jwks(jwk_of("rsa", "a", alg="RS256"), jwk_of("rsa-other", "b")), algorithms=("RS256", "PS256"))
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
    own = jwk_of("rsa-other", "a")
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "made up")])
    certificate = (
        x509.CertificateBuilder(name, name, private("rsa-other").public_key(), 1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2050, 1, 1, tzinfo=UTC))
        .sign(private("rsa-other"), hashes.SHA256())
    )
    chain = [base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()]
    brought = {"jwk": own, "jku": "https://127.0.0.1/keys", "x5u": "https://127.0.0.1/chain", "x5c": chain}
    for mine in (rules(), rules(jwks(jwk_of("rsa", "a")))):
        assert_invalid(mine, token(key="rsa-other", kid="a", **brought))
        assert_valid(mine, token(kid="a", **brought))


# --- sets of keys -------------------------------------------------------------------------------------------------


def test_kid_names_the_key(rules):
    mine = rules(jwks(jwk_of("rsa", "a"), jwk_of("rsa-other", "b")))
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
    assert_invalid(rules(jwks(jwk_of("rsa", "a"), jwk_of("rsa-other", "1"))), token(kid=kid))
    assert_invalid(rules(), token(kid=kid))


def test_a_set_of_one_key_needs_a_kid_as_well(rules):
    mine = rules(jwks(jwk_of("rsa", "a")))
    assert_valid(mine, token(kid="a"))
    assert_invalid(mine, token())


def test_a_kid_may_be_any_text(rules):
    kid = 'é"\\{{ x }}\n`😀'
    mine = rules(jwks(jwk_of("rsa", kid)))
    assert_valid(mine, token(kid=kid))
    assert_invalid(mine, token(kid=kid[:-1]))


def test_a_kid_that_is_there_twice_names_no_key(rules):
    mine = rules(jwks(jwk_of("rsa", "a"), jwk_of("rsa-other", "a"), jwk_of("rsa", "b")))
    assert_valid(mine, token(kid="b"))
    assert_invalid(mine, token(kid="a"))
    assert_invalid(mine, token(kid="a", key="rsa-other"))


@pytest.mark.parametrize("more", [{"use": "enc"}, {"key_ops": ["sign"]}, {"key_ops": "verify"}, {"alg": "RS512"}])
def test_a_key_for_something_else_is_not_used(rules, more):
    mine = rules(jwks(jwk_of("rsa", "a", **more), jwk_of("rsa-other", "b", use="sig", key_ops=["verify"], alg="RS256")))
    assert_valid(mine, token(kid="b", key="rsa-other"))
    assert_invalid(mine, token(kid="a"))
