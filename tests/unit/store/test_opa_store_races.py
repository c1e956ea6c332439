"""Pushes to an OPA in memory that meet another push or a change: none is lost, and none is half seen."""

from __future__ import annotations

import threading

import pytest
from memory_opa import (
    Once,
    document,
    ids,
    lines,
    store_on,
    texts,
)

from bridge.errors import PushConflictError
from bridge.store import opa_lease, opa_push
from bridge.strict_json import parse

DEVICES = ("root", "devices")


def operations(opa):
    return [parse(request.body) for request in opa.requests if request.method == "PATCH"]


@pytest.mark.parametrize("number", [2, 3])
def test_of_two_pushes_the_one_that_ended_first_is_the_one_that_counts(opa, store, number):
    store.replace("devices", texts("a"))

    def overtake():
        opa.before = lambda _: None
        store_on(opa).replace("devices", texts("other"))

    opa.before = Once("PATCH", number, overtake)
    with pytest.raises(
        PushConflictError, match="another push of `devices` came in between: nothing of this one was kept; push again"
    ):
        store.replace("devices", texts("b"))
    assert ids(opa) == ["other"]


def test_a_change_in_the_middle_of_a_push_is_not_lost(opa, store):
    store.replace("devices", texts("a"))

    def change():
        opa.before = lambda _: None
        store_on(opa).change("devices", texts("other"), [])

    opa.before = Once("PATCH", 3, change)
    with pytest.raises(PushConflictError, match="another push of `devices` came in between"):
        store.replace("devices", texts("b"))
    assert ids(opa) == ["a", "other"]


def test_a_push_that_only_began_takes_the_place_of_an_earlier_one(opa, store):
    store.replace("devices", texts("a"))

    def begin():
        opa.before = lambda _: None
        opa_push.Pushes(store_on(opa)._documents.operation())._begin("devices")

    opa.before = Once("PATCH", 2, begin)
    with pytest.raises(PushConflictError):
        store.replace("devices", texts("b"))
    assert len(document(opa)["state"]["leases"]) == 1
    assert document(opa)["state"]["leases"].keys() == {
        f"m{name.removeprefix('g')}"
        for name in document(opa)["generations"].keys() - {document(opa)["state"]["current"]["generation"]}
    }


def test_a_push_whose_mark_was_removed_before_it_was_read_is_overtaken(opa, store):
    store.replace("devices", texts("a"))

    def overtake():
        opa.after = lambda _: None
        store_on(opa).replace("devices", texts("other"))

    opa.after = Once("PATCH", 1, overtake)
    with pytest.raises(PushConflictError, match="another push of `devices` came in between"):
        store.replace("devices", texts("b"))
    assert ids(opa) == ["other"]
    assert lines(opa)[-2:] == ["GET devices/state fresh", "PATCH devices"]  # it only takes away what it may have left


@pytest.mark.parametrize("left", [0, 1])
def test_a_push_whose_mark_another_push_has_just_replaced_is_overtaken(opa, store, left):
    """That one has not ended, so the revision is as it was."""
    store.replace("devices", texts("a"))
    for number in range(left):
        document(opa)["state"]["leases"][f"m{number}"] = {"generation": f"g{number}", "heartbeats": 0}
        document(opa)["generations"][f"g{number}"] = {}

    def begin():
        opa.after = lambda _: None
        (_, mark) = opa_push.Pushes(store_on(opa)._documents.operation())._begin("devices")
        if left:
            opa_lease.Leases(store_on(opa)._documents.operation()).abandon(DEVICES, mark)

    opa.after = Once("PATCH", 1, begin)
    with pytest.raises(PushConflictError, match="another push of `devices` came in between"):
        store.replace("devices", texts("b"))
    assert len(document(opa)["state"]["leases"]) == 1 - left


def test_others_that_come_first_are_tried_again_five_times(opa, store):
    store.replace("devices", texts("a"))
    opa.requests.clear()
    others = []

    def before(request):
        if request.method != "PATCH" or len(others) == wanted:
            return
        mark = f"m{len(others)}"
        others.append(mark)
        marks = document(opa)["state"]["leases"]
        left = dict(marks)
        marks.clear()
        marks[mark] = {"generation": mark, "heartbeats": 0}
        for one in left.values():
            document(opa)["generations"].pop(one["generation"], None)
        document(opa)["generations"][mark] = {}

    opa.before = before
    marks = document(opa)["state"]["leases"]
    marks["m"] = {"generation": "gm", "heartbeats": 0}
    document(opa)["generations"]["gm"] = {}
    wanted = 4
    store.replace("devices", texts("b"))
    assert ids(opa) == ["b"]
    others.clear()
    wanted = 99
    marks = document(opa)["state"]["leases"]
    marks["m"] = {"generation": "gm", "heartbeats": 0}
    document(opa)["generations"]["gm"] = {}
    with pytest.raises(
        PushConflictError,
        match="other pushes of `devices` came first, 5 times in a row: nothing was pushed; push again",
    ):
        store.replace("devices", texts("c"))
    assert len(others) == 5


def test_what_is_another_revision_each_time_does_not_stand_still(opa, store):
    store.replace("devices", texts("a"))
    marks = document(opa)["state"]["leases"]
    revisions = []

    def before(request):
        if request.method == "GET":
            marks["m"] = {"generation": "g", "heartbeats": 0}
        elif request.method == "PATCH":
            marks.clear()
            revisions.append(f"r{len(revisions)}")
            document(opa)["state"]["revisions"] = {revisions[-1]: True}

    opa.before = before
    with pytest.raises(
        PushConflictError,
        match="other pushes of `devices` came first, 5 times in a row: nothing was pushed; push again",
    ):
        store.replace("devices", texts("b"))
    assert len(revisions) == 5


def test_a_first_push_takes_up_the_document_that_another_made_just_then(opa, store):
    other = store_on(opa)

    def make():
        opa.before = lambda _: None
        other.replace("devices", texts("other"))

    opa.before = Once("PUT", 1, make)
    store.replace("devices", texts("b"))
    assert ids(opa) == ["b"]


def test_a_document_that_comes_and_goes_is_tried_again(opa, store):
    """Between two looks another bridge has made it, and taken it away."""
    seen = []

    def before(request):
        if request.method == "PUT" and not seen:
            seen.append(request)
            opa.data.setdefault("root", {})["devices"] = {"state": {}}

    def after(request):
        if request.method == "PUT" and len(seen) == 1:
            seen.append(request)
            del opa.data["root"]["devices"]

    opa.before, opa.after = before, after
    store.replace("devices", texts("b"))
    assert ids(opa) == ["b"]


def test_pushes_from_threads_leave_one_state_whole(opa):
    lock = threading.Lock()
    ended = []

    def push(number):
        try:
            store_on(Locked(opa, lock)).replace("devices", texts(*(f"{number}-{n}" for n in range(5)), n=number))
        except PushConflictError:
            return
        ended.append(number)

    threads = [threading.Thread(target=push, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended
    assert {id_[0] for id_ in ids(opa)} <= {str(number) for number in ended}
    assert len(ids(opa)) == 5


class Locked:
    """An OPA that does one request at a time."""

    def __init__(self, opa, lock):
        self._opa, self._lock, self.deadline, self.max_body = opa, lock, opa.deadline, opa.max_body

    def __getattr__(self, name):
        call = getattr(self._opa, name)

        def locked(*arguments, **settings):
            with self._lock:
                return call(*arguments, **settings)

        return locked
