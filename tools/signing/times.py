"""Vectors about the times of a token."""

from __future__ import annotations

from typing import Any

from signer import CLAIMS, FAR, NOW, having, spelled, text_of, token
from vector_file import File


def time_() -> File:
    file = File("time", "`nbf`, `iat` <= now < `exp`, exactly, with and without leeway.")
    case = file.case

    def at(name: str, now: int | str, expect: str | None = None, **members: Any) -> None:
        settings = {"leeway": members.pop("leeway")} if "leeway" in members else {}
        claims = having(**members)
        case(name, token(claims), expect or claims, now=now, **settings)

    def spelling(
        name: str, now: int | str | None, claims: str, expect: str | None = None, rules: str = "", **more: Any
    ) -> None:
        case(name, token(claims), expect or claims, now=now, rules=rules, **more)

    case("exp-missing", token(having(exp=...)), "missing_claim")
    case("exp-far", token())
    case("exp-past", token(having(exp=1_600_000_000)), "expired")
    case("exp-zero", token(having(exp=0)), "expired")
    case("exp-negative", token(having(exp=-1)), "expired")
    at("exp-a-second-before", NOW - 1, exp=NOW)
    at("exp-the-very-second", NOW, "expired", exp=NOW)
    at("exp-a-second-behind", NOW + 1, "expired", exp=NOW)
    at("exp-a-tenth-before", f"{NOW - 1}.9", exp=NOW)
    at("exp-a-tenth-behind", f"{NOW}.1", "expired", exp=NOW)
    at("exp-leeway-just-within", NOW + 9, exp=NOW, leeway=10)
    at("exp-leeway-at-its-end", NOW + 10, "expired", exp=NOW, leeway=10)
    at("exp-leeway-a-tenth-within", f"{NOW}.4", exp=NOW, leeway="0.5")
    at("exp-leeway-of-a-half-at-its-end", f"{NOW}.5", "expired", exp=NOW, leeway="0.5")
    at("exp-leeway-zero", NOW, "expired", exp=NOW, leeway=0)
    text = text_of(CLAIMS).decode()

    def with_exp(value: str) -> str:
        return text.replace(str(FAR), value)

    spelling("exp-fraction-before", NOW, with_exp(f"{NOW}.5"))
    spelling("exp-fraction-behind", NOW + 1, with_exp(f"{NOW}.5"), "expired")
    spelling("exp-fraction-by-its-last-digit-before", f"{NOW}.4999999", with_exp(f"{NOW}.5"))
    spelling("exp-fraction-exactly", f"{NOW}.5", with_exp(f"{NOW}.5"), "expired")
    spelling("exp-with-a-point-and-zero-before", NOW - 1, with_exp(f"{NOW}.0"))
    spelling("exp-with-a-point-and-zero-exactly", NOW, with_exp(f"{NOW}.0"), "expired")
    spelling("exp-with-an-exponent-before", NOW - 1, with_exp("17e8"))
    spelling("exp-with-an-exponent-exactly", NOW, with_exp("17e8"), "expired")
    spelling("exp-of-17-digits", NOW, with_exp(f"{NOW}.0000001"))
    spelling("exp-of-18-digits", NOW, with_exp(f"{NOW}.00000001"), "malformed", "R12.5")
    spelling("exp-huge", None, with_exp("1e300"), rules="R12.5")
    spelling("exp-too-huge", None, with_exp("1e400"), "malformed", "R12.5")
    spelling("exp-of-40-digits", None, with_exp("9" * 40), rules="R12.5")
    spelling("exp-of-41-digits", None, with_exp("9" * 41), "malformed", "R12.5")
    spelling("exp-of-60-digits", None, with_exp("9" * 60), "malformed", "R12.5")
    spelling("exp-in-milliseconds", None, with_exp(f"{FAR}000"), why="A number like any other, if a far one.")
    spelling("exp-huge-and-negative", None, with_exp("-1e300"), "expired")
    for label, value in {
        "string": f'"{FAR}"',
        "true": "true",
        "null": "null",
        "array": f"[{FAR}]",
        "object": f'{{"exp":{FAR}}}',
        "date": '"2099-01-01T00:00:00Z"',
    }.items():
        spelling(f"exp-{label}", None, with_exp(value), "malformed")
    spelling("exp-nan", None, with_exp("NaN"), "malformed", "R12.1")
    case("exp-in-capitals", token({**having(exp=...), "EXP": FAR}), "missing_claim")
    case("exp-in-the-header", token(having(exp=...), exp=FAR), "missing_claim")
    case("exp-beside-one-in-the-header", token(exp=1))

    for name in ("nbf", "iat"):
        case(f"{name}-past", token(having(**{name: 1_600_000_000})), having(**{name: 1_600_000_000}))
        case(f"{name}-far", token(having(exp=FAR + 9, **{name: FAR})), "not_yet_valid")
        at(f"{name}-a-second-behind", NOW + 1, **{name: NOW})
        at(f"{name}-a-second-before", NOW - 1, "not_yet_valid", **{name: NOW})
        at(f"{name}-the-very-second", NOW, **{name: NOW})
        at(f"{name}-a-tenth-before", f"{NOW - 1}.9", "not_yet_valid", **{name: NOW})
        at(f"{name}-leeway-at-its-end", NOW - 10, leeway=10, **{name: NOW})
        at(f"{name}-leeway-just-outside", NOW - 11, "not_yet_valid", leeway=10, **{name: NOW})
        at(f"{name}-leeway-of-a-half", f"{NOW - 1}.5", leeway="0.5", **{name: NOW})
        at(f"{name}-leeway-of-a-half-outside", f"{NOW - 1}.4", "not_yet_valid", leeway="0.5", **{name: NOW})
        spelling(f"{name}-fraction-exactly", f"{NOW}.5", spelled(f'"{name}":{NOW}.5'))
        spelling(f"{name}-fraction-before", NOW, spelled(f'"{name}":{NOW}.5'), "not_yet_valid")
        case(f"{name}-negative", token(having(**{name: -1})), having(**{name: -1}))
        for label, value in {"string": '"1600000000"', "true": "true", "null": "null", "array": "[1600000000]"}.items():
            spelling(f"{name}-{label}", None, spelled(f'"{name}":{value}'), "malformed")
        spelling(f"{name}-huge", None, spelled(f'"{name}":1e300', exp=FAR), "not_yet_valid", "R12.5")
        spelling(f"{name}-huge-and-negative", None, spelled(f'"{name}":-1e300'), rules="R12.5")
        spelling(f"{name}-too-huge", None, spelled(f'"{name}":1e400'), "malformed", "R12.5")
    at("nbf-and-iat-past", NOW, nbf=NOW - 2, iat=NOW - 1)
    at("nbf-past-iat-not", NOW, "not_yet_valid", nbf=NOW - 2, iat=NOW + 1)
    at("iat-past-nbf-not", NOW, "not_yet_valid", nbf=NOW + 1, iat=NOW - 2)
    at("exp-before-nbf", NOW + 1, "expired", nbf=NOW, exp=NOW - 1)
    at("lifetime-of-a-second", NOW, nbf=NOW, iat=NOW, exp=NOW + 1)
    at("lifetime-of-nothing", NOW, "expired", nbf=NOW, iat=NOW, exp=NOW)
    return file
