"""The rules' `list`: what may be believed of its output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.engines.answer import read_decision, read_own
from bridge.engines.piece import Piece
from bridge.engines.stored import revision_of
from bridge.errors import BadAnswer

if TYPE_CHECKING:
    from bridge.engines.piece import PieceRequest
    from bridge.strict_json import Absent, Value

_LISTED: Final = frozenset(("listed",))
_DECISION: Final = {"decision"}
_PAGES: Final = {"everything", "length", "pages"}


def read_piece(
    answer: Value | Absent, request: PieceRequest, *, fingerprint: str, engine: str, nonce: str | None = None
) -> Piece:
    """The piece in an answer; whether it goes with the list is for `bridge.listing` to see, whichever engine gave it.

    A piece without a revision and without a decision says that there are no pushed resources.

    Raises:
        RulesDiffer: The rules carry another fingerprint.
        BadAnswer: The answer is not what the entrypoint promises, or is the answer to another question.
    """
    found, current = read_own(answer, _LISTED, fingerprint=fingerprint, engine=engine, nonce=nonce)
    try:
        return _piece(found.get("listed", {}), current, request, engine)
    except (TypeError, ValueError) as error:
        raise BadAnswer(f"the {engine} engine gave a list that is none: {error}") from None


def _piece(listed: Value, current: dict[str, Value], request: PieceRequest, engine: str) -> Piece:
    if not isinstance(listed, dict):
        raise TypeError("what is listed is no object")
    if listed.keys() == _DECISION:
        return Piece(decision=read_decision(listed["decision"], engine=engine))
    revision = revision_of(current, request.type)
    if revision is None:
        return Piece()
    if listed.keys() != _PAGES:
        raise ValueError("its members are those of no list")
    everything, length = listed["everything"], listed["length"]
    if not isinstance(everything, bool) or type(length) is not int or length < 0:
        raise TypeError("`everything` is not true or false, or `length` is no number of pages")
    return Piece(None, everything, _pages(listed["pages"]), length, revision)


def _pages(value: Value) -> list[list[str]]:
    if not isinstance(value, list):
        raise TypeError("its pages are not an array")
    pages: list[list[str]] = []
    for page in value:
        if not isinstance(page, list) or not {str}.issuperset(map(type, page)):
            raise TypeError("a page is no array of ids")
        pages.append(page)  # type: ignore[arg-type] # each is a str, as was seen
    return pages
