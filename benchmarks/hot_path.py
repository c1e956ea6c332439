"""What one check over an OPA server costs against bare HTTP clients, and what threads add."""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import urllib3

from bridge import OpaEngine, PolicyBridge
from bridge.opa import ManagedOpa

if TYPE_CHECKING:
    from collections.abc import Callable

CLAIMS = {"sub": "a", "policy": {"version": 2, "devices": {"custom_data": {"user_id": "u1", "tier": 1.5}}}}
DEVICE = {"id": "d1", "custom_data": {"user_id": "u1", "tier": 1.5, "tags": ["a", 7]}}
HEADERS = {"Content-Type": "application/json"}


def sent_by(check: Callable[[], object], bridge: PolicyBridge) -> tuple[str, bytes]:
    """The target and the body of the one request that a check sends."""
    engine = bridge.engine
    assert isinstance(engine, OpaEngine)
    seen: list[tuple[str, bytes]] = []
    call = engine.opa._transport.call  # noqa: SLF001

    def record(method: str, target: str, body: bytes, **settings: object) -> object:
        seen.append((target, body))
        return call(method, target, body, **settings)

    engine.opa._transport.call = record  # noqa: SLF001
    try:
        check()
    finally:
        engine.opa._transport.call = call  # noqa: SLF001
    return seen[0]


def clients_of(opa: ManagedOpa, bridge: PolicyBridge) -> dict[str, Callable[[], object]]:
    """The ways to ask the same question, by name; the first is the bridge's."""

    def check() -> object:
        decision = bridge.check(CLAIMS, "devices", DEVICE)
        assert decision
        return decision

    target, body = sent_by(check, bridge)
    parts = urlsplit(opa.url)
    pool = urllib3.HTTPConnectionPool(parts.hostname or "", parts.port, maxsize=1)
    clients = {"check": check, "urllib3 pool": lambda: pool.urlopen("POST", target, body=body, headers=HEADERS).data}
    try:
        from opa_client.opa import OpaClient as Other  # noqa: PLC0415 # type: ignore[import-not-found]
    except ImportError:
        print("opa-python-client is not installed, and left out (pip install opa-python-client)\n")
        return clients
    other = Other(host=parts.hostname, port=parts.port)
    question = {"claims": CLAIMS, "type": "devices", "resource": DEVICE}
    return clients | {"opa-python-client": lambda: other.query_rule(question, "jwt_policy", "answer")}


def interleaved(ways: dict[str, Callable[[], object]], *, rounds: int, calls: int) -> dict[str, list[float]]:
    """Seconds a call of each way in each round; within a round the ways take turns at every call."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        spent = dict.fromkeys(ways, 0.0)
        for _ in range(calls):
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                spent[name] += time.perf_counter() - start
        for name, seconds in spent.items():
            found[name].append(seconds / calls)
    return found


def rate(check: Callable[[], object], threads: int, calls: int) -> float:
    """Checks a second, by so many threads together."""
    start = threading.Barrier(threads + 1)

    def work() -> None:
        start.wait()
        for _ in range(calls // threads):
            check()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    start.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    return calls // threads * threads / (time.perf_counter() - began)


def show(name: str, ratios: list[float]) -> None:
    print(f"{name:<44}{statistics.median(ratios):>8.2f}{min(ratios):>8.2f}{max(ratios):>8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=300, help="of each way, in each round")
    parser.add_argument("--threads", type=int, default=8)
    chosen = parser.parse_args()
    with ManagedOpa() as opa, PolicyBridge(OpaEngine(opa.url)) as bridge:
        bridge.install()
        ways = clients_of(opa, bridge)
        interleaved(ways, rounds=1, calls=50)
        found = interleaved(ways, rounds=chosen.rounds, calls=chosen.calls)
        print(f"{'ratio':<44}{'median':>8}{'min':>8}{'max':>8}")
        for name in list(ways)[1:]:
            pairs = zip(found["check"], found[name], strict=True)
            show(f"seconds: check / {name}", [ours / theirs for ours, theirs in pairs])
        for name in ("check", "urllib3 pool"):
            pairs = [
                (rate(ways[name], chosen.threads, chosen.calls), rate(ways[name], 1, chosen.calls))
                for _ in range(chosen.rounds)
            ]
            show(f"checks a second: {name}, {chosen.threads} threads / 1", [many / one for many, one in pairs])
        print("\nmicroseconds: " + ", ".join(f"{name} {statistics.median(s) * 1e6:.0f}" for name, s in found.items()))


if __name__ == "__main__":
    main()
