"""The cost of one check over an OPA server against bare HTTP clients, and with threads, tasks and cached tokens."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import jwt
import urllib3
from cryptography.hazmat.primitives.asymmetric import rsa

from bridge import OpaEngine, PolicyBridge, TokenVerifier
from bridge.opa import ManagedOpa

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CLAIMS = {"sub": "a", "policy": {"version": 2, "devices": {"custom_data": {"user_id": "u1", "tier": 1.5}}}}
DEVICE = {"id": "d1", "custom_data": {"user_id": "u1", "tier": 1.5, "tags": ["a", 7]}}
PAIRS = (
    ("check", "urllib3 pool"),
    ("check", "opa-python-client"),
    ("check of a kept token", "check of a token, cache=0"),
)
HEADERS = {"Content-Type": "application/json"}
KEY = rsa.generate_private_key(65537, 2048)
TOKEN = jwt.encode({**CLAIMS, "exp": int(time.time()) + 36_000}, KEY, algorithm="RS256")


def sent_by(bridge: PolicyBridge) -> tuple[str, bytes]:
    """Return the target and the body of the only request that a check sends."""
    http = bridge.engine.opa._http  # noqa: SLF001
    seen, query = [], http.query
    http.query = lambda *args, **settings: (seen.append(args), query(*args, **settings))[1]
    bridge.check(CLAIMS, "devices", DEVICE)
    del http.query
    target, question = seen[0][1:]
    return target, question.fresh()[0]


def ways_of(opa: ManagedOpa, bridge: PolicyBridge, threads: int) -> dict[str, Callable[[], object]]:
    """Return the ways to send the same query, by name."""
    target, body = sent_by(bridge)
    parts = urlsplit(opa.url)
    pool = urllib3.HTTPConnectionPool(parts.hostname, parts.port, maxsize=threads)
    bridges = [
        PolicyBridge(bridge.engine, verifier=TokenVerifier(KEY.public_key(), cache=cache)) for cache in (1_024, 0)
    ]
    ways: dict[str, Callable[[], object]] = {
        "check": lambda: bridge.check(CLAIMS, "devices", DEVICE),
        "urllib3 pool": lambda: pool.urlopen("POST", target, body=body, headers=HEADERS).data,
        "check of a kept token": lambda: bridges[0].check(TOKEN, "devices", DEVICE),
        "check of a token, cache=0": lambda: bridges[1].check(TOKEN, "devices", DEVICE),
    }
    try:
        from opa_client.opa import OpaClient as Other  # noqa: PLC0415
    except ImportError:
        print("opa-python-client is not installed, and left out (pip install opa-python-client)\n")
        return ways
    other = Other(host=parts.hostname, port=parts.port)
    question = {"claims": CLAIMS, "type": "devices", "resource": DEVICE}
    return ways | {"opa-python-client": lambda: other.query_rule(question, "jwt_policy", "answer")}


def interleaved(ways: dict[str, Callable[[], object]], *, rounds: int, calls: int) -> dict[str, list[float]]:
    """Return the seconds per call of each way in each round; the ways alternate call by call."""
    timings: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        spent = dict.fromkeys(ways, 0.0)
        for _ in range(calls):
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                spent[name] += time.perf_counter() - start
        for name, seconds in spent.items():
            timings[name].append(seconds / calls)
    return timings


def by_threads(way: Callable[[], object], threads: int, calls: int) -> float:
    """Return the calls a second of all threads together."""
    start = threading.Barrier(threads + 1)

    def work() -> None:
        start.wait()
        for _ in range(calls // threads):
            way()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    start.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    return calls // threads * threads / (time.perf_counter() - began)


async def by_tasks(way: Callable[[], Awaitable[object]], tasks: int, calls: int) -> float:
    """Return the calls a second of all tasks together."""

    async def work() -> None:
        for _ in range(calls // tasks):
            await way()

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(tasks)))
    return calls // tasks * tasks / (time.perf_counter() - began)


async def rates_of_tasks(opa: ManagedOpa, *, rounds: int, calls: int, tasks: int) -> list[float]:
    from bridge.aio import AsyncOpaEngine, AsyncPolicyBridge  # noqa: PLC0415 - aiohttp is an extra

    async with AsyncPolicyBridge(AsyncOpaEngine(opa.url)) as bridge:

        def check() -> Awaitable[object]:
            return bridge.check(CLAIMS, "devices", DEVICE)

        await by_tasks(check, tasks, 4 * tasks)
        return [
            await by_tasks(check, tasks, max(calls, 8 * tasks)) / await by_tasks(check, 1, calls) for _ in range(rounds)
        ]


def show(name: str, ratios: list[float]) -> None:
    print(f"{name:<58}{statistics.median(ratios):>8.2f}{min(ratios):>8.2f}{max(ratios):>8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=300, help="of each way, in each round")
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--tasks", type=int, default=64)
    chosen = parser.parse_args()
    with ManagedOpa() as opa, PolicyBridge(OpaEngine(opa.url)) as bridge:
        bridge.install()
        ways = ways_of(opa, bridge, chosen.threads)
        interleaved(ways, rounds=1, calls=50)
        timings = interleaved(ways, rounds=chosen.rounds, calls=chosen.calls)
        print(f"{'ratio':<58}{'median':>8}{'min':>8}{'max':>8}")
        for ours, theirs in PAIRS:
            if theirs in ways:
                show(f"time: {ours} / {theirs}", [a / b for a, b in zip(timings[ours], timings[theirs], strict=True)])
        for name in ("check", "urllib3 pool"):
            ratios = [
                by_threads(ways[name], chosen.threads, 4 * chosen.calls) / by_threads(ways[name], 1, chosen.calls)
                for _ in range(chosen.rounds)
            ]
            show(f"checks a second: {name}, {chosen.threads} threads / 1", ratios)
        rates = rates_of_tasks(opa, rounds=chosen.rounds, calls=chosen.calls, tasks=chosen.tasks)
        show(f"checks a second: AsyncPolicyBridge, {chosen.tasks} tasks / 1", asyncio.run(rates))
    print("\nmicroseconds: " + ", ".join(f"{name} {statistics.median(s) * 1e6:.0f}" for name, s in timings.items()))


if __name__ == "__main__":
    main()
