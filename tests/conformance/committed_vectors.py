"""The vectors of tests/vectors: as `bridge.conformance` reads them, and as any JSON parser does."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import jsonschema

from bridge.conformance.vectors import PolicyCase, Stored, cases, policy_files, shown, vectors_root

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = [
    "FILES",
    "FOLDER",
    "SCHEMA",
    "PolicyCase",
    "Stored",
    "all_cases",
    "breaches",
    "cases",
    "have_all_members",
    "read_as_any_parser_does",
    "shown",
]

FOLDER: Final = vectors_root()
SCHEMA: Final = FOLDER / "schema.json"
FILES: Final = policy_files(FOLDER)


def all_cases() -> tuple[PolicyCase, ...]:
    """The cases of all files."""
    return tuple(case for path in FILES for case in cases(path))


def breaches(schema_file: Path, files: Sequence[Path]) -> list[str]:
    """Where the files do not follow their schema."""
    schema = json.loads(schema_file.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    return [
        f"{path.name}: {error.json_path}: {error.message}"
        for path in files
        for error in validator.iter_errors(json.loads(path.read_text(encoding="ascii")))
    ]


def have_all_members(schema_file: Path, files: Sequence[Path]) -> bool:
    """Whether each file has every member that its schema knows: those of a user may leave some out."""
    members = json.loads(schema_file.read_text(encoding="utf-8"))["properties"]
    return all(json.loads(path.read_text(encoding="ascii")).keys() == members.keys() for path in files)


def read_as_any_parser_does(path: Path) -> None:
    """Read a file, and see that it has no member that parsers drop and no number that they round."""

    def members(pairs: list[tuple[str, object]]) -> dict[str, object]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    def number(text: str) -> int:
        assert re.fullmatch("0|-?[1-9][0-9]{0,14}", text), text
        return int(text)

    json.loads(path.read_text(encoding="ascii"), object_pairs_hook=members, parse_int=number, parse_float=number)
