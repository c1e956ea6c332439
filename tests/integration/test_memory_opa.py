"""The OPA in memory that unit tests of stores ask is as the real one, request for request."""

from __future__ import annotations

import json
from random import Random

import pytest
from conformance import tally
from memory_opa import MemoryOpa

from bridge import OpaClient
from bridge.errors import OpaStatusError

ROOT = ("memory_opa_test",)
NAMES = ["a", "b", "state", "s0f"]
VALUES = [1, "x", "<&>\u2028\u2029", None, {}, [], {"a": 1, "b": {"a": []}}, ["a", ["b"], {"a": 2}], {"b": {"b": {}}}]


@pytest.fixture
def both(opa_url):
    with OpaClient(opa_url) as opa:
        opa.delete_data(ROOT)
        yield opa, MemoryOpa()
        opa.delete_data(ROOT)


def answer(call):
    try:
        return call()
    except OpaStatusError as error:
        return error.status


def same(both, call):
    one, other = (answer(lambda opa=opa: call(opa)) for opa in both)
    assert one == other, both[1].requests[-1]
    return one


def body(*operations):
    return json.dumps(
        [dict(zip(("op", "path", "value"), operation, strict=False)) for operation in operations]
    ).encode()


def test_what_is_made_once(both):
    assert same(both, lambda opa: opa.get_data(ROOT)) == same(both, lambda opa: opa.get_data((*ROOT, "a"), fresh=True))
    assert same(both, lambda opa: opa.create_data((*ROOT, "a", "b"), b'{"x":1}')) is True
    assert same(both, lambda opa: opa.create_data((*ROOT, "a", "b"), b'{"x":2}')) is False
    assert same(both, lambda opa: opa.create_data((*ROOT, "a"), b"{}")) is False
    assert same(both, lambda opa: opa.get_data((*ROOT, "a"))) == {"b": {"x": 1}}


def test_a_patch_is_done_as_a_whole_or_not_at_all(both):
    remove, add, replace = "remove", "add", "replace"
    assert same(both, lambda opa: opa.patch_data((*ROOT, "a"), body((add, "/x", 1)))) == 404
    same(both, lambda opa: opa.create_data((*ROOT, "a"), b'{"x":{},"l":[1,2]}'))
    for operations in (
        [(add, "/y", 1), (remove, "/z")],
        [(add, "/y", 1), (add, "/z/z", 1)],
        [(add, "/y", 1), (replace, "/z", 1)],
        [(remove, "/x"), (remove, "/x/y")],
        [(add, "/y", 1), (replace, "/l/2", 1)],
        [(add, "/y", 1), (remove, "/l/2")],
        [(add, "/y", 1), (replace, "/l/3", 1)],
        [(add, "/y", 1), (add, "/l/3", 1)],
        [(add, "/y", 1), (add, "/l/2/x", 1)],
        [(add, "/y", 1), (add, "/y/x", 1)],
        [(add, "/y", 1), (add, "/l/x", 1)],
        [(add, "/y", 1), (remove, "/l/x")],
    ):
        status = same(both, lambda opa, sent=operations: opa.patch_data((*ROOT, "a"), body(*sent)))
        assert status == (400 if operations[1][1] == "/l/2" else 404)
        assert same(both, lambda opa: opa.get_data((*ROOT, "a"))) == {"x": {}, "l": [1, 2]}
    operations = body(
        (remove, "/x"), (add, "/x", {}), (add, "/x/y", 1), (add, "/l/2", 3), (add, "/l/0", 0), (replace, "/l/1", 9)
    )
    assert same(both, lambda opa: opa.patch_data((*ROOT, "a"), operations)) is None
    assert same(both, lambda opa: opa.get_data((*ROOT, "a"))) == {"x": {"y": 1}, "l": [0, 9, 2, 3]}
    assert same(both, lambda opa: opa.patch_data((*ROOT, "a"), b"[]")) is None


NAMES_IN_ORDER = dict.fromkeys(["\U00010000", "\uffff", "é", "A69791", "A0", '"1177', "a", "#", "!", "\\"], 1)


def test_a_document_is_written_in_the_same_text(both):
    same(
        both,
        lambda opa: opa.create_data(
            (*ROOT, "a"),
            json.dumps({"b": VALUES, "a": {"z": 'é\\"', "y": "\b\f\n\x7f"}, "names": NAMES_IN_ORDER}).encode(),
        ),
    )
    assert "\\u003c" in same(both, lambda opa: opa.get_data_text((*ROOT, "a")))
    assert same(both, lambda opa: opa.get_data_text((*ROOT, "x"))) == same(both, lambda opa: opa.get_data_text(("no",)))


@pytest.mark.parametrize(
    ("text", "kind"),
    [("{}", "object"), ("[]", "array"), ('"x"', "string"), ("true", "boolean"), ("null", "null"), ("1", "number")],
)
def test_what_a_document_is_and_what_cannot_be_made_below_it_is_told_alike(both, text, kind):
    assert same(both, lambda opa: opa.kind((*ROOT, "a"))) is None
    same(both, lambda opa: opa.create_data((*ROOT, "a"), text.encode()))
    assert same(both, lambda opa: opa.kind((*ROOT, "a"))) == kind
    made = same(both, lambda opa: opa.create_data((*ROOT, "a", "b", "c"), b"{}"))
    assert made == (True if kind == "object" else 404)
    if kind != "object":
        for opa in both:
            with pytest.raises(OpaStatusError) as error:
                opa.create_data((*ROOT, "a", "b"), b"{}")
            assert error.value.opa_code == "resource_conflict"


def test_random_requests_are_answered_alike(both):
    random = Random(tally.seed())
    done = {None: 0, 404: 0, 400: 0}
    for _ in range(400):
        below = [random.choice(NAMES) for _ in range(random.randint(1, 3))]
        if random.random() < 0.2:
            value = json.dumps(random.choice(VALUES[4:])).encode()
            made = same(both, lambda opa, path=below[:1], value=value: opa.create_data((*ROOT, *path), value))
            assert type(made) is bool
            continue
        operations = []
        for _ in range(random.randint(1, 3)):
            path = "/" + "/".join(random.choice([*NAMES, "0"]) for _ in range(random.randint(1, 2)))
            kind = random.choice(["add", "add", "remove", "replace"])
            if path not in [path for _, path, *_ in operations]:  # OPA loses the first of two; no store sends such
                operations.append((kind, path) if kind == "remove" else (kind, path, random.choice(VALUES)))
        if not isinstance(both[1]._at((*ROOT, below[0])), dict):
            continue
        patch = body(*operations)
        done[same(both, lambda opa, path=below[:1], sent=patch: opa.patch_data((*ROOT, *path), sent))] += 1
        assert same(both, lambda opa: opa.get_data(ROOT))
    assert min(done[None], done[404]) > 0
