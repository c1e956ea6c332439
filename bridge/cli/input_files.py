"""What an option names: a file, or standard input, read to its end and never beyond a limit."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, Final

from bridge.errors import UsageError
from bridge.files import INPUT_BYTES, SETTING_BYTES, read_file, read_stream
from bridge.strict_json.encodings import encoding_fault

STDIN: Final = Path("-")
STDIN_NAME: Final = "standard input"


def open_stdin() -> IO[bytes]:
    """Standard input, as bytes, without a buffer: in the middle of what a buffer reads at once no Ctrl-C is heeded.

    Raises:
        UsageError: It is closed.
    """
    if sys.stdin is None:
        raise UsageError("standard input is closed")
    buffer: IO[bytes] = sys.stdin.buffer
    return getattr(buffer, "raw", buffer)


def read_input(path: Path, what: str, *, limit: int = INPUT_BYTES) -> bytes:
    """The bytes of a file, or of standard input (`-`).

    Args:
        path: The file.
        what: What it holds, for the error, such as `a token`.
        limit: The most bytes that it may have.

    Raises:
        UsageError: It has more bytes.
        OSError: It cannot be read.
    """
    if path == STDIN:
        return read_stream(open_stdin(), limit=limit, what=what, name=STDIN_NAME)
    return read_file(path, limit=limit, what=what)


def read_token(path: Path) -> str:
    """The token in a file, or in standard input (`-`), with whatever white space is around it.

    Raises:
        UsageError: It is not UTF-8, or too long.
        OSError: It cannot be read.
    """
    what = "a token"
    return _text(read_input(path, what, limit=SETTING_BYTES), STDIN_NAME if path == STDIN else f"`{path}`", what)


def read_text(path: Path, what: str) -> str:
    """The text of a file that a setting names.

    Args:
        path: The file; `-` is a name like others.
        what: What it holds, for the error, such as `keys`.

    Raises:
        UsageError: It is not UTF-8, or begins with a byte order mark, or is too long.
        OSError: It cannot be read.
    """
    data = read_file(path, limit=SETTING_BYTES, what=what)
    if fault := encoding_fault(data):  # no key and no bearer token begins so
        raise UsageError(f"`{path}`: {fault}")
    return _text(data, f"`{path}`", what)


def _text(data: bytes, name: str, what: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        fault = encoding_fault(data) or f"not UTF-8, as {what} must be: write it again in that encoding"
        raise UsageError(f"{name}: {fault}") from None
