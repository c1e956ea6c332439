"""Lists and requests by id for engines whose resources are in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from bridge.decision import Decision, Reason, Request
from bridge.engines.base import SCANNED, PageRequest, PageResponse
from bridge.errors import ResourcesMissingError
from bridge.policy import Description, Policy, PolicySettings, parse_policy
from bridge.store.layout import PAGE, posting_texts
from bridge.store.memory_store import MemoryStore, StoredType
from bridge.strict_json import ABSENT, encode, parse

_PROBE: Final = b'{"id":"any"}'
_FOR_ALL: Final = frozenset(Reason) - {Reason.UNRESTRICTED, Reason.MATCHED, Reason.CONSTRAINT_FAILED}
"""The reasons that deny every resource alike."""


def local_pages(
    request: PageRequest,
    decide: Callable[[Sequence[Request]], list[Decision]],
    store: MemoryStore,
    settings: PolicySettings,
) -> PageResponse:
    """Return pages of a list: the index gives the candidate ids, and the engine decides each.

    Args:
        request: Which pages.
        decide: The engine's method.
        store: The resources.
        settings: The engine's settings.

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
    texts = [ids[number * PAGE : (number + 1) * PAGE] for number in pages]
    if not everything:
        texts = [_allowed(page, request, decide, stored) for page in texts]
    return PageResponse(
        None, everything, [[str(parse(id_)) for id_ in page] for page in texts], length, stored.revision
    )


def refuse_never_pushed(request: Request, decision: Decision, revision: str | None) -> None:
    """Refuse a denial by id that only says that nothing was ever pushed for the type (R2).

    Args:
        request: The request.
        decision: The decision.
        revision: The revision of the type's resources; None if there are none.

    Raises:
        ResourcesMissingError: It is such a denial.
    """
    # R1 and malformed input come first, and then the decision has their reason.
    if revision is None and decision.reason is Reason.UNKNOWN_RESOURCE and request.is_by_id:
        assert request.type is not None
        raise _never_pushed(request.type)


def _never_pushed(type_: bytes) -> ResourcesMissingError:
    return ResourcesMissingError(
        f"no resources of `{parse(type_)}` were ever pushed to this engine, which keeps them in its own process: "
        "push them in each process, even an empty list, before it checks by id or lists"
    )


def _description(request: PageRequest, settings: PolicySettings) -> Description | None:
    """Return the policy's description of the type, which the engine has found; None without a policy."""
    claims, type_ = parse(request.claims), parse(request.type)
    assert isinstance(claims, dict)
    assert isinstance(type_, str)
    if settings.claim not in claims:
        return None
    policy = parse_policy(claims[settings.claim], settings.types, settings.versions)
    assert isinstance(policy, Policy)
    return policy.descriptions[type_]


def _candidates(stored: StoredType, description: Description) -> Sequence[bytes]:
    """Return the shortest sorted list of ids that has all allowed ones."""
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
    requests = [Request(request.claims, request.type, stored.resources[id_]) for id_ in ids]
    return [id_ for id_, decision in zip(ids, decide(requests), strict=True) if decision.allow]
