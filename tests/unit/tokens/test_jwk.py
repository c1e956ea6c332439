"""Single JWKs: what makes one usable, what refuses it, and why."""

from __future__ import annotations

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from token_making import CLAIMS, FAMILIES, SECRET, X, Y, b64, in_set, jwk_of, made, oct_of, public, verifier

from bridge.errors import AlgorithmNotAllowedError, ConfigurationError, UnknownKeyError
from bridge.tokens import JwkSet, StaticKey, jwk
from bridge.tokens.keys import UnusableKeyError


@pytest.mark.parametrize(("alg", "name"), FAMILIES)
def test_each_kind_of_jwk(alg, name):
    token = made(alg=alg, key=name, kid="a")
    assert verifier(StaticKey.from_jwk(jwk_of(name)), algorithms=(alg,)).verify(token) == CLAIMS
    assert verifier(JwkSet({"keys": [jwk_of(name, "a")]}), algorithms=(alg,)).verify(token) == CLAIMS


GOOD_MEMBERS = [
    {},
    {"use": "sig"},
    {"key_ops": ["verify"]},
    {"key_ops": ["sign", "verify"]},
    {"alg": "RS256"},
    {"x": 1},
]
BAD_MEMBERS = [
    ({"use": "enc"}, "`use`"),
    ({"use": "SIG"}, "`use`"),
    ({"use": None}, "`use`"),
    ({"use": ["sig"]}, "`use`"),
    ({"key_ops": []}, "`key_ops`"),
    ({"key_ops": ["sign"]}, "`key_ops`"),
    ({"key_ops": "verify"}, "`key_ops`"),
    ({"key_ops": {"verify": 1}}, "`key_ops`"),
    ({"key_ops": None}, "`key_ops`"),
    ({"use": "sig", "key_ops": ["encrypt"]}, "`key_ops`"),
    ({"alg": "RSA-OAEP"}, "`alg`"),
    ({"alg": "ES256"}, "`alg`"),
    ({"alg": "HS256"}, "`alg`"),
    ({"alg": None}, "`alg`"),
    ({"alg": 5}, "`alg`"),
    ({"kty": None}, "`kty`"),
    ({"kty": "rsa"}, "`kty`"),
    ({"kty": "EC"}, "`crv`"),
    ({"n": None}, "`n`"),
    ({"n": ""}, "numbers"),
    ({"n": "AQAB="}, "`n`"),
    ({"e": 65537}, "`e`"),
    ({"e": "AQ AB"}, "`e`"),
    *(({name: "AQAB"}, "private") for name in ("d", "p", "q", "dp", "dq", "qi")),
    ({"oth": []}, "private"),
]


@pytest.mark.parametrize("members", GOOD_MEMBERS)
def test_members_that_leave_a_jwk_usable(members):
    assert verifier(StaticKey.from_jwk(jwk_of("rsa", **members))).verify(made()) == CLAIMS
    assert in_set(jwk_of("rsa", "a", **members)).verify(made(kid="a")) == CLAIMS


@pytest.mark.parametrize(("members", "cause"), BAD_MEMBERS)
def test_members_that_say_otherwise(members, cause):
    with pytest.raises(ConfigurationError, match=cause):
        StaticKey.from_jwk(jwk_of("rsa", **members))
    subject = in_set(jwk_of("rsa", "bad", **members), jwk_of("rsa", "good"))
    with pytest.raises(UnknownKeyError, match=cause):
        subject.verify(made(kid="bad"))
    assert subject.verify(made(kid="good")) == CLAIMS


def test_a_jwk_is_for_its_alg_only():
    subject = verifier(
        JwkSet({"keys": [jwk_of("rsa", "a", alg="RS256"), jwk_of("rsa", "b")]}), algorithms=("RS256", "PS256")
    )
    assert subject.verify(made(kid="a")) == CLAIMS
    assert subject.verify(made(alg="PS256", kid="b")) == CLAIMS
    with pytest.raises(AlgorithmNotAllowedError):
        subject.verify(made(alg="PS256", kid="a"))
    with pytest.raises(ConfigurationError, match="does not fit"):
        verifier(StaticKey.from_jwk(jwk_of("rsa", alg="RS256")), algorithms=("RS256", "PS256"))


@pytest.mark.parametrize(
    "jwk",
    [
        {**jwk_of("P-256"), "crv": "P-384"},
        {**jwk_of("P-256"), "crv": "secp256k1"},
        {**jwk_of("P-256"), "x": jwk_of("P-256")["y"]},
        {**jwk_of("P-256"), "x": b64(b"\x01" * 31)},
        {**jwk_of("P-256"), "x": b64(b"\0" + public("P-256").public_numbers().x.to_bytes(32, "big"))},
        {**jwk_of("P-256"), "d": "AQAB"},
        {"kty": "EC", "crv": "P-256"},
        {**jwk_of("Ed25519"), "crv": "Ed448"},
        {**jwk_of("Ed25519"), "crv": "X25519"},
        {**jwk_of("Ed25519"), "d": b64(bytes(32))},
        {**jwk_of("Ed25519"), "x": b64(bytes(31))},
        {**jwk_of("Ed25519"), "alg": "ES256"},
        jwk_of("secp256k1"),
        oct_of(SECRET[:31]),
        oct_of(SECRET, use="enc"),
        oct_of(SECRET, key_ops=["sign"]),
        oct_of(SECRET[:32], alg="HS512"),
        oct_of(SECRET, k=5),
        {"kty": "oct"},
        {"kty": []},
        {},
        [],
        None,
        "no JSON",
        '{"kty":"oct","kty":"oct","k":"AAAA"}',
        b'{"kty":"oct","k":NaN}',
        {1: 2},
        {"kty": {"a set"}},
    ],
)
def test_jwks_that_are_refused(jwk):
    with pytest.raises(ConfigurationError, match="key: "):
        StaticKey.from_jwk(jwk)


def test_a_malformed_jwk_text_is_not_shown():
    secret = b64(SECRET)
    for text in (f'{{"kty":"oct","k":{secret}}}', f'{{"{secret}":1,"{secret}":2}}', secret):
        with pytest.raises(ConfigurationError) as refused:
            StaticKey.from_jwk(text)
        assert secret[:10] not in str(refused.value)


@pytest.mark.parametrize(
    ("document", "cause"),
    [
        ({"kty": "R\n"}, "its `kty` `R\\n` is not supported"),
        ({"kty": "EC", "crv": "P\n"}, "its `crv` `P\\n` is not supported"),
        ({"kty": "OKP", "crv": "P\n"}, "its `crv` `P\\n` is not supported"),
        *(
            (
                {"kty": "EC", "crv": "P-256", "x": b64(x), "y": b64(y)},
                "its `x` and `y` are not 32 bytes each",
            )
            for x, y in ((X[1:], Y), (b"\0" + X, Y), (X, Y[1:]), (X, b"\0" + Y))
        ),
        ({"kty": "OKP", "crv": "Ed25519", "x": b64(b"x" * 31)}, "its numbers are not a valid key"),
        ({"kty": "EC", "crv": "P-256", "x": b64(Y), "y": b64(X)}, "its numbers are not a valid key"),
        (
            {"kty": "oct", "k": "="},
            "its `k` is not base64url: it has a character that base64url does not have: `=` is padding, take it off",
        ),
        ({"kty": "oct", "k": "s$cret"}, "its `k` is not base64url: it has a character that base64url does not have"),
    ],
)
def test_a_jwk_that_is_refused_says_why(document, cause):
    with pytest.raises(UnusableKeyError) as refusal:
        jwk.key_from_jwk(document)
    assert str(refusal.value) == cause


def test_a_kind_of_key_that_openssl_lacks_is_refused(monkeypatch):
    def lacking(_):
        raise UnsupportedAlgorithm("no such curve")

    monkeypatch.setitem(jwk._READERS, "OKP", lacking)
    with pytest.raises(UnusableKeyError, match="its numbers are not a valid key"):
        jwk.key_from_jwk({"kty": "OKP"})


def test_only_a_public_key_is_told_from_a_private_one():
    assert jwk.key_from_jwk({"kty": "oct", "k": b64(b"x" * 32), "d": "", "p": ""}).kind == "HMAC secret"
    assert jwk.key_from_jwk({"kty": "EC", "crv": "P-256", "x": b64(X), "y": b64(Y)}).kind == "EC P-256"


@pytest.mark.parametrize(
    ("document", "cause"),
    [
        ('{"keys":\n[1,]}', "the JSON is not well-formed (R12.1, line 2, column 4)"),
        ({"keys": [float("nan")]}, "the JSON is not well-formed (R12.7)"),
    ],
)
def test_a_document_that_is_malformed_says_where_and_quotes_nothing(document, cause):
    with pytest.raises(UnusableKeyError) as refusal:
        jwk.document_from(document)
    assert str(refusal.value) == cause
