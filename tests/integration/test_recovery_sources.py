"""An OPA that has lost its memory gets rules and resources back from their sources, by one for all who ask."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import select
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import recovering_process
from recounting import whole
from recovering_bridges import Source
from recovering_process import CLAIMS, RESOURCES

from bridge import ConfigurationError, OpaClient, OpaEngine, PolicyBridge, Reason, RuleSet, UsageError
from bridge.aio import AsyncOpaClient, AsyncOpaEngine, AsyncPolicyBridge
from bridge.errors import EngineUnreachableError, ResourcesMissingError, RulesNotInstalledError
from bridge.rendering import render
from bridge.store import from_objects

TYPE = ("jwt_policy_data", "devices")
DEADLINE = 60


@pytest.fixture
def opa(start_opa):
    """An OPA of the test's own, with nothing in it."""
    opa = start_opa()
    yield opa
    opa.kill()


@contextmanager
def bridge_to(url, source, **settings):
    engine = OpaEngine(OpaClient(url, deadline=DEADLINE), sources={"devices": source})
    with PolicyBridge(engine, **settings) as opened:
        yield opened


def stored(bridge):
    return whole(bridge.engine.opa.get_data(TYPE))


def by_id(resources):
    return {resource["id"]: resource for resource in resources}


QUERIES = {
    "check": lambda bridge: [bridge.check(CLAIMS, "devices", "d1").allow, bridge.check(CLAIMS, "devices", "d2").allow],
    "check_many": lambda bridge: [one.allow for one in bridge.check_many(CLAIMS, "devices", ["d1", "d2"])],
    "explain": lambda bridge: [bridge.explain(CLAIMS, "devices", id_).decision.allow for id_ in ("d1", "d2")],
    "list": lambda bridge: [id_ in bridge.list_allowed(CLAIMS, "devices").ids for id_ in ("d1", "d2")],
}


@pytest.mark.parametrize("calls", QUERIES)
def test_an_empty_opa_gets_all_back_whatever_is_asked(opa, start_opa, calls):
    source = Source()
    with bridge_to(opa.url, source) as bridge:
        for times in (1, 2):
            assert QUERIES[calls](bridge) == [True, False]
            assert QUERIES[calls](bridge) == [True, False]
            assert source.calls == times
            assert stored(bridge) == by_id(RESOURCES)
            opa.kill()
            opa = start_opa(port=opa.port)
    opa.kill()


def test_what_is_there_is_left_alone(opa):
    source = Source()
    with bridge_to(opa.url, source) as bridge:
        bridge.engine.install()
        bridge.push("devices", [{"id": "d1"}])
        bridge.engine.restore()
        assert bridge.check(CLAIMS, "devices", "d1").reason is Reason.CONSTRAINT_FAILED
        for module in reversed(render(RuleSet())):
            bridge.engine.opa.delete_policy(module.path)
        assert bridge.check(CLAIMS, "devices", "d1").reason is Reason.CONSTRAINT_FAILED, "the rules come back alone"
        assert source.calls == 0


def test_a_type_without_a_source_stays_lost(opa):
    with bridge_to(opa.url, Source()) as bridge:
        with pytest.raises(ResourcesMissingError):
            bridge.check({}, "sessions", "s1")
        assert bridge.check(CLAIMS, "devices", "d1")


def test_sources_are_files_or_give_what_a_push_takes(opa, tmp_path):
    file = tmp_path / "devices.jsonl"
    file.write_text("".join(json.dumps(resource) + "\n" for resource in RESOURCES))
    for source in (file, lambda: iter(RESOURCES), lambda: from_objects(RESOURCES)):
        with bridge_to(opa.url, source) as bridge:
            bridge.engine.opa.delete_data(TYPE)
            assert bridge.check(CLAIMS, "devices", "d1")
            assert stored(bridge) == by_id(RESOURCES)


def test_sources_are_arrays_too_and_leave_members_out(opa, tmp_path):
    file = tmp_path / "devices.json"
    file.write_text(
        json.dumps([{**resource, "secret": "s", "device": {"app_id": 1}} for resource in RESOURCES], indent=1)
    )
    kept = {resource["id"]: {**resource, "device": {}} for resource in RESOURCES}
    omit = ("secret", "/device/app_id")
    for source in (file, lambda: json.loads(file.read_text())):
        engine = OpaEngine(OpaClient(opa.url, deadline=DEADLINE), sources={"devices": source}, omit=omit)
        with PolicyBridge(engine) as bridge:
            engine.opa.delete_data(TYPE)
            assert bridge.check(CLAIMS, "devices", "d1")
            assert stored(bridge) == kept
            assert bridge.sync("devices", json.loads(file.read_text()), omit=omit).revisions == 0

    async def awaited():
        engine = AsyncOpaEngine(AsyncOpaClient(opa.url, deadline=DEADLINE), sources={"devices": file}, omit=omit)
        async with AsyncPolicyBridge(engine) as bridge:
            engine.synchronous.opa.delete_data(TYPE)
            assert await bridge.check(CLAIMS, "devices", "d1")
            assert whole(engine.synchronous.opa.get_data(TYPE)) == kept

    asyncio.run(awaited())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", r"an empty file: write `\[\]` if there are no resources"),
        (b'[{"id":"d1"},{"id":"d2"}', "was it cut off"),
        (b'{"id":"d1"}\n{}\n', "1 of 2 in their source are refused: line 2: the resource has no `id`"),
    ],
)
def test_a_source_is_brought_back_whole_or_not_at_all(opa, tmp_path, text, expected):
    file = tmp_path / "devices"
    file.write_bytes(text)
    with bridge_to(opa.url, file) as bridge:
        for _ in range(2):
            with pytest.raises(ResourcesMissingError, match=expected):
                bridge.check(CLAIMS, "devices", "d1")


@pytest.mark.parametrize("foreign", [b"[]", b'"x"', b'{"resources":{"d1":{"id":"d1"}}}'])
def test_a_recovery_does_not_overwrite_foreign_data(opa, foreign):
    source = Source()
    with bridge_to(opa.url, source) as bridge:
        bridge.engine.install()
        bridge.engine.opa.put_data(TYPE, foreign)
        with pytest.raises(ResourcesMissingError, match=r"data\.jwt_policy_data\.devices"):
            bridge.check(CLAIMS, "devices", "d1")
        assert bridge.engine.opa.get_data(TYPE) == json.loads(foreign)
        assert source.calls == 0


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        (Path("nowhere/devices.jsonl"), "their source failed: .*No such file"),
        (lambda: 1 // 0, "their source failed: integer division"),
        (lambda: None, "their source failed: "),
        (lambda: [*RESOURCES, {"id": ""}], "1 of 21 in their source are refused: item 21: "),
    ],
)
def test_a_source_that_fails_leaves_it_lost(opa, source, cause):
    with bridge_to(opa.url, source) as bridge:
        for _ in range(2):
            with pytest.raises(ResourcesMissingError, match=f"lost the resources of `devices`, and {cause}"):
                bridge.check(CLAIMS, "devices", "d1")
            state = bridge.engine.store.look("devices")
            assert state is None or (state.current is None and not state.leases), "nothing of it is left"
    with bridge_to(opa.url, source, on_error="deny") as bridge:
        decision = bridge.check(CLAIMS, "devices", "d1")
        assert (decision.allow, decision.reason) == (False, Reason.ENGINE_UNAVAILABLE)
        assert "lost the resources" in decision.error
    with bridge_to(opa.url, Source()) as bridge:
        assert bridge.check(CLAIMS, "devices", "d1")


def test_without_sources_there_is_no_recovery(opa):
    with PolicyBridge(OpaEngine(opa.url)) as bridge:
        with pytest.raises(RulesNotInstalledError):
            bridge.check(CLAIMS, "devices", "d1")
        with pytest.raises(UsageError, match="sources"):
            bridge.engine.restore()
    for wrong in ("devices.jsonl", None, [{"id": "a"}]):
        with pytest.raises(ConfigurationError, match="source of `devices`"):
            OpaEngine(opa.url, sources={"devices": wrong})


def test_no_opa_is_no_lost_memory(opa):
    source = Source()
    with bridge_to(opa.url, source) as bridge:
        opa.kill()
        with pytest.raises(EngineUnreachableError):
            bridge.check(CLAIMS, "devices", "d1")
    assert source.calls == 0


def _check_together(bridge, together):
    together.wait(DEADLINE)
    return QUERIES["check"](bridge)


def test_one_thread_does_it_for_all(opa, start_opa):
    source = Source()
    with bridge_to(opa.url, source) as bridge:
        for times in (1, 2):
            together = threading.Barrier(12)
            with ThreadPoolExecutor(12) as pool:
                results = list(pool.map(partial(_check_together, bridge), [together] * 12))
            assert results == [[True, False]] * 12
            assert source.calls == times
            opa.kill()
            opa = start_opa(port=opa.port)
    opa.kill()


class Processes:
    """Some that share an OPA, each with a source of its own."""

    def __init__(self, url, folder, patience, count):
        self._gate = (folder / "gate").open("w")
        fcntl.flock(self._gate, fcntl.LOCK_EX)
        os.mkfifo(folder / "asked")
        # Open for reading and writing, so that it waits for nobody and never ends; without a buffer, so that it can be
        # told whether anything is left to be read.
        self._source_calls = os.fdopen(os.open(folder / "asked", os.O_RDWR), "rb", buffering=0)
        command = [sys.executable, recovering_process.__file__, url, str(patience), str(folder)]
        self.running = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
        ]
        for process in self.running:
            assert process.stdout.readline() == "ready\n"

    def ask(self):
        for process in self.running:
            process.stdin.write("ask\n")
            process.stdin.flush()

    def answers(self):
        return [process.stdout.readline().strip() for process in self.running]

    def let_sources_give(self):
        fcntl.flock(self._gate, fcntl.LOCK_UN)

    def calls(self):
        """The process id of the next one whose source is asked."""
        assert self.is_another_source_called(within=DEADLINE), "no source is asked"
        return int(self._source_calls.readline())

    def is_another_source_called(self, *, within=0):
        return bool(select.select([self._source_calls], [], [], within)[0])

    def end(self):
        self._gate.close()
        self._source_calls.close()
        for process in self.running:
            process.kill()
            process.communicate()


@pytest.fixture
def processes(opa, tmp_path):
    started = []

    def start(patience, count):
        started.append(Processes(opa.url, tmp_path, patience, count))
        return started[-1]

    yield start
    for each in started:
        each.end()


def heartbeats(bridge):
    state = bridge.engine.store.look("devices")
    return 0 if state is None else max(state.heartbeats.values(), default=0)


def test_one_process_does_it_while_the_others_wait_as_long_as_it_lives(opa, processes):
    """Their patience is with one that gives no sign of life, and it does so each second."""
    several = processes(8, 3)
    several.ask()
    several.calls()
    with PolicyBridge(OpaEngine(OpaClient(opa.url, deadline=DEADLINE))) as looking:
        end = time.monotonic() + DEADLINE
        while heartbeats(looking) < 10:
            assert not several.is_another_source_called(within=0.1)
            assert time.monotonic() < end, "it gives no sign of life"
        several.let_sources_give()
        assert several.answers() == ["matched"] * 3
        assert not several.is_another_source_called()
        assert stored(looking) == by_id(RESOURCES)


def test_another_process_takes_the_place_of_one_that_dies(opa, processes):
    several = processes(5, 3)
    several.ask()
    first = several.calls()
    (dying,) = [process for process in several.running if process.pid == first]
    several.running.remove(dying)
    dying.kill()
    dying.communicate()
    assert several.calls() != first
    several.let_sources_give()
    assert several.answers() == ["matched"] * 2
    assert not several.is_another_source_called(), "the last one waits for the second"
    with PolicyBridge(OpaEngine(OpaClient(opa.url, deadline=DEADLINE))) as looking:
        assert stored(looking) == by_id(RESOURCES), "nothing of the first one is left"


# --- awaited


def awaiting(url, source):
    return AsyncPolicyBridge(AsyncOpaEngine(AsyncOpaClient(url, deadline=DEADLINE), sources={"devices": source}))


def test_tasks_wait_for_one_that_does_it(opa, start_opa):
    source = Source()

    async def ask(opa):
        async with awaiting(opa.url, source) as bridge:
            for times in (1, 2):
                decisions = await asyncio.gather(*[bridge.check(CLAIMS, "devices", "d1") for _ in range(40)])
                assert [decision.reason for decision in decisions] == [Reason.MATCHED] * 40
                assert (await bridge.list_allowed(CLAIMS, "devices")).ids[:2] == ("d1", "d11")
                assert (await bridge.explain(CLAIMS, "devices", "d2")).resource == RESOURCES[2]
                assert source.calls == times
                opa.kill()
                opa = start_opa(port=opa.port)
        return opa

    asyncio.run(ask(opa)).kill()


def test_a_task_that_is_cancelled_takes_it_from_nobody(opa):
    begun, go = threading.Event(), threading.Event()

    def source():
        begun.set()
        assert go.wait(DEADLINE)
        return RESOURCES

    async def ask():
        async with awaiting(opa.url, source) as bridge:
            first, second = (asyncio.ensure_future(bridge.check(CLAIMS, "devices", "d1")) for _ in range(2))
            await asyncio.to_thread(begun.wait, DEADLINE)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            go.set()
            assert (await second).reason is Reason.MATCHED

    asyncio.run(ask())


def test_a_source_that_fails_is_told_to_those_who_await(opa):
    async def ask():
        async with awaiting(opa.url, lambda: 1 // 0) as bridge:
            for _ in range(2):
                with pytest.raises(ResourcesMissingError, match="source failed"):
                    await bridge.check(CLAIMS, "devices", "d1")
        async with AsyncPolicyBridge(AsyncOpaEngine(opa.url)) as bridge:
            with pytest.raises(ResourcesMissingError):
                await bridge.check(CLAIMS, "devices", "d1")

    asyncio.run(ask())
