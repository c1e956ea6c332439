"""Lists of what a policy allows, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.cursor import Cursor, bound_to, never_given
from bridge.decision import Reason
from bridge.engines.piece import MOST_PAGES, PieceRequest
from bridge.errors import BadAnswer, ListChanged, Misuse
from bridge.freshness import refuse_stale_revision, revision_number
from bridge.resources.layout import PAGE

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from bridge.decision import Decision
    from bridge.engines.piece import Piece
    from bridge.rendering import RuleSet

LIMIT: Final = 1_000
"""How many ids a list has where nobody says."""

_ANEW: Final = 5
_FOR_ALL: Final = frozenset(
    (
        Reason.MALFORMED_INPUT,
        Reason.UNKNOWN_TYPE,
        Reason.POLICY_REQUIRED,
        Reason.INVALID_POLICY,
        Reason.TYPE_NOT_GRANTED,
    )
)
"""The reasons that every resource of a type is denied for alike (R1, R3, R4, R5)."""

_REPORT: Final = "ask again; if it stays so, look at what is installed in the engine (`jwt-bridge doctor`)"


@dataclass(frozen=True, slots=True)
class Listing:
    """Some of the ids that a policy allows.

    Attributes:
        ids: The ids, in the order of code points.
        complete: There are no more behind these.
        everything: The policy demands nothing of a resource: it allows all of the type, pushed or not.
        cursor: What `after` is given to go on; None where the list is complete. It grants nothing: each list decides
            anew, by the claims that it is given.
        decision: What is decided for every resource alike, where none is allowed.
        revision: The revision of the resources; None where none were looked at.
    """

    ids: tuple[str, ...]
    complete: bool
    everything: bool = False
    cursor: str | None = None
    decision: Decision | None = None
    revision: str | None = None


def listing(
    rule_set: RuleSet, claims: bytes, type_: bytes, limit: int, after: str | None, at_least: str | None
) -> Generator[PieceRequest, Piece, Listing]:
    """Asks for one piece after the other until the list is as long as wanted.

    Args:
        rule_set: The settings that the engine decides by.
        claims: The claims, in canonical text.
        type_: The resource type, in canonical text.
        limit: How many ids at most.
        after: The cursor of the list that this one goes on from.
        at_least: The oldest revision that may be listed.

    Raises:
        ListChanged: The resources have changed since.
        ResourcesStale: They are older than `at_least`.
        BadAnswer: A piece does not go with the list.
        Misuse: The limit, the cursor or the revision makes no sense.
    """
    oldest = revision_number(at_least)
    if type(limit) is not int or limit < 1:
        raise Misuse("the limit must be a number, at least 1")
    about = bound_to(claims, type_, rule_set)
    start = None if after is None else Cursor.read(after, about)
    for _ in range(_ANEW):
        found = yield from _one(claims, type_, limit, start, about, oldest)
        if found is not None:
            return found
        if start is not None:
            raise ListChanged("the resources have changed since the list began: list from the beginning")
    raise ListChanged("the resources change faster than they can be listed: list fewer at once")


def _one(
    claims: bytes, type_: bytes, limit: int, start: Cursor | None, about: str, oldest: int | None
) -> Generator[PieceRequest, Piece, Listing | None]:
    """The list of one revision; None where another one came in between."""
    ids: list[str] = []
    number = place = 0 if start is None else start.page
    first: Piece | None = None
    seen = ""
    while True:
        wanted = min((limit - len(ids)) // PAGE + 2, MOST_PAGES)
        piece = yield PieceRequest(claims, type_, number, wanted)
        if piece.decision is not None:
            return _denied(piece.decision, first, start)
        refuse_stale_revision(piece.revision, oldest)
        if first is None:
            if start is not None and piece.revision != start.revision:
                return None
            if start is not None and number >= piece.length:
                raise never_given()
            first = piece
        elif piece.revision != first.revision:
            return None
        _refuse_contradiction(piece, first, number, wanted)
        for page in piece.pages:
            seen = _in_order(page, seen)
            fresh = start.behind(page) if start is not None and number == start.page else page
            room = limit - len(ids)
            if room:
                ids += fresh[:room]
                place = number
            if len(fresh) > room:
                cursor = Cursor(first.revision or "", place, ids[-1]).written(about)
                return Listing(
                    tuple(ids), complete=False, everything=piece.everything, cursor=cursor, revision=piece.revision
                )
            number += 1
        if number >= piece.length:
            return Listing(tuple(ids), complete=True, everything=piece.everything, revision=piece.revision)


def _denied(decision: Decision, first: Piece | None, start: Cursor | None) -> Listing:
    """The list of nothing, where a decision says that nothing is allowed."""
    if decision.reason not in _FOR_ALL or first is not None:
        raise BadAnswer(f"the engine answers a list by the decision `{decision.reason}`, which cannot be: {_REPORT}")
    if start is not None:
        raise never_given()  # it is bound to the very policy, type and rules that are denied
    return Listing((), complete=True, decision=decision)


def _refuse_contradiction(piece: Piece, first: Piece, number: int, wanted: int) -> None:
    """Refuse a piece that does not go with the list's first one, or is not the one that was asked for.

    A list never changes within a revision; a shorter one would end early, and call itself complete.

    Raises:
        BadAnswer: It is such a piece.
    """
    most = min(piece.length - number, wanted)
    if (piece.everything, piece.length) != (first.everything, first.length) or not min(most, 1) <= len(
        piece.pages
    ) <= most:
        raise BadAnswer(f"the engine gave a piece of a list that does not go with the others: {_REPORT}")
    if piece.pages and piece.revision is None:
        raise BadAnswer(f"the engine lists resources of no revision: {_REPORT}")


def _in_order(page: Sequence[str], seen: str) -> str:
    """The last id that was seen, after a page.

    Raises:
        BadAnswer: The ids are not in the order of code points, or one is empty, or came before.
    """
    for id_ in page:
        if id_ <= seen:
            raise BadAnswer(f"the engine gave a list whose ids are not in order: {_REPORT}")
        seen = id_
    return seen
