"""Which algorithm a token may have, and which key an algorithm (SEMANTICS, "Tokens")."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import jwt
import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from token_making import (
    CLAIMS,
    FAMILIES,
    PEM,
    SECRET,
    X,
    Y,
    b64,
    certificate,
    jwk_of,
    made,
    oct_of,
    pem,
    private_pem,
    public,
    verifier,
)

from bridge.errors import AlgorithmNotAllowedError, ConfigurationError, InvalidSignatureError
from bridge.tokens import JwkSet, JwksFile, StaticKey, TokenVerifier
from bridge.tokens.keys import SUPPORTED, SYMMETRIC, UnusableKeyError, checked_algorithms, kind_and_algorithms


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


# Which algorithms a key is for


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (ed25519.Ed25519PrivateKey.generate().public_key(), ("Ed25519", ("EdDSA",))),
        (ed448.Ed448PrivateKey.generate().public_key(), ("Ed448", ("EdDSA",))),
        (ec.generate_private_key(ec.SECP256R1()).public_key(), ("EC P-256", ("ES256",))),
        (ec.generate_private_key(ec.SECP384R1()).public_key(), ("EC P-384", ("ES384",))),
        (ec.generate_private_key(ec.SECP521R1()).public_key(), ("EC P-521", ("ES512",))),
        (
            rsa.RSAPublicNumbers(65_537, (1 << 16_383) + 1).public_key(),
            ("RSA 16384 bits", ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        ),
        (b"x" * 32, ("HMAC secret", ("HS256",))),
        (b"x" * 48, ("HMAC secret", ("HS256", "HS384"))),
        (b"x" * 64, ("HMAC secret", ("HS256", "HS384", "HS512"))),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_key_is_for_these_algorithms(key, expected):
    assert kind_and_algorithms(key) == expected


@pytest.mark.parametrize(
    ("key", "cause"),
    [
        (b"x" * 31, "an HMAC secret under 32 bytes, which is shorter than its hash; give a longer one"),
        (
            ec.generate_private_key(ec.SECP256K1()).public_key(),
            "an elliptic curve that no supported algorithm has: `secp256k1`; use P-256",
        ),
        (5, "not a key of a supported algorithm: `int`; give an RSA, EC or Ed25519 public key"),
    ],
    ids=["short", "curve", "number"],
)
def test_a_key_that_is_refused_says_why(key, cause):
    with pytest.raises(UnusableKeyError) as refusal:
        kind_and_algorithms(key)
    assert str(refusal.value) == cause


def test_the_algorithms_whose_key_is_a_secret_are_these():
    assert type(SYMMETRIC) is frozenset
    assert sorted(SYMMETRIC) == ["HS256", "HS384", "HS512"]


def test_algorithms_are_a_sequence_of_names_each_once():
    assert checked_algorithms(["RS256", "ES256", "RS256"]) == ("RS256", "ES256")
    for text in ("RS256", b"RS256"):
        with pytest.raises(ConfigurationError, match="not a bare string"):
            checked_algorithms(text)
    with pytest.raises(ConfigurationError) as refusal:
        checked_algorithms(["RS\n1"])
    assert str(refusal.value) == f"algorithms: `RS\\n1` is not supported; use some of {', '.join(SUPPORTED)}"
    assert (
        *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        *("ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"),
    ) == SUPPORTED


# Settings of the verifier, and what PyJWT is told


def test_settings_of_the_verifier_that_are_refused_are_named():
    for settings, cause in (
        ({"leeway": -1}, "leeway: the number of seconds must not be negative"),
        ({"required": "sub"}, "required: give a sequence of names"),
        ({"required": b"sub"}, "required: give a sequence of names"),
        ({"required": ["sub", ""]}, "required: each must be a string that is not empty"),
        ({"required": 1}, "required: give a sequence of strings"),
        ({"audience": ["a", 1]}, "audience: each must be a string that is not empty"),
        ({"audience": 1}, "audience: give a sequence of strings"),
    ):
        with pytest.raises(ConfigurationError) as refusal:
            TokenVerifier(PEM, algorithms=["ES256"], **settings)
        assert str(refusal.value).startswith(cause)


def test_pyjwt_is_told_the_algorithms_and_the_length_of_keys_as_well():
    verifier = TokenVerifier(PEM, algorithms=["ES256"])
    assert (verifier.audience, verifier.required, verifier.issuer, verifier.leeway) == ((), (), None, 0)
    assert verifier._jws.get_algorithms() == ["ES256"]
    assert verifier._jws.options["enforce_minimum_key_length"] is True


def test_an_algorithm_that_is_not_one_for_the_key_is_named():
    document = {"keys": [{"kty": "EC", "crv": "P-256", "x": b64(X), "y": b64(Y), "kid": "a"}]}
    verifier = TokenVerifier(JwkSet(document), algorithms=["ES256", "RS256"])
    header = b64(json.dumps({"alg": "RS256", "kid": "a"}).encode())
    with pytest.raises(AlgorithmNotAllowedError) as refusal:
        verifier.verify(f"{header}.e30.AAAA")
    assert (
        str(refusal.value) == "the token's algorithm `RS256` does not fit its key (EC P-256); is it the issuer's key?"
    )


@pytest.mark.parametrize("error", [jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError])
def test_whatever_goes_wrong_with_a_signature_is_an_invalid_signature(monkeypatch, error):
    def failing(*_, **__):
        raise error("a text that may quote the token")

    monkeypatch.setattr(jwt.PyJWS, "decode_complete", failing)
    header = b64(b'{"alg":"ES256"}')
    with pytest.raises(
        InvalidSignatureError,
        match=r"\Athe token's signature does not fit the key: another key has signed it, or it was changed\Z",
    ):
        TokenVerifier(PEM, algorithms=["ES256"]).verify(f"{header}.e30.AAAA")
