"""List what a policy allows, page by page: steps without I/O, and the cursors where a list goes on.

A cursor grants nothing, so no key signs it: each list decides again, by its own claims. It is bound to what grants:
the policy claim, the resource type and the rules. So no list goes on in another one by mistake, and a renewed token
with the same policy goes on. The list compares a cursor with its own pages. So a forged cursor skips and repeats
nothing: the list refuses it, or lists what is allowed after the id in it.
"""

from __future__ import annotations

import base64
import sys
from bisect import bisect_left
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NoReturn

from bridge.bearer import Bearer, type_text
from bridge.checks import REMEDY, require_fresh_revision, revision_number
from bridge.decision import Decision, Reason
from bridge.engines.base import MOST_PAGES, PageRequest, PageResponse
from bridge.errors import CursorExpiredError, InvalidResponseError, MalformedInputError, UsageError
from bridge.rendering import RuleSet, fingerprint
from bridge.store import is_revision
from bridge.store.layout import PAGE
from bridge.strict_json import RESOURCE_BYTES, encode, parse, parse_canonical, sorted_text

_MOST_BYTES: Final = RESOURCE_BYTES + 256
"""The most bytes of a cursor's JSON: an id is shorter than the largest resource (R12.6)."""

_MOST_CHARACTERS: Final = -(-_MOST_BYTES * 4 // 3)
_HEX: Final = 32

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
class Cursor:
    """The place where a list goes on.

    Attributes:
        revision: The revision of the resources.
        page: The number of the page that has `last`.
        last: The last id that was listed.
    """

    revision: str
    page: int
    last: str

    def text(self, binding: str) -> str:
        """Return its text: the base64url, without padding, of a JSON array in canonical text.

        Args:
            binding: What it is bound to, from `bound_to`.
        """
        array = encode([self.revision, self.page, self.last, binding], max_bytes=sys.maxsize)
        return base64.urlsafe_b64encode(array).decode("ascii").rstrip("=")

    @classmethod
    def read(cls, text: str, binding: str) -> Cursor:
        """Return the cursor in a text.

        Raises:
            UsageError: It is no cursor, or the cursor of another list.
        """
        if type(text) is not str or len(text) > _MOST_CHARACTERS:
            raise unknown_cursor()
        try:
            value = parse(base64.urlsafe_b64decode(text + "=="))
        except (MalformedInputError, ValueError):
            raise unknown_cursor() from None
        match value:
            case [str(revision), int(page), str(last), str(bound)] if type(page) is int:
                cursor = cls(revision, page, last)
            case _:
                raise unknown_cursor()
        # One place has one text: no spaces, no padding, no `1.0`, nothing that a decoder of base64 ignores.
        if not is_revision(revision) or page < 0 or cursor.text(bound) != text:
            raise unknown_cursor()
        if bound != binding:
            raise UsageError(
                "`after` is the cursor of another list: of another policy claim, resource type or rule set; list from "
                "the beginning"
            )
        return cursor

    def after(self, page: Sequence[str]) -> Sequence[str]:
        """Return the ids on its page that come after it.

        Args:
            page: The allowed ids on its page, in the order of code points.

        Raises:
            UsageError: The page does not have its own id.
        """
        at = bisect_left(page, self.last)
        if at == len(page) or page[at] != self.last:
            raise unknown_cursor()
        return page[at + 1 :]


def bound_to(claims: bytes, type_: bytes, rule_set: RuleSet) -> str:
    """Return what a cursor is bound to: a hash of the policy claim (or that there is none), the type and the rules.

    Args:
        claims: The claims, in canonical text.
        type_: The resource type, in canonical text.
        rule_set: The settings that the engine decides by.
    """
    value, name = parse_canonical(claims), rule_set.policy.claim
    if not isinstance(value, dict):
        policy = b"no claims"
    elif name not in value:
        policy = b"no policy"
    else:
        policy = sorted_text(value[name])
    # No canonical text has a line feed, and none is equal to one of the two texts above.
    parts = (fingerprint(rule_set).encode("ascii"), type_, policy)
    return sha256(b"\n".join(parts)).hexdigest()[:_HEX]


def unknown_cursor() -> UsageError:
    """Return the error for a cursor that no list has returned."""
    return UsageError("`after` must be the unchanged `cursor` of an earlier list; or list from the beginning")


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
