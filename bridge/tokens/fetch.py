"""One bounded GET of a JWK set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from bridge.http import Address, Cause, HttpClient, HttpFailure, HttpSettings
from bridge.http.address import PORTS
from bridge.http.tls import Tls

if TYPE_CHECKING:
    from os import PathLike

_OK: Final = 200
_ACCEPT: Final = {"Accept": "application/jwk-set+json, application/json"}
_REMEDIES: Final = {
    Cause.REFUSED: "is the url right?",
    Cause.TLS: "name the authority that issued the server's certificate by `ca`",
}


class FetchError(Exception):
    """There is no body to be had; the message is the cause."""


class Fetcher:
    """Fetches what a URL answers with; threads and forked children may share it.

    Redirects are not followed; proxies, `.netrc` and CA settings of the environment are not used. A fetch is never
    repeated: who fetches says how often.

    Args:
        url: An http or https URL of printable ASCII, without user and fragment.
        deadline: Seconds for the whole, from looking up the name to the last byte.
        max_bytes: The longest body taken.
        ca: A file of CA certificates in PEM, or None for those that `requests` brings.

    Raises:
        ConfigurationError: The file cannot be used.
    """

    def __init__(self, url: str, *, deadline: float, max_bytes: int, ca: str | PathLike[str] | None = None) -> None:
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
            FetchError: There was no whole answer of status 200 and at most `max_bytes` in time.
        """
        try:
            reply = self._http.request(
                "GET", self._target, seconds=self._deadline, is_read=False, headers=_ACCEPT, only_ok=True
            )
        except HttpFailure as failure:
            remedy = _REMEDIES.get(failure.cause)
            cause = f"{failure}: {remedy}" if remedy else str(failure)
        else:
            if reply.status == _OK:
                return reply.body
            cause = f"the server answered with status {reply.status}"
        raise FetchError(cause)
