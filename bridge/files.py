"""Reading files and streams that others name, never more of them than a limit.

Input that is cut off at a limit may mean something else than the whole of it, so one byte more than the limit is read,
and what has that byte is refused. Nothing reads a file, a device such as `/dev/zero` or a pipe further than that.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from bridge.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

CHUNK: Final = 1 << 20
"""Bytes that are read at once of what is read in parts."""

KEY_BYTES: Final = 65_536
"""A key in PEM, an HMAC secret, a token."""

SETTING_BYTES: Final = 1_048_576
"""A file of settings: a JWK set, a bearer token for OPA, keys for rules to hold."""

INPUT_BYTES: Final = 64 * 1024 * 1024
"""A JSON text with all its spaces and escapes, a file of vectors, a Wasm build; some sixty times R12.6."""

CERTIFICATE_BYTES: Final = 16 * 1024 * 1024
"""Certificates in PEM, of authorities or of a client; what systems bring has a quarter of a mebibyte."""

_SHOWN: Final = 500


def read_file(path: str | PathLike[str], *, limit: int, what: str, name: str = "") -> bytes:
    """Read a whole file of at most `limit` bytes.

    Args:
        path: The file; a pipe or a device will do.
        limit: The most bytes that it may have.
        what: What it holds, for the error, such as `a token`.
        name: What to call it in the error; by default its path.

    Raises:
        UsageError: It has more bytes.
        OSError: It cannot be read.
    """
    # Unbuffered: a buffer would read more than it is asked for.
    with Path(path).open("rb", buffering=0) as file:
        return read_stream(file, limit=limit, what=what, name=name or _quoted(path))


def read_stream(stream: IO[bytes], *, limit: int, what: str, name: str) -> bytes:
    """Read the rest of a stream, which must be at most `limit` bytes, such as standard input.

    Args:
        stream: An open binary file.
        limit: The most bytes that it may have.
        what: What it holds, for the error, such as `a token`.
        name: What the stream is called, for the error.

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
    """Give a stream in parts of at most `CHUNK` bytes, for callers that bound what they keep of them.

    Raises:
        OSError: It cannot be read.
    """
    while part := _read(stream, CHUNK):
        yield part


def _read(stream: IO[bytes], size: int) -> bytes:
    part: bytes | None = stream.read(size)
    if part is None:  # a stream that does not wait has nothing yet, which is not its end
        raise BlockingIOError(errno.EAGAIN, "it has not ended, and cannot be waited for: it is set to non-blocking")
    return part


def refuse_unbounded_file(path: str | PathLike[str], *, limit: int, what: str) -> None:
    """Refuse a file that is too long, or may be, before a library reads it by its name, to whatever end.

    Raises:
        UsageError: It has more bytes, or is no file that has a length, such as a pipe or a device.
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
