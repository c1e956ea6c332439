"""Questions about resources that are held in this process: lists, and what has no answer before a push."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.decision import Reason, Request
from bridge.engines.pages import SCANNED, PageResponse
from bridge.errors import ResourcesMissingError
from bridge.policy import Policy, parse_policy
from bridge.store.layout import PAGE, posting_texts
from bridge.strict_json import ABSENT, encode, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.decision import Decision
    from bridge.engines.pages import PageRequest
    from bridge.policy import Description, PolicySettings
    from bridge.store.memory_store import MemoryStore, StoredType

_PROBE: Final = b'{"id":"any"}'
_FOR_ALL: Final = frozenset(Reason) - {Reason.UNRESTRICTED, Reason.MATCHED, Reason.CONSTRAINT_FAILED}
"""The reasons that one resource is denied for like any other."""


def local_pages(
    request: PageRequest,
    decide: Callable[[Sequence[Request]], list[Decision]],
    store: MemoryStore,
    settings: PolicySettings,
) -> PageResponse:
    """A pages of a list: the index says which ids come into question, and the engine decides on each.

    Args:
        request: What pages.
        decide: The engine's own.
        store: The resources.
        settings: What the engine decides by.

    Raises:
        ResourcesMissingError: Nothing was ever pushed for the type.
    """
    (probe,) = decide([Request(request.claims, request.type, _PROBE)])
    if probe.reason in _FOR_ALL:
        return PageResponse(decision=probe)
    stored = store.stored(request.type)
    if stored.revision is None:
        raise _never_pushed(request.type)
    description = _description(request, settings)
    if description is None or (description.id is ABSENT and not description.custom_data):
        ids, everything = stored.all_ids(), True
    else:
        ids, everything = _candidates(stored, description), False
    length = -(-len(ids) // PAGE)
    pages = range(request.page, min(request.page + min(request.pages, SCANNED), length))
    found = [ids[number * PAGE : (number + 1) * PAGE] for number in pages]
    if not everything:
        found = [_allowed(page, request, decide, stored) for page in found]
    return PageResponse(
        None, everything, [[str(parse(id_)) for id_ in page] for page in found], length, stored.revision
    )


def refuse_never_pushed(request: Request, decision: Decision, revision: str | None) -> None:
    """Refuse a denial by id that says no more than that nothing was ever pushed for the type (R2).

    Args:
        request: What was asked.
        decision: What was decided.
        revision: The revision of the resources that were asked, or None where there are none.

    Raises:
        ResourcesMissingError: There is no decision.
    """
    # R1 and malformed input come first, and then the decision has their reason.
    if revision is None and decision.reason is Reason.UNKNOWN_RESOURCE and request.is_by_id:
        assert request.type is not None
        raise _never_pushed(request.type)


def _never_pushed(type_: bytes) -> ResourcesMissingError:
    return ResourcesMissingError(
        f"no resources of `{parse(type_)}` were ever pushed to this engine, which keeps them in its own process: "
        "push them in each process, even if there are none, before it asks by id or lists"
    )


def _description(request: PageRequest, settings: PolicySettings) -> Description | None:
    """What the policy demands; None where there is no policy. The engine has found that it grants the type."""
    claims, type_ = parse(request.claims), parse(request.type)
    assert isinstance(claims, dict)
    assert isinstance(type_, str)
    if settings.claim not in claims:
        return None
    policy = parse_policy(claims[settings.claim], settings.types, settings.versions)
    assert isinstance(policy, Policy)
    return policy.descriptions[type_]


def _candidates(stored: StoredType, description: Description) -> Sequence[bytes]:
    """The ids on the shortest way to all that are allowed, sorted."""
    if isinstance(description.id, str):
        id_ = encode(description.id)
        return [id_] if id_ in stored.resources else []
    return min((stored.posting(text) for text in posting_texts(description.custom_data)), key=len)


def _allowed(
    ids: Sequence[bytes],
    request: PageRequest,
    decide: Callable[[Sequence[Request]], list[Decision]],
    stored: StoredType,
) -> list[bytes]:
    asked = [Request(request.claims, request.type, stored.resources[id_]) for id_ in ids]
    return [id_ for id_, decision in zip(ids, decide(asked), strict=True) if decision.allow]
