"""Tokens that have been verified, kept so that their signatures need not be verified again."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, cast

from bridge.strict_json import parse
from bridge.tokens.raw import may_be_sent_raw

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.strict_json import Value
    from bridge.tokens.keys import VerificationKey

MOST_BYTES: Final = 16 * 1024 * 1024
_OVERHEAD: Final = 1_000


@dataclass(frozen=True, repr=False)  # a token is a secret, not for logs
class VerifiedToken:
    """A token that was found valid, for as long as its time and its key last.

    Attributes:
        token: The token.
        text: Its claims in canonical text.
        times: Those of its claims `exp`, `nbf` and `iat` that it has.
        kid: The key that it names, or None.
        key: The key that its signature is right for.
    """

    token: str
    text: bytes
    times: Mapping[str, Value]
    kid: str | None
    key: VerificationKey

    @property
    def claims(self) -> dict[str, Value]:
        """Its claims, a copy of the caller's own."""
        return cast("dict[str, Value]", parse(self.text))

    @cached_property
    def may_be_sent_raw(self) -> bool:
        """Whether OPA, which decodes the token by itself, reads it as the bridge does."""
        return may_be_sent_raw(self.token)

    @property
    def size(self) -> int:
        """About the bytes of memory that it takes: its texts, and 1,000 for what else there is."""
        return len(self.token) + len(self.text) + _OVERHEAD


class TokenCache:
    """The tokens verified last, bounded in number and in bytes; for many threads, and empty in a forked child.

    Args:
        most: How many to keep; 0 is none.

    Attributes:
        most: As given.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._renew()

    def __reduce__(self) -> tuple[object, ...]:
        return (TokenCache, (self.most,))  # tokens are no business of a copy's

    def find(self, token: str) -> VerifiedToken | None:
        """What is kept about exactly this text."""
        kept = self._mine()
        with kept.lock:
            found = kept.tokens.get(token)
            if found is not None:
                kept.tokens.move_to_end(token)
        return found

    def keep(self, verified: VerifiedToken) -> None:
        """Keep one more, and let go of those used longest ago where there are too many."""
        kept = self._mine()
        with kept.lock:
            kept.remove(verified.token)
            kept.tokens[verified.token] = verified
            kept.size += verified.size
            while len(kept.tokens) > self.most or kept.size > MOST_BYTES:
                kept.remove(next(iter(kept.tokens)))

    def _mine(self) -> _Kept:
        kept = self._kept
        # The lock that another thread of the parent held at the fork would stay locked for ever in the child.
        return kept if kept.pid == os.getpid() else self._renew()

    def _renew(self) -> _Kept:
        kept = self._kept = _Kept()
        return kept


class _Kept:
    """What one process keeps."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.tokens: OrderedDict[str, VerifiedToken] = OrderedDict()
        self.size = 0

    def remove(self, token: str) -> None:
        found = self.tokens.pop(token, None)
        if found is not None:
            self.size -= found.size
