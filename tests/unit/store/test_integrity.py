"""Counting anew: each thing that may be wrong in a generation is found, and named."""

from __future__ import annotations

import copy
import json

import pytest
from recounting import patched, recounted

from bridge.store import layout
from bridge.store.integrity import IntegrityCheck
from bridge.store.patches import parts
from bridge.store.store import prepare
from bridge.strict_json import encode, parse, sorted_text

ALL = layout.ALL
N = '["n",1]'
M = '["m","x"]'
SHARD, NAME = layout.posting_name(N)
_, SHORT = layout.posting_name(M)


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch):
    monkeypatch.setattr(layout, "PAGE", 2)
    monkeypatch.setattr(layout, "SMALL", 3)
    monkeypatch.setattr(layout, "BLOCK", 2)


@pytest.fixture
def document():
    """Seven resources; a posting of all of them, and one of two."""
    return pushed({f"d{number}": {"n": 1} | ({"m": "x"} if number in (3, 1) else {}) for number in range(7)})


def pushed(custom_data_by_id):
    """The generation that a push of resources makes, by their ids and custom data."""
    generation = json.loads(layout.empty_generation())
    resources = prepare(
        {encode(id_): encode({"id": id_, "custom_data": data}) for id_, data in custom_data_by_id.items()}
    )
    for part in parts(resources):
        patched(generation, parse(part.patch.body()))
    assert len(recounted(generation)) == len(custom_data_by_id)
    return generation


def findings(document):
    count = IntegrityCheck()
    texts = []
    for shard in layout.SHARDS:
        texts += count.shard(shard, document["digests"].get(shard), document["resources"][shard])
    assert count.resources == sum(len(bucket) for shard in document["resources"].values() for bucket in shard.values())
    return texts + list(count.index(document["postings"], document["large"]))


def resource(document, id_):
    shard, bucket = layout.place(encode(id_))
    return document["resources"][shard][bucket]


def digest(document, id_):
    """Set the digest of the resource's shard to what is there."""
    shard, _ = layout.place(encode(id_))
    values = [value for bucket in document["resources"][shard].values() for value in bucket.values()]
    document["digests"][shard] = layout.shard_digest(map(sorted_text, values))


def test_what_is_whole_has_no_findings(document):
    before = copy.deepcopy(document)
    assert findings(document) == []
    assert document == before


def test_ids_are_expected_in_the_order_of_code_points():
    """The order of their JSON texts is another: there a quote ends an id, and a backslash stands before one in it."""
    assert findings(pushed({id_: {"m": "x"} for id_ in ("a", "a!", 'a"')})) == []
    assert findings(pushed({id_: {"n": 1} for id_ in ("a", "a!", 'a"', "aA")})) == []


def test_a_digest_of_other_resources(document):
    shard, _ = layout.place(b'"d3"')
    resource(document, "d3")["d3"]["x"] = 1
    assert findings(document) == [f"the digest of the shard `{shard}` does not match its resources"]
    del document["digests"][shard]
    assert len(findings(document)) == 1


def test_what_is_no_resource_is_named(document):
    resource(document, "d3")["d3"] = {"id": "d3", "custom_data": 7}
    digest(document, "d3")
    assert findings(document)[0] == 'the resource "d3" is not valid: the resource\'s `custom_data` must be an object'


@pytest.mark.parametrize("other", ["d4", "d2"])
def test_a_resource_of_another_id_is_named(document, other):
    resource(document, "d3")["d3"]["id"] = other
    digest(document, "d3")
    assert findings(document) == [f'the resource "d3" has another `id`: "{other}"']


def test_a_resource_in_another_place_is_named(document):
    shard, _ = layout.place(b'"d3"')
    document["resources"][shard]["bxx"] = {"d3": resource(document, "d3").pop("d3")}
    assert findings(document) == [f'the resource "d3" lies in `{shard}/bxx`, where no reader looks for it']


def test_an_id_is_shown_briefly(document):
    id_ = "x" * 79
    resource(document, "d3")[id_] = {"id": "y" * 78}
    texts = findings(document)
    assert texts[0] == f'the resource "{"x" * 79}... has another `id`: "{"y" * 78}"'


def test_a_short_posting_of_other_ids(document):
    shard, name = layout.posting_name(M)
    of = f"the posting of `{M}`"
    for ids in (["d1"], ["d3", "d1"], ["d1", "d3", "d4"], []):
        document["postings"][shard][name] = ids
        assert findings(document) == [f"{of} does not hold the right ids"]
    del document["postings"][shard][name]
    assert findings(document) == [f"{of} is missing"]


def test_a_posting_that_is_there_twice(document):
    document["large"][SHORT] = {"size": 0}
    assert findings(document) == [f"the posting of `{M}` is there twice"]


def test_a_posting_of_a_value_that_no_resource_has(document):
    document["postings"]["s00"]["p00"] = []
    assert findings(document) == ["the posting `p00` is of a value that no resource has"]
    del document["postings"]["s00"]["p00"]
    for posting in ({"size": 1}, {"size": 0, "pages": [[], ["a"]]}, {}, {"size": None}):
        document["large"]["p00"] = posting
        assert findings(document) == ["the posting `p00` is of a value that no resource has"]
    document["large"]["p00"] = {"size": 0, "pages": [[], []]}
    assert findings(document) == []


def test_a_posting_in_another_shard(document):
    document["postings"]["s00"][SHORT] = document["postings"][layout.posting_name(M)[0]].pop(SHORT)
    assert findings(document) == [
        f"the posting of `{M}` is missing",
        f"the posting `{SHORT}` is of a value that no resource has",
    ]


@pytest.mark.parametrize(("name", "what"), [(NAME, f"of `{N}`"), (ALL, "of all ids")])
@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"size": 8}, "says that it has 8 ids on 4 pages, and has others"),
        ({"size": 6}, "says that it has 6 ids on 4 pages, and has others"),
        ({"length": 5}, "says that it has 7 ids on 5 pages, and has others"),
        ({"length": 3}, "says that it has 7 ids on 3 pages, and has others"),
        ({"pages": [["d0", "d1"], ["d2", "d3"], ["d4", "d5"], ["d7"]]}, "does not hold the right ids"),
        (
            {"pages": [["d0", "d1"], ["d3", "d2"], ["d4", "d5"], ["d6"]]},
            "does not hold the right ids",
        ),
        ({"pages": [["d", "d1"], ["d2", "d3"], ["d4", "d5"], ["d6"]]}, "does not hold the right ids"),
        ({"firsts": [["", "d3"], ["d4", "d6"]]}, "has a directory that does not lead to its pages"),
        ({"firsts": [["", "d2"], ["d4", "d7"]]}, "has a directory that does not lead to its pages"),
        (
            {"firsts": [["a", "d2"], ["d4", "d6"]], "tops": ["a", "d4"]},
            "has a directory that does not lead to its pages",
        ),
        ({"tops": ["", "d5"]}, "has a directory whose blocks are not even"),
        ({"tops": [""]}, "has a directory whose blocks are not even"),
        ({"firsts": [["", "d2", "d4"], ["d6"]], "tops": ["", "d6"]}, "has a directory whose blocks are not even"),
        ({"firsts": [[""], ["d2", "d4", "d6"]], "tops": ["", "d2"]}, "has a directory whose blocks are not even"),
    ],
    ids=str,
)
def test_a_long_posting_that_is_not_whole(document, name, what, change, finding):
    document["large"][name].update(change)
    assert findings(document) == [f"the posting {what} {finding}"]


def test_a_directory_of_another_length(document):
    document["large"][ALL].update(firsts=[["", "d2"], ["d4"]])
    assert findings(document) == ["the posting of all ids has a directory that does not lead to its pages"]
    document["large"][ALL].update(firsts=[["", "d2"], ["d4", "d6"], ["d9"]], tops=["", "d4", "d9"])
    assert findings(document) == ["the posting of all ids has a directory that does not lead to its pages"]
    document["large"][ALL].update(
        pages=[["d0", "d1"], ["d2", "d3"], ["d4", "d5", "d6"], []], firsts=[["", "d2"], ["d4"]], tops=["", "d4"]
    )
    assert findings(document) == ["the posting of all ids has a directory that does not lead to its pages"]


def test_a_long_posting_may_have_less_on_a_page_and_its_first_ids_may_be_gone(document):
    document["large"][NAME].update(
        pages=[["d0"], ["d1", "d2"], ["d3"], [], ["d4", "d5", "d6"]],
        firsts=[["", "d1"], ["d3", "d33"], ["d4"]],
        tops=["", "d3", "d4"],
        length=5,
    )
    assert findings(document) == []


@pytest.mark.parametrize("odd", ["d9", "d6", "d2"])
def test_first_ids_are_in_order_though_a_page_is_empty(document, odd):
    """Readers go by how many of them come before an id."""
    document["large"][NAME].update(
        pages=[["d0", "d1"], ["d2"], ["d3", "d4", "d5"], [], ["d6"]],
        firsts=[["", "d2"], ["d3", odd], ["d6"]],
        tops=["", "d3", "d6"],
        length=5,
    )
    assert findings(document) == [f"the posting of `{N}` has a directory that does not lead to its pages"]


@pytest.mark.parametrize("first", ["d3", "d4"])
def test_a_page_holds_the_ids_from_its_first_up_to_that_of_the_next(document, first):
    document["large"][NAME].update(
        pages=[["d0", "d1"], ["d2", "d3"], ["d4", "d5"], ["d6"]], firsts=[["", "d2"], [first, "d6"]], tops=["", first]
    )
    assert len(findings(document)) == (first != "d4")


def test_the_long_posting_of_all_may_not_be_missing(document):
    del document["large"][ALL]
    assert findings(document) == ["the posting of all ids is missing"]


def test_a_long_value_is_shown_briefly(document):
    text = "x" * 200
    resource(document, "d3")["d3"]["custom_data"]["long"] = text
    digest(document, "d3")
    assert findings(document) == [f'the posting of `["long","{"x" * 71}` is missing']
