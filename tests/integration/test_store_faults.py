"""What may go wrong while resources are pushed, changed and read, with real OPAs: nothing is half, or only seems so.

Whoever reads sees the old state or the new one, or is told of a fault; what was said to be stored is stored.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import resource
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from pathlib import Path
from random import Random

import pusher
import pytest
from conformance import tally
from relay import MOMENTS, Cut, relayed
from stored import recounted, whole

from bridge import (
    EngineError,
    InvalidResponseError,
    OpaClient,
    OpaEngine,
    PolicyBridge,
    Reason,
    UsageError,
)
from bridge.errors import (
    EngineUnreachableError,
    ForeignContentError,
    MultipleStoresError,
    PushConflictError,
    ResourcesMissingError,
    StaleResourcesError,
    UnsupportedLayoutError,
)
from bridge.rendering import RuleSet, render
from bridge.store import from_objects, generation, layout
from bridge.store.json_patch import Patch, add
from bridge.store.prepared import prepare
from bridge.strict_json import encode

TYPE = ("jwt_policy_data", "devices")
KILLS = 120
RESOURCES = 150
ANYBODY: dict[str, object] = {}
GRANTED = {"policy": {"version": 2, "devices": {"custom_data": {"n": 1}}}}


def of_state(number):
    return {"policy": {"version": 2, "devices": {"custom_data": {"state": number}}}}


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """The rules as files, so that an OPA has them from its start."""
    folder = tmp_path_factory.mktemp("rules")
    for module in render(RuleSet()):
        path = folder / module.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(module.text)
    return folder


@pytest.fixture
def opa(start_opa, rules):
    """An OPA of the test's own, with the rules and nothing else."""
    opa = start_opa([rules])
    yield opa
    opa.kill()


@pytest.fixture
def bridge(opa):
    with PolicyBridge(OpaEngine(OpaClient(opa.url, deadline=60))) as opened:
        yield opened


@contextlib.contextmanager
def bridge_to(url, **settings):
    with PolicyBridge(OpaEngine(OpaClient(url, deadline=60)), **settings) as opened:
        yield opened


def device(id_, **custom_data):
    return {"id": id_, "custom_data": custom_data}


def document(bridge):
    return bridge.engine.opa.get_data(TYPE)


def size(number):
    return len(pusher.state(number, RESOURCES))


def replaced(bridge, number):
    """A push but for what it first compares; gives the revision."""
    return bridge.engine.store.replace("devices", from_objects(pusher.state(number, RESOURCES)).resources)


def stored(bridge):
    """The resources on an OPA, by id, once all about them was counted anew."""
    return whole(document(bridge))


def state_of(bridge):
    """Which state OPA is in, once its current generation was counted anew; there may be what a push has left."""
    found = document(bridge)
    resources = recounted(found["generations"][found["state"]["current"]["generation"]])
    (number,) = {one["custom_data"]["state"] for one in resources.values()}
    assert list(resources.values()) != []
    assert resources == {one["id"]: one for one in pusher.state(number, RESOURCES)}
    return number


def restarted(opa, start_opa, rules):
    """An empty OPA at the address of one that is killed."""
    opa.kill()
    return start_opa([rules], port=opa.port)


class Reader(threading.Thread):
    """Reads without a pause, and notes what is neither the old state nor the new one.

    Args:
        url: Where the OPA is.
        look: Reads something; what it raises is noted as wrong, but for faults where they are allowed.
        faults: Whether faults of the engine are allowed.
    """

    def __init__(self, url, look, *, faults=False):
        super().__init__()
        self._bridge = PolicyBridge(OpaEngine(OpaClient(url, deadline=60)))
        self._look = look
        self._faults = faults
        self._over = threading.Event()
        self._progress = threading.Condition()
        self.reads = 0
        self.faults = []
        self.wrong = []

    def run(self):
        with self._bridge:
            while not self._over.is_set() and not self.wrong:
                try:
                    self._look(self._bridge)
                except EngineError as fault:
                    (self.faults if self._faults else self.wrong).append(fault)
                except BaseException as error:  # noqa: BLE001 - the test tells
                    self.wrong.append(error)
                with self._progress:
                    self.reads += 1
                    self._progress.notify_all()

    def wait_for(self, more):
        """Wait until it has read so many times more."""
        with self._progress:
            wanted = self.reads + more
            assert self._progress.wait_for(lambda: self.reads >= wanted or self.wrong, 60)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self.join()
        assert self.wrong == []


class Killed:
    """Pushes in other processes, each killed at one moment of it."""

    def __init__(self):
        paths = os.pathsep.join([str(Path(pusher.__file__).parent), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [sys.executable, pusher.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )
        self._pids: queue.SimpleQueue[int] = queue.SimpleQueue()

    def at(self, when):
        """What a relay is to do at its moments, for the next push alone: a late one must not kill the push after it."""
        self._pids = pids = queue.SimpleQueue()

        def kill(number, _line, moment):
            if (number, moment) == when:
                with contextlib.suppress(ProcessLookupError):  # it had its last answer, and has ended
                    os.kill(pids.get(timeout=60), signal.SIGKILL)
                raise Cut

        return kill

    def push(self, url, state):
        """Push; gives whether it was killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(url, state, RESOURCES, file=self._process.stdin, flush=True)
        self._pids.put(int(self._process.stdout.readline()))
        ended = self._process.stdout.readline().strip()
        assert ended in ("killed", "0")
        return ended == "killed"

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture
def killed():
    found = Killed()
    yield found
    found.close()


def test_a_pusher_killed_at_any_moment_leaves_the_old_state_or_the_new_one(opa, bridge, killed, monkeypatch):
    monkeypatch.setattr(generation, "_PART", pusher.PART_BYTES)
    random = Random(tally.seed())
    bridge.push("devices", pusher.state(0, RESOURCES))
    allowed = {0}
    revisions = {}

    ids = {}

    def ids_of(number):
        if number not in ids:
            ids[number] = tuple(sorted(one["id"] for one in pusher.state(number, RESOURCES)))
        return ids[number]

    def look(reading):
        before = set(allowed)
        listed = reading.list_allowed(ANYBODY, "devices")
        (number,) = (number for number in before | allowed if ids_of(number) == listed.ids)
        assert revisions.setdefault(listed.revision, number) == number
        decisions = reading.check_many(of_state(number), "devices", ids_of(number)[:RESOURCES])
        assert len({(decision.reason, decision.revision) for decision in decisions}) == 1
        assert decisions[0].reason in (Reason.MATCHED, Reason.CONSTRAINT_FAILED)
        assert (decisions[0].reason is Reason.MATCHED) == (decisions[0].revision == listed.revision)

    with relayed(opa.url) as (url, relay):
        with bridge_to(url) as whole_push:
            replaced(whole_push, 0)
        requests = len(relay.lines)
    assert requests >= 8
    ends = {"killed": 0, "old": 0, "new": 0, "left": 0}
    with Reader(opa.url, look) as reader:
        for number in range(1, KILLS + 1):
            before = state_of(bridge)
            allowed |= {before, number}
            when = (random.randrange(requests), random.choice(MOMENTS))
            with relayed(opa.url, killed.at(when)) as (url, _):
                ends["killed"] += killed.push(url, number)
            reader.wait_for(1)
            after = state_of(bridge)
            assert after in (before, number)
            ends["new" if after == number else "old"] += 1
            ends["left"] += bool(document(bridge)["state"]["leases"])
            allowed.intersection_update({after})
            if number % 10 == 0:
                reader.wait_for(1)
                allowed.add(number + 1_000)
                bridge.push("devices", pusher.state(number + 1_000, RESOURCES), force=True)
                # Nothing of those that were killed is left.
                assert stored(bridge).keys() == set(ids_of(number + 1_000))
                reader.wait_for(1)
                allowed.intersection_update({number + 1_000})
        assert reader.reads > KILLS
    assert ends["killed"] >= 100
    assert min(ends.values()) > 0


@pytest.mark.parametrize("moment", MOMENTS[:3])
@pytest.mark.parametrize("back", [False, True], ids=["down", "back at once"])
def test_opa_killed_in_the_middle_of_a_push_has_nothing_until_the_next_one(
    opa, start_opa, rules, monkeypatch, moment, back
):
    monkeypatch.setattr(generation, "_PART", pusher.PART_BYTES)
    running = [opa]

    def at(number, line, now):
        if now == moment and line.startswith("PATCH") and number == at.number:
            running[0].kill()
            if back:
                running[0] = start_opa([rules], port=opa.port)
            if not back or moment == "after":
                raise Cut

    with bridge_to(opa.url) as bridge, relayed(opa.url, at) as (url, relay), bridge_to(url) as pushing:
        at.number = -1
        replaced(pushing, 0)
        relay.lines.clear()
        revision = replaced(pushing, 1)
        patches = [number for number, line in enumerate(relay.lines) if line.startswith("PATCH")]
        for number in (patches[1], patches[len(patches) // 2], patches[-1]):
            relay.lines.clear()
            at.number = number
            with pytest.raises(EngineError) as fault:
                replaced(pushing, 2)
            assert isinstance(fault.value, (ResourcesMissingError, EngineUnreachableError))
            if not back:
                running[0] = start_opa([rules], port=opa.port)
            for ask in (
                lambda: bridge.check(ANYBODY, "devices", "d1"),
                lambda: bridge.check_many(ANYBODY, "devices", ["d1", "only-2-0", "x"]),
                lambda: bridge.explain(ANYBODY, "devices", "d1"),
                lambda: bridge.list_allowed(ANYBODY, "devices"),
                lambda: bridge.upsert("devices", [device("d1")]),
                lambda: bridge.delete("devices", ["d1"]),
                lambda: bridge.check(ANYBODY, "devices", "d1", at_least=revision),
            ):
                with pytest.raises(ResourcesMissingError, match="no pushed resources of `devices`"):
                    ask()
            at.number = -1
            relay.lines.clear()
            assert int(pushing.push("devices", pusher.state(3, RESOURCES)).revision) > int(revision)
            assert state_of(bridge) == 3
            assert bridge.check(of_state(3), "devices", "d1", at_least=revision)
            assert len(stored(bridge)) == size(3)
    running[0].kill()


def test_opa_restarted_empty_under_load_is_never_taken_for_one_that_knows_nothing(opa, start_opa, rules, bridge):
    devices = [device(f"d{n}", n=n % 2) for n in range(40)]
    bridge.push("devices", devices)
    wanted = [n % 2 == 1 for n in range(40)]

    def checks(reading):
        decisions = reading.check_many(GRANTED, "devices", [f"d{n}" for n in range(40)])
        assert [decision.allow for decision in decisions] == wanted
        assert {decision.reason for decision in decisions} == {Reason.MATCHED, Reason.CONSTRAINT_FAILED}

    def one(reading):
        assert reading.check(GRANTED, "devices", "d1").reason is Reason.MATCHED
        assert reading.explain(GRANTED, "devices", "d2").decision.reason is Reason.CONSTRAINT_FAILED

    def lists(reading):
        assert reading.list_allowed(GRANTED, "devices").ids == tuple(sorted(f"d{n}" for n in range(1, 40, 2)))

    with contextlib.ExitStack() as readers:
        reading = [readers.enter_context(Reader(opa.url, look, faults=True)) for look in (checks, one, lists, checks)]
        for _ in range(4):
            for reader in reading:
                reader.wait_for(3)
            opa = restarted(opa, start_opa, rules)
            for reader in reading:
                reader.wait_for(3)
            bridge.push("devices", devices)
            before = [len(reader.faults) for reader in reading]
            for reader in reading:
                reader.wait_for(3)
            assert all(before)
        lost = [fault for reader in reading for fault in reader.faults if isinstance(fault, ResourcesMissingError)]
        assert len(lost) >= 4
    opa.kill()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_of_two_pushers_the_earlier_one_is_overtaken_wherever_it_is(opa, bridge, monkeypatch, moment):
    """The second one begins and ends within each request of the first."""
    monkeypatch.setattr(generation, "_PART", pusher.PART_BYTES)

    def at(number, _line, now):
        if number == at.number and now == moment:
            bridge.push("devices", pusher.state(2, RESOURCES), force=True)
            assert state_of(bridge) == 2

    with relayed(opa.url, at) as (url, relay), bridge_to(url) as pushing:
        at.number = -1
        replaced(pushing, 1)
        relay.lines.clear()
        replaced(pushing, 1)
        requests = len(relay.lines)
        outcomes = []
        for number in range(requests):
            bridge.push("devices", pusher.state(0, RESOURCES), force=True)
            relay.lines.clear()
            at.number = number
            try:
                replaced(pushing, 1)
                outcomes.append(1)
            except PushConflictError as overtaken:
                assert "came in between" in str(overtaken)  # noqa: PT017
                outcomes.append(2)
            at.number = -1
            # At the very end the second one is the later one.
            assert state_of(bridge) == (2 if moment == "after" and number == requests - 1 else outcomes[-1])
            assert len(stored(bridge)) == size(state_of(bridge))
    first = outcomes.index(2)
    # It looks at the other type twice, and twice at this one, before it says that it has begun.
    assert first == (4 if moment == "before" else 3) < requests - 3, "from when it has looked at what is there"
    assert set(outcomes[first : requests - 1]) == {2}


def test_a_first_push_does_not_take_away_what_another_one_has_pushed_meanwhile(opa, bridge):
    """Both find nothing; the one that comes second to make the type's document must leave the other's alone."""
    seen = []

    def at(_number, line, now):
        if now == "before" and line.startswith("PUT") and not seen:
            seen.append("pushed")
            bridge.push("devices", pusher.state(2, RESOURCES))
        elif seen and now != "answered" and line.startswith(("PUT", "GET", "DELETE")):
            seen.append(state_of(bridge))

    with relayed(opa.url, at) as (url, relay), bridge_to(url) as pushing:
        pushing.push("devices", pusher.state(1, RESOURCES), force=True)
        assert not any(line.startswith("DELETE") for line in relay.lines)
    assert set(seen[1:]) == {2}
    assert state_of(bridge) == 1


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


@pytest.mark.parametrize("state", ["[]", '{"layout":1}', '{"layout":1,"store":"s","revisions":{},"leases":{}}', "null"])
def test_a_state_that_no_bridge_wrote_is_not_overwritten(bridge, state):
    foreign = f'{{"state":{state}}}'.encode()
    bridge.engine.opa.put_data(TYPE, foreign)
    with pytest.raises(
        ForeignContentError, match=r"`data\.jwt_policy_data\.devices` holds data that no bridge wrote, and is left"
    ):
        bridge.push("devices", [device("b")])
    assert bridge.engine.opa.get_data(TYPE) == json.loads(foreign)


def test_pushers_at_the_same_time_leave_one_of_their_states_whole(opa, bridge):
    bridge.push("devices", pusher.state(0, RESOURCES))
    start = threading.Barrier(2)

    def push(first):
        acknowledged = []
        with bridge_to(opa.url) as pushing:
            start.wait(60)
            for number in range(first, first + 12):
                with contextlib.suppress(PushConflictError):
                    acknowledged.append((pushing.push("devices", pusher.state(number, RESOURCES), force=True), number))
        return acknowledged

    with Reader(opa.url, lambda reading: reading.list_allowed(ANYBODY, "devices")) as reader:
        with ThreadPoolExecutor(2) as pool:
            acknowledged = [one for some in pool.map(push, (100, 200)) for one in some]
        reader.wait_for(1)
    revisions = {int(report.revision): number for report, number in acknowledged}
    assert len(revisions) == len(acknowledged) > 0
    # What was acknowledged last is there; or, where a push after it failed, still is.
    assert state_of(bridge) == revisions[max(revisions)]
    assert len(stored(bridge)) == size(state_of(bridge))


def test_changes_from_threads_at_once_are_all_there_that_were_acknowledged(opa, bridge, monkeypatch):
    monkeypatch.setattr(layout, "PAGE", 4)
    monkeypatch.setattr(layout, "SMALL", 3)
    bridge.push("devices", [device("d", n=1)])
    start = threading.Barrier(3)

    def change(thread):
        acknowledged = set()
        with bridge_to(opa.url) as changing:
            start.wait(60)
            for number in range(12):
                with contextlib.suppress(PushConflictError):
                    changing.upsert("devices", [device(f"{thread}-{number}-{n}", n=1, thread=thread) for n in range(3)])
                    acknowledged |= {f"{thread}-{number}-{n}" for n in range(3)}
                with contextlib.suppress(PushConflictError):
                    changing.delete("devices", [f"{thread}-{number}-0"])
                    acknowledged.discard(f"{thread}-{number}-0")
        return acknowledged

    with ThreadPoolExecutor(3) as pool:
        acknowledged = set().union(*pool.map(change, range(3)))
    assert stored(bridge).keys() == acknowledged | {"d"}
    assert set(bridge.list_allowed(GRANTED, "devices").ids) == acknowledged | {"d"}


def test_a_change_finds_out_that_a_push_came_in_between(opa, bridge, monkeypatch):
    """Within each request of it; pages must be divided, for which it asks once more."""
    monkeypatch.setattr(layout, "PAGE", 2)
    monkeypatch.setattr(layout, "SMALL", 1)
    few = [device(f"a{n}", n=1) for n in range(3)]
    upserts = [device(f"b{n}", n=1) for n in range(9)]

    def at(number, _line, now):
        if number == at.number and now == "before":
            at.number = -1
            bridge.push("devices", [device(f"c{n}", n=1) for n in range(5)], force=True)

    with relayed(opa.url, at) as (url, relay), bridge_to(url) as changing:
        at.number = -1
        bridge.push("devices", few)
        changing.upsert("devices", upserts)
        requests = len(relay.lines)
        assert requests == 5  # what is current, what is held, the first ids of two postings, the patch
        for number in range(requests):
            bridge.push("devices", few, force=True)
            relay.lines.clear()
            at.number = number
            changed = changing.upsert("devices", upserts)
            assert changed.added == 9
            assert sorted(stored(bridge)) == [f"b{n}" for n in range(9)] + [f"c{n}" for n in range(5)]


def test_a_change_that_others_always_come_before_changes_nothing(opa, bridge):
    numbers = count()

    def at(_number, line, now):
        if now == "before" and line.startswith("PATCH"):
            bridge.upsert("devices", [device("other", n=next(numbers))])

    bridge.push("devices", [device("a")])
    with (
        relayed(opa.url, at) as (url, _),
        bridge_to(url) as changing,
        pytest.raises(PushConflictError, match="5 times"),
    ):
        changing.upsert("devices", [device("b")])
    assert sorted(stored(bridge)) == ["a", "other"]


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
    found, after = [], None
    while True:
        listed = bridge.list_allowed(GRANTED, "devices", limit=700, after=after)
        found += listed.ids
        if (after := listed.cursor) is None:
            break
    assert found == wanted


def test_an_answer_that_is_lost_does_not_hide_what_was_done(opa, bridge, monkeypatch):
    monkeypatch.setattr(generation, "_PART", pusher.PART_BYTES)

    def at(number, _line, now):
        if (number, now) == at.when:
            raise Cut

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
            raise Cut
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


def test_an_opa_restarted_again_and_again_is_one_opa(opa, bridge, start_opa, rules):
    for number in range(3):
        bridge.push("devices", [device("a", n=1)])
        assert bridge.check(GRANTED, "devices", "a")
        assert bridge.list_allowed(GRANTED, "devices").ids == ("a",)
        opa = restarted(opa, start_opa, rules)
        with pytest.raises(ResourcesMissingError, match="restarted without them, or somebody removed them"):
            bridge.check(GRANTED, "devices", "a")
        with (
            bridge_to(opa.url) as fresh,
            pytest.raises(ResourcesMissingError, match="none were ever pushed, or it was"),
        ):
            fresh.check(GRANTED, "devices", f"{number}")
    opa.kill()


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
            found = reading.engine.store.difference("devices", wanted, None)
            assert (found.before, len(found.upserts)) == (size(2), len(wanted))
            at.times = 100
            with pytest.raises(PushConflictError, match="5 times"):
                reading.sync("devices", pusher.state(1, RESOURCES))
        at.times = 0


def test_what_cannot_be_read_is_replaced_by_force_alone(bridge, caplog):
    bridge.push("devices", [device("a", n=1), device("b", n=1)])
    shard, bucket = layout.place(encode("a"))
    for path in (("digests",), ("resources", shard, bucket)):
        current = document(bridge)["state"]["current"]["generation"]
        bridge.engine.opa.patch_data(TYPE, Patch([add("generations", current, *path, value=b"1")]).body())
        for put in (bridge.push, bridge.sync):
            with pytest.raises(InvalidResponseError, match="is no object"):
                put("devices", [device("a", n=2)])
        caplog.clear()
        report = bridge.push("devices", [device("a", n=1, now=len(path)), device("c", n=1)], force=True)
        assert (report.before, report.added, report.changed, report.removed) == (0, 2, 0, 0)
        assert "cannot be read, and are replaced" in caplog.text
        assert bridge.list_allowed(GRANTED, "devices").ids == ("a", "c")


def test_an_opa_that_runs_out_of_memory_has_no_half_of_a_push(opa, bridge, start_opa, rules):
    """It may take little more than it has, so that it ends where more is pushed than fits."""
    bridge.push("devices", [device("a", n=1)])
    assert bridge.check(GRANTED, "devices", "a")
    pages = int(Path(f"/proc/{opa.pid}/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 150_000_000
    resource.prlimit(opa.pid, resource.RLIMIT_AS, (limit, limit))
    text = "x" * 900_000
    with pytest.raises(EngineUnreachableError):
        bridge.push("devices", [device("a", n=2), *(device(f"b{n}", text=text) for n in range(300))], force=True)
    opa.wait(60)
    assert "out of memory" in opa.log or "cannot allocate memory" in opa.log
    for ask in (
        lambda: bridge.check(GRANTED, "devices", "a"),
        lambda: bridge.check(GRANTED, "devices", "b1"),
        lambda: bridge.list_allowed(GRANTED, "devices"),
    ):
        with pytest.raises(EngineUnreachableError):
            ask()
    again = start_opa([rules], port=opa.port)
    with pytest.raises(ResourcesMissingError):
        bridge.check(GRANTED, "devices", "a")
    bridge.push("devices", [device("a", n=1)])
    assert bridge.check(GRANTED, "devices", "a")
    assert list(stored(bridge)) == ["a"]
    again.kill()
