"""A recovery ends: after a time and a number of requests, with sources that hang, fail or ask the bridge."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from clocks import Clock
from fault_server import FaultServer
from recovering_bridges import DEADLINE, SAFETY, TYPE, BlockingSource, Source, bridge_to, check, let_it_end, with_clock
from recovering_process import CLAIMS, RESOURCES
from relay import Relay

from bridge import ConfigurationError, OpaClient, OpaEngine, PolicyBridge, Reason, UsageError
from bridge.aio import AsyncOpaClient, AsyncOpaEngine, AsyncPolicyBridge
from bridge.engines.recovery_run import RecoveryRun, RecoveryState
from bridge.errors import EngineError, MultipleStoresError, ResourcesMissingError, RulesNotInstalledError


@pytest.fixture
def opa(start_opa):
    """An OPA of the test's own, with nothing in it."""
    opa = start_opa()
    yield opa
    opa.kill()


# --- writes go to one OPA, and reads to another


@contextmanager
def split(writes, reads):
    """The address of both, and what was asked there."""
    to_writes, to_reads = Relay(writes.url), Relay(reads.url)

    def answer(exchange):
        is_read = exchange.line.startswith(("GET", "POST"))
        (to_reads if is_read else to_writes).answer(exchange)

    with FaultServer(answer) as server:
        yield server.url, server


@pytest.fixture
def two(start_opa):
    both = [start_opa() for _ in range(2)]
    yield both
    for opa in both:
        opa.kill()


@pytest.fixture(params=["both are empty", "the read one has the rules", "the written one has all"])
def writer_and_reader(two, request):
    writer, reader = two
    if request.param == "the read one has the rules":
        with PolicyBridge(OpaEngine(reader.url)) as bridge:
            bridge.install()
    if request.param == "the written one has all":
        with PolicyBridge(OpaEngine(writer.url)) as bridge:
            bridge.install()
            bridge.push("devices", RESOURCES)
    return writer, reader


def test_writes_and_reads_that_go_to_two_opas_are_told_apart_in_few_requests(writer_and_reader):
    writer, reader = writer_and_reader
    source = Source()
    with OpaClient(writer.url) as direct:
        before = direct.get_data(TYPE)
        with split(writer, reader) as (url, server), bridge_to(url, source) as bridge:
            clock = with_clock(bridge)
            with pytest.raises(MultipleStoresError, match="several OPAs answer at this address"):
                check(bridge)
            made = len(server.lines)
            assert made < 90  # an install looks at what is there before and after each step
            with pytest.raises(MultipleStoresError, match=r"ask again in 0\.1 s to begin another try"):
                check(bridge)
            assert len(server.lines) == made + 1, "it is not tried again at once"
            clock.now += 0.1
            with pytest.raises(MultipleStoresError):
                check(bridge)
            assert len(server.lines) <= 2 * made + 5
        assert source.calls == 0
        if isinstance(before, dict):
            assert direct.get_data(TYPE) == before, "what the written one has is left alone"


def test_writes_and_reads_that_go_to_two_opas_awaited_and_denied(two):
    async def ask(url):
        async with AsyncPolicyBridge(AsyncOpaEngine(url, sources={"devices": lambda: RESOURCES})) as bridge:
            with pytest.raises(MultipleStoresError):
                await bridge.check(CLAIMS, "devices", "d1")

    with split(*two) as (url, _):
        asyncio.run(ask(url))
        with bridge_to(url, on_error="deny") as bridge:
            decision = check(bridge)
    assert (decision.allow, decision.reason) == (False, Reason.ENGINE_UNAVAILABLE)
    assert "several OPAs" in decision.error


def test_rules_alone_of_which_nothing_can_be_read(two):
    """Without a source there is no proof of two OPAs, and the error names them as one of two causes."""
    with split(*two) as (url, server), PolicyBridge(OpaEngine(url, sources={}, recovery_attempts=2)) as bridge:
        with pytest.raises(RulesNotInstalledError, match="or several OPAs answer at this address"):
            bridge.check(CLAIMS, "devices", {"id": "d1"})
        assert len(server.lines) < 80


# --- a source that asks the bridge


def asking(ask, results):
    """A source that asks first, and tells what came of it."""

    def source():
        try:
            results.append(ask())
        except EngineError as fault:
            results.append(fault)
        return RESOURCES

    return source


def test_a_source_that_asks_its_bridge_gets_the_error_at_once(opa):
    results = []
    with bridge_to(opa.url, asking(lambda: check(bridge), results)) as bridge:
        with_clock(bridge)  # no time passes, so it cannot be a deadline that ends it
        assert check(bridge)
        with pytest.raises(UsageError, match="own sources"):
            raise_inside(bridge)
    (fault,) = results
    assert isinstance(fault, ResourcesMissingError)
    assert "a source must not ask the bridge that it is a source of" in str(fault)


def raise_inside(bridge):
    """What `restore` raises in a source."""
    raised = []

    def source():
        try:
            bridge.engine.restore()
        except UsageError as error:
            raised.append(error)
        return RESOURCES

    bridge.engine.recovery._sources["devices"] = source
    bridge.engine.opa.delete_data(TYPE)
    bridge.engine.restore()
    raise raised[0]


def test_what_a_source_has_begun_may_ask_once_it_has_returned(opa):
    """A task that it left behind is none of its own any more."""
    contexts = []

    def source():
        contexts.append(contextvars.copy_context())
        return RESOURCES

    with bridge_to(opa.url, source) as bridge:
        assert check(bridge)
        bridge.engine.opa.delete_data(TYPE)
        assert contexts[0].run(check, bridge)
    assert len(contexts) == 2


def test_sources_of_two_bridges_that_ask_each_other(opa, start_opa):
    """The second one's thread knows that it was begun from within the first one's source."""
    other = start_opa()
    results, other_results = [], []
    with (
        bridge_to(opa.url, asking(lambda: check(second), results)) as first,
        bridge_to(other.url, asking(lambda: check(first), other_results)) as second,
    ):
        with_clock(first)
        with_clock(second)
        assert check(first)
        assert check(second)
    other.kill()
    assert [decision.reason for decision in results] == [Reason.MATCHED]
    assert "a source must not ask" in str(other_results[0])


def test_a_source_that_asks_its_bridge_in_the_event_loop(opa):
    results = []

    async def ask():
        loop = asyncio.get_running_loop()

        def ask_there():
            return asyncio.run_coroutine_threadsafe(bridge.check(CLAIMS, "devices", "d1"), loop).result(SAFETY)

        engine = AsyncOpaEngine(
            AsyncOpaClient(opa.url, deadline=DEADLINE), sources={"devices": asking(ask_there, results)}
        )
        engine.synchronous.recovery.clock = Clock()
        async with AsyncPolicyBridge(engine) as bridge:
            assert await bridge.check(CLAIMS, "devices", "d1")

    asyncio.run(ask())
    assert "a source must not ask" in str(results[0])


def test_a_source_that_waits_for_a_thread_that_asks_its_bridge(opa, monkeypatch):
    """Nobody can know whose question that is: its deadline ends it, and the recovery goes on."""
    results, inner = [], []
    wait = RecoveryRun.wait

    def wait_or_give_up(run, seconds):
        if threading.current_thread() not in inner:
            wait(run, seconds)

    monkeypatch.setattr(RecoveryRun, "wait", wait_or_give_up)

    def ask_in_a_thread():
        thread = threading.Thread(target=lambda: results.append(lost_inside(bridge)))
        inner.append(thread)
        thread.start()
        thread.join(SAFETY)

    with bridge_to(opa.url, asking(ask_in_a_thread, [])) as bridge:
        assert check(bridge)
    assert "it asks a source for resources; ask again later" in str(results[0])


def lost_inside(bridge):
    with pytest.raises(ResourcesMissingError) as lost:
        check(bridge)
    return lost.value


# --- it goes on without the question


@pytest.fixture
def waits(monkeypatch):
    """Let questions give up once a source is asked, however long they could wait; gives how long that was."""
    waits = []

    def patch(source):
        def wait(_, seconds):
            waits.append(seconds)
            assert source.begun.wait(SAFETY)

        async def ended(run, seconds):
            await asyncio.to_thread(wait, run, seconds)

        patched = monkeypatch.setattr
        patched(RecoveryRun, "wait", wait)
        patched("bridge.aio.async_engine._ended", ended)
        return waits

    yield patch
    monkeypatch.undo()


def test_a_question_that_gives_up_does_not_stop_it(opa, waits):
    source = BlockingSource()
    with bridge_to(opa.url, source) as bridge:
        with_clock(bridge)
        waited = waits(source)
        for _ in range(2):
            with pytest.raises((RulesNotInstalledError, ResourcesMissingError), match="it is being brought back for"):
                check(bridge)
        assert waited == [DEADLINE] * 2, "they wait for no longer than the client's deadline"
        let_it_end(source, bridge.engine.recovery)
        assert check(bridge)
    assert source.calls == 1


def test_a_task_that_gives_up_does_not_stop_it(opa, waits):
    source = BlockingSource()

    async def ask():
        engine = AsyncOpaEngine(AsyncOpaClient(opa.url, deadline=DEADLINE), sources={"devices": source})
        engine.synchronous.recovery.clock = Clock()
        async with AsyncPolicyBridge(engine) as bridge:
            waited = waits(source)
            with pytest.raises(RulesNotInstalledError, match="it is being brought back for"):
                await bridge.check(CLAIMS, "devices", "d1")
            assert waited == [DEADLINE]
            await asyncio.to_thread(let_it_end, source, engine.synchronous.recovery)
            assert await bridge.check(CLAIMS, "devices", "d1")

    asyncio.run(ask())
    assert source.calls == 1


def test_a_question_that_gives_up_is_denied_where_faults_deny(opa, waits):
    source = BlockingSource()
    with bridge_to(opa.url, source, on_error="deny") as bridge:
        waits(source)
        decision = check(bridge)
        assert (decision.allow, decision.reason) == (False, Reason.ENGINE_UNAVAILABLE)
        assert "it is being brought back for" in decision.error
        let_it_end(source, bridge.engine.recovery)


def test_what_needs_no_resources_is_answered_where_a_source_fails(opa):
    """The rules are back: the question is asked once more, whatever became of the resources."""
    with bridge_to(opa.url, lambda: 1 // 0) as bridge:
        assert bridge.check(CLAIMS, "devices", RESOURCES[1]).reason is Reason.MATCHED


def test_a_failure_is_not_tried_again_without_a_pause_that_grows(opa):
    calls = []
    with bridge_to(opa.url, lambda: calls.append(1) or 1 // 0) as bridge:
        clock = with_clock(bridge)
        times = []
        for _ in range(10):
            with pytest.raises(ResourcesMissingError, match="integer division"):
                check(bridge)
            for _ in range(3):
                with pytest.raises(ResourcesMissingError, match="to begin another try"):
                    check(bridge)
            assert bridge.engine.recovery.state is RecoveryState.RESTING
            times.append(bridge.engine.recovery.rests_for)
            clock.now += times[-1]
            assert bridge.engine.recovery.state is RecoveryState.IDLE
        assert len(calls) == 10
        assert times == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2])
        clock.now += 61
        with pytest.raises(ResourcesMissingError):
            check(bridge)
        assert bridge.engine.recovery.rests_for == pytest.approx(0.1), "what failed long ago is forgotten"


def test_a_type_without_a_source_begins_no_run_for_each_question(opa):
    source = Source()
    with bridge_to(opa.url, source) as bridge:
        with_clock(bridge)
        for _ in range(5):
            with pytest.raises(ResourcesMissingError, match="all that has a source was brought back before"):
                bridge.check({}, "sessions", "s1")
        assert bridge.engine.recovery.ended == 1
        assert source.calls == 1
        assert check(bridge), "what is there is answered meanwhile"


def test_what_is_brought_back_has_a_later_revision_than_all_that_were_made_here(opa, monkeypatch):
    """Where the clock has not gone on, too; or a list of the lost resources could go on in those that came back."""
    monkeypatch.setattr("bridge.store.store.time.time_ns", lambda: 10**18)
    with bridge_to(opa.url) as bridge:
        bridge.install()
        for _ in range(3):
            report = bridge.push("devices", RESOURCES)
        bridge.engine.opa.delete_data(TYPE)
        decision = bridge.check(CLAIMS, "devices", "d1", at_least=report.revision)
        assert int(decision.revision) > int(report.revision)


# --- its own time


def test_a_source_that_takes_too_long_ends_the_run_and_leaves_nothing(opa):
    def source():
        clock.now += 301
        return RESOURCES

    with bridge_to(opa.url, source) as bridge:
        clock = with_clock(bridge)
        bridge.engine.opa.deadline = 1_000  # the question's own deadline is later
        with pytest.raises(
            ResourcesMissingError, match="the recovery did not end within 300 s: raise `recovery_timeout`"
        ):
            check(bridge)
        state = bridge.engine.store.look("devices")
        assert state is None or (state.current is None and not state.leases)


def test_another_process_need_not_wait_for_a_source_that_never_returns(opa):
    """One whose time is over gives no more signs of life."""
    source = BlockingSource()
    with bridge_to(opa.url, source) as stuck, bridge_to(opa.url, patience=3.0) as other:
        clock = with_clock(stuck)
        stuck.engine.recovery.run_since(None)
        assert source.begun.wait(SAFETY)
        clock.now += 301
        assert check(other)
        other.engine.opa.delete_data(TYPE)
        with pytest.raises(ResourcesMissingError, match="asks a source for resources"):
            check(stuck)
        let_it_end(source, stuck.engine.recovery)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("recovery_attempts", 0),
        ("recovery_attempts", True),
        ("recovery_attempts", 2.0),
        ("recovery_attempts", 101),
        ("recovery_timeout", 0),
        ("recovery_timeout", "300"),
        ("recovery_timeout", 86_401),
    ],
)
def test_limits_that_are_none(opa, setting, value):
    for made in (OpaEngine, AsyncOpaEngine):
        with pytest.raises(ConfigurationError, match=f"`{setting}`"):
            made(opa.url, sources={}, **{setting: value})


def test_a_source_for_no_type(opa):
    with pytest.raises(ConfigurationError, match="`devicse`, which is no resource type"):
        OpaEngine(opa.url, sources={"devicse": lambda: RESOURCES})


def test_no_thread_can_be_started(opa, monkeypatch):
    def start(_):
        raise RuntimeError("can't start new thread")

    with bridge_to(opa.url) as bridge:
        clock = with_clock(bridge)
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", start)
            with pytest.raises(
                RulesNotInstalledError,
                match="no thread can be started for the recovery: can't start new thread; use fewer",
            ):
                check(bridge)
        clock.now += 1
        assert check(bridge)


def test_the_traceback_of_a_source_is_logged_and_not_kept(opa, caplog):
    """The frames of a traceback that is kept would keep all resources with them."""

    def failing_source():
        return 1 // 0

    with bridge_to(opa.url, failing_source) as bridge, pytest.raises(ResourcesMissingError):
        check(bridge)
    failure = bridge.engine.recovery.last.failure
    assert (failure.__traceback__, failure.__cause__, failure.__context__) == (None, None, None)
    (record,) = caplog.records
    assert "what OPA lost could not be brought back: " in record.getMessage()
    assert "in failing_source" in caplog.text


def test_a_source_that_ends_its_thread(opa):
    def source():
        raise SystemExit(3)

    with bridge_to(opa.url, source) as bridge, pytest.raises(ResourcesMissingError, match="their source failed: 3"):
        check(bridge)


def test_a_file_that_is_a_source(opa, tmp_path):
    """It is read anew each time."""
    with bridge_to(opa.url, Path(tmp_path / "none.jsonl")) as bridge:
        clock = with_clock(bridge)
        with pytest.raises(ResourcesMissingError, match="No such file"):
            check(bridge)
        (tmp_path / "none.jsonl").write_text('{"id": "d1", "custom_data": {"n": 1}}\n')
        clock.now += 0.1
        assert check(bridge)
