"""Vectors about the header of a token."""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from signer import (
    CLAIMS,
    FAR,
    SECRET,
    b64,
    having,
    jwk,
    jwks,
    number,
    pem,
    private,
    self_signed,
    text_of,
    token,
)
from vector_file import File


def header() -> File:
    file = File("header", "What a token says of itself, and must not be believed: `none`, keys of its own, `crit`.")
    case = file.case
    body = b64(text_of(CLAIMS))
    for name in ("none", "None", "NONE", "nOnE"):
        message = f"{b64(text_of({'alg': name}))}.{body}"
        label = {"none": "", "None": "-capital", "NONE": "-in-capitals", "nOnE": "-in-mixed-case"}[name]
        case(f"none{label}-unsigned", f"{message}.", "algorithm")
    case("none-signed", token(header={"alg": "none"}), "algorithm")
    case(
        "none-unsigned-for-a-secret",
        f"{b64(text_of({'alg': 'none'}))}.{body}.",
        "algorithm",
        key="secret32",
        algorithms=["HS256"],
    )

    # An HMAC made with what everybody may read.
    public = pem("rsa")
    hmacs = {
        "pem": public.encode(),
        "pem-without-its-line-feed": public.rstrip().encode(),
        "der": private("rsa").public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "modulus": number(private("rsa").public_key().public_numbers().n),
        "jwk": text_of(jwk("rsa", "rsa")),
    }
    for name, data in hmacs.items():
        case(f"hmac-of-the-public-key-as-{name}", token(key=data, alg="HS256"), "algorithm")
    case(
        "hmac-of-the-public-key-named-in-a-set",
        token(key=public.encode(), alg="HS256", kid="rsa"),
        "algorithm",
        key=file.key("set", jwks(jwk("rsa", "rsa"))),
        algorithms=["RS256", "HS256"],
        why="Both algorithms are accepted, and the key decides the family.",
    )
    case("rs256-of-the-same-key-in-the-set", token(kid="rsa"), key="set", algorithms=["RS256", "HS256"])
    case(
        "hmac-of-the-curve-point",
        token(key=number(private("p256").public_key().public_numbers().x), alg="HS256"),
        "algorithm",
        key="p256",
        algorithms=["ES256"],
    )

    # A key that the token brings along.
    certificate = self_signed("rsa_other")
    brought = {
        "jwk": jwk("rsa_other"),
        "jku": "https://attacker.example/keys.json",
        "x5c": [base64.b64encode(certificate).decode()],
        "x5u": "https://attacker.example/certificate.pem",
        "x5t": b64(hashlib.sha1(certificate, usedforsecurity=False).digest()),
    }
    for name, value in brought.items():
        case(f"{name}-of-the-key-that-signed", token(key="rsa_other", **{name: value}), "signature")
        case(f"{name}-of-another-key-that-did-not", token(**{name: value}), why="It is not even read.")
    case(
        "jwk-of-the-key-that-signed-with-a-kid-of-the-set",
        token(key="rsa_other", kid="rsa", jwk=jwk("rsa_other", "rsa")),
        "signature",
        key="set",
    )
    case(
        "jwk-secret-that-signed",
        token(key=SECRET[:32], alg="HS256", jwk=jwk("secret32")),
        "algorithm",
    )

    # Members that change what a token means.
    for label, value in {
        "exp": ["exp"],
        "b64": ["b64"],
        "empty": [],
        "null": None,
        "string": "exp",
        "unknown": ["x"],
    }.items():
        case(f"crit-{label}", token(crit=value, exp=FAR), "malformed")
    case("crit-in-the-claims", token(having(crit=["exp"])), having(crit=["exp"]))
    case("crit-spelled-with-an-escape", token(header='{"alg":"RS256","cr\\u0069t":["exp"]}'), "malformed")
    case("crit-in-capitals", token(CRIT=["exp"]), why="Another name is another member.")
    case("b64-false", token(b64=False), "malformed")
    case("b64-true", token(b64=True), "malformed")
    case("zip-deflate", token(zip="DEF"), "malformed")
    case("unknown-member", token(x={"crit": ["exp"]}))

    # The algorithm and the key's name.
    case("alg-missing", token(header={"typ": "JWT"}), "malformed")
    for label, value in {
        "null": None,
        "number": 256,
        "array": ["RS256"],
        "true": True,
        "object": {"RS256": "RS256"},
    }.items():
        case(f"alg-{label}", token(header={"alg": value}), "malformed")
    case("alg-spelled-with-an-escape", token(header='{"\\u0061lg":"RS\\u003256"}'))
    case("alg-in-capitals", token(header={"ALG": "RS256"}), "malformed")
    case("alg-twice", token(header='{"alg":"none","alg":"RS256"}'), "malformed", rules="R12.2")
    case("alg-once", token(header='{"alg":"RS256"}'), rules="R12.2")
    case("alg-twice-the-same", token(header='{"alg":"RS256","alg":"RS256"}'), "malformed", rules="R12.2")
    case(
        "alg-twice-once-with-an-escape", token(header='{"alg":"RS256","al\\u0067":"none"}'), "malformed", rules="R12.2"
    )
    case("kid-twice", token(header='{"alg":"RS256","kid":"a","kid":"rsa"}'), "malformed", rules="R12.2", key="set")
    case("kid-once", token(header='{"alg":"RS256","kid":"rsa"}'), rules="R12.2", key="set")
    case("typ-twice", token(header='{"alg":"RS256","typ":"JWT","typ":"JWT"}'), "malformed", rules="R12.2")
    case("member-of-a-member-twice", token(header='{"alg":"RS256","x":{"a":1,"a":1}}'), "malformed", rules="R12.2")
    case(
        "members-of-one-name-in-two-objects", token(header='{"alg":"RS256","x":{"alg":1},"y":{"alg":1}}'), rules="R12.2"
    )

    # R12.
    for label, text in {
        "array": '["RS256"]',
        "string": '"RS256"',
        "number": "256",
        "null": "null",
        "empty": "",
        "empty-object": "{}",
    }.items():
        case(f"header-{label}", token(header=text), "malformed", rules="" if label == "empty-object" else "R12.1")
    case("header-in-white-space", token(header=' {"alg" :\t"RS256"}\r\n'), rules="R12.1")
    case("header-cut-off", token(header='{"alg":"RS256"'), "malformed", rules="R12.1")
    case("header-twice", token(header='{"alg":"RS256"}{"alg":"RS256"}'), "malformed", rules="R12.1")
    case("header-with-a-trailing-comma", token(header='{"alg":"RS256",}'), "malformed", rules="R12.1")
    case("header-with-a-comment", token(header='{"alg":"RS256"/**/}'), "malformed", rules="R12.1")
    case("header-in-single-quotes", token(header="{'alg':'RS256'}"), "malformed", rules="R12.1")
    case("header-after-a-byte-order-mark", token(header=b'\xef\xbb\xbf{"alg":"RS256"}'), "malformed", rules="R12.1")
    case("header-in-utf-16", token(header='{"alg":"RS256"}'.encode("utf-16-le")), "malformed", rules="R12.1")
    case("header-not-utf-8", token(header=b'{"alg":"RS256","x":"\xff"}'), "malformed", rules="R12.1")
    case("header-with-replacement-character", token(header='{"alg":"RS256","x":"\ufffd"}'), rules="R12.1")
    case("header-overlong-utf-8", token(header=b'{"alg":"RS256","x":"\xc0\xaf"}'), "malformed", rules="R12.1")
    case("header-nan", token(header='{"alg":"RS256","x":NaN}'), "malformed", rules="R12.1")
    case("header-surrogate-alone", token(header='{"alg":"RS256","x":"\\ud800"}'), "malformed", rules="R12.3")
    case("header-surrogates-paired", token(header='{"alg":"RS256","x":"\\ud83d\\udd12"}'), rules="R12.3")
    case("header-64-deep", token(header='{"alg":"RS256","x":' + "[" * 63 + "]" * 63 + "}"), rules="R12.4")
    case("header-65-deep", token(header='{"alg":"RS256","x":' + "[" * 64 + "]" * 64 + "}"), "malformed", rules="R12.4")
    case("header-number-of-40-digits", token(header='{"alg":"RS256","x":' + "1" * 40 + "}"), rules="R12.5")
    case("header-number-of-60-digits", token(header='{"alg":"RS256","x":' + "1" * 60 + "}"), "malformed", rules="R12.5")
    case("header-number-beyond-doubles", token(header='{"alg":"RS256","x":1e400}'), "malformed", rules="R12.5")

    # What plays no part.
    case("typ-another", token(typ="at+jwt"))
    case(
        "typ-that-is-signed-by-nobody",
        f"{b64(text_of({'alg': 'RS256', 'typ': 'at+jwt'}))}.{token().partition('.')[2]}",
        "signature",
    )
    case("typ-of-an-encrypted-token", token(typ="JWE", enc="A128GCM"))
    case("cty-json", token(cty="json"))
    case(
        "cty-that-is-signed-by-nobody",
        f"{b64(text_of({'alg': 'RS256', 'cty': 'json'}))}.{token().partition('.')[2]}",
        "signature",
    )
    case("kid-for-a-single-key", token(kid="whatever"), why="One fixed key has no name.")
    case("kid-number-for-a-single-key", token(kid=1), "malformed")
    return file
