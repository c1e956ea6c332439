"""A pages of a list, as an engine gives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.decision import Decision

SCANNED: Final = 16
"""How many pages are looked through at once where each id on them has to be looked at."""

MOST_PAGES: Final = 64
"""How many pages are given at once where they are the answer as they are."""


@dataclass(frozen=True, slots=True)
class PageResponse:
    """Some pages of the ids that a policy allows, of a list that never changes within one revision.

    Attributes:
        decision: What is decided for every resource alike, where nothing is allowed; there are no pages then.
        everything: The policy demands nothing of a resource of the type.
        pages: Ids in the order of code points, page by page from the one that was asked for; a page may be empty.
        length: How many pages there are in all.
        revision: The revision of the resources; None where nothing was pushed.
    """

    decision: Decision | None = None
    everything: bool = False
    pages: Sequence[Sequence[str]] = ()
    length: int = 0
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What pages of which list.

    Attributes:
        claims: The claims, in canonical text.
        type: The resource type, in canonical text.
        page: The first page, from 0.
        pages: How many at most.
    """

    claims: bytes
    type: bytes
    page: int
    pages: int

    @property
    def text(self) -> bytes:
        """The input that asks for it."""
        scanned = min(self.pages, SCANNED)
        return b'{"claims":%b,"type":%b,"page":%d,"pages":%d,"scanned":%d}' % (
            self.claims,
            self.type,
            self.page,
            self.pages,
            scanned,
        )
