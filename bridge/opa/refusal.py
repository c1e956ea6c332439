"""An answer whose status says no, as an error of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.errors import InvalidResponseError, MalformedInputError, OpaStatusError
from bridge.opa.wording import printable
from bridge.strict_json import parse

if TYPE_CHECKING:
    from bridge.opa.answer import Answer
    from bridge.strict_json import Value

_LONGEST: Final = 300
_MOST: Final = 3


def refusal(answer: Answer, what: str, secret: str | None) -> InvalidResponseError | OpaStatusError:
    """The error for an answer with a status that is not the one promised.

    Args:
        answer: The answer.
        what: Method and path.
        secret: Must not show, even if the answer repeats it.
    """
    if answer.status < 400:  # noqa: PLR2004 - an error status starts here
        return InvalidResponseError(f"`{what}`: status {answer.status}, which opa does not answer here")
    members = _members(answer.body)
    code = _line(members.get("code"), secret)
    # /health names it `error`
    message = _line(members.get("message", members.get("error")), secret)
    text = f"`{what}`: opa answered {answer.status}"
    if code:
        text += f" `{code}`"
    if message:
        text += f": {message}"
    for detail in _details(members.get("errors"), secret):
        text += f"; {detail}"
    return OpaStatusError(text, status=answer.status, opa_code=code, opa_message=message)


def _members(body: bytes) -> dict[str, Value]:
    try:
        value = parse(body)
    except MalformedInputError:
        return {}
    return value if isinstance(value, dict) else {}


def _details(errors: Value, secret: str | None) -> list[str]:
    """Where and what, of the first few: `a/b.rego:2:6: var y is unsafe`."""
    if not isinstance(errors, list):
        return []
    found = []
    for error in errors[:_MOST]:
        if isinstance(error, dict):
            place = error.get("location")
            parts = [place.get(name) for name in ("file", "row", "col")] if isinstance(place, dict) else []
            where = ":".join(str(part) for part in parts if isinstance(part, (str, int)) and part != "")
            found.append(_line(f"{where}: {error.get('message')}" if where else error.get("message"), secret))
    more = len(errors) - _MOST
    return [*found, f"and {more} more"] if more > 0 else found


def _line(value: Value, secret: str | None) -> str:
    """What the other side says, on one line, not too long, fit for a terminal."""
    if not isinstance(value, str):
        return ""
    if secret:
        value = value.replace(secret, "[token]")
    return printable(value, _LONGEST)
