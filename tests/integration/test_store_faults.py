"""Lost responses, foreign data, several OPAs and old revisions, with real OPAs: nothing stored is half."""

from __future__ import annotations

import json
from itertools import count, islice

import pusher
import pytest
from relay import ConnectionCutError, relayed
from store_faults import (
    ANYBODY,
    GRANTED,
    RESOURCES,
    TYPE,
    bridge_to,
    device,
    document,
    replaced,
    restarted,
    size,
    state_of,
    stored,
)

from bridge import Reason, UsageError
from bridge.errors import (
    EngineUnreachableError,
    ForeignContentError,
    InvalidResponseError,
    MultipleStoresError,
    PushConflictError,
    ResourcesMissingError,
    StaleResourcesError,
    UnsupportedLayoutError,
)
from bridge.store import from_objects, layout, patches
from bridge.store.patches import Patch, add
from bridge.store.store import prepare
from bridge.strict_json import encode


@pytest.mark.parametrize("foreign", [b"[]", b'{"revision":"7","resources":{"a":{"id":"a"}}}', b'"x"', b"{}", b"null"])
def test_a_push_does_not_overwrite_data_that_no_bridge_wrote(bridge, foreign):
    bridge.engine.opa.put_data(TYPE, foreign)
    with pytest.raises(ResourcesMissingError):
        bridge.check(ANYBODY, "devices", "a")
    for push in (bridge.push, bridge.sync):
        with pytest.raises(
            ForeignContentError, match=r"left as it is: choose another.*--replace 'data\.jwt_policy_data\.devices'"
        ) as error:
            push("devices", [device("b")])
        assert error.value.ids == ("data.jwt_policy_data.devices",)
    assert bridge.engine.opa.get_data(TYPE) == json.loads(foreign)
    bridge.engine.opa.delete_data(TYPE)
    bridge.push("devices", [device("b")])
    assert list(stored(bridge)) == ["b"]


def test_a_shard_larger_than_a_part_and_larger_than_most_bodies(bridge):
    shard = layout.place(encode("d0"))[0]
    ids = list(islice((f"d{n}" for n in count() if layout.place(encode(f"d{n}"))[0] == shard), 14))
    large = [device(id_, text=f"{n}" + "x" * 1_000_000) for n, id_ in enumerate(ids)]
    bridge.push("devices", [*large, device("small")])
    assert len(stored(bridge)) == 15
    text = large[3]["custom_data"]["text"]
    claims = {"policy": {"version": 2, "devices": {"custom_data": {"text": text[:60_000]}}}}
    assert bridge.list_allowed(claims, "devices").ids == ()
    bridge.upsert("devices", [device(ids[3], text=text[:60_000])])
    assert bridge.list_allowed(claims, "devices").ids == (ids[3],)
    bridge.delete("devices", ids[1:5])
    assert sorted(stored(bridge)) == sorted({*ids, "small"} - set(ids[1:5]))


def test_a_posting_of_more_pages_than_are_sent_with_it(bridge, monkeypatch):
    monkeypatch.setattr(layout, "PAGE", 2)
    devices = [device(f"d{n:05}", n=n % 2) for n in range(4_500)]
    bridge.push("devices", devices)
    assert len(document(bridge)["generations"].popitem()[1]["large"]["all"]["pages"]) == 2_250
    bridge.upsert("devices", [device(f"d{n:05}x", n=1) for n in (0, *range(2_250, 2_260), 4_499)])
    bridge.delete("devices", [f"d{n:05}" for n in range(4_400, 4_480)])
    wanted = sorted(id_ for id_, one in stored(bridge).items() if one["custom_data"]["n"] == 1)
    assert len(wanted) == 2_250 + 12 - 40
    listed_ids, after = [], None
    while True:
        listed = bridge.list_allowed(GRANTED, "devices", limit=700, after=after)
        listed_ids += listed.ids
        if (after := listed.cursor) is None:
            break
    assert listed_ids == wanted


def test_an_answer_that_is_lost_does_not_hide_what_was_done(opa, bridge, monkeypatch):
    monkeypatch.setattr(patches, "_PART", pusher.PART_BYTES)

    def at(number, _line, now):
        if (number, now) == at.when:
            raise ConnectionCutError

    def each_moment(call, moment):
        """Do it, cut at each of its requests; gives what was asked there and whether it was said to be done."""
        at.when = None
        relay.lines.clear()
        call(0)
        for number in range(len(relay.lines)):
            relay.lines.clear()
            at.when = (number, moment)
            before = document(bridge)["state"]["current"]
            try:
                revision = call(number + 1)
            except EngineUnreachableError:
                assert document(bridge)["state"]["current"] == before
                yield relay.lines[number], False
            else:
                assert document(bridge)["state"]["current"]["revision"] == revision
                yield relay.lines[number], True
            at.when = None

    def push(number):
        return replaced(relayed_bridge, number % 5 + 1)

    def upsert(number):
        return relayed_bridge.upsert("devices", [device("d1", number=number)]).revision

    with relayed(opa.url, at) as (url, relay), bridge_to(url) as relayed_bridge:
        at.when = None
        push(0)
        for call in (push, upsert):
            for moment in ("before", "after"):
                ends = list(each_moment(call, moment))
                # Reads are asked again; of what writes, only the last request is known to have been done.
                assert all(done for line, done in ends if not line.startswith("PATCH"))
                writes = [done for line, done in ends if line.startswith("PATCH")]
                assert writes == [False] * (len(writes) - 1) + [moment == "after"]
            at.when = None
            push(0)
            assert len(stored(bridge)) == size(1)


def test_that_a_revision_is_there_is_not_enough_to_say_that_a_push_is(opa, bridge, monkeypatch):
    """Clocks that stand still give others the same revision; the push that was cut must not be taken for theirs."""
    bridge.push("devices", pusher.state(1, RESOURCES))
    monkeypatch.setattr("time.time_ns", lambda: 0)

    def at(_number, line, now):
        if now == "before" and line.startswith("PATCH") and at.patches == 1:
            bridge.push("devices", pusher.state(2, RESOURCES))
            raise ConnectionCutError
        at.patches -= now == "before" and line.startswith("PATCH")

    with relayed(opa.url, at) as (url, relay), bridge_to(url) as pushing:
        at.patches = 10_000
        pushing.push("devices", pusher.state(3, RESOURCES))
        at.patches = sum(line.startswith("PATCH") for line in relay.lines)
        with pytest.raises(EngineUnreachableError):
            pushing.push("devices", pusher.state(4, RESOURCES))
    assert state_of(bridge) == 2


def test_two_opas_behind_one_address_are_noticed(opa, bridge, start_opa, rules):
    other = start_opa([rules])
    with bridge_to(other.url) as elsewhere:
        bridge.push("devices", [device("a", n=1)])
        elsewhere.push("devices", [device("b", n=1)])
        bridge.push("sessions", [device("a", n=1)])
        asks = (
            lambda reading: reading.check(GRANTED, "devices", "a"),
            lambda reading: reading.check_many(GRANTED, "devices", ["a", "b"]),
            lambda reading: reading.explain(GRANTED, "devices", "a"),
            lambda reading: reading.list_allowed(GRANTED, "devices"),
        )
        for ask in asks:
            with relayed(opa.url) as (url, relay), bridge_to(url) as reading:
                ask(reading)
                relay.url = other.url
                ask(reading)
                relay.url = opa.url
                for _ in range(2):
                    with pytest.raises(
                        MultipleStoresError, match="several OPAs answer at this address, each with `devices`"
                    ):
                        ask(reading)
                assert reading.check(GRANTED, "devices", device("x", n=1))
        with relayed(opa.url) as (url, relay), bridge_to(url, on_error="deny") as reading:
            for address in (opa.url, other.url, opa.url):
                relay.url = address
                decision = reading.check(GRANTED, "devices", "a")
            assert decision.reason is Reason.ENGINE_UNAVAILABLE
    other.kill()


def test_a_later_layout_is_neither_read_nor_written(bridge):
    bridge.push("devices", [device("a", n=1)])
    bridge.engine.opa.patch_data(TYPE, b'[{"op":"add","path":"/state/layout","value":2}]')
    before = document(bridge)
    for call in (
        lambda: bridge.check(GRANTED, "devices", "a"),
        lambda: bridge.check_many(GRANTED, "devices", ["a", "b"]),
        lambda: bridge.explain(GRANTED, "devices", "a"),
        lambda: bridge.list_allowed(GRANTED, "devices"),
        lambda: bridge.push("devices", [device("a")], force=True),
        lambda: bridge.upsert("devices", [device("b")]),
        lambda: bridge.delete("devices", ["a"]),
        lambda: bridge.sync("devices", [device("b")], force=True),
        lambda: list(bridge.engine.store.resources("devices")),
        lambda: bridge.engine.store.replace("devices", {}),
    ):
        with pytest.raises(UnsupportedLayoutError):
            call()
    assert document(bridge) == before
    assert bridge.check(GRANTED, "devices", device("a", n=1))


def test_at_least_refuses_what_is_older_and_revisions_never_go_back(opa, bridge, start_opa, rules, monkeypatch):
    first = bridge.push("devices", [device("a", n=1)]).revision
    second = bridge.upsert("devices", [device("b", n=1)]).revision
    assert int(first) < int(second)
    for at_least in (None, first, second):
        assert bridge.check(GRANTED, "devices", "a", at_least=at_least).revision == second
        assert bridge.list_allowed(GRANTED, "devices", at_least=at_least).revision == second
    newer = str(int(second) + 1)
    for ask in (
        lambda: bridge.check(GRANTED, "devices", "a", at_least=newer),
        lambda: bridge.check_many(GRANTED, "devices", [device("x", n=1), "a"], at_least=newer),
        lambda: bridge.list_allowed(GRANTED, "devices", at_least=newer),
    ):
        with pytest.raises(StaleResourcesError, match=f"of revision {second}, older than {newer}"):
            ask()
    assert bridge.check(GRANTED, "devices", device("x", n=1), at_least=newer)
    with pytest.raises(UsageError):
        bridge.check(GRANTED, "devices", "a", at_least="newest")
    # A clock that went back, and an OPA that knows of no revision any more.
    monkeypatch.setattr("time.time_ns", lambda: 1_000_000)
    third = bridge.push("devices", [device("a", n=1)], force=True).revision
    fourth = bridge.delete("devices", ["a"]).revision
    opa = restarted(opa, start_opa, rules)
    fifth = bridge.push("devices", [device("a", n=1)]).revision
    revisions = [int(revision) for revision in (first, second, third, fourth, fifth)]
    assert revisions == sorted(set(revisions))
    opa.kill()


def test_lost_resources_deny_where_faults_do(opa):
    with bridge_to(opa.url, on_error="deny") as denying:
        decisions = denying.check_many(ANYBODY, "devices", ["a", "b"])
        assert [decision.reason for decision in decisions] == [Reason.ENGINE_UNAVAILABLE] * 2
        assert "no pushed resources" in decisions[0].error
        assert denying.explain(ANYBODY, "devices", "a").decision.reason is Reason.ENGINE_UNAVAILABLE
        # What came with the question, and what is decided before any resource is looked at.
        assert denying.check(ANYBODY, "devices", {"id": "a"})
        assert denying.check(ANYBODY, "users", "a").reason is Reason.UNKNOWN_TYPE
        assert denying.check(None, "devices", "a").reason is Reason.MALFORMED_INPUT
        denying.push("devices", [device("b")])
        assert [one.reason for one in denying.check_many(ANYBODY, "devices", ["a", "b"])] == [
            "unknown_resource",
            "unrestricted",
        ]
        # Another type is as lost as it was.
        assert denying.check(ANYBODY, "sessions", "a").reason is Reason.ENGINE_UNAVAILABLE


def test_an_empty_push_is_no_loss(bridge):
    bridge.push("devices", [], force=True)
    assert stored(bridge) == {}
    assert bridge.check(ANYBODY, "devices", "a").reason is Reason.UNKNOWN_RESOURCE
    listed = bridge.list_allowed(ANYBODY, "devices")
    assert (listed.ids, listed.complete, listed.everything) == ((), True, True)


def test_what_differs_is_found_while_generations_come_and_go(opa, bridge):
    """A generation may go between the requests that compare it, and what has been read of it is no state."""
    bridge.push("devices", pusher.state(1, RESOURCES))
    wanted = prepare(from_objects(pusher.state(1, RESOURCES)).resources)

    def at(_number, line, now):
        if now == "before" and f"/{at.document}" in line and at.times:
            at.times -= 1
            bridge.push("devices", pusher.state(at.times + 2, RESOURCES), force=True)

    with relayed(opa.url, at) as (url, _), bridge_to(url) as reading:
        for at.document in ("digests", "resources/"):
            at.times = 2
            difference = reading.engine.store.difference("devices", wanted, None)
            assert (difference.before, len(difference.upserts)) == (size(2), len(wanted))
            at.times = 100
            with pytest.raises(PushConflictError, match="5 times"):
                reading.sync("devices", pusher.state(1, RESOURCES))
        at.times = 0


def test_what_cannot_be_read_is_replaced_by_force_alone(bridge, caplog):
    bridge.push("devices", [device("a", n=1), device("b", n=1)])
    shard, bucket = layout.place(encode("a"))
    causes = {
        ("digests",): "the digests of `devices` in OPA are not an object: push",
        ("resources", shard, bucket): "shard .*in OPA is not an object of objects: push",
    }
    for path, cause in causes.items():
        current = document(bridge)["state"]["current"]["generation"]
        bridge.engine.opa.patch_data(TYPE, Patch([add("generations", current, *path, value=b"1")]).body())
        for put in (bridge.push, bridge.sync):
            with pytest.raises(InvalidResponseError, match=cause):
                put("devices", [device("a", n=2)])
        caplog.clear()
        report = bridge.push("devices", [device("a", n=1, now=len(path)), device("c", n=1)], force=True)
        assert (report.before, report.added, report.changed, report.removed) == (0, 2, 0, 0)
        assert "cannot be read, and are replaced" in caplog.text
        assert bridge.list_allowed(GRANTED, "devices").ids == ("a", "c")
