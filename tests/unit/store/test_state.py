"""The small document beside the generations, as it is written and as it is read."""

from __future__ import annotations

import copy
import json
import re

import pytest

from bridge.errors import EngineError, ForeignContentError, InvalidResponseError, UnsupportedLayoutError
from bridge.store.layout import empty_generation
from bridge.store.state import CurrentGeneration, Lease, TypeState, current, first_state, foreign, reference

CURRENT = {"revision": "7", "generation": "g1", "store": "abc", "count": 2}
STATE = {
    "layout": 1,
    "store": "abc",
    "revisions": {"r7": True},
    "leases": {"m2": {"generation": "g2", "heartbeats": 3}},
    "current": CURRENT,
}


def test_a_state_is_read():
    state = TypeState.read("devices", STATE)
    assert state == TypeState("abc", CurrentGeneration("7", "g1", "abc", 2), "r7", {"m2": "g2"}, {"m2": 3})
    assert state.revision == "7"


def test_the_first_state_is_one_without_anything_current():
    document = json.loads(first_state())
    assert document["generations"] == {}
    state = TypeState.read("devices", document["state"])
    assert state == TypeState(state.store, None, "r0", {}, {})
    assert state.revision is None
    assert len(state.store) == 32
    assert TypeState.read("devices", json.loads(first_state())["state"]).store != state.store


def test_the_first_state_may_hold_the_mark_of_the_push_that_made_it():
    mark = Lease.new()
    document = json.loads(first_state(mark))
    state = TypeState.read("devices", document["state"])
    assert (state.current, state.leases, state.heartbeats) == (None, {mark.name: mark.generation}, {mark.name: 0})
    assert document["generations"] == {mark.generation: json.loads(empty_generation())}
    assert Lease.new() != mark


def test_what_is_current_is_read_as_it_was_written():
    written = json.loads(current("1234567890123456", "g1", "abc", 0))
    assert CurrentGeneration.read(written) == CurrentGeneration("1234567890123456", "g1", "abc", 0)


def test_a_revision_has_up_to_40_digits():
    assert CurrentGeneration.read({**CURRENT, "revision": "9" * 40}).revision == "9" * 40


@pytest.mark.parametrize(
    "value", [7, None, [], "x", {}, {**CURRENT, "count": "2"}, {**CURRENT, "revision": 7}, {"store": "s"}]
)
def test_what_no_bridge_has_written_is_not_current(value):
    with pytest.raises(
        InvalidResponseError,
        match="the current generation in OPA was not written by a bridge: remove it, and push again",
    ):
        CurrentGeneration.read(value)


@pytest.mark.parametrize("layout", [2, 3, 10**30])
@pytest.mark.parametrize("rest", [{}, STATE])
def test_a_later_layout_is_not_read_whatever_it_holds(layout, rest):
    with pytest.raises(UnsupportedLayoutError, match=f"layout {layout}, which a newer bridge has written") as error:
        TypeState.read("devices", {**rest, "layout": layout})
    assert isinstance(error.value, EngineError)
    assert "`devices`" in str(error.value)


MISSING = object()
BROKEN = [
    *((("current", name), value) for name in ("revision", "generation", "store") for value in ("", 7, None, MISSING)),
    *((("current", "revision"), value) for value in ("seven", "-7", "7.0", " 7", "٣", "9" * 41, "9" * 5_000)),
    *((("current", "count"), value) for value in ("2", None, True, 2.0, -1, MISSING)),
    *((("store",), value) for value in ("", 7, None, MISSING)),
    *((("layout",), value) for value in (0, -1, True, "1", None, MISSING)),
    *((("revisions",), value) for value in ({}, {"r7": True, "r8": True}, {"": True}, [1], None, 7, MISSING)),
    *(
        (("leases",), value)
        for value in (
            [],
            None,
            {"m": {}},
            {"m": {"generation": "", "heartbeats": 0}},
            {"m": {"generation": "g"}},
            {"m": {"generation": "g", "heartbeats": True}},
            {"m": {"generation": "g", "heartbeats": "3"}},
            {"m": {"generation": 7, "heartbeats": 0}},
            {"m": "g"},
            {"": {"generation": "g", "heartbeats": 0}},
            MISSING,
        )
    ),
    (("current",), [1]),
    (("current",), "7"),
    (("current",), {}),
]


@pytest.mark.parametrize(("path", "value"), BROKEN)
def test_what_no_bridge_has_written_is_no_state(path, value):
    document = copy.deepcopy(STATE)
    *above, name = path
    parent = document
    for step in above:
        parent = parent[step]
    if value is MISSING:
        del parent[name]
    else:
        parent[name] = value
    with pytest.raises(InvalidResponseError, match="not written by a bridge"):
        TypeState.read("devices", document)


@pytest.mark.parametrize("document", [None, [], "state", 7, {}, {"layout": 1}, {"layout": True}, {"layout": "2"}])
def test_what_is_no_state_at_all(document):
    with pytest.raises(InvalidResponseError, match="not written by a bridge"):
        TypeState.read("devices", document)


def test_a_mark_and_its_generation_have_one_random_name():
    mark = Lease.new()
    assert re.fullmatch("m[0-9a-f]{16}", mark.name)
    assert mark.generation == "g" + mark.name[1:]
    assert json.loads(mark.document()) == {"generation": mark.generation, "heartbeats": 0}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ([], "data"),
        (["jwt_policy_data", "devices"], "data.jwt_policy_data.devices"),
        (["_A1", "Zz_09", "M", "aM"], "data._A1.Zz_09.M.aM"),
        (["[", "A:", "A@", "A^"], 'data["["]["A:"]["A@"]["A^"]'),
        (["@", "`", "{", "A/"], 'data["@"]["`"]["{"]["A/"]'),
        (["a-b", "c"], 'data["a-b"].c'),
        (["a", "1b"], 'data.a["1b"]'),
        (["\xe9", '"', "a\n", "", "a\u0663"], 'data["\\u00e9"]["\\""]["a\\n"][""]["a\\u0663"]'),
    ],
)
def test_a_document_is_named_as_in_rego(path, name):
    assert reference(path) == name
    error = foreign(path)
    assert isinstance(error, ForeignContentError)
    assert error.ids == (name,)
    assert str(error).startswith(f"`{name}` holds data that no bridge wrote, and is left as it is: choose another")
    assert f"--replace '{name}'" in str(error)
