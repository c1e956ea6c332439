"""The rules' `list`: what may be believed of its output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.engines.codec import read_decision, read_own
from bridge.engines.pages import PageResponse
from bridge.engines.stored_resources import revision_of
from bridge.errors import InvalidResponseError

if TYPE_CHECKING:
    from bridge.engines.pages import PageRequest
    from bridge.strict_json import Absent, Value

_LISTED: Final = frozenset(("listed",))
_DECISION: Final = {"decision"}
_PAGES: Final = {"everything", "length", "pages"}


def read_pages(
    answer: Value | Absent, request: PageRequest, *, fingerprint: str, engine: str, nonce: str | None = None
) -> PageResponse:
    """The pages in an answer; whether it goes with the list is for `bridge.listing` to see, whichever engine gave it.

    A pages without a revision and without a decision says that there are no pushed resources.

    Raises:
        RulesMismatchError: The rules carry another fingerprint.
        InvalidResponseError: The answer is not what the entrypoint promises, or is the answer to another question.
    """
    found, current = read_own(answer, _LISTED, fingerprint=fingerprint, engine=engine, nonce=nonce)
    try:
        return _piece(found.get("listed", {}), current, request, engine)
    except (TypeError, ValueError) as error:
        raise InvalidResponseError(f"the {engine} engine gave a list that is none: {error}") from None


def _piece(listed: Value, current: dict[str, Value], request: PageRequest, engine: str) -> PageResponse:
    if not isinstance(listed, dict):
        raise TypeError("what is listed is no object")
    if listed.keys() == _DECISION:
        return PageResponse(decision=read_decision(listed["decision"], engine=engine))
    revision = revision_of(current, request.type)
    if revision is None:
        return PageResponse()
    if listed.keys() != _PAGES:
        raise ValueError("its members are those of no list")
    everything, length = listed["everything"], listed["length"]
    if not isinstance(everything, bool) or type(length) is not int or length < 0:
        raise TypeError("`everything` is not true or false, or `length` is no number of pages")
    return PageResponse(None, everything, _pages(listed["pages"]), length, revision)


def _pages(value: Value) -> list[list[str]]:
    if not isinstance(value, list):
        raise TypeError("its pages are not an array")
    pages: list[list[str]] = []
    for page in value:
        if not isinstance(page, list) or not {str}.issuperset(map(type, page)):
            raise TypeError("a page is no array of ids")
        pages.append(page)  # type: ignore[arg-type] # each is a str, as was seen
    return pages
