"""List what a policy allows, page by page: steps without I/O."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from bridge.bearer import Bearer, type_text
from bridge.checks import REMEDY, require_fresh_revision, revision_number
from bridge.cursor import Cursor, bound_to, unknown_cursor
from bridge.decision import Decision, Reason
from bridge.engines.pages import MOST_PAGES, PageRequest, PageResponse
from bridge.errors import CursorExpiredError, InvalidResponseError, UsageError
from bridge.rendering import RuleSet
from bridge.store.layout import PAGE

LIMIT: Final = 1_000
"""The most ids of a list by default."""

_TRIES: Final = 5
_DENIED_FOR_ALL: Final = frozenset(
    (
        Reason.MALFORMED_INPUT,
        Reason.UNKNOWN_TYPE,
        Reason.POLICY_REQUIRED,
        Reason.INVALID_POLICY,
        Reason.TYPE_NOT_GRANTED,
    )
)
"""The reasons that deny every resource of a type alike (R1, R3, R4, R5)."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Some of the ids that a policy allows.

    Attributes:
        ids: The ids, in the order of code points.
        complete: There are no more ids after these.
        everything: The policy demands nothing of a resource: it allows all of the type, pushed or not.
        cursor: Pass it as `after` to go on; None if the list is complete. It grants nothing: each list decides again,
            by its own claims.
        decision: The decision for every resource alike, if none is allowed.
        revision: The revision of the resources; None if no resources were read.
    """

    ids: tuple[str, ...]
    complete: bool
    everything: bool = False
    cursor: str | None = None
    decision: Decision | None = None
    revision: str | None = None

    def __bool__(self) -> NoReturn:
        """Refuse to be a condition: a list that allows nothing would be true as well.

        Raises:
            UsageError: Always.
        """
        raise UsageError("a Listing is neither true nor false: use `listing.ids`, or `listing.everything`")


def list_allowed(
    bearer: Bearer, type_: object, rule_set: RuleSet, *, limit: int, after: str | None, at_least: str | None
) -> Generator[PageRequest, PageResponse, Listing]:
    """List the ids of the pushed resources that the policy allows, from as many pages as that takes.

    Arguments and errors as for `PolicyBridge.list_allowed`.

    Yields:
        The requests for the engine's `list_pages`.
    """
    text = type_text(type_)
    oldest = revision_number(at_least)
    if type(limit) is not int or limit < 1:
        raise UsageError("`limit` must be an integer, at least 1")
    binding = bound_to(bearer.claims, text, rule_set)
    start = None if after is None else Cursor.read(after, binding)
    for _ in range(_TRIES):
        listing = yield from _of_one_revision(bearer.claims, text, limit, start, binding, oldest)
        if listing is not None:
            return listing
        if start is not None:
            raise CursorExpiredError("the resources have changed since the list began: list from the beginning")
    raise CursorExpiredError("the resources change faster than they can be listed: list fewer at once")


def _of_one_revision(
    claims: bytes, type_: bytes, limit: int, start: Cursor | None, binding: str, oldest: int | None
) -> Generator[PageRequest, PageResponse, Listing | None]:
    """Return the list of one revision; None if the revision changes meanwhile."""
    ids: list[str] = []
    number = last_page = 0 if start is None else start.page
    first: PageResponse | None = None
    last_id = ""
    while True:
        count = min((limit - len(ids)) // PAGE + 2, MOST_PAGES)
        response = yield PageRequest(claims, type_, number, count)
        if response.decision is not None:
            return _denied(response.decision, first, start)
        require_fresh_revision(response.revision, oldest)
        if first is None:
            if start is not None and response.revision != start.revision:
                return None
            if start is not None and number >= response.length:
                raise unknown_cursor()
            first = response
        elif response.revision != first.revision:
            return None
        _refuse_contradiction(response, first, number, count)
        for page in response.pages:
            last_id = _in_order(page, last_id)
            rest = start.after(page) if start is not None and number == start.page else page
            room = limit - len(ids)
            if room:
                ids += rest[:room]
                last_page = number
            if len(rest) > room:
                cursor = Cursor(first.revision or "", last_page, ids[-1]).text(binding)
                return Listing(
                    tuple(ids), complete=False, everything=first.everything, cursor=cursor, revision=first.revision
                )
            number += 1
        if number >= first.length:
            return Listing(tuple(ids), complete=True, everything=first.everything, revision=first.revision)


def _denied(decision: Decision, first: PageResponse | None, start: Cursor | None) -> Listing:
    """Return the empty list, if the decision says that nothing is allowed."""
    if decision.reason not in _DENIED_FOR_ALL or first is not None:
        raise InvalidResponseError(
            f"the engine responds to a list with the decision `{decision.reason}`, which no list can have: {REMEDY}"
        )
    if start is not None:
        raise unknown_cursor()  # it is bound to the same policy, type and rules that are denied
    return Listing((), complete=True, decision=decision)


def _refuse_contradiction(response: PageResponse, first: PageResponse, number: int, count: int) -> None:
    """Refuse a response that does not fit the first one, or has other pages than the requested ones.

    A list never changes within a revision; a shorter one would end early, and call itself complete.

    Raises:
        InvalidResponseError: It is such a response.
    """
    most = min(response.length - number, count)
    if (response.everything, response.length) != (first.everything, first.length) or not min(most, 1) <= len(
        response.pages
    ) <= most:
        raise InvalidResponseError(f"the engine returned pages of a list that do not fit the others: {REMEDY}")
    if response.pages and response.revision is None:
        raise InvalidResponseError(f"the engine lists resources of no revision: {REMEDY}")


def _in_order(page: Sequence[str], last_id: str) -> str:
    """Return the last id of a page, or the one before if the page is empty.

    Raises:
        InvalidResponseError: The ids are not in the order of code points, or one is empty, or came before.
    """
    for id_ in page:
        if id_ <= last_id:
            raise InvalidResponseError(f"the engine returned a list whose ids are not in order: {REMEDY}")
        last_id = id_
    return last_id
