"""Vectors about accepted algorithms and the form of signatures."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from signer import CLAIMS, RSA_NAMES, SECRET, b64, having, jwk, jwks, number, signed, text_of, token
from vector_file import File


def algorithms() -> File:
    file = File("algorithms", "Vectors about accepted algorithms and the form of signatures.")
    case = file.case
    families: list[tuple[str, str, str]] = [(alg, "rsa", "rsa_other") for alg in RSA_NAMES]
    families += [("ES256", "p256", "p256_other"), ("ES384", "p384", ""), ("ES512", "p521", "")]
    families += [("EdDSA", "ed25519", "ed25519_other"), ("EdDSA", "ed448", "")]
    for alg, key, other in families:
        name = f"{alg}-{key}".lower() if alg == "EdDSA" else alg.lower()
        good = token(key=key, alg=alg)
        head, _, tail = good.split(".")
        case(name, good, key=key, algorithms=[alg])
        case(
            f"{name}-payload-changed",
            f"{head}.{b64(text_of(having(sub='admin@example.com')))}.{tail}",
            "signature",
            key=key,
            algorithms=[alg],
        )
        if other:
            case(f"{name}-another-key", token(key=other, alg=alg), "signature", key=key, algorithms=[alg])
    for alg, size in (("HS256", 32), ("HS384", 48), ("HS512", 64)):
        good = token(key=SECRET[:size], alg=alg)
        head, _, tail = good.split(".")
        case(alg.lower(), good, key=f"secret{size}", algorithms=[alg])
        case(
            f"{alg.lower()}-payload-changed",
            f"{head}.{b64(text_of(having(sub='admin@example.com')))}.{tail}",
            "signature",
            key=f"secret{size}",
            algorithms=[alg],
        )
        other_secret = SECRET[:size][::-1]
        case(
            f"{alg.lower()}-another-secret",
            token(key=other_secret, alg=alg),
            "signature",
            key=f"secret{size}",
            algorithms=[alg],
        )
    case("hs256-longer-secret", token(key=SECRET, alg="HS256"), key="secret64", algorithms=["HS256"])
    case("hs256-empty-secret", token(key=b"", alg="HS256"), "signature", key="secret32", algorithms=["HS256"])

    # What a signature must be.
    good = token()
    head, body, tail = good.split(".")
    raw = base64.urlsafe_b64decode(tail + "==")
    case("signature-empty", f"{head}.{body}.", "signature", why="An empty signature is base64url, and no signature.")
    case("signature-of-nothing-but-zeros", f"{head}.{body}.{b64(bytes(256))}", "signature")
    case("signature-right", good)
    case("signature-one-byte-short", f"{head}.{body}.{b64(raw[:-1])}", "signature")
    case("signature-one-byte-long", f"{head}.{body}.{b64(raw + bytes(1))}", "signature")
    case("signature-with-a-zero-before-it", f"{head}.{body}.{b64(bytes(1) + raw)}", "signature")
    case("signature-one-bit-other", f"{head}.{body}.{b64(raw[:-1] + bytes([raw[-1] ^ 1]))}", "signature")
    message = f"{b64(text_of({'alg': 'RS256', 'typ': 'JWT'}))}.{body}"
    case("signature-header-with-more", signed(message))
    case("signature-header-added-to", f"{message}.{tail}", "signature", why="The header is signed as well.")
    good = token(key="p256", alg="ES256")
    head, body, tail = good.split(".")
    raw = base64.urlsafe_b64decode(tail + "==")
    r, s = (int.from_bytes(half, "big") for half in (raw[:32], raw[32:]))
    es256 = {"key": "p256", "algorithms": ["ES256"]}
    case(
        "es256-signature-in-der",
        f"{head}.{body}.{b64(encode_dss_signature(r, s))}",
        "signature",
        **es256,
        why="JWS has r and s side by side, 32 bytes each (RFC 7518, section 3.4).",
    )
    case("es256-signature-right", good, **es256)
    case(
        "es256-signature-all-zeros",
        f"{head}.{body}.{b64(bytes(64))}",
        "signature",
        **es256,
        why="r and s of zero verify anything where nobody checks them (CVE-2022-21449).",
    )
    case("es256-signature-halves-exchanged", f"{head}.{body}.{b64(raw[32:] + raw[:32])}", "signature", **es256)
    case("es256-signature-empty", f"{head}.{body}.", "signature", **es256)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    case(
        "es256-signature-r-beyond-the-order", f"{head}.{body}.{b64(number(order + 1) + raw[32:])}", "signature", **es256
    )
    head, body, _ = token(key="ed25519", alg="EdDSA").split(".")
    case(
        "eddsa-signature-all-zeros", f"{head}.{body}.{b64(bytes(64))}", "signature", key="ed25519", algorithms=["EdDSA"]
    )
    head, body, tail = token(key=SECRET[:32], alg="HS256").split(".")
    case("hs256-signature-empty", f"{head}.{body}.", "signature", key="secret32", algorithms=["HS256"])
    case(
        "hs256-signature-first-half",
        f"{head}.{body}.{b64(base64.urlsafe_b64decode(tail + '=')[:16])}",
        "signature",
        key="secret32",
        algorithms=["HS256"],
    )

    # Which are accepted.
    case("default-is-rs256", token())
    case("default-is-not-rs384", token(alg="RS384"), "algorithm")
    case("default-is-not-ps256", token(alg="PS256"), "algorithm")
    case("several-the-first", token(), algorithms=["RS256", "PS512"])
    case("several-none-of-them", token(alg="RS512"), "algorithm", algorithms=["RS256", "PS512"])
    case("several-the-last", token(alg="PS512"), algorithms=["RS256", "PS512"])
    case(
        "header-says-rs384-signed-by-rs256",
        signed(f"{b64(text_of({'alg': 'RS384'}))}.{b64(text_of(CLAIMS))}"),
        "signature",
        algorithms=["RS256", "RS384"],
    )
    case(
        "header-says-ps256-signed-by-rs256",
        signed(f"{b64(text_of({'alg': 'PS256'}))}.{b64(text_of(CLAIMS))}"),
        "signature",
        algorithms=["RS256", "PS256"],
    )
    for name in ("rs256", "RS256 ", "Rs256", ""):
        label = {"": "empty", "RS256 ": "with-a-space", "rs256": "in-lower-case", "Rs256": "in-mixed-case"}[name]
        case(f"alg-{label}", token(header={"alg": name}), "algorithm")
    case("alg-es256k", token(key="secp256k1", alg="ES256", header={"alg": "ES256K"}), "algorithm", **es256)
    case(
        "alg-ed25519",
        token(key="ed25519", alg="EdDSA", header={"alg": "Ed25519"}),
        "algorithm",
        key="ed25519",
        algorithms=["EdDSA"],
        why="The name of RFC 9864 is not one of the supported.",
    )
    case(
        "es256-with-the-wrong-curve-for-it",
        token(key="p384", alg="ES256", kid="wide"),
        "algorithm",
        key=file.key("curves", jwks(jwk("p256", "narrow"), jwk("p384", "wide"))),
        algorithms=["ES256", "ES384"],
    )
    case(
        "es384-with-its-curve", token(key="p384", alg="ES384", kid="wide"), key="curves", algorithms=["ES256", "ES384"]
    )
    case(
        "es384-with-the-wrong-curve-for-it",
        token(key="p256", alg="ES384", kid="narrow"),
        "algorithm",
        key="curves",
        algorithms=["ES256", "ES384"],
    )
    return file
