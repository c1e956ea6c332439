"""Vector files, and the vectors about decisions: each case has a request, and the decision that the rule book demands.

The JSON Schema that lies beside the vectors checks the files.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

from bridge.decision import Request
from bridge.errors import ConfigurationError, MalformedInputError, UsageError
from bridge.files import INPUT_BYTES, read_file
from bridge.policy import PolicySettings
from bridge.strict_json import ABSENT, CLAIMS_BYTES, RESOURCE_BYTES, Absent, Value, encode, parse

_Case = TypeVar("_Case")

_PACKAGE: Final = Path(__file__).resolve().parent.parent
_TOKENS: Final = "tokens"
_SCHEMA: Final = "schema.json"
_FILE_DEPTH: Final = 128  # a claim may be nested 64 deep, inside a case
_MAX_CAUSE: Final = 400
_DESCRIBED: Final = frozenset(("not", "oneOf", "pattern"))
"""The keywords whose message of jsonschema says little: the schema's `description` says what is needed."""

_MAX_BYTES: Final = {"claims": CLAIMS_BYTES, "resource": RESOURCE_BYTES}

Stored = dict[tuple[str, str], bytes | None]
"""The stored resources in canonical text, by type and id; None for an id that must not be stored."""


def vectors_root() -> Path:
    """Return the folder of the vectors: inside the package that a wheel has installed, in `tests` in a checkout."""
    installed = _PACKAGE / "vectors"
    return installed if installed.is_dir() else _PACKAGE.parent / "tests" / "vectors"


def policy_files(folder: Path) -> tuple[Path, ...]:
    """Return the files about decisions in a folder of vectors, in order."""
    return tuple(sorted(path for path in folder.glob("*.json") if not path.name.endswith(_SCHEMA)))


def token_files(folder: Path) -> tuple[Path, ...]:
    """Return the files about tokens in a folder of vectors, in order."""
    return policy_files(folder / _TOKENS)


def require_vectors(folder: Path) -> None:
    """Refuse a folder without vectors.

    Raises:
        UsageError: The folder has none.
    """
    if not policy_files(folder) and not token_files(folder):
        raise UsageError(f"`{folder}`: it has no vectors: give a folder with `*.json` or `{_TOKENS}/*.json`")


def read_cases(path: Path, schema: str, read: Callable[[dict[str, Any], dict[str, Any]], _Case]) -> tuple[_Case, ...]:
    """Return the cases of a file.

    Args:
        path: The file.
        schema: The name of its schema.
        read: Returns a case for the file's members and the case's, which follow the schema. Its errors need no place.

    Raises:
        UsageError: The file is malformed; the error has the place and the cause.
        ConfigurationError: `jsonschema` is not installed.
        OSError: The file cannot be read.
    """
    text = read_file(path, limit=INPUT_BYTES, what="a file of vectors")
    try:
        document: Any = parse(text, max_depth=_FILE_DEPTH)
    except MalformedInputError as error:
        raise UsageError(f"`{path}`: {error}") from None
    _require_schema(path, schema, document)
    cases: dict[str, _Case] = {}
    for members in document["cases"]:
        name = members["name"]
        if name in cases:
            raise UsageError(f"`{path}`: case `{name}`: `name`: another case of the file has it: give it another name")
        try:
            cases[name] = read(document, members)
        except (MalformedInputError, ConfigurationError, UsageError) as error:
            raise UsageError(f"`{path}`: case `{name}`: {error}") from None
    return tuple(cases.values())


def joined_text(value: str | list[Any]) -> str:
    """Return a text: a string, or parts to be joined, in which `{"repeat": "x", "times": 3}` is `xxx`."""
    if isinstance(value, str):
        return value
    return "".join(part if isinstance(part, str) else part["repeat"] * part["times"] for part in value)


@cache
def _validator(schema: str) -> Any:
    try:
        from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # noqa: PLC0415 - slow to import
    except ImportError:
        raise ConfigurationError(
            "vector files need the package `jsonschema`: pip install 'jwt-policy-bridge[cli]'"
        ) from None
    return Draft202012Validator(json.loads((vectors_root() / schema).read_text(encoding="utf-8")))


def _require_schema(path: Path, schema: str, document: Any) -> None:
    errors = sorted(_validator(schema).iter_errors(document), key=lambda error: len(error.absolute_path))
    if not errors:
        return
    error = errors[0]
    names = list(error.absolute_path)
    place = [f"`{path}`"]
    if names[:1] == ["cases"] and len(names) > 1:
        case = document["cases"][names[1]]
        name = case.get("name") if isinstance(case, dict) else None
        place.append(f"case `{name}`" if isinstance(name, str) else f"case {names[1] + 1}")
        names = names[2:]
    place += [f"`{name}`" for name in names]
    described = error.schema.get("description") if error.validator in _DESCRIBED else None
    cause = described or error.message.replace(repr(error.instance), "it", 1)
    cause = cause if len(cause) <= _MAX_CAUSE else cause[:_MAX_CAUSE] + "..."
    raise UsageError(f"{': '.join(place)}: {cause}; correct it by the schema `{vectors_root() / schema}`")


@dataclass(frozen=True, slots=True, eq=False)
class PolicyCase:
    """One case, as its file has it.

    Attributes:
        file: The file's name, without its ending.
        name: Its stable name.
        rules: The rules that it is about.
        settings: What the rule set is rendered for.
        texts: The texts of `claims` and `resource` that the case has, exactly as written.
        members: The other members of the request that the case has, in canonical text.
        input: The whole input in canonical text if it is not a request, or None.
        stored: The stored resources.
        expected: The decision, as `Decision.as_dict` returns it.
        refused: The rule that one of the texts breaks, and which text; or None.
    """

    file: str
    name: str
    rules: tuple[str, ...]
    settings: PolicySettings
    texts: Mapping[str, bytes]
    members: Mapping[str, bytes]
    input: bytes | None
    stored: Stored
    expected: dict[str, Any]
    refused: tuple[str, str] | None

    def value(self, what: str) -> Value | Absent:
        """Return the value of `claims`, `type`, `resource` or `id`."""
        text = self.texts.get(what, self.members.get(what))
        return ABSENT if text is None else parse(text)

    def canonical(self, what: str) -> bytes | None:
        """Return the canonical text of `claims`, `type`, `resource` or `id`; raise what R12 demands."""
        if what in self.texts:
            return encode(parse(self.texts[what]), max_bytes=_MAX_BYTES[what])
        return self.members.get(what)

    def request(self) -> Request:
        """Return the request for an engine; raise what R12 demands."""
        return Request(**{what: self.canonical(what) for what in ("claims", "type", "resource", "id")})

    @property
    def is_accepted(self) -> bool:
        """Return whether its texts are accepted; `test_a_text_that_is_not_refused_is_read` checks that they must be."""
        try:
            self.request()
        except MalformedInputError:
            return False
        return self.refused is None

    def stored_key(self) -> tuple[str, str] | None:
        """Return the type and id if the resource is in the request and could be stored instead; else None."""
        type_, resource = self.value("type"), self.value("resource")
        if "id" in self.members or type_ not in self.settings.types or not isinstance(resource, dict):
            return None
        id_, custom_data = resource.get("id"), resource.get("custom_data", {})
        if not isinstance(type_, str) or not isinstance(id_, str) or not id_ or not isinstance(custom_data, dict):
            return None
        return type_, id_


@cache
def cases(path: Path) -> tuple[PolicyCase, ...]:
    """Return the cases of a file.

    Raises:
        UsageError: The file is malformed; the error has the place and the cause.
        OSError: The file cannot be read.
    """
    return read_cases(path, _SCHEMA, lambda _, members: _case(path.stem, members))


def shown(answer: object) -> str:
    """Return an answer as text in which 1 and true differ; equal answers have equal texts."""
    return json.dumps(answer, sort_keys=True, default=repr)


def _case(file: str, members: dict[str, Any]) -> PolicyCase:
    expected = dict(members["expect"])
    refused = expected.pop("refused", None)
    settings: dict[str, Any] = dict(members.get("settings", {}))
    if "types" in settings:
        settings["types"] = tuple(settings["types"])
    return PolicyCase(
        file=file,
        name=members["name"],
        rules=tuple(members["rules"]),
        settings=PolicySettings(**settings),
        texts={what: text for what in _MAX_BYTES if (text := _text(members, what)) is not None},
        members={what: encode(members[what], what=what) for what in ("type", "id") if what in members},
        input=encode(members["input"], what="input") if "input" in members else None,
        stored=_stored(members),
        expected=expected,
        refused=None if refused is None else (refused["rule"], refused["what"]),
    )


def _text(members: dict[str, Any], what: str) -> bytes | None:
    if what in members:
        return encode(members[what], what=what)
    if f"{what}_text" in members:
        return joined_text(members[f"{what}_text"]).encode()
    return base64.b64decode(members[f"{what}_base64"]) if f"{what}_base64" in members else None


def _stored(members: dict[str, Any]) -> Stored:
    stored: Stored = {}
    type_, id_ = members.get("type"), members.get("id")
    if "stored" in members and isinstance(type_, str) and isinstance(id_, str):
        stored[type_, id_] = None
    for name, resources in members.get("stored", {}).items():
        for each, resource in resources.items():
            stored[name, each] = encode(resource, what="stored")
    return stored
