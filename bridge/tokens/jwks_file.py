"""A set of keys in a file."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.errors import KeysUnavailableError, UsageError
from bridge.files import SETTING_BYTES, read_stream
from bridge.process_bound import ProcessBound
from bridge.tokens.algorithms import UnusableKeyError
from bridge.tokens.jwk import document_from
from bridge.tokens.jwk_set import KeySet
from bridge.tokens.seconds import seconds
from bridge.tokens.wording import setting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import stat_result

    from bridge.tokens.keys import VerificationKey

MAX_BYTES: Final = SETTING_BYTES


@dataclass(frozen=True, slots=True)
class _Read:
    keys: KeySet
    identity: tuple[int, ...]
    at: float


class JwksFile(ProcessBound):
    """A set of keys in a file, read when first needed and again when the file has changed.

    A change is seen by the file's identity, size and times, at each token; a change that leaves all of these alone is
    seen after `lifetime`. A file that cannot be read, or holds no JWK set, makes the keys unavailable at once: keys of
    an earlier state are never used. Put a new set in place by renaming, so that no half of it is ever seen. `oct` keys
    are treated as in `JwkSet`. Safe to use from many threads and across a fork.

    Args:
        path: The file; at most 1,048,576 bytes.
        lifetime: Seconds after which the file is read again even if it looks the same.
        clock: A clock that never goes back, in seconds.

    Raises:
        ConfigurationError: The lifetime is no positive number.
    """

    __slots__ = ("_clock", "_lifetime", "_path", "_read")

    def __init__(self, path: str | Path, *, lifetime: float = 300, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = Path(path)
        self._lifetime = float(seconds("lifetime", lifetime))
        self._clock = clock
        self._read: _Read | None = None  # replaced whole, so no lock is needed

    def __repr__(self) -> str:
        return f"JwksFile({str(self._path)!r})"

    def check(self, algorithms: Sequence[str]) -> None:
        """Nothing to refuse: what the file holds may change."""

    def key_for(self, kid: str | None) -> VerificationKey:
        """The key that `kid` names.

        Raises:
            UnknownKeyError: No `kid`, no key of it, more than one, or one that must not be used.
            KeysUnavailableError: The file cannot be read, is too long, or holds no JWK set.
        """
        return self._keys().key_for(kid)

    def _keys(self) -> KeySet:
        try:
            now = self._clock()
            last = self._read
            found = self._path.stat()
            if last is not None and last.identity == _identity(found) and 0 <= now - last.at < self._lifetime:
                return last.keys
            if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for its writer
                raise UnusableKeyError("it is no regular file")
            with self._path.open("rb") as file:
                identity = _identity(os.fstat(file.fileno()))
                text = read_stream(file, limit=MAX_BYTES, what="a JWK set", name="it")
            keys = KeySet.of(document_from(text), published=False)
        except OSError as error:
            raise self._unavailable(error.strerror or "it cannot be read") from None
        except (
            ValueError,
            UsageError,
        ) as error:  # UnusableKeyError, or a path with a null character, or it is too long
            raise self._unavailable(str(error)) from None
        self._read = _Read(keys, identity, now)
        return keys

    def _unavailable(self, cause: str) -> KeysUnavailableError:
        return KeysUnavailableError(f"the keys in the file {setting(self._path)} cannot be had: {cause}")


def _identity(found: stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
