"""Rule-set files: what a rule set holds, as JSON or TOML; never half believed.

A member that is unknown, or of another type, is refused: a misspelt `require_policy` must not be a rule set without it.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bridge.errors import ConfigurationError, MalformedInputError, UsageError
from bridge.files import SETTING_BYTES, read_file
from bridge.strict_json import parse
from bridge.strict_json.encodings import encoding_fault
from bridge.tokens.wording import setting

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from bridge.rendering.rule_set import RuleSet

MOST_BYTES: Final = SETTING_BYTES
"""How long a rule-set file may be."""

_REMEDY: Final = "`jwt-bridge render --write-rule-set FILE` writes a rule-set file"
_SECRET: Final = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))


@dataclass(frozen=True, slots=True)
class _SettingKind:
    """What a member must be: in words, whether a value is that, and what becomes of it."""

    words: str
    fits: Callable[[Any], bool]
    made: Callable[[Any], Any] = lambda value: value


def _is_array(value: object, kind: type) -> bool:
    return isinstance(value, list) and all(type(item) is kind for item in value)


_TEXT: Final = _SettingKind("a string", lambda value: type(value) is str)
_TEXTS: Final = _SettingKind("an array of strings", lambda value: _is_array(value, str), tuple)
_SWITCH: Final = _SettingKind("true or false", lambda value: type(value) is bool)
_NUMBERS: Final = _SettingKind("an array of integers", lambda value: _is_array(value, int), frozenset)

SettingKinds = dict[str, "_SettingKind | SettingKinds"]
MEMBERS: Final[SettingKinds] = {
    "policy": {"claim": _TEXT, "types": _TEXTS, "require_policy": _SWITCH, "versions": _NUMBERS},
    "package_root": _TEXT,
    "data_root": _TEXT,
    "token": {"keys": _TEXT, "algorithms": _TEXTS, "audience": _TEXTS, "issuer": _TEXT, "required": _TEXTS},
}
"""The members of a file: those of `RuleSet`, `PolicySettings` and `TokenChecks`, by the same names."""


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The members of a rule-set file, each of the type that it must have; those that are left out are not there.

    Raises:
        ConfigurationError: The file cannot be read, or is no rule-set file.
    """
    place = f"rule-set file {setting(path)}"
    try:
        data = read_file(path, limit=MOST_BYTES, what="a rule set", name=place)
    except UsageError as error:
        raise ConfigurationError(f"{error} {_REMEDY}") from None
    except (OSError, ValueError) as error:  # ValueError: the path has a NUL
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise ConfigurationError(f"{place}: it cannot be read: {why}; {_REMEDY}") from None
    return read_bytes(data, place, suffix=Path(path).suffix)


def read_bytes(data: bytes, place: str, *, suffix: str = "") -> dict[str, Any]:
    """The members in the bytes of a rule-set file.

    Args:
        data: The bytes.
        place: What they are, for the error.
        suffix: The ending of the file's name: `.json` and `.toml` say which it is; else its first character does.

    Raises:
        ConfigurationError: They are no rule-set file.
    """
    text = _decoded(data, place)
    value = _parsed(text, place, is_json=suffix == ".json" or (suffix != ".toml" and text.lstrip().startswith("{")))
    if not value:
        # A file that was cut off, or is a wrong one, would be the default rules.
        raise ConfigurationError(f"{place}: it has no members; {_REMEDY}")
    return _checked(value, MEMBERS, place, ())


def is_rule_set(data: bytes) -> bool:
    """Whether bytes are those of a rule-set file."""
    try:
        read_bytes(data, "")
    except ConfigurationError:
        return False
    return True


def text_of(rule_set: RuleSet) -> str:
    """The rule-set file of a rule set, as JSON: all of its members.

    Raises:
        ConfigurationError: A key of its JWKS is secret, which the rules leave out but the file would not; or the file
            would be longer than `read` takes.
    """
    policy, token = rule_set.policy, rule_set.token
    found: dict[str, Any] = {
        "policy": {
            "claim": policy.claim,
            "types": policy.types,
            "require_policy": policy.require_policy,
            "versions": sorted(policy.versions),
        },
        "package_root": rule_set.package_root,
        "data_root": rule_set.data_root,
    }
    if token is not None:
        refuse_secrets(token.keys)
        found["token"] = {
            "keys": token.keys,
            "algorithms": token.algorithms,
            "audience": token.audience,
            **({} if token.issuer is None else {"issuer": token.issuer}),
            "required": token.required,
        }
    text = json.dumps(found, indent=2) + "\n"
    if len(text) > MOST_BYTES:  # it is ASCII
        raise ConfigurationError(f"the rule-set file would have more than {MOST_BYTES:,} bytes: give fewer keys")
    return text


def _decoded(data: bytes, place: str) -> str:
    if len(data) > MOST_BYTES:
        raise ConfigurationError(
            f"{place}: it has more than {MOST_BYTES:,} bytes, so it is no rule-set file; {_REMEDY}"
        )
    if fault := encoding_fault(data):  # no rule-set file begins so
        raise ConfigurationError(f"{place}: {fault}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{place}: line {line}: it is not UTF-8: save it as UTF-8") from None


def _parsed(text: str, place: str, *, is_json: bool) -> Mapping[str, Any]:
    try:
        value = parse(text) if is_json else tomllib.loads(text)
    except MalformedInputError as error:
        raise ConfigurationError(f"{place}: {error}: it is no JSON that can be relied on; {_REMEDY}") from None
    except ValueError as error:  # a TOMLDecodeError, or what Python says of an integer of thousands of digits
        cause = f"{error}"[:1].lower() + f"{error}"[1:]
        raise ConfigurationError(
            f"{place}: {setting(cause)[1:-1]}: it is neither a JSON object nor TOML; {_REMEDY}"
        ) from None
    except RecursionError:
        raise ConfigurationError(f"{place}: it is nested too deep, so it is no rule-set file; {_REMEDY}") from None
    if not isinstance(value, dict):
        raise ConfigurationError(f"{place}: it is no JSON object; {_REMEDY}")
    return value


def _checked(value: Mapping[str, Any], members: SettingKinds, place: str, path: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, given in value.items():
        where = f"{place}: {setting('.'.join((*path, name)))}"
        kind = members.get(name)
        if kind is None:
            raise ConfigurationError(f"{where}: no such member is known here; the known ones are {', '.join(members)}")
        if isinstance(kind, dict):
            if not isinstance(given, dict):
                raise ConfigurationError(f"{where}: an object is needed, with some of {', '.join(kind)}")
            found[name] = _checked(given, kind, place, (*path, name))
        elif not kind.fits(given):
            raise ConfigurationError(f"{where}: {kind.words} is needed; a member that is left out has its default")
        else:
            found[name] = kind.made(given)
    return found


def refuse_secrets(keys: str) -> None:
    """Refuse private keys and secrets in the `keys` of a `TokenChecks`, which has seen to it that a PEM has none.

    Raises:
        ConfigurationError: A key of the JWKS is one.
    """
    if not keys.strip().startswith("{"):
        return
    document = parse(keys)
    assert isinstance(document, dict)
    held = document["keys"]
    assert isinstance(held, list)
    for key in held:
        if isinstance(key, dict) and not _SECRET.isdisjoint(key):
            raise ConfigurationError(
                f"the JWKS has a private key or a secret (kid {setting(key.get('kid'))}), and a rule-set file holds "
                "nothing secret: give a JWKS of public keys alone"
            )
