"""The address of a server, and the checks of its URL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from bridge.errors import ConfigurationError

PORTS: Final = {"http": 80, "https": 443}
_PRINTABLE: Final = re.compile(r"[!-~]+")
_PATH: Final = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*")  # RFC 3986, path-abempty
_API: Final = re.compile(r"/v1(?:/data)?\Z")
_MAX_SOCKET: Final = 103
"""The longest path of a Unix socket, in bytes, that every system accepts."""


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a server's URL.

    Attributes:
        scheme: `http`, `https` or `unix`.
        host: A name or an IP address; IPv6 has no brackets, and its zone follows `%`.
        port: 1 to 65535.
        prefix: The path before every target: empty, or such as `/opa`.
        socket: The path of a Unix socket; empty for TCP.
    """

    scheme: str
    host: str
    port: int
    prefix: str = ""
    socket: str = ""

    @property
    def is_unix(self) -> bool:
        """Return whether it is a Unix socket."""
        return self.scheme == "unix"

    @property
    def name(self) -> str:
        """Return the host as a certificate names it: without the zone, which only this machine knows."""
        return self.host.partition("%")[0]

    @property
    def host_field(self) -> str:
        """Return the header field `Host`."""
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.is_unix or self.port == PORTS[self.scheme] else f"{name}:{self.port}"

    @property
    def origin(self) -> str:
        """Return the URL without its path; `http://localhost` for a Unix socket, as libraries know no other."""
        if self.is_unix:
            return "http://localhost"
        host = f"[{self.host.replace('%', '%25')}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def __str__(self) -> str:
        return f"unix://{self.socket}" if self.is_unix else self.origin + self.prefix


def parse_address(url: str) -> Address:
    """Return the address of an OPA.

    Args:
        url: Such as `http://127.0.0.1:8181`, `https://gateway.example/opa` or `unix:///run/opa.sock`.

    Raises:
        ConfigurationError: The URL is not one of these, or has a user, a query or a fragment. The text repeats no part
            of the URL, as that may hold a password.
    """
    if not isinstance(url, str) or not _PRINTABLE.fullmatch(url):
        raise ConfigurationError("the url of opa must be a text of printable ASCII characters without spaces")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigurationError("the url of opa is malformed: give one such as `http://127.0.0.1:8181`") from None
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise ConfigurationError("the url of opa must have no user, no query and no fragment")
    if parts.scheme == "unix":
        return _unix(parts.netloc, parts.path)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ConfigurationError(
            "the url of opa must start with `http://` or `https://` and name a host, or be `unix://` and the path of a"
            " socket"
        )
    if port == 0:
        raise ConfigurationError("the url of opa must not have the port 0")
    prefix = parts.path.rstrip("/")
    if not _PATH.fullmatch(prefix):
        raise ConfigurationError("the path in the url of opa must consist of the characters that RFC 3986 allows")
    if any(unquote(segment) in (".", "..") for segment in prefix.split("/")):
        raise ConfigurationError("the path in the url of opa must have no segments `.` and `..`")
    if _API.search(prefix):
        raise ConfigurationError(
            "the url of opa is its address alone, without `/v1` or `/v1/data` at its end, which is added for each call"
        )
    return Address(parts.scheme, unquote(parts.hostname), port or PORTS[parts.scheme], prefix)


def _unix(host: str, path: str) -> Address:
    path = unquote(path)
    if host or not path.startswith("/") or path.endswith("/") or "\0" in path or len(path.encode()) > _MAX_SOCKET:
        raise ConfigurationError(
            f"a url that starts with `unix://` must name a socket by an absolute path of at most {_MAX_SOCKET} bytes,"
            " such as `unix:///run/opa.sock`"
        )
    return Address("unix", "localhost", 0, socket=path)
