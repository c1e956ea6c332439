"""Bodies that are too large for OPA, or for a proxy before it: what can be halved is, and the rest says so."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from fault_server import Exchange, FaultServer
from relay import Relay

from bridge import OpaEngine, PolicyBridge, PushRejectedError, RuleSet
from bridge.aio import AsyncOpaClient, AsyncOpaEngine, AsyncPolicyBridge
from bridge.errors import EngineError, OpaStatusError
from bridge.opa import OpaClient

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1024 * 1024
CLAIMS = {"sub": "a", "policy": {"version": 2, "devices": {"custom_data": {"user_id": "u1"}}}}
SAFETY = 60.0


class Limited(Relay):
    """A proxy that answers 413 to bodies beyond its limit."""

    def __init__(self, url: str, limit: int) -> None:
        super().__init__(url)
        self.limit = limit
        self.refused = 0
        self.largest = 0

    def answer(self, exchange: Exchange) -> None:
        if len(exchange.body) > self.limit:
            self.refused += 1
            exchange.reply(b"<html>413</html>", "413 Request Entity Too Large", "Connection: close")
            exchange.close()
            return
        self.largest = max(self.largest, len(exchange.body))
        super().answer(exchange)


@contextmanager
def limited(url: str, limit: int = MIB) -> Iterator[tuple[str, Limited]]:
    relay = Limited(url, limit)
    with FaultServer(relay.answer) as server:
        yield server.url, relay


def device(number: int, user: str = "u1", size: int = 0) -> dict[str, object]:
    return {"id": f"d{number}", "custom_data": {"user_id": user, "note": "x" * size}}


@pytest.fixture(scope="module")
def opa(start_opa):
    return start_opa()


@pytest.fixture(scope="module")
def small_opa(start_opa):
    """An OPA with a limit of its own, at which it answers 400."""
    return start_opa(arguments=["--set", f"server.decoding.max_length={MIB}"])


@pytest.fixture
def bridge_of(request):
    """A bridge with its rules installed at an address; it is told where to put them."""
    made = []

    def make(opa: str, url: str, **settings: object) -> PolicyBridge:
        name = f"bodies_{len(made)}_{abs(hash(request.node.name)) % 10**8}"
        rule_set = RuleSet(package_root=name, data_root=f"{name}_data")
        with PolicyBridge(OpaEngine(opa, rule_set)) as operator:
            operator.install()
        made.append((opa, PolicyBridge(OpaEngine(OpaClient(url, deadline=SAFETY, **settings), rule_set))))
        return made[-1][1]

    yield make
    for opa, bridge in made:
        bridge.close()
        with PolicyBridge(OpaEngine(opa, bridge.engine.rule_set)) as operator:
            operator.engine.uninstall()


def test_20_000_small_resources_go_through_a_proxy_with_a_limit_of_a_mebibyte(opa, bridge_of) -> None:
    with limited(opa.url) as (url, proxy):
        bridge = bridge_of(opa.url, url)
        report = bridge.push("devices", (device(number, size=200) for number in range(20_000)))
        assert report.stored == 20_000
        assert 0 < proxy.refused < 60
        assert proxy.largest > MIB // 8
        assert bridge.check(CLAIMS, "devices", "d19999").allow is True
        assert len(bridge.list_allowed(CLAIMS, "devices", limit=10).ids) == 10


def test_a_setting_bounds_the_parts_of_a_push(opa, bridge_of) -> None:
    with limited(opa.url) as (url, proxy):
        bridge = bridge_of(opa.url, url, max_body=MIB // 2)
        assert bridge.push("devices", (device(number, size=200) for number in range(20_000))).stored == 20_000
        assert proxy.refused == 0
        assert proxy.largest <= MIB


def test_the_limit_of_opa_itself_is_the_same(small_opa, bridge_of) -> None:
    bridge = bridge_of(small_opa.url, small_opa.url)
    resources = [device(number, size=1_000) for number in range(5_000)]
    assert bridge.push("devices", resources).stored == 5_000
    decisions = bridge.check_many(CLAIMS, "devices", resources)
    assert [decision.allow for decision in decisions] == [True] * 5_000


def test_what_is_too_large_by_itself_is_refused_and_nothing_is_pushed(opa, bridge_of) -> None:
    refused = r"^nothing was pushed: .* \(status 413\): raise its limit"
    with limited(opa.url, MIB // 4) as (url, _):
        bridge = bridge_of(opa.url, url)
        bridge.push("devices", [device(1)])
        with pytest.raises(PushRejectedError, match=refused) as caught:
            bridge.push("devices", [device(1), device(2, size=MIB // 2)], force=True)
        assert caught.value.__cause__ is None
        assert bridge.check(CLAIMS, "devices", "d1").allow is True
        with pytest.raises(OpaStatusError, match="send less at once"):
            bridge.check(CLAIMS, "devices", device(1, size=MIB // 2))


def test_one_transaction_is_never_halved(opa, bridge_of) -> None:
    with limited(opa.url) as (url, proxy):
        bridge = bridge_of(opa.url, url)
        bridge.push("devices", [device(number) for number in range(100)])
        refused = r"^nothing was changed: .* \(status 413\): raise its limit"
        with pytest.raises(PushRejectedError, match=refused):
            bridge.upsert("devices", [device(number, "u2", 20_000) for number in range(100)])
        assert proxy.refused == 1
        assert all(bridge.check(CLAIMS, "devices", f"d{number}").allow for number in (0, 50, 99))


def test_a_sync_makes_smaller_steps(opa, bridge_of) -> None:
    with limited(opa.url) as (url, proxy):
        bridge = bridge_of(opa.url, url)
        bridge.push("devices", [device(number) for number in range(300)])
        report = bridge.sync("devices", [device(number, "u2", 20_000) for number in range(300)])
        assert (report.changed, report.generation) == (300, False)
        assert report.revisions > 2
        assert proxy.refused > 0
        assert not any(bridge.check(CLAIMS, "devices", f"d{number}").allow for number in (0, 150, 299))


def test_a_batch_is_halved_and_the_next_one_is_as_small(opa, bridge_of) -> None:
    resources = [device(number, "u1" if number % 3 else "u2", 5_000) for number in range(900)]
    expected = [number % 3 != 0 for number in range(900)]
    with limited(opa.url) as (url, proxy):
        bridge = bridge_of(opa.url, url)
        assert [one.allow for one in bridge.check_many(CLAIMS, "devices", resources)] == expected
        refused = proxy.refused
        assert 0 < refused < 10
        assert [one.allow for one in bridge.check_many(CLAIMS, "devices", resources)] == expected
        assert proxy.refused == refused

        async def ask() -> list[bool]:
            engine = AsyncOpaEngine(AsyncOpaClient(url, deadline=SAFETY), bridge.engine.rule_set)
            async with AsyncPolicyBridge(engine) as awaiting:
                return [one.allow for one in await awaiting.check_many(CLAIMS, "devices", resources)]

        assert asyncio.run(ask()) == expected
    with limited(opa.url, 1) as (url, proxy):
        bridge = PolicyBridge(OpaEngine(OpaClient(url), bridge.engine.rule_set))
        with bridge, pytest.raises(EngineError):
            bridge.check_many(CLAIMS, "devices", resources[:2])
