"""Pushes to an OPA in memory: what is sent, and what they leave whatever fails."""

from __future__ import annotations

import pytest
from memory_opa import (
    ROOT,
    Once,
    document,
    fails,
    ids,
    lines,
    refused,
    store_on,
    texts,
)
from recounting import recounted

from bridge.errors import (
    EngineUnreachableError,
    InvalidResponseError,
    OpaStatusError,
    ResourcesMissingError,
    UsageError,
)
from bridge.store import OpaStore, patches
from bridge.store.state import TypeState
from bridge.strict_json import ABSENT, parse

DEVICES = ("root", "devices")


def operations(opa):
    return [parse(request.body) for request in opa.requests if request.method == "PATCH"]


# What a push does


def test_a_first_push_asks_of_all_types_twice_makes_the_document_and_fills_it(opa, store):
    progress = []
    revision = store.replace("devices", texts("a", "b", n=1), on_progress=progress.append)
    assert ids(opa) == ["a", "b"]
    assert document(opa)["state"]["current"]["revision"] == revision
    assert sum(progress) == 2
    look = "GET devices/state fresh"
    assert lines(opa) == [
        *["GET sessions/state fresh"] * 2,
        *[look] * 2,
        "POLICIES ",
        "PUT devices",
        *[look] * 2,  # what was agreed on is no more once the document is made
        "PATCH devices",
        look,
        *["PATCH devices"] * 2,
    ]


def test_a_push_replaces_what_was_there_and_its_generation_goes(opa, store):
    first = store.replace("devices", texts("a", "b"))
    generation_ = document(opa)["state"]["current"]["generation"]
    name = document(opa)["state"]["store"]
    opa.requests.clear()
    second = store.replace("devices", texts("b", "c"))
    assert ids(opa) == ["b", "c"]
    assert int(second) > int(first)
    assert document(opa)["state"]["store"] == name
    assert generation_ not in document(opa)["generations"]
    assert "PUT devices" not in lines(opa)
    store.replace("sessions", texts("s"))
    assert ids(opa) == ["b", "c"]


def test_a_push_of_nothing_counts(opa, store):
    assert not store.is_pushed("devices")
    assert store.look("devices") is None
    store.replace("devices", {})
    assert store.is_pushed("devices")
    assert ids(opa) == []
    assert not store.is_pushed("sessions")


def test_a_type_that_was_begun_and_not_ended_is_not_pushed(opa, store):
    opa.before = Once("PATCH", 1, fails(EngineUnreachableError("gone")))
    with pytest.raises(EngineUnreachableError):
        store.replace("devices", texts("a"))
    assert store.look("devices") is not None
    assert store.look("devices").revision is None
    assert not store.is_pushed("devices")


def test_each_part_says_that_the_push_is_alive(opa, store, monkeypatch):
    monkeypatch.setattr(patches, "_PART", 1)
    beats = []
    opa.after = lambda request: (
        request.method == "PATCH"
        and beats.append([mark["heartbeats"] for mark in document(opa)["state"]["leases"].values()])
    )
    progress = []
    store.replace("devices", texts("a", "b", "c"), on_progress=progress.append)
    assert beats[:4] == [[0], [-1], [-2], [-3]]
    assert beats[-1] == []
    assert len(progress) == len(beats) - 2
    assert sum(progress) == 3


def test_what_pushes_that_never_ended_have_left_is_removed_and_told(opa, store, caplog):
    store.replace("devices", texts("a"))
    for number in range(2):
        document(opa)["state"]["leases"][f"m{number}"] = {"generation": f"g{number}", "heartbeats": 0}
        document(opa)["generations"][f"g{number}"] = {"resources": {}}
    store.replace("devices", texts("b"))
    assert ids(opa) == ["b"]
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("bridge", "removed the remains of 2 pushes of `devices` that never ended")
    ]
    caplog.clear()
    store.replace("devices", texts("c"))
    assert not caplog.records


def test_a_type_that_is_not_known(store):
    for call in (lambda type_: store.replace(type_, {}), store.look):
        with pytest.raises(UsageError, match="`users` is not one of the resource types"):
            call("users")
        with pytest.raises(UsageError, match=r'`"users\\u001b"` is not one'):
            call("users\x1b")


def test_types_are_those_that_a_store_was_made_with(opa):
    types = ["devices"]
    store = OpaStore(opa, ROOT, types)
    types.append("users")
    with pytest.raises(UsageError, match="`users` is not one of the resource types"):
        store.look("users")


def test_the_resources_of_a_type_are_read_shard_by_shard(opa, store):
    assert list(store.resources("devices")) == []
    opa.before = Once("PATCH", 1, fails(EngineUnreachableError("gone")))
    with pytest.raises(EngineUnreachableError):
        store.replace("devices", texts("a"))
    assert list(store.resources("devices")) == []
    wanted = [f"i{number}" for number in range(600)]  # more than there are shards
    store.replace("devices", texts(*wanted))
    shards = list(store.resources("devices"))
    assert len(shards) == 256
    resources = {id_: value for shard in shards for id_, value in shard.items()}
    assert resources == {id_: {"custom_data": {}, "id": id_} for id_ in wanted}


@pytest.mark.parametrize("shard", [7, [], None, {"b00": 7}, {"b00": {}, "b01": []}])
def test_a_shard_that_is_none_is_a_bad_answer(opa, store, shard):
    store.replace("devices", texts("a"))
    generation_ = document(opa)["generations"][document(opa)["state"]["current"]["generation"]]
    generation_["resources"]["s07"] = shard
    with pytest.raises(
        InvalidResponseError, match="the shard `s07` in OPA is not an object of objects: push all resources again"
    ):
        list(store.resources("devices"))
    del generation_["resources"]["s07"]
    with pytest.raises(InvalidResponseError, match="`s07`"):
        list(store.resources("devices"))


# What may fail


@pytest.mark.parametrize(
    "error", [EngineUnreachableError("gone"), refused(400), refused(403), refused(500), KeyboardInterrupt()]
)
@pytest.mark.parametrize("number", [2, 3])
def test_a_push_that_fails_takes_its_generation_away_and_leaves_what_was_there(opa, store, error, number):
    store.replace("devices", texts("a"))
    opa.before = Once("PATCH", number, fails(error))
    with pytest.raises(type(error)) as raised:
        store.replace("devices", texts("b"))
    assert raised.value is error
    assert ids(opa) == ["a"]


def test_a_push_that_cannot_even_take_away_what_it_has_left_raises_what_came_first(opa, store):
    store.replace("devices", texts("a"))
    down = []

    def before(request):
        if request.method == "PATCH" and (down or Once.__call__(second, request) or down):
            raise EngineUnreachableError("down")

    second = Once("PATCH", 2, lambda: down.append(True))
    opa.before = before
    with pytest.raises(EngineUnreachableError, match="down"):
        store.replace("devices", texts("b"))
    stored = document(opa)
    assert len(stored["state"]["leases"]) == 1
    assert sorted(recounted(stored["generations"][stored["state"]["current"]["generation"]])) == ["a"]
    opa.before = lambda _: None
    store.replace("devices", texts("c"))
    assert ids(opa) == ["c"]


@pytest.mark.parametrize("status", [400, 403, 409, 500])
def test_a_refusal_to_begin_is_raised_at_once(opa, store, status):
    store.replace("devices", texts("a"))
    opa.requests.clear()
    opa.before = lambda request: request.method == "PATCH" and fails(refused(status))()
    with pytest.raises(OpaStatusError) as raised:
        store.replace("devices", texts("b"))
    assert raised.value.status == status
    assert lines(opa).count("PATCH devices") == 1
    assert ids(opa) == ["a"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("first", [True, False])
def test_the_answer_to_the_last_request_may_be_lost(opa, store, when, first):
    if not first:
        store.replace("devices", texts("a"))
    setattr(opa, when, Once("PATCH", 3, fails(EngineUnreachableError("lost"))))
    if when == "after":
        revision = store.replace("devices", texts("b"))
        assert ids(opa) == ["b"]
        assert document(opa)["state"]["current"]["revision"] == revision
        return
    with pytest.raises(EngineUnreachableError):
        store.replace("devices", texts("b"))
    assert document(opa)["state"]["leases"] == {}
    assert store.is_pushed("devices") is not first


def test_a_lost_answer_is_no_success_where_another_push_made_the_same_revision(opa, store, monkeypatch):
    store.replace("devices", texts("a"))
    revision = "9" * 20
    monkeypatch.setattr("bridge.store.opa_documents.next_revision", lambda _: revision)

    def overtake():
        opa.before = opa.after = lambda _: None
        store_on(opa).replace("devices", texts("other"))
        raise EngineUnreachableError("lost")

    opa.before = Once("PATCH", 3, overtake)
    with pytest.raises(EngineUnreachableError):
        store.replace("devices", texts("b"))
    assert ids(opa) == ["other"]


def test_a_lost_answer_is_none_where_opa_cannot_be_read_either(opa, store):
    def down():
        opa.before = fails_at("GET")
        raise EngineUnreachableError("lost")

    def fails_at(method):
        def before(request):
            if request.method == method:
                raise EngineUnreachableError("also down")

        return before

    opa.after = Once("PATCH", 3, down)
    with pytest.raises(EngineUnreachableError, match="lost"):
        store.replace("devices", texts("b"))


# An OPA that loses what it has


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_opa_restarted_in_the_middle_has_nothing_or_all(opa, store, number, when):
    store.replace("devices", texts("a"))
    setattr(opa, when, Once("PATCH", number, opa.data.clear))
    if (number, when) == (1, "before"):
        with pytest.raises(ResourcesMissingError, match="lost the resources of `devices`"):
            store.replace("devices", texts("b"))
    elif (number, when) == (3, "after"):
        store.replace("devices", texts("b"))
    else:
        with pytest.raises(ResourcesMissingError):
            store.replace("devices", texts("b"))
    assert opa.get_data(DEVICES) is ABSENT
    store.replace("devices", texts("c"))
    assert ids(opa) == ["c"]


def test_revisions_never_go_back_whatever_opa_has_lost(opa, store, monkeypatch):
    monkeypatch.setattr("bridge.store.store.time.time_ns", lambda: 5_000_000)
    assert store.replace("devices", texts("a")) == "5000"
    assert store.replace("devices", texts("a")) == "5001"
    opa.data.clear()
    assert store.replace("devices", texts("a")) == "5002"
    assert store.replace("sessions", texts("a")) == "5000"
    other = store_on(opa)
    other.share_revisions(store)
    opa.data.clear()
    assert other.replace("devices", texts("a")) == "5003"
    opa.data.clear()
    assert store.replace("devices", texts("a")) == "5004"
    document(opa)["state"]["current"]["revision"] = "10000"
    document(opa)["state"]["revisions"] = {"r10000": True}
    assert store.replace("devices", texts("a")) == "10001"
    document(opa)["state"]["current"]["revision"] = "9"
    document(opa)["state"]["revisions"] = {"r9": True}
    assert store.replace("devices", texts("a")) == "10002"


def test_the_deadline_of_a_patch_grows_with_its_size(opa, store):
    store.replace("devices", texts("a"))
    patches = [request for request in opa.requests if request.method == "PATCH"]
    assert [request.deadline for request in patches] == [10 + len(request.body) / 2_000_000 for request in patches]
    assert TypeState.read("devices", document(opa)["state"]).leases == {}
