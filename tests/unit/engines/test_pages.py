"""What may be believed of the pieces of a list, whichever engine gives them: order, number and kind."""

from __future__ import annotations

import pytest

from bridge import CursorExpiredError, RuleSet
from bridge.bearer import Bearer
from bridge.decision import Decision, Reason, Violation
from bridge.engines.base import MOST_PAGES, PageRequest, PageResponse, read_pages
from bridge.errors import InvalidResponseError, StaleResourcesError, UsageError
from bridge.listing import Cursor, bound_to, list_allowed
from bridge.store.layout import PAGE

CLAIMS, TYPE = b"{}", b'"devices"'
ABOUT = {"revision": "7", "generation": "g1", "store": "s1", "count": 1}
REQUEST = PageRequest(CLAIMS, TYPE, 0, 2)


def pieces(*pages, length=None, revision="7", everything=False):
    return PageResponse(None, everything, list(pages), len(pages) if length is None else length, revision)


def listed(*responses, limit=1_000, after=None, at_least=None):
    """The list of these pieces, and where each was asked for."""
    steps = list_allowed(Bearer(CLAIMS), "devices", RuleSet(), limit=limit, after=after, at_least=at_least)
    page_numbers = [next(steps).page]
    for piece in responses:
        try:
            page_numbers.append(steps.send(piece).page)
        except StopIteration as stop:
            return stop.value, page_numbers
    return None, page_numbers


def cursor(revision="7", page=0, last="b"):
    return Cursor(revision, page, last).text(bound_to(CLAIMS, TYPE, RuleSet()))


def test_pieces_are_one_list():
    listing, page_numbers = listed(pieces(["a", "b"], [], length=3), pieces(["c"], length=3))
    assert (listing.ids, listing.complete, listing.cursor, listing.revision) == (("a", "b", "c"), True, None, "7")
    assert page_numbers == [0, 2]


@pytest.mark.parametrize(
    "responses",
    [
        [pieces(["b", "a"])],
        [pieces(["a", "a"])],
        [pieces(["a"], ["a"])],
        [pieces(["b"], ["a"])],
        [pieces(["b"], [], ["a"])],
        [pieces([""])],
        [pieces(["a", ""])],
        [pieces(["\U0001f600", "\uffff"])],
        [pieces(["a", "b"], length=2), pieces(["b"], length=2)],
        [pieces(["a", "b"], length=2), pieces(["a"], length=2)],
        [pieces(["b"], [], length=3), pieces(["a"], length=3)],
    ],
    ids=str,
)
def test_ids_that_are_not_in_order_are_refused(responses):
    with pytest.raises(InvalidResponseError, match="not in order"):
        listed(*responses)


@pytest.mark.parametrize("later", [["a"], ["b"], ["a", "c"], ["b", "c"], [""]])
def test_ids_that_came_before_the_cursor_do_not_come_again(later):
    listing, _ = listed(pieces(["a", "b"], length=2), pieces(["c"], length=2), after=cursor())
    assert listing.ids == ("c",)
    with pytest.raises(InvalidResponseError, match="not in order"):
        listed(pieces(["a", "b"], length=2), pieces(later, length=2), after=cursor())


@pytest.mark.parametrize(
    "responses",
    [
        [pieces(["a"], length=0)],
        [pieces(length=1)],
        [pieces(["a"], ["b"], length=1)],
        [pieces(*[[]] * (MOST_PAGES + 1), length=1_000)],
        [pieces(["a"], length=2), pieces(length=2)],
        [pieces(["a"], length=3), pieces(["b"], length=2)],
        [pieces(["a"], length=2), pieces(["b"], length=3)],
        [pieces(["a"], length=2), pieces(length=1)],
        [pieces(["a"], length=2), pieces(["b"], ["c"], length=2)],
        [pieces(["a"], length=2), pieces(["b"], length=2, everything=True)],
        [pieces(["a"], length=2, everything=True), pieces(["b"], length=2)],
    ],
    ids=str,
)
def test_pieces_that_contradict_each_other_are_refused(responses):
    """A list that became shorter within a revision would end early, and call itself complete."""
    with pytest.raises(InvalidResponseError, match="do not fit the others"):
        listed(*responses)


def test_more_pages_than_were_asked_for_are_refused():
    wanted = 3
    listing, _ = listed(pieces(*(["a"], ["b"], ["c"])), limit=PAGE)
    assert listing.ids == ("a", "b", "c")
    with pytest.raises(InvalidResponseError, match="do not fit"):
        listed(pieces(*[[f"{number}"] for number in range(wanted + 1)]), limit=PAGE)


def test_resources_of_no_revision_are_refused():
    assert listed(pieces(revision=None))[0].complete
    with pytest.raises(
        InvalidResponseError, match="of no revision: ask again; if the error remains, check the rules of the engine"
    ):
        listed(pieces(["a"], revision=None))


def denial(reason):
    violations = (Violation("", "not_an_object"),) if reason == "invalid_policy" else ()
    return Decision(reason in ("matched", "unrestricted"), Reason(reason), violations)


ANSWERS = ["malformed_input", "unknown_type", "policy_required", "invalid_policy", "type_not_granted"]
OTHERS = ["matched", "unrestricted", "unknown_resource", "invalid_resource", "invalid_token", "engine_unavailable"]


@pytest.mark.parametrize("reason", ANSWERS)
def test_a_denial_of_all_resources_is_an_answer_to_a_list(reason):
    listing, _ = listed(PageResponse(denial(reason)))
    assert (listing.ids, listing.complete, listing.decision.reason, listing.cursor) == ((), True, reason, None)


@pytest.mark.parametrize("reason", OTHERS)
def test_a_decision_on_one_resource_is_no_answer_to_a_list(reason):
    with pytest.raises(InvalidResponseError, match=f"with the decision `{reason}`"):
        listed(PageResponse(denial(reason)))


def test_no_denial_comes_in_the_middle_of_a_list():
    with pytest.raises(InvalidResponseError, match="which no list can have"):
        listed(pieces(["a"], length=2), PageResponse(denial("type_not_granted")))


def test_no_cursor_was_given_of_a_list_that_is_denied():
    with pytest.raises(UsageError, match="must be the unchanged `cursor`"):
        listed(PageResponse(denial("type_not_granted")), after=cursor())


@pytest.mark.parametrize("page", [1, 2, 3, 10**30])
def test_no_cursor_names_a_page_that_there_is_not(page):
    with pytest.raises(UsageError, match="must be the unchanged `cursor`"):
        listed(pieces(), after=cursor(page=page))
    with pytest.raises(UsageError, match="must be the unchanged `cursor`"):
        listed(pieces(length=1), after=cursor(page=page))


@pytest.mark.parametrize("last", ["", "a", "aa", "bb", "c", "e", "B"])
def test_no_cursor_names_an_id_that_is_not_allowed_on_its_page(last):
    page = ["b", "d"]
    assert listed(pieces(page, length=5), after=cursor(page=4))[0].ids == ("d",)
    with pytest.raises(UsageError, match="must be the unchanged `cursor`"):
        listed(pieces(page, length=5), after=cursor(page=4, last=last))


def test_a_list_goes_on_in_its_own_revision_alone():
    for revision in ("8", "6", "07", "0"):
        with pytest.raises(CursorExpiredError, match="list from the beginning"):
            listed(pieces(["a", "b", "c"]), after=cursor(revision=revision))
    with pytest.raises(CursorExpiredError, match="list from the beginning"):
        listed(pieces(revision=None), after=cursor())
    with pytest.raises(CursorExpiredError, match="list from the beginning"):
        listed(pieces(["a", "b"], length=2), pieces(["c"], length=2, revision="8"), after=cursor())
    with pytest.raises(StaleResourcesError):
        listed(pieces(["b"]), after=cursor(), at_least="8")


def test_a_list_from_the_beginning_is_asked_for_anew_where_the_resources_change():
    old, new = pieces(["a"], length=2), pieces(["b"], length=2, revision="8")
    listing, page_numbers = listed(old, new, new, pieces(["c"], length=2, revision="8"))
    assert (listing.ids, listing.revision) == (("b", "c"), "8")
    assert page_numbers == [0, 1, 0, 1]
    with pytest.raises(CursorExpiredError, match="faster than they can be listed"):
        listed(*[old, new] * 5)


def answer(listed_, **others):
    return {"fingerprint": "f", "current": {"devices": ABOUT}, "listed": listed_} | others


def read(reply, **settings):
    return read_pages(reply, REQUEST, fingerprint="f", engine="opa", **settings)


GOOD = {"everything": False, "length": 1, "pages": [["a"]]}


def test_a_piece_is_read():
    assert read(answer(GOOD)) == PageResponse(None, False, [["a"]], 1, "7")  # noqa: FBT003 - by place
    assert read(answer({"decision": {"allow": False, "reason": "unknown_type"}})).decision.reason == "unknown_type"
    assert read(answer({"decision": {"allow": False, "reason": "unknown_type"}})).decision.engine == "opa"
    for current in ({}, {"sessions": ABOUT}, {"devices": {"layout": 2}}):
        assert read(answer(GOOD, current=current)) == PageResponse()
    assert read(answer(GOOD, nonce="n"), nonce="n").revision == "7"
    assert read({"fingerprint": "f", "current": {}}) == PageResponse(), "a list of what is not there is undefined"
    assert read(answer(GOOD | {"length": 0, "pages": []})) == PageResponse(None, False, [], 0, "7")  # noqa: FBT003 - by place


@pytest.mark.parametrize(
    "wrong",
    [
        *(answer(value) for value in (None, [], "pages", {}, [["a"]])),
        *(answer({name: value for name, value in GOOD.items() if name != left}) for left in GOOD),
        *(answer(GOOD | {"everything": value}) for value in (None, 0, "false", [])),
        *(answer(GOOD | {"length": value}) for value in (None, -1, True, "1", 1.5)),
        *(answer(GOOD | {"pages": value}) for value in (None, {}, "a", ["a"], [None], [[None]], [[1]], [["a", ["b"]]])),
        answer(GOOD | {"more": 1}),
        answer(GOOD | {"decision": {"allow": False, "reason": "unknown_type"}}),
        answer({"decision": None}),
        answer({"decision": {"allow": True, "reason": "unknown_type"}}),
        answer(GOOD, decisions=[]),
        answer(GOOD, current={"devices": ABOUT | {"revision": 7}}),
        answer(GOOD, current={"devices": None}),
        answer(GOOD, current=None),
        answer(GOOD, nonce="n"),
        {"fingerprint": "f", "current": {"devices": ABOUT}},
    ],
    ids=str,
)
def test_a_piece_that_is_none_is_refused(wrong):
    match = r"the opa engine|the current generation in OPA was not written by a bridge"
    with pytest.raises(InvalidResponseError, match=match):
        read(wrong)


@pytest.mark.parametrize("nonce", [{}, {"nonce": "m"}, {"nonce": None}])
def test_a_piece_of_another_question_is_refused(nonce):
    with pytest.raises(InvalidResponseError, match="belongs to another question"):
        read(answer(GOOD, **nonce), nonce="n")
