"""The threads of a bridge that awaits."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from bridge.aio.async_keys import DaemonThreads
from bridge.errors import KeysUnavailableError, UsageError

LONG = 60  # seconds: a net under a test that is broken


class Gate:
    """A function that waits until the test lets it go on, and tells when it has begun."""

    def __init__(self):
        self.begun = threading.Semaphore(0)
        self.opened = threading.Event()

    def __call__(self, value=None):
        self.begun.release()
        assert self.opened.wait(LONG)
        return value

    def await_begun(self):
        assert self.begun.acquire(timeout=LONG)


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.opened.set()


def named(name):
    return [thread for thread in threading.enumerate() if thread.name == name]


def test_no_more_threads_run_than_are_allowed(gate):
    threads = DaemonThreads(3, "test-most")
    jobs = [threads.run(gate, number) for number in range(10)]
    for _ in range(3):
        gate.await_begun()
    assert len(named("test-most")) == 3
    assert sum(job.running() for job in jobs) == 3
    gate.opened.set()
    assert [job.result(LONG) for job in jobs] == list(range(10))


def test_threads_end_when_nothing_is_left_to_run(gate):
    threads = DaemonThreads(2, "test-end")
    job = threads.run(gate)
    gate.await_begun()
    [thread] = named("test-end")
    assert thread.daemon
    gate.opened.set()
    job.result(LONG)
    thread.join(LONG)
    assert not named("test-end")
    assert threads.run(str, 1).result(LONG) == "1"


def test_threads_that_have_ended_make_room_for_as_many():
    threads = DaemonThreads(2, "test-again")
    for _ in range(3):
        gate = Gate()
        jobs = [threads.run(gate, number) for number in range(5)]
        running = named("test-again")
        gate.opened.set()
        assert len(running) == 2
        assert [job.result(LONG) for job in jobs] == list(range(5))
        for thread in running:
            thread.join(LONG)


def test_an_error_is_the_outcome():
    job = DaemonThreads(1, "test-error").run(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        job.result(LONG)


def test_a_function_that_ends_by_stop_iteration_hangs_nobody():
    async def waits():
        return await asyncio.wait_for(asyncio.wrap_future(DaemonThreads(1, "test-stop").run(next, iter(()))), LONG)

    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(waits())


def test_a_function_sees_the_context_of_its_caller():
    variable = contextvars.ContextVar("variable", default="none")
    variable.set("the caller's")
    assert DaemonThreads(1, "test-context").run(variable.get).result(LONG) == "the caller's"


def test_what_was_cancelled_before_it_began_is_not_run(gate):
    threads = DaemonThreads(1, "test-cancel")
    first = threads.run(gate)
    gate.await_begun()
    called = []
    second, third = threads.run(called.append, 2), threads.run(called.append, 3)
    assert second.cancel()
    gate.opened.set()
    first.result(LONG)
    third.result(LONG)
    assert called == [3]


def test_closing_refuses_what_has_not_begun_and_waits_for_nothing(gate):
    threads = DaemonThreads(1, "test-close")
    first, second, third = threads.run(gate, 1), threads.run(str, 2), threads.run(str, 3)
    gate.await_begun()
    third.cancel()
    threads.close()
    with pytest.raises(UsageError, match="the bridge was closed"):
        second.result(LONG)
    with pytest.raises(UsageError, match="this bridge is closed"):
        threads.run(str, 4)
    assert not first.done()
    gate.opened.set()
    assert first.result(LONG) == 1


def test_where_no_thread_can_be_started_the_call_fails_and_leaves_nothing(monkeypatch):
    threads = DaemonThreads(2, "test-none")
    called = []

    def refuse(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(KeysUnavailableError, match="no thread can be started"):
            threads.run(called.append, 1)
    threads.run(called.append, 2).result(LONG)
    assert called == [2], "what was refused is not run later"


def test_where_no_further_thread_can_be_started_those_that_run_do_the_work(monkeypatch, gate):
    threads = DaemonThreads(2, "test-few")
    first = threads.run(gate, 1)
    gate.await_begun()

    def refuse(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        second = threads.run(str, 2)
    assert not second.done()
    gate.opened.set()
    assert (first.result(LONG), second.result(LONG)) == (1, "2")
