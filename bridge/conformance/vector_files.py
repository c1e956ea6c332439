"""Vector files: where they are, and their cases, checked by the JSON Schema that lies beside the vectors."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

from bridge.errors import ConfigurationError, MalformedInputError, UsageError
from bridge.files import INPUT_BYTES, read_file
from bridge.strict_json import parse

_Case = TypeVar("_Case")

_PACKAGE: Final = Path(__file__).resolve().parent.parent
_TOKENS: Final = "tokens"
_SCHEMA: Final = "schema.json"
_FILE_DEPTH: Final = 128  # a claim may be nested 64 deep, inside a case
_MAX_CAUSE: Final = 400
_DESCRIBED: Final = frozenset(("not", "oneOf", "pattern"))
"""The keywords whose message of jsonschema says little: the schema's `description` says what is needed."""


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
