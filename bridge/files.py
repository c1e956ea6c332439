"""Read files and streams that others name, up to a limit.

A truncated input may mean something else than the whole input. So these functions read one byte more than the limit,
and refuse an input that has that byte. They read no file, pipe or device such as `/dev/zero` further.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import IO, Final

from bridge.errors import UsageError

CHUNK: Final = 1 << 20
"""How many bytes one read takes."""

KEY_BYTES: Final = 65_536
"""The limit for a key in PEM, an HMAC secret or a token."""

SETTING_BYTES: Final = 1_048_576
"""The limit for a file of settings: a JWK set, a bearer token for OPA, keys of token rules."""

INPUT_BYTES: Final = 64 * 1024 * 1024
"""The limit for a JSON text with all its spaces and escapes, a file of vectors or a Wasm build; 64 times R12.6."""

CERTIFICATE_BYTES: Final = 16 * 1024 * 1024
"""The limit for certificates in PEM; the authorities of an operating system take about 256 KiB."""

_SHOWN: Final = 500


def read_file(path: str | PathLike[str], *, limit: int, what: str, name: str = "") -> bytes:
    """Read a whole file of at most `limit` bytes.

    Args:
        path: The file, which may be a pipe or a device.
        limit: The most bytes that it may have.
        what: What it holds, for the error, such as `a token`.
        name: Its name in the error; by default its path.

    Raises:
        UsageError: It has more bytes.
        OSError: It cannot be read.
    """
    # Unbuffered: a buffer would read more than the limit.
    with Path(path).open("rb", buffering=0) as file:
        return read_stream(file, limit=limit, what=what, name=name or _quoted(path))


def read_stream(stream: IO[bytes], *, limit: int, what: str, name: str) -> bytes:
    """Read the rest of a stream, which must be at most `limit` bytes, such as standard input.

    Args:
        stream: An open binary file.
        limit: The most bytes that it may have.
        what: What it holds, for the error, such as `a token`.
        name: The name of the stream, for the error.

    Raises:
        UsageError: It has more bytes.
        OSError: It cannot be read.
    """
    parts: list[bytes] = []
    left = limit + 1
    while part := _read(stream, min(left, CHUNK)):
        parts.append(part)
        left -= len(part)
        if not left:
            raise _too_long(name, limit, what)
    return b"".join(parts)


def read_chunks(stream: IO[bytes]) -> Iterator[bytes]:
    """Return a stream in parts of at most `CHUNK` bytes, for callers with limits of their own.

    Raises:
        OSError: It cannot be read.
    """
    while part := _read(stream, CHUNK):
        yield part


def _read(stream: IO[bytes], size: int) -> bytes:
    part: bytes | None = stream.read(size)
    if part is None:  # a non-blocking stream has no data yet, but it has not ended
        raise BlockingIOError(errno.EAGAIN, "it has not ended, and cannot be waited for: it is set to non-blocking")
    return part


def refuse_unbounded_file(path: str | PathLike[str], *, limit: int, what: str) -> None:
    """Refuse a file that is or may be too long, before a library reads all of it by its name.

    Raises:
        UsageError: It has more bytes, or it has no length, like a pipe or a device.
        OSError: There is no such file.
    """
    state = Path(path).stat()
    if stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(state.st_mode):
        raise UsageError(
            f"{_quoted(path)}: a pipe or a device, of which nothing tells the length: give {what} in a file"
        )
    if state.st_size > limit:
        raise _too_long(_quoted(path), limit, what)


def _too_long(name: str, limit: int, what: str) -> UsageError:
    return UsageError(
        f"{name}: more than {limit:,} bytes, the most that are read of {what}; nothing of it is used: "
        "is it the right file?"
    )


def _quoted(path: str | PathLike[str]) -> str:
    text = str(path)
    return f"`{text if len(text) <= _SHOWN else text[:_SHOWN] + '...'}`"
