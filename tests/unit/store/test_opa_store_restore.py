"""Restoring an OPA in memory: who waits for whom, who takes whose place, and when it ends."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from memory_opa import (
    MemoryOpa,
    Once,
    Several,
    Waits,
    document,
    fails,
    ids,
    refused,
    store_on,
    texts,
)

from bridge.errors import (
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    ForeignContentError,
    MultipleStoresError,
    OpaStatusError,
    PushConflictError,
    ResourcesMissingError,
)
from bridge.store import opa_lease, opa_push
from bridge.strict_json import encode, parse

ELSEWHERE = "what is written to `devices` is not there when it is read again"


def restore(store, *, collect=lambda: texts("restored"), patience=30.0, limits=None):
    store.restore("devices", collect, patience=patience, limits=limits or Waits())


def begun(opa):
    """Another's push that has begun; gives its mark."""
    (_, mark) = opa_push.Pushes(store_on(opa)._documents.operation())._begin("devices")
    return mark


def test_what_is_missing_is_pushed(opa, store):
    limits = Waits()
    restore(store, limits=limits)
    assert ids(opa) == ["restored"]
    assert limits.paused == [0.0]


def test_before_and_after_the_document_is_made_new_connections_are_asked(opa, store):
    restore(store)
    requests = [request.method + " fresh" * request.fresh for request in opa.requests if request.path[1] == "devices"]
    assert requests[:5] == ["GET", "GET fresh", "GET fresh", "PUT", "GET fresh"]


def test_nothing_is_made_on_an_empty_one_of_several():
    opas = [MemoryOpa(), MemoryOpa()]
    store_on(opas[0]).replace("devices", texts("a"))
    turns = iter(range(10_000))
    several = Several(opas, lambda _, fresh: next(turns) % 2 if fresh else 1)
    with pytest.raises(MultipleStoresError, match="each with `devices` of its own"):
        restore(store_on(several), collect=fails(AssertionError("asked")))
    assert opas[1].data == {}
    assert not [request for request in opas[1].requests if request.method != "GET"]


def test_one_that_has_just_lost_its_resources_is_looked_at_again(opa):
    """For one connection there are resources, then there are none any more."""
    other = MemoryOpa()
    store_on(other).replace("devices", texts("a"))
    seen = []

    def turn(_, fresh):
        seen.append(fresh)
        return int(seen == [False, True, True, True])  # the first new connection that asks for devices

    limits = Waits()
    restore(store_on(Several([opa, other], turn)), limits=limits)
    assert limits.paused == [0.0, 0.1]
    assert ids(opa) == ["restored"]


def test_another_that_begins_once_the_document_is_made_is_waited_for(opa, store):
    opa.after = Once("PUT", 1, lambda: begun(opa))
    limits = Waits()
    restore(store, limits=limits, patience=1.0)
    assert ids(opa) == ["restored"]
    assert limits.now >= 1.0


def test_what_is_there_is_left_alone(opa, store):
    store.replace("devices", texts("a"))
    opa.requests.clear()
    restore(store, collect=fails(AssertionError("asked")))
    assert ids(opa) == ["a"]
    assert all(request.method == "GET" for request in opa.requests)
    assert opa.requests[0].fresh is False
    assert any(request.fresh for request in opa.requests)


def test_an_empty_document_that_nobody_fills_is_filled(opa, store):
    mark = begun(opa)
    opa_lease.Leases(store._documents.operation()).abandon(("root", "devices"), mark)
    limits = Waits()
    restore(store, limits=limits)
    assert ids(opa) == ["restored"]
    assert limits.paused == [0.0]


def test_a_push_that_gives_no_sign_of_life_is_waited_for_as_long_as_patience(opa, store):
    begun(opa)
    limits = Waits()
    restore(store, patience=3.0, limits=limits)
    assert ids(opa) == ["restored"]
    # The pauses double, up to half a second, or a tenth of the patience.
    assert limits.paused[:5] == [0.0, 0.05, 0.1, 0.2, 0.3]
    assert set(limits.paused[5:]) == {0.3}
    assert 3.0 <= limits.now < 3.4
    opa.data.clear()
    begun(opa)
    limits = Waits()
    restore(store, patience=30.0, limits=limits)
    assert max(limits.paused) == 0.5
    assert 30.0 <= limits.now < 30.6


def test_a_push_that_is_alive_is_waited_for_until_it_has_ended(opa, store):
    mark = begun(opa)
    limits = Waits()

    def goes_on():
        marks = document(opa)["state"]["leases"]
        if limits.now < 100:
            marks[mark.name]["heartbeats"] += 1
        elif mark.name in marks:
            store_on(opa).replace("devices", texts("other"))

    limits.while_paused = goes_on
    restore(store, patience=3.0, limits=limits, collect=fails(AssertionError("asked")))
    assert 100 <= limits.now < 101
    assert ids(opa) == ["other"]


def test_a_push_that_stops_is_waited_for_from_its_last_sign_of_life(opa, store):
    mark = begun(opa)
    limits = Waits()

    def goes_on():
        if limits.now < 10 and mark.name in document(opa)["state"]["leases"]:
            document(opa)["state"]["leases"][mark.name]["heartbeats"] += 1

    limits.while_paused = goes_on
    restore(store, patience=3.0, limits=limits)
    assert 12.9 <= limits.now < 13.5
    assert ids(opa) == ["restored"]


def test_patience_is_over_once_it_has_lasted_as_long(opa, store):
    begun(opa)
    limits = Waits()
    limits.while_paused = lambda: setattr(limits, "now", 30.0) if limits.paused[-1] else None
    restore(store, patience=30.0, limits=limits)
    assert limits.paused == [0.0, 0.05]


def test_what_is_there_is_enough_while_another_pushes_anew(opa, store):
    store.replace("devices", texts("a"))
    mark = begun(opa)
    limits = Waits()
    restore(store, limits=limits, collect=fails(AssertionError("asked")))
    assert limits.paused == [0.0]
    assert list(document(opa)["state"]["leases"]) == [mark.name]


def test_waiting_ends_with_its_limits(opa, store):
    mark = begun(opa)
    limits = Waits(5.0)
    limits.while_paused = lambda: document(opa)["state"]["leases"][mark.name].update(heartbeats=int(limits.now * 100))
    with pytest.raises(EngineTimeoutError, match="it did not end within 5 s: raise `patience`"):
        restore(store, limits=limits)
    assert limits.now < 5.6
    assert mark.name in document(opa)["state"]["leases"]
    limits = Waits()
    limits.stop()
    with pytest.raises(EngineError, match="it was stopped"):
        restore(store, limits=limits)


def test_a_source_that_fails_leaves_nothing_behind(opa, store):
    with pytest.raises(KeyError, match="no source"):
        restore(store, collect=fails(KeyError("no source")))
    stored = document(opa)
    assert stored["state"]["leases"] == {}
    assert stored["generations"] == {}
    restore(store)
    assert ids(opa) == ["restored"]


def test_another_that_ends_first_while_the_source_is_asked_is_enough(opa, store):
    calls = []

    def collect():
        calls.append(True)
        store_on(opa).replace("devices", texts("other"))
        return texts("restored")

    restore(store, collect=collect)
    assert ids(opa) == ["other"]
    assert len(calls) == 1


def test_others_that_always_come_first_are_an_end_after_five_times(opa, store):
    limits = Waits()
    calls = []

    def collect():
        calls.append(True)
        mark = begun(opa)
        opa_lease.Leases(store_on(opa)._documents.operation()).abandon(("root", "devices"), mark)
        return texts("restored")

    # What is read differs each time, for each push renames nothing but its mark: revisions stay.
    with pytest.raises(EngineError) as raised:
        restore(store, collect=collect, limits=limits)
    assert isinstance(raised.value, PushConflictError)
    assert len(calls) == 5
    assert limits.paused == [0.0, 0.1, 0.2, 0.4, 0.8]


def test_a_document_that_another_makes_first_is_waited_for(opa, store):
    def make():
        opa.before = lambda _: None
        store_on(opa).replace("devices", texts("other"))

    opa.before = Once("PUT", 1, make)
    restore(store, collect=fails(AssertionError("asked")))
    assert ids(opa) == ["other"]


def test_a_mark_that_another_sets_first_is_waited_for(opa, store):
    begun(opa)

    def take():
        opa.before = lambda _: None
        store_on(opa).replace("devices", texts("other"))

    opa.before = Once("PATCH", 1, take)
    restore(store, collect=fails(AssertionError("asked")))
    assert ids(opa) == ["other"]


def test_no_source_is_asked_for_a_push_whose_mark_another_has_removed(opa, store):
    begun(opa)

    def overtake():
        opa.after = lambda _: None
        store_on(opa).replace("devices", texts("other"))

    opa.after = Once("PATCH", 1, overtake)
    restore(store, patience=1.0, collect=fails(AssertionError("asked")))
    assert ids(opa) == ["other"]


def test_a_refusal_is_raised_at_once(opa, store):
    opa.before = lambda request: request.method == "PUT" and fails(refused(403))()
    with pytest.raises(OpaStatusError):
        restore(store)
    assert sum(request.method == "PUT" for request in opa.requests) == 1


def test_a_last_answer_that_is_lost_with_all_that_was_stored_is_no_success(opa, store):
    def lose():
        opa.data.clear()
        raise EngineUnreachableError("lost")

    opa.after = Once("PATCH", 2, lose)
    with pytest.raises(EngineUnreachableError, match="lost"):
        restore(store)
    assert opa.data == {}


@pytest.mark.parametrize("foreign", [{}, 7, {"generations": {}}])
def test_what_no_bridge_wrote_is_not_overwritten(opa, store, foreign):
    opa.data["root"] = {"devices": foreign}
    with pytest.raises(ForeignContentError):
        restore(store)
    assert opa.data["root"]["devices"] == foreign


def test_an_opa_that_forgets_once_is_restored_all_the_same(opa, store):
    """At any request: it is restored, or whoever restores is told, and the next attempt does."""
    number = 0
    ended = lost = 0
    while True:
        number += 1
        opa.data.clear()
        opa.requests.clear()
        total = number

        def before(_, total=total):
            if len(opa.requests) == total:
                opa.data.clear()

        opa.before = before
        try:
            restore(store)
        except ResourcesMissingError:
            lost += 1
            opa.before = lambda _: None
            restore(store)
        else:
            ended += 1
        if len(opa.requests) < number:
            break
        if opa.data:
            assert ids(opa) == ["restored"]
    assert ended > 3
    assert lost > 0
    assert ids(opa) == ["restored"]


def test_an_opa_that_forgets_at_once_is_told_after_five_times(opa, store):
    opa.after = lambda request: request.method == "PUT" and opa.data.clear()
    limits = Waits()
    with pytest.raises(ResourcesMissingError, match="OPA loses what is written to `devices` at once, 5 times in a row"):
        restore(store, limits=limits)
    assert sum(request.method == "PUT" for request in opa.requests) == 6
    assert limits.paused == [0.0, 0.1, 0.2, 0.4, 0.8]


def test_the_document_of_another_there_just_then_is_lost_too(opa, store):
    """The last look finds what another has made: then it was lost time and again, and is not written elsewhere."""
    puts = []

    def before(request):
        if request.method == "PUT":
            puts.append(request)
            if len(puts) == 6:
                opa.data["root"] = {"devices": {"state": {}}}

    opa.before = before
    opa.after = lambda request: request.method == "PUT" and len(puts) < 6 and opa.data.clear()
    with pytest.raises(ResourcesMissingError):
        restore(store)


# --- several OPAs


def test_a_writer_and_a_reader_are_told_apart():
    opas = [MemoryOpa(), MemoryOpa()]
    several = Several(opas, lambda name, _: int(name in ("patch_data", "create_data")))
    calls = []
    with pytest.raises(MultipleStoresError, match=ELSEWHERE):
        restore(store_on(several), collect=lambda: calls.append(True) or texts("restored"))
    assert not calls
    assert opas[0].data == {}
    assert "current" not in document(opas[1])["state"]


def test_a_writer_and_a_reader_with_an_empty_document_are_told_apart():
    opas = [MemoryOpa(), MemoryOpa()]
    mark = begun(opas[0])
    opa_lease.Leases(store_on(opas[0])._documents.operation()).abandon(("root", "devices"), mark)
    opas[1].data = parse(encode(opas[0].data))
    several = Several(opas, lambda name, _: int(name in ("patch_data", "create_data")))
    with pytest.raises(MultipleStoresError, match=ELSEWHERE):
        restore(store_on(several))
    assert document(opas[1])["state"]["leases"] == {}


def test_a_reader_with_the_push_of_another_is_told_apart_from_a_writer_without():
    opas = [MemoryOpa(), MemoryOpa()]
    begun(opas[0])
    opas[1].data = parse(encode(opas[0].data))
    begun(opas[1])  # removes the first one's mark there
    several = Several(opas, lambda name, _: int(name in ("patch_data", "create_data")))
    limits = Waits()
    with pytest.raises(MultipleStoresError, match=ELSEWHERE):
        restore(store_on(several), limits=limits, patience=1.0)
    assert sum(request.method == "PATCH" for request in opas[1].requests) >= 5


def test_two_that_take_turns_are_told_before_the_source_is_asked():
    opas = [MemoryOpa(), MemoryOpa()]
    for opa in opas:
        begun(opa)
    turns = iter(range(10_000))
    with pytest.raises(MultipleStoresError):
        restore(store_on(Several(opas, lambda *_: next(turns) % 2)), collect=fails(AssertionError("asked")))


def test_what_one_of_several_has_is_not_back():
    opas = [MemoryOpa(), MemoryOpa()]
    store_on(opas[0]).replace("devices", texts("a"))
    turns = iter(range(10_000))
    with pytest.raises(MultipleStoresError):
        restore(store_on(Several(opas, lambda _, fresh: next(turns) % 2 if fresh else 0)))


@pytest.mark.parametrize("number", [1, 2])
def test_one_that_is_restarted_just_then_is_looked_at_again(opa, store, number):
    """What is read first is there no more for one of the two new connections."""
    mark = begun(opa)
    opa_lease.Leases(store._documents.operation()).abandon(("root", "devices"), mark)
    fresh = []

    def before(request):
        fresh.extend([True] * (request.fresh and request.path[1] == "devices"))
        if len(fresh) == number:
            fresh.append(True)
            opa.data.clear()

    opa.before = before
    limits = Waits()
    restore(store, limits=limits)
    assert ids(opa) == ["restored"]
    assert limits.paused == [0.0, 0.1]


def test_resources_that_are_not_ready_are_made_ready(opa, store):
    restore(store, collect=lambda: {b'"a"': b'{"id":"a","custom_data":{"n":1}}'})
    assert ids(opa) == ["a"]


# --- signs of life


class Events:
    """Stands for `threading`, with events that end their waits as told, and threads that are run at once."""

    def __init__(self, beats):
        self.waits, self.heartbeats, self.threads = [], beats, []
        self.Event, self.Thread = self._event, self._thread

    def _event(self):
        def wait(seconds):
            self.waits.append(seconds)
            return len(self.waits) > self.heartbeats

        return SimpleNamespace(wait=wait, set=lambda: self.waits.append("set"))

    def _thread(self, *, target, daemon, name):
        self.threads.append((daemon, name))
        return SimpleNamespace(start=target, join=lambda: self.waits.append("joined"))


def beats_of(opa):
    return [
        operation["value"]
        for request in opa.requests
        if request.method == "PATCH"
        for operation in parse(request.body)
        if operation["path"].endswith("/heartbeats")
    ]


def test_a_push_says_that_it_is_alive_while_its_source_is_asked(opa, store, monkeypatch):
    events = Events(3)
    monkeypatch.setattr(opa_lease, "threading", events)
    restore(store)
    assert events.waits == [1.0, 1.0, 1.0, 1.0, "set", "joined"]
    assert events.threads == [(True, "push-heartbeat")]
    assert beats_of(opa)[:3] == [1, 2, 3]
    assert ids(opa) == ["restored"]


def test_signs_of_life_end_with_the_limits(opa, store, monkeypatch):
    limits = Waits(10.0)
    events = Events(1_000)
    monkeypatch.setattr(opa_lease, "threading", events)
    opa.after = lambda request: request.method == "PATCH" and setattr(limits, "now", limits.now + 3.0)
    restore(store, limits=limits)
    assert beats_of(opa)[:4] == [1, 2, 3, 4]
    assert -1 in beats_of(opa)[:5]


def test_a_sign_of_life_that_cannot_be_given_is_no_end(opa, store, monkeypatch):
    monkeypatch.setattr(opa_lease, "threading", Events(3))
    opa.before = Once("PATCH", 2, fails(EngineUnreachableError("lost")))
    restore(store)
    assert beats_of(opa)[:3] == [1, 2, 3]
    assert ids(opa) == ["restored"]


@pytest.mark.parametrize("error", [KeyError("no source"), KeyboardInterrupt()])
def test_signs_of_life_end_where_the_source_fails(opa, store, monkeypatch, error):
    events = Events(2)
    monkeypatch.setattr(opa_lease, "threading", events)
    with pytest.raises(type(error)):
        restore(store, collect=fails(error))
    assert events.waits[-2:] == ["set", "joined"]
    assert document(opa)["state"]["leases"] == {}


def test_no_thread_is_left(store):
    before = threading.active_count()
    seen = []
    restore(store, collect=lambda: seen.extend(threading.enumerate()) or texts("restored"))
    assert "push-heartbeat" in [thread.name for thread in seen]
    assert threading.active_count() == before
