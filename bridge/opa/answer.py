"""An answer as it came, and the JSON object in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.errors import InvalidResponseError, MalformedInputError
from bridge.strict_json import MAX_DEPTH, parse

if TYPE_CHECKING:
    from bridge.strict_json import Value

_DEPTH: Final = MAX_DEPTH + 16
"""A resource may nest 64 deep, and stands inside documents of ours and members of OPA's."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whole.

    Attributes:
        status: The HTTP status.
        body: Its body, however it was framed.
        nonce: What went out with the attempt that it answers, if anything did.
    """

    status: int
    body: bytes
    nonce: str | None = None

    def members(self, what: str, max_depth: int = _DEPTH) -> dict[str, Value]:
        """The members of the JSON object that the body is.

        Args:
            what: Method and path.
            max_depth: How many containers may stand inside each other.

        Raises:
            InvalidResponseError: It is none.
        """
        try:
            value = parse(self.body, max_depth=max_depth)
        except MalformedInputError as error:
            raise InvalidResponseError(f"`{what}`: the answer is no well-formed json: {error}") from None
        if not isinstance(value, dict):
            raise InvalidResponseError(f"`{what}`: the answer is no json object")
        return value
