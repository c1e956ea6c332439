"""Pushes to several OPAs behind one address: what is told, and that nothing becomes current on one of them alone."""

from __future__ import annotations

import pytest
from memory_opa import (
    MemoryOpa,
    Several,
    document,
    fails,
    ids,
    lines,
    refused,
    store_on,
    texts,
)
from recounting import recounted

from bridge.errors import EngineUnreachableError, MultipleStoresError, ResourcesMissingError
from bridge.strict_json import encode, parse


def filled(count=2):
    opas = [MemoryOpa() for _ in range(count)]
    for opa in opas:
        store_on(opa).replace("devices", texts("a"))
    return opas


def unchanged(opas):
    assert [ids(opa) for opa in opas] == [["a"]] * len(opas)


def test_two_opas_that_take_turns_are_told_before_anything_is_written():
    opas = filled()
    turns = iter(range(10_000))
    several = Several(opas, lambda *_: next(turns) % 2)
    with pytest.raises(MultipleStoresError, match="each with `devices` of its own"):
        store_on(several).replace("devices", texts("b"))
    unchanged(opas)


def test_what_is_written_elsewhere_than_it_is_read_is_told_and_left_behind_nowhere():
    """Writes and reads go to two OPAs that say the same, for one is a copy of the other."""
    for wanted in (None, "a"):
        opas = [MemoryOpa(), MemoryOpa()]
        if wanted:
            store_on(opas[0]).replace("devices", texts("a"))
            opas[1].data = parse(encode(opas[0].data))
        several = Several(opas, lambda name, _: int(name in ("patch_data", "create_data")))
        with pytest.raises(
            MultipleStoresError, match="what is written to `devices` is not there when it is read again"
        ):
            store_on(several).replace("devices", texts("b"))
        if wanted:
            unchanged(opas)
        else:
            assert opas[0].data == {}
            assert "current" not in document(opas[1])["state"]


@pytest.mark.parametrize("number", [2, 3])
def test_a_writer_that_changes_in_the_middle_is_told(number):
    opas = filled(1)
    opas.append(MemoryOpa())
    opas[1].data = parse(encode(opas[0].data))
    patches = iter(range(1, 1_000))
    several = Several(opas, lambda name, _: int(name == "patch_data" and next(patches) == number))
    with pytest.raises(MultipleStoresError, match="what is written to `devices` is not there when it is read again"):
        store_on(several).replace("devices", texts("b"))
    unchanged(opas)


@pytest.mark.parametrize(
    ("later", "error"),
    [(lambda _: 1, ResourcesMissingError), (lambda number: number % 2, MultipleStoresError)],
    ids=["one", "both"],
)
def test_another_opa_in_the_middle_of_a_push_is_told(later, error):
    opas = filled()
    opas[0].requests.clear()
    since = []

    def turn(*_):
        if sum(request.method == "PATCH" for request in opas[0].requests) == 2:
            since.append(True)
        return later(len(since)) if since else 0

    with pytest.raises(error):
        store_on(Several(opas, turn)).replace("devices", texts("b"))
    for opa in opas:
        now = document(opa)["state"]["current"]["generation"]
        assert sorted(recounted(document(opa)["generations"][now])) == ["a"]
    unchanged(opas[1:])


# Which stores there are


def test_each_store_that_is_read_is_told_once_something_is_current(opa):
    notes = []
    store = store_on(opa, note=notes.append)
    store.replace("devices", texts("a"))
    assert notes == []
    name = document(opa)["state"]["store"]
    store.look("devices")
    assert notes == [{"devices": {"store": name}}]
    store.replace("devices", texts("b"))
    assert notes[1:] == [{"devices": {"store": name}}] * (len(notes) - 1)
    assert len(notes) > 2


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
