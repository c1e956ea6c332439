"""Changes of some resources on an OPA in memory, whatever comes in between."""

from __future__ import annotations

import pytest
from memory_opa import (
    ROOT,
    TYPES,
    MemoryOpa,
    Once,
    Several,
    document,
    fails,
    ids,
    refused,
    store_on,
    texts,
)
from recounting import whole

from bridge.errors import (
    EngineUnreachableError,
    ForeignContentError,
    InvalidResponseError,
    MultipleStoresError,
    OpaStatusError,
    PushConflictError,
    PushRejectedError,
    ResourcesMissingError,
    UnsupportedLayoutError,
    UsageError,
)
from bridge.store import OpaStore, layout, opa_change
from bridge.store.store import ChangeReport, prepare
from bridge.strict_json import encode, parse

ELSEWHERE = "what is written to `devices` is not there when it is read again"


@pytest.fixture
def store(opa):
    new_store = store_on(opa)
    new_store.replace("devices", texts("a", "b", n=1))
    opa.requests.clear()
    return new_store


def saying(answer):
    """Rules that say so, whatever they are asked."""
    return lambda _, **_settings: answer


def methods(opa):
    return [request.method + " fresh" * request.fresh for request in opa.requests]


def keys(*ids):
    return [encode(id_) for id_ in ids]


def test_a_change_is_one_patch_after_two_new_connections(opa, store):
    before = document(opa)["state"]["current"]
    changed = store.change("devices", texts("b", "c", n=2), keys("a", "x", "b", "x"))
    assert changed == ChangeReport(added=1, changed=1, removed=1, unchanged=0, absent=1, revision=changed.revision)
    assert ids(opa) == ["b", "c"]
    assert int(changed.revision) > int(before["revision"])
    now = document(opa)["state"]["current"]
    assert now == {**before, "revision": changed.revision}
    assert methods(opa) == ["HELD fresh", "HELD fresh", "PATCH"]
    assert parse(opa.requests[0].body) == {"type": "devices", "changes": []}


def test_within_one_operation_new_connections_are_asked_once(opa, store):
    operation = store.operation()
    assert operation.operation()._documents is operation._documents
    operation.change("devices", texts("c"), [])
    opa.requests.clear()
    operation.change("devices", texts("d"), keys("c"))
    assert methods(opa) == ["HELD", "PATCH"]
    assert ids(opa) == ["a", "b", "d"]
    store.change("devices", texts("e"), [])
    assert methods(opa)[2:] == ["HELD fresh", "HELD fresh", "PATCH"]


def test_a_count_goes_up_and_down(opa, store):
    for upserts, removals, count in ((texts("c", "d"), (), 4), ({}, keys("c"), 3), (texts("c"), keys("d"), 3)):
        store.change("devices", upserts, removals)
        assert document(opa)["state"]["current"]["count"] == count
        assert len(ids(opa)) == count


def test_a_change_of_nothing_sends_nothing(opa, store):
    revision = document(opa)["state"]["current"]["revision"]
    changed = store.change("devices", texts("a", n=1), keys("x"))
    assert changed == ChangeReport(added=0, changed=0, removed=0, unchanged=1, absent=1, revision=revision)
    assert "PATCH" not in methods(opa)


def test_a_store_without_rules_is_changed_as_a_whole_alone(opa):
    store = OpaStore(opa, ROOT, TYPES)
    store.replace("devices", texts("a"))
    with pytest.raises(
        UsageError, match=r"this store has no rules, which a change needs: push all, or use `OpaEngine\.store`"
    ):
        store.change("devices", texts("b"), [])
    with pytest.raises(UsageError, match="`users`"):
        store.change("users", texts("b"), [])


def test_nothing_is_changed_before_all_was_pushed(opa):
    store = store_on(opa)
    with pytest.raises(ResourcesMissingError, match="OPA has no pushed resources of `devices`: push all of them"):
        store.change("devices", texts("a"), [])
    store.replace("sessions", texts("s"))
    opa.requests.clear()
    with pytest.raises(ResourcesMissingError):
        store.change("devices", texts("a"), [])
    assert "PUT" not in methods(opa)


def test_a_later_layout_is_neither_read_nor_written(opa, store):
    document(opa)["state"]["layout"] = 2
    with pytest.raises(UnsupportedLayoutError):
        store.change("devices", texts("c"), [])
    assert "PATCH" not in methods(opa)


@pytest.mark.usefixtures("store")
def test_a_document_that_no_bridge_wrote_is_named(opa):
    opa.data["root"]["devices"] = {"state": {"layout": 1, "x": 1}}
    held = {"current": {"devices": {"x": 1}}}
    with pytest.raises(ForeignContentError):
        OpaStore(opa, ROOT, TYPES, saying(held)).change("devices", texts("c"), [])


@pytest.mark.parametrize("current", [None, 7, [], "x", {"devices": 7}, {"devices": None}, {"sessions": {}}])
@pytest.mark.usefixtures("store")
def test_an_answer_that_names_nothing_current_is_a_loss(opa, current):
    with pytest.raises(ResourcesMissingError, match="no pushed resources"):
        OpaStore(opa, ROOT, TYPES, saying({"current": current})).change("devices", texts("c"), [])
    assert ids(opa) == ["a", "b"]


@pytest.mark.usefixtures("store")
def test_a_current_that_is_not_whole_is_a_bad_answer(opa):
    held = {"current": {"devices": {"revision": "7"}}}
    with pytest.raises(InvalidResponseError, match="not written by a bridge"):
        OpaStore(opa, ROOT, TYPES, saying(held)).change("devices", texts("c"), [])


def test_too_much_for_one_patch_is_refused(opa, store, monkeypatch):
    # One resource in no posting: its bucket, its digest, and the page and the number of all ids.
    upserts = texts("c")
    monkeypatch.setattr(opa_change, "_MOST_OPERATIONS", 4)
    store.change("devices", upserts, [])
    monkeypatch.setattr(opa_change, "_MOST_OPERATIONS", 3)
    opa.requests.clear()
    with pytest.raises(PushRejectedError) as raised:
        store.change("devices", texts("d"), keys("x"))
    assert str(raised.value) == (
        "nothing was changed: 2 resources at once take 4 operations, more than 3; change fewer at once, or sync"
    )
    assert "PATCH" not in methods(opa)
    assert ids(opa) == ["a", "b", "c"]


def test_a_thousand_operations_are_the_most_of_one_patch(opa, store):
    """What the bound counts is what the change does below its generation; three more operations make it current."""
    places, ids_ = set(), []
    for id_ in (f"i{number}" for number in range(10_000)):
        new = {(layout.place(encode(id_))[0],), layout.place(encode(id_))} - places
        # An operation for each bucket, shard and posting; eight for the pages of all ids.
        if len(places) + len(new) <= 991:
            places |= new
            ids_.append(id_)
    assert len(places) == 991
    with pytest.raises(PushRejectedError, match="take 1,001 operations, more than 1,000"):
        store.change("devices", prepare({**texts(*ids_[1:]), **texts(ids_[0], m=1, n=2)}), [])
    opa.requests.clear()
    store.change("devices", prepare({**texts(*ids_[1:]), **texts(ids_[0], m=1)}), [])
    [patch] = [request for request in opa.requests if request.method == "PATCH"]
    assert len(parse(patch.body)) == 3 + 1_000


# --- others that change


@pytest.mark.parametrize("times", [1, 4])
def test_a_change_that_others_come_before_is_worked_out_anew_on_new_connections(opa, store, times):
    others = []

    def overtake(request):
        if request.method == "PATCH" and len(others) < times:
            others.append(f"o{len(others)}")
            opa.before = lambda _: None
            store_on(opa).change("devices", texts(others[-1], n=1), [])
            opa.before = overtake

    opa.before = overtake
    store.change("devices", texts("c", n=1), keys("a"))
    assert ids(opa) == sorted(["b", "c", *others])
    own = [request for request in opa.requests if request.method == "HELD" and b'"c"' in request.body]
    assert [request.fresh for request in own] == [True] * (times + 1)


def test_a_change_that_others_always_come_before_changes_nothing(opa, store):
    others = []

    def overtake(request):
        if request.method == "PATCH":
            others.append(f"o{len(others)}")
            opa.before = lambda _: None
            store_on(opa).change("devices", texts(others[-1]), [])
            opa.before = overtake

    opa.before = overtake
    with pytest.raises(
        PushConflictError, match="others changed `devices` 5 times in between: nothing was changed; try again"
    ):
        store.change("devices", texts("c"), keys("a"))
    assert len(others) == 5
    opa.before = lambda _: None
    assert ids(opa) == sorted(["a", "b", *others])


def test_a_push_in_between_is_found_out(opa, store):
    def overtake():
        opa.before = lambda _: None
        store_on(opa).replace("devices", texts("x"))

    opa.before = Once("PATCH", 1, overtake)
    store.change("devices", texts("c"), keys("a"))
    assert ids(opa) == ["c", "x"]


@pytest.mark.parametrize("error", [refused(403), refused(500), EngineUnreachableError("down")])
def test_what_opa_refuses_is_raised_and_nothing_has_changed(opa, store, error):
    opa.before = Once("PATCH", 1, fails(error))
    with pytest.raises(type(error)) as raised:
        store.change("devices", texts("c"), [])
    assert raised.value is error
    assert methods(opa).count("PATCH") == 1
    assert ids(opa) == ["a", "b"]


def test_an_answer_that_is_lost_does_not_hide_what_was_done(opa, store):
    opa.after = Once("PATCH", 1, fails(EngineUnreachableError("lost")))
    changed = store.change("devices", texts("c"), [])
    assert ids(opa) == ["a", "b", "c"]
    assert document(opa)["state"]["current"]["revision"] == changed.revision


def test_revisions_never_go_back_whatever_opa_has_lost(opa, store, monkeypatch):
    monkeypatch.setattr("bridge.store.store.time.time_ns", lambda: 0)
    first = int(store.change("devices", texts("c"), []).revision)
    assert int(store.change("devices", texts("d"), []).revision) == first + 1
    opa.data.clear()
    assert int(store.replace("devices", texts("a"))) == first + 2


def test_revisions_go_on_from_what_is_there_and_from_what_was_made_here(opa, store, monkeypatch):
    monkeypatch.setattr("bridge.store.store.time.time_ns", lambda: 5_000)
    last = int(document(opa)["state"]["current"]["revision"])
    assert int(store_on(opa).change("devices", texts("c"), []).revision) == last + 1
    assert int(store.change("devices", texts("d"), []).revision) == last + 2
    opa.data.clear()
    assert store_on(opa).replace("devices", texts("a")) == "5"
    assert int(store.change("devices", texts("b"), []).revision) == last + 3


def test_resources_that_are_not_ready_are_made_ready(opa, store):
    store.change("devices", {b'"c"': b'{"id":"c","custom_data":{"n":1}}'}, keys("a", "a"))
    assert ids(opa) == ["b", "c"]


def test_an_opa_that_was_restarted_meanwhile_is_told(opa, store):
    opa.before = Once("HELD", 2, opa.data.clear)
    with pytest.raises(ResourcesMissingError):
        store.change("devices", texts("c"), [])


# --- what is stored is not whole


@pytest.mark.usefixtures("store")
def test_what_is_not_whole_is_told_where_patches_fail(opa):
    """The document of the current generation lacks the place that the patch adds to."""
    for shards in ("digests", "resources"):
        del document(opa)["generations"][document(opa)["state"]["current"]["generation"]][shards]
    view = {"buckets": {}, "digests": {}, "small": {}, "large": {}}
    held = opa.held(TYPES, ROOT)

    def answer(question, *, fresh):
        reply = held(parse_without_changes(question), fresh=fresh)
        shard, bucket = layout.place(b'"c"')
        reply["view"] = {
            **view,
            "buckets": {f"{shard}/{bucket}": {}},
            "digests": {shard: "0" * 64},
            "large": {layout.ALL: {"size": 2, "places": {"c": "0"}, "pages": {"0": ["a", "b"]}}},
        }
        return reply

    opa.requests.clear()
    before = encode(opa.data)
    with pytest.raises(
        InvalidResponseError,
        match="the resources of `devices` in OPA are damaged and cannot be changed: push all of them again",
    ):
        OpaStore(opa, ROOT, TYPES, answer).change("devices", texts("c"), [])
    assert encode(opa.data) == before
    patches = [parse(request.body) for request in opa.requests if request.method == "PATCH"]
    assert len(patches) == 6
    revision = f"/state/revisions/r{document(opa)['state']['current']['revision']}"
    assert patches[-1] == [{"op": "remove", "path": revision}, {"op": "add", "path": revision, "value": True}]
    # Whoever finds that out looks eight times whether there are several.
    assert methods(opa).count("GET fresh") == 8


def parse_without_changes(question):
    return encode({**parse(question), "changes": []})


@pytest.mark.parametrize("status", [403, 500])
def test_a_refusal_while_that_is_found_out_is_raised(opa, store, status):
    name = document(opa)["state"]["current"]["revision"]
    del document(opa)["state"]["revisions"][f"r{name}"]
    document(opa)["state"]["revisions"]["r9"] = True
    opa.before = Once("PATCH", 6, fails(refused(status)))
    with pytest.raises(OpaStatusError) as raised:
        store.change("devices", texts("c"), [])
    assert raised.value.status == status


def test_where_the_revision_is_not_there_to_be_written_it_is_written_elsewhere(opa, store):
    name = document(opa)["state"]["current"]["revision"]
    del document(opa)["state"]["revisions"][f"r{name}"]
    document(opa)["state"]["revisions"]["r9"] = True
    with pytest.raises(MultipleStoresError, match=ELSEWHERE):
        store.change("devices", texts("c"), [])
    assert methods(opa)[-1] == "GET fresh"


@pytest.mark.parametrize("meanwhile", ["changed", "gone"])
def test_where_it_has_changed_just_then_others_came_in_between(opa, store, meanwhile):
    name = document(opa)["state"]["current"]["revision"]
    document(opa)["state"]["revisions"] = {"r9": True}

    def change():
        if meanwhile == "changed":
            document(opa)["state"]["current"]["revision"] = "77"
        elif meanwhile == "gone":
            document(opa)["state"]["revisions"] = {f"r{name}": True}
            opa.after = lambda _: None
            store_on(opa).change("devices", texts("other"), [])

    opa.after = lambda _: None
    opa.before = Once("PATCH", 6, change)
    with pytest.raises(PushConflictError, match="5 times in between"):
        store.change("devices", texts("c"), [])


# --- several OPAs


def copies():
    opas = [MemoryOpa(), MemoryOpa()]
    store_on(opas[0]).replace("devices", texts("a", "b", n=1))
    opas[1].data = parse(encode(opas[0].data))
    return opas


def test_two_opas_in_turn_are_told_before_anything_is_written():
    opas = [MemoryOpa(), MemoryOpa()]
    for opa in opas:
        store_on(opa).replace("devices", texts("a"))
    turns = iter(range(1_000))
    with pytest.raises(MultipleStoresError):
        store_on(Several(opas, lambda *_: next(turns) % 2)).change("devices", texts("c"), [])
    for opa in opas:
        assert ids(opa) == ["a"]


def test_what_the_first_of_two_new_connections_finds_counts_as_well():
    opas = [MemoryOpa(), MemoryOpa()]
    for opa in opas:
        store_on(opa).replace("devices", texts("a"))
    turns = []

    def turn(*_):
        turns.append(True)
        return int(len(turns) > 1)

    with pytest.raises((MultipleStoresError, ResourcesMissingError)):
        store_on(Several(opas, turn)).change("devices", texts("c"), [])
    assert [ids(opa) for opa in opas] == [["a"], ["a"]]


def test_the_stores_of_other_types_count_as_well():
    opas = copies()
    for opa in opas:
        store_on(opa).replace("sessions", texts("s"))
    turns = []

    def turn(*_):
        turns.append(True)
        return int(len(turns) > 1)

    with pytest.raises((MultipleStoresError, ResourcesMissingError)):
        store_on(Several(opas, turn)).change("devices", texts("c"), [])
    assert [ids(opa) for opa in opas] == [["a", "b"], ["a", "b"]]


def test_a_writer_and_a_reader_are_told_apart():
    """The writer has gone on since they were alike."""
    opas = copies()
    store_on(opas[1]).change("devices", texts("c"), [])
    several = Several(opas, lambda name, _: int(name == "patch_data"))
    with pytest.raises(MultipleStoresError, match=ELSEWHERE):
        store_on(several).change("devices", texts("d"), [])
    assert (ids(opas[0]), ids(opas[1])) == (["a", "b"], ["a", "b", "c"])


def test_a_second_opa_without_resources_is_told():
    opas = [*copies()[:1], MemoryOpa()]
    turns = iter(range(1_000))
    with pytest.raises((MultipleStoresError, ResourcesMissingError)):
        store_on(Several(opas, lambda *_: next(turns) % 2)).change("devices", texts("c"), [])
    assert ids(opas[0]) == ["a", "b"]
    assert opas[1].data == {}


# --- large postings


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr(layout, "PAGE", 2)
    monkeypatch.setattr(layout, "SMALL", 1)
    monkeypatch.setattr(layout, "BLOCK", 2)


@pytest.mark.usefixtures("small_pages")
def test_first_ids_are_read_where_a_page_must_be_divided(opa):
    store = store_on(opa)
    store.replace("devices", texts(*(f"d{number}" for number in range(5)), n=1))
    opa.requests.clear()
    store.change("devices", texts("d11", "d12", "d13", "d14", '"', n=1), [])
    assert len(ids(opa)) == 10
    reads = [request.path[2:] for request in opa.requests if request.method == "GET"]
    assert sorted(path[-1] for path in reads) == ["firsts"] * len(reads)
    assert len(reads) == 2
    store.change("devices", texts(*(f"d2{number}" for number in range(9)), n=1), keys("d12"))
    assert len(ids(opa)) == 18


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("firsts", [7, {}, "x", [1], ["a"], [[], 1]])
def test_first_ids_that_are_none_are_a_bad_answer(opa, firsts):
    store = store_on(opa)
    store.replace("devices", texts(*(f"d{number}" for number in range(5))))
    current = document(opa)["generations"][document(opa)["state"]["current"]["generation"]]

    def before(request):
        if request.path[-1] == "firsts":
            current["large"][layout.ALL]["firsts"] = firsts

    opa.before = before
    with pytest.raises(
        InvalidResponseError, match="the first ids of pages in OPA are not arrays of ids: push all resources again"
    ):
        store.change("devices", texts("d11", "d12", "d13", "d14"), [])
    assert methods(opa)[-1] == "GET"


@pytest.mark.usefixtures("small_pages")
def test_first_ids_that_are_gone_are_those_of_a_generation_that_is_gone(opa):
    store = store_on(opa)
    store.replace("devices", texts(*(f"d{number}" for number in range(5))))

    def overtake():
        opa.after = lambda _: None
        store_on(opa).replace("devices", texts("x"))

    opa.after = Once("HELD", 2, overtake)
    store.change("devices", texts("d11", "d12", "d13", "d14"), [])
    assert ids(opa) == ["d11", "d12", "d13", "d14", "x"]


def test_resources_are_read_shard_by_shard(opa, store):
    assert list(store.resources("sessions")) == []
    shards = list(store.resources("devices"))
    assert len(shards) == 256
    assert {id_: value for shard in shards for id_, value in shard.items()} == whole(document(opa))
    large = [request for request in opa.requests if request.method == "GET" and request.path[-1] != "state"]
    assert {request.deadline for request in large} == {70.0}
    with pytest.raises(UsageError):
        list(store.resources("users"))


@pytest.mark.parametrize("shard", [7, [], "x", {"b00": 7}, {"b00": []}])
def test_a_shard_that_is_none_is_a_bad_answer(opa, store, shard):
    current = document(opa)["generations"][document(opa)["state"]["current"]["generation"]]
    current["resources"]["s07"] = shard
    with pytest.raises(
        InvalidResponseError, match="the shard `s07` in OPA is not an object of objects: push all resources again"
    ):
        list(store.resources("devices"))
    del current["resources"]["s07"]
    with pytest.raises(InvalidResponseError):
        list(store.resources("devices"))


def test_an_empty_change_is_prepared_as_any(opa, store):
    assert prepare({}) == {}
    assert store.change("devices", {}, ()).revision == document(opa)["state"]["current"]["revision"]
