"""Checks a second: by more threads, and by more tasks, than one."""

from __future__ import annotations

import asyncio
import importlib
import statistics
import threading
import time
from typing import TYPE_CHECKING, Any

from benchmarks.bench.figure import Figure, Group, NotMeasurableError, Outcome, expect
from benchmarks.bench.fleet import claims, plan, user
from benchmarks.bench.timing import Rounds
from benchmarks.bench.wire import PoolFloor, recorded

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench.world import World

THREADS = Figure("threads", "checks a second, 8 threads / 1 thread", 1.5, at_least=True, unit="1/s")
TASKS = Figure("tasks", "checks a second, 64 async tasks / 1 task", 1.5, at_least=True, unit="1/s")

_SECONDS = 0.5
_RESOURCES = 200


def _questions(world: World) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    resources = [world.small_fleet.resource(number, user_id=user(1)) for number in range(_RESOURCES)]
    return claims(user_id=user(1), plan=plan(0)), resources


def measure_threads(world: World) -> dict[str, Outcome]:
    policy, resources = _questions(world)
    server = world.small
    bridge = server.bridge
    expect("check", [bridge.check(policy, "devices", each).allow for each in resources[:2]], [True, False])

    def check(url: str) -> None:
        with server.new_bridge(url) as recording:
            recording.check(policy, "devices", resources[0])

    (sent,) = recorded(server.url, check)
    floor = PoolFloor(server.url)
    acts: dict[str, Callable[[int], object]] = {
        "bridge": lambda number: bridge.check(policy, "devices", resources[number % _RESOURCES]),
        "urllib3's pool": lambda _: floor.send(sent.method, sent.target, sent.body),
    }
    rates = Rounds({f"{name}, {count}": [] for name in acts for count in (1, 8)})
    for _ in range(world.rounds(12)):
        for name, act in acts.items():
            for count in (1, 8):
                rates.sides[f"{name}, {count}"].append(_rate(act, count))
    floor.close()
    return {
        THREADS.name: Outcome(
            rates.ratio("bridge, 8", "bridge, 1"),
            rates.medians(),
            {
                "urllib3's pool sending the same bytes, 8 threads / 1": rates.ratio(
                    "urllib3's pool, 8", "urllib3's pool, 1"
                )
            },
            note="client and server share the machine's cores",
        )
    }


def _rate(act: Callable[[int], object], threads: int) -> float:
    """Return how many calls a second the threads make together."""
    start = threading.Barrier(threads + 1)
    end = [0.0]
    done = [0] * threads
    faults: list[BaseException] = []

    def work(at: int) -> None:
        start.wait()
        try:
            while time.perf_counter() < end[0]:
                act(done[at])
                done[at] += 1
        except BaseException as fault:  # noqa: BLE001 - the calling thread raises it again
            faults.append(fault)

    workers = [threading.Thread(target=work, args=(at,)) for at in range(threads)]
    for worker in workers:
        worker.start()
    begun = time.perf_counter()
    end[0] = begun + _SECONDS
    start.wait()
    for worker in workers:
        worker.join()
    if faults:
        raise faults[0]
    return sum(done) / (time.perf_counter() - begun)


def measure_tasks(world: World) -> dict[str, Outcome]:
    try:
        aio = importlib.import_module("bridge.aio")
    except ImportError as error:
        raise NotMeasurableError(f"there is no AsyncPolicyBridge: {error}") from None
    policy, resources = _questions(world)
    url = world.small.url

    async def rounds() -> Rounds:
        rates = Rounds({"1 task": [], "64 tasks": []})
        async with aio.AsyncPolicyBridge(aio.AsyncOpaEngine(url)) as bridge:
            for at, allowed in ((0, True), (1, False)):
                decision = await bridge.check(policy, "devices", resources[at])
                expect("check", decision.allow, allowed)
            for _ in range(world.rounds(12)):
                for name, count in (("1 task", 1), ("64 tasks", 64)):
                    rates.sides[name].append(await _task_rate(bridge, policy, resources, count))
        return rates

    rates = asyncio.run(rounds())
    medians = rates.medians()
    threads = statistics.median(
        [
            _rate(lambda number: world.small.bridge.check(policy, "devices", resources[number % 200]), 8)
            for _ in range(3)
        ]
    )
    return {
        TASKS.name: Outcome(rates.ratio("64 tasks", "1 task"), {**medians, "8 threads of the other bridge": threads})
    }


async def _task_rate(bridge: Any, policy: dict[str, Any], resources: list[dict[str, Any]], tasks: int) -> float:
    done = [0] * tasks
    begun = time.perf_counter()
    end = begun + _SECONDS

    async def work(at: int) -> None:
        while time.perf_counter() < end:
            await bridge.check(policy, "devices", resources[done[at] % _RESOURCES])
            done[at] += 1

    await asyncio.gather(*(work(at) for at in range(tasks)))
    return sum(done) / (time.perf_counter() - begun)


THREAD_GROUP = Group((THREADS,), measure_threads)
TASK_GROUP = Group((TASKS,), measure_tasks)
