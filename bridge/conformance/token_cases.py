"""The vectors about tokens, read, and what the bridge's verifier makes of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from bridge.conformance.schema import Fields, read_cases
from bridge.errors import ConfigurationError, InvalidTokenError, MalformedInputError
from bridge.strict_json import encode, parse
from bridge.tokens import JwkSet, StaticKey, TokenVerifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal
    from pathlib import Path

    from bridge.strict_json import Value
    from bridge.tokens import KeySource

INVALID_SETTING: Final = ConfigurationError.code

_KEYS: Final = ("pem", "jwk", "jwks", "jwks_text", "secret_base64")
_CODES: Final = frozenset((INVALID_SETTING, *(kind.code for kind in InvalidTokenError.__subclasses__())))


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """What verifies.

    Attributes:
        form: How it is given: `pem`, `jwk`, `jwks` or `secret`.
        data: Its text, or the bytes of the secret.
    """

    form: str
    data: bytes

    def source(self) -> KeySource:
        """The key for a verifier.

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
        key: What verifies.
        settings: The verifier's other settings that are not the defaults, as `TokenVerifier` takes them.
        token: The token; None where the settings must be refused.
        now: The time in seconds since 1970; None where the outcome is the same at any time from 2024 to 2099.
        expected: What is wanted, as `outcome` gives it.
    """

    name: str
    rules: tuple[str, ...]
    key: Key
    settings: Mapping[str, Any]
    token: str | None
    now: Decimal | None
    expected: dict[str, object]

    def verifier(self, clock: Callable[[], Any] = time.time) -> TokenVerifier:
        """The verifier that it speaks of.

        Raises:
            ConfigurationError: The settings must be refused.
        """
        return TokenVerifier(self.key.source(), **self.settings, clock=clock if self.now is None else self._then)

    def outcome(self, clock: Callable[[], Any] = time.time) -> dict[str, object]:
        """What the bridge's verifier makes of it: `claims`, in canonical text with their members sorted, or `error`."""
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
    """The cases of a file.

    Raises:
        UsageError: The file is malformed; the error says where and how.
        OSError: It cannot be read.
    """
    return read_cases(path, _case, optional=("keys",))


def _case(document: Fields, case: Fields) -> TokenCase:
    case.only(("name", "rules", "key", "expect"), ("why", "settings", "token", "now"))
    keys = document.within("keys")
    name = case.string("key")
    if name not in keys:
        raise case.wrong("key", f"no such key is among the file's: `{name}`")
    expected = _expected(case.within("expect"))
    if ("token" in case) is (expected == {"error": INVALID_SETTING}):
        raise case.wrong("token", f"it is there, unless the error is `{INVALID_SETTING}`")
    return TokenCase(
        name=case.string("name"),
        rules=case.strings("rules"),
        key=_key(keys.within(name)),
        settings=_settings(case.within("settings")) if "settings" in case else {},
        token=case.text("token") if "token" in case else None,
        now=case.seconds("now") if "now" in case else None,
        expected=expected,
    )


def _key(key: Fields) -> Key:
    key.only((), _KEYS)
    form = key.one_of(_KEYS)
    if form == "secret_base64":
        return Key("secret", key.base64(form))
    if form in ("pem", "jwks_text"):
        return Key(form.removesuffix("_text"), key.string(form).encode())
    return Key(form, encode(key.within(form).value))


def _settings(settings: Fields) -> dict[str, Any]:
    settings.only((), ("algorithms", "audience", "issuer", "leeway", "required"))
    found: dict[str, Any] = {
        name: settings.strings(name) for name in ("algorithms", "audience", "required") if name in settings
    }
    if "issuer" in settings:
        found["issuer"] = settings.string("issuer")
    if "leeway" in settings:
        found["leeway"] = settings.seconds("leeway")
    return found


def _expected(expect: Fields) -> dict[str, object]:
    form = expect.one_of(("claims", "claims_text", "error"))
    expect.only((form,))
    if form == "error":
        if expect.string(form) not in _CODES:
            raise expect.wrong(form, f"it is none of `{'`, `'.join(sorted(_CODES))}`")
        return {"error": expect.string(form)}
    try:
        claims = parse(expect.text(form)) if form == "claims_text" else expect.within(form).value
        return _claims(claims)
    except MalformedInputError as error:
        raise expect.wrong(form, str(error)) from None


def _claims(claims: Value) -> dict[str, object]:
    return {"claims": encode(_sorted(claims)).decode("utf-8")}


def _sorted(value: Value) -> Value:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value
