"""Vectors about sets of keys, and about keys that must not be used."""

from __future__ import annotations

import base64
from typing import Any

from signer import SECRET, b64, jwk, jwks, number, private, token
from vector_file import File


def keys() -> File:
    file = File("keys", "Sets of keys, of which a token names one by its `kid`, and which keys may be used at all.")
    case = file.case
    file.key("set", jwks(jwk("rsa", "a"), jwk("rsa_other", "b"), jwk("p256", "c")))
    case("kid-of-the-key", token(kid="a"), key="set")
    case("kid-of-another-key", token(kid="b"), "signature", key="set")
    case("kid-of-the-other-key", token(kid="b", key="rsa_other"), key="set")
    case("kid-of-no-key", token(kid="d"), "unknown_key", key="set")
    case("kid-missing", token(), "unknown_key", key="set")
    for label, value in {"number": 1, "null": None, "array": ["a"], "true": True}.items():
        case(f"kid-{label}", token(header={"alg": "RS256", "kid": value}), "malformed", key="set")
    kids = {
        "empty": "",
        "in-capitals": "A",
        "with-a-space": "a ",
        "with-a-nul": "a\0",
        "path": "../../../../dev/null",
        "sql": "a' or '1'='1",
        "url": "https://attacker.example/keys.json",
        "prototype": "__proto__",
    }
    for label, value in kids.items():
        case(f"kid-{label}", token(kid=value), "unknown_key", key="set")
    case("kid-spelled-with-an-escape", token(header='{"alg":"RS256","kid":"\\u0061"}'), key="set")
    file.key("composed", jwks(jwk("rsa", "\u00e9")))
    case("kid-decomposed", token(kid="e\u0301"), "unknown_key", key="composed", why="No normalisation of Unicode.")
    case("kid-composed", token(kid="\u00e9"), key="composed")

    def among(name: str, *others: dict[str, Any]) -> str:
        """Add a key set of a good key and these keys."""
        return file.key(name, jwks(jwk("rsa_other", "good"), *others))

    file.key("duplicated", jwks(jwk("rsa", "a"), jwk("rsa_other", "a"), jwk("rsa", "b")))
    case("kid-twice-in-the-set", token(kid="a"), "unknown_key", key="duplicated")
    case("kid-once-in-a-set-where-another-is-twice", token(kid="b"), key="duplicated")
    case("kid-twice-in-the-set-second-key", token(kid="a", key="rsa_other"), "unknown_key", key="duplicated")
    among("same-twice", jwk("rsa", "a"), jwk("rsa", "a"))
    case("kid-twice-in-the-set-the-same-key", token(kid="a"), "unknown_key", key="same-twice")
    among("thrice", jwk("rsa", "a"), jwk("rsa", "a"), jwk("rsa", "a"))
    case("kid-thrice-in-the-set", token(kid="a"), "unknown_key", key="thrice", why="An even number does not undo it.")
    among("twice-weak", jwk("rsa", "a"), jwk("rsa_1024", "a"))
    case("kid-twice-in-the-set-one-unusable", token(kid="a"), "unknown_key", key="twice-weak")
    among("nameless", jwk("rsa"))
    case("key-without-a-kid", token(), "unknown_key", key="nameless")
    case("key-beside-one-without-a-kid", token(kid="good", key="rsa_other"), key="nameless")
    among("numbered", {**jwk("rsa"), "kid": 1})
    case("key-whose-kid-is-a-number", token(kid="1"), "unknown_key", key="numbered")
    one = file.key("one", jwks(jwk("rsa", "a")))
    case("kid-missing-in-a-set-of-one", token(), "unknown_key", key=one, why="There is no guess, however sure.")
    case("kid-in-a-set-of-one", token(kid="a"), key=one)

    # What a key says it is for.
    uses: dict[str, tuple[dict[str, Any], str | None]] = {
        "use-sig": ({"use": "sig"}, None),
        "use-enc": ({"use": "enc"}, "unknown_key"),
        "use-in-capitals": ({"use": "SIG"}, "unknown_key"),
        "use-array": ({"use": ["sig"]}, "unknown_key"),
        "key-ops-verify": ({"key_ops": ["verify"]}, None),
        "key-ops-sign": ({"key_ops": ["sign"]}, "unknown_key"),
        "key-ops-sign-and-verify": ({"key_ops": ["sign", "verify"]}, None),
        "key-ops-empty": ({"key_ops": []}, "unknown_key"),
        "key-ops-encrypt": ({"key_ops": ["encrypt", "wrapKey"]}, "unknown_key"),
        "key-ops-string": ({"key_ops": "verify"}, "unknown_key"),
        "use-sig-key-ops-encrypt": ({"use": "sig", "key_ops": ["encrypt"]}, "unknown_key"),
        "use-sig-key-ops-verify": ({"use": "sig", "key_ops": ["verify"]}, None),
        "use-enc-key-ops-verify": ({"use": "enc", "key_ops": ["verify"]}, "unknown_key"),
        "alg-the-same": ({"alg": "RS256"}, None),
        "alg-another": ({"alg": "RS512"}, "algorithm"),
        "alg-of-another-family": ({"alg": "ES256"}, "unknown_key"),
        "alg-hmac": ({"alg": "HS256"}, "unknown_key"),
        "alg-for-encryption": ({"alg": "RSA-OAEP-256"}, "unknown_key"),
        "alg-number": ({"alg": 256}, "unknown_key"),
        "unknown-member": ({"x5t": "AAAA", "ext": True}, None),
    }
    for name, (members, expect) in uses.items():
        among(name, jwk("rsa", "a", **members))
        case(f"key-{name}", token(kid="a"), expect, key=name, algorithms=["RS256", "RS512"])
    case("key-alg-another-by-it", token(kid="a", alg="RS512"), key="alg-another", algorithms=["RS256", "RS512"])
    among("use-null", {**jwk("rsa", "a"), "use": None})
    case("key-use-null", token(kid="a"), "unknown_key", key="use-null", why="A member with the value null is there.")
    case("key-beside-one-with-use-null", token(kid="good", key="rsa_other"), key="use-null")

    # Keys that are none.
    among("weak", jwk("rsa_1024", "a"))
    case("key-rsa-1024", token(kid="a", key="rsa_1024"), "unknown_key", key="weak")
    case("key-beside-a-weak-one", token(kid="good", key="rsa_other"), key="weak")
    numbers = private("rsa").private_numbers()
    among("private", jwk("rsa", "a", d=b64(number(numbers.d))))
    case("key-private", token(kid="a"), "unknown_key", key="private", why="Whoever reads the set could sign.")
    among("no-kty", {name: value for name, value in jwk("rsa", "a").items() if name != "kty"})
    case("key-without-kty", token(kid="a"), "unknown_key", key="no-kty")
    among("kty-lower", jwk("rsa", "a", kty="rsa"))
    case("key-kty-in-lower-case", token(kid="a"), "unknown_key", key="kty-lower")
    among("n-padded", jwk("rsa", "a", n=jwk("rsa")["n"] + "=="))
    case("key-n-padded", token(kid="a"), "unknown_key", key="n-padded")
    among("n-number", jwk("rsa", "a", n=65537))
    case("key-n-number", token(kid="a"), "unknown_key", key="n-number")
    among("e-one", jwk("rsa", "a", e=b64(b"\1")))
    case("key-e-one", token(kid="a"), "unknown_key", key="e-one", why="With the exponent 1 anybody can sign.")
    case("key-beside-one-with-e-one", token(kid="good", key="rsa_other"), key="e-one")
    es = {"algorithms": ["RS256", "ES256"]}
    among("ec", jwk("p256", "a"))
    case("key-ec", token(kid="a", key="p256", alg="ES256"), key="ec", **es)
    case("key-ec-for-rs256", token(kid="a"), "algorithm", key="ec", **es)
    case("key-rsa-for-es256", token(kid="good", key="p256", alg="ES256"), "algorithm", key="ec", **es)
    x, y = jwk("p256")["x"], jwk("p256")["y"]
    among("off-curve", jwk("p256", "a", y=x, x=y))
    case("key-ec-off-its-curve", token(kid="a", key="p256", alg="ES256"), "unknown_key", key="off-curve", **es)
    among("x-short", jwk("p256", "a", x=b64(base64.urlsafe_b64decode(x + "=")[:-1])))
    case("key-ec-x-short", token(kid="a", key="p256", alg="ES256"), "unknown_key", key="x-short", **es)
    among("crv-other", jwk("p256", "a", crv="P-384"))
    case("key-ec-crv-of-another", token(kid="a", key="p256", alg="ES256"), "unknown_key", key="crv-other", **es)
    among("koblitz", jwk("secp256k1", "a"))
    case("key-ec-secp256k1", token(kid="a", key="secp256k1", alg="ES256"), "unknown_key", key="koblitz", **es)
    ed = {"algorithms": ["RS256", "EdDSA"]}
    among("okp", jwk("ed25519", "a"))
    case("key-okp", token(kid="a", key="ed25519", alg="EdDSA"), key="okp", **ed)
    case("key-okp-for-rs256", token(kid="a"), "algorithm", key="okp", **ed)
    among("okp-crv", jwk("ed25519", "a", crv="X25519"))
    case(
        "key-okp-crv-for-key-agreement", token(kid="a", key="ed25519", alg="EdDSA"), "unknown_key", key="okp-crv", **ed
    )

    # Secrets.
    mixed = {"algorithms": ["RS256", "HS256"]}
    among("mixed", jwk("secret64", "a"))
    case(
        "key-secret-among-public-ones",
        token(kid="a", key=SECRET, alg="HS256"),
        "unknown_key",
        key="mixed",
        **mixed,
        why="A set with public keys is made to be published, and a published secret is none.",
    )
    case("key-public-beside-a-secret", token(kid="good", key="rsa_other"), key="mixed", **mixed)
    file.key("secrets", jwks(jwk("secret64", "a"), jwk("secret32", "b"), jwk("secret16", "c")))
    hmac_ = {"algorithms": ["HS256", "HS512"]}
    case("key-secret-among-secrets", token(kid="a", key=SECRET, alg="HS512"), key="secrets", **hmac_)
    case(
        "key-secret-shorter-than-the-hash",
        token(kid="b", key=SECRET[:32], alg="HS512"),
        "algorithm",
        key="secrets",
        **hmac_,
    )
    case("key-secret-as-long-as-the-hash", token(kid="b", key=SECRET[:32], alg="HS256"), key="secrets", **hmac_)
    case(
        "key-secret-too-short-for-any",
        token(kid="c", key=SECRET[:16], alg="HS256"),
        "unknown_key",
        key="secrets",
        **hmac_,
    )
    case("key-secret-another-is-named", token(kid="b", key=SECRET, alg="HS256"), "signature", key="secrets", **hmac_)

    # One key as JWK.
    file.key("jwk", {"jwk": jwk("rsa", "a", use="sig", alg="RS256")})
    case("jwk-alone-whatever-the-kid", token(kid="b"), key="jwk")
    case("jwk-alone-another-key", token(kid="a", key="rsa_other"), "signature", key="jwk")
    case("jwk-alone-without-a-kid", token(), key="jwk")
    return file
