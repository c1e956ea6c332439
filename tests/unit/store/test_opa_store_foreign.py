"""A push to an OPA in memory never overwrites what no bridge wrote."""

from __future__ import annotations

import json

import pytest
from memory_opa import (
    TYPES,
    Once,
    document,
    fails,
    ids,
    lines,
    refused,
    texts,
)

from bridge.errors import ForeignContentError, OpaStatusError, UnsupportedLayoutError
from bridge.opa.replies import StoredPolicy
from bridge.store import OpaStore
from bridge.strict_json import encode, parse

DEVICES = ("root", "devices")


def operations(opa):
    return [parse(request.body) for request in opa.requests if request.method == "PATCH"]


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
    paths = [request.path for request in opa.requests if request.method == "KIND"]
    assert paths == [("above",), ("above", "below")]


def test_resources_are_not_pushed_into_a_package_of_rules(opa, store):
    others = [StoredPolicy(name, "", (name,)) for name in ("a", "roo", "roots", "z")] + [StoredPolicy("", "", ())]
    opa.policies = (*others, StoredPolicy("x\n", "", ("root", "devices")), StoredPolicy("y", "", ("root",)))
    with pytest.raises(ForeignContentError) as raised:
        store.replace("devices", texts("a"))
    assert raised.value.ids == ("x\n", "y")
    message = (
        '`data.root` is a package of rules (`"x\\n"`), where no resources may lie: nothing was pushed; choose another'
    )
    assert str(raised.value) == f"{message} data root"
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
