"""Lists of resources that are held in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.decision import Reason, Request
from bridge.engines.piece import SCANNED, Piece
from bridge.policy import Policy, parse_policy
from bridge.resources.layout import PAGE, posting_texts
from bridge.strict_json import ABSENT, encode, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.decision import Decision
    from bridge.engines.piece import PieceRequest
    from bridge.policy import Description, PolicySettings
    from bridge.resources.memory import Held, MemoryStore

_PROBE: Final = b'{"id":"any"}'
_FOR_ALL: Final = frozenset(Reason) - {Reason.UNRESTRICTED, Reason.MATCHED, Reason.CONSTRAINT_FAILED}
"""The reasons that one resource is denied for like any other."""


def piece_of(
    request: PieceRequest,
    decide: Callable[[Sequence[Request]], list[Decision]],
    store: MemoryStore,
    settings: PolicySettings,
) -> Piece:
    """A piece of a list: the index says which ids come into question, and the engine decides on each.

    Args:
        request: What piece.
        decide: The engine's own.
        store: The resources.
        settings: What the engine decides by.
    """
    (probe,) = decide([Request(request.claims, request.type, _PROBE)])
    if probe.reason in _FOR_ALL:
        return Piece(decision=probe)
    held = store.held(request.type)
    description = _description(request, settings)
    if description is None or (description.id is ABSENT and not description.custom_data):
        ids, everything = held.all_ids(), True
    else:
        ids, everything = _candidates(held, description), False
    length = -(-len(ids) // PAGE)
    pages = range(request.page, min(request.page + min(request.pages, SCANNED), length))
    found = [ids[number * PAGE : (number + 1) * PAGE] for number in pages]
    if not everything:
        found = [_allowed(page, request, decide, held) for page in found]
    return Piece(None, everything, [[str(parse(id_)) for id_ in page] for page in found], length, held.revision)


def _description(request: PieceRequest, settings: PolicySettings) -> Description | None:
    """What the policy demands; None where there is no policy. The engine has found that it grants the type."""
    claims, type_ = parse(request.claims), parse(request.type)
    assert isinstance(claims, dict)
    assert isinstance(type_, str)
    if settings.claim not in claims:
        return None
    policy = parse_policy(claims[settings.claim], settings.types, settings.versions)
    assert isinstance(policy, Policy)
    return policy.descriptions[type_]


def _candidates(held: Held, description: Description) -> Sequence[bytes]:
    """The ids on the shortest way to all that are allowed, sorted."""
    if isinstance(description.id, str):
        id_ = encode(description.id)
        return [id_] if id_ in held.resources else []
    return min((held.posting(text) for text in posting_texts(description.custom_data)), key=len)


def _allowed(
    ids: Sequence[bytes], request: PieceRequest, decide: Callable[[Sequence[Request]], list[Decision]], held: Held
) -> list[bytes]:
    asked = [Request(request.claims, request.type, held.resources[id_]) for id_ in ids]
    return [id_ for id_, decision in zip(ids, decide(asked), strict=True) if decision.allow]
