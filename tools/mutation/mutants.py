"""A mutant, and its identity, which does not change when lines move."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


_COMMENT: Final = re.compile("  # .*$")


@dataclass(frozen=True, slots=True)
class Key:
    """The identity of a mutant: it has no line numbers, so it does not change when other lines move.

    Attributes:
        file: The file, below the tree's root.
        within: The function, method or rule; empty if there is none.
        original: The lines that are changed.
        mutated: The same lines after the change.
        nth: The number of this change among equal ones in the same function, from 1.
    """

    file: str
    within: str
    original: str
    mutated: str
    nth: int = 1

    def __str__(self) -> str:
        nth = f" ({self.nth})" if self.nth > 1 else ""
        return f"{self.file}: {self.within or 'module'}{nth}\n    - {self.original}\n    + {self.mutated}"


@dataclass(frozen=True, slots=True)
class Slice:
    """A selection of mutants.

    Attributes:
        only: What a file's name must contain.
        changed: The files that differ from another revision, below the tree's root; None selects all files.
        within: What the name of the function or rule that a mutant stands in must contain.
    """

    only: str = ""
    changed: frozenset[str] | None = None
    within: str = ""

    def __contains__(self, file: object) -> bool:
        return isinstance(file, str) and self.only in file and (self.changed is None or file in self.changed)

    def takes(self, key: Key) -> bool:
        """Return whether the slice has this mutant."""
        return key.file in self and self.within in key.within

    def has(self, suffix: str) -> bool:
        """Return whether the slice may have files with this suffix."""
        return self.changed is None or any(file.endswith(suffix) for file in self.changed)


class Verdict(StrEnum):
    """The result for a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    TIMED_OUT = "timed out"
    NO_TESTS = "no tests"
    SUSPICIOUS = "suspicious"
    NO_MUTANT = "does not compile"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change.

    Attributes:
        key: The identity of the mutant.
        text: The whole mutated file.
        in_function: Whether the change is inside one function of Python, and not in code that runs at import.
    """

    key: Key
    text: str = field(repr=False)
    in_function: bool = False


def keyed(file: str, original: str, candidates: Iterable[tuple[str, str, bool]]) -> Iterator[Mutant]:
    """Yield the mutants of a file, each mutated text once.

    Args:
        file: The file, below the tree's root.
        original: Its text.
        candidates: The function, the whole mutated text, and whether the change is inside a function.
    """
    seen = {original}
    times: Counter[Key] = Counter()
    for within, text, in_function in candidates:
        if text in seen:
            continue
        seen.add(text)
        before, after = changed(original, text)
        key = Key(file, within, before, after)
        times[key] += 1
        yield Mutant(Key(file, within, before, after, times[key]), text, in_function)


def changed(original: str, mutated: str) -> tuple[str, str]:
    """Return the lines that differ, without indents and comments, each side joined to one line."""
    before, after = original.split("\n"), mutated.split("\n")
    shorter = min(len(before), len(after))
    start = next((at for at in range(shorter) if before[at] != after[at]), shorter)
    end = next((at for at in range(shorter - start) if before[-1 - at] != after[-1 - at]), shorter - start)
    sides = (before[start : len(before) - end], after[start : len(after) - end])
    one, other = (" ".join(_COMMENT.sub("", line).strip() for line in side) for side in sides)
    return one, other
