"""What an answer says of stored resources, as far as it can be true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.decision import Reason
from bridge.errors import InvalidResponseError, MalformedInputError
from bridge.store.state import CurrentGeneration
from bridge.strict_json import encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.decision import Decision, Request
    from bridge.strict_json import Value

_BEFORE: Final = frozenset((Reason.MALFORMED_INPUT, Reason.INVALID_TOKEN, Reason.UNKNOWN_TYPE))
"""The reasons that come before any resource is looked for (R1)."""

_NO_RESOURCE: Final = frozenset((Reason.UNKNOWN_RESOURCE, Reason.INVALID_RESOURCE))
"""The reasons that say that there is no resource (R2)."""


def revision_of(current: Mapping[str, Value], type_: bytes) -> str | None:
    """The revision of a type's resources; None where none were pushed, or in a layout that the rules do not know.

    Args:
        current: What an answer says is current, by resource type.
        type_: The resource type, in canonical text.

    Raises:
        InvalidResponseError: What it says of the type is not what a push writes.
    """
    name = type_.decode("utf-8")[1:-1]  # a known type needs no escapes
    if name not in current:
        return None
    found = current[name]
    if isinstance(found, dict) and found.keys() == {"layout"}:
        return None
    try:
        return CurrentGeneration.read(found).revision
    except InvalidResponseError as error:
        raise InvalidResponseError(f"`{name}`: {error}") from None


def refuse_without_resources(requests: Sequence[Request], decisions: Sequence[Decision], engine: str) -> None:
    """Refuse a decision by id that speaks of a resource where, by the same answer, none are stored.

    Raises:
        InvalidResponseError: There is such a one.
    """
    for request, decision in zip(requests, decisions, strict=True):
        if (
            request.is_by_id
            and decision.revision is None
            and decision.reason is not Reason.UNKNOWN_RESOURCE
            and decision.reason not in _BEFORE
        ):
            raise InvalidResponseError(
                f"the {engine} engine decided `{decision.reason}` by id, and says that no resources are stored"
            )


def explained_resource(answer: Mapping[str, Value], request: Request, decision: Decision, engine: str) -> bytes | None:
    """The stored resource that a decision is about, in canonical text; None where it is about none.

    Raises:
        InvalidResponseError: There is one where the decision can have none, or none where it must have one, or it is
            one that no push would have stored.
    """
    is_there = "resource" in answer
    may_be = request.is_by_id and decision.reason not in _NO_RESOURCE
    must_be = may_be and decision.reason not in _BEFORE
    if is_there > may_be or is_there < must_be:
        raise InvalidResponseError(
            f"the {engine} engine {'gave a stored' if is_there else 'gave no'} resource to a decision with the reason "
            f"`{decision.reason}`"
        )
    if not is_there:
        return None
    try:
        return encode(answer["resource"], what="stored resource")
    except MalformedInputError as error:
        raise InvalidResponseError(
            f"what the {engine} engine has under that id was never pushed by a bridge: {error}"
        ) from None
