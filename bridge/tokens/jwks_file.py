"""A JWK set in a file."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike, stat_result
from pathlib import Path
from typing import Final

from bridge.errors import KeysUnavailableError, UsageError
from bridge.escapes import quoted_setting
from bridge.files import SETTING_BYTES, read_stream
from bridge.process_bound import ProcessBound
from bridge.tokens.claims import exact_seconds
from bridge.tokens.jwk import KeySet, document_from
from bridge.tokens.keys import UnusableKeyError, VerificationKey

MAX_BYTES: Final = SETTING_BYTES


@dataclass(frozen=True, slots=True)
class _Read:
    keys: KeySet
    identity: tuple[int, ...]
    at: float


class JwksFile(ProcessBound):
    """A JWK set in a file, read when first needed, and again after the file changes.

    At each token, the source compares the file's identity, size and times. It sees a change that leaves all of these
    alone after `lifetime`. If the file cannot be read or is not a JWK set, the keys are unavailable at once: older keys
    are never used. Replace the file by renaming a new one, so that no reader sees half of it. `oct` keys are treated as
    in `JwkSet`. Threads and forked children may share a source.

    Args:
        path: The file; at most 1,048,576 bytes.
        lifetime: Seconds after which the file is read again even if it looks the same.
        clock: A monotonic clock, in seconds.

    Raises:
        ConfigurationError: The lifetime is not a positive number.
    """

    __slots__ = ("_clock", "_lifetime", "_path", "_read")

    def __init__(
        self, path: str | PathLike[str], *, lifetime: float = 300, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = Path(path)
        self._lifetime = float(exact_seconds("lifetime", lifetime))
        self._clock = clock
        self._read: _Read | None = None  # always replaced as a whole, so it needs no lock

    def __repr__(self) -> str:
        return f"JwksFile({str(self._path)!r})"

    def check(self, algorithms: Sequence[str]) -> None:
        """Accept any algorithms, because the keys in the file may change."""

    def key_for(self, kid: str | None) -> VerificationKey:
        """Return the key with this `kid`.

        Raises:
            UnknownKeyError: The token has no `kid`; or no key, several keys or an unusable key has it.
            KeysUnavailableError: The file cannot be read, is too long, or is not a JWK set.
        """
        return self._keys().key_for(kid)

    def _keys(self) -> KeySet:
        try:
            now = self._clock()
            last = self._read
            status = self._path.stat()
            if last is not None and last.identity == _identity(status) and 0 <= now - last.at < self._lifetime:
                return last.keys
            if not stat.S_ISREG(status.st_mode):  # opening a pipe would block until it has a writer
                raise UnusableKeyError("it is not a regular file")
            with self._path.open("rb") as file:
                identity = _identity(os.fstat(file.fileno()))
                text = read_stream(file, limit=MAX_BYTES, what="a JWK set", name="it")
            keys = KeySet.of(document_from(text), published=False)
        except OSError as error:
            raise self._unavailable(error.strerror or "it cannot be read") from None
        # an UnusableKeyError, a path with a null character, or a file that is too long
        except (ValueError, UsageError) as error:
            raise self._unavailable(str(error)) from None
        self._read = _Read(keys, identity, now)
        return keys

    def _unavailable(self, cause: str) -> KeysUnavailableError:
        return KeysUnavailableError(
            f"the keys in the file {quoted_setting(self._path)} are unavailable: {cause}; put a readable JWK set there"
        )


def _identity(status: stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
