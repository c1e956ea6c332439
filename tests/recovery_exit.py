"""A process that ends while a source hangs; arguments: the OPA's URL, `raise` or `await`, and `closes` or `leaves`."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import suppress

from recovering_process import CLAIMS

from bridge import OpaClient, OpaEngine, PolicyBridge
from bridge.aio import AsyncOpaClient, AsyncOpaEngine, AsyncPolicyBridge
from bridge.errors import BridgeError

DEADLINE = 60.0
SHORT = 0.1
BEGUN = threading.Event()


def hanging() -> list[object]:
    BEGUN.set()
    threading.Event().wait()
    return []


async def awaiting(url: str, *, closes: bool) -> None:
    bridge = AsyncPolicyBridge(AsyncOpaEngine(AsyncOpaClient(url, deadline=DEADLINE), sources={"devices": hanging}))
    question = asyncio.ensure_future(bridge.check(CLAIMS, "devices", "d1"))
    await asyncio.to_thread(BEGUN.wait)
    if closes:
        bridge.engine.synchronous.opa.deadline = SHORT  # how long a run is waited for
        await bridge.close()
    else:
        await bridge.engine.opa.close()  # aiohttp complains of what is left open
    assert not question.done()  # the loop cancels it


def waiting(url: str, *, closes: bool) -> None:
    bridge = PolicyBridge(OpaEngine(OpaClient(url, deadline=DEADLINE), sources={"devices": hanging}))

    def ask() -> None:
        with suppress(BridgeError):
            bridge.check(CLAIMS, "devices", "d1")

    threading.Thread(target=ask, daemon=True).start()
    BEGUN.wait()
    if closes:
        bridge.engine.opa.deadline = SHORT  # type: ignore[attr-defined] # how long a run is waited for
        bridge.close()


def main() -> None:
    url, kind, closes = sys.argv[1], sys.argv[2], sys.argv[3] == "closes"
    if kind == "await":
        asyncio.run(awaiting(url, closes=closes))
    else:
        waiting(url, closes=closes)
    print("at its end", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
