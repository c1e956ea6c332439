"""Resources in this process: revisions that never change, an index like that on OPA, and the same answers."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from conformance import tally

from bridge import UsageError
from bridge.errors import ResourcesMissingError
from bridge.store import MemoryStore, layout
from bridge.store.store import prepare
from bridge.strict_json import encode

TYPES = ("devices", "sessions")


def texts(*resources):
    return prepare({encode(value["id"]): encode(value) for value in resources})


def device(id_, **custom_data):
    return {"id": id_, "custom_data": custom_data}


@pytest.fixture
def store():
    return MemoryStore(TYPES)


def test_a_change_counts_what_it_did(store):
    store.replace("devices", texts(device("a", n=1), device("b"), device("c")))
    changed = store.change(
        "devices",
        texts(device("a", n=1), device("b", n=2), device("d")),
        [b'"c"', b'"d"', b'"x"'],  # one that is upserted as well stays
    )
    assert (changed.added, changed.changed, changed.removed, changed.unchanged, changed.absent) == (1, 1, 1, 1, 1)
    assert list(store.stored(b'"devices"').all_ids()) == [b'"a"', b'"b"', b'"d"']
    assert changed.revision == store.stored(b'"devices"').revision


def test_a_change_of_nothing_is_no_new_revision(store):
    revision = store.replace("devices", texts(device("a", n=1)))
    changed = store.change("devices", texts({"custom_data": {"n": 1.0}, "id": "a"}), [b'"x"', b'"x"'])
    assert (changed.unchanged, changed.absent, changed.revision) == (1, 1, revision)
    assert store.stored(b'"devices"').revision == revision


def test_nothing_can_be_changed_before_all_was_pushed(store):
    for upserts, removals in ((texts(device("a")), []), ({}, [b'"a"']), ({}, [])):
        with pytest.raises(ResourcesMissingError, match="no pushed resources of `devices`"):
            store.change("devices", upserts, removals)
    assert store.stored(b'"devices"').revision is None
    store.replace("sessions", {})
    with pytest.raises(ResourcesMissingError):
        store.change("devices", texts(device("a")), [])
    store.replace("devices", {})
    assert store.change("devices", texts(device("a")), []).added == 1


def test_nothing_is_compared_before_all_was_pushed(store):
    assert store.difference("devices", texts(device("a")), 10) is None
    store.replace("devices", {})
    difference = store.difference("devices", texts(device("a")), 10)
    assert (list(difference.upserts), difference.removals, difference.added, difference.before) == ([b'"a"'], [], 1, 0)


def test_types_that_are_not_known(store):
    for call in (
        lambda type_: store.replace(type_, {}),
        lambda type_: store.change(type_, {}, []),
        lambda type_: store.difference(type_, texts(), 1),
    ):
        with pytest.raises(UsageError, match="`users` is not one of the resource types"):
            call("users")
        with pytest.raises(UsageError, match=r'`"users\\u001b"` is not one'):
            call("users\x1b")


def test_what_was_held_before_a_change_is_as_it_was(store):
    store.replace("devices", texts(device("b", n=1), device("a", n=1), device("c", m=1)))
    before = store.stored(b'"devices"')
    assert before.posting('["n",1]') == [b'"a"', b'"b"']
    assert before.all_ids() == [b'"a"', b'"b"', b'"c"']
    store.change("devices", texts(device("aa", n=1), device("c", n=1)), [b'"b"'])
    assert before.posting('["n",1]') == [b'"a"', b'"b"']
    assert before.posting('["m",1]') == [b'"c"']
    assert before.all_ids() == [b'"a"', b'"b"', b'"c"']
    after = store.stored(b'"devices"')
    assert after.posting('["n",1]') == [b'"a"', b'"aa"', b'"c"']
    assert after.posting('["m",1]') == []
    assert after.all_ids() == [b'"a"', b'"aa"', b'"c"']


def test_ids_are_sorted_once_however_many_pages_ask_for_them(store):
    store.replace("devices", texts(device("b"), device("a")))
    held = store.stored(b'"devices"')
    assert held.all_ids() is held.all_ids()


def test_what_was_pushed_twice_is_not_shared(store):
    """A change of one store must not reach another that was given the same resources."""
    resources = texts(device("a", n=1), device("b", n=1))
    other = MemoryStore(TYPES)
    store.replace("devices", resources)
    other.replace("devices", resources)
    store.change("devices", texts(device("c", n=1)), [b'"a"'])
    assert other.stored(b'"devices"').posting('["n",1]') == [b'"a"', b'"b"']
    assert resources.postings['["n",1]'] == [b'"a"', b'"b"']
    assert set(resources) == {b'"a"', b'"b"'}


@pytest.mark.parametrize("seed", range(5))
def test_random_changes_leave_the_index_of_a_push(store, seed):
    random = Random(f"{tally.seed()} {seed}")
    known = ["\uffff", "\U0001f600", "\x00", '"', *(f"d{number}" for number in range(40))]
    there = {}
    store.replace("devices", {})
    for _ in range(40):
        upserts = {
            id_: device(id_, **{name: random.choice([1, True, "\\b", "\\u0008"]) for name in random.sample("nmk", 2)})
            for id_ in random.sample(known, random.randint(0, 12))
        }
        removals = random.sample(known, random.randint(0, 12))
        store.change("devices", texts(*upserts.values()), map(encode, removals))
        there = {id_: value for id_, value in there.items() if id_ not in removals} | upserts
        wanted, stored = texts(*there.values()), store.stored(b'"devices"')
        assert stored.resources == wanted
        assert stored._prepared.postings == {text: sorted(ids, key=layout.raw) for text, ids in wanted.postings.items()}
        assert stored.all_ids() == sorted(wanted, key=layout.raw)


def test_changes_from_many_threads_are_all_there(store):
    store.replace("devices", {})
    start = threading.Barrier(4)

    def change(thread):
        start.wait()
        revisions = []
        for number in range(50):
            removals = [encode(f"{thread}-{number - 1}")] if number % 5 == 4 else []
            revisions.append(store.change("devices", texts(device(f"{thread}-{number}", n=1)), removals).revision)
        return revisions

    with ThreadPoolExecutor(4) as pool:
        revisions = [revision for some in pool.map(change, range(4)) for revision in some]
    assert len(set(revisions)) == 200
    held = store.stored(b'"devices"')
    assert held.revision == max(revisions, key=int)
    assert len(held.resources) == 160
    assert held.posting('["n",1]') == sorted(held.resources, key=layout.raw) == held.all_ids()


def test_postings_of_a_push_are_in_the_order_of_code_points(store):
    store.replace("devices", texts(device("a!", n=1), device("a", n=1), device('a"', n=1)))
    assert store.stored(b'"devices"').posting('["n",1]') == [b'"a"', b'"a!"', b'"a\\""']


def test_a_type_that_is_not_known_holds_nothing(store):
    assert store.stored(b'"users"').revision is None
    assert store.stored(b'"users"').all_ids() == []


def test_a_change_of_what_is_not_ready_is_a_later_revision(store, monkeypatch):
    monkeypatch.setattr("bridge.store.store.time.time_ns", lambda: 5_000)
    assert store.replace("devices", {}) == "5"
    assert store.change("devices", {b'"a"': b'{"id":"a","custom_data":{"n":1}}'}, []).revision == "6"
    assert store.stored(b'"devices"').resources == {b'"a"': b'{"custom_data":{"n":1},"id":"a"}'}
