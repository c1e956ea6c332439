"""A JWK set behind a URL: when it is fetched, and how."""

from __future__ import annotations

import ipaddress
import math
import os
import re
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Final
from urllib.parse import SplitResult, urlsplit

from bridge.errors import ConfigurationError, KeysUnavailableError, UsageError
from bridge.escapes import quoted, quoted_setting
from bridge.files import CERTIFICATE_BYTES, refuse_unbounded_file
from bridge.http import Address, Cause, HttpRequestError, HttpSettings
from bridge.http.address import PORTS
from bridge.http.tls import Tls
from bridge.process_bound import ProcessBound
from bridge.tokens.claims import exact_seconds
from bridge.tokens.jwk import KeySet, document_from, kid_of
from bridge.tokens.keys import SYMMETRIC, UnusableKeyError, VerificationKey

MAX_BYTES: Final = 1_048_576
_PLAIN: Final = re.compile(r"[!-~]+")
_LONG_AGO: Final = -math.inf
_OK: Final = 200
_ACCEPT: Final = {"Accept": "application/jwk-set+json, application/json"}
_LOOK: Final = "look at the key server"
_REMEDIES: Final = {
    Cause.REFUSED: "is the url right?",
    Cause.TLS: "give the CA certificate of the server's issuer with `ca`",
    Cause.TIMEOUT: "look at the key server, or raise `deadline`",
}


@dataclass(frozen=True, slots=True)
class _State:
    """The state of a source; always replaced as a whole, so it can be read without the lock.

    Attributes:
        keys: The last fetched set, or None.
        born: When the fetch of `keys` began.
        tried: When the last fetch ended, successful or not.
        fault: Why the last fetch failed; empty if it succeeded.
    """

    keys: KeySet | None = None
    born: float = _LONG_AGO
    tried: float = _LONG_AGO
    fault: str = ""


class FetchError(Exception):
    """A fetch without a usable response; the message is the cause."""


class Fetcher:
    """A client of one URL; threads and forked children may share it.

    It follows no redirects and uses no proxies, `.netrc` or CA settings of the environment. It never retries: the
    caller decides how often to fetch.

    Args:
        url: An http or https URL of printable ASCII, without user and fragment.
        deadline: Seconds for the whole fetch, from the name's look-up to the last byte.
        max_bytes: The maximum length of the body.
        ca: A file of CA certificates in PEM, or None for those of `certifi`.

    Raises:
        ConfigurationError: The file cannot be used.
    """

    def __init__(self, url: str, *, deadline: float, max_bytes: int, ca: str | PathLike[str] | None = None) -> None:
        from bridge.http.session import HttpClient  # noqa: PLC0415 - `requests` takes long to import

        parts = urlsplit(url)
        host = (parts.hostname or "").replace("%25", "%")
        address = Address(parts.scheme, host, parts.port or PORTS[parts.scheme])
        tls = Tls(ca, None) if parts.scheme == "https" else None
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._deadline = deadline
        self._http = HttpClient(HttpSettings(address, tls, deadline=deadline, max_answer=max_bytes))

    def get(self) -> bytes:
        """Return the body.

        Raises:
            FetchError: No whole response with status 200 and at most `max_bytes` came in time.
        """
        try:
            reply = self._http.request(
                "GET", self._target, seconds=self._deadline, is_read=False, headers=_ACCEPT, only_ok=True
            )
        except HttpRequestError as failure:
            raise FetchError(f"{failure}: {_REMEDIES.get(failure.cause, _LOOK)}") from None
        if reply.status != _OK:
            raise FetchError(f"the server answered with status {reply.status}: {_LOOK}")
        return reply.body


class JwksUrl(ProcessBound):
    """A JWK set behind a URL, fetched when first needed and cached for `lifetime`.

    Keys rotate, so a `kid` that is not in the cached set causes a new fetch. After every fetch, successful or not, no
    other fetch begins for `interval`. So neither invented `kid`s nor an outage cause many fetches. One fetch runs at a
    time: a thread whose key is in the cached set does not wait for it; the others wait and use its result. If the
    lifetime ends and no fetch succeeds, the keys are unavailable; expired keys are never used. If a fetch for an
    unknown `kid` fails before that, the cached set remains.

    HMAC secrets (`oct`) in the set are never used: a set behind a URL is not secret.

    Threads and forked children may share a source. It uses nothing of the environment (proxies, `.netrc`, CA
    variables) and follows no redirects.

    Args:
        url: An https URL, or an http URL of this machine (`localhost`, 127.0.0.0/8, `::1`); without user name,
            password or fragment.
        lifetime: Seconds for which a fetched set is used; at least `interval` plus `deadline`.
        interval: Minimum seconds between two fetches.
        deadline: Seconds for one whole fetch.
        ca: A file of CA certificates in PEM to check the server's certificate, instead of the public ones of `certifi`.
        insecure_http: Allow an http URL of another machine: everyone who can change the response can sign tokens.
        clock: A monotonic clock, in seconds.

    Raises:
        ConfigurationError: A setting cannot be used.
    """

    __slots__ = ("__weakref__", "_clock", "_fetcher", "_interval", "_lifetime", "_lock", "_state", "_url")

    def __init__(
        self,
        url: str,
        *,
        lifetime: float = 300,
        interval: float = 30,
        deadline: float = 5,
        ca: str | PathLike[str] | None = None,
        insecure_http: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = _checked_url(url, insecure_http=insecure_http)
        self._lifetime = float(exact_seconds("lifetime", lifetime))
        self._interval = float(exact_seconds("interval", interval))
        deadline = float(exact_seconds("deadline", deadline))
        if self._lifetime < self._interval + deadline:
            raise ConfigurationError(
                "lifetime: make it at least `interval` plus `deadline`, or the keys would expire between two fetches"
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
                raise ConfigurationError(
                    f"algorithms: {quoted(name)} takes a secret, and a set behind a URL is not secret: leave it out"
                )

    def key_for(self, kid: str | None) -> VerificationKey:
        """Return the key with this `kid`, after a fetch if it is needed.

        Raises:
            UnknownKeyError: The token has no `kid`; or no key, several keys or an unusable key has it.
            KeysUnavailableError: The set has expired, and none can be fetched now.
        """
        key = self.known_key(kid)
        if key is None:
            with self._lock:
                key = self.known_key(kid)  # another thread may have fetched meanwhile
                if key is None:
                    self._state = self._fetch()
                    key = self._cached_key(kid)
        return key

    def known_key(self, kid: str | None) -> VerificationKey | None:
        """Return the key with this `kid` without waiting; None if a fetch, which `key_for` waits for, may bring it.

        Raises:
            UnknownKeyError: The token has no `kid`; several keys or an unusable key has it; or no key has it, and it is
                too early for another fetch.
            KeysUnavailableError: The set has expired, and it is too early for another fetch.
        """
        name = kid_of(kid)  # first, so that a token without one causes no fetch
        state = self._state
        keys = self._unexpired(state)
        if (keys is None or name not in keys) and self._clock() - state.tried >= self._interval:
            return None
        return self._cached_key(kid)

    def _cached_key(self, kid: str | None) -> VerificationKey:
        state = self._state
        keys = self._unexpired(state)
        if keys is None:
            fault = state.fault or "the fetched keys have expired: try again later"
            raise KeysUnavailableError(
                f"the keys at {quoted_setting(_without_query(self._url))} are unavailable: {fault}"
            )
        return keys.key_for(kid)

    def _unexpired(self, state: _State) -> KeySet | None:
        return state.keys if 0 <= self._clock() - state.born < self._lifetime else None

    def _fetch(self) -> _State:
        began = self._clock()
        try:
            keys = KeySet.of(document_from(self._fetcher.get()), published=True)
        except (FetchError, UnusableKeyError) as error:
            return replace(self._state, tried=self._clock(), fault=str(error))
        return _State(keys, born=began, tried=self._clock())


_SOURCES: Final[weakref.WeakSet[JwksUrl]] = weakref.WeakSet()


def _renew_locks() -> None:
    """Replace the locks in a forked child: one that another thread of the parent held would stay locked forever."""
    for source in _SOURCES:
        source._lock = threading.Lock()  # noqa: SLF001 - an attribute of this module's class


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


def _checked_url(url: str, *, insecure_http: bool) -> str:
    # only plain characters: with spaces or backslashes, parsers disagree on where the host ends
    if not isinstance(url, str) or not _PLAIN.fullmatch(url) or "\\" in url:
        raise ConfigurationError("url: give a URL of printable ASCII characters")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError(
            "url: it is not a valid URL: give one such as `https://issuer.example/jwks.json`"
        ) from None
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError("url: give an https URL")
    if "@" in parts.netloc:
        raise ConfigurationError("url: remove the user name and password, which would end up in logs")
    if parts.fragment:
        raise ConfigurationError("url: remove the fragment (`#...`)")
    if parts.scheme == "http" and not insecure_http and not _is_loopback(host):
        raise ConfigurationError(
            f"url: http to {quoted_setting(host)} is not safe: everyone who can change the response can sign tokens;"
            " use https (or set insecure_http)"
        )
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_ca(ca: str | PathLike[str] | None) -> None:
    if ca is None:
        return
    import ssl  # noqa: PLC0415 - it takes long to import

    try:
        refuse_unbounded_file(ca, limit=CERTIFICATE_BYTES, what="certificates in PEM")
        ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        cause = "it has no readable certificate" if isinstance(error, ssl.SSLError) else "it cannot be read"
        raise ConfigurationError(
            f"ca: {quoted_setting(ca)}: {cause}; give a readable file of certificates in PEM"
        ) from None
    except UsageError as error:
        raise ConfigurationError(f"ca: {error}") from None


def _without_query(url: str) -> str:
    """Return the URL without its query, which may hold a secret."""
    parts: SplitResult = urlsplit(url)
    return parts._replace(query="").geturl()
