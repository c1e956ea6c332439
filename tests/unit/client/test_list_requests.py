"""What a list asks its engine for, where it ends, and where it goes on."""

from __future__ import annotations

import pytest

from bridge import RuleSet
from bridge.bearer import Bearer
from bridge.decision import Decision, Reason
from bridge.engines.base import PageRequest, PageResponse
from bridge.errors import CursorExpiredError, StaleResourcesError, UsageError
from bridge.listing import LIMIT, Cursor, Listing, bound_to, list_allowed
from bridge.store.layout import PAGE

CLAIMS, TYPE = b'{"sub":"a"}', b'"sessions"'
RULES = RuleSet(package_root="acme")
ABOUT = bound_to(CLAIMS, TYPE, RULES)


def steps(limit=LIMIT, after=None, at_least=None):
    return list_allowed(Bearer(CLAIMS), "sessions", RULES, limit=limit, after=after, at_least=at_least)


def page_response(*pages, length=None, revision="7", everything=False):
    return PageResponse(None, everything, list(pages), len(pages) if length is None else length, revision)


def ended(running, *pieces):
    """The list after these pieces, of which the last ends it."""
    *before, last = pieces
    for one in before:
        running.send(one)
    with pytest.raises(StopIteration) as stopped:
        running.send(last)
    return stopped.value.value


def cursor_of(listing):
    return Cursor.read(listing.cursor, ABOUT)


@pytest.mark.parametrize("limit", [0, -1, True, False, 1.0, "1", None, 0.5])
def test_a_limit_is_a_number_that_is_at_least_1(limit):
    with pytest.raises(UsageError, match="`limit` must be an integer, at least 1"):
        next(steps(limit))


def test_a_revision_that_is_none_is_misuse_before_anything_is_asked():
    with pytest.raises(UsageError, match="`at_least`"):
        next(steps(at_least="x"))


@pytest.mark.parametrize(
    ("limit", "pages"),
    [
        (1, 2),
        (PAGE - 1, 2),
        (PAGE, 3),
        (2 * PAGE - 1, 3),
        (2 * PAGE, 4),
        (62 * PAGE - 1, 63),
        (62 * PAGE, 64),
        (10**9, 64),
    ],
)
def test_no_more_pages_are_asked_for_than_the_limit_may_take(limit, pages):
    """Those of the limit, one that is begun, and one that tells whether there are more."""
    assert next(steps(limit)) == PageRequest(CLAIMS, TYPE, 0, pages)


def test_fewer_pages_are_asked_for_where_fewer_ids_are_wanted():
    running = steps(2 * PAGE)
    assert next(running).pages == 4
    page_request = running.send(page_response([f"a{number:03}" for number in range(PAGE)], [], length=9))
    assert (page_request.page, page_request.pages) == (2, 3)
    page_request = running.send(page_response([f"b{number:03}" for number in range(PAGE - 1)], length=9))
    assert (page_request.page, page_request.pages) == (3, 2)


def test_the_text_of_a_request():
    request = PageRequest(CLAIMS, TYPE, 3, 5)
    assert request.text == b'{"claims":{"sub":"a"},"type":"sessions","page":3,"pages":5,"scanned":5}'
    assert PageRequest(CLAIMS, TYPE, 0, 17).text.endswith(b'"page":0,"pages":17,"scanned":16}')


@pytest.mark.parametrize("everything", [True, False])
def test_the_limit_cuts_a_page(everything):
    running = steps(2)
    next(running)
    listing = ended(running, page_response(["a", "b", "c"], length=1, everything=everything))
    assert (listing.ids, listing.complete, listing.everything, listing.revision) == (("a", "b"), False, everything, "7")
    assert listing.decision is None
    assert cursor_of(listing) == Cursor("7", 0, "b")


def test_a_list_that_the_limit_takes_whole_is_complete():
    for pages in (["a", "b"],), (["a"], ["b"]), (["a", "b"], []), ([], ["a", "b"]), (["a"], [], ["b"]):
        running = steps(2)
        next(running)
        listing = ended(running, *(page_response(page, length=len(pages)) for page in pages))
        assert (listing.ids, listing.complete, listing.everything, listing.cursor) == (("a", "b"), True, False, None)
        assert listing.revision == "7"


def test_everything_is_told_of_a_complete_list():
    running = steps()
    next(running)
    assert ended(running, page_response(["a"], everything=True)).everything


@pytest.mark.parametrize(
    ("pages", "place"),
    [
        ((["a", "b"], ["c"]), 0),
        ((["a"], ["b"], ["c"]), 1),
        ((["a"], ["b", "c"]), 1),
        (([], ["a", "b"], [], ["c"]), 1),
        ((["a"], [], ["b"], [], ["c"]), 2),
    ],
)
def test_a_cursor_names_the_page_of_its_last_id(pages, place):
    running = steps(2)
    next(running)
    listing = ended(running, *(page_response(page, length=9) for page in pages))
    assert listing.ids == ("a", "b")
    assert cursor_of(listing) == Cursor("7", place, "b")


def test_a_list_goes_on_at_the_page_of_its_cursor():
    running = steps(2, Cursor("7", 5, "b").text(ABOUT))
    assert next(running) == PageRequest(CLAIMS, TYPE, 5, 2)
    listing = ended(running, page_response(["a", "b", "c", "d", "e"], length=9))
    assert (listing.ids, cursor_of(listing)) == (("c", "d"), Cursor("7", 5, "d"))
    # The cursor's page counts once: on later ones nothing is left out.
    running = steps(2, Cursor("7", 5, "b").text(ABOUT))
    next(running)
    page_request = running.send(page_response(["a", "b"], length=9))
    assert page_request.page == 6
    listing = ended(running, page_response(["c", "d"], ["e"], length=9))
    assert (listing.ids, cursor_of(listing)) == (("c", "d"), Cursor("7", 6, "d"))


def test_a_list_that_goes_on_behind_the_last_id_is_complete():
    running = steps(2, Cursor("7", 0, "b").text(ABOUT))
    next(running)
    assert ended(running, page_response(["b"])).complete


def test_a_piece_that_is_too_old_is_refused_whichever_it_is():
    for revision in ("6", None):
        running = steps(at_least="7")
        next(running)
        with pytest.raises(StaleResourcesError):
            running.send(page_response(revision=revision))
    running = steps(at_least="7")
    next(running)
    assert ended(running, page_response(["a"])).ids == ("a",)
    running = steps(at_least="7")
    next(running)
    running.send(page_response(["a"], length=2))
    with pytest.raises(StaleResourcesError):
        running.send(page_response(["b"], length=2, revision="6"))


def test_what_is_denied_for_every_resource_is_not_too_old():
    running = steps(at_least="7")
    next(running)
    denial = Decision(allow=False, reason=Reason.TYPE_NOT_GRANTED)
    listing = ended(running, PageResponse(decision=denial))
    assert (listing.decision, listing.complete, listing.everything, listing.revision) == (denial, True, False, None)


@pytest.mark.parametrize("revision", ["6", "8", "07"])
def test_pieces_of_two_revisions_are_not_one_list(revision):
    running = steps()
    next(running)
    assert running.send(page_response(["a"], length=2)).page == 1
    assert running.send(page_response(["b"], length=2, revision=revision)).page == 0, "begun anew"


@pytest.mark.parametrize("ids", [["\0"], ["\x01", "A"], [" "], ["0", "X", "XXX"]])
def test_any_id_may_be_the_first(ids):
    running = steps()
    next(running)
    assert ended(running, page_response(ids)).ids == tuple(ids)


def test_a_list_is_begun_anew_five_times():
    running = steps()
    assert next(running).page == 0
    for _ in range(4):
        assert running.send(page_response(["a"], length=2)).page == 1
        assert running.send(page_response(["a"], length=2, revision="8")).page == 0
    running.send(page_response(["a"], length=2))
    with pytest.raises(CursorExpiredError, match="faster than they can be listed"):
        running.send(page_response(["a"], length=2, revision="8"))


def test_a_list_has_1000_ids_where_nobody_says():
    assert LIMIT == 1_000


def test_a_list_is_no_condition():
    for listing in (Listing((), complete=True), Listing(("a",), complete=False)):
        with pytest.raises(UsageError, match=r"neither true nor false: use `listing\.ids`, or `listing\.everything`$"):
            bool(listing)
