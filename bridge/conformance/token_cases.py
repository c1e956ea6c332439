"""The vectors about tokens, and the outcome of the bridge's verifier for them."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

from bridge.conformance.vectors import joined_text, read_cases
from bridge.errors import ConfigurationError, InvalidTokenError, UsageError
from bridge.strict_json import Value, encode, parse, sorted_text
from bridge.tokens import JwkSet, KeySource, StaticKey, TokenVerifier

INVALID_SETTING: Final = ConfigurationError.code
_SCHEMA: Final = "tokens.schema.json"


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """A key that verifies.

    Attributes:
        form: Its format: `pem`, `jwk`, `jwks` or `secret`.
        data: Its text, or the bytes of the secret.
    """

    form: str
    data: bytes

    def source(self) -> KeySource:
        """Return the key for a verifier.

        Raises:
            ConfigurationError: It cannot be used.
        """
        if self.form == "pem":
            return StaticKey.from_pem(self.data)
        if self.form == "jwk":
            return StaticKey.from_jwk(self.data)
        if self.form == "jwks":
            return JwkSet(self.data)
        return StaticKey.from_secret(self.data)


@dataclass(frozen=True, slots=True, eq=False)
class TokenCase:
    """One case, as its file has it.

    Attributes:
        name: Its stable name.
        rules: The rules that it is about; `Tokens` is the chapter.
        key: The key that verifies.
        settings: The verifier's other settings that are not the defaults, as `TokenVerifier` takes them.
        token: The token; None if the settings must be refused.
        now: The time in seconds since 1970; None if the outcome is the same at any time from 2024 to 2099.
        expected: The demanded outcome, as `outcome` returns it.
    """

    name: str
    rules: tuple[str, ...]
    key: Key
    settings: Mapping[str, Any]
    token: str | None
    now: Decimal | None
    expected: dict[str, object]

    def verifier(self, clock: Callable[[], Any] = time.time) -> TokenVerifier:
        """Return the verifier of the case.

        Raises:
            ConfigurationError: The settings must be refused.
        """
        return TokenVerifier(self.key.source(), **self.settings, clock=clock if self.now is None else self._then)

    def outcome(self, clock: Callable[[], Any] = time.time) -> dict[str, object]:
        """Verify the token; return its `claims`, in canonical text with sorted members, or the `error`."""
        try:
            verifier = self.verifier(clock)
            if self.token is None:
                return {"error": "settings accepted"}
            return _claims(verifier.verify(self.token))
        except (ConfigurationError, InvalidTokenError) as error:
            return {"error": error.code}

    def _then(self) -> Any:
        return self.now


@cache
def token_cases(path: Path) -> tuple[TokenCase, ...]:
    """Return the cases of a file.

    Raises:
        UsageError: The file is malformed; the error has the place and the cause.
        OSError: The file cannot be read.
    """
    return read_cases(path, _SCHEMA, _case)


def _case(document: dict[str, Any], members: dict[str, Any]) -> TokenCase:
    key = members["key"]
    if key not in document["keys"]:
        raise UsageError(f"`key`: the file's `keys` have no `{key}`: add it there, or name one of them")
    settings = dict(members.get("settings", {}))
    for name in settings.keys() & {"algorithms", "audience", "required"}:
        settings[name] = tuple(settings[name])
    if "leeway" in settings:
        settings["leeway"] = Decimal(settings["leeway"])
    return TokenCase(
        name=members["name"],
        rules=tuple(members["rules"]),
        key=_key(document["keys"][key]),
        settings=settings,
        token=joined_text(members["token"]) if "token" in members else None,
        now=Decimal(members["now"]) if "now" in members else None,
        expected=_expected(members["expect"]),
    )


def _key(members: dict[str, Any]) -> Key:
    [(form, value)] = members.items()
    if form == "secret_base64":
        return Key("secret", base64.b64decode(value))
    if isinstance(value, str):
        return Key(form.removesuffix("_text"), value.encode())
    return Key(form, encode(value, what=form))


def _expected(expect: dict[str, Any]) -> dict[str, object]:
    if "error" in expect:
        return expect
    if "claims" in expect:
        return _claims(expect["claims"])
    return _claims(parse(joined_text(expect["claims_text"]), what="claims_text"))


def _claims(claims: Value) -> dict[str, object]:
    return {"claims": sorted_text(claims).decode("utf-8")}
