"""The thread that brings back what an OPA lost: when one begins, what it is told, and how it ends. No OPA is asked."""

from __future__ import annotations

import contextvars
import gc
import logging
import os
import threading
import weakref
from pathlib import Path

import pytest
from clocks import Clock
from fake_recoveries import SAFETY, BlockingSourceWithOutcome, FakeEngine, ended, failing, new_recovery

from bridge import OpaClient
from bridge.engines import recovery
from bridge.engines.recovery import Recovery
from bridge.engines.recovery_run import (
    RecoveryRun,
    RecoveryState,
    SourceError,
    checked_sources,
    collect_all,
    failure_of,
)
from bridge.errors import (
    ConfigurationError,
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    OpaStatusError,
    ResourcesMissingError,
    UsageError,
)
from bridge.opa.limited import LimitedClient, Limits
from bridge.store import collect

# --- settings


@pytest.mark.parametrize("tries", [0, -1, 101, 1.0, True, "1", None])
def test_tries_that_are_none(tries):
    with pytest.raises(ConfigurationError, match="`recovery_attempts` must be a number from 1 to 100"):
        new_recovery(tries=tries)


@pytest.mark.parametrize("timeout", [0, -1, 86_401, float("nan"), True, "1", None])
def test_a_timeout_that_is_none(timeout):
    with pytest.raises(ConfigurationError, match="`recovery_timeout` must be seconds"):
        new_recovery(timeout=timeout)


def test_what_a_run_is_given():
    for settings, tries, patience, timeout in (
        ({}, 5, 30.0, 300.0),
        ({"tries": 1, "patience": 7.0, "timeout": 9}, 1, 7.0, 9.0),
        ({"tries": 100}, 100, 30.0, 300.0),
    ):
        engine = FakeEngine()
        made = new_recovery(engine=engine, **settings)
        seen = []
        original = RecoveryRun.bring_back

        def bring_back(run, *args, seen=seen, original=original, **settings):
            seen.append(settings["tries"])
            original(run, *args, **settings)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RecoveryRun, "bring_back", bring_back)
            made.run()
        [(type_, resources, actual_patience, limits)] = engine.brought
        assert list(resources) == [b'"d1"']
        assert (type_, actual_patience, limits.seconds, seen) == ("devices", patience, timeout, [tries])
        [client] = engine.clients
        assert isinstance(client, LimitedClient)
        assert client.url == "http://127.0.0.1:1"
        assert limits.clock is made.clock
        made.clock.now += 86_401
        with pytest.raises(EngineError, match=r"^the recovery did not end within .*: raise `recovery_timeout`$"):
            client.get_data(("x",))


@pytest.mark.parametrize(
    ("sources", "text"),
    [
        (
            {"devices": list, "dogs": list},
            "for `dogs`, which is no resource type of the rule set: correct the name, or add the type to the rule set$",
        ),
        ({"users": "path"}, "source of `users` must be the path of a file, or a callable"),
        ({"users": None}, "source of `users`"),
        ({"users": [{"id": "u"}]}, "source of `users`"),
    ],
)
def test_what_is_no_source(sources, text):
    with pytest.raises(ConfigurationError, match=text):
        checked_sources(sources, ("devices", "users"))
    with pytest.raises(ConfigurationError, match=text):
        Recovery(FakeEngine(), OpaClient("http://127.0.0.1:1"), sources, ("devices", "users"))


def test_sources_are_kept_as_they_were():
    sources = {"devices": list, "users": Path("users.jsonl")}
    kept = checked_sources(sources, ["devices", "users"])
    assert kept == sources
    assert kept is not sources
    assert checked_sources({}, ()) == {}


# --- sources


def test_what_a_source_gives():
    assert list(collect_all("devices", lambda: [{"id": "d1"}, {"id": "d2"}])) == [b'"d1"', b'"d2"']
    resources = [{"id": ""}, {"id": "d1"}, {"id": 7}]
    with pytest.raises(SourceError) as caught:
        collect_all("devices", lambda: resources)
    assert str(caught.value) == (
        "OPA lost the resources of `devices`, and 2 of 3 in their source are refused: "
        f"{collect(lambda: resources).rejected[0]}; correct them in the source"
    )
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("error", [OSError("no"), ValueError("no"), SystemExit("no"), StopIteration("no")], ids=repr)
def test_a_source_that_raises(error):
    with pytest.raises(SourceError, match=r"^OPA lost the resources of `devices`, and their source failed: ") as caught:
        collect_all("devices", failing(error))
    assert caught.value.__cause__ is not None


# --- one run


def test_a_run_and_what_is_known_of_it():
    source = BlockingSourceWithOutcome()
    engine = FakeEngine()
    made = new_recovery(source, engine=engine)
    assert (made.state, made.ended, made.last, made.is_inside) == (RecoveryState.IDLE, 0, None, False)
    run = made.begin()
    assert source.begun.wait(SAFETY)
    assert (made.state, made.last, made.ended, made.is_inside) == (RecoveryState.COLLECTING, run, 0, False)
    assert made.begin() is run
    assert made.run_since(0) is run
    assert (run.thread.daemon, run.thread.name) == (True, "jwt-bridge-recovery")
    source.may.set()
    ended(run)
    assert (made.state, made.ended, made.last, run.failure) == (RecoveryState.IDLE, 1, run, None)
    assert len(engine.brought) == 1
    made.run()
    assert (made.ended, len(engine.brought)) == (2, 1), "all is there"


def test_recovery_raises_what_ended_it_each_time_anew():
    made = new_recovery(failing())
    with pytest.raises(ResourcesMissingError, match="their source failed: no") as first:
        made.run()
    failure = made.last.failure
    assert first.value is not failure
    assert str(first.value) == str(failure)
    with pytest.raises(ResourcesMissingError):
        made.run()
    assert made.ended == 2, "whatever failed before"
    run = RecoveryRun(Limits(3.0, name="the run", setting="s", clock=Clock()))
    with pytest.raises(EngineTimeoutError, match="the run did not end within 3 s: raise `s`"):
        Recovery.raise_failure(run)
    run.end(None)
    Recovery.raise_failure(run)


def test_recovery_ends_by_its_timeout_whatever_the_source_does():
    source = BlockingSourceWithOutcome()
    made = Recovery(FakeEngine(), OpaClient("http://127.0.0.1:1"), {"devices": source}, ("devices",), timeout=0.05)
    with pytest.raises(EngineTimeoutError, match=r"did not end within 0\.05 s"):
        made.run()
    source.may.set()
    ended(made.last)


# --- rest


def test_failed_runs_are_followed_by_longer_and_longer_rests():
    clock = Clock()
    made = new_recovery(failing(), clock=clock)
    rests = []
    for number in range(12):
        run = ended(made.run_since(made.ended))
        assert type(run.failure) is ResourcesMissingError
        assert (made.ended, made.state) == (number + 1, RecoveryState.RESTING)
        assert made.run_since(made.ended) is None
        rests.append(made.rests_for)
        clock.now += made.rests_for
        assert (made.state, made.rests_for) == (RecoveryState.IDLE, 0.0)
    assert rests == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0, 60.0])
    clock.now += 60
    ended(made.run_since(made.ended))
    assert made.rests_for == pytest.approx(60.0), "it has failed lately"
    clock.now += 60 + 60.5
    ended(made.run_since(made.ended))
    assert made.rests_for == pytest.approx(0.1), "the last failure is long ago"


def test_the_first_run_and_its_rest_whatever_the_clock_says():
    made = new_recovery(failing())
    made.clock.now = 0.0
    assert (made.state, made.rests_for) == (RecoveryState.IDLE, 0.0)
    ended(made.run_since(0))
    assert made.rests_for == pytest.approx(0.1)


def test_a_rest_does_not_delay_restore():
    made = new_recovery(failing())
    first = ended(made.run_since(0))
    assert made.run_since(None) is not first
    ended(made.last)
    assert made.ended == 2


def test_a_run_that_ended_after_the_question_began_is_the_one_to_look_at():
    made = new_recovery(failing())
    run = ended(made.run_since(0))
    assert made.run_since(0) is run, "its question began before"
    assert made.run_since(1) is None, "that one began after it"


def test_a_run_that_did_not_help_is_followed_by_a_rest():
    clock = Clock()
    made = new_recovery(clock=clock)
    first = ended(made.begin())
    made.note_lost_again(RecoveryRun(Limits(1.0, name="another", setting="s")))
    assert made.rests_for == 0.0
    made.note_lost_again(first)
    assert made.rests_for == pytest.approx(0.1)
    made.note_lost_again(first)
    assert made.rests_for == pytest.approx(0.1), "several questions tell of the same"
    clock.now += made.rests_for
    made.note_lost_again(first)
    assert made.rests_for == pytest.approx(0.2)
    made.note_success()
    clock.now += 1
    made.note_lost_again(first)
    assert made.rests_for == pytest.approx(0.1)


# --- questions from within


def test_a_source_that_asks():
    source = BlockingSourceWithOutcome()
    made = new_recovery(source)
    seen = []

    def ask():
        seen.append((made.is_inside, made.run_since(0), made.run_since(None)))
        made.close()  # which would wait for the thread that it is called in
        return made.begin()

    source.then = ask
    run = made.begin()
    source.may.set()
    ended(run)
    assert seen == [(True, None, None)]
    assert type(source.outcome) is UsageError
    assert "one of its own sources" in str(source.outcome)


def test_what_a_source_leaves_behind_asks_as_others_do():
    contexts = []

    def source():
        contexts.append(contextvars.copy_context())
        return [{"id": "d1"}]

    made = new_recovery(source)
    ended(made.begin())
    assert contexts[0].run(lambda: made.is_inside) is False
    other = contexts[0].run(made.begin)
    assert other is not None
    ended(other)


def test_a_run_that_is_begun_in_a_source_of_another_belongs_to_both():
    inner_source = BlockingSourceWithOutcome()
    inner = new_recovery(inner_source)
    outer_source = BlockingSourceWithOutcome(inner.begin)
    outer = new_recovery(outer_source)
    seen = []
    inner_source.then = lambda: seen.append((inner.is_inside, outer.is_inside))
    outer_source.may.set()
    outer_run = outer.begin()
    assert inner_source.begun.wait(SAFETY)
    # The outer run's source has returned its outcome; the outer run may have ended, which ends the ban.
    ended(outer_run)
    inner_source.may.set()
    ended(inner.last)
    assert seen == [(True, False)]


def test_a_source_that_asks_by_way_of_another_bridge():
    outer_source, inner_source = BlockingSourceWithOutcome(), BlockingSourceWithOutcome()
    outer, inner = new_recovery(outer_source), new_recovery(inner_source)
    seen = []
    inner_source.then = lambda: seen.append((inner.is_inside, outer.is_inside))
    outer_source.then = lambda: ended(inner.begin())
    outer_source.may.set()
    inner_source.may.set()
    ended(outer.begin())
    assert seen == [(True, True)]


# --- the end


def test_closing_ends_what_is_under_way_and_begins_nothing():
    source = BlockingSourceWithOutcome()
    made = new_recovery(source, engine=FakeEngine(), deadline=SAFETY)
    run = made.begin()
    assert source.begun.wait(SAFETY)
    assert made.stop() is run
    assert (made.state, run.limits.is_stopped, run.has_ended) == (RecoveryState.CLOSED, True, False)
    assert made.run_since(None) is None
    with pytest.raises(UsageError, match="the engine is closed"):
        made.begin()
    source.may.set()
    ended(run)
    assert made.stop() is None
    with pytest.raises(UsageError):
        made.run()


def test_closing_waits_for_the_end_but_not_for_long():
    assert new_recovery(deadline=60.0).closing == 5.0
    assert new_recovery(deadline=2.0).closing == 2.0
    source = BlockingSourceWithOutcome()
    made = new_recovery(source, deadline=0.05)
    run = made.begin()
    assert source.begun.wait(SAFETY)
    made.close()
    assert not run.has_ended, "a source that does not return is left behind"
    source.may.set()
    ended(run)
    made.close()
    idle = new_recovery()
    idle.close()
    assert idle.state is RecoveryState.CLOSED


def test_closing_waits_until_the_run_has_ended():
    source = BlockingSourceWithOutcome()
    made = new_recovery(source, deadline=SAFETY)
    waited = []
    run = made.begin()
    assert source.begun.wait(SAFETY)
    original = run.wait

    def wait(seconds):
        waited.append(seconds)
        source.may.set()
        original(SAFETY)

    run.wait = wait
    made.close()
    assert (waited, run.has_ended) == ([5.0], True)
    assert "stopped because the engine was closed" in str(run.failure) or run.failure is None


# --- what a thread may come to


@pytest.mark.parametrize(
    "error", [RuntimeError("can't start new thread"), KeyboardInterrupt("now"), MemoryError("none")]
)
def test_a_thread_that_cannot_be_started(monkeypatch, error):
    def refuse(_):
        raise error

    made = new_recovery()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        if isinstance(error, RuntimeError):
            run = made.run_since(0)
        else:
            with pytest.raises(type(error)):
                made.run_since(0)
            run = made.last
    assert run.has_ended
    assert run.limits.is_stopped
    assert (
        str(run.failure)
        == f"no thread can be started for the recovery: {error}; use fewer threads, or raise their limit"
    )
    assert (made.ended, made.state) == (1, RecoveryState.RESTING)
    made.clock.now += 1
    assert ended(made.run_since(1)).failure is None


class OwnError(BaseException):
    pass


@pytest.mark.parametrize(
    ("error", "kind", "text", "has_traceback"),
    [
        (EngineUnreachableError("down"), EngineUnreachableError, "down", False),
        (OpaStatusError("no", status=403, opa_code="c"), OpaStatusError, "no", False),
        (
            ValueError("odd"),
            EngineError,
            "the recovery ended with ValueError: odd; the log of `bridge` has the traceback",
            True,
        ),
        (
            OwnError("own"),
            EngineError,
            "the recovery ended with OwnError: own; the log of `bridge` has the traceback",
            True,
        ),
    ],
)
def test_what_ends_a_thread_is_told_and_logged(caplog, error, kind, text, has_traceback):
    def engine(_):
        raise error

    made = new_recovery(engine=engine)
    with caplog.at_level(logging.WARNING, "bridge"):
        run = ended(made.begin())
    assert type(run.failure) is kind
    assert run.failure is not error
    assert str(run.failure) == text
    assert run.failure.__traceback__ is None
    [record] = caplog.records
    assert (record.name, record.levelname) == ("bridge", "WARNING")
    assert record.getMessage() == f"what OPA lost could not be brought back: {text}"
    assert (record.exc_info[1] is error) if has_traceback else not (record.exc_info or (None,))[0]


def test_a_source_that_failed_is_logged_with_its_own_traceback(caplog):
    cause = OSError("no")
    with caplog.at_level(logging.WARNING, "bridge"):
        run = ended(new_recovery(failing(cause)).begin())
    assert type(run.failure) is ResourcesMissingError
    [record] = caplog.records
    assert record.exc_info[1] is cause
    assert failure_of(SourceError("x")).args == ("x",)


def test_nothing_is_logged_when_all_is_back(caplog):
    ended(new_recovery().begin())
    assert caplog.records == []


def test_a_thread_that_ends_by_no_exception_at_all(monkeypatch):
    """A log that fails, say: whoever waits is told all the same."""

    def fail(*_, **__):
        raise OwnError

    monkeypatch.setattr(recovery._LOG, "warning", fail)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    run = ended(new_recovery(failing()).begin())
    assert type(run.failure) is ResourcesMissingError


def test_a_thread_that_ends_before_it_knows_why(monkeypatch):
    def fail(_):
        raise OwnError

    monkeypatch.setattr(recovery, "failure_of", fail)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    run = ended(new_recovery(failing()).begin())
    assert (type(run.failure), str(run.failure)) == (EngineError, "the thread of the recovery was ended: try again")


# --- after a fork


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("is_closed", [False, True])
def test_a_forked_child_begins_anew(is_closed):
    source = BlockingSourceWithOutcome()
    made = new_recovery(source, deadline=SAFETY)
    run = made.begin()
    assert source.begun.wait(SAFETY)
    if is_closed:
        made.stop()
    with made._process.lock:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                assert (made.last, made.ended) == (None, 0)
                if is_closed:
                    assert made.state is RecoveryState.CLOSED
                    assert made.run_since(None) is None
                else:
                    assert made.state is RecoveryState.IDLE
                    source.may.set()
                    assert ended(made.begin()).failure is None
                code = 0
            finally:
                os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    source.may.set()
    ended(run)
    assert made.last is run


def test_what_a_fork_renews():
    """In the process itself, for what a child calls is not seen from here."""
    made, closed = new_recovery(failing()), new_recovery()
    run = ended(made.begin())
    closed.close()
    recovery._reset_after_fork()
    assert (made.last, made.ended, made.state, made.rests_for) == (None, 0, RecoveryState.IDLE, 0.0)
    assert (closed.state, closed.run_since(None)) == (RecoveryState.CLOSED, None)
    assert ended(made.begin()) is not run


def test_an_unused_recovery_is_forgotten():
    made = new_recovery()
    assert made in recovery._ALL
    known = weakref.ref(made)
    del made
    gc.collect()
    assert known() is None
