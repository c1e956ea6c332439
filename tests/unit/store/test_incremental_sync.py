"""Syncing and pushing: what is sent to a store of one's own making, and what is told of it."""

from __future__ import annotations

import sys

import pytest

from bridge.errors import EngineUnreachableError, InvalidResponseError, PushConflictError, PushRejectedError
from bridge.store import MemoryStore, PushReport, SyncReport, from_chunks, from_lines, from_objects, push, sync
from bridge.store.store import ChangeReport, StoreDifference, next_revision
from bridge.strict_json import encode


class RecordingStore:
    """A store that notes what is asked of it.

    Args:
        ids: What is there.
        most: How many resources a change may have.
    """

    def __init__(self, *ids, most=1_000_000):
        self.inner = MemoryStore(("devices", "sessions"))
        if ids:
            self.inner.replace("devices", from_objects([{"id": id_} for id_ in ids]).resources)
        self.most = most
        self.calls = []
        self.unreadable = None

    def operation(self):
        operation = RecordingStore.__new__(RecordingStore)
        operation.__dict__ = self.__dict__ | {"is_operation": True}
        return operation

    def difference(self, type_, prepared, most):
        assert self.is_operation
        self.calls.append(("difference", type_, most))
        if self.unreadable:
            raise self.unreadable
        return self.inner.difference(type_, prepared, most)

    def replace(self, type_, resources, *, on_progress=lambda _: None):
        assert self.is_operation
        self.calls.append(("replace", type_, sorted(resources)))
        return self.inner.replace(type_, resources, on_progress=on_progress)

    def change(self, type_, upserts, removals):
        assert self.is_operation
        removals = list(removals)
        self.calls.append(("change", len(upserts), len(removals)))
        if len(upserts) + len(removals) > self.most:
            raise PushRejectedError("too many")
        return self.inner.change(type_, upserts, removals)

    def ids(self):
        return sorted(id_.decode().strip('"') for id_ in self.inner.stored(b'"devices"').all_ids())


def objects(*ids, **more):
    return from_objects([{"id": id_, **more} for id_ in ids])


def numbered(count, **more):
    return from_objects([{"id": f"d{number:04}", **more} for number in range(count)])


# --- sync


def test_what_differs_is_sent_as_one_change():
    store, progress = RecordingStore("a", "b", "c"), []
    wanted = from_objects([{"id": "a", "x": 1}, {"id": "b", "x": 1}, {"id": "d"}])
    report = sync(store, "devices", wanted, on_progress=progress.append)
    assert store.calls == [("difference", "devices", 20_000), ("change", 3, 1)]
    assert store.ids() == ["a", "b", "d"]
    assert report == SyncReport(
        type="devices",
        stored=3,
        added=1,
        changed=2,
        removed=1,
        revisions=1,
        generation=False,
        rejected=(),
        revision=store.inner.stored(b'"devices"').revision,
        removed_as_rejected=(),
    )
    assert progress == [4]


def test_nothing_that_differs_is_no_revision():
    store = RecordingStore("a")
    report = sync(store, "devices", objects("a"))
    assert (report.revisions, report.revision, report.added, report.generation) == (0, None, 0, False)
    assert store.calls == [("difference", "devices", 20_000)]


def test_a_large_difference_is_sent_bit_by_bit():
    store, progress = RecordingStore("a"), []
    report = sync(store, "devices", numbered(400), force=True, on_progress=progress.append)
    assert store.calls[1:] == [("change", 150, 0), ("change", 150, 0), ("change", 100, 1)]
    assert (report.revisions, report.added, report.removed) == (3, 400, 1)
    assert progress == [150, 150, 101]
    assert len(store.ids()) == 400
    assert report.revision == store.inner.stored(b'"devices"').revision


def test_a_change_of_too_much_is_halved_until_it_goes():
    store, progress = RecordingStore("a", most=40), []
    report = sync(store, "devices", objects("a", *(f"d{number}" for number in range(100))), on_progress=progress.append)
    assert [len_ for _, len_, _ in store.calls[1:]] == [100, 75, 37, 37, 26]
    assert (report.generation, report.revisions, progress) == (False, 3, [37, 37, 26])
    assert len(store.ids()) == 101


def test_where_not_even_one_can_be_changed_all_is_sent_anew():
    store, progress = RecordingStore("a", "b", most=0), []
    report = sync(store, "devices", objects("a", "c", "d"), on_progress=progress.append)
    assert [call[0] for call in store.calls] == ["difference", *["change"] * 8, "difference", "replace"]
    assert [sum(call[1:]) for call in store.calls[1:9]] == [3, 3, 3, 3, 3, 3, 2, 1]
    assert (report.generation, report.revisions, report.added, report.removed) == (True, 1, 2, 1)
    assert store.ids() == ["a", "c", "d"]
    assert progress == [3]


def test_the_first_sync_and_one_that_differs_in_too_much_send_all_anew():
    store = RecordingStore()
    report = sync(store, "devices", objects("a", "b", x=1))
    assert [call[0] for call in store.calls] == ["difference", "difference", "replace"]
    assert store.calls[1] == ("difference", "devices", None)
    assert report == SyncReport(
        type="devices",
        stored=2,
        added=2,
        changed=0,
        removed=0,
        revisions=1,
        generation=True,
        rejected=(),
        revision=store.inner.stored(b'"devices"').revision,
        removed_as_rejected=(),
    )


def test_all_sent_anew_counts_what_it_does(monkeypatch):
    monkeypatch.setattr(sys.modules[sync.__module__], "MOST_CHANGES", 1)
    store = RecordingStore("a", "b", "c", "e")
    collected = from_lines([b'{"id":"a","x":1}\n', b'{"id":"b"}\n', b'{"id":"d"}\n', b'{"id":"c","n":1e999}\n'])
    with pytest.raises(PushRejectedError, match="skip_invalid"):
        sync(store, "devices", collected)
    assert store.calls == []
    report = sync(store, "devices", collected, skip_invalid=True)
    assert (report.stored, report.added, report.changed, report.removed) == (3, 1, 1, 2)
    assert (report.generation, report.rejected, report.removed_as_rejected) == (True, collected.rejected, ("c",))
    assert store.ids() == ["a", "b", "d"]


def test_what_a_refusal_removes_is_told():
    store = RecordingStore("a", "b", "c")
    collected = from_lines([b'{"id":"a"}\n', b'{"id":"b"}\n', b'{"id":"c","n":1e999}\n'])
    report = sync(store, "devices", collected, skip_invalid=True)
    assert (report.generation, report.rejected, report.removed_as_rejected) == (False, collected.rejected, ("c",))
    assert report.removed == 1


@pytest.mark.parametrize("way", [push, sync])
def test_more_than_half_is_removed_by_force_alone(way):
    store = RecordingStore("a", "b", "c", "d", "e")
    collected = from_lines([b'{"id":"a"}\n', b'{"id":"b"}\n', b'{"id":"x","n":1e999}\n'])
    with pytest.raises(
        PushRejectedError, match="3 of the 5 stored `devices` would be removed, more than half"
    ) as raised:
        way(store, "devices", collected, skip_invalid=True)
    assert raised.value.rejected == collected.rejected
    assert [call[0] for call in store.calls] == ["difference"]
    assert way(store, "devices", objects("a", "b", "c", "x")).removed == 2
    assert way(store, "devices", objects("y"), force=True).removed == 4
    with pytest.raises(PushRejectedError, match="empty push would remove all"):
        way(store, "devices", from_objects([]))
    assert way(store, "devices", from_objects([]), force=True).stored == 0


def test_more_than_half_is_removed_by_force_alone_where_all_is_sent_anew(monkeypatch):
    monkeypatch.setattr(sys.modules[sync.__module__], "MOST_CHANGES", 0)
    store = RecordingStore("a", "b", "c")
    with pytest.raises(PushRejectedError, match="more than half"):
        sync(store, "devices", objects("a"))
    assert store.ids() == ["a", "b", "c"]
    assert sync(store, "devices", objects("a"), force=True).removed == 2
    half = from_objects([{"id": "a", "x": 1}, {}, {}])
    with pytest.raises(PushRejectedError, match="more than half"):
        sync(store, "devices", half, skip_invalid=True)
    assert sync(store, "devices", half, skip_invalid=True, force=True).changed == 1


def test_what_others_do_ends_a_sync():
    store = RecordingStore("a", "b")

    def overtaken(*_):
        raise PushConflictError("others")

    store.change = overtaken
    with pytest.raises(PushConflictError):
        sync(store, "devices", objects("a", "c"))
    assert store.ids() == ["a", "b"]


# --- push


def test_a_push_tells_what_it_did():
    store, progress = RecordingStore("a", "b", "c"), []
    wanted = from_objects([{"id": "a", "x": 1}, {"id": "b", "x": 1}, {"id": "d"}])
    report = push(store, "devices", wanted, on_progress=progress.append)
    assert store.calls == [("difference", "devices", None), ("replace", "devices", [b'"a"', b'"b"', b'"d"'])]
    assert report == PushReport(
        type="devices",
        stored=3,
        before=3,
        added=1,
        changed=2,
        removed=1,
        rejected=(),
        revision=store.inner.stored(b'"devices"').revision,
    )
    assert progress == [3]


def test_what_cannot_be_read_is_replaced_by_force_alone(caplog):
    store = RecordingStore("a", "b")
    store.unreadable = InvalidResponseError("broken")
    with pytest.raises(InvalidResponseError, match="broken"):
        push(store, "devices", objects("c"))
    assert store.ids() == ["a", "b"]
    report = push(store, "devices", objects("c", "d"), force=True)
    assert (report.added, report.changed, report.removed, report.before) == (2, 0, 0, 0)
    assert store.ids() == ["c", "d"]
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("bridge", "the stored resources of `devices` cannot be read, and are replaced: broken")
    ]
    store.unreadable = EngineUnreachableError("down")
    with pytest.raises(EngineUnreachableError):
        push(store, "devices", objects("c"), force=True)


def test_texts_of_refusals():
    collected = from_lines([b"nonsense\n", b'{"id":"a"}\n'], what="`d.jsonl`")
    with pytest.raises(PushRejectedError) as raised:
        push(RecordingStore(), "devices", collected)
    assert str(raised.value).startswith("nothing was pushed: 1 of 2 resources in `d.jsonl` are refused, first line 1: ")
    for empty, progress in (
        (from_chunks([b""], what="`d.jsonl`"), "`d.jsonl` is empty"),
        (from_objects([]), "no resource"),
    ):
        with pytest.raises(PushRejectedError) as raised:
            push(RecordingStore("a"), "devices", empty)
        assert progress in str(raised.value)
        assert ("is empty" in str(raised.value)) == ("is empty" in progress)
    many = from_objects([*({"id": f"d{number}"} for number in range(1_000)), *[{}] * 1_000])
    with pytest.raises(PushRejectedError, match=r"1,000 of 2,000 resources are refused"):
        push(RecordingStore(), "devices", many)
    with pytest.raises(PushRejectedError, match=r"all 1,000 resources are refused"):
        push(RecordingStore(), "devices", from_objects([{}] * 1_000))


# --- what a store tells


@pytest.mark.parametrize(
    ("before", "upserts", "removals", "counts"),
    [
        ({}, {}, [], (0, 0, 0, 0, 0)),
        ({b"a": b"1"}, {b"a": b"1"}, [], (0, 0, 0, 1, 0)),
        ({b"a": b"1"}, {b"a": b"2", b"b": b"1"}, [b"c"], (1, 1, 0, 0, 1)),
        (
            {b"a": b"1", b"c": b"1", b"d": b"1"},
            {b"x": b"1", b"y": b"1"},
            [b"c", b"c", b"z", b"a", b"a"],
            (2, 0, 2, 0, 1),
        ),
    ],
)
def test_counts_of_a_change(before, upserts, removals, counts):
    changed = ChangeReport.of(before, upserts, iter(removals), "7")
    assert changed == ChangeReport(*counts, "7")


def test_revisions_count_microseconds(monkeypatch):
    monkeypatch.setattr("bridge.store.store.time.time_ns", lambda: 1_234_567)
    assert next_revision(None) == "1234"
    assert next_revision("1233") == "1234"
    assert next_revision("7") == "1234"
    assert next_revision("1234") == "1235"
    assert next_revision("5000") == "5001"
    assert next_revision("") == next_revision("x") == "1234"


def test_what_differs_in_memory():
    store = MemoryStore(("devices",))
    store.replace("devices", objects("a", "b", "c").resources)
    wanted = from_objects([{"id": "a"}, {"id": "b", "x": 1}, {"id": "d"}]).resources
    difference = store.difference("devices", wanted, None)
    assert difference == StoreDifference({key: wanted[key] for key in (b'"b"', b'"d"')}, [encode("c")], 1, 3)
    assert store.difference("devices", wanted, 3) == difference
    assert store.difference("devices", wanted, 2) is None
