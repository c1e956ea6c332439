"""A file of vectors about tokens, and how to write it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import jsonschema
from signer import CLAIMS, FOLDER, joined, pem, secret


@dataclass
class File:
    name: str
    description: str
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    cases: list[dict[str, Any]] = field(default_factory=list)

    def key(self, name: str, key: dict[str, Any]) -> str:
        assert self.keys.setdefault(name, key) == key, name
        return name

    def case(
        self,
        name: str,
        token_: str | None,
        expect: Any = None,
        *,
        key: str | dict[str, Any] = "rsa",
        rules: str = "",
        why: str = "",
        now: int | str | None = None,
        **settings: Any,
    ) -> None:
        """Add a case; `expect` is an error code or the signed claims, where None means `CLAIMS`."""
        if isinstance(key, dict):
            key = self.key(name, key)
        elif key not in self.keys:
            self.keys[key] = secret(int(key[6:])) if key.startswith("secret") else {"pem": pem(key)}
        case: dict[str, Any] = {"name": name, "rules": ["Tokens", *rules.split()], "why": why or None, "key": key}
        case |= {"settings": settings or None, "token": None if token_ is None else parts(token_), "now": now}
        case = {member: value for member, value in case.items() if value is not None}
        case["expect"] = {"error": expect} if isinstance(expect, str) and expect in CODES else claims_of(expect)
        self.cases.append(case)

    def write(self) -> None:
        rules = sorted({rule for case in self.cases for rule in case["rules"]}, key=RULES.index)
        members = {"$schema": "../tokens.schema.json", "description": self.description, "rules": rules}
        lines = ["{", *(f"  {json.dumps(name)}: {json.dumps(value)}," for name, value in members.items())]
        keys = [f"    {json.dumps(name)}: {json.dumps(value)}" for name, value in self.keys.items()]
        lines += ['  "keys": {', ",\n".join(keys), "  },", '  "cases": [']
        cases = []
        for case in self.cases:
            inner = ",\n".join(f"      {json.dumps(name)}: {json.dumps(value)}" for name, value in case.items())
            cases.append("    {\n" + inner + "\n    }")
        lines += [",\n".join(cases), "  ]", "}"]
        text = "\n".join(lines) + "\n"
        schema = json.loads((FOLDER.parent / "tokens.schema.json").read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator(schema).validate(json.loads(text))
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{self.name}.json").write_text(text, encoding="ascii")


RULES = ["Tokens", *(f"R12.{number}" for number in range(1, 7))]
CODES = (
    "malformed",
    "algorithm",
    "signature",
    "unknown_key",
    "expired",
    "not_yet_valid",
    "audience",
    "issuer",
    "missing_claim",
    "invalid_setting",
)


def claims_of(expect: Any) -> dict[str, Any]:
    """Return the claims as an object, or as text if a parser might read a different number."""
    claims = CLAIMS if expect is None else expect
    if isinstance(claims, dict):
        return {"claims": claims}
    return {"claims_text": parts(claims)}


def parts(text: str) -> str | list[Any]:
    """Return a long text as parts; a part that repeats is written once."""
    if len(text) < 4_000:
        return text
    pieces: list[Any] = []
    end = 0
    for match in re.finditer(r"(.{1,64}?)\1{15,}", text, re.DOTALL):
        pieces += [text[end : match.start()], {"repeat": match[1], "times": len(match[0]) // len(match[1])}]
        end = match.end()
    pieces = [part for part in [*pieces, text[end:]] if part]
    assert joined(pieces) == text
    return pieces
