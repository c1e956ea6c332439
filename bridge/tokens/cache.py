"""A cache of verified tokens, so that their signatures are not verified again."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, cast

from bridge.strict_json import Value, parse
from bridge.tokens.jws import may_be_sent_raw
from bridge.tokens.keys import VerificationKey

MAX_BYTES: Final = 16 * 1024 * 1024
_OVERHEAD: Final = 1_000


@dataclass(frozen=True, repr=False)  # a token is a secret and must not be logged
class VerifiedToken:
    """A verified token, valid as long as its time and its key.

    Attributes:
        token: The token.
        text: Its claims in canonical text.
        times: Its claims `exp`, `nbf` and `iat`, as far as it has them.
        kid: Its key id, or None.
        key: The key that has verified its signature.
    """

    token: str
    text: bytes
    times: Mapping[str, Value]
    kid: str | None
    key: VerificationKey

    @property
    def claims(self) -> dict[str, Value]:
        """Return a new copy of the claims."""
        return cast("dict[str, Value]", parse(self.text))

    @cached_property
    def may_be_sent_raw(self) -> bool:
        """Return whether OPA, which decodes the token itself, reads the same claims as the bridge."""
        return may_be_sent_raw(self.token)

    @property
    def size(self) -> int:
        """Return the approximate memory in bytes: its texts, and 1,000 for everything else."""
        return len(self.token) + len(self.text) + _OVERHEAD


class TokenCache:
    """The most recently used verified tokens, limited in number and in bytes; thread-safe, and empty in a forked child.

    Args:
        max_tokens: The maximum number of tokens; 0 for no cache.

    Attributes:
        max_tokens: The maximum number of tokens.
    """

    def __init__(self, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self._renew()

    def __reduce__(self) -> tuple[object, ...]:
        return (TokenCache, (self.max_tokens,))  # a copy does not get the tokens

    def find(self, token: str) -> VerifiedToken | None:
        """Return the verified token of exactly this text, or None."""
        entries = self._current()
        with entries.lock:
            verified = entries.tokens.get(token)
            if verified is not None:
                entries.tokens.move_to_end(token)
        return verified

    def add(self, verified: VerifiedToken) -> None:
        """Add a token, and remove the least recently used ones beyond the limits."""
        entries = self._current()
        with entries.lock:
            entries.remove(verified.token)
            entries.tokens[verified.token] = verified
            entries.size += verified.size
            while len(entries.tokens) > self.max_tokens or entries.size > MAX_BYTES:
                entries.remove(next(iter(entries.tokens)))

    def _current(self) -> _Entries:
        entries = self._entries
        # A lock that another thread of the parent held at the fork would stay locked forever in the child.
        return entries if entries.pid == os.getpid() else self._renew()

    def _renew(self) -> _Entries:
        entries = self._entries = _Entries()
        return entries


class _Entries:
    """The cached tokens of one process."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.tokens: OrderedDict[str, VerifiedToken] = OrderedDict()
        self.size = 0

    def remove(self, token: str) -> None:
        verified = self.tokens.pop(token, None)
        if verified is not None:
            self.size -= verified.size
