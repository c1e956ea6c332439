"""Where an OPA is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from bridge.errors import ConfigurationError

_PORTS: Final = {"http": 80, "https": 443}
_PRINTABLE: Final = re.compile(r"[!-~]+")
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*")


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of an OPA's URL.

    Attributes:
        scheme: `http` or `https`.
        host: Name or IP address, the latter without brackets.
        port: 1 to 65535.
        prefix: What goes before `/v1/...`: empty, or a path such as `/opa`.
    """

    scheme: str
    host: str
    port: int
    prefix: str

    @property
    def usual_port(self) -> int:
        """The port that need not be said for this scheme."""
        return _PORTS[self.scheme]

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"


def parse_address(url: str) -> Address:
    """The address that `url` names, such as `http://127.0.0.1:8181` or `https://gateway.example/opa`.

    Raises:
        ConfigurationError: It is no such URL, or has a user, a query or a fragment; none of it is repeated in the text,
            as it may hold a password.
    """
    if not isinstance(url, str) or not _PRINTABLE.fullmatch(url):
        raise ConfigurationError("the url of opa must be a text of printable ASCII characters without spaces")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigurationError("the url of opa is malformed") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ConfigurationError("the url of opa must start with `http://` or `https://` and name a host")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise ConfigurationError("the url of opa must have no user, no query and no fragment")
    if port == 0:
        raise ConfigurationError("the url of opa must not have the port 0")
    prefix = parts.path.rstrip("/")
    if not _PREFIX.fullmatch(prefix) or {".", ".."} & set(prefix.split("/")):
        raise ConfigurationError("the path in the url of opa must consist of simple names")
    if "v1" in prefix.split("/"):
        raise ConfigurationError("the url of opa is its address alone, without `/v1/...`, which is added for each call")
    return Address(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], prefix)
