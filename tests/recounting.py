"""Stored resources counted anew: whether all that the index says is what the resources themselves say.

And a JSON Patch as OPA applies it, for tests of what is sent.
"""

from __future__ import annotations

from typing import Any

from bridge.store import layout
from bridge.store.store import custom_data_of
from bridge.strict_json import encode, sorted_text


def whole(document: Any) -> dict[str, Any]:
    """The resources in a type's document, by id; fails unless it is one whole state with nothing beside it."""
    assert document.keys() == {"state", "generations"}
    state = document["state"]
    assert state.keys() == {"layout", "store", "revisions", "leases", "current"}
    current = state["current"]
    assert state["layout"] == layout.LAYOUT
    assert state["revisions"] == {f"r{current['revision']}": True}
    assert state["leases"] == {}
    assert current["store"] == state["store"]
    assert document["generations"].keys() == {current["generation"]}
    resources = recounted(document["generations"][current["generation"]])
    assert current["count"] == len(resources)
    return resources


def recounted(generation: Any) -> dict[str, Any]:
    """The resources in a generation, by id; fails unless digests, postings and pages are those of the resources."""
    assert generation.keys() == {"resources", "digests", "postings", "large"}
    resources: dict[str, Any] = {}
    digests = dict.fromkeys(layout.SHARDS, 0)
    postings: dict[tuple[str, str], list[str]] = {}
    assert sorted(generation["resources"]) == list(layout.SHARDS)
    for shard, buckets in generation["resources"].items():
        for bucket, by_id in buckets.items():
            assert by_id, "an empty bucket"
            for id_, resource in by_id.items():
                assert resource["id"] == id_
                assert layout.place(encode(id_)) == (shard, bucket)
                digests[shard] += layout.resource_digest(sorted_text(resource))
                for name, value in custom_data_of(resource).items():
                    postings.setdefault(layout.posting_name(layout.posting_text(name, value)), []).append(id_)
            resources |= by_id
    assert generation["digests"] == {shard: layout.digest_text(total) for shard, total in digests.items()}
    _check_postings(generation, {posting: sorted(ids) for posting, ids in postings.items()}, sorted(resources))
    return resources


def _check_postings(generation: Any, wanted: dict[tuple[str, str], list[str]], ids: list[str]) -> None:
    small = {(shard, name): listed for shard, names in generation["postings"].items() for name, listed in names.items()}
    assert sorted(generation["postings"]) == list(layout.SHARDS)
    assert all(0 < len(listed) <= layout.SMALL for listed in small.values())
    large = {name: _paged(document) for name, document in generation["large"].items()}
    assert large.pop(layout.ALL) == ids
    assert large.keys().isdisjoint(name for _, name in small)
    postings = small | {(f"s{name[1:3]}", name): ids for name, ids in large.items() if ids}
    assert postings == wanted


def _paged(document: Any) -> list[str]:
    """The ids of a large posting."""
    assert document.keys() == {"size", "length", "tops", "firsts", "pages"}
    pages = document["pages"]
    firsts = [first for block in document["firsts"] for first in block]
    assert document["length"] == len(pages) == len(firsts) >= 1
    assert document["size"] == sum(map(len, pages))
    assert document["tops"] == [block[0] for block in document["firsts"]]
    assert all(len(block) == layout.BLOCK for block in document["firsts"][:-1])
    assert len(document["firsts"][-1]) <= layout.BLOCK
    assert firsts[0] == ""
    for page, first, following in zip(pages, firsts, [*firsts[1:], None], strict=True):
        assert len(page) <= 2 * layout.PAGE
        assert all(first <= id_ and (following is None or id_ < following) for id_ in page)
    ids = [id_ for page in pages for id_ in page]
    assert ids == sorted(set(ids))
    return ids


class PatchError(Exception):
    """An operation that OPA would not do, so that it does none of the patch.

    Attributes:
        status: What it answers.
    """

    def __init__(self, what: Any, status: int = 404) -> None:
        super().__init__(what)
        self.status = status


def patched(document: Any, operations: Any) -> None:
    """Do what a JSON Patch says, in place, as far as OPA knows such."""
    for operation in operations:
        *above, name = operation["path"].split("/")[1:]
        parent = document
        for step in above:
            parent = _below(parent, step)
        kind = operation["op"]
        if kind == "add" and isinstance(parent, list):
            if not name.isdecimal() or int(name) > len(parent):
                raise PatchError(operation)
            parent.insert(int(name), operation["value"])
            continue
        if kind != "add":
            _below(parent, name, status=400)
        elif not isinstance(parent, dict):
            raise PatchError(operation)
        key = int(name) if isinstance(parent, list) else name
        if kind == "remove":
            del parent[key]
        else:
            assert kind in ("add", "replace")
            parent[key] = operation["value"]


def _below(parent: Any, name: str, *, status: int = 404) -> Any:
    """What lies there; `status` is what OPA answers where it would be the next item of an array."""
    try:
        return parent[int(name)] if isinstance(parent, list) else parent[name]
    except IndexError:
        raise PatchError(name, status if int(name) == len(parent) else 404) from None
    except (KeyError, TypeError, ValueError):
        raise PatchError(name) from None


def held(generation: Any, question: Any) -> dict[str, Any]:
    """What the rules' `store.view` gives for a question, read from a generation."""
    touched: dict[str, set[tuple[str, str]]] = {}
    buckets: dict[str, Any] = {}
    for change in question["changes"]:
        id_, shard, bucket = change["id"], change["shard"], change["bucket"]
        stored_bucket = buckets[f"{shard}/{bucket}"] = generation["resources"][shard].get(bucket, {})
        before = set()
        if id_ in stored_bucket:
            before.add(("", layout.ALL))
            for name, value in custom_data_of(stored_bucket[id_]).items():
                before.add(layout.posting_name(layout.posting_text(name, value)))
        after = {(posting["shard"], posting["name"]) for posting in change["postings"]}
        touched[id_] = before ^ after
    postings = {posting for some in touched.values() for posting in some}
    return {
        "buckets": buckets,
        "digests": {change["shard"]: generation["digests"][change["shard"]] for change in question["changes"]},
        "small": {
            name: generation["postings"][shard][name]
            for shard, name in postings
            if name in generation["postings"].get(shard, {})
        },
        "large": {
            name: _large_view(
                generation["large"][name], sorted(id_ for id_ in touched if (shard, name) in touched[id_])
            )
            for shard, name in postings
            if name in generation["large"]
        },
    }


def _large_view(document: Any, ids: list[str]) -> dict[str, Any]:
    firsts = [first for block in document["firsts"] for first in block]
    places = {id_: str(sum(first <= id_ for first in firsts) - 1) for id_ in ids}
    return {
        "size": document["size"],
        "places": places,
        "pages": {number: document["pages"][int(number)] for number in places.values()},
    }
