"""Member names that OPA's Wasm puts into one bucket of an object.

It hashes a name by FNV-1 of 32 bits without a seed, and a table has a power of two of buckets, so that only the low
bits count; and the low bits of a hash depend on the low bits of the one before alone. So short texts that lead from one
state to the same next one can be found by trying, and any of them may follow any of those for the state before.
"""

from __future__ import annotations

import itertools
import string
from functools import cache
from typing import Final

_PRIME: Final = 0x01000193
_START: Final = 0x811C9DC5
_MASK: Final = 0xFFFF  # tables of up to 65,536 buckets, which hold up to 45,875 names
_LETTERS: Final = (string.ascii_letters + string.digits).encode()


@cache
def colliding(count: int) -> tuple[str, ...]:
    """So many names of the same 16 low bits, each different; the same ones every time."""
    state, blocks, names_so_far = _START & _MASK, [], 1
    while names_so_far < count:
        ends: dict[int, list[str]] = {}
        for first, second in itertools.product(_LETTERS, repeat=2):
            after = _next(_next(state, first), second)
            for third in _LETTERS:
                ends.setdefault(_next(after, third), []).append(bytes((first, second, third)).decode())
        state, block = max(ends.items(), key=lambda end: len(end[1]))
        blocks.append(block)
        names_so_far *= len(block)
    return tuple(map("".join, itertools.islice(itertools.product(*blocks), count)))


def plain(count: int, length: int = 8) -> tuple[str, ...]:
    """So many names of so many characters that nobody chose for their hashes."""
    return tuple(f"n{number:0{length - 1}d}" for number in range(count))


def _next(state: int, byte: int) -> int:
    return (state * _PRIME & _MASK) ^ byte
