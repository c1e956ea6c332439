"""Lists of what a policy allows, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from bridge.cursor import Cursor, bound_to, never_given
from bridge.decision import Reason
from bridge.engines.pages import MOST_PAGES, PageRequest
from bridge.errors import CursorExpiredError, InvalidResponseError, UsageError
from bridge.freshness import require_fresh_revision, revision_number
from bridge.store.layout import PAGE

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from bridge.decision import Decision
    from bridge.engines.pages import PageResponse
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

    def __bool__(self) -> NoReturn:
        """Refuse to be a condition, for a list that allows nothing would be true as well.

        Raises:
            UsageError: Always.
        """
        raise UsageError("a Listing is neither true nor false: use `listing.ids`, or `listing.everything`")


def listing(
    rule_set: RuleSet, claims: bytes, type_: bytes, limit: int, after: str | None, at_least: str | None
) -> Generator[PageRequest, PageResponse, Listing]:
    """Asks for one pages after the other until the list is as long as wanted.

    Args:
        rule_set: The settings that the engine decides by.
        claims: The claims, in canonical text.
        type_: The resource type, in canonical text.
        limit: How many ids at most.
        after: The cursor of the list that this one goes on from.
        at_least: The oldest revision that may be listed.

    Raises:
        CursorExpiredError: The resources have changed since.
        StaleResourcesError: They are older than `at_least`.
        InvalidResponseError: A pages does not go with the list.
        UsageError: The limit, the cursor or the revision makes no sense.
    """
    oldest = revision_number(at_least)
    if type(limit) is not int or limit < 1:
        raise UsageError("the limit must be a number, at least 1")
    about = bound_to(claims, type_, rule_set)
    start = None if after is None else Cursor.read(after, about)
    for _ in range(_ANEW):
        found = yield from _one(claims, type_, limit, start, about, oldest)
        if found is not None:
            return found
        if start is not None:
            raise CursorExpiredError("the resources have changed since the list began: list from the beginning")
    raise CursorExpiredError("the resources change faster than they can be listed: list fewer at once")


def _one(
    claims: bytes, type_: bytes, limit: int, start: Cursor | None, about: str, oldest: int | None
) -> Generator[PageRequest, PageResponse, Listing | None]:
    """The list of one revision; None where another one came in between."""
    ids: list[str] = []
    number = place = 0 if start is None else start.page
    first: PageResponse | None = None
    seen = ""
    while True:
        wanted = min((limit - len(ids)) // PAGE + 2, MOST_PAGES)
        pages = yield PageRequest(claims, type_, number, wanted)
        if pages.decision is not None:
            return _denied(pages.decision, first, start)
        require_fresh_revision(pages.revision, oldest)
        if first is None:
            if start is not None and pages.revision != start.revision:
                return None
            if start is not None and number >= pages.length:
                raise never_given()
            first = pages
        elif pages.revision != first.revision:
            return None
        _refuse_contradiction(pages, first, number, wanted)
        for page in pages.pages:
            seen = _in_order(page, seen)
            fresh = start.behind(page) if start is not None and number == start.page else page
            room = limit - len(ids)
            if room:
                ids += fresh[:room]
                place = number
            if len(fresh) > room:
                cursor = Cursor(first.revision or "", place, ids[-1]).written(about)
                return Listing(
                    tuple(ids), complete=False, everything=pages.everything, cursor=cursor, revision=pages.revision
                )
            number += 1
        if number >= pages.length:
            return Listing(tuple(ids), complete=True, everything=pages.everything, revision=pages.revision)


def _denied(decision: Decision, first: PageResponse | None, start: Cursor | None) -> Listing:
    """The list of nothing, where a decision says that nothing is allowed."""
    if decision.reason not in _FOR_ALL or first is not None:
        raise InvalidResponseError(
            f"the engine answers a list by the decision `{decision.reason}`, which cannot be: {_REPORT}"
        )
    if start is not None:
        raise never_given()  # it is bound to the very policy, type and rules that are denied
    return Listing((), complete=True, decision=decision)


def _refuse_contradiction(pages: PageResponse, first: PageResponse, number: int, wanted: int) -> None:
    """Refuse a pages that does not go with the list's first one, or is not the one that was asked for.

    A list never changes within a revision; a shorter one would end early, and call itself complete.

    Raises:
        InvalidResponseError: It is such a pages.
    """
    most = min(pages.length - number, wanted)
    if (pages.everything, pages.length) != (first.everything, first.length) or not min(most, 1) <= len(
        pages.pages
    ) <= most:
        raise InvalidResponseError(f"the engine gave a pages of a list that does not go with the others: {_REPORT}")
    if pages.pages and pages.revision is None:
        raise InvalidResponseError(f"the engine lists resources of no revision: {_REPORT}")


def _in_order(page: Sequence[str], seen: str) -> str:
    """The last id that was seen, after a page.

    Raises:
        InvalidResponseError: The ids are not in the order of code points, or one is empty, or came before.
    """
    for id_ in page:
        if id_ <= seen:
            raise InvalidResponseError(f"the engine gave a list whose ids are not in order: {_REPORT}")
        seen = id_
    return seen
