"""Where an OPA is, and how to speak to it, whoever does."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from bridge.errors import ConfigurationError, UsageError
from bridge.opa.address import Address, parse_address
from bridge.opa.tls import tls_context
from bridge.process_bound import ProcessBound

if TYPE_CHECKING:
    import ssl
    from os import PathLike

_TOKEN: Final = re.compile(r"[!-~]+")
_DAY: Final = 86_400.0

DEADLINE: Final = 5.0
MAX_ANSWER: Final = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class OpaSettings(ProcessBound):
    """Settings that were found usable, made by `checked`.

    Attributes:
        address: Where OPA is.
        tls: Whom to trust there, for `https`.
        token: Sent as bearer token, or None.
        deadline: Seconds for a call that is not given a deadline of its own.
        max_answer: The size of the largest answer to accept, in bytes.
    """

    address: Address
    tls: ssl.SSLContext | None
    token: str | None = field(repr=False)
    deadline: float
    max_answer: int

    @classmethod
    def checked(
        cls,
        url: str,
        *,
        token: str | None,
        ca: str | PathLike[str] | None,
        client_certificate: tuple[str | PathLike[str], str | PathLike[str]] | None,
        deadline: float,
        max_answer: int,
    ) -> Self:
        """From what a client is made with.

        Raises:
            ConfigurationError: One of these cannot be used.
        """
        address = parse_address(url)
        deadline = checked_deadline(deadline, ConfigurationError)
        if type(max_answer) is not int or max_answer < 1:
            raise ConfigurationError("`max_answer` must be a number of bytes, at least 1")
        if token is not None and (not isinstance(token, str) or not _TOKEN.fullmatch(token)):
            raise ConfigurationError("`token` must be a text of printable ASCII characters without spaces")
        if address.scheme == "http" and (ca is not None or client_certificate is not None):
            raise ConfigurationError("`ca` and `client_certificate` need a url that starts with `https://`")
        tls = tls_context(ca, client_certificate) if address.scheme == "https" else None
        return cls(address, tls, token, deadline, max_answer)

    @property
    def fields(self) -> dict[str, str]:
        """The header fields that go with every call."""
        address = self.address
        host = f"[{address.host.partition('%')[0]}]" if ":" in address.host else address.host
        standing = {
            "Host": host if address.port == address.usual_port else f"{host}:{address.port}",
            "Accept-Encoding": "identity",
            "User-Agent": "jwt-policy-bridge",
        }
        return standing if self.token is None else standing | {"Authorization": f"Bearer {self.token}"}


def checked_deadline(seconds: float, error: type[UsageError] = UsageError) -> float:
    """A deadline, in seconds.

    Raises:
        UsageError: It is none; of the kind given.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= _DAY:
        raise error("a deadline must be a number of seconds, more than 0 and at most a day")
    return float(seconds)
