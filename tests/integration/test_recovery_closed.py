"""A recovery ends when its engine is closed or its process ends, and begins again after a fork."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

import pytest
import recovery_exit
from fault_server import FaultServer
from recounting import whole
from recovering_bridges import DEADLINE, SAFETY, TYPE, BlockingSource, bridge_to, check, engine_to, let_it_end
from recovering_process import CLAIMS, RESOURCES
from relay import relayed

from bridge import PolicyBridge, Reason, UsageError
from bridge.aio import AsyncOpaClient, AsyncOpaEngine, AsyncPolicyBridge
from bridge.engines.recovery_run import RecoveryState
from bridge.errors import EngineError

SHORT = 0.5


@pytest.fixture
def opa(start_opa):
    """An OPA of the test's own, with nothing in it."""
    opa = start_opa()
    yield opa
    opa.kill()


def test_close_ends_the_thread(opa):
    """It waits for another one's push here, for as long as that shows life."""
    source = BlockingSource()
    with bridge_to(opa.url, source) as first, bridge_to(opa.url) as second:
        first.engine.recovery.run_since(None)
        assert source.begun.wait(SAFETY)
        waiting = second.engine.recovery.run_since(None)
        second.close()
        waiting.thread.join(SAFETY)
        assert not waiting.thread.is_alive()
        assert second.engine.recovery.state is RecoveryState.CLOSED
        assert "the engine was closed" in str(waiting.failure)
        with pytest.raises(UsageError):
            check(second)
        with pytest.raises(UsageError, match="closed"):
            second.engine.restore()
        let_it_end(source, first.engine.recovery)


def test_close_leaves_a_source_behind_that_does_not_return(opa):
    source = BlockingSource()
    bridge = PolicyBridge(engine_to(opa.url, source))
    run = bridge.engine.recovery.run_since(None)
    assert source.begun.wait(SAFETY)
    bridge.engine.opa.deadline = SHORT
    bridge.close()
    assert not run.has_ended
    let_it_end(source, bridge.engine.recovery)


def test_close_awaited_lets_others_go_on(opa):
    source = BlockingSource()

    async def close():
        engine = AsyncOpaEngine(AsyncOpaClient(opa.url, deadline=DEADLINE), sources={"devices": source})
        waiting = asyncio.ensure_future(AsyncPolicyBridge(engine).check(CLAIMS, "devices", "d1"))
        await asyncio.to_thread(source.begun.wait, SAFETY)
        closing = asyncio.ensure_future(engine.close())
        await asyncio.sleep(0)  # the event loop's own turn, no time
        assert not closing.done()
        source.may.set()
        await closing
        with pytest.raises((EngineError, UsageError)):
            await waiting
        return engine.synchronous.recovery

    recovery = asyncio.run(close())
    assert recovery.last.has_ended
    assert recovery.state is RecoveryState.CLOSED


def test_an_asynchronous_recovery(opa):
    async def ask():
        engine = AsyncOpaEngine(AsyncOpaClient(opa.url, deadline=DEADLINE), sources={"devices": lambda: RESOURCES})
        async with AsyncPolicyBridge(engine) as bridge:
            await engine.restore()
            assert whole(engine.synchronous.opa.get_data(TYPE)) == {resource["id"]: resource for resource in RESOURCES}
            assert await bridge.check(CLAIMS, "devices", "d1")
        with pytest.raises(UsageError, match="closed"):
            await engine.restore()
        async with AsyncPolicyBridge(AsyncOpaEngine(opa.url)) as bridge:
            with pytest.raises(UsageError, match="sources"):
                await bridge.engine.restore()

    asyncio.run(ask())


@pytest.mark.parametrize("kind", ["raise", "await"])
@pytest.mark.parametrize("closes", ["closes", "leaves"])
def test_a_process_ends_while_a_source_hangs_and_a_question_waits(opa, kind, closes):
    command = [sys.executable, recovery_exit.__file__, opa.url, kind, closes]
    ended = subprocess.run(command, check=False, capture_output=True, timeout=SAFETY)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"at its end\n", b"")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_its_own_recovery(opa):
    """The parent's thread is not in the child, and what it held there is not held for ever."""
    source = BlockingSource()
    with bridge_to(opa.url, source) as bridge:
        recovery = bridge.engine.recovery
        recovery.run_since(None)
        assert source.begun.wait(SAFETY)
        with recovery._process.lock:
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    assert recovery.state is RecoveryState.IDLE
                    assert recovery.last is None
                    bridge.engine.opa.delete_data(TYPE)
                    source.may = threading.Event()
                    source.may.set()
                    bridge.engine.restore()
                    code = 0 if check(bridge).reason is Reason.MATCHED else 2
                finally:
                    os._exit(code)
        _, status = os.waitpid(child, 0)
        assert status == 0
        let_it_end(source, recovery)


def test_an_opa_that_hangs_in_the_middle(opa):
    """No write is ever answered: the question ends by its deadline, and `close` ends the rest."""
    with relayed(opa.url) as (_, relay):

        def answer(exchange):
            if exchange.line.startswith("PUT"):
                exchange.over.wait()
            else:
                relay.answer(exchange)

        with FaultServer(answer) as server:
            with bridge_to(server.url, deadline=2.0) as bridge, pytest.raises(EngineError):
                check(bridge)
            run = bridge.engine.recovery.last
            run.thread.join(SAFETY)
            assert run.has_ended
