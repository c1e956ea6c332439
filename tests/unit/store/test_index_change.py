"""A change as one patch: what the rules tell goes in, operations come out, and the index is as if all were pushed."""

from __future__ import annotations

import copy
import json
from random import Random

import pytest
from conformance import tally
from recounting import PatchError, held, patched, recounted

from bridge.errors import InvalidResponseError
from bridge.store import layout
from bridge.store.index_change import FirstsMissingError, IndexChange
from bridge.store.patches import parts
from bridge.store.store import ChangeReport, prepare
from bridge.strict_json import encode, parse

VALUES = [1, "1", True, None, "", "<&>\u2028", "\\u0008", "\\b", [1, {"a": [None]}], {"b": 1, "a": 2}, 1.5]
NAMES = ["user", "", "a/b", "%2F", "\xe9"]
IDS = ["007", "-", "a/b", "%2F", "\xe9", "e\u0301", " ", "\x00", '"', "\\", "\U0001f600", "\uffff"]


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch):
    monkeypatch.setattr(layout, "PAGE", 3)
    monkeypatch.setattr(layout, "SMALL", 2)
    monkeypatch.setattr(layout, "BLOCK", 4)


def generation(*resources):
    document = json.loads(layout.empty_generation())
    for part in parts(texts(*resources)):
        patched(document, parse(part.patch.body()))
    return document


def texts(*resources):
    return prepare({encode(value["id"]): encode(value) for value in resources})


def numbered(*numbers, **custom_data):
    return [{"id": f"d{number:03}", "custom_data": custom_data} for number in numbers]


def change(document, *upserts, removals=()):
    """Change a generation as a store does; gives what was done, and how many resources more there are."""
    wanted = IndexChange(texts(*upserts), [encode(id_) for id_ in removals])
    question = parse(wanted.query("devices"))
    assert question["type"] == "devices"
    view = held(document, question)
    before = copy.deepcopy(view)
    try:
        patch, changed, more = wanted.patch(view, {})
    except FirstsMissingError as missing:
        firsts = {
            name: [encode(id_) for block in document["large"][name]["firsts"] for id_ in block]
            for name in missing.names
        }
        patch, changed, more = wanted.patch(view, firsts)
    assert view == before
    patched(document, parse(patch.body()))
    return patch, changed, more


def counts(added=0, changed=0, removed=0, unchanged=0, absent=0):
    return ChangeReport(added, changed, removed, unchanged, absent, "")


def test_a_resource_that_is_new():
    document = generation()
    _, changed, more = change(document, {"id": "a", "custom_data": {"n": 1}})
    assert (changed, more) == (counts(added=1), 1)
    assert recounted(document) == {"a": {"id": "a", "custom_data": {"n": 1}}}


def test_a_resource_that_is_another_now_leaves_the_postings_it_is_not_in_any_more():
    document = generation({"id": "a", "custom_data": {"n": 1, "m": "x"}}, {"id": "b", "custom_data": {"n": 1}})
    patch, changed, more = change(document, {"id": "a", "custom_data": {"n": 2, "m": "x"}})
    assert (changed, more) == (counts(changed=1), 0)
    assert recounted(document)["a"] == {"id": "a", "custom_data": {"n": 2, "m": "x"}}
    # The posting of `m` and that of all ids are as they were.
    assert len(patch) == 4


def test_what_is_the_same_written_otherwise_changes_nothing():
    document = generation({"id": "a", "custom_data": {"n": {"x": 1, "y": 2}}})
    patch, changed, more = change(document, {"custom_data": {"n": {"y": 2.0, "x": 1.0}}, "id": "a"})
    assert (patch, changed, more) == ([], counts(unchanged=1), 0)


def test_a_member_beside_custom_data_changes_the_resource_and_no_posting():
    document = generation({"id": "a", "custom_data": {"n": 1}})
    patch, changed, _ = change(document, {"id": "a", "custom_data": {"n": 1}, "name": "A"})
    assert changed == counts(changed=1)
    assert {path[0] for _, path, _ in patch} == {"resources", "digests"}
    assert recounted(document)["a"]["name"] == "A"


def test_resources_that_go_take_their_postings_and_buckets_with_them():
    document = generation({"id": "a", "custom_data": {"n": 1}}, {"id": "b"})
    _, changed, more = change(document, removals=["a", "x"])
    assert (changed, more) == (counts(removed=1, absent=1), -1)
    assert recounted(document) == {"b": {"id": "b"}}
    assert not any(document["postings"].values())
    change(document, removals=["b"])
    assert recounted(document) == {}
    assert not any(document["resources"].values())


def test_nothing_to_do_is_no_operation():
    document = generation({"id": "a"})
    assert change(document, removals=["x", "y"]) == ([], counts(absent=2), 0)
    assert change(document) == ([], counts(), 0)


def test_a_posting_grows_out_of_one_array_and_is_not_in_two_places():
    document = generation(*numbered(1, 2, n=1))
    name = layout.posting_name('["n",1]')
    assert document["postings"][name[0]][name[1]] == ["d001", "d002"]
    change(document, *numbered(0, n=1))
    assert name[1] not in document["postings"][name[0]]
    assert document["large"][name[1]]["pages"] == [["d000", "d001", "d002"]]
    recounted(document)


def test_a_posting_is_one_array_as_long_as_it_may():
    document = generation(*numbered(1, n=1))
    shard, name = layout.posting_name('["n",1]')
    change(document, *numbered(0, n=1))
    assert document["postings"][shard][name] == ["d000", "d001"]
    assert document["large"].keys() == {layout.ALL}


def test_a_posting_that_comes_with_one_change_may_be_long_at_once():
    document = generation()
    change(document, *numbered(*range(20), n=1))
    assert len(recounted(document)) == 20


def test_a_long_posting_that_has_become_empty_stays_and_fills_again():
    document = generation(*numbered(*range(9), n=1))
    change(document, *numbered(*range(9), m=1))
    name = layout.posting_name('["n",1]')[1]
    assert document["large"][name]["size"] == 0
    assert document["large"][name]["pages"] == [[], [], []]
    recounted(document)
    change(document, *numbered(4, 11, n=1))
    assert document["large"][name]["pages"] == [[], ["d004"], ["d011"]]
    recounted(document)


def test_a_page_that_has_grown_too_large_is_divided_and_the_directory_follows():
    document = generation(*numbered(*range(0, 900, 100), n=1))
    change(document, *numbered(*range(301, 310), n=1))
    assert len(recounted(document)) == 18
    pages = document["large"][layout.ALL]["pages"]
    assert list(map(len, pages)) == [3, 3, 3, 3, 3, 3]
    change(document, *numbered(*range(10, 90), n=1))
    assert len(recounted(document)) == 98
    assert len(document["large"][layout.ALL]["tops"]) > 4


def test_a_page_may_grow_to_twice_as_many_ids_and_is_divided_then():
    document = generation(*numbered(*range(0, 900, 100), n=1))
    change(document, *numbered(301, 302, 303, n=1))
    assert list(map(len, document["large"][layout.ALL]["pages"])) == [3, 6, 3]
    change(document, *numbered(304, n=1))
    assert list(map(len, document["large"][layout.ALL]["pages"])) == [3, 3, 3, 1, 3]
    recounted(document)


def test_several_pages_of_several_postings_are_divided_by_one_change():
    document = generation(*numbered(*range(0, 60, 3), n=1), *numbered(*range(1, 60, 3), n=2))
    change(
        document, *numbered(*range(100, 140), n=1), *numbered(*range(140, 170), n=2), *numbered(*range(2, 30, 3), n=1)
    )
    assert len(recounted(document)) == 120


def test_ids_may_come_and_go_on_one_page_at_once():
    document = generation(*numbered(*range(6), n=1))
    _, changed, _ = change(document, *numbered(10, 11, n=1), removals=["d003", "d005"])
    assert changed == counts(added=2, removed=2)
    assert len(recounted(document)) == 6
    assert document["large"][layout.ALL]["size"] == 6


@pytest.mark.parametrize("seed", range(12))
def test_random_changes_leave_what_a_push_of_the_same_resources_makes(seed):
    random = Random(f"{tally.seed()} {seed}")
    known = IDS + [f"d{number:03}" for number in range(80)]
    there = {}

    def some(most):
        for id_ in random.sample(known, random.randint(1, most)):
            data = {name: random.choice(VALUES) for name in random.sample(NAMES, random.randint(0, 3))}
            yield {"id": id_, "custom_data": data} if random.random() < 0.9 else {"id": id_, "x": random.random()}

    document = generation()
    for _ in range(25):
        upserts = {value["id"]: value for value in some(random.choice((3, 60)))} if random.random() < 0.7 else {}
        removals = [id_ for id_ in random.sample(known, random.randint(0, 30)) if id_ not in upserts]
        _, changed, more = change(document, *upserts.values(), removals=removals)
        assert changed.added == len(upserts.keys() - there.keys())
        assert changed.added + changed.changed + changed.unchanged == len(upserts)
        assert changed.removed == len(there.keys() & set(removals))
        assert changed.absent == len(removals) - changed.removed
        before = len(there)
        there = {id_: value for id_, value in (there | upserts).items() if id_ not in removals}
        assert more == len(there) - before
        assert texts(*recounted(document).values()) == texts(*there.values())


def question_and_view():
    document = generation(*numbered(*range(9), n=1), {"id": "a", "custom_data": {"m": 1}})
    wanted = IndexChange(texts({"id": "a", "custom_data": {"n": 1}}), [encode("d003")])
    return wanted, held(document, parse(wanted.query("devices")))


@pytest.mark.parametrize(
    "broken",
    [
        *({"buckets": value} for value in (None, [], {}, 7)),
        *({"digests": value} for value in (None, [], {}, "x")),
        *({"small": value} for value in (None, 7)),
        {"small": {}},
        {"large": None},
        {"large": {}},
        {layout.ALL: {}},
        {layout.ALL: {"size": 10, "places": {}, "pages": {}}},
        {layout.ALL: {"size": None, "places": {"d003": "0"}, "pages": {"0": ["d003"]}}},
        {layout.ALL: {"size": 10, "places": {"d003": "1"}, "pages": {"1": ["d004"]}}},
        {layout.ALL: {"size": 10, "places": {"d003": "1"}, "pages": {"1": []}}},
        {layout.ALL: {"size": 10, "places": {"d003": "1"}, "pages": {"1": [3]}}},
        {layout.ALL: {"size": 10, "places": {"d003": "1"}, "pages": {"1": ["d003", 3]}}},
        {layout.ALL: {"size": 10, "places": {"d003": "1"}, "pages": {"1": ["d003", "d004", 5]}}},
    ],
    ids=str,
)
def test_a_view_that_is_not_whole_makes_no_patch(broken):
    wanted, view = question_and_view()
    assert wanted.patch(view, {})[1] == counts(changed=1, removed=1)
    if layout.ALL in broken:
        broken = {"large": {**view["large"], **broken}}
    with pytest.raises(InvalidResponseError, match="the index in OPA is damaged, push all resources again: "):
        wanted.patch({**view, **broken}, {})


def test_the_id_that_is_not_on_its_page_is_told():
    wanted, view = question_and_view()
    posting = {"size": 10, "places": {"d003": "1"}, "pages": {"1": ["d002", "d004"]}}
    with pytest.raises(
        InvalidResponseError, match=r"the index in OPA is damaged, push all resources again: ValueError .*d003"
    ):
        wanted.patch({**view, "large": {**view["large"], layout.ALL: posting}}, {})


@pytest.mark.parametrize("view", [None, [], "view", 7, {}])
def test_what_is_no_view_makes_no_patch(view):
    with pytest.raises(InvalidResponseError, match="the index in OPA is damaged, push all resources again: "):
        question_and_view()[0].patch(view, {})


def test_a_patch_of_the_tests_is_all_that_opa_does():
    document = {"a": {"b": [1, 2]}}
    patched(document, [{"op": "add", "path": "/a/b/2", "value": 3}, {"op": "replace", "path": "/a/b/0", "value": 0}])
    assert document == {"a": {"b": [0, 2, 3]}}
    for path in ("/a/c", "/a/b/3", "/x"):
        with pytest.raises(PatchError):
            patched(document, [{"op": "remove", "path": path}])
    with pytest.raises(PatchError):
        patched(document, [{"op": "add", "path": "/a/b/4", "value": 3}])
