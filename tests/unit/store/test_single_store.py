"""Which answers of one operation may go together: the names of stores, in the order they were told."""

from __future__ import annotations

import pytest

from bridge.errors import EngineUnreachableError, MultipleStoresError, ResourcesMissingError
from bridge.store.single_store import SingleStore, store_of

A, B, C = "a" * 32, "b" * 32, "c" * 32


class Looks:
    """What further looks find: these, and then the last of them again and again."""

    def __init__(self, *stores):
        self.stores, self.number = stores, 0

    def __call__(self, type_):
        assert type_ == "devices"
        self.number += 1
        return self.stores[min(self.number, len(self.stores)) - 1]


def operation(*stores):
    looks = Looks(*stores)
    return SingleStore(looks), looks


def test_one_store_is_seen_as_often_as_one_likes():
    seen, looks = operation(A)
    for store in (None, None, A, A):
        seen.saw("devices", store)
    seen.agree("devices", (A, A))
    seen.saw_all({"devices": {"store": A}, "sessions": {"store": B}, "others": {"layout": 2}})
    seen.saw("sessions", B)
    assert looks.number == 0
    assert (seen.has_agreed("devices"), seen.has_agreed("sessions")) == (True, False)


@pytest.mark.parametrize(
    ("earlier", "more"),
    [
        ((A, B), (A,)),
        ((A, B), (B, B, B, B, B, B, B, A)),
        ((A, B), (C, B)),
        ((A, None), (A,)),
        ((A, None), (None, None, A)),
        ((A, B), (None, B)),
    ],
)
def test_a_store_that_comes_back_is_one_of_several(earlier, more):
    seen, looks = operation(*more)
    seen.saw("devices", earlier[0])
    with pytest.raises(MultipleStoresError, match="at this address, each with `devices` of its own") as raised:
        seen.saw("devices", earlier[1])
    assert looks.number == len(more)
    # The one that came back, and the last one before it.
    back, last = more[-1], [*earlier, *more[:-1]][-1]
    names = [f"`{store[:8]}`" if store else "none" for store in (back, last)]
    assert f"(stores {' and '.join(names)})" in str(raised.value)


@pytest.mark.parametrize(
    ("earlier", "more"), [((A, B), (B,)), ((A, None), (None,)), ((A, None), (None, B)), ((A, B), (C,))]
)
def test_a_store_that_does_not_come_back_was_lost(earlier, more):
    seen, looks = operation(*more)
    seen.saw("devices", earlier[0])
    with pytest.raises(ResourcesMissingError, match="lost the resources of `devices`"):
        seen.saw("devices", earlier[1])
    assert looks.number == 8


def test_a_first_document_that_comes_just_then_is_no_second_opa():
    seen, looks = operation(A)
    seen.agree("devices", (None, A))
    assert looks.number == 8
    assert seen.has_agreed("devices")
    for more in ((None, A), (None, None, None, A)):
        seen, _ = operation(*more)
        with pytest.raises(MultipleStoresError, match=r"stores `aaaaaaaa` and none"):
            seen.agree("devices", (None, A))
        assert not seen.has_agreed("devices")
    seen, _ = operation(None)
    seen.agree("devices", (None, None))
    seen.made("devices")
    assert not seen.has_agreed("devices")
    seen.made("devices")


def test_doubt_looks_often():
    seen, looks = operation(A)
    seen.saw("devices", A)
    seen.doubt("devices")
    assert looks.number == 8
    seen, _ = operation(A, A, B, A)
    seen.saw("devices", A)
    with pytest.raises(MultipleStoresError):
        seen.doubt("devices")


def test_a_look_that_fails_leaves_what_is_known():
    def fails(_):
        raise EngineUnreachableError("why")

    seen = SingleStore(fails)
    seen.saw("devices", A)
    with pytest.raises(ResourcesMissingError):
        seen.saw("devices", B)


def test_what_is_no_name_of_a_store():
    assert store_of({"store": A, "layout": 99}) == A
    assert [store_of(state) for state in ({}, {"store": ""}, {"store": 7}, None, [], "store")] == [None] * 6


def test_all_that_an_answer_names_is_taken_note_of():
    seen, looks = operation(B)
    seen.saw_all({"sessions": {"layout": 2}, "devices": {"store": A}})
    seen.saw_all({"devices": {"layout": 2}})
    seen.saw_all({})
    assert looks.number == 0
    with pytest.raises(ResourcesMissingError, match="lost the resources of `devices`"):
        seen.saw_all({"devices": {"store": B}})
