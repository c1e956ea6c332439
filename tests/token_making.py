"""Keys, tokens and sets of keys, made for tests."""

from __future__ import annotations

import base64
import functools
import json
from datetime import UTC, datetime, timedelta

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bridge.tokens import JwkSet, StaticKey, TokenVerifier

NOW = 1_700_000_000
CLAIMS = {"sub": "agent@example.com", "exp": NOW + 60}
SECRET = bytes(range(64))


EXP = f'"exp":{NOW + 60}'


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


def signed(message, key="rsa", alg="RS256"):
    """A text with its signature; `key` is the name of a private key, or a secret."""
    signer = jwt.algorithms.get_default_algorithms()[alg]
    return f"{message}.{b64(signer.sign(message.encode(), key if isinstance(key, bytes) else private(key)))}"


def made(claims=CLAIMS, *, key="rsa", alg="RS256", header=None, **more):
    """A signed token; `header` and `claims` may be texts, which are taken as they are."""
    header = {"alg": alg, **more} if header is None else header
    return signed(f"{b64(text_of(header))}.{b64(text_of(claims))}", key, alg)


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


EC = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
X, Y = EC.x.to_bytes(32, "big"), EC.y.to_bytes(32, "big")


KEYS = json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "x": b64(X), "y": b64(Y), "kid": "a"}]}).encode()


def certificate(encoding):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(public("rsa"))
    day = datetime(2024, 1, 1, tzinfo=UTC)
    built = built.serial_number(1).not_valid_before(day).not_valid_after(day.replace(year=2044))
    return built.sign(private("rsa"), hashes.SHA256()).public_bytes(encoding)


def self_signed(encoding):
    """A certificate for the key of its own signature."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")])
    began = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, began, began + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(encoding)


DER = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


PEM = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class SourceThatMustNotBeAsked:
    def check(self, algorithms):
        pass

    def key_for(self, kid):
        raise AssertionError(kid)
