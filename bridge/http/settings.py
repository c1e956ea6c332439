"""Where a server is, and how to speak to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from bridge.errors import ConfigurationError, UsageError
from bridge.http.address import Address, parse_address
from bridge.http.credentials import BearerToken
from bridge.http.tls import Tls
from bridge.process_bound import ProcessBound

if TYPE_CHECKING:
    from bridge.http.credentials import Token
    from bridge.http.tls import ClientCertificate, Path

_DAY: Final = 86_400.0

DEADLINE: Final = 5.0
MAX_ANSWER: Final = 256 * 1024 * 1024
MAX_BODY: Final = 16 * 1024 * 1024
MAX_IDLE: Final = 50.0
"""Seconds: many balancers drop what was idle for 60, some of them without a word."""


@dataclass(frozen=True, slots=True)
class HttpSettings(ProcessBound):
    """Settings that were found usable.

    Attributes:
        address: Where the server is.
        tls: Whom to trust there, for `https`.
        token: The bearer token, or None.
        deadline: Seconds for a call that is given no deadline of its own.
        max_answer: The size of the largest body to accept, in bytes.
        max_idle: Seconds for which a connection is kept that nobody uses.
        max_body: Bytes of the largest body to send where what is sent can be sent in parts.
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
        """Return the settings of a client for an OPA.

        Raises:
            ConfigurationError: One of these cannot be used.
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
        """The header fields of every request."""
        return {"Host": self.address.host_field, "Accept-Encoding": "identity", "User-Agent": "jwt-policy-bridge"}

    def redacted(self, text: str) -> str:
        """Return a text without the tokens that were sent lately."""
        return text if self.token is None else self.token.redacted(text)

    def authorization(self, token: str | None) -> dict[str, str]:
        """The header field that a token makes."""
        return {} if token is None else {"Authorization": f"Bearer {token}"}


def checked_deadline(seconds: float, error: type[UsageError] = UsageError) -> float:
    """Return a deadline, in seconds.

    Raises:
        UsageError: It is none; of the kind given.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= _DAY:
        raise error("a deadline must be a number of seconds, more than 0 and at most a day")
    return float(seconds)
