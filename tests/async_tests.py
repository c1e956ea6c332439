"""Tests that are coroutines."""

from __future__ import annotations

import asyncio
import functools
import gc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fault_server import TOKEN, Exchange, FaultServer

from bridge.aio import AsyncOpaClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


def async_test(test):
    """Run a test's coroutine; nothing that it began may be left behind."""

    @functools.wraps(test)
    def run(*args: object, **settings: object) -> None:
        async def alone() -> None:
            complaints: list[dict[str, object]] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
            await test(*args, **settings)
            await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left
            gc.collect()  # what was not closed complains when it goes
            assert not complaints

        asyncio.run(alone())

    return run


@asynccontextmanager
async def serving(answer: Callable[[Exchange], None] | None, tls=None, **settings: object) -> AsyncIterator:
    """A server, and a client with a token that asks it."""
    with FaultServer(answer, tls) as server:
        async with AsyncOpaClient(server.url, token=TOKEN, **settings) as client:
            yield server, client
