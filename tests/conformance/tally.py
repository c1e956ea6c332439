"""What a run compared, and the seed that it can be repeated with."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime
from typing import Final

VARIABLE: Final = "CONFORMANCE_SEED"

COMPARED: Final[dict[str, Counter[str]]] = {}
"""How many answers were compared with the reference's: by layer of tests, then by decider."""


def seed() -> int:
    """The seed of this run: as told, or today's date, so that each day looks elsewhere."""
    seed_text = os.environ.get(VARIABLE)
    return int(seed_text) if seed_text else int(datetime.now(UTC).strftime("%Y%m%d"))


def count(layer: str, decider: str, answers: int) -> None:
    COMPARED.setdefault(layer, Counter())[decider] += answers


def lines() -> list[str]:
    """A line a layer: its pairs, of which the busiest decider has seen all, and each decider's share."""
    texts = []
    for layer, deciders in COMPARED.items():
        shares = ", ".join(f"{decider} {answers:,}" for decider, answers in deciders.most_common())
        number = len(deciders.keys() | {"reference"})
        texts.append(
            f"{layer}: {max(deciders.values()):,} pairs on {number} deciders, {deciders.total():,} answers ({shares})"
        )
    return texts
