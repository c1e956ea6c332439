"""The outcome of a call: a whole response, or the failure in its place."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Final, Protocol

GATEWAY: Final = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
"""The statuses of a gateway that gets no response from the server behind it."""


class Renewable(Protocol):
    """A body with a new nonce for each attempt."""

    def fresh(self) -> tuple[bytes, str]:
        """Return the body, and the nonce that its response must hold."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole response.

    Attributes:
        status: The HTTP status.
        body: Its body, without the framing.
        nonce: The nonce of the attempt that it answers, or None.
    """

    status: int
    body: bytes
    nonce: str | None = None


def may_answer(body: bytes, nonce: str | None) -> bool:
    """Return whether a response may belong to the request that was sent with a nonce; any may, without a nonce.

    This only tells whether the connection can be used again: without the nonce, the true response may still come. It
    authorizes nothing: the code that reads the response compares the nonce that the rules echo.
    """
    return nonce is None or b'"%b"' % nonce.encode("ascii") in body


class Cause(Enum):
    """Why there is no response.

    Attributes:
        REFUSED: No server listens there, or the host's name is unknown.
        BROKEN: The connection ended before the response did.
        TLS: TLS failed, such as by a certificate that is not trusted.
        SETTING: The token, or a certificate file, cannot be read any more.
        TIMEOUT: The deadline has passed.
        INVALID: The response is not HTTP, or it is compressed.
        TOO_LARGE: The body is larger than accepted.
    """

    REFUSED = "refused"
    BROKEN = "broken"
    TLS = "tls"
    SETTING = "setting"
    TIMEOUT = "timeout"
    INVALID = "invalid"
    TOO_LARGE = "too large"


class HttpRequestError(Exception):
    """No response was received; the text says why in a few words, and holds no part of the request.

    Args:
        cause: The kind of failure.
        text: What happened.
    """

    def __init__(self, cause: Cause, text: str) -> None:
        super().__init__(text)
        self.cause = cause
