"""What differs between an OPA in memory and what it should have, and counting anew what it has."""

from __future__ import annotations

import pytest
from memory_opa import (
    MemoryOpa,
    Once,
    Several,
    document,
    fails,
    store_on,
    texts,
)

from bridge.errors import (
    EngineUnreachableError,
    InvalidResponseError,
    MultipleStoresError,
    PushConflictError,
    ResourcesMissingError,
    StaleResourcesError,
    UsageError,
)
from bridge.store import layout, opa_compare
from bridge.store.integrity import IntegrityReport
from bridge.store.opa_compare import differing_buckets
from bridge.store.store import StoreDifference, prepare
from bridge.strict_json import encode, parse

DEEP = parse("[" * 70 + "1.5" + "]" * 70, max_depth=70)


@pytest.fixture
def store(opa):
    new_store = store_on(opa)
    new_store.replace("devices", texts("a", "b", "c", n=1))
    opa.requests.clear()
    return new_store


def current(opa):
    return document(opa)["generations"][document(opa)["state"]["current"]["generation"]]


def resources(**texts_):
    return prepare({encode(id_): encode({"id": id_, **more}) for id_, more in texts_.items()})


# --- difference


def test_what_differs_is_told_and_no_more_is_read(opa, store):
    wanted = prepare({**texts("a", n=1), **texts("b", n=2), **texts("d", n=1)})
    difference = store.difference("devices", wanted, None)
    assert sorted(difference.upserts) == [b'"b"', b'"d"']
    assert difference.upserts[b'"b"'] == wanted[b'"b"']
    assert (list(difference.removals), difference.added, difference.before) == ([b'"c"'], 1, 3)
    assert sorted(request.path[-1] for request in opa.requests if request.method == "TEXT") == sorted(
        layout.place(id_)[0] for id_ in (b'"b"', b'"c"', b'"d"')
    )
    assert {request.deadline for request in opa.requests if request.path[-1] != "state"} == {70.0}


def test_nothing_that_differs_is_read_nowhere(opa, store):
    assert store.difference("devices", texts("c", "b", "a", n=1), 0) == StoreDifference({}, [], 0, 3)
    assert not [request for request in opa.requests if request.method == "TEXT"]


def test_what_opa_writes_otherwise_is_equal_all_the_same(opa):
    store = store_on(opa)
    odd = resources(**{"<&>": {"x": "\u2028"}, 'é\\"': {"y": 1.5}})
    store.replace("devices", odd)
    shard, _ = layout.place(b'"<&>"')
    current(opa)["digests"][shard] = "0" * 64
    assert store.difference("devices", odd, None) == StoreDifference({}, [], 0, 2)


def test_a_bucket_of_equal_resources_has_the_text_that_opa_writes(opa, store, monkeypatch):
    """So it need not be read. Its ids are in the order of code points; that of their JSON texts is another."""
    ids = ("A69791", "A0", '"1177')
    ((shard, bucket),) = {layout.place(encode(id_)) for id_ in ids}
    store.replace("devices", texts(*ids))
    current(opa)["digests"][shard] = "0" * 64
    compared = []

    def differing(text, wanted):
        compared.append((text, wanted))
        return differing_buckets(text, wanted)

    monkeypatch.setattr(opa_compare, "differing_buckets", differing)
    assert store.difference("devices", texts(*ids), None) == StoreDifference({}, [], 0, 3)
    [(text, wanted)] = compared
    assert wanted.keys() == {bucket}
    assert differing_buckets(text, wanted) == {}


def test_of_what_differs_that_is_counted_which_is_not_there(store):
    wanted = prepare({**texts("a", n=2), **texts("b", "c", n=1), **texts("d", "e", "f", n=1)})
    difference = store.difference("devices", wanted, None)
    assert (len(difference.upserts), difference.added) == (4, 3)


def test_an_emptied_shard_differs(store):
    difference = store.difference("devices", prepare({}), None)
    assert (difference.upserts, sorted(difference.removals), difference.added) == ({}, [b'"a"', b'"b"', b'"c"'], 0)


def test_nothing_is_compared_before_all_was_pushed(opa):
    store = store_on(opa)
    assert store.difference("devices", texts("a"), None) is None
    opa.before = Once("PATCH", 1, fails(EngineUnreachableError("gone")))
    with pytest.raises(EngineUnreachableError):
        store.replace("devices", texts("a"))
    assert document(opa)["state"].get("current") is None
    assert store.difference("devices", texts("a"), None) is None
    with pytest.raises(UsageError):
        store.difference("users", texts("a"), None)


def of_different_shards(count):
    ids_by_shard = {}
    number = 0
    while len(ids_by_shard) < count:
        ids_by_shard.setdefault(layout.place(encode(f"i{number}"))[0], f"i{number}")
        number += 1
    return list(ids_by_shard.values())


def test_more_than_the_most_is_told_as_soon_as_it_is_certain(opa, store):
    ids = of_different_shards(3)
    store.replace("devices", {})
    assert len(store.difference("devices", texts(*ids), 3).upserts) == 3
    opa.requests.clear()
    assert store.difference("devices", texts(*ids), 2) is None
    assert sum(request.method == "TEXT" for request in opa.requests) == 3
    store.replace("devices", texts(*ids))
    opa.requests.clear()
    assert len(store.difference("devices", prepare({}), 3).removals) == 3
    assert store.difference("devices", prepare({}), 1) is None
    assert sum(request.method == "TEXT" for request in opa.requests) == 5
    assert store.difference("devices", texts(ids[0], n=7), 2) is None


def test_more_than_the_most_is_guessed_from_the_first_shards(opa, store):
    """Of 20 shards, each with one difference: after four, 20 are likely, and twice as many as told are too many."""
    ids = of_different_shards(20)
    store.replace("devices", {})
    for most, read in ((10, 11), (9, 4), (20, 20), (4, 4), (3, 4), (2, 3)):
        opa.requests.clear()
        difference = store.difference("devices", texts(*ids), most)
        assert (difference is None) == (most < 20)
        assert sum(request.method == "TEXT" for request in opa.requests) == read


def test_more_than_the_most_is_guessed_from_later_shards_too(opa, store):
    """Four shards of one difference each let 20 be guessed; then one of five lets 36 be guessed, and nine are there."""
    first, second, third, fourth, fifth, *others = sorted(
        of_different_shards(20), key=lambda id_: layout.place(encode(id_))
    )
    shard, _ = layout.place(encode(fifth))
    alike = [f"i{number}" for number in range(5_000) if layout.place(encode(f"i{number}"))[0] == shard][:5]
    store.replace("devices", {})
    opa.requests.clear()
    assert store.difference("devices", texts(first, second, third, fourth, *alike, *others), 10) is None
    assert sum(request.method == "TEXT" for request in opa.requests) == 5


def test_a_push_meanwhile_is_compared_anew(opa, store):
    def push():
        opa.after = lambda _: None
        store_on(opa).replace("devices", texts("x", "y"))

    opa.after = Once("TEXT", 1, push)
    difference = store.difference("devices", texts("x"), None)
    assert (difference.upserts.keys(), list(difference.removals), difference.before) == (set(), [b'"y"'], 2)


def test_a_change_behind_what_was_read_is_compared_anew(opa, store):
    def change():
        opa.after = lambda _: None
        store_on(opa).change("devices", texts("x", n=1), [])

    opa.after = Once("TEXT", 1, change)
    assert list(store.difference("devices", texts("a", "b", n=1), None).removals) != [b'"c"']


@pytest.mark.parametrize("read", ["TEXT", "digests"])
def test_others_that_change_always_are_an_end_after_five_times(opa, store, read):
    numbers = []

    def push(request):
        if request.method == read or request.path[-1] == read:
            numbers.append(len(numbers))
            opa.after = lambda _: None
            store_on(opa).replace("devices", texts(f"x{len(numbers)}", "y"))
            opa.after = push

    opa.after = push
    with pytest.raises(PushConflictError, match="others changed the resources of `devices` 5 times in a row"):
        store.difference("devices", texts("z"), None)
    assert len(numbers) == (5 if read == "digests" else len(numbers))


def test_a_generation_that_goes_meanwhile_is_no_bad_answer(opa, store):
    def push():
        opa.before = lambda _: None
        store_requests, opa.requests = opa.requests, []
        store_on(opa).replace("devices", texts("x", "y"))
        opa.requests = store_requests

    opa.before = Once("TEXT", 1, push)
    assert list(store.difference("devices", texts("x"), None).removals) == [b'"y"']
    looks = [request.fresh for request in opa.requests if request.path[1:] == ("devices", "state")]
    assert looks == [True, True, True, True, False]


def test_resources_that_go_meanwhile_are_lost(opa, store):
    opa.before = Once("TEXT", 1, opa.data.clear)
    with pytest.raises(ResourcesMissingError):
        store.difference("devices", texts("x"), None)


@pytest.mark.parametrize("digests", [7, [], "x"])
def test_digests_that_are_none_are_a_bad_answer(opa, store, digests):
    current(opa)["digests"] = digests
    with pytest.raises(
        InvalidResponseError, match="the digests of `devices` in OPA are not an object: push all of them again"
    ):
        store.difference("devices", texts("a"), None)
    del current(opa)["digests"]
    with pytest.raises(InvalidResponseError):
        store.difference("devices", texts("a"), None)


def test_a_shard_that_is_none_is_a_bad_answer(opa, store):
    shard, bucket = layout.place(b'"a"')
    current(opa)["digests"][shard] = None
    for broken in (7, {bucket: 7}, {bucket: {"a": 1, "b": []}, "x": []}):
        current(opa)["resources"][shard] = broken
        with pytest.raises(InvalidResponseError, match="not an object of objects"):
            store.difference("devices", texts("a", "b", "c", n=1), None)
    del current(opa)["resources"][shard]
    with pytest.raises(InvalidResponseError, match=f"OPA has no `{shard}` there"):
        store.difference("devices", texts("a", "b", "c", n=1), None)


def test_two_opas_are_told_apart():
    opas = [MemoryOpa(), MemoryOpa()]
    for one in opas:
        store_on(one).replace("devices", texts("a"))
    turns = iter(range(1_000))
    store = store_on(Several(opas, lambda *_: next(turns) % 2))
    with pytest.raises(MultipleStoresError):
        store.difference("devices", texts("a"), None)
    with pytest.raises(MultipleStoresError):
        store.recount("devices")
    with pytest.raises(MultipleStoresError):
        list(store.resources("devices"))


# --- recount


def test_what_is_whole_has_no_findings(opa, store):
    progress = []
    report = store.recount("devices", on_progress=progress.append)
    assert report == IntegrityReport((), 3, document(opa)["state"]["current"]["revision"])
    assert sum(progress) == 3
    assert len(progress) == 256
    assert set(progress) >= {0, 1}
    looks = [request.fresh for request in opa.requests if request.path[-1] == "state" and "devices" in request.path]
    assert looks == [True, True, True]


def test_nothing_is_counted_before_all_was_pushed(opa):
    store = store_on(opa)
    with pytest.raises(ResourcesMissingError, match="OPA has no pushed resources of `devices`"):
        store.recount("devices")
    opa.before = Once("PATCH", 1, fails(EngineUnreachableError("gone")))
    with pytest.raises(EngineUnreachableError):
        store.replace("devices", texts("a"))
    with pytest.raises(ResourcesMissingError):
        store.recount("devices")


def findings(store):
    return list(store.recount("devices").findings)


def test_what_a_push_has_left_is_found(opa, store):
    document(opa)["state"]["leases"]["m1"] = {"generation": "g1", "heartbeats": 0}
    assert findings(store) == ["a push that never ended has left the generation `g1`"]


@pytest.mark.parametrize(("count", "said"), [(1_234, "1,234"), (2, "2")])
def test_another_number_is_found_and_looked_at_again(opa, store, count, said):
    document(opa)["state"]["current"]["count"] = count
    opa.requests.clear()
    assert findings(store) == [f"there are 3 resources, but the state says {said}"]
    assert sum(request.path[-1] == "state" and request.path[1] == "devices" for request in opa.requests) == 2 + 8 + 1


@pytest.mark.parametrize("part", ["digests", "postings", "large"])
@pytest.mark.parametrize("value", [7, [], None])
def test_what_has_not_the_form_is_found(opa, store, part, value):
    current(opa)[part] = value
    assert findings(store) == [
        f"the stored data does not have the form of this layout: TypeError {part} is not an object"
    ]
    document(opa)["state"]["current"]["count"] = 5
    assert len(findings(store)) == 1


@pytest.mark.parametrize(
    ("error", "break_it"),
    [
        ("TypeError s00 is not an object", lambda generation: generation["resources"].update(s00=7)),
        ("AttributeError", lambda generation: generation["resources"]["s00"].update(b00=7)),
        ("KeyError", lambda generation: generation["large"][layout.ALL].pop("size")),
        ("KeyError", lambda generation: generation["large"].update(p00={"size": 0})),
        ("IndexError", lambda generation: generation["large"][layout.ALL].update(firsts=[[""], []])),
        ("MalformedInputError", lambda generation: generation["large"][layout.ALL].update(pages=[DEEP])),
        ("MalformedInputError", lambda generation: generation["resources"]["s00"].update(b00={"a": DEEP})),
    ],
)
def test_what_is_broken_inside_is_found(opa, store, error, break_it):
    break_it(current(opa))
    (finding,) = findings(store)
    assert finding.startswith(f"the stored data does not have the form of this layout: {error}")


def test_what_changes_meanwhile_must_be_counted_again(opa, store):
    opa.after = Once("GET", 20, lambda: store_on(opa).change("devices", texts("x"), []))
    with pytest.raises(StaleResourcesError, match="`devices` changed during the check: check again"):
        store.recount("devices")


def test_a_store_that_is_gone_is_no_more_what_it_was(opa, store):
    """Outside of an operation, where a look does not raise by itself."""
    state = store.look("devices")
    assert store._documents.is_unchanged("devices", state) is True
    del opa.data["root"]["devices"]
    assert store._documents.is_unchanged("devices", state) is False


def test_a_finding_that_several_opas_have_made_is_told_so():
    opas = [MemoryOpa(), MemoryOpa()]
    store_on(opas[0]).replace("devices", texts("a"))
    opas[1].data = parse(encode(opas[0].data))
    document(opas[0])["state"]["current"]["count"] = 2
    store_on(opas[1]).replace("devices", texts("b"))
    document(opas[1])["state"]["store"] = document(opas[1])["state"]["current"]["store"] = "other"
    looks = []

    def turn(_, fresh):
        looks.append(fresh)
        return int(len(looks) > 265 and len(looks) % 2)

    with pytest.raises(MultipleStoresError):
        store_on(Several(opas, turn)).recount("devices")
