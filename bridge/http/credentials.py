"""The bearer token, and the files that may change while a client is in use."""

from __future__ import annotations

import os
import re
import stat
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.errors import ConfigurationError, UsageError
from bridge.files import SETTING_BYTES, read_file
from bridge.strict_json.encodings import encoding_fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike
    from typing import TypeAlias

    Token: TypeAlias = str | PathLike[str] | Callable[[], str]

_TOKEN: Final = re.compile(r"[!-~]+")
_LOOK_EVERY: Final = 1.0
_REMEMBERED: Final = 4


class BearerToken:
    """A bearer token; threads may share it.

    Args:
        source: The token itself; a file (any `os.PathLike`, such as a `pathlib.Path`), which is read again when it has
            changed, and looked at once a second at most; or a function that returns the token, called for each request.

    Raises:
        ConfigurationError: It is no token, or the file cannot be read.
    """

    def __init__(self, source: Token) -> None:
        self._source = source
        self._sent: deque[str] = deque(maxlen=_REMEMBERED)
        self._file: tuple[float, tuple[int, ...] | None, str] | None = None
        if not isinstance(source, str | os.PathLike) and not callable(source):
            raise ConfigurationError(
                "`token` must be a text, a file (`pathlib.Path`) or a function that returns a text"
            )
        if not callable(source):
            self.current()

    @property
    def is_constant(self) -> bool:
        """Whether it is the token itself."""
        return isinstance(self._source, str)

    @property
    def is_at_hand(self) -> bool:
        """Whether `current` returns at once: it neither looks at a file nor calls a function."""
        last = self._file
        return self.is_constant or (last is not None and (last[1] is None or time.monotonic() - last[0] < _LOOK_EVERY))

    def current(self) -> str:
        """Return the token to send now.

        Raises:
            ConfigurationError: There is none, or it is no token.
        """
        source = self._source
        if isinstance(source, os.PathLike):
            token = self._of_file(source)
        else:
            token = _checked(_called(source) if callable(source) else source, "`token`")
        if token not in self._sent:
            self._sent.append(token)
        return token

    def renewed(self, refused: str | None) -> str | None:
        """Return another token than the one that was refused, with the file read again; None where there is none."""
        if self.is_constant:
            return None
        self._file = None
        token = self.current()
        return None if token == refused else token

    def redacted(self, text: str) -> str:
        """Return a text without the tokens that were sent lately."""
        for token in tuple(self._sent):
            text = text.replace(token, "[token]")
        return text

    def _of_file(self, path: PathLike[str]) -> str:
        last, now = self._file, time.monotonic()
        if last is not None and self.is_at_hand:
            return last[2]
        state = identity(path)
        if last is None or state != last[1] or state is None:
            last = (now, state, _read(path))
        self._file = (now, state, last[2])  # replaced whole, so no lock is needed
        return last[2]


def _read(path: PathLike[str]) -> str:
    what = f"the bearer token in `{os.fspath(path)}`"
    try:
        data = read_file(path, limit=SETTING_BYTES, what="a bearer token")
    except (OSError, UsageError) as error:
        why = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "it holds no bearer token"
        raise ConfigurationError(f"{what}: {why}") from None
    if fault := encoding_fault(data):
        raise ConfigurationError(f"{what}: {fault}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{what}: not UTF-8: is it the right file?") from None
    return _checked(text.strip(), what)


def _called(source: Callable[[], str]) -> str:
    try:
        return source()
    except Exception as error:  # noqa: BLE001 - it is the application's own, and may say anything
        raise ConfigurationError(f"`token`: the function that gives it raised `{type(error).__name__}`") from None


def identity(path: str | PathLike[str]) -> tuple[int, ...] | None:
    """Return what changes when a regular file changes; None for anything else, which is read once."""
    try:
        state = Path(path).stat()
    except (OSError, ValueError, TypeError):
        return ()
    if not stat.S_ISREG(state.st_mode):
        return None
    return (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def _checked(token: object, what: str) -> str:
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise ConfigurationError(f"{what} must be a text of printable ASCII characters without spaces")
    return token
