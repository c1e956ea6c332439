"""Pushes to an OPA in memory: what is sent, and what they leave whatever comes in between."""

from __future__ import annotations

import json
import threading

import pytest
from memory_opa import ROOT, TYPES, MemoryOpa, Once, Several, fails, refused, store_on, texts
from stored import recounted, whole

from bridge.errors import (
    EngineUnreachableError,
    ForeignContentError,
    InvalidResponseError,
    MultipleStoresError,
    OpaStatusError,
    PushConflictError,
    ResourcesMissingError,
    UnsupportedLayoutError,
    UsageError,
)
from bridge.opa.replies import StoredPolicy
from bridge.store import OpaStore, generation, opa_push
from bridge.store.state import TypeState
from bridge.strict_json import ABSENT, encode, parse

DEVICES = ("root", "devices")


@pytest.fixture
def opa():
    return MemoryOpa()


@pytest.fixture
def store(opa):
    return store_on(opa)


def document(opa):
    return opa.data["root"]["devices"]


def ids(opa):
    return sorted(whole(document(opa)))


def lines(opa):
    return [f"{request.method} {'/'.join(request.path[1:])}{' fresh' * request.fresh}" for request in opa.requests]


def operations(opa):
    return [parse(request.body) for request in opa.requests if request.method == "PATCH"]


# --- what a push does


def test_a_first_push_asks_of_all_types_twice_makes_the_document_and_fills_it(opa, store):
    told = []
    revision = store.replace("devices", texts("a", "b", n=1), on_progress=told.append)
    assert ids(opa) == ["a", "b"]
    assert document(opa)["state"]["current"]["revision"] == revision
    assert sum(told) == 2
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
    monkeypatch.setattr(generation, "_PART", 1)
    beats = []
    opa.after = lambda request: (
        request.method == "PATCH"
        and beats.append([mark["heartbeats"] for mark in document(opa)["state"]["leases"].values()])
    )
    told = []
    store.replace("devices", texts("a", "b", "c"), on_progress=told.append)
    assert beats[:4] == [[0], [-1], [-2], [-3]]
    assert beats[-1] == []
    assert len(told) == len(beats) - 2
    assert sum(told) == 3


def test_what_pushes_that_never_ended_have_left_is_removed_and_told(opa, store, caplog):
    store.replace("devices", texts("a"))
    for number in range(2):
        document(opa)["state"]["leases"][f"m{number}"] = {"generation": f"g{number}", "heartbeats": 0}
        document(opa)["generations"][f"g{number}"] = {"resources": {}}
    store.replace("devices", texts("b"))
    assert ids(opa) == ["b"]
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("bridge", "removed what 2 pushes of `devices` that never ended had left")
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
    found = {id_: value for shard in shards for id_, value in shard.items()}
    assert found == {id_: {"custom_data": {}, "id": id_} for id_ in wanted}


@pytest.mark.parametrize("shard", [7, [], None, {"b00": 7}, {"b00": {}, "b01": []}])
def test_a_shard_that_is_none_is_a_bad_answer(opa, store, shard):
    store.replace("devices", texts("a"))
    generation_ = document(opa)["generations"][document(opa)["state"]["current"]["generation"]]
    generation_["resources"]["s07"] = shard
    with pytest.raises(InvalidResponseError, match="what OPA has as the shard `s07` is no object of objects"):
        list(store.resources("devices"))
    del generation_["resources"]["s07"]
    with pytest.raises(InvalidResponseError, match="`s07`"):
        list(store.resources("devices"))


# --- what may fail


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
    found = document(opa)
    assert len(found["state"]["leases"]) == 1
    assert sorted(recounted(found["generations"][found["state"]["current"]["generation"]])) == ["a"]
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


# --- others that push


@pytest.mark.parametrize("number", [2, 3])
def test_of_two_pushes_the_one_that_ended_first_is_the_one_that_counts(opa, store, number):
    store.replace("devices", texts("a"))

    def overtake():
        opa.before = lambda _: None
        store_on(opa).replace("devices", texts("other"))

    opa.before = Once("PATCH", number, overtake)
    with pytest.raises(
        PushConflictError, match="another push of `devices` came in between: nothing of this one was kept"
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
            opa_push.Pushes(store_on(opa)._documents.operation())._abandon(DEVICES, mark)

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
    with pytest.raises(PushConflictError, match="other pushes of `devices` came first, 5 times in a row"):
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
    with pytest.raises(PushConflictError, match="other pushes of `devices` came first, 5 times in a row"):
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


# --- what no bridge wrote


def test_what_stands_in_the_way_is_looked_at_twice_on_new_connections(opa, store):
    opa.data["root"] = {"devices": {"a": 1}}
    with pytest.raises(ForeignContentError):
        store.replace("devices", texts("a"))
    assert lines(opa)[4:] == ["POLICIES ", "PUT devices", *["GET devices/state fresh", "TEXT devices"] * 2]


def test_what_stands_in_the_way_and_goes_then_is_none_of_anybody(opa, store):
    opa.data["root"] = {"devices": {"a": 1}}
    opa.after = Once("TEXT", 1, opa.data.clear)
    store.replace("devices", texts("a"))
    assert ids(opa) == ["a"]


@pytest.mark.parametrize("foreign", [{}, {"a": 1}, 7, [], {"generations": {}}])
def test_what_no_bridge_wrote_is_not_overwritten(opa, store, foreign):
    opa.data["root"] = {"devices": foreign}
    for _ in range(2):
        with pytest.raises(ForeignContentError, match=r"`data.root.devices` holds data that no bridge wrote") as raised:
            store.replace("devices", texts("a"))
        assert raised.value.ids == ("data.root.devices",)
    assert opa.data["root"] == {"devices": foreign}


@pytest.mark.parametrize(
    ("data", "id_"),
    [
        ({"above": 7}, "data.above"),
        ({"above": {"below": 7}}, "data.above.below"),
        ({"above": {"below": []}}, "data.above.below"),
    ],
)
def test_a_data_root_that_is_no_object_is_named(opa, data, id_):
    opa.data = data
    before = encode(data)
    with pytest.raises(ForeignContentError) as raised:
        store_below(opa).replace("devices", texts("a"))
    assert raised.value.ids == (id_,)
    assert encode(opa.data) == before


def store_below(opa):
    root = ("above", "below")
    return OpaStore(opa, root, TYPES, opa.held(TYPES, root))


@pytest.mark.parametrize("code", ["", "unauthorized", "resource_conflicts"])
def test_other_refusals_of_a_document_are_told_as_they_are(opa, code):
    opa.data = {"above": {}}
    opa.before = Once("PUT", 1, fails(refused(404, code)))
    with pytest.raises(OpaStatusError) as raised:
        store_below(opa).replace("devices", texts("a"))
    assert raised.value.opa_code == code
    assert not [request for request in opa.requests if request.method == "KIND"]


def test_a_conflict_below_objects_is_told_as_it_is(opa):
    opa.data = {"above": {}}
    opa.before = Once("PUT", 1, fails(refused(404, "resource_conflict")))
    with pytest.raises(OpaStatusError) as raised:
        store_below(opa).replace("devices", texts("a"))
    assert raised.value.opa_code == "resource_conflict"
    asked = [request.path for request in opa.requests if request.method == "KIND"]
    assert asked == [("above",), ("above", "below")]


def test_resources_are_not_pushed_into_a_package_of_rules(opa, store):
    others = [StoredPolicy(name, "", (name,)) for name in ("a", "roo", "roots", "z")] + [StoredPolicy("", "", ())]
    opa.policies = (*others, StoredPolicy("x\n", "", ("root", "devices")), StoredPolicy("y", "", ("root",)))
    with pytest.raises(ForeignContentError) as raised:
        store.replace("devices", texts("a"))
    assert raised.value.ids == ("x\n", "y")
    told = (
        '`data.root` is a package of rules (`"x\\n"`), where no resources may lie: nothing was pushed; choose another'
    )
    assert str(raised.value) == f"{told} data root"
    assert opa.data == {}
    opa.policies = tuple(others)
    store.replace("devices", texts("a"))
    assert ids(opa) == ["a"]


def test_rules_beside_a_data_root_are_none_in_it(opa):
    opa.policies = (StoredPolicy("x", "", ("above",)), StoredPolicy("y", "", ("above", "other")))
    store_below(opa).replace("devices", texts("a"))
    opa.policies = (*opa.policies, StoredPolicy("z", "", ("above", "below")))
    with pytest.raises(ForeignContentError, match=r"^`data\.above\.below` is a package of rules \(`z`\)"):
        store_below(opa).replace("sessions", texts("a"))


def test_who_may_not_list_the_policies_may_push(opa, store):
    opa.before = Once("POLICIES", 1, fails(refused(403)))
    store.replace("devices", texts("a"))
    assert ids(opa) == ["a"]
    store.replace("devices", texts("b"))
    assert [request.method for request in opa.requests].count("POLICIES") == 1, "only before the first push"


@pytest.mark.parametrize("state", [{}, {"layout": 1}, "x", {"store": "s"}])
def test_a_state_that_no_bridge_wrote_is_not_overwritten(opa, store, state):
    opa.data["root"] = {"devices": {"state": state, "generations": {}}}
    with pytest.raises(ForeignContentError, match=r"`data.root.devices` holds data that no bridge wrote") as raised:
        store.replace("devices", texts("a"))
    assert raised.value.ids == ("data.root.devices",)
    assert opa.data["root"]["devices"]["state"] == state


def test_a_later_layout_is_not_written(opa, store):
    store.replace("devices", texts("a"))
    document(opa)["state"]["layout"] = 2
    before = json.dumps(opa.data)
    with pytest.raises(UnsupportedLayoutError, match="the resources of `devices` lie in OPA in layout 2"):
        store.replace("devices", texts("b"))
    assert json.dumps(opa.data) == before


# --- an OPA that loses what it has


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


# --- which stores there are


def test_each_store_that_is_read_is_told_once_something_is_current(opa):
    told = []
    store = store_on(opa, note=told.append)
    store.replace("devices", texts("a"))
    assert told == []
    name = document(opa)["state"]["store"]
    store.look("devices")
    assert told == [{"devices": {"store": name}}]
    store.replace("devices", texts("b"))
    assert told[1:] == [{"devices": {"store": name}}] * (len(told) - 1)
    assert len(told) > 2


def test_one_opa_is_required_whatever_is_stored_there(opa, store):
    store.require_one()
    assert lines(opa) == ["GET devices/state fresh"] * 2 + ["GET sessions/state fresh"] * 2
    opas = [MemoryOpa(), MemoryOpa()]
    for one in opas:
        store_on(one).replace("devices", texts("a"))
    turns = iter(range(1_000))
    several = store_on(Several(opas, lambda *_: next(turns) % 2))
    with pytest.raises(MultipleStoresError):
        several.require_one()
    for one in opas:  # a type that may not be read is no reason not to look at those behind it
        store_on(one).replace("sessions", texts("s"))
        one.before = lambda request: request.path[1] == "devices" and fails(refused(403))()
    with pytest.raises(MultipleStoresError, match="each with `sessions` of its own"):
        several.require_one()


def test_a_type_that_may_not_be_read_is_no_reason_not_to_write_another(opa, store):
    def before(request):
        if request.path[1:2] == ("sessions",):
            raise refused(403)

    opa.before = before
    store.replace("devices", texts("a"))
    assert ids(opa) == ["a"]
    opa.before = lambda request: request.path[1] == "sessions" and fails(EngineUnreachableError("down"))()
    with pytest.raises(EngineUnreachableError):
        store.replace("devices", texts("b"))


# --- several pushes at once


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


def test_the_deadline_of_a_patch_grows_with_its_size(opa, store):
    store.replace("devices", texts("a"))
    patches = [request for request in opa.requests if request.method == "PATCH"]
    assert [request.deadline for request in patches] == [10 + len(request.body) / 2_000_000 for request in patches]
    assert TypeState.read("devices", document(opa)["state"]).leases == {}
