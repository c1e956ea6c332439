"""The rules' `list`: what may be believed of its output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.engines.answer import read_decision, read_own
from bridge.engines.piece import Piece
from bridge.errors import BadAnswer

if TYPE_CHECKING:
    from bridge.decision import Decision
    from bridge.engines.piece import PieceRequest
    from bridge.strict_json import Absent, Value


def read_piece(answer: Value | Absent, request: PieceRequest, *, fingerprint: str, engine: str) -> Piece:
    """The piece in an answer.

    A piece without a revision and without a decision says that there are no pushed resources.

    Raises:
        RulesDiffer: The rules carry another fingerprint.
        BadAnswer: The answer is not what the entrypoint promises.
    """
    found = read_own(answer, fingerprint=fingerprint, engine=engine)
    current, listed = found.get("current"), found.get("listed", {})
    if not isinstance(current, dict) or not isinstance(listed, dict):
        raise BadAnswer(f"the {engine} engine's list has no `current`, or something else than an object is listed")
    try:
        if "decision" in listed:
            return Piece(decision=_denial(listed["decision"], engine))
        about = current.get(request.type.decode("utf-8")[1:-1])
        is_known = isinstance(about, dict) and "revision" in about
        return _piece(about, listed, request) if is_known else Piece()
    except (KeyError, TypeError, ValueError) as error:
        raise BadAnswer(f"the {engine} engine gave a list that is none: {error}") from None


def _denial(value: Value, engine: str) -> Decision:
    decision = read_decision(value, engine=engine)
    if decision.allow:
        raise ValueError("it allows instead of listing")
    return decision


def _piece(about: Value, listed: dict[str, Value], request: PieceRequest) -> Piece:
    revision = about["revision"] if isinstance(about, dict) else None
    everything, length = listed["everything"], listed["length"]
    if not isinstance(revision, str) or not isinstance(everything, bool) or type(length) is not int:
        raise TypeError("a member is of the wrong type")
    return Piece(None, everything, _pages(listed["pages"], request, length), length, revision)


def _pages(value: Value, request: PieceRequest, length: int) -> list[list[str]]:
    if not isinstance(value, list) or len(value) > request.pages:
        raise TypeError("its pages are not an array, or more than were asked for")
    if request.page + len(value) > max(length, request.page) or (request.page < length and not value):
        raise ValueError("its pages are not those that were asked for")
    pages: list[list[str]] = []
    last = None
    for page in value:
        if not isinstance(page, list):
            raise TypeError("a page is no array")
        for id_ in page:
            if not isinstance(id_, str) or not id_ or (last is not None and id_ <= last):
                raise ValueError("its ids are not sorted, or no ids")
            last = id_
        pages.append(page)  # type: ignore[arg-type] # each is a str, as was seen
    return pages
