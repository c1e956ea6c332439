"""A whole state in parts: put together they are the resources with their index, and none is too large."""

from __future__ import annotations

import itertools
import json
from random import Random

import pytest
from conformance import tally
from recounting import patched, recounted

from bridge import PushRejectedError
from bridge.store import layout, patches
from bridge.store.patches import parts
from bridge.store.store import PreparedResources, prepare
from bridge.strict_json import encode, parse

VALUES = [
    1,
    1.5,
    "1",
    True,
    None,
    "",
    "<&>\u2028",
    "\\u0008",
    "\\b",
    [1, {"a": [None]}],
    {"b": 1, "a": 2},
    {"a": 2, "b": 1},
]
NAMES = ["user", "", "-", "a/b", "%2F", "\xe9"]
IDS = ["007", "-", "a/b", "%2F", "\xe9", "e\u0301", " ", "\x00", '"', "\\", "\U0001f600", "\uffff"]


def resources(count, *, seed=0):
    random = Random(f"{tally.seed()} {seed}")
    for id_ in IDS + [f"d{number}" for number in range(count)]:
        data = {name: random.choice(VALUES) for name in random.sample(NAMES, random.randint(0, 4))}
        yield {"id": id_, "custom_data": data} if random.random() < 0.9 else {"id": id_, "x": data}


def prepared(values):
    return prepare({encode(value["id"]): encode(value) for value in values})


def put_together(sent_parts):
    document = json.loads(layout.empty_generation())
    for part in sent_parts:
        patched(document, parse(part.patch.body()))
    return document


def with_hash(place, count):
    """Ids whose resources lie in that shard, or in that bucket of it."""
    ids = (f"i{number}" for number in itertools.count())
    return list(itertools.islice((id_ for id_ in ids if "".join(layout.place(encode(id_))).startswith(place)), count))


@pytest.mark.parametrize("count", [0, 1, 30, 700])
def test_parts_put_together_are_the_resources_and_their_index(monkeypatch, count):
    monkeypatch.setattr(layout, "PAGE", 4)
    monkeypatch.setattr(layout, "SMALL", 3)
    devices = {value["id"]: value for value in resources(count, seed=count)}
    sent_parts = list(parts(prepared(devices.values())))
    assert recounted(put_together(sent_parts)) == devices
    assert sum(part.resources for part in sent_parts) == len(devices)


def test_nothing_at_all_has_parts_as_well():
    sent_parts = list(parts(prepare({})))
    assert recounted(put_together(sent_parts)) == {}
    assert sum(part.resources for part in sent_parts) == 0


def test_parts_are_cut_by_bytes_and_by_operations(monkeypatch):
    monkeypatch.setattr(patches, "_PART", 20_000)
    monkeypatch.setattr(patches, "_OPERATIONS", 50)
    devices = list(resources(1_500))
    sent_parts = list(parts(prepared(devices)))
    assert len(sent_parts) > 10
    assert all(0 < len(part.patch) <= 50 for part in sent_parts)
    assert max(map(len, (part.patch for part in sent_parts))) == 50
    values = [[len(value) for _, _, value in part.patch] for part in sent_parts]
    assert all(sum(sizes) <= 20_000 or len(sizes) == 1 for sizes in values)
    # Each could have taken no more: the next one's first did not fit in.
    for sizes, following in itertools.pairwise(values):
        assert len(sizes) == 50 or sum(sizes) + following[0] > 20_000
    assert len(recounted(put_together(sent_parts))) == len(devices)


def operations(sent_parts):
    """The names that lead to each value, and how long it is, part by part."""
    return [[(path, len(value)) for _, path, value in part.patch] for part in sent_parts]


def test_a_part_may_be_full_to_the_last_byte():
    """Of two resources of one size in two shards, a digest and a resource fill a part; then come all ids."""

    def of_two(length):
        ready = PreparedResources()
        for id_ in (b'"d1"', b'"d2"'):
            ready.add(id_, b'{"id":%b,"text":"%b"}' % (id_, b"x" * length), {})
        return operations(parts(ready))

    ((*_, digest, resource, _),) = of_two(1)
    assert (digest[0][0], resource[0][0]) == ("digests", "resources")
    room = 8 * 1024 * 1024 - digest[1] - resource[1]
    assert list(map(len, of_two(1 + room))) == [2, 2, 1]
    assert list(map(len, of_two(2 + room))) == [1, 1, 1, 1, 1]


def test_a_part_has_512_operations_at_most():
    """OPA's time for them grows with their square."""
    part_operations = operations(parts(prepared(resources(2_000))))
    assert len(part_operations) > 1
    assert max(map(len, part_operations)) == 512


def test_what_is_larger_than_a_part_stands_alone(monkeypatch):
    monkeypatch.setattr(patches, "_PART", 1)
    sent_parts = list(parts(prepared([{"id": "a", "custom_data": {"n": 1}}])))
    assert [[path[0] for path, _ in part] for part in operations(sent_parts)] == [
        ["digests"],
        ["resources"],
        ["postings"],
        ["large"],
    ]
    assert recounted(put_together(sent_parts)).keys() == {"a"}


def test_a_shard_is_one_value_where_its_buckets_fit_a_part(monkeypatch):
    devices = [{"id": id_, "text": "x" * 100} for id_ in ("A", "d579")]
    buckets = sum(
        len(layout.object_([(encode(value["id"]), text)]))
        for value, text in zip(devices, prepared(devices).values(), strict=True)
    )
    for bytes_, length in ((10 * buckets, 2), (buckets, 2), (buckets - 1, 3)):
        monkeypatch.setattr(patches, "_PART", bytes_)
        sent_parts = list(parts(prepared(devices)))
        paths = [path for part in operations(sent_parts) for path, _ in part]
        assert {len(path) for path in paths if path[0] == "resources"} == {length}
        assert recounted(put_together(sent_parts)).keys() == {"A", "d579"}


def test_a_shard_of_postings_is_one_value_where_they_fit_a_part(monkeypatch):
    devices = [{"id": id_, "custom_data": {"n": number}} for id_, number in (("a", 0), ("b", 677))]
    assert {layout.posting_name(text)[0] for text in prepared(devices).postings} == {"s8d"}
    postings = len('["a"]') + len('["b"]')
    for bytes_, length in ((10 * postings, 2), (postings, 2), (postings - 1, 3)):
        monkeypatch.setattr(patches, "_PART", bytes_)
        sent_parts = list(parts(prepared(devices)))
        paths = [path for part in operations(sent_parts) for path, _ in part]
        assert {len(path) for path in paths if path[0] == "postings"} == {length}
        assert recounted(put_together(sent_parts)).keys() == {"a", "b"}


def test_a_shard_too_large_for_a_part_is_sent_bucket_by_bucket(monkeypatch):
    monkeypatch.setattr(patches, "_PART", 20_000)
    devices = [{"id": id_, "custom_data": {"text": "x" * 3_000, "n": 1}} for id_ in with_hash("s7f", 20)]
    sent_parts = list(parts(prepared(devices)))
    places = [path for part in sent_parts for _, path, _ in part.patch if path[0] == "resources"]
    assert {path[:2] for path in places} == {("resources", "s7f")}
    assert all(len(path) == 3 for path in places)
    assert len(places) == len({path[2] for path in places}) > 1
    assert len(recounted(put_together(sent_parts))) == 20
    assert sum(part.resources for part in sent_parts) == 20


def test_a_shard_of_postings_too_large_for_a_part_is_sent_one_by_one(monkeypatch):
    monkeypatch.setattr(patches, "_PART", 2_000)
    devices = [{"id": f"i{number}" * 40, "custom_data": {"n": number % 600}} for number in range(3_000)]
    sent_parts = list(parts(prepared(devices)))
    depths = {len(path) for part in sent_parts for _, path, _ in part.patch if path[0] == "postings"}
    assert depths == {2, 3}
    assert len(recounted(put_together(sent_parts))) == 3_000


def test_resources_of_one_hash_that_no_body_can_hold_are_refused(monkeypatch):
    monkeypatch.setattr(patches, "_PART", 1_000)
    monkeypatch.setattr(patches, "_MOST", 5_000)
    devices = [{"id": id_, "text": "x" * 2_000} for id_ in with_hash("s7fb3a", 3)]
    with pytest.raises(PushRejectedError, match="3 resources whose ids have one hash"):
        list(parts(prepared(devices)))
    assert len(recounted(put_together(parts(prepared(devices[:2]))))) == 2


def test_a_value_may_be_as_large_as_opa_takes(monkeypatch):
    """The bound is tried with a small one in its place; its own leaves room for what is around a value."""
    assert patches._MOST == 200 * 1024 * 1024
    devices = prepared([{"id": "a", "text": "x" * 2_000}])
    largest = max(size for part in operations(parts(devices)) for _, size in part)
    monkeypatch.setattr(patches, "_MOST", largest)
    assert recounted(put_together(parts(devices))).keys() == {"a"}
    monkeypatch.setattr(patches, "_MOST", largest - 1)
    with pytest.raises(
        PushRejectedError, match=f"take {largest:,} bytes together, and OPA takes {largest - 1:,} at once"
    ):
        list(parts(devices))


@pytest.mark.parametrize(("count", "where"), [(256, "postings"), (257, "large")])
def test_a_posting_of_up_to_256_ids_is_one_array(count, where):
    sent_parts = list(parts(prepared({"id": f"d{number}", "custom_data": {"n": 1}} for number in range(count))))
    _, name = layout.posting_name('["n",1]')
    (path,) = (path for part in operations(sent_parts) for path, _ in part if name in path or path[0] == "postings")
    assert path[0] == where
    assert len(recounted(put_together(sent_parts))) == count


@pytest.mark.parametrize("count", [1_024 * 2, 1_024 * 2 + 1, 3_000])
def test_a_posting_of_more_pages_than_are_sent_at_once(monkeypatch, count):
    monkeypatch.setattr(layout, "PAGE", 2)
    monkeypatch.setattr(layout, "SMALL", 1)
    devices = [{"id": f"d{number:05}", "custom_data": {"n": 1, "m": number}} for number in range(count)]
    document = put_together(parts(prepared(devices)))
    assert len(recounted(document)) == count
    lengths = sorted(len(posting["pages"]) for posting in document["large"].values())
    assert lengths == [-(-count // 2)] * 2


def test_ids_are_in_the_order_of_code_points_whatever_order_they_came_in():
    ids = ["\U0001f600", "\uffff", "\xe9", "e\u0301", "\\", '"', "\x00", "a", "\ue000"]
    devices = [{"id": id_, "custom_data": {"n": 1}} for id_ in ids]
    document = put_together(parts(prepared(devices)))
    (posting,) = (ids for short in document["postings"].values() for ids in short.values())
    assert posting == sorted(ids)
    assert document["large"]["all"]["pages"] == [sorted(ids)]
