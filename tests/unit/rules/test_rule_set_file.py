"""Rule-set files: what a rule set holds, written and read again; nothing is half believed, and nothing is secret."""

from __future__ import annotations

import dataclasses
import gzip
import json
import tomllib
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from bridge import ConfigurationError, PolicySettings, RuleSet, TokenChecks
from bridge.rendering import fingerprint
from bridge.rendering.rule_set_file import MAX_BYTES, MEMBERS, is_rule_set

if TYPE_CHECKING:
    from pathlib import Path

RSA = rsa.generate_private_key(65537, 2048)
PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
EDWARDS = ed25519.Ed25519PrivateKey.generate().public_key()
ED_PEM = EDWARDS.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
JWK = {**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "first"}
EC_JWK = {**ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True), "kid": 'é"\n😀'}
JWKS = json.dumps({"keys": [JWK, EC_JWK]})
KEYS = ((PEM, ("RS256", "PS512")), (f"  {PEM}\n", ("RS256",)), (ED_PEM, ("EdDSA",)), (JWKS, ("RS256", "ES256")))

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
NAMES = st.from_regex(r"[a-z_][a-zA-Z0-9_]{0,8}", fullmatch=True).map(lambda name: f"r_{name}")
ROOTS = st.lists(NAMES, min_size=1, max_size=3).map(".".join)


@st.composite
def rule_sets(draw):
    keys, algorithms = draw(st.sampled_from(KEYS))
    token = TokenChecks(
        keys,
        draw(st.lists(st.sampled_from(algorithms), min_size=1, unique=True).map(tuple)),
        draw(st.lists(TEXTS, max_size=3).map(tuple)),
        draw(st.none() | TEXTS),
        draw(st.lists(TEXTS, max_size=3).map(tuple)),
    )
    policy = PolicySettings(
        claim=draw(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)),
        types=draw(st.lists(NAMES, min_size=1, max_size=4, unique=True).map(tuple)),
        require_policy=draw(st.booleans()),
        versions=draw(st.sampled_from(({2}, {3}, {2, 3}))),
    )
    return RuleSet(policy, f"p.{draw(ROOTS)}", f"d.{draw(ROOTS)}", draw(st.sampled_from((None, token))))


@pytest.fixture
def loaded(tmp_path: Path):
    """Loads a rule set from bytes in a file."""

    def load(data: bytes | str, name: str = "rules") -> RuleSet:
        path = tmp_path / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return RuleSet.load(path)

    return load


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rule_set=rule_sets())
def test_what_is_written_is_read_again(loaded, rule_set):
    text = rule_set.to_json()
    again = loaded(text)
    assert again == rule_set
    assert again.to_json() == text
    assert text.isascii()
    assert text.endswith("}\n")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rule_set=rule_sets())
def test_the_rules_of_a_file_have_the_same_fingerprint(loaded, rule_set):
    assert fingerprint(loaded(rule_set.to_json())) == fingerprint(rule_set)


def test_a_file_may_be_toml(loaded):
    text = f"""
        package_root = "acme.policy"
        [policy]
        claim = "https://acme.example/policy"
        types = ["robots"]  # of which there are many
        require_policy = true
        versions = [2, 3]
        [token]
        keys = '''
{PEM}'''
        algorithms = ["RS256"]
        audience = ["a", "b"]
        issuer = "x"
        required = ["sub"]
    """
    wanted = RuleSet(
        PolicySettings("https://acme.example/policy", ("robots",), require_policy=True, versions=frozenset({2, 3})),
        package_root="acme.policy",
        token=TokenChecks(tomllib.loads(text)["token"]["keys"], ("RS256",), ("a", "b"), "x", ("sub",)),
    )
    assert loaded(text) == loaded(text, "rules.toml") == loaded(text, "rules.cfg") == wanted


def test_what_is_left_out_has_its_default(loaded):
    assert loaded('{"policy": {}}') == loaded("[policy]") == RuleSet()
    assert loaded('{"policy": {"require_policy": true}}') == RuleSet(PolicySettings(require_policy=True))
    assert loaded(json.dumps({"token": {"keys": PEM}})) == RuleSet(token=TokenChecks(PEM))


def test_no_setting_can_be_forgotten():
    """A member for each field: one that is not written would be read as its default."""
    for kind, members in ((RuleSet, MEMBERS), (PolicySettings, MEMBERS["policy"]), (TokenChecks, MEMBERS["token"])):
        assert list(members) == [field.name for field in dataclasses.fields(kind)]
    written = json.loads(RuleSet(token=TokenChecks(PEM, issuer="x")).to_json())
    assert list(written) == list(MEMBERS)
    for name in ("policy", "token"):
        assert list(written[name]) == list(MEMBERS[name])


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "it has no members; `jwt-bridge render --write-rule-set FILE` writes"),
        (b"  \n", "it has no members"),
        (b"{}", "it has no members"),
        (b"# nothing\n", "it has no members"),
        (b"\xef\xbb\xbf{}", "it begins with a byte order mark: save it as UTF-8 without one"),
        ("{}".encode("utf-16"), "it is UTF-16, not UTF-8: save it as UTF-8"),
        ("{}".encode("utf-16-le"), "it is UTF-16, not UTF-8: save it as UTF-8"),
        ("\ufeff{}".encode("utf-16-be"), "it is UTF-16, not UTF-8: save it as UTF-8"),
        (gzip.compress(b"{}", mtime=0), "it is compressed (gzip): decompress it first"),
        (b'{"policy":\n{"claim": "\xff"}}', "line 2: it is not UTF-8"),
        (b'{"policy": {}} {}', "line 1, column 16"),
        (b'{"policy": {}', "line 1, column 14"),
        (b'{"policy": {"claim": "a", "claim": "b"}}', "duplicate member `claim` (R12.2)"),
        (b'{"policy": {}, "policy": {}}', "duplicate member `policy` (R12.2)"),
        (b'{"policy": {"claim": "\\ud800"}}', "(R12.3)"),
        (b'{"a":' * 100, "nested more than 64 deep"),
        (b"a = " + b"[" * 20_000, "nested too deep"),
        (b"[policy]\n[policy]\n", "it is neither a JSON object nor TOML"),
        (b'[policy]\nclaim = "a"\nclaim = "b"\n', "it is neither a JSON object nor TOML"),
        (b"allow if true\n", "it is neither a JSON object nor TOML"),
        (b"\x00\x01", "it is neither a JSON object nor TOML"),
        (b'{"polcy": {}}', "`polcy`: no such member is known here; the known ones are policy, package_root, data_root"),
        (b'{"require_policy": true}', "`require_policy`: no such member is known here; the known ones are policy, "),
        (b'{"policy": {"requirePolicy": true}}', "`policy.requirePolicy`: no such member is known here; the known "),
        (b'{"policy": {"require_policy ": true}}', "`policy.require_policy `: no such member"),
        (b'{"\\u001b[2J\\n": 1}', "`\\x1b[2J\\n`: no such member"),
        (b'{"policy": null}', "`policy`: give an object, with some of claim, types, require_policy, versions"),
        (b'{"policy": {"require_policy": "true"}}', "`policy.require_policy`: give true or false"),
        (b'{"policy": {"require_policy": 1}}', "`policy.require_policy`: give true or false"),
        (b'{"policy": {"require_policy": null}}', "`policy.require_policy`: give true or false"),
        (b'{"policy": {"claim": 1}}', "`policy.claim`: give a string"),
        (b'{"policy": {"types": "devices"}}', "`policy.types`: give an array of strings"),
        (b'{"policy": {"types": ["devices", 1]}}', "`policy.types`: give an array of strings"),
        (b'{"policy": {"types": {"devices": {}}}}', "`policy.types`: give an array of strings"),
        (b'{"policy": {"types": []}}', "the resource types must be a tuple of one or more strings"),
        (b'{"policy": {"versions": 2}}', "`policy.versions`: give an array of integers"),
        (b'{"policy": {"versions": [true]}}', "`policy.versions`: give an array of integers"),
        (b'{"policy": {"versions": ["2"]}}', "`policy.versions`: give an array of integers"),
        (b"[policy]\nversions = [" + b"2" * 5_000 + b"]", "it is neither a JSON object nor TOML"),
        (b"[policy]\nversions = [2.0]", "`policy.versions`: give an array of integers"),
        (b'{"policy": {"versions": [4]}}', "the versions must be 2, 3 or both"),
        (b'{"policy": {"versions": []}}', "the versions must be 2, 3 or both"),
        (b'{"package_root": null}', "`package_root`: give a string"),
        (b'{"package_root": "a b"}', "the package root `a b` must be names"),
        (b'{"package_root": "a", "data_root": "a.b"}', "must not be inside each other"),
        (b'{"token": null}', "`token`: give an object"),
        (b'{"token": {}}', "`token.keys`: it is missing"),
        (b'{"token": {"issuer": "x"}}', "`token.keys`: it is missing"),
        (b'{"token": {"keys": "x"}}', "not a PEM text"),
        (b'{"token": {"secret": "x"}}', "`token.secret`: no such member is known here"),
        (b"[policy]\nclaim = 2026-01-01", "`policy.claim`: give a string"),
        (b'{"policy": {}}' + b" " * MAX_BYTES, "more than 1,048,576 bytes"),
    ],
)
def test_what_is_no_rule_set_is_refused_with_place_and_cause(loaded, data, cause):
    with pytest.raises(ConfigurationError) as refused:
        loaded(data)
    text = str(refused.value)
    assert cause in text
    assert text.startswith("rule-set file `")
    assert "/rules`: " in text
    assert text.isprintable()


@pytest.mark.parametrize(
    ("name", "data"), [("rules.json", "[policy]"), ("rules.json", "[1]"), ("rules.json", "1"), ("rules.toml", "{}")]
)
def test_the_ending_of_a_name_says_what_it_is(loaded, name, data):
    with pytest.raises(ConfigurationError):
        loaded(data, name)


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("/", "it cannot be read: is a directory"),
        ("/nowhere/rules.json", "it cannot be read: no such file or directory"),
        ("rules\0", "it cannot be read: embedded null byte"),
        ("/dev/zero", "more than 1,048,576 bytes"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(path, cause):
    with pytest.raises(ConfigurationError) as refused:
        RuleSet.load(path)
    assert cause in str(refused.value)
    assert "--write-rule-set" in str(refused.value)


def test_what_looks_like_a_rule_set_is_told_from_other_files():
    for data in (RuleSet().to_json().encode(), b"[policy]\n", b'{"data_root": "a"}'):
        assert is_rule_set(data)
    for data in (b"", b"{}", b"[1]", b'{"keys": []}', b"package a\n", b"\0asm", b"[tool.ruff]\n", b"\xff"):
        assert not is_rule_set(data)


# Nothing secret


@pytest.mark.parametrize(
    "secret",
    [
        {**RSAAlgorithm.to_jwk(RSA, as_dict=True), "kid": "private"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA", "d": "AA"},
    ],
    ids=["RSA", "oct", "OKP"],
)
def test_a_private_key_among_public_ones_is_neither_written_nor_read(loaded, secret):
    keys = json.dumps({"keys": [JWK, secret]})
    checks = TokenChecks(keys)  # it is left out of the rules, whose text does not have it
    with pytest.raises(ConfigurationError, match="must have no secret"):
        RuleSet(token=checks).to_json()
    with pytest.raises(ConfigurationError, match="must have no secret") as refused:
        loaded(json.dumps({"token": {"keys": keys}}))
    assert secret.get("d", secret.get("k")) not in str(refused.value).split("`")


def test_what_could_not_be_read_again_is_not_written():
    keys = json.dumps({"keys": [{**JWK, "kid": f"{number:0900}"} for number in range(1_000)]})
    with pytest.raises(ConfigurationError, match="more than 1,048,576 bytes: give fewer keys"):
        RuleSet(token=TokenChecks(keys)).to_json()
