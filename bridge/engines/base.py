"""The protocol between the bridge and an engine; the pages of a list: their request, and the check of the response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from bridge.decision import Decision, Request
from bridge.engines.codec import read_own, revision_of
from bridge.engines.decision_codec import read_decision
from bridge.errors import InvalidResponseError
from bridge.rendering import RuleSet
from bridge.store import Store
from bridge.strict_json import Absent, Value

SCANNED: Final = 16
"""The most pages of one response if the engine must look at each id on them."""

MOST_PAGES: Final = 64
"""The most pages of one response if every id on them is allowed."""

_LISTED: Final = frozenset(("listed",))
_DECISION: Final = {"decision"}
_PAGES: Final = {"everything", "length", "pages"}


@dataclass(frozen=True, slots=True)
class PageResponse:
    """Some pages of the ids that a policy allows, of a list that never changes within one revision.

    Attributes:
        decision: The decision for every resource alike, if nothing is allowed; there are no pages then.
        everything: The policy has no constraint for a resource of the type.
        pages: Ids in the order of code points, page by page from the requested one; a page may be empty.
        length: The number of all pages.
        revision: The revision of the resources; None if nothing was pushed.
    """

    decision: Decision | None = None
    everything: bool = False
    pages: Sequence[Sequence[str]] = ()
    length: int = 0
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which pages of which list.

    Attributes:
        claims: The claims, in canonical text.
        type: The resource type, in canonical text.
        page: The first page, from 0.
        pages: The most pages.
    """

    claims: bytes
    type: bytes
    page: int
    pages: int

    @property
    def text(self) -> bytes:
        """Return the input for these pages."""
        scanned = min(self.pages, SCANNED)
        return b'{"claims":%b,"type":%b,"page":%d,"pages":%d,"scanned":%d}' % (
            self.claims,
            self.type,
            self.page,
            self.pages,
            scanned,
        )


def read_pages(
    answer: Value | Absent, request: PageRequest, *, fingerprint: str, engine: str, nonce: str | None = None
) -> PageResponse:
    """Return the pages in a response; `bridge.listing` checks, for every engine, whether they belong to the list.

    Pages without a revision and without a decision say that there are no pushed resources.

    Raises:
        RulesMismatchError: The rules have another fingerprint.
        InvalidResponseError: The response is malformed, or belongs to another query.
    """
    members, current = read_own(answer, _LISTED, fingerprint=fingerprint, engine=engine, nonce=nonce)
    try:
        return _response(members.get("listed", {}), current, request, engine)
    except (TypeError, ValueError) as error:
        raise InvalidResponseError(
            f"the {engine} engine gave an invalid list: {error}; install or build the rules again"
        ) from None


def _response(listed: Value, current: dict[str, Value], request: PageRequest, engine: str) -> PageResponse:
    if not isinstance(listed, dict):
        raise TypeError("`listed` is not an object")
    if listed.keys() == _DECISION:
        return PageResponse(decision=read_decision(listed["decision"], engine=engine))
    revision = revision_of(current, request.type)
    if revision is None:
        return PageResponse()
    if listed.keys() != _PAGES:
        raise ValueError("its members are not those of a list")
    everything, length = listed["everything"], listed["length"]
    if not isinstance(everything, bool) or type(length) is not int or length < 0:
        raise TypeError("`everything` is not true or false, or `length` is not a number of pages")
    return PageResponse(None, everything, _pages(listed["pages"]), length, revision)


def _pages(value: Value) -> list[list[str]]:
    if not isinstance(value, list):
        raise TypeError("`pages` is not an array")
    pages: list[list[str]] = []
    for page in value:
        if not isinstance(page, list) or not {str}.issuperset(map(type, page)):
            raise TypeError("a page is not an array of ids")
        pages.append(page)  # type: ignore[arg-type] # each is a str, as was checked
    return pages


class Engine(Protocol):
    """Decides requests, and has the pushed resources for requests by id.

    Attributes:
        name: The name for `Decision.engine`.
        rule_set: Its settings.
        store: Its pushed resources.
        batch_bytes: The most bytes of requests for one call of `decide`; a single request may be larger, up to the
            limit of R12.
    """

    name: str
    rule_set: RuleSet
    batch_bytes: int

    @property
    def store(self) -> Store:
        """Return the pushed resources."""

    def decide(self, requests: Sequence[Request]) -> list[Decision]:
        """Return exactly one decision for each request, in the same order.

        Raises:
            EngineError: There is no decision for any of them.
        """

    def explain(self, request: Request) -> tuple[Decision, bytes | None]:
        """Return the decision, and the stored resource that a request by id is about, in canonical text, or None.

        Raises:
            EngineError: There is no decision.
        """

    def list_pages(self, request: PageRequest) -> PageResponse:
        """Return some pages of the ids that a policy allows.

        Raises:
            ResourcesMissingError: There are no pushed resources.
            EngineError: There is no list.
        """

    def install(self) -> None:
        """Install the rules in the engine, and make sure that they respond.

        Raises:
            EngineError: They could not be installed, or do not respond.
        """

    def close(self) -> None:
        """Close connections and free memory."""
