"""The token rules (SEMANTICS, "Tokens"), each allowed case beside denied ones."""

import base64
import dataclasses
import functools
import hashlib
import hmac
import json
import os
import random
import threading
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from bridge.errors import (
    AlgorithmNotAllowedError,
    ConfigurationError,
    ExpiredTokenError,
    ImmatureTokenError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    InvalidTokenError,
    KeysUnavailableError,
    MalformedTokenError,
    MissingRequiredClaimError,
    UnknownKeyError,
    UsageError,
)
from bridge.tokens import JwkSet, JwksFile, JwksUrl, KeySource, StaticKey, TokenVerifier, VerificationKey

NOW = 1_700_000_000
CLAIMS = {"sub": "agent@example.com", "exp": NOW + 60}
SECRET = bytes(range(64))

# --- making keys and tokens ---------------------------------------------------------------------------------------


@functools.cache
def private(name):
    """A private key, made once a run: `rsa`, `rsa-other`, `rsa-1024`, `P-256`, `Ed25519`, ..."""
    makers = {
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "rsa-other": lambda: rsa.generate_private_key(65537, 2048),
        "rsa-1024": lambda: rsa.generate_private_key(65537, 1024),
        "rsa-2047": lambda: rsa.generate_private_key(65537, 2047),
        "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
        "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
        "Ed25519": ed25519.Ed25519PrivateKey.generate,
        "Ed448": ed448.Ed448PrivateKey.generate,
        "X25519": x25519.X25519PrivateKey.generate,
        "dsa": lambda: dsa.generate_private_key(2048),
    }
    return makers[name]()


def public(name):
    return private(name).public_key()


def pem(name, form=PublicFormat.SubjectPublicKeyInfo):
    return public(name).public_bytes(Encoding.PEM, form)


def private_pem(name, encryption=None):
    return private(name).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def b64(data):
    data = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def text_of(value):
    return value if isinstance(value, str | bytes) else json.dumps(value)


def made(claims=CLAIMS, *, key="rsa", alg="RS256", header=None, **more):
    """A signed token; `header` and `claims` may be texts, which are taken as they are."""
    header = {"alg": alg, **more} if header is None else header
    message = f"{b64(text_of(header))}.{b64(text_of(claims))}"
    signer = jwt.algorithms.get_default_algorithms()[alg]
    signature = signer.sign(message.encode(), key if isinstance(key, bytes) else private(key))
    return f"{message}.{b64(signature)}"


def verifier(key=None, **settings):
    settings = {"clock": lambda: NOW, **settings}
    return TokenVerifier(StaticKey.from_public_key(public("rsa")) if key is None else key, **settings)


def jwk_of(name, kid=None, **more):
    key = public(name)
    algorithm = {
        rsa.RSAPublicKey: jwt.algorithms.RSAAlgorithm,
        ec.EllipticCurvePublicKey: jwt.algorithms.ECAlgorithm,
        ed25519.Ed25519PublicKey: jwt.algorithms.OKPAlgorithm,
        ed448.Ed448PublicKey: jwt.algorithms.OKPAlgorithm,
    }
    [maker] = [maker for kind, maker in algorithm.items() if isinstance(key, kind)]
    jwk = maker.to_jwk(key, as_dict=True)
    jwk.pop("key_ops", None)
    if kid is not None:
        jwk["kid"] = kid
    return {**jwk, **more}


def oct_of(secret, kid=None, **more):
    return {"kty": "oct", "k": b64(secret), **({} if kid is None else {"kid": kid}), **more}


def in_set(*jwks):
    return verifier(JwkSet({"keys": list(jwks)}))


# --- signature and algorithm --------------------------------------------------------------------------------------

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
    ("EdDSA", "Ed448"),
]


@pytest.mark.parametrize(("alg", "name"), FAMILIES)
def test_each_public_key_algorithm(alg, name):
    subject = verifier(pem(name), algorithms=(alg,))
    token = made(alg=alg, key=name)

    assert subject.verify(token) == CLAIMS
    head, body, signature = token.split(".")
    changed = b64(json.dumps({**CLAIMS, "sub": "somebody else"}))
    with pytest.raises(InvalidSignatureError):
        subject.verify(f"{head}.{changed}.{signature}")
    with pytest.raises(InvalidSignatureError):
        subject.verify(f"{head}.{body}.")
    with pytest.raises(InvalidSignatureError):
        subject.verify(f"{head}.{body}.{b64(base64.urlsafe_b64decode(signature + '==')[:-1])}")


@pytest.mark.parametrize(("alg", "size"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_each_hmac_algorithm_needs_a_secret_as_long_as_its_hash(alg, size):
    secret = SECRET[:size]
    subject = verifier(StaticKey.from_secret(secret), algorithms=(alg,))

    assert subject.verify(made(alg=alg, key=secret)) == CLAIMS
    with pytest.raises(InvalidSignatureError):
        subject.verify(made(alg=alg, key=secret[::-1]))
    with pytest.raises(ConfigurationError):
        verifier(StaticKey.from_secret(secret[:-1]), algorithms=(alg,))


def test_another_key_of_the_same_kind_is_an_invalid_signature():
    with pytest.raises(InvalidSignatureError):
        verifier().verify(made(key="rsa-other"))


def test_the_default_is_rs256_alone():
    assert verifier().algorithms == ("RS256",)
    with pytest.raises(AlgorithmNotAllowedError):
        verifier().verify(made(alg="RS384"))
    assert verifier(algorithms=("RS256", "RS384")).verify(made(alg="RS384")) == CLAIMS


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE"])
def test_none_is_never_accepted(name):
    with pytest.raises(ConfigurationError, match="never accepted"):
        verifier(algorithms=("RS256", name))
    unsigned = f"{b64(json.dumps({'alg': name}))}.{b64(json.dumps(CLAIMS))}."
    with pytest.raises(AlgorithmNotAllowedError, match="the token is not signed"):
        verifier().verify(unsigned)


@pytest.mark.parametrize(
    "names",
    [(), "RS256", b"RS256", ("ES256K",), ("rs256",), ("RS256", "XX"), ("",), (None,), ([],), None, 5, ("ES521",)],
)
def test_algorithms_that_cannot_be_configured(names):
    with pytest.raises(ConfigurationError, match="algorithms"):
        verifier(algorithms=names)


def test_a_bare_string_is_no_list_of_algorithms():
    with pytest.raises(ConfigurationError, match="not a bare string"):
        verifier(algorithms="RS256")


@pytest.mark.parametrize("name", ["ES256K", "rs256", "RS257", "HS1", "ES521", "Ed25519", ""])
def test_algorithms_that_are_not_supported(name, tmp_path):
    for key in (pem("rsa"), JwksFile(tmp_path)):
        with pytest.raises(ConfigurationError, match="is not supported"):
            verifier(key, algorithms=("RS256", name))


@pytest.mark.parametrize("alg", ["rs256", "RS256 ", "", "HS256", "XX"])
def test_the_algorithm_is_compared_exactly(alg):
    with pytest.raises(AlgorithmNotAllowedError):
        verifier().verify(made(header={"alg": alg}))


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("rsa", ("RS256", "ES256")),
        ("rsa", ("RS256", "HS256")),
        ("rsa", ("HS256",)),
        ("rsa", ("EdDSA",)),
        ("P-256", ("ES384",)),
        ("P-384", ("ES256",)),
        ("P-521", ("ES384", "ES512")),
        ("P-256", ("RS256",)),
        ("Ed25519", ("ES256",)),
        ("Ed448", ("RS256",)),
    ],
)
def test_every_algorithm_must_fit_the_one_key(key, names):
    with pytest.raises(ConfigurationError, match="does not fit"):
        verifier(pem(key), algorithms=names)


def test_a_secret_fits_no_public_key_algorithm_and_no_longer_hash():
    for names in (("RS256",), ("HS256", "RS256"), ("HS256", "HS384")):
        with pytest.raises(ConfigurationError, match="does not fit"):
            verifier(StaticKey.from_secret(SECRET[:32]), algorithms=names)
    assert verifier(StaticKey.from_secret(SECRET), algorithms=("HS256", "HS512"))


def test_a_public_key_is_never_a_secret():
    """The classic: HS256 with the RSA public key's text as the secret."""
    texts = [
        pem("rsa"),
        pem("rsa").strip(),
        public("rsa").public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    ]
    for text in texts:
        message = f"{b64(json.dumps({'alg': 'HS256'}))}.{b64(json.dumps(CLAIMS))}"
        forged = f"{message}.{b64(hmac.digest(text, message.encode(), hashlib.sha256))}"
        with pytest.raises(AlgorithmNotAllowedError):
            verifier().verify(forged)
        with pytest.raises(AlgorithmNotAllowedError):
            verifier(JwkSet({"keys": [jwk_of("rsa", "a")]}), algorithms=("RS256", "HS256")).verify(
                made(alg="HS256", key=text, kid="a")
            )


def test_texts_of_keys_are_refused_as_secrets():
    der = public("rsa").public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    texts = [
        pem("rsa"),
        b"  \n" + pem("P-256"),
        private_pem("rsa"),
        pem("rsa", PublicFormat.PKCS1),
        certificate(Encoding.PEM),
        certificate(Encoding.DER),
        der,
        base64.b64encode(der),
        base64.encodebytes(der),
        public("rsa").public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        public("P-256").public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        b'command="x" ' + public("Ed25519").public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        json.dumps(jwk_of("rsa")).encode(),
        json.dumps({"keys": [jwk_of("rsa")]}).encode(),
        json.dumps(oct_of(SECRET)).encode(),
        pem("rsa")[:200],
        b"---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----",
    ]
    for text in texts:
        with pytest.raises(ConfigurationError, match="text of a key") as refused:
            StaticKey.from_secret(text)
        assert text[:30].decode("latin-1") not in str(refused.value)
        with pytest.raises(ConfigurationError, match="text of a key"):
            StaticKey.from_jwk(oct_of(text))
    assert StaticKey.from_secret(b"-----BEGIN" + SECRET)
    assert StaticKey.from_secret(base64.b64encode(SECRET))


def certificate(encoding):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(public("rsa"))
    day = datetime(2024, 1, 1, tzinfo=UTC)
    built = built.serial_number(1).not_valid_before(day).not_valid_after(day.replace(year=2044))
    return built.sign(private("rsa"), hashes.SHA256()).public_bytes(encoding)


# --- keys given directly ------------------------------------------------------------------------------------------


def test_a_public_key_in_every_form_that_is_taken(tmp_path):
    path = tmp_path / "key.pem"
    path.write_bytes(pem("rsa"))
    forms = [
        pem("rsa"),
        pem("rsa").decode(),
        b"some words before it\n" + pem("rsa"),
        pem("rsa", PublicFormat.PKCS1),
        public("rsa"),
        StaticKey.from_pem(pem("rsa")),
        StaticKey.from_pem_file(path),
        StaticKey.from_pem_file(str(path)),
        StaticKey.from_jwk(jwk_of("rsa")),
        StaticKey.from_jwk(json.dumps(jwk_of("rsa"))),
        StaticKey.from_jwk(json.dumps(jwk_of("rsa", "its kid plays no part")).encode()),
    ]
    for form in forms:
        assert verifier(form).verify(made()) == CLAIMS
        assert verifier(form).verify(made(kid="any")) == CLAIMS
        with pytest.raises(InvalidSignatureError):
            verifier(form).verify(made(key="rsa-other"))


def test_private_keys_are_refused():
    password = BestAvailableEncryption(b"password")
    for key in (private_pem("rsa"), private_pem("P-256").decode(), private_pem("rsa", password), private("rsa")):
        with pytest.raises(ConfigurationError, match="private key"):
            verifier(key)
    with pytest.raises(ConfigurationError, match="private key"):
        verifier(pem("rsa") + private_pem("rsa"))
    with pytest.raises(ConfigurationError, match="private key"):
        StaticKey.from_jwk(jwt.algorithms.RSAAlgorithm.to_jwk(private("rsa"), as_dict=True))


@pytest.mark.parametrize(
    ("key", "cause"),
    [
        (b"", "it is empty"),
        ("some secret that must not be shown", "it has no line `-----BEGIN PUBLIC KEY-----`"),
        ("ümlaut", "not ASCII"),
        (b"\x80\xff", "not ASCII"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key can be read"),
        ("-----BEGIN PUBLIC KEY-----\n", "no public key can be read"),
        ("-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n", "`DH PARAMETERS`"),
        (None, "NoneType"),
        (5, "int"),
        ({}, "dict"),
        (JwkSet, "type"),
        (bytearray(64), "bytearray"),
    ],
)
def test_what_is_no_key(key, cause):
    with pytest.raises(ConfigurationError, match=cause) as refused:
        TokenVerifier(key)
    assert "must not be shown" not in str(refused.value)


def test_two_pem_blocks_and_certificates_are_refused():
    with pytest.raises(ConfigurationError, match="2 PEM blocks"):
        verifier(pem("rsa") + pem("rsa-other"))
    with pytest.raises(ConfigurationError, match="certificate"):
        verifier(certificate(Encoding.PEM))


@pytest.mark.parametrize("name", ["secp256k1", "X25519", "dsa"])
def test_kinds_of_key_that_no_algorithm_has(name):
    for key in (pem(name), public(name)):
        with pytest.raises(ConfigurationError):
            verifier(key)


@pytest.mark.parametrize("name", ["rsa-1024", "rsa-2047"])
def test_weak_rsa_keys(name):
    for key in (pem(name), public(name)):
        with pytest.raises(ConfigurationError, match="under 2048"):
            verifier(key)
    with pytest.raises(ConfigurationError, match="under 2048"):
        StaticKey.from_jwk(jwk_of(name))
    with pytest.raises(UnknownKeyError, match="under 2048"):
        in_set(jwk_of("rsa", "good"), jwk_of(name, "weak")).verify(made(key=name, kid="weak"))


def test_rsa_keys_that_openssl_cannot_verify_with_or_anybody_can_sign_for():
    huge = {"kty": "RSA", "e": "AQAB", "n": b64((1 << 16_384 | 1).to_bytes(2049, "big"))}
    with pytest.raises(ConfigurationError, match="over 16384"):
        StaticKey.from_jwk(huge)
    for exponent in (b"\x01", b"\x02", b"\x00"):
        with pytest.raises(ConfigurationError, match="its numbers are no key"):
            StaticKey.from_jwk(jwk_of("rsa", e=b64(exponent)))
    # RFC 8017, A.1.1: RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }
    modulus = b"\x00" + public("rsa").public_numbers().n.to_bytes(256, "big")
    content = b"\x02\x82\x01\x01" + modulus + b"\x02\x01\x01"
    der = b"\x30\x82" + len(content).to_bytes(2, "big") + content
    armoured = b"-----BEGIN RSA PUBLIC KEY-----\n" + base64.encodebytes(der) + b"-----END RSA PUBLIC KEY-----\n"
    with pytest.raises(ConfigurationError):
        verifier(armoured)


def test_a_key_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        StaticKey.from_pem_file(tmp_path / "nowhere.pem")
    with pytest.raises(ConfigurationError, match="key file"):
        StaticKey.from_pem_file(tmp_path)
    (tmp_path / "big.pem").write_bytes(pem("rsa") + b"\n" * 70_000)
    with pytest.raises(ConfigurationError, match="more than 65,536 bytes"):
        StaticKey.from_pem_file(tmp_path / "big.pem")


def test_secrets_must_be_bytes():
    for secret in ("x" * 64, bytearray(64), None):
        with pytest.raises(ConfigurationError, match="must be bytes"):
            StaticKey.from_secret(secret)
    for text in (pem("rsa"), pem("rsa").decode()):
        with pytest.raises(ConfigurationError, match="public key object"):
            StaticKey.from_public_key(text)


# --- JWK ----------------------------------------------------------------------------------------------------------


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


# --- sets of keys -------------------------------------------------------------------------------------------------


def test_the_kid_names_the_key():
    subject = in_set(jwk_of("rsa", "a"), jwk_of("rsa-other", "b"))
    assert subject.verify(made(kid="a")) == CLAIMS
    assert subject.verify(made(key="rsa-other", kid="b")) == CLAIMS
    with pytest.raises(InvalidSignatureError):
        subject.verify(made(kid="b"))
    for wrong in ("c", "", "A", "a "):
        with pytest.raises(UnknownKeyError):
            subject.verify(made(kid=wrong))


def test_a_token_without_kid_is_refused_by_a_set_even_of_one_key():
    with pytest.raises(UnknownKeyError, match="no `kid`"):
        in_set(jwk_of("rsa", "a")).verify(made())
    with pytest.raises(ConfigurationError, match="no key with a `kid`"):
        in_set(jwk_of("rsa"))
    with pytest.raises(UnknownKeyError):
        in_set(jwk_of("rsa"), jwk_of("rsa", "a")).verify(made(kid=""))


@pytest.mark.parametrize("kid", [None, 1, True, [], {}, ["a"]])
def test_a_kid_that_is_no_string(kid):
    for subject in (in_set(jwk_of("rsa", "a")), verifier()):
        with pytest.raises(MalformedTokenError, match="`kid`"):
            subject.verify(made(kid=kid))


def test_a_kid_that_stands_twice_in_the_set():
    twice = [
        (jwk_of("rsa", "a"), jwk_of("rsa-other", "a")),
        (jwk_of("rsa", "a"), jwk_of("rsa", "a")),
        (jwk_of("rsa", "a"), jwk_of("rsa", "a", use="enc")),
        (jwk_of("rsa", "a", use="enc"), jwk_of("rsa", "a")),
        (jwk_of("rsa", "a"), jwk_of("rsa-1024", "a"), jwk_of("P-256", "a")),
    ]
    for jwks in twice:
        subject = in_set(*jwks, jwk_of("rsa", "b"))
        with pytest.raises(UnknownKeyError, match="more than one"):
            subject.verify(made(kid="a"))
        assert subject.verify(made(kid="b")) == CLAIMS


def test_a_set_may_mix_public_families_but_the_key_decides_its_own():
    subject = verifier(JwkSet({"keys": [jwk_of("rsa", "r"), jwk_of("P-256", "e")]}), algorithms=("RS256", "ES256"))
    assert subject.verify(made(kid="r")) == CLAIMS
    assert subject.verify(made(alg="ES256", key="P-256", kid="e")) == CLAIMS
    with pytest.raises(AlgorithmNotAllowedError, match="RSA 2048 bits"):
        subject.verify(made(alg="ES256", key="P-256", kid="r"))
    with pytest.raises(AlgorithmNotAllowedError, match="EC P-256"):
        subject.verify(made(kid="e"))


def test_secrets_in_a_set_count_only_among_themselves():
    token = made(alg="HS256", key=SECRET, kid="s")
    alone = verifier(JwkSet({"keys": [oct_of(SECRET, "s")]}), algorithms=("HS256",))
    assert alone.verify(token) == CLAIMS
    mixed = verifier(JwkSet({"keys": [oct_of(SECRET, "s"), jwk_of("rsa", "r")]}), algorithms=("HS256", "RS256"))
    assert mixed.verify(made(kid="r")) == CLAIMS
    with pytest.raises(UnknownKeyError, match="among public keys"):
        mixed.verify(token)


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        None,
        {"keys": None},
        {"keys": {}},
        {"keys": [5]},
        {"keys": [[]]},
        {"keys": []},
        jwk_of("rsa", "a"),
        "",
        '{"keys":[],"keys":[]}',
        '{"keys":[}',
        {"keys": [jwk_of("P-256", "a")]},
        {"keys": [jwk_of("rsa", 5)]},
        {"keys": [jwk_of("rsa", "a", use="enc")]},
    ],
)
def test_sets_that_verify_nothing(document):
    with pytest.raises(ConfigurationError, match="key set: "):
        verifier(JwkSet(document))


def test_a_set_that_is_given_is_not_changed_afterwards():
    document = {"keys": [jwk_of("rsa", "a")]}
    subject = verifier(JwkSet(document))
    document["keys"][0].update(jwk_of("rsa-other", "a"))
    assert subject.verify(made(kid="a")) == CLAIMS


@pytest.mark.parametrize("name", ["jwk", "jku", "x5c", "x5u", "x5t", "typ", "cty", "https://example.com/x"])
def test_what_a_token_brings_along_is_not_used(name):
    values = {"jwk": jwk_of("rsa-other"), "x5c": [base64.b64encode(certificate(Encoding.DER)).decode()]}
    member = {name: values.get(name, "https://example.com/keys")}
    for subject, kid in ((verifier(), {}), (in_set(jwk_of("rsa", "a")), {"kid": "a"})):
        assert subject.verify(made(**kid, **member)) == CLAIMS
        with pytest.raises(InvalidSignatureError):
            subject.verify(made(key="rsa-other", **kid, **member))


# --- the text of a token ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crit", [["b64"], ["exp"], [], None, "b64", False, {}, ["http://example.com/x"]])
def test_every_crit_is_refused(crit):
    with pytest.raises(MalformedTokenError, match="`crit`"):
        verifier().verify(made(header={"alg": "RS256", "crit": crit}))


@pytest.mark.parametrize("member", [{"b64": True}, {"b64": False}, {"b64": None}, {"zip": "DEF"}, {"zip": None}])
def test_members_that_would_change_the_payload_are_refused(member):
    with pytest.raises(MalformedTokenError, match="is not supported"):
        verifier().verify(made(**member))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "{",
        "[]",
        "null",
        '"RS256"',
        "{}",
        '{"typ":"JWT"}',
        '{"alg":null}',
        '{"alg":256}',
        '{"alg":["RS256"]}',
        '{"alg":"RS256","alg":"RS256"}',
        '{"alg":"none","alg":"RS256"}',
        '{"alg":"RS256","x":1,"x":1}',
        '{"alg":"RS256","x":NaN}',
        '{"alg":"RS256","x":-Infinity}',
        '{"alg":"RS256",}',
        '{"alg":"RS256"} x',
        '{"alg":"RS256","x":"\\ud800"}',
        '{"alg":"RS256","x":1e400}',
        '{"alg":"RS256","x":' + "9" * 5000 + "}",
        '\ufeff{"alg":"RS256"}',
        '{"alg":"RS256","x":' + "[" * 64 + "]" * 64 + "}",
        '{"alg":"RS256","x":' + "[" * 20_000 + "]" * 20_000 + "}",
        b'{"alg":"RS256","x":"\xff"}',
        json.dumps({"alg": "RS256"}).encode("utf-16"),
        "// x\n" + '{"alg":"RS256"}',
    ],
)
def test_headers_that_are_malformed(header):
    with pytest.raises(MalformedTokenError):
        verifier().verify(made(header=header))


def test_headers_that_are_well_formed():
    deep = "[" * 63 + "]" * 63
    for header in (
        '{"alg":"RS256"}',
        ' {"alg" : "RS256" }\n',
        '{"\\u0061lg":"RS256"}',
        f'{{"alg":"RS256","x":{deep}}}',
    ):
        assert verifier().verify(made(header=header)) == CLAIMS


EXP = f'"exp":{NOW + 60}'


@pytest.mark.parametrize(
    "claims",
    [
        "",
        "{",
        "[]",
        "null",
        "5",
        f'{{{EXP},"exp":{NOW + 70}}}',
        f'{{{EXP},"policy":1,"policy":1}}',
        f'{{{EXP},"x":{{"y":1,"y":1}}}}',
        f'{{{EXP},"x":NaN}}',
        f'{{{EXP},"x":Infinity}}',
        f"{{{EXP},}}",
        f"{{{EXP}}} ,",
        f'{{{EXP},"x":"\\ud800"}}',
        f'{{{EXP},"x":"\\udc00\\ud800"}}',
        f'{{{EXP},"x":1e309}}',
        f'{{{EXP},"x":1e100000000}}',
        f'{{{EXP},"x":0.{"1" * 18}}}',
        f'{{{EXP},"x":{"1" * 41}}}',
        f'{{{EXP},"x":{"[" * 64 + "]" * 64}}}',
        f'{{{EXP},"x":[{"1e39," * 8_000}1]}}',
        f"\ufeff{{{EXP}}}",
        f'{{{EXP},"x":"'.encode() + b'\xff"}',
        f'{{{EXP},"x":"'.encode() + b'\xed\xa0\x80"}',
        f"{{{EXP}}}".encode("utf-16"),
    ],
)
def test_payloads_that_are_malformed(claims):
    with pytest.raises(MalformedTokenError, match="claims"):
        verifier().verify(made(claims))


def test_claims_are_exact():
    deep = "[" * 63 + "]" * 63
    claims = verifier().verify(
        made(f'{{{EXP},"a":9007199254740993,"b":0.1,"c":1e3,"d":1e30,"e":"\\ud83d\\ude00","f":{deep},"g":-0.0}}')
    )
    assert claims["a"] == 9007199254740993
    assert claims["b"] == Decimal("0.1")
    assert type(claims["b"]) is Decimal
    assert (claims["c"], type(claims["c"])) == (1000, int)
    assert claims["d"] == 10**30
    assert claims["e"] == "\U0001f600"
    assert (claims["g"], type(claims["g"])) == (0, int)


def test_the_size_of_a_token_has_a_bound():
    filler = "x" * 48_000
    token = made({**CLAIMS, "x": filler})
    filler += "x" * ((65_536 - len(token)) * 3 // 4 - 6)
    token = made({**CLAIMS, "x": filler})
    assert 65_500 < len(token) <= 65_536
    assert verifier().verify(token)["x"] == filler
    with pytest.raises(MalformedTokenError, match="longer than 65,536"):
        verifier().verify(made({**CLAIMS, "x": filler + "x" * 60}))


def test_a_token_that_is_too_long_is_refused_before_any_decoding():
    subject = verifier(SourceThatMustNotBeAsked())
    for text in ("." * 65_537, "é" * 65_537, "a" * 10_000_000):
        with pytest.raises(MalformedTokenError, match="longer than 65,536"):
            subject.verify(text)


class SourceThatMustNotBeAsked:
    def check(self, algorithms):
        pass

    def key_for(self, kid):
        raise AssertionError(kid)


@pytest.mark.parametrize("token", [b"a.b.c", None, 5, {}, bytearray(b"a"), type("Text", (str,), {})("a.b.c")])
def test_a_token_that_is_no_string(token):
    with pytest.raises(UsageError):
        verifier().verify(token)


@pytest.mark.parametrize(
    "token", ["", ".", "..", "...", "a", "a.b", "a.b.c.d", "a.b.c.d.e", "Bearer a.b.c", "\0", "é.b.c"]
)
def test_texts_that_are_no_token(token):
    with pytest.raises(MalformedTokenError):
        verifier().verify(token)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_base64url_is_exact(which):
    # lengths of 3n+1 bytes, so that each segment ends in unused bits
    header = '{"alg":"RS256"}' + " " * ((1 - 15) % 3)
    claims = json.dumps(CLAIMS)
    claims += " " * ((1 - len(claims)) % 3)
    token = made(claims, header=header)
    assert verifier().verify(token) == CLAIMS
    assert [len(segment) % 4 for segment in token.split(".")] == [2, 2, 2]

    def with_segment(change):
        segments = token.split(".")
        segments[which] = change(segments[which])
        return ".".join(segments)

    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    changes = [
        lambda s: s + "==",
        lambda s: s + "=",
        lambda s: s + " ",
        lambda s: s + "\n",
        lambda s: "\n" + s,
        lambda s: s[:4] + "\r\n" + s[4:],
        lambda s: s[:4] + "!" + s[4:],
        lambda s: s[:4] + "+" + s[5:],
        lambda s: s[:4] + "/" + s[5:],
        lambda s: s[:4] + "%3D" + s[4:],
        lambda s: s[:-1],
        lambda s: s + "AAA",
        lambda s: s[:-1] + alphabet[alphabet.index(s[-1]) ^ 1],
        lambda s: s[:-1] + alphabet[alphabet.index(s[-1]) ^ 8],
        lambda s: s[:-1] + "\uff21",
    ]
    for number, change in enumerate(changes):
        with pytest.raises(MalformedTokenError):
            pytest.fail(f"accepted change {number}: {verifier().verify(with_segment(change))}")


# --- the order of the questions -----------------------------------------------------------------------------------


def test_claims_are_not_read_before_the_signature_is_right():
    head, _, signature = made().split(".")
    for claims in ("no JSON", json.dumps({"exp": 0}), json.dumps({}), json.dumps({**CLAIMS, "aud": "x"})):
        with pytest.raises(InvalidSignatureError):
            verifier().verify(f"{head}.{b64(claims)}.{signature}")


def test_the_algorithm_is_asked_before_the_key_and_the_key_before_the_signature():
    with pytest.raises(AlgorithmNotAllowedError):
        verifier(SourceThatMustNotBeAsked()).verify(made(alg="PS256"))
    with pytest.raises(UnknownKeyError):
        in_set(jwk_of("rsa", "a")).verify(made(key="rsa-other", kid="b"))


def test_of_several_faults_the_first_in_order_is_told():
    subject = verifier(audience="me", issuer="them", required=("sub",))
    assert subject.verify(made({"exp": NOW + 1, "aud": "me", "iss": "them", "sub": 1}))
    with pytest.raises(ExpiredTokenError):
        subject.verify(made({"exp": NOW, "aud": "you", "iss": "others"}))
    with pytest.raises(InvalidAudienceError):
        subject.verify(made({"exp": NOW + 1, "aud": "you", "iss": "others"}))
    with pytest.raises(InvalidIssuerError):
        subject.verify(made({"exp": NOW + 1, "aud": "me", "iss": "others"}))
    with pytest.raises(MissingRequiredClaimError, match="`sub`"):
        subject.verify(made({"exp": NOW + 1, "aud": "me", "iss": "them"}))


# --- time ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exp", "now", "leeway", "good"),
    [
        ("1000", 999, 0, True),
        ("1000", 999.9999, 0, True),
        ("1000", 1000, 0, False),
        ("1000", 1001, 0, False),
        ("1000.5", 1000.25, 0, True),
        ("1000.5", 1000.5, 0, False),
        ("1e3", 999, 0, True),
        ("1e3", 1000, 0, False),
        ("1000", 1004, 5, True),
        ("1000", 1005, 5, False),
        ("1000", 1000.05, 0.1, True),
        ("1000", 1000.125, Decimal("0.125"), False),
        ("9007199254740993", 9007199254740992, 0, True),
        ("9007199254740993", 9007199254740993, 0, False),
        ("9007199254740992", 9007199254740992.0, 0, False),
        ("1e300", 1000, 0, True),
        ("1.8e308", 1000, 0, True),
        ("-1e300", 1000, 0, False),
        ("4e-324", 0, 0, True),
        ("4e-324", 1, 0, False),
        ("0", 0, 0, False),
        ("0", -1, 0, True),
        ("-0", 0, 0, False),
        ("1e39", 1e300, 0, False),
    ],
)
def test_exp(exp, now, leeway, good):
    subject = verifier(clock=lambda: now, leeway=leeway)
    token = made(f'{{"exp":{exp}}}')
    if good:
        assert subject.verify(token)
    else:
        with pytest.raises(ExpiredTokenError):
            subject.verify(token)


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize(
    ("value", "now", "leeway", "good"),
    [
        ("1000", 1000, 0, True),
        ("1000", 999.9999, 0, False),
        ("1000.5", 1000.5, 0, True),
        ("1000.5", 1000.25, 0, False),
        ("1005", 1000, 5, True),
        ("1005.0625", 1000, 5, False),
        ("9007199254740993", 9007199254740992, 0, False),
        ("9007199254740993", 9007199254740993, 0, True),
        ("1e300", 1000, 0, False),
        ("-1e300", 1000, 0, True),
        ("0", 0, 0, True),
    ],
)
def test_nbf_and_iat(name, value, now, leeway, good):
    subject = verifier(clock=lambda: now, leeway=leeway)
    token = made(f'{{"exp":1.8e308,"{name}":{value}}}')
    if good:
        assert subject.verify(token)
    else:
        with pytest.raises(ImmatureTokenError, match=name):
            subject.verify(token)


def test_exp_must_be_there_the_others_need_not():
    assert verifier().verify(made({"exp": NOW + 1}))
    with pytest.raises(MissingRequiredClaimError, match="`exp`"):
        verifier().verify(made({"sub": "x", "nbf": 1, "iat": 1}))


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", [f'"{NOW}"', '""', "true", "false", "null", "[]", f"[{NOW}]", "{}"])
def test_times_are_numbers(name, value):
    claims = f'{{{EXP},"{name}":{value}}}' if name != "exp" else f'{{"exp":{value}}}'
    with pytest.raises(MalformedTokenError, match=name):
        verifier().verify(made(claims))


def test_a_malformed_time_is_told_even_if_the_token_has_expired():
    with pytest.raises(MalformedTokenError, match="iat"):
        verifier().verify(made({"exp": 1, "iat": "x"}))


@pytest.mark.parametrize("leeway", [-1, -0.001, True, False, "5", None, float("nan"), float("inf"), Decimal("NaN"), 1j])
def test_leeways_that_cannot_be(leeway):
    with pytest.raises(ConfigurationError, match="leeway"):
        verifier(leeway=leeway)


@pytest.mark.parametrize("now", [float("nan"), float("inf"), float("-inf"), None, "5x"])
def test_a_clock_that_tells_no_time_lets_nobody_in(now):
    with pytest.raises(UsageError, match="clock"):
        verifier(clock=lambda: now).verify(made({"exp": 1.5e300}))


def test_the_default_clock_is_the_real_one():
    subject = TokenVerifier(pem("rsa"))
    assert subject.verify(made({"exp": 1e12}))
    with pytest.raises(ExpiredTokenError):
        subject.verify(made({"exp": NOW}))
    with pytest.raises(ImmatureTokenError):
        subject.verify(made({"exp": 1e12, "iat": 1e11}))


# --- audience, issuer, further claims -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "aud", "error"),
    [
        ("a", "a", None),
        ("a", ["a"], None),
        ("a", ["b", "a"], None),
        (("a", "b"), "b", None),
        (("a", "b"), ["c", "b"], None),
        (["a"], "a", None),
        ("a", "b", InvalidAudienceError),
        ("a", "A", InvalidAudienceError),
        ("a", "a ", InvalidAudienceError),
        ("a", "", InvalidAudienceError),
        ("ab", "a", InvalidAudienceError),
        ("a", "ab", InvalidAudienceError),
        ("a", [], InvalidAudienceError),
        ("a", ["b"], InvalidAudienceError),
        ("a", ["ab", ""], InvalidAudienceError),
        ("a", None, MalformedTokenError),
        ("a", 5, MalformedTokenError),
        ("a", True, MalformedTokenError),
        ("a", {"a": "a"}, MalformedTokenError),
        ("a", ["a", 5], MalformedTokenError),
        ("a", ["a", None], MalformedTokenError),
        ("a", [["a"]], MalformedTokenError),
    ],
)
def test_audience(wanted, aud, error):
    subject = verifier(audience=wanted)
    token = made({**CLAIMS, "aud": aud})
    if error is None:
        assert subject.verify(token)["aud"] == aud
    else:
        with pytest.raises(error):
            subject.verify(token)


def test_audience_is_wanted_and_absent():
    with pytest.raises(MissingRequiredClaimError, match="`aud`"):
        verifier(audience="a").verify(made())


@pytest.mark.parametrize("aud", ["a", "", [], ["a"], None, 5])
def test_no_audience_is_configured_so_none_must_be_there(aud):
    assert verifier().verify(made()) == CLAIMS
    with pytest.raises(InvalidAudienceError):
        verifier().verify(made({**CLAIMS, "aud": aud}))


@pytest.mark.parametrize("audience", ["", (), [], ("a", ""), ("a", None), 5, b"a", (b"a",)])
def test_audiences_that_cannot_be_configured(audience):
    with pytest.raises(ConfigurationError, match="audience"):
        verifier(audience=audience)


def test_issuer():
    subject = verifier(issuer="key-1")
    assert subject.verify(made({**CLAIMS, "iss": "key-1"}))
    with pytest.raises(MissingRequiredClaimError, match="`iss`"):
        subject.verify(made())
    for wrong in ("key-2", "KEY-1", "key-1 ", "", "key-10"):
        with pytest.raises(InvalidIssuerError):
            subject.verify(made({**CLAIMS, "iss": wrong}))
    for wrong in (None, 5, ["key-1"], {"key-1": 1}, True):
        with pytest.raises(MalformedTokenError, match="`iss`"):
            subject.verify(made({**CLAIMS, "iss": wrong}))
    for any_value in ("key-2", None, 5):
        assert verifier().verify(made({**CLAIMS, "iss": any_value}))


@pytest.mark.parametrize("issuer", ["", 5, b"a", ("a",)])
def test_issuers_that_cannot_be_configured(issuer):
    with pytest.raises(ConfigurationError, match="issuer"):
        verifier(issuer=issuer)


def test_required_claims():
    subject = verifier(required=("sub", "iat"))
    assert subject.verify(made({**CLAIMS, "iat": 1}))
    for value in (None, "", 0, False, []):
        assert subject.verify(made({**CLAIMS, "iat": 1, "sub": value}))
    with pytest.raises(MissingRequiredClaimError, match="`iat`"):
        subject.verify(made())
    with pytest.raises(MissingRequiredClaimError, match="`sub`"):
        subject.verify(made({"exp": NOW + 1, "iat": 1}))


@pytest.mark.parametrize("required", ["sub", b"sub", ("",), (5,), 5, None])
def test_required_claims_that_cannot_be_configured(required):
    with pytest.raises(ConfigurationError, match="required"):
        verifier(required=required)


def test_a_clock_must_be_a_function():
    with pytest.raises(ConfigurationError, match="clock"):
        verifier(clock=NOW)


# --- the service of the seed --------------------------------------------------------------------------------------


def test_the_settings_of_the_service_that_the_seed_describes():
    subject = verifier(audience="https://cobrowse.io", issuer="license", required=("sub", "iat"))
    claims = {
        "iat": NOW,
        "exp": NOW + 600,
        "aud": "https://cobrowse.io",
        "iss": "license",
        "sub": "agent@example.com",
        "policy": {"version": 2, "devices": {}},
    }
    assert subject.verify(made(claims)) == claims


# --- what a caller can rely on ------------------------------------------------------------------------------------


def test_every_kind_of_error_has_a_code_of_its_own():
    codes = {
        MalformedTokenError: "malformed",
        AlgorithmNotAllowedError: "algorithm",
        InvalidSignatureError: "signature",
        UnknownKeyError: "unknown_key",
        ExpiredTokenError: "expired",
        ImmatureTokenError: "not_yet_valid",
        InvalidAudienceError: "audience",
        InvalidIssuerError: "issuer",
        MissingRequiredClaimError: "missing_claim",
    }
    assert {kind: kind.code for kind in codes} == codes
    assert all(issubclass(kind, InvalidTokenError) for kind in codes)
    assert not issubclass(KeysUnavailableError, InvalidTokenError)


def test_neither_token_nor_secret_is_ever_shown():
    secret = b64(SECRET)
    subject = verifier(StaticKey.from_secret(secret.encode()), algorithms=("HS256",))
    assert secret[:8] not in repr(subject)
    assert secret[:8] not in repr(subject.source.key_for(None))
    other = b"x" * 32
    tokens = [
        made(alg="HS256", key=other),
        made(alg="HS256", key=secret.encode())[:-2],
        made({"exp": 1}, alg="HS256", key=secret.encode()),
        made("{", alg="HS256", key=secret.encode()),
        made(alg="HS256", key=other) + "!",
        made(alg="HS256", key=other) + ".x",
    ]
    for token in tokens:
        with pytest.raises(InvalidTokenError) as refused:
            subject.verify(token)
        shown = f"{refused.value} {refused.value.args} {refused.value.__cause__} {refused.value.__suppress_context__}"
        assert not any(segment in shown for segment in token.split(".") if len(segment) > 4)
        assert secret not in shown
        assert shown.endswith("None True") or refused.value.__context__ is None


def test_texts_from_a_token_are_shortened_and_harmless():
    nasty = "x\n\x1b[31m`" + "y" * 500
    subject = verifier(JwkSet({"keys": [jwk_of("rsa", "a")]}), issuer="me")
    tokens = [
        made(kid=nasty),
        made(header={"alg": nasty, "kid": "a"}),
        made({**CLAIMS, "iss": nasty}, kid="a"),
    ]
    for token in tokens:
        with pytest.raises(InvalidTokenError) as refused:
            subject.verify(token)
        text = str(refused.value)
        assert text.isascii()
        assert text.isprintable()
        assert len(text) < 150
        assert text.count("`") % 2 == 0
        assert "y" * 20 in text


def test_a_verifier_is_immutable_and_says_what_it_is():
    subject = verifier(audience="a", issuer="b", leeway=0.1, required=["sub", "sub"])
    assert repr(subject) == (
        "TokenVerifier(source=StaticKey(RSA 2048 bits), algorithms=('RS256',), audience=('a',), issuer='b',"
        " leeway=Fraction(1, 10), required=('sub',))"
    )
    assert subject.leeway == Fraction(1, 10)
    for name in ("source", "algorithms", "leeway", "_clock", "anything"):
        with pytest.raises((dataclasses.FrozenInstanceError, AttributeError, TypeError)):
            setattr(subject, name, None)
    algorithms = ["RS256"]
    subject = verifier(algorithms=algorithms)
    algorithms.append("PS256")
    with pytest.raises(AlgorithmNotAllowedError):
        subject.verify(made(alg="PS256"))


def test_a_source_of_ones_own():
    class Source:
        def check(self, algorithms):
            self.algorithms = tuple(algorithms)

        def key_for(self, kid):
            self.kid = kid
            return VerificationKey.of(public("rsa"))

    source = Source()
    assert isinstance(source, KeySource)
    assert verifier(source).verify(made(kid="a")) == CLAIMS
    assert (source.algorithms, source.kid) == (("RS256",), "a")
    source.key_for = lambda _: public("rsa")
    with pytest.raises(UsageError, match="no key"):
        verifier(source).verify(made())


def test_many_threads_at_once():
    subject = verifier(JwkSet({"keys": [jwk_of("rsa", "a"), jwk_of("rsa-other", "b")]}))
    good, bad = made(kid="a"), made(kid="b")
    wrong = []

    def work():
        for _ in range(50):
            if subject.verify(good) != CLAIMS:
                wrong.append("denied")
            try:
                subject.verify(bad)
            except InvalidSignatureError:
                continue
            wrong.append("allowed")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_mangled_tokens_give_our_errors_and_never_claims():
    rng = random.Random(20_240_101)
    key_set = JwkSet({"keys": [jwk_of("rsa", "r"), jwk_of("P-256", "e"), jwk_of("Ed25519", "o")]})
    subjects = [
        verifier(key_set, algorithms=("RS256", "PS256", "ES256", "EdDSA", "HS256")),
        verifier(StaticKey.from_secret(SECRET), algorithms=("HS256",)),
        verifier(pem("P-256"), algorithms=("ES256",)),
    ]
    seeds = [
        made(kid="r"),
        made(alg="ES256", key="P-256", kid="e"),
        made(alg="EdDSA", key="Ed25519", kid="o"),
        made(alg="HS256", key=SECRET, kid="r"),
    ]
    alphabet = 'ABCyz019-_.=+/ \n\0é\u20ac\ud800{}"'
    values = ["RS256", "none", "ES256", "HS256", "EdDSA", "", None, 5, [], {}, "r", "e", "o", "\x00", True, 1e300]

    def mangled(token):
        kind = rng.randrange(4)
        if kind == 0:
            at = rng.randrange(len(token))
            return token[:at] + rng.choice(alphabet) + token[at + rng.randrange(3) :]
        head, body, signature = token.split(".")
        if kind == 1:
            header = {"alg": rng.choice(values), "kid": rng.choice(values), rng.choice(["crit", "b64", "jwk", "x"]): 1}
            return f"{b64(json.dumps(header))}.{body}.{signature}"
        if kind == 2:
            return f"{head}.{body}.{b64(rng.randbytes(rng.choice([0, 1, 32, 63, 64, 65, 256, 257])))}"
        return f"{head}.{b64(rng.randbytes(rng.randrange(40)))}.{signature}"

    accepted = 0
    for _ in range(3_000):
        seed = rng.choice(seeds)
        token = mangled(seed)
        try:
            rng.choice(subjects).verify(token)
        except InvalidTokenError:
            continue
        else:
            assert token in seeds
            accepted += 1
    assert accepted < 300


# --- a file of keys -----------------------------------------------------------------------------------------------


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def write(path, *jwks):
    """Put a set in place whole, as its owner should."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"keys": list(jwks)}))
    new.replace(path)


def test_a_file_of_keys_is_read_again_when_it_changes(tmp_path):
    path = tmp_path / "keys.json"
    write(path, jwk_of("rsa", "a"))
    subject = verifier(JwksFile(path))
    assert subject.verify(made(kid="a")) == CLAIMS
    with pytest.raises(UnknownKeyError):
        subject.verify(made(key="rsa-other", kid="b"))

    write(path, jwk_of("rsa-other", "b"))
    assert subject.verify(made(key="rsa-other", kid="b")) == CLAIMS
    with pytest.raises(UnknownKeyError):
        subject.verify(made(kid="a"))
    with pytest.raises(UnknownKeyError, match="no `kid`"):
        subject.verify(made())


def test_a_file_of_keys_that_did_not_change_is_read_once(tmp_path, monkeypatch):
    path, clock, reads = tmp_path / "keys.json", Clock(), []
    write(path, jwk_of("rsa", "a"))
    source = JwksFile(path, lifetime=10, clock=clock)
    opened = type(path).open
    monkeypatch.setattr(type(path), "open", lambda self, *more: reads.append(self) or opened(self, *more))
    for clock.now, count in [(0, 1), (5, 1), (9.9, 1), (10, 2), (19.9, 2), (20, 3)]:
        assert source.key_for("a")
        assert len(reads) == count


def test_a_file_of_keys_that_is_spoilt_makes_the_keys_unavailable(tmp_path):
    path = tmp_path / "keys.json"
    source = JwksFile(path)
    with pytest.raises(KeysUnavailableError, match="No such file"):
        source.key_for("a")
    whole = json.dumps({"keys": [jwk_of("rsa", "a")]})
    for text in ("", whole[:100], "[]", json.dumps(jwk_of("rsa", "a")), " " * 1_048_600 + whole, '{"keys":[1]}'):
        path.write_text(whole)
        assert source.key_for("a")
        path.write_text(text)
        with pytest.raises(KeysUnavailableError, match=r"keys\.json"):
            source.key_for("a")
        with pytest.raises(KeysUnavailableError):
            source.key_for("a")
    path.write_text(whole + " " * 1_048_600)  # its start alone would be a set
    with pytest.raises(KeysUnavailableError, match="more than 1,048,576 bytes"):
        source.key_for("a")
    path.unlink()
    with pytest.raises(KeysUnavailableError):
        source.key_for("a")
    path.mkdir()
    with pytest.raises(KeysUnavailableError, match="no regular file"):
        source.key_for("a")
    with pytest.raises(KeysUnavailableError):
        JwksFile("a\0b").key_for("a")


def test_a_pipe_in_place_of_a_file_of_keys_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(KeysUnavailableError, match="no regular file"):
        JwksFile(tmp_path / "pipe").key_for("a")


def test_secrets_in_a_file_count_only_among_themselves(tmp_path):
    path = tmp_path / "keys.json"
    subject = verifier(JwksFile(path), algorithms=("HS256",))
    write(path, oct_of(SECRET, "s"))
    assert subject.verify(made(alg="HS256", key=SECRET, kid="s")) == CLAIMS
    write(path, oct_of(SECRET, "s"), jwk_of("rsa", "r"))
    with pytest.raises(UnknownKeyError, match="among public keys"):
        subject.verify(made(alg="HS256", key=SECRET, kid="s"))


# --- the settings of a URL ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/keys",
        "https://example.com:8443/keys?x=1",
        "HTTPS://EXAMPLE.COM",
        "http://localhost/keys",
        "http://localhost:8000/keys",
        "http://127.0.0.1:8000/keys",
        "http://127.9.9.9/keys",
        "http://[::1]:8000/keys",
    ],
)
def test_urls_that_are_taken(url):
    assert verifier(JwksUrl(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/keys",
        "http://10.0.0.1/keys",
        "http://localhost.example.com/keys",
        "http://127.0.0.1.example.com/keys",
        "http://0.0.0.0/keys",
        "http://[::]/keys",
        "ftp://example.com/keys",
        "file:///etc/keys",
        "example.com/keys",
        "//example.com/keys",
        "https://",
        "https:///keys",
        "",
        "https://user:password@example.com/keys",
        "http://127.0.0.1@example.com/keys",
        "http://127.0.0.1\\@example.com/keys",
        "https://example.com/keys#fragment",
        "https://example.com/a b",
        "https://example.com\\keys",
        "https://example.com/\n",
        "https://exämple.com/",
        "https://example.com:port/",
        "https://example.com:99999/",
        "https://[::1/",
        None,
        b"https://example.com/",
    ],
)
def test_urls_that_are_refused(url):
    with pytest.raises(ConfigurationError, match="url") as refused:
        JwksUrl(url)
    assert "password" not in str(refused.value).replace("user name or password", "")


def test_plain_http_to_another_machine_must_be_asked_for():
    assert JwksUrl("http://example.com/keys", insecure_http=True)
    with pytest.raises(ConfigurationError):
        JwksUrl("ftp://example.com/keys", insecure_http=True)


@pytest.mark.parametrize("name", ["lifetime", "interval", "deadline"])
@pytest.mark.parametrize("value", [0, -1, True, "5", None, float("nan"), float("inf")])
def test_seconds_that_cannot_be(name, value, tmp_path):
    with pytest.raises(ConfigurationError, match=name):
        JwksUrl("https://example.com/keys", **{name: value})
    if name == "lifetime":
        with pytest.raises(ConfigurationError, match=name):
            JwksFile(tmp_path, lifetime=value)


def test_keys_must_live_longer_than_the_pause_between_two_fetches():
    assert JwksUrl("https://example.com/keys", lifetime=35, interval=30, deadline=5)
    with pytest.raises(ConfigurationError, match="lifetime"):
        JwksUrl("https://example.com/keys", lifetime=34.9, interval=30, deadline=5)


def test_a_ca_file_must_hold_a_certificate(tmp_path):
    (tmp_path / "ca.pem").write_bytes(certificate(Encoding.PEM))
    assert JwksUrl("https://example.com/keys", ca=tmp_path / "ca.pem")
    (tmp_path / "no.pem").write_text("nothing")
    for path in (tmp_path / "no.pem", tmp_path / "nowhere", tmp_path):
        with pytest.raises(ConfigurationError, match="ca: "):
            JwksUrl("https://example.com/keys", ca=path)


def test_hmac_makes_no_sense_with_a_url():
    with pytest.raises(ConfigurationError, match="takes a secret"):
        verifier(JwksUrl("https://example.com/keys"), algorithms=("RS256", "HS256"))


def test_what_sources_say_about_themselves(tmp_path):
    assert repr(JwksUrl("https://example.com/keys?secret=x")) == "JwksUrl('https://example.com/keys')"
    assert repr(JwkSet({"keys": [oct_of(SECRET, "s")]})) == "JwkSet(1 keys)"
    assert repr(JwksFile(tmp_path / "k")) == f"JwksFile({str(tmp_path / 'k')!r})"
    assert repr(StaticKey.from_secret(SECRET)) == "StaticKey(HMAC secret)"
    assert StaticKey.from_secret(SECRET).key.algorithms == ("HS256", "HS384", "HS512")


# --- what a person is told ----------------------------------------------------------------------------------------


def refusal(token, subject=None):
    with pytest.raises(InvalidTokenError) as refused:
        (subject or verifier()).verify(token)
    text = str(refused.value)
    assert "--" not in text  # options are the command line's business
    assert text.isprintable()
    assert len(text) < 400
    return text


@pytest.mark.parametrize("text", ["", " ", "\n", "\u00a0\u2003"])
def test_told_of_an_empty_token(text):
    assert refusal(text) == "the token is empty"


@pytest.mark.parametrize(
    ("around", "told"),
    [
        ("{}\n", "white space at its end, such as the line feed of a file,"),
        ("{}\u00a0", "white space at its end,"),
        (" {}", "white space at its beginning,"),
        ("Bearer {}", "begins with `Bearer `, which is a part of the HTTP header"),
        ("bearer {}", "begins with `Bearer `,"),
    ],
)
def test_told_of_what_was_copied_along(around, told):
    token = made()
    text = refusal(around.format(token))
    assert told in text
    assert text.endswith(": take it off")
    assert not any(segment in text for segment in token.split("."))


def test_told_of_the_segments():
    rest = "not 3 with dots between them; is it a whole token?"
    assert refusal("x") == f"the token has 1 segment, {rest}"
    assert refusal("a.b") == f"the token has 2 segments, {rest}"
    assert refusal("a.b.c.d") == f"the token has 4 segments, {rest}"
    assert refusal("a.b.c.d.e.f") == f"the token has 6 segments, {rest}"


def test_told_which_algorithms_are_accepted():
    subject = verifier(algorithms=("RS384", "PS256"))
    assert refusal(made(), subject) == "the token's algorithm `RS256` is not accepted here, only RS384, PS256"


@pytest.mark.parametrize(
    ("aud", "told"),
    [
        ("b", "the token is for another audience: `b`"),
        (["b", "c"], "the token is for another audience: `b`, `c`"),
        (["b"] * 6, "the token is for another audience: `b`, `b`, `b` and 3 more"),
        ([], "the token is for another audience: nobody that it names"),
        ("x" * 1000, f"the token is for another audience: `{'x' * 40}...`"),
        ("\x1b[2J`\u202e", "the token is for another audience: `\\x1b[2J'\\u202e`"),
    ],
)
def test_told_which_audience_a_token_is_for(aud, told):
    assert refusal(made({**CLAIMS, "aud": aud}), verifier(audience="a")) == told


@pytest.mark.parametrize(("aud", "told"), [("b", "`b`"), (["b", 5], "`b`"), (5, "nobody that it names")])
def test_told_which_audience_a_token_is_for_where_none_is_configured(aud, told):
    assert refusal(made({**CLAIMS, "aud": aud})) == f"the token is for {told}, and no audience is configured here"


@pytest.mark.parametrize(
    ("claims", "leeway", "told"),
    [
        (f'{{"exp":{NOW}}}', 0, "the token has expired: its `exp` was 0 seconds ago"),
        (f'{{"exp":{NOW - 1}}}', 0, "the token has expired: its `exp` was 1 second ago"),
        (f'{{"exp":{NOW - 1}.5}}', 0, "the token has expired: its `exp` was 1 second ago"),
        (f'{{"exp":{NOW - 5000}}}', 10, "the token has expired: its `exp` was 5,000 seconds ago"),
        ('{"exp":-1e300}', 0, "the token has expired: its `exp` was more than 1,000,000,000,000 seconds ago"),
        (f'{{{EXP},"nbf":{NOW + 12}}}', 5, "the token's `nbf` is in the future, by 12 seconds"),
        (f'{{{EXP},"iat":{NOW}.25}}', 0, "the token's `iat` is in the future, by 1 second"),
    ],
)
def test_told_by_how_much_a_token_is_out_of_its_time(claims, leeway, told):
    assert refusal(made(claims), verifier(leeway=leeway)) == told


def test_told_what_to_do_about_a_token_without_kid():
    text = refusal(made(), in_set(jwk_of("rsa", "a")))
    assert text.endswith("give the one key that it is signed for in PEM, in place of the set")
