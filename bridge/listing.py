"""Lists of what a policy allows, page by page."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from bridge.engines.piece import MOST_PAGES, PieceRequest
from bridge.errors import ListChanged, Misuse
from bridge.freshness import refuse_stale_revision, revision_number
from bridge.resources.layout import PAGE

if TYPE_CHECKING:
    from collections.abc import Generator

    from bridge.decision import Decision
    from bridge.engines.piece import Piece

LIMIT: Final = 1_000
"""How many ids a list has where nobody says."""

_ANEW: Final = 5


@dataclass(frozen=True, slots=True)
class Listing:
    """Some of the ids that a policy allows.

    Attributes:
        ids: The ids, in the order of code points.
        complete: There are no more behind these.
        everything: The policy demands nothing of a resource: it allows all of the type, pushed or not.
        cursor: What `after` is given to go on; None where the list is complete.
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
    claims: bytes, type_: bytes, limit: int, after: str | None, at_least: str | None
) -> Generator[PieceRequest, Piece, Listing]:
    """Asks for one piece after the other until the list is as long as wanted.

    Args:
        claims: The claims, in canonical text.
        type_: The resource type, in canonical text.
        limit: How many ids at most.
        after: The cursor of the list that this one goes on from.
        at_least: The oldest revision that may be listed.

    Raises:
        ListChanged: The resources have changed since.
        ResourcesStale: They are older than `at_least`.
        Misuse: The limit, the cursor or the revision makes no sense.
    """
    oldest = revision_number(at_least)
    if type(limit) is not int or limit < 1:
        raise Misuse("the limit must be a number, at least 1")
    about = sha256(claims + b"\n" + type_).hexdigest()[:32]
    start = _Place("", 0, "") if after is None else _Place.read(after, about)
    for _ in range(_ANEW):
        found = yield from _one(claims, type_, limit, start, about, oldest)
        if found is not None:
            return found
        if after is not None:
            raise ListChanged("the resources have changed since the list began: list from the beginning")
    raise ListChanged("the resources change faster than they can be listed: list fewer at once")


def _one(
    claims: bytes, type_: bytes, limit: int, start: _Place, about: str, oldest: int | None
) -> Generator[PieceRequest, Piece, Listing | None]:
    """The list of one revision; None where another one came in between."""
    ids: list[str] = []
    revision, number, last = start.revision, start.page, start.last
    place = number
    while True:
        wanted = min((limit - len(ids)) // PAGE + 2, MOST_PAGES)
        piece = yield PieceRequest(claims, type_, number, wanted)
        if piece.decision is not None:
            return Listing((), complete=True, decision=piece.decision)
        refuse_stale_revision(piece.revision, oldest)
        if revision and piece.revision != revision:
            return None
        revision = piece.revision or ""
        for page in piece.pages:
            fresh = page if number > start.page else [id_ for id_ in page if id_ > last]
            room = limit - len(ids)
            if fresh and room:
                ids += fresh[:room]
                place = number
            if len(fresh) > room:
                cursor = _Place(revision, place, ids[-1]).written(about)
                return Listing(
                    tuple(ids), complete=False, everything=piece.everything, cursor=cursor, revision=revision
                )
            number += 1
        if number >= piece.length:
            return Listing(tuple(ids), complete=True, everything=piece.everything, revision=piece.revision)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a list goes on: in which revision, on which page, behind which id."""

    revision: str
    page: int
    last: str

    def written(self, about: str) -> str:
        text = json.dumps([self.revision, self.page, self.last, about], ensure_ascii=False, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode("utf-8")).decode("ascii").rstrip("=")

    @classmethod
    def read(cls, cursor: str, about: str) -> _Place:
        try:
            revision, page, last, other = json.loads(base64.urlsafe_b64decode(cursor + "=="))
        except (AttributeError, TypeError, ValueError, binascii.Error, RecursionError):
            raise Misuse("`after` must be the cursor of a list") from None
        if not all(type(text) is str for text in (revision, last, other)) or type(page) is not int or page < 0:
            raise Misuse("`after` must be the cursor of a list")
        if other != about:
            raise Misuse("`after` is the cursor of another list: of other claims, or another type")
        return cls(revision, page, last)
