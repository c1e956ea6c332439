"""Vectors about settings that must be rejected."""

from __future__ import annotations

import json

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from signer import (
    SECRET,
    b64,
    having,
    jwk,
    jwks,
    number,
    pem,
    private,
    private_pem,
    secret,
    secret_of,
    self_signed,
    text_of,
    token,
)
from vector_file import File


def settings() -> File:
    file = File("settings", "Settings that must be refused before any token is looked at, beside those that must not.")
    case, refused = file.case, "invalid_setting"
    case("setting-algorithms-empty", None, refused, algorithms=[])
    for name in ("none", "None", "NONE"):
        label = {"none": "", "None": "-capital", "NONE": "-in-capitals"}[name]
        case(f"setting-algorithm-none{label}", None, refused, algorithms=["RS256", name])
    case("setting-algorithm-rs256", token(), algorithms=["RS256"])
    for name in ("rs256", "ES256K", "RS1", "A128KW", "", "*"):
        label = {"": "empty", "*": "star"}.get(name, "in-lower-case" if name == "rs256" else name.lower())
        case(f"setting-algorithm-{label}", None, refused, algorithms=[name])
    fits = [
        ("rsa", "ES256"),
        ("rsa", "EdDSA"),
        ("rsa", "HS256"),
        ("p256", "RS256"),
        ("p256", "ES384"),
        ("p384", "ES256"),
    ]
    fits += [("p521", "ES384"), ("ed25519", "RS256"), ("ed448", "ES512")]
    for key, name in fits:
        case(f"setting-{key}-for-{name.lower()}", None, refused, key=key, algorithms=[name])
    case("setting-p384-for-es384", token(key="p384", alg="ES384"), key="p384", algorithms=["ES384"])
    case("setting-rsa-for-rs256-and-hs256", None, refused, algorithms=["RS256", "HS256"])
    case("setting-rsa-for-rs256-and-ps256", token(), algorithms=["RS256", "PS256"])
    case("setting-rsa-1024", None, refused, key="rsa_1024")
    case("setting-secp256k1", None, refused, key="secp256k1", algorithms=["ES256"])

    for alg, size in (("HS256", 32), ("HS384", 48), ("HS512", 64)):
        short = file.key(f"secret-of-{size - 1}-bytes", secret(size - 1))
        case(f"setting-{alg.lower()}-secret-of-{size - 1}-bytes", None, refused, key=short, algorithms=[alg])
        case(
            f"setting-{alg.lower()}-secret-of-{size}-bytes",
            token(key=SECRET[:size], alg=alg),
            key=f"secret{size}",
            algorithms=[alg],
        )
    case("setting-secret-empty", None, refused, key=secret_of(b""), algorithms=["HS256"])
    case("setting-secret-for-rs256", None, refused, key="secret64")
    public = {
        "pem": pem("rsa"),
        "der": private("rsa").public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": text_of(jwk("rsa")),
        "ssh": private("rsa").public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "certificate": x509.load_der_x509_certificate(self_signed("rsa")).public_bytes(Encoding.PEM),
        "pem-body": "".join(pem("rsa").splitlines()[1:-1]),
    }
    for name, text in public.items():
        case(
            f"setting-secret-that-is-a-public-key-as-{name}",
            None,
            refused,
            key=secret_of(text),
            algorithms=["HS256"],
            why="Everybody who may read the public key could sign." if name == "pem" else "",
        )

    pems = {
        "private": private_pem("rsa"),
        "certificate": public["certificate"].decode(),
        "two-keys": pem("rsa") + pem("rsa_other"),
        "no-key": "no key at all",
        "empty": "",
        "cut-off": "\n".join(pem("rsa").splitlines()[:-2]) + "\n",
        "jwk": text_of(jwk("rsa")).decode(),
    }
    case("setting-pem", token())
    for name, text in pems.items():
        case(f"setting-pem-{name}", None, refused, key={"pem": text})
    pkcs1 = private("rsa").public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()
    case("setting-pem-of-pkcs1", token(), key={"pem": pkcs1})

    sets = {
        "without-keys": "{}",
        "array": json.dumps([jwk("rsa", "a")]),
        "keys-object": json.dumps({"keys": {"a": jwk("rsa", "a")}}),
        "empty": '{"keys":[]}',
        "key-null": '{"keys":[null]}',
        "single-jwk": json.dumps(jwk("rsa", "a")),
        "not-json": "keys",
        "member-twice": '{"keys":[],"keys":[' + json.dumps(jwk("rsa", "a")) + "]}",
        "member-of-a-key-twice": '{"keys":[' + json.dumps(jwk("rsa", "a"))[:-1] + ',"kid":"b"}]}',
        "trailing-comma": '{"keys":[' + json.dumps(jwk("rsa", "a")) + ",]}",
    }
    rules = {"not-json": "R12.1", "member-twice": "R12.2", "member-of-a-key-twice": "R12.2", "trailing-comma": "R12.1"}
    case("setting-set", token(kid="a"), key=file.key("set", jwks(jwk("rsa", "a"))))
    for name, text in sets.items():
        case(f"setting-set-{name}", None, refused, key={"jwks_text": text}, rules=rules.get(name, ""))
    unusable = {
        "of-weak-keys": jwk("rsa_1024", "a"),
        "of-keys-for-encryption": jwk("rsa", "a", use="enc"),
        "of-keys-for-another-algorithm": jwk("rsa", "a", alg="RS512"),
        "of-keys-of-another-family": jwk("p256", "a"),
        "of-keys-without-a-kid": jwk("rsa"),
    }
    for name, key in unusable.items():
        case(f"setting-set-{name}", None, refused, key=jwks(key), why="No token could ever be verified.")
    case(
        "setting-set-with-one-usable", token(kid="a"), key=file.key("one", jwks(jwk("rsa_1024", "b"), jwk("rsa", "a")))
    )

    numbers = private("rsa").private_numbers()
    keys_ = {
        "use-enc": jwk("rsa", use="enc"),
        "key-ops-sign": jwk("rsa", key_ops=["sign"]),
        "private": jwk("rsa", d=b64(number(numbers.d))),
        "weak": jwk("rsa_1024"),
        "alg-another": jwk("rsa", alg="RS512"),
        "without-kty": {"n": jwk("rsa")["n"], "e": "AQAB"},
    }
    case("setting-jwk", token(), key={"jwk": jwk("rsa", use="sig", key_ops=["verify"], alg="RS256")})
    for name, key in keys_.items():
        case(f"setting-jwk-{name}", None, refused, key={"jwk": key})

    case("setting-audience-empty", None, refused, audience=[], why="No audience is a setting that is not there.")
    case("setting-audience-of-an-empty-string", None, refused, audience=[""])
    case("setting-audience", token(having(aud="a")), having(aud="a"), audience=["a"])
    case("setting-issuer-empty", None, refused, issuer="")
    case("setting-required-empty-name", None, refused, required=["sub", ""])
    case("setting-required-nothing", token(), required=[])
    case("setting-leeway-negative", None, refused, leeway=-1)
    case("setting-leeway-negative-fraction", None, refused, leeway="-0.5")
    case("setting-leeway-zero", token(), leeway=0)
    return file
