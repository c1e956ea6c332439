"""What an OPA remembers: it is not believed once it has lost the resources, or is several OPAs."""

from __future__ import annotations

import pytest

from bridge import Decision
from bridge.decision import Reason, Request
from bridge.engines.protocol import StoreIdentity
from bridge.errors import MultipleStoresError, ResourcesMissingError, UnsupportedLayoutError

BY_ID = Request(b"{}", b'"devices"', id=b'"d1"')
INLINE = Request(b"{}", b'"devices"', resource=b'{"id":"d1"}')


def current(store, type_="devices"):
    return {type_: {"revision": "1", "generation": "g", "store": store, "count": 1}}


def denied(reason=Reason.UNKNOWN_RESOURCE, revision=None):
    return Decision(allow=False, reason=reason, revision=revision)


def test_resources_that_were_never_there():
    with pytest.raises(ResourcesMissingError, match="no pushed resources of `devices`: none were ever pushed"):
        StoreIdentity().check({}, [BY_ID], [denied()])


def test_resources_that_are_there_no_more():
    memory = StoreIdentity()
    memory.note(current("s1"))
    with pytest.raises(
        ResourcesMissingError, match="of `devices`: it was restarted without them, or somebody removed them"
    ):
        memory.check({}, [BY_ID], [denied()])
    with pytest.raises(ResourcesMissingError, match="of `sessions`: none were ever pushed"):
        memory.check({}, [BY_ID._replace(type=b'"sessions"')], [denied()])


def test_each_question_is_looked_at():
    for requests, decisions in (
        ([INLINE, BY_ID], [denied(Reason.INVALID_RESOURCE), denied()]),
        ([BY_ID, INLINE], [denied(), denied(Reason.INVALID_RESOURCE)]),
    ):
        with pytest.raises(ResourcesMissingError):
            StoreIdentity().check({}, requests, decisions)


@pytest.mark.parametrize(
    ("request_", "decision"),
    [
        (INLINE, denied()),
        (BY_ID, denied(revision="1")),
        (BY_ID, denied(Reason.UNKNOWN_TYPE)),
        (BY_ID, denied(Reason.MALFORMED_INPUT)),
    ],
)
def test_other_answers_are_believed(request_, decision):
    StoreIdentity().check({}, [request_], [decision])


def test_as_many_decisions_as_questions():
    for decisions in ([], [denied(revision="1")] * 2):
        with pytest.raises(ValueError, match="zip"):
            StoreIdentity().check({}, [BY_ID], decisions)


def test_a_layout_that_the_rules_do_not_know():
    memory = StoreIdentity()
    for stored_types in ({"devices": {"layout": 9}}, {"devices": {"layout": 9}, "sessions": None}):
        with pytest.raises(UnsupportedLayoutError, match="`devices` lie in OPA in a layout"):
            memory.check(stored_types, [BY_ID], [denied()])
    assert isinstance(memory.lost(current("s1"), "devices"), ResourcesMissingError)
    assert isinstance(memory.lost({"devices": None}, "devices"), ResourcesMissingError)
    assert isinstance(memory.lost({"devices": "layout"}, "devices"), ResourcesMissingError)
    assert isinstance(memory.lost({"sessions": {"layout": 9}}, "devices"), ResourcesMissingError)


def test_the_stores_of_a_check_are_noted():
    memory = StoreIdentity()
    for store in ("s1", "s2"):
        memory.check(current(store), [BY_ID], [denied(revision="1")])
    with pytest.raises(MultipleStoresError):
        memory.check(current("s1"), [BY_ID], [denied(revision="1")])


def test_a_store_that_is_restarted_is_followed():
    memory = StoreIdentity()
    for number in range(200):
        for _ in range(3):
            memory.note(current(f"s{number}"))


def test_a_store_that_comes_back_is_another_opa():
    memory = StoreIdentity()
    memory.note(current("first-store"))
    memory.note(current("second-store"))
    with pytest.raises(
        MultipleStoresError, match=r"each with `devices` of its own \(stores `first-st` and `second-s`\)"
    ):
        memory.note(current("first-store"))
    memory.note(current("second-store"))
    with pytest.raises(MultipleStoresError):
        memory.note(current("first-store"))


def test_a_store_that_comes_back_is_told_beside_others():
    memory = StoreIdentity()
    for store in ("s1", "s2"):
        memory.note(current(store))
    with pytest.raises(MultipleStoresError):
        memory.note({"sessions": {"layout": 9}} | current("s1"))
    with pytest.raises(MultipleStoresError):
        memory.note({"other": {"store": 7}} | current("s1"))


def test_each_type_has_stores_of_its_own():
    memory = StoreIdentity()
    memory.note(current("s1"))
    memory.note(current("s2", "sessions"))
    memory.note(current("s2"))
    memory.note(current("s1", "sessions"))
    with pytest.raises(MultipleStoresError, match="`sessions`"):
        memory.note(current("s2", "sessions"))


def test_the_last_64_are_remembered():
    memory = StoreIdentity()
    for number in range(66):
        memory.note(current(f"s{number}"))
    with pytest.raises(MultipleStoresError):
        memory.note(current("s1"))
    with pytest.raises(MultipleStoresError):
        memory.note(current("s64"))
    memory.note(current("s0"))


@pytest.mark.parametrize("about", [None, "s", [], {}, {"store": None}, {"store": 7}, {"layout": 9}])
def test_what_tells_no_store_is_not_noted(about):
    memory = StoreIdentity()
    memory.note({"devices": about})
    assert "none were ever pushed" in str(memory.lost({}, "devices"))
