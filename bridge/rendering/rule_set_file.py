"""Rule-set files: the settings of a rule set as JSON or TOML, read as a whole or not at all.

An unknown member, or one of the wrong type, is refused: a misspelt `require_policy` must not be a rule set without it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bridge.errors import ConfigurationError, MalformedInputError, UsageError
from bridge.escapes import quoted_setting
from bridge.files import SETTING_BYTES, read_file
from bridge.strict_json import parse
from bridge.strict_json.diagnosis import encoding_fault

MAX_BYTES: Final = SETTING_BYTES
"""The maximum length of a rule-set file."""

_REMEDY: Final = "`jwt-bridge render --write-rule-set FILE` writes a rule-set file"
_SECRET: Final = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))


@dataclass(frozen=True, slots=True)
class _SettingKind:
    """The type of a member: its name in words, a check of the value in the file, and its conversion."""

    words: str
    fits: Callable[[Any], bool]
    convert: Callable[[Any], Any] = lambda value: value


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
"""The members of a file: those of `RuleSet`, `PolicySettings` and `TokenChecks`, with the same names."""


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the members of a rule-set file and check their types; a member that is left out is not in the result.

    Raises:
        ConfigurationError: The file cannot be read, or it is not a rule-set file.
    """
    place = f"rule-set file {quoted_setting(path)}"
    try:
        data = read_file(path, limit=MAX_BYTES, what="a rule set", name=place)
    except UsageError as error:
        raise ConfigurationError(f"{error} {_REMEDY}") from None
    except (OSError, ValueError) as error:  # ValueError: the path has a null character
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise ConfigurationError(f"{place}: it cannot be read: {why}; {_REMEDY}") from None
    return read_bytes(data, place, suffix=Path(path).suffix)


def read_bytes(data: bytes, place: str, *, suffix: str = "") -> dict[str, Any]:
    """Read the members in the bytes of a rule-set file.

    Args:
        data: The bytes.
        place: What they are, for the error message.
        suffix: The ending of the file's name: `.json` or `.toml`; otherwise the first character decides the format.

    Raises:
        ConfigurationError: They are not a rule-set file.
    """
    text = _decode(data, place)
    value = _parse_text(text, place, is_json=suffix == ".json" or (suffix != ".toml" and text.lstrip().startswith("{")))
    if not value:
        # Otherwise a file that was cut off, or a wrong one, would mean the default rules.
        raise ConfigurationError(f"{place}: it has no members; {_REMEDY}")
    return _check(value, MEMBERS, place, ())


def is_rule_set(data: bytes) -> bool:
    """Return whether bytes are a rule-set file."""
    try:
        read_bytes(data, "")
    except ConfigurationError:
        return False
    return True


def text_of(members: Mapping[str, Any]) -> str:
    """Return the rule-set file with these members, as JSON.

    Raises:
        ConfigurationError: The file would be longer than `read` accepts.
    """
    text = json.dumps(members, indent=2) + "\n"
    if len(text) > MAX_BYTES:  # the text is ASCII
        raise ConfigurationError(f"the rule-set file would have more than {MAX_BYTES:,} bytes: give fewer keys")
    return text


def _decode(data: bytes, place: str) -> str:
    if len(data) > MAX_BYTES:
        raise ConfigurationError(
            f"{place}: it has more than {MAX_BYTES:,} bytes, so it is not a rule-set file; {_REMEDY}"
        )
    if fault := encoding_fault(data):  # a rule-set file never begins so
        raise ConfigurationError(f"{place}: {fault}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{place}: line {line}: it is not UTF-8: save it as UTF-8") from None


def _toml(text: str) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - it takes long to import

    return tomllib.loads(text)


def _parse_text(text: str, place: str, *, is_json: bool) -> Mapping[str, Any]:
    try:
        value = parse(text) if is_json else _toml(text)
    except MalformedInputError as error:
        raise ConfigurationError(f"{place}: {error}: it is not valid JSON; {_REMEDY}") from None
    except ValueError as error:  # a TOMLDecodeError, or Python's error for an integer of thousands of digits
        cause = f"{error}"[:1].lower() + f"{error}"[1:]
        raise ConfigurationError(
            f"{place}: {quoted_setting(cause)[1:-1]}: it is neither a JSON object nor TOML; {_REMEDY}"
        ) from None
    except RecursionError:
        raise ConfigurationError(f"{place}: it is nested too deep, so it is not a rule-set file; {_REMEDY}") from None
    if not isinstance(value, dict):
        raise ConfigurationError(f"{place}: it is not a JSON object; {_REMEDY}")
    return value


def _check(document: Mapping[str, Any], kinds: SettingKinds, place: str, path: tuple[str, ...]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name, value in document.items():
        where = f"{place}: {quoted_setting('.'.join((*path, name)))}"
        kind = kinds.get(name)
        if kind is None:
            raise ConfigurationError(f"{where}: no such member is known here; the known ones are {', '.join(kinds)}")
        if isinstance(kind, dict):
            if not isinstance(value, dict):
                raise ConfigurationError(f"{where}: give an object, with some of {', '.join(kind)}")
            settings[name] = _check(value, kind, place, (*path, name))
        elif not kind.fits(value):
            raise ConfigurationError(f"{where}: give {kind.words}, or leave the member out for its default")
        else:
            settings[name] = kind.convert(value)
    return settings


def refuse_secrets(keys: str) -> None:
    """Refuse private keys and secrets in the JWKS of a `TokenChecks`, which itself refuses a PEM with one.

    Raises:
        ConfigurationError: A key of the JWKS is one.
    """
    if not keys.strip().startswith("{"):
        return
    document = parse(keys)
    assert isinstance(document, dict)
    jwks = document["keys"]
    assert isinstance(jwks, list)
    for key in jwks:
        if isinstance(key, dict) and not _SECRET.isdisjoint(key):
            raise ConfigurationError(
                f"the JWKS has a private key or a secret (kid {quoted_setting(key.get('kid'))}), and a rule-set file "
                "must have no secret: give a JWKS of public keys only"
            )
