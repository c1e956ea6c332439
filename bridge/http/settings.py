"""The settings of an HTTP client: address, TLS, token, deadline and limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Self

from bridge.errors import ConfigurationError, UsageError
from bridge.http.address import Address, parse_address
from bridge.http.credentials import BearerToken, Token
from bridge.http.tls import ClientCertificate, Path, Tls
from bridge.process_bound import ProcessBound

_DAY: Final = 86_400.0

DEADLINE: Final = 5.0
MAX_ANSWER: Final = 256 * 1024 * 1024
MAX_BODY: Final = 16 * 1024 * 1024
MAX_IDLE: Final = 50.0
"""Seconds: many balancers drop a connection that is idle for 60 s, some of them silently."""


@dataclass(frozen=True, slots=True)
class HttpSettings(ProcessBound):
    """Checked settings of an HTTP client.

    Attributes:
        address: The server's address.
        tls: The TLS settings, for `https`.
        token: The bearer token, or None.
        deadline: The deadline of a call, in seconds, unless the call sets its own.
        max_answer: The largest response body to accept, in bytes.
        max_idle: Seconds for which an idle connection is kept.
        max_body: The largest request body, in bytes, where a request can be split.
    """

    address: Address
    tls: Tls | None = None
    token: BearerToken | None = field(default=None, repr=False)
    deadline: float = DEADLINE
    max_answer: int = MAX_ANSWER
    max_idle: float = MAX_IDLE
    max_body: int = MAX_BODY

    @classmethod
    def checked(
        cls,
        url: str,
        *,
        token: Token | None = None,
        ca: Path | None = None,
        client_certificate: ClientCertificate | None = None,
        deadline: float = DEADLINE,
        max_answer: int = MAX_ANSWER,
        max_idle: float = MAX_IDLE,
        max_body: int = MAX_BODY,
    ) -> Self:
        """Check the settings of a client for OPA.

        Raises:
            ConfigurationError: A setting cannot be used.
        """
        address = parse_address(url)
        deadline = checked_deadline(deadline, ConfigurationError)
        for name, size in (("max_answer", max_answer), ("max_body", max_body)):
            if type(size) is not int or size < 1:
                raise ConfigurationError(f"`{name}` must be a number of bytes, at least 1")
        if isinstance(max_idle, bool) or not isinstance(max_idle, (int, float)) or not 0 <= max_idle <= _DAY:
            raise ConfigurationError("`max_idle` must be a number of seconds, from 0 to a day")
        bearer = None if token is None else BearerToken(token)
        if address.scheme != "https" and (ca is not None or client_certificate is not None):
            raise ConfigurationError("`ca` and `client_certificate` need a url that starts with `https://`")
        tls = Tls(ca, client_certificate) if address.scheme == "https" else None
        return cls(address, tls, bearer, deadline, max_answer, float(max_idle), max_body)

    @property
    def fields(self) -> dict[str, str]:
        """Return the header fields of every request."""
        return {"Host": self.address.host_field, "Accept-Encoding": "identity", "User-Agent": "jwt-policy-bridge"}

    def redacted(self, text: str) -> str:
        """Return a text with `[token]` in place of the latest tokens."""
        return text if self.token is None else self.token.redacted(text)

    def authorization(self, token: str | None) -> dict[str, str]:
        """Return the header field for a token."""
        return {} if token is None else {"Authorization": f"Bearer {token}"}


def checked_deadline(seconds: float, error: type[UsageError] = UsageError) -> float:
    """Check a deadline in seconds, and return it.

    Args:
        seconds: The deadline.
        error: The class of the error.

    Raises:
        UsageError: It is not a number of seconds from 0 to a day.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= _DAY:
        raise error("a deadline must be a number of seconds, more than 0 and at most a day")
    return float(seconds)
