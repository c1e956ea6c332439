"""The bearer token, which may change while a client is in use."""

from __future__ import annotations

import math
import os
import re
import stat
import time
from collections import deque
from collections.abc import Callable
from inspect import iscoroutinefunction
from os import PathLike
from pathlib import Path
from typing import Final, TypeAlias

from bridge.errors import ConfigurationError, UsageError
from bridge.files import SETTING_BYTES, read_file
from bridge.strict_json.diagnosis import encoding_fault

Token: TypeAlias = str | PathLike[str] | Callable[[], str]

Identity: TypeAlias = tuple[int, ...] | None

_TOKEN: Final = re.compile(r"[!-~]+")
_LOOK_EVERY: Final = 1.0
_REMEMBERED: Final = 4
_UNKNOWN: Final = (-1,)
_IN_FILE: Final = "put one token in this file, or name another file by `token`"
_FROM_FUNCTION: Final = "it must return the token as a text of printable ASCII characters without spaces"


class BearerToken:
    """A bearer token; threads may share it.

    Args:
        source: The token itself; a file (any `os.PathLike`, such as a `pathlib.Path`); or a function that returns the
            token. A changed file is read again; the client looks for a change at most once a second. The function is
            called for each request.

    Raises:
        ConfigurationError: It is no token, or the file cannot be read.
    """

    def __init__(self, source: Token) -> None:
        self._source = source
        self._sent: deque[str] = deque(maxlen=_REMEMBERED)
        self._file: tuple[float, Identity, str] | None = None
        if not isinstance(source, str | os.PathLike) and (not callable(source) or iscoroutinefunction(source)):
            raise ConfigurationError(
                "`token` must be a text, a file (`pathlib.Path`) or a function, not `async`, that returns a text"
            )
        if not callable(source):
            self.current()

    @property
    def is_constant(self) -> bool:
        """Return whether the source is the token itself."""
        return isinstance(self._source, str)

    @property
    def is_immediate(self) -> bool:
        """Return whether `current` neither looks at a file nor calls a function."""
        last = self._file
        return self.is_constant or (last is not None and (last[1] is None or time.monotonic() - last[0] < _LOOK_EVERY))

    def current(self) -> str:
        """Return the token to send now.

        Raises:
            ConfigurationError: There is no token, or it is malformed. In a call, this becomes an `HttpRequestError`.
        """
        source = self._source
        if isinstance(source, os.PathLike):
            token = self._of_file(source)
        elif callable(source):
            token = _called(source)
        elif _is_token(source):
            token = source
        else:
            raise ConfigurationError("`token` must be a text of printable ASCII characters without spaces")
        if token not in self._sent:
            self._sent.append(token)
        return token

    def renewed(self, refused: str | None) -> str | None:
        """Read the file or call the function again; return the token, or None where it is the refused one."""
        last = self._file
        if self.is_constant or (last is not None and last[1] is None):  # a pipe has given its token already
            return None
        if last is not None:
            self._file = (-math.inf, _UNKNOWN, last[2])
        token = self.current()
        return None if token == refused else token

    def redacted(self, text: str) -> str:
        """Return a text with `[token]` in place of the latest tokens."""
        for token in tuple(self._sent):
            text = text.replace(token, "[token]")
        return text

    def _of_file(self, path: PathLike[str]) -> str:
        last, now = self._file, time.monotonic()
        if last is not None and self.is_immediate:
            return last[2]
        state = identity(path)
        if last is not None and state is None:  # to open a pipe could take longer than any deadline
            raise _file_error(path, "it is no regular file any more")
        if last is None or state != last[1]:
            last = (now, state, _read(path))
        self._file = (now, state, last[2])  # replaced whole, so no lock is needed
        return last[2]


def identity(path: str | PathLike[str]) -> Identity:
    """Return what changes when a regular file changes; None for a pipe and the like, which is read only once."""
    try:
        state = Path(path).stat()
    except (OSError, ValueError, TypeError):
        return ()
    if not stat.S_ISREG(state.st_mode):
        return None
    return (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def _read(path: PathLike[str]) -> str:
    try:
        data = read_file(path, limit=SETTING_BYTES, what="a bearer token")
    except (OSError, UsageError) as error:
        why = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "it holds no bearer token"
        raise _file_error(path, why) from None
    if fault := encoding_fault(data):
        raise _file_error(path, fault)
    try:
        text = data.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise _file_error(path, "it is not UTF-8") from None
    if not _is_token(text):
        raise _file_error(path, "it does not hold one text of printable ASCII characters without spaces")
    return text


def _file_error(path: PathLike[str], why: str) -> ConfigurationError:
    return ConfigurationError(f"the bearer token in `{os.fspath(path)}`: {why}: {_IN_FILE}")


def _called(source: Callable[[], str]) -> str:
    try:
        token = source()
    except Exception as error:  # noqa: BLE001 - it is the application's own, and may say anything
        raise ConfigurationError(f"`token`: the function raised `{type(error).__name__}`: {_FROM_FUNCTION}") from None
    if not _is_token(token):
        raise ConfigurationError(f"`token`: the function returned no token: {_FROM_FUNCTION}")
    return token


def _is_token(token: object) -> bool:
    return isinstance(token, str) and _TOKEN.fullmatch(token) is not None
