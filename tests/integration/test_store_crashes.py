"""A pusher or an OPA that ends in the middle of a push, with real OPAs: a reader sees the old state or the new one."""

from __future__ import annotations

import contextlib
import os
import queue
import resource
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pusher
import pytest
from conformance import tally
from relay import MOMENTS, ConnectionCutError, relayed
from store_faults import (
    ANYBODY,
    GRANTED,
    RESOURCES,
    StoreReader,
    bridge_to,
    device,
    document,
    replaced,
    restarted,
    size,
    state_of,
    stored,
)

from bridge import EngineError, Reason
from bridge.errors import EngineUnreachableError, ResourcesMissingError
from bridge.store import patches

KILLS = 120


def of_state(number):
    return {"policy": {"version": 2, "devices": {"custom_data": {"state": number}}}}


class KillablePusher:
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
                raise ConnectionCutError

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
    killable = KillablePusher()
    yield killable
    killable.close()


def test_a_pusher_killed_at_any_moment_leaves_the_old_state_or_the_new_one(opa, bridge, killed, monkeypatch):
    monkeypatch.setattr(patches, "_PART", pusher.PART_BYTES)
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
    with StoreReader(opa.url, look) as reader:
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
    monkeypatch.setattr(patches, "_PART", pusher.PART_BYTES)
    running = [opa]

    def at(number, line, now):
        if now == moment and line.startswith("PATCH") and number == at.number:
            running[0].kill()
            if back:
                running[0] = start_opa([rules], port=opa.port)
            if not back or moment == "after":
                raise ConnectionCutError

    with bridge_to(opa.url) as bridge, relayed(opa.url, at) as (url, relay), bridge_to(url) as pushing:
        at.number = -1
        replaced(pushing, 0)
        relay.lines.clear()
        revision = replaced(pushing, 1)
        patch_lines = [number for number, line in enumerate(relay.lines) if line.startswith("PATCH")]
        for number in (patch_lines[1], patch_lines[len(patch_lines) // 2], patch_lines[-1]):
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
        reading = [
            readers.enter_context(StoreReader(opa.url, look, faults=True)) for look in (checks, one, lists, checks)
        ]
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
