"""The errors for a call that failed, and for a response of OPA with an error status."""

from __future__ import annotations

from typing import Final

from bridge.errors import (
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    InvalidResponseError,
    MalformedInputError,
    OpaStatusError,
)
from bridge.escapes import printable
from bridge.http import Address, Cause, HttpRequestError, HttpSettings, Reply
from bridge.http.outcome import GATEWAY
from bridge.strict_json import Value, parse

_LONGEST: Final = 300
_MOST: Final = 3
_LIMIT: Final = "request body too large"
"""OPA's message, with status 400, for a body beyond its own limit."""

_REMEDIES: Final = {
    Cause.REFUSED: "is opa running there? Check its url",
    Cause.BROKEN: "see the log of opa, and of the proxy before it if there is one",
    Cause.TLS: "name the authority that issued the server's certificate by `ca` (`--opa-ca`), and the certificate that"
    " the server asks for by `client_certificate` (`--opa-certificate`, `--opa-key`)",
    Cause.TIMEOUT: "raise the deadline, or see what keeps opa busy",
    Cause.TOO_LARGE: "raise `max_answer`",
    Cause.INVALID: "is this the url of opa?",
}


def call_error(failure: HttpRequestError, what: str, address: Address) -> EngineError:
    """Return the error for a call without a response; `what` is method and path."""
    text = f"`{what}` at {address}: {failure}"
    if remedy := _REMEDIES.get(failure.cause):
        text += f": {remedy}"
    match failure.cause:
        case Cause.TIMEOUT:
            return EngineTimeoutError(text)
        case Cause.INVALID | Cause.TOO_LARGE:
            return InvalidResponseError(text)
        case _:
            return EngineUnreachableError(text)


def status_error(
    reply: Reply, what: str, settings: HttpSettings
) -> InvalidResponseError | EngineUnreachableError | OpaStatusError:
    """Return the error for a response with another status than OPA's API promises.

    Args:
        reply: The response.
        what: Method and path.
        settings: The client's settings; the error must not show its tokens, even if the response repeats them.
    """
    if reply.status < 400:  # noqa: PLR2004 - an error status starts here
        return InvalidResponseError(
            f"`{what}`: status {reply.status}, which opa does not answer here: is this the url of opa?"
        )
    members = _members(reply.body)
    code = _line(members.get("code"), settings)
    # /health names it `error`
    message = _line(members.get("message", members.get("error")), settings)
    if reply.status in GATEWAY and not code:
        return EngineUnreachableError(
            f"`{what}` at {settings.address}: a gateway answered {reply.status} in the place of opa: is opa running"
            " behind it?"
        )
    text = f"`{what}`: opa answered {reply.status}"
    if code:
        text += f" `{code}`"
    if message:
        text += f": {message}"
    for detail in _details(members.get("errors"), settings):
        text += f"; {detail}"
    return OpaStatusError(
        text + _remedy(reply, settings, code=code), status=reply.status, opa_code=code, opa_message=message
    )


def is_too_large(error: Exception) -> bool:
    """Return whether an error says that the request body is too large for OPA, or for a proxy before it."""
    if not isinstance(error, OpaStatusError):
        return False
    return error.status == 413 or (error.status == 400 and _LIMIT in error.opa_message)  # noqa: PLR2004


def _remedy(reply: Reply, settings: HttpSettings, *, code: str) -> str:
    """Return what to do next, where the response tells it."""
    match reply.status:
        case 401 if settings.token is None:
            return ": give the token that opa asks for by `token` (`--opa-token-file`)"
        case 401:
            return ": is the token right? It is given by `token` (`--opa-token-file`)"
        case 400 if settings.address.scheme == "http" and b"HTTPS" in reply.body:
            return f": {settings.address} speaks TLS: use a url that starts with `https://`"
        case 413:
            return ": send less at once, or raise the limit of the proxy before opa"
        case 404 if not code:
            return f": no opa answers at {settings.address}: check the path prefix in its url"
        case _:
            return ""


def _members(body: bytes) -> dict[str, Value]:
    try:
        value = parse(body)
    except MalformedInputError:
        return {}
    return value if isinstance(value, dict) else {}


def _details(errors: Value, settings: HttpSettings) -> list[str]:
    """Return place and message of the first few errors, such as `a/b.rego:2:6: var y is unsafe`."""
    if not isinstance(errors, list):
        return []
    details = []
    for error in errors[:_MOST]:
        if isinstance(error, dict):
            place = error.get("location")
            parts = [place.get(name) for name in ("file", "row", "col")] if isinstance(place, dict) else []
            where = ":".join(str(part) for part in parts if isinstance(part, (str, int)) and part != "")
            details.append(_line(f"{where}: {error.get('message')}" if where else error.get("message"), settings))
    more = len(errors) - _MOST
    return [*details, f"and {more} more"] if more > 0 else details


def _line(value: Value, settings: HttpSettings) -> str:
    """Return a text of the server on one line, shortened, safe for a terminal and without tokens."""
    return printable(settings.redacted(value), _LONGEST) if isinstance(value, str) else ""
