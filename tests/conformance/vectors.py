"""The vectors of tests/vectors, as `bridge.conformance` reads them."""

from __future__ import annotations

from typing import Final

from bridge.conformance.vector_files import policy_files, vectors_root
from bridge.conformance.vectors import PolicyCase, Stored, cases, shown

__all__ = ["FILES", "FOLDER", "SCHEMA", "PolicyCase", "Stored", "all_cases", "cases", "shown"]

FOLDER: Final = vectors_root()
SCHEMA: Final = FOLDER / "schema.json"
FILES: Final = policy_files(FOLDER)


def all_cases() -> tuple[PolicyCase, ...]:
    """The cases of all files."""
    return tuple(case for path in FILES for case in cases(path))
