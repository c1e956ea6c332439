"""The list of equivalent mutants: no test can tell them from the original. Each has a reason."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

from mutation.mutants import Key

LIST: Final = Path(__file__).with_name("equivalent.toml")


class InvalidListError(Exception):
    """The list does not have the format that its first lines describe."""


def listed(path: Path = LIST) -> dict[Key, str]:
    """Return the reason of each listed mutant."""
    reasons: dict[Key, str] = {}
    for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("equivalent", []):
        reason = entry.get("reason", "").strip()
        if not reason:
            raise InvalidListError(f"an entry without a reason: {entry}")
        for mutant in entry["mutants"]:
            key = Key(
                entry["file"], mutant.get("within", ""), mutant["original"], mutant["mutated"], mutant.get("nth", 1)
            )
            if key in reasons:
                raise InvalidListError(f"listed twice: {key}")
            reasons[key] = reason
    return reasons
