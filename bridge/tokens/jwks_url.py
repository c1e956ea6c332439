"""A set of keys behind a URL, cached."""

from __future__ import annotations

import ipaddress
import math
import os
import re
import ssl
import threading
import time
import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from bridge.errors import ConfigurationError, KeysUnavailableError, UsageError
from bridge.files import CERTIFICATE_BYTES, refuse_unbounded_file
from bridge.process_bound import ProcessBound
from bridge.tokens.algorithms import SYMMETRIC, UnusableKeyError
from bridge.tokens.fetch import Fetcher, FetchError
from bridge.tokens.jwk import document_from
from bridge.tokens.jwk_set import KeySet, kid_of
from bridge.tokens.seconds import seconds
from bridge.tokens.wording import quoted, setting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bridge.tokens.keys import VerificationKey

MAX_BYTES: Final = 1_048_576
_PLAIN: Final = re.compile(r"[!-~]+")
_LONG_AGO: Final = -math.inf


@dataclass(frozen=True, slots=True)
class _State:
    """What is known; replaced whole, so that it can be read without the lock.

    Attributes:
        keys: The last set that was had, or None.
        born: When the fetch that brought `keys` began.
        tried: When the last fetch ended, however it ended.
        fault: Why the last fetch failed; empty if it did not.
    """

    keys: KeySet | None = None
    born: float = _LONG_AGO
    tried: float = _LONG_AGO
    fault: str = ""


class JwksUrl(ProcessBound):
    """A set of keys behind a URL, fetched when first needed and kept for `lifetime`.

    A `kid` that the kept set does not name is a reason to fetch once more, as keys rotate; but whatever the reason,
    and whether it succeeds or not, a fetch is followed by `interval` without one. So a flood of made-up `kid`s causes
    no flood of fetches, nor does an outage. One fetch runs at a time: threads whose key is in the kept set do not wait
    for it, the others wait and use what it brings. When the lifetime is over and no fetch succeeds, the keys are
    unavailable; expired keys are never used. A fetch that fails for an unknown `kid` alone leaves the kept set alone.

    HMAC secrets (`oct`) in the set are never used: what a URL hands out is no secret.

    Safe to use from many threads and across a fork. Nothing of the environment is used (proxies, `.netrc`, CA
    variables), and redirects are not followed.

    Args:
        url: An https URL, or an http URL of this machine (`localhost`, 127.0.0.0/8, `::1`); without user name,
            password or fragment.
        lifetime: Seconds for which a fetched set is used; at least `interval` plus `deadline`.
        interval: Seconds without a fetch after one.
        deadline: Seconds for one whole fetch.
        ca: A file of CA certificates in PEM that the server's certificate is checked against, instead of the public
            ones that `certifi` brings.
        insecure_http: Allow an http URL of another machine: whoever can change what it answers can sign.
        clock: A clock that never goes back, in seconds.

    Raises:
        ConfigurationError: One of these is not so.
    """

    __slots__ = ("__weakref__", "_clock", "_fetcher", "_interval", "_lifetime", "_lock", "_state", "_url")

    def __init__(
        self,
        url: str,
        *,
        lifetime: float = 300,
        interval: float = 30,
        deadline: float = 5,
        ca: str | Path | None = None,
        insecure_http: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = _checked_url(url, insecure_http=insecure_http)
        self._lifetime = float(seconds("lifetime", lifetime))
        self._interval = float(seconds("interval", interval))
        deadline = float(seconds("deadline", deadline))
        if self._lifetime < self._interval + deadline:
            raise ConfigurationError(
                "lifetime: it must be at least interval plus deadline, or keys would lapse in between"
            )
        _check_ca(ca)
        self._fetcher = Fetcher(url, deadline=deadline, max_bytes=MAX_BYTES, ca=ca)
        self._clock = clock
        self._state = _State()
        self._lock = threading.Lock()
        _SOURCES.add(self)

    def __repr__(self) -> str:
        return f"JwksUrl({_without_query(self._url)!r})"

    def check(self, algorithms: Sequence[str]) -> None:
        """Refuse HMAC algorithms.

        Raises:
            ConfigurationError: One of `algorithms` takes a secret.
        """
        for name in algorithms:
            if name in SYMMETRIC:
                raise ConfigurationError(f"algorithms: {quoted(name)} takes a secret, and what a URL hands out is none")

    def key_for(self, kid: str | None) -> VerificationKey:
        """The key that `kid` names.

        Raises:
            UnknownKeyError: No `kid`, no key of it, more than one, or one that must not be used.
            KeysUnavailableError: There is no set that is still good, and none can be fetched now.
        """
        key = self.known_key(kid)
        if key is None:
            with self._lock:
                key = self.known_key(kid)  # another thread may have fetched meanwhile
                if key is None:
                    self._state = self._fetched()
                    key = self._kept_key(kid)
        return key

    def known_key(self, kid: str | None) -> VerificationKey | None:
        """The same without waiting for anything; None where a fetch may bring the key, which `key_for` waits for.

        Raises:
            UnknownKeyError: No `kid`, more than one key of it, one that must not be used, or none, and it is too early
                to fetch again.
            KeysUnavailableError: There is no set that is still good, and it is too early to fetch again.
        """
        name = kid_of(kid)  # first, so that a token without one is no reason to fetch
        state = self._state
        keys = self._good(state)
        if (keys is None or name not in keys) and self._clock() - state.tried >= self._interval:
            return None
        return self._kept_key(kid)

    def _kept_key(self, kid: str | None) -> VerificationKey:
        state = self._state
        keys = self._good(state)
        if keys is None:
            raise KeysUnavailableError(
                f"the keys at {setting(_without_query(self._url))} cannot be had:"
                f" {state.fault or 'those that were fetched have expired'}"
            )
        return keys.key_for(kid)

    def _good(self, state: _State) -> KeySet | None:
        return state.keys if 0 <= self._clock() - state.born < self._lifetime else None

    def _fetched(self) -> _State:
        began = self._clock()
        try:
            keys = KeySet.of(document_from(self._fetcher.get()), published=True)
        except (FetchError, UnusableKeyError) as failed:
            return replace(self._state, tried=self._clock(), fault=str(failed))
        return _State(keys, born=began, tried=self._clock())


_SOURCES: Final[weakref.WeakSet[JwksUrl]] = weakref.WeakSet()


def _renew_locks() -> None:
    """In a forked child, a lock that another thread of the parent held would stay locked for ever."""
    for source in _SOURCES:
        source._lock = threading.Lock()  # noqa: SLF001 - this module's own


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


def _checked_url(url: str, *, insecure_http: bool) -> str:
    # plain characters only: parsers disagree on where the host ends in a text with spaces or backslashes
    if not isinstance(url, str) or not _PLAIN.fullmatch(url) or "\\" in url:
        raise ConfigurationError("url: a URL of printable ASCII is needed")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError("url: it is no URL") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError("url: an https URL is needed")
    if "@" in parts.netloc:
        raise ConfigurationError("url: a user name or password in it would end up in logs")
    if parts.fragment:
        raise ConfigurationError("url: it must have no fragment")
    if parts.scheme == "http" and not insecure_http and not _is_loopback(host):
        raise ConfigurationError(
            f"url: http to {setting(host)} is not safe, whoever changes the answer can sign tokens;"
            " use https (or set insecure_http)"
        )
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_ca(ca: str | Path | None) -> None:
    if ca is None:
        return
    try:
        refuse_unbounded_file(ca, limit=CERTIFICATE_BYTES, what="certificates in PEM")
        ssl.create_default_context(cafile=str(ca))
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        cause = "no certificate can be read from it" if isinstance(error, ssl.SSLError) else "it cannot be read"
        raise ConfigurationError(f"ca: {setting(ca)}: {cause}") from None
    except UsageError as error:
        raise ConfigurationError(f"ca: {error}") from None


def _without_query(url: str) -> str:
    """The URL as it may be shown: a query may hold a secret."""
    parts: SplitResult = urlsplit(url)
    return parts._replace(query="").geturl()
