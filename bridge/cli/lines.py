"""Lines from a file or a pipe as they come, in bounded memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from bridge.errors import UsageError
from bridge.files import INPUT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

_READ: Final = 1 << 20
LONGEST: Final = INPUT_BYTES
"""The longest line that is looked at, in bytes; some fifty times what R12.6 lets a request be in canonical text."""
ENDLESS: Final = 16 * LONGEST
"""Where a line without an end is given up, in bytes."""


def chunks_of_lines(descriptor: int) -> Iterator[list[bytes | None]]:
    """The lines that a descriptor gives, without their line feeds, in chunks of whatever is there to be read.

    Only a line feed ends a line. A line longer than `LONGEST` comes as None. A chunk is given as soon as it is read, so
    whoever writes a line to a pipe and waits for the answer gets it.

    Raises:
        UsageError: A line goes on beyond `ENDLESS`, as `/dev/zero` does.
        OSError: It cannot be read.
    """
    parts: list[bytes] = []
    size = 0
    while data := os.read(descriptor, _READ):
        *whole, rest = data.split(b"\n")
        lines: list[bytes | None] = list(whole)
        if whole:
            size += len(whole[0])
            lines[0] = b"".join([*parts, whole[0]]) if size <= LONGEST else None
            parts, size = [], 0
        size += len(rest)
        if size <= LONGEST:
            parts.append(rest)
        else:
            parts.clear()
        if lines:
            yield lines
        if size > ENDLESS:
            raise UsageError(
                f"a line of more than {ENDLESS:,} bytes, and no end of it: give JSON Lines, one object a line"
            )
    if size:
        yield [b"".join(parts) if size <= LONGEST else None]
