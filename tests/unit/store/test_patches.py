"""JSON Patches: their text, and that no path is made of anything but our own simple names."""

from __future__ import annotations

import json

import pytest

from bridge.store.patches import Patch, add, remove


def test_the_text_of_a_patch():
    patch = Patch([remove("a"), add("b", "c", value=b'{"d":1}'), (b"replace", ("pages", "0"), b"[]")])
    assert json.loads(patch.body()) == [
        {"op": "remove", "path": "/a"},
        {"op": "add", "path": "/b/c", "value": {"d": 1}},
        {"op": "replace", "path": "/pages/0", "value": []},
    ]
    assert Patch().body() == b"[]"


def test_a_patch_below_names_is_another_one():
    patch = Patch([add("b", value=b"1"), remove("c")])
    assert patch.below("g", "h").body() == Patch([add("g", "h", "b", value=b"1"), remove("g", "h", "c")]).body()
    assert patch == [add("b", value=b"1"), remove("c")]


@pytest.mark.parametrize("name", ["a", "z", "A", "M", "Z9_", "aAMZ_m", "s0f", "p0123", "0", "7", "10", "1024"])
def test_a_simple_name_is_taken(name):
    assert json.loads(Patch([remove(name)]).body()) == [{"op": "remove", "path": f"/{name}"}]


@pytest.mark.parametrize(
    "name",
    [
        *("", "-", "a/b", "~", "~1", "%2F", "a%2Fb", "01", "00", "-1", "+1", "1e1", "1a", "_a", "a-b", "a b", "a.b"),
        *("a:", "a@", "a[", "a^", "a`", "a{", "a]", "a=", "[", "`", "@", "{"),
        *("a\n", "0\n", "a\x00", '"', "\\", "\xe9", "\uff11", "\u0663", ".."),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_any_other_name_is_refused(name, place):
    """OPA was seen to take some of these for something else than a member of that name."""
    names = ["a", "b", "c"]
    names[place] = name
    with pytest.raises(AssertionError):
        Patch([add("x", value=b"1"), remove(*names)]).body()
