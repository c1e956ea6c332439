"""Vectors about the audience and the issuer of a token."""

from __future__ import annotations

from typing import Any

from signer import having, token
from vector_file import File


def claims() -> File:
    file = File("claims", "Whom a token is for and from, and which claims must be there.")
    case = file.case
    here, other = "https://cobrowse.io", "https://other.example"

    def aud(name: str, value: Any, expect: str | None = None, audience: list[str] | None = None) -> None:
        claims = having(aud=value)
        case(name, token(claims), expect or claims, audience=[here] if audience is None else audience)

    aud("aud-the-one", here)
    aud("aud-another", other, "audience")
    aud("aud-missing", ..., "missing_claim")
    aud("aud-in-an-array", [other, here])
    aud("aud-not-in-an-array", [other, "x"], "audience")
    aud("aud-alone-in-an-array", [here])
    aud("aud-empty-array", [], "audience")
    aud("aud-empty-string", "", "audience")
    for label, value in {"null": None, "number": 1, "true": True, "object": {here: here}}.items():
        aud(f"aud-{label}", value, "malformed")
    aud("aud-twice-in-an-array", [here, here])
    aud("aud-with-a-number-beside-it", [here, 1], "malformed")
    aud("aud-with-null-beside-it", [None, here], "malformed")
    aud("aud-in-an-array-in-an-array", [[here]], "malformed")
    aud("aud-in-capitals", here.upper(), "audience")
    aud("aud-with-a-slash", here + "/", "audience")
    aud("aud-with-a-space", here + " ", "audience")
    aud("aud-beginning-of-it", here[:-1], "audience")
    aud("aud-joined-in-a-string", f"{other} {here}", "audience")
    aud("aud-first-of-several", here, None, [here, other])
    aud("aud-none-of-several", "x", "audience", [here, other])
    aud("aud-last-of-several", other, None, [here, other])
    aud("aud-several-and-several", ["x", other], None, [here, other])
    aud("aud-several-and-none-of-several", ["x", "y"], "audience", [here, other])
    aud("aud-composed", "\u00e9", None, ["\u00e9"])
    aud("aud-decomposed", "e\u0301", "audience", ["\u00e9"])
    case(
        "aud-there-and-none-configured", token(having(aud=here)), "audience", why="It is for somebody, and not for us."
    )
    case("aud-missing-and-none-configured", token())
    for label, value in {"empty-array": [], "null": None, "empty-string": "", "number": 1}.items():
        case(f"aud-{label}-and-none-configured", token(having(aud=value)), "audience")
    case("aud-in-the-header-and-none-configured", token(aud=here))
    case("aud-in-the-header", token(aud=here), "missing_claim", audience=[here])

    def iss(name: str, value: Any, expect: str | None = None) -> None:
        claims = having(iss=value)
        case(name, token(claims), expect or claims, issuer="license-key")

    iss("iss-the-one", "license-key")
    iss("iss-another", "license-kez", "issuer")
    iss("iss-missing", ..., "missing_claim")
    iss("iss-in-capitals", "LICENSE-KEY", "issuer")
    iss("iss-with-a-space", "license-key ", "issuer")
    iss("iss-with-a-nul", "license-key\0", "issuer")
    iss("iss-empty", "", "issuer")
    for label, value in {"null": None, "number": 1, "array": ["license-key"], "true": True, "object": {}}.items():
        iss(f"iss-{label}", value, "malformed")
    case("iss-any-and-none-configured", token(having(iss="anybody")), having(iss="anybody"))
    case("iss-in-the-header", token(iss="license-key"), "missing_claim", issuer="license-key")
    case("iss-number-and-none-configured", token(having(iss=1)), having(iss=1), why="It is not looked at.")

    case("required-there", token(), required=["sub"])
    case("required-missing", token(having(sub=...)), "missing_claim", required=["sub"])
    case("required-null", token(having(sub=None)), having(sub=None), required=["sub"], why="A null is there.")
    case("required-one-of-two-missing", token(), "missing_claim", required=["sub", "iat"])
    case("required-two-there", token(having(iat=1_600_000_000)), having(iat=1_600_000_000), required=["sub", "iat"])
    case("required-only-deep-inside", token(having(x={"iat": 1})), "missing_claim", required=["iat"])
    case("required-policy-there", token(), required=["policy"])
    case("required-policy-missing", token(having(policy=...)), "missing_claim", required=["policy"])
    case("required-exp-there", token(), required=["exp"])
    case("required-exp-missing", token(having(exp=...)), "missing_claim", required=["exp"])
    case("required-name-of-a-prototype-missing", token(), "missing_claim", required=["__proto__"])
    proto = having(__proto__={})
    case("required-name-of-a-prototype-there", token(proto), proto, required=["__proto__"])
    case("required-in-capitals", token(having(sub=..., SUB="x")), "missing_claim", required=["sub"])

    service = having(aud=here, iss="license-key", iat=1_600_000_000)
    settings = {"audience": [here], "issuer": "license-key", "required": ["sub", "iat"]}
    case("service", token(service), service, **settings)
    for name, code in {
        "aud": "missing_claim",
        "iss": "missing_claim",
        "iat": "missing_claim",
        "sub": "missing_claim",
    }.items():
        left = {key: value for key, value in service.items() if key != name}
        case(f"service-without-{name}", token(left), code, **settings)
    left = {key: value for key, value in service.items() if key != "policy"}
    case("service-without-policy", token(left), left, **settings, why="A token without a policy is a valid token.")
    return file
