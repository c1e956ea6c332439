"""The synchronous bridge and the asynchronous one, called alike."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bridge import OpaClient, OpaEngine, PolicyBridge
from bridge.aio import AsyncOpaClient, AsyncOpaEngine, AsyncPolicyBridge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge import RuleSet

SECONDS = 60


class _Asynchronous:
    """An asynchronous bridge; each method runs to its end in one and the same event loop."""

    def __init__(self, runner: asyncio.Runner, bridge: AsyncPolicyBridge) -> None:
        self._runner = runner
        self._bridge = bridge
        self.engine = bridge.engine

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **settings: self._runner.run(getattr(self._bridge, name)(*args, **settings))


@contextmanager
def synchronous(url: str, rule_set: RuleSet | None = None, **settings: Any) -> Iterator[Any]:
    with PolicyBridge(OpaEngine(OpaClient(url, deadline=SECONDS), rule_set), **settings) as bridge:
        yield bridge


@contextmanager
def asynchronous(url: str, rule_set: RuleSet | None = None, **settings: Any) -> Iterator[Any]:
    async def made() -> AsyncPolicyBridge:
        return AsyncPolicyBridge(AsyncOpaEngine(AsyncOpaClient(url, deadline=SECONDS), rule_set), **settings)

    with asyncio.Runner() as runner:
        bridge = _Asynchronous(runner, runner.run(made()))
        try:
            yield bridge
        finally:
            bridge.close()


BOTH = {"sync": synchronous, "async": asynchronous}
