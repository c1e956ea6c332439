"""The list of mutants that nothing can tell from the original, each with the reason."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

from mutation.mutants import Key

LIST: Final = Path(__file__).with_name("equivalent.toml")


class InvalidListError(Exception):
    """The list is not as its head says."""


def listed(path: Path = LIST) -> dict[Key, str]:
    """The reasons by mutant."""
    found: dict[Key, str] = {}
    for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("equivalent", []):
        reason = entry.get("reason", "").strip()
        if not reason:
            raise InvalidListError(f"an entry without a reason: {entry}")
        for mutant in entry["mutants"]:
            key = Key(
                entry["file"], mutant.get("within", ""), mutant["original"], mutant["mutated"], mutant.get("nth", 1)
            )
            if key in found:
                raise InvalidListError(f"listed twice: {key}")
            found[key] = reason
    return found
