"""The thread that brings back what an OPA lost: when one begins, what it is told, and how it ends. No OPA is asked."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import os
import threading
import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest

from bridge import OpaClient
from bridge.engines import restoring, restoring_run
from bridge.engines.restoring import Restoration
from bridge.engines.restoring_run import Run, State, failure_of
from bridge.engines.restoring_sources import SourceFailed, checked_sources, collected
from bridge.engines.restoring_wait import Wait
from bridge.errors import (
    DeadlineExceeded,
    EngineFault,
    EngineUnreachable,
    ForeignContent,
    InvalidSetting,
    Misuse,
    OpaRefused,
    OwnedByBundle,
    ResourcesLost,
    RulesNotInstalled,
)
from bridge.opa.limited import LimitedClient, Limits
from bridge.resources import collect

SAFETY = 60
LOST = ResourcesLost("nothing there")


class Clock:
    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now


class Engine:
    """One whose OPA has the rules, and the devices once they were brought."""

    def __init__(self):
        self.has_devices = False
        self.brought = []
        self.clients = []
        self.store = SimpleNamespace(look=self.look, restore=self.restore, require_one=lambda: None)

    def __call__(self, client):
        self.clients.append(client)
        return self

    def decide(self, requests):
        assert [(request.claims, request.type) for request in requests] == [(None, None)]

    def look(self, type_):
        assert type_ == "devices"
        return SimpleNamespace(current="g1" if self.has_devices else None)

    def restore(self, type_, collect, *, patience, limits):
        self.brought.append((type_, collect(), patience, limits))
        self.has_devices = True


class Blocking:
    """A source that gives nothing until it may, and tells when it was asked and what came of a question from there."""

    def __init__(self, then=lambda: None):
        self.begun, self.may = threading.Event(), threading.Event()
        self.then = then
        self.outcome = None

    def __call__(self):
        self.begun.set()
        assert self.may.wait(SAFETY)
        try:
            self.outcome = self.then()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.outcome = error
        return [{"id": "d1"}]


def restoration(source=lambda: [{"id": "d1"}], *, engine=None, clock=None, deadline=5.0, **settings):
    return Restoration(
        engine or Engine(),
        OpaClient("http://127.0.0.1:1", deadline=deadline),
        {"devices": source},
        ("devices", "users"),
        clock=clock or Clock(),
        **settings,
    )


def failing(error=None):
    def source():
        raise error or OSError("no")

    return source


def ended(run):
    run.wait(SAFETY)
    assert run.has_ended
    run.thread.join(SAFETY)
    return run


# --- settings


@pytest.mark.parametrize("tries", [0, -1, 101, 1.0, True, "1", None])
def test_tries_that_are_none(tries):
    with pytest.raises(InvalidSetting, match="`restore_tries` must be a number from 1 to 100"):
        restoration(tries=tries)


@pytest.mark.parametrize("timeout", [0, -1, 86_401, float("nan"), True, "1", None])
def test_a_timeout_that_is_none(timeout):
    with pytest.raises(InvalidSetting, match="`restore_timeout` must be seconds"):
        restoration(timeout=timeout)


def test_what_a_run_is_given():
    for settings, tries, patience, timeout in (
        ({}, 5, 30.0, 300.0),
        ({"tries": 1, "patience": 7.0, "timeout": 9}, 1, 7.0, 9.0),
        ({"tries": 100}, 100, 30.0, 300.0),
    ):
        engine = Engine()
        made = restoration(engine=engine, **settings)
        seen = []
        original = Run.bring_back

        def bring_back(run, *args, seen=seen, original=original, **settings):
            seen.append(settings["tries"])
            original(run, *args, **settings)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Run, "bring_back", bring_back)
            made.run()
        [(type_, resources, given, limits)] = engine.brought
        assert list(resources) == [b'"d1"']
        assert (type_, given, limits.seconds, seen) == ("devices", patience, timeout, [tries])
        [client] = engine.clients
        assert isinstance(client, LimitedClient)
        assert client.url == "http://127.0.0.1:1"
        assert limits.clock is made.clock
        made.clock.now += 86_401
        with pytest.raises(EngineFault, match=r"^the restoration did not end within .*: raise `restore_timeout`$"):
            client.get_data(("x",))


@pytest.mark.parametrize(
    ("sources", "text"),
    [
        ({"devices": list, "dogs": list}, "for `dogs`, which is no resource type"),
        ({"users": "path"}, "source of `users` must be the path of a file, or a callable"),
        ({"users": None}, "source of `users`"),
        ({"users": [{"id": "u"}]}, "source of `users`"),
    ],
)
def test_what_is_no_source(sources, text):
    with pytest.raises(InvalidSetting, match=text):
        checked_sources(sources, ("devices", "users"))
    with pytest.raises(InvalidSetting, match=text):
        Restoration(Engine(), OpaClient("http://127.0.0.1:1"), sources, ("devices", "users"))


def test_sources_are_kept_as_they_were():
    sources = {"devices": list, "users": Path("users.jsonl")}
    kept = checked_sources(sources, ["devices", "users"])
    assert kept == sources
    assert kept is not sources
    assert checked_sources({}, ()) == {}


# --- sources


def test_what_a_source_gives():
    assert list(collected("devices", lambda: [{"id": "d1"}, {"id": "d2"}])) == [b'"d1"', b'"d2"']
    given = [{"id": ""}, {"id": "d1"}, {"id": 7}]
    with pytest.raises(SourceFailed) as caught:
        collected("devices", lambda: given)
    assert str(caught.value) == (
        "OPA lost the resources of `devices`, and 2 of 3 in their source are refused: "
        f"{collect(lambda: given).refusals[0]}"
    )
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("error", [OSError("no"), ValueError("no"), SystemExit("no"), StopIteration("no")], ids=repr)
def test_a_source_that_raises(error):
    with pytest.raises(
        SourceFailed, match=r"^OPA lost the resources of `devices`, and their source failed: "
    ) as caught:
        collected("devices", failing(error))
    assert caught.value.__cause__ is not None


# --- one run


def test_a_run_and_what_is_known_of_it():
    source = Blocking()
    engine = Engine()
    made = restoration(source, engine=engine)
    assert (made.state, made.ended, made.last, made.is_inside) == (State.IDLE, 0, None, False)
    run = made.begun()
    assert source.begun.wait(SAFETY)
    assert (made.state, made.last, made.ended, made.is_inside) == (State.COLLECTING, run, 0, False)
    assert made.begun() is run
    assert made.wanted(0) is run
    assert (run.thread.daemon, run.thread.name) == (True, "jwt-bridge-restoring")
    source.may.set()
    ended(run)
    assert (made.state, made.ended, made.last, run.failure) == (State.IDLE, 1, run, None)
    assert len(engine.brought) == 1
    made.run()
    assert (made.ended, len(engine.brought)) == (2, 1), "all is there"


def test_restoring_raises_what_ended_it_each_time_anew():
    made = restoration(failing())
    with pytest.raises(ResourcesLost, match="their source failed: no") as first:
        made.run()
    failure = made.last.failure
    assert first.value is not failure
    assert str(first.value) == str(failure)
    with pytest.raises(ResourcesLost):
        made.run()
    assert made.ended == 2, "whatever failed before"
    run = Run(Limits(3.0, name="the run", setting="s", clock=Clock()))
    with pytest.raises(DeadlineExceeded, match="the run did not end within 3 s: raise `s`"):
        Restoration.raise_failure(run)
    run.end(None)
    Restoration.raise_failure(run)


def test_restoring_ends_by_its_timeout_whatever_the_source_does():
    source = Blocking()
    made = Restoration(Engine(), OpaClient("http://127.0.0.1:1"), {"devices": source}, ("devices",), timeout=0.05)
    with pytest.raises(DeadlineExceeded, match=r"did not end within 0\.05 s"):
        made.run()
    source.may.set()
    ended(made.last)


# --- rest


def test_failed_runs_are_followed_by_longer_and_longer_rests():
    clock = Clock()
    made = restoration(failing(), clock=clock)
    rests = []
    for number in range(12):
        run = ended(made.wanted(made.ended))
        assert type(run.failure) is ResourcesLost
        assert (made.ended, made.state) == (number + 1, State.RESTING)
        assert made.wanted(made.ended) is None
        rests.append(made.rests_for)
        clock.now += made.rests_for
        assert (made.state, made.rests_for) == (State.IDLE, 0.0)
    assert rests == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0, 60.0])
    clock.now += 60
    ended(made.wanted(made.ended))
    assert made.rests_for == pytest.approx(60.0), "it has failed lately"
    clock.now += 60 + 60.5
    ended(made.wanted(made.ended))
    assert made.rests_for == pytest.approx(0.1), "the last failure is long ago"


def test_the_first_run_and_its_rest_whatever_the_clock_says():
    made = restoration(failing())
    made.clock.now = 0.0
    assert (made.state, made.rests_for) == (State.IDLE, 0.0)
    ended(made.wanted(0))
    assert made.rests_for == pytest.approx(0.1)


def test_a_rest_does_not_hold_up_who_asks_to_restore():
    made = restoration(failing())
    first = ended(made.wanted(0))
    assert made.wanted(None) is not first
    ended(made.last)
    assert made.ended == 2


def test_a_run_that_ended_after_the_question_began_is_the_one_to_look_at():
    made = restoration(failing())
    run = ended(made.wanted(0))
    assert made.wanted(0) is run, "its question began before"
    assert made.wanted(1) is None, "that one began after it"


def test_a_run_that_did_not_help_is_followed_by_a_rest():
    clock = Clock()
    made = restoration(clock=clock)
    first = ended(made.begun())
    made.unhelped(Run(Limits(1.0, name="another", setting="s")))
    assert made.rests_for == 0.0
    made.unhelped(first)
    assert made.rests_for == pytest.approx(0.1)
    made.unhelped(first)
    assert made.rests_for == pytest.approx(0.1), "several questions tell of the same"
    clock.now += made.rests_for
    made.unhelped(first)
    assert made.rests_for == pytest.approx(0.2)
    made.helped()
    clock.now += 1
    made.unhelped(first)
    assert made.rests_for == pytest.approx(0.1)


# --- questions from within


def test_a_source_that_asks():
    source = Blocking()
    made = restoration(source)
    seen = []

    def ask():
        seen.append((made.is_inside, made.wanted(0), made.wanted(None)))
        made.close()  # which would wait for the thread that it is called in
        return made.begun()

    source.then = ask
    run = made.begun()
    source.may.set()
    ended(run)
    assert seen == [(True, None, None)]
    assert type(source.outcome) is Misuse
    assert "one of its own sources" in str(source.outcome)


def test_what_a_source_leaves_behind_asks_as_others_do():
    contexts = []

    def source():
        contexts.append(contextvars.copy_context())
        return [{"id": "d1"}]

    made = restoration(source)
    ended(made.begun())
    assert contexts[0].run(lambda: made.is_inside) is False
    other = contexts[0].run(made.begun)
    assert other is not None
    ended(other)


def test_a_run_that_is_begun_in_a_source_of_another_belongs_to_both():
    inner_source = Blocking()
    inner = restoration(inner_source)
    outer_source = Blocking(inner.begun)
    outer = restoration(outer_source)
    seen = []
    inner_source.then = lambda: seen.append((inner.is_inside, outer.is_inside))
    outer_source.may.set()
    outer_run = outer.begun()
    assert inner_source.begun.wait(SAFETY)
    # The outer run's source has returned its outcome; the outer run may have ended, which ends the ban.
    ended(outer_run)
    inner_source.may.set()
    ended(inner.last)
    assert seen == [(True, False)]


def test_a_source_that_asks_by_way_of_another_bridge():
    outer_source, inner_source = Blocking(), Blocking()
    outer, inner = restoration(outer_source), restoration(inner_source)
    seen = []
    inner_source.then = lambda: seen.append((inner.is_inside, outer.is_inside))
    outer_source.then = lambda: ended(inner.begun())
    outer_source.may.set()
    inner_source.may.set()
    ended(outer.begun())
    assert seen == [(True, True)]


# --- the end


def test_closing_ends_what_is_under_way_and_begins_nothing():
    source = Blocking()
    made = restoration(source, engine=Engine(), deadline=SAFETY)
    run = made.begun()
    assert source.begun.wait(SAFETY)
    assert made.stop() is run
    assert (made.state, run.limits.is_stopped, run.has_ended) == (State.CLOSED, True, False)
    assert made.wanted(None) is None
    with pytest.raises(Misuse, match="the engine is closed"):
        made.begun()
    source.may.set()
    ended(run)
    assert made.stop() is None
    with pytest.raises(Misuse):
        made.run()


def test_closing_waits_for_the_end_but_not_for_long():
    assert restoration(deadline=60.0).closing == 5.0
    assert restoration(deadline=2.0).closing == 2.0
    source = Blocking()
    made = restoration(source, deadline=0.05)
    run = made.begun()
    assert source.begun.wait(SAFETY)
    made.close()
    assert not run.has_ended, "a source that does not return is left behind"
    source.may.set()
    ended(run)
    made.close()
    idle = restoration()
    idle.close()
    assert idle.state is State.CLOSED


def test_closing_waits_until_the_run_has_ended():
    source = Blocking()
    made = restoration(source, deadline=SAFETY)
    waited = []
    run = made.begun()
    assert source.begun.wait(SAFETY)
    original = run.wait

    def wait(seconds):
        waited.append(seconds)
        source.may.set()
        original(SAFETY)

    run.wait = wait
    made.close()
    assert (waited, run.has_ended) == ([5.0], True)
    assert "stopped, for the engine was closed" in str(run.failure) or run.failure is None


# --- what a thread may come to


@pytest.mark.parametrize(
    "error", [RuntimeError("can't start new thread"), KeyboardInterrupt("now"), MemoryError("none")]
)
def test_a_thread_that_cannot_be_started(monkeypatch, error):
    def refuse(_):
        raise error

    made = restoration()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        if isinstance(error, RuntimeError):
            run = made.wanted(0)
        else:
            with pytest.raises(type(error)):
                made.wanted(0)
            run = made.last
    assert run.has_ended
    assert run.limits.is_stopped
    assert str(run.failure) == f"no thread can be started to bring it back: {error}"
    assert (made.ended, made.state) == (1, State.RESTING)
    made.clock.now += 1
    assert ended(made.wanted(1)).failure is None


class OwnError(BaseException):
    pass


@pytest.mark.parametrize(
    ("error", "kind", "text", "has_traceback"),
    [
        (EngineUnreachable("down"), EngineUnreachable, "down", False),
        (OpaRefused("no", status=403, opa_code="c"), OpaRefused, "no", False),
        (ValueError("odd"), EngineFault, "bringing back what OPA lost ended by ValueError: odd", True),
        (OwnError("own"), EngineFault, "bringing back what OPA lost ended by OwnError: own", True),
    ],
)
def test_what_ends_a_thread_is_told_and_logged(caplog, error, kind, text, has_traceback):
    def engine(_):
        raise error

    made = restoration(engine=engine)
    with caplog.at_level(logging.WARNING, "bridge"):
        run = ended(made.begun())
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
        run = ended(restoration(failing(cause)).begun())
    assert type(run.failure) is ResourcesLost
    [record] = caplog.records
    assert record.exc_info[1] is cause
    assert failure_of(SourceFailed("x")).args == ("x",)


def test_nothing_is_logged_when_all_is_back(caplog):
    ended(restoration().begun())
    assert caplog.records == []


def test_a_thread_that_ends_by_no_exception_at_all(monkeypatch):
    """A log that fails, say: whoever waits is told all the same."""

    def fail(*_, **__):
        raise OwnError

    monkeypatch.setattr(restoring._LOG, "warning", fail)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    run = ended(restoration(failing()).begun())
    assert type(run.failure) is ResourcesLost


def test_a_thread_that_ends_before_it_knows_why(monkeypatch):
    def fail(_):
        raise OwnError

    monkeypatch.setattr(restoring, "failure_of", fail)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    run = ended(restoration(failing()).begun())
    assert (type(run.failure), str(run.failure)) == (EngineFault, "the thread that brings it back was ended")


# --- after a fork


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("is_closed", [False, True])
def test_a_forked_child_begins_anew(is_closed):
    source = Blocking()
    made = restoration(source, deadline=SAFETY)
    run = made.begun()
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
                    assert made.state is State.CLOSED
                    assert made.wanted(None) is None
                else:
                    assert made.state is State.IDLE
                    source.may.set()
                    assert ended(made.begun()).failure is None
                code = 0
            finally:
                os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    source.may.set()
    ended(run)
    assert made.last is run


def test_what_a_fork_renews():
    """In the process itself, for what a child calls is not seen from here."""
    made, closed = restoration(failing()), restoration()
    run = ended(made.begun())
    closed.close()
    restoring._renew()
    assert (made.last, made.ended, made.state, made.rests_for) == (None, 0, State.IDLE, 0.0)
    assert (closed.state, closed.wanted(None)) == (State.CLOSED, None)
    assert ended(made.begun()) is not run


def test_a_restoration_that_nobody_has_is_forgotten():
    made = restoration()
    assert made in restoring._ALL
    known = weakref.ref(made)
    del made
    gc.collect()
    assert known() is None


# --- its requests


def test_how_long_a_pause_lasts(monkeypatch):
    clock, waits = Clock(), []
    bounds = Limits(10.0, name="r", setting="s", clock=clock)
    monkeypatch.setattr(bounds._stopped, "wait", waits.append)
    bounds.pause(2.0)
    bounds.pause(20.0)
    clock.now += 11
    bounds.pause(2.0)
    assert waits == [2.0, 10.0, -1.0], "which is none at all"


def test_what_a_limited_client_asks_is_what_the_other_one_is_asked():
    asked = []

    class Client(OpaClient):
        def _call(self, *args, **settings):
            asked.append((args, settings))
            return SimpleNamespace(status=304)

    with Client("http://127.0.0.1:1", deadline=5.0) as client:
        limited = LimitedClient(client, Limits(8.0, name="r", setting="s", clock=Clock()))
        assert limited.create_data(("a",), b"1", deadline=2.0) is False
    assert asked == [(("PUT", "/v1/data/a", b"1", 2.0), {"is_read": False, "if_absent": True})]


# --- who waits


def test_waiting_for_an_end():
    run = Run(Limits(5.0, name="r", setting="s", clock=Clock()))
    run.wait(-1.0)
    run.wait(0.01)
    assert not run.has_ended
    thread = threading.Thread(target=run.wait, args=(SAFETY,))
    thread.start()
    run.end(None)
    thread.join(SAFETY)
    assert not thread.is_alive()


def test_tasks_are_told_of_the_end():
    source = Blocking()
    made = restoration(source)

    async def wait():
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        run = made.begun()
        assert run.call_at_end(lambda: loop.call_soon_threadsafe(told.set))
        source.may.set()
        await asyncio.wait_for(told.wait(), SAFETY)
        return run

    assert asyncio.run(wait()).has_ended


def test_each_who_waits_is_told_once():
    run = Run(Limits(5.0, name="r", setting="s", clock=Clock()))
    told = []
    run.call_at_end(lambda: told.append(1))
    run.forget(told.append)  # which never waited
    run.end(EngineUnreachable("first"))
    run.end(EngineUnreachable("again"))
    assert told == [1]
    assert run.call_at_end(told.clear) is False


def test_what_a_question_says_of_a_run():
    clock = Clock()
    source = Blocking()
    made = restoration(source, clock=clock)
    run, seconds = Wait(made, 5.0).waits_for(LOST)
    assert seconds == 5.0
    assert source.begun.wait(SAFETY)
    clock.now += 1.25
    question = Wait(made, 5.0)
    question.waits_for(LOST)
    begun = "nothing there; it is being brought back for 1.2 s now: it asks a source for resources"
    assert str(question.still(LOST)) == f"{begun}; ask again later"
    run.failure = EngineUnreachable("down")
    assert str(question.still(LOST)) == f"{begun}; the last try failed: down; ask again later"
    run.failure = None
    source.may.set()
    ended(run)
    assert question.again(LOST) == 5.0
    clock.now += 4.5
    assert question.again(LOST) == 0.5
    question.answered()
    still = question.still(RulesNotInstalled("no rules"))
    assert type(still) is RulesNotInstalled
    assert str(still) == (
        "no rules; all that has a source was brought back before: see who removes it; "
        "a question 0.1 s from now begins another try"
    )
    assert made.rests_for == pytest.approx(0.1)
    question.answered()
    clock.now += 10
    made.unhelped(run)
    assert made.rests_for == pytest.approx(0.1)
    made.close()
    for late in (Wait(made, 5.0), question):
        with pytest.raises(ResourcesLost, match="nothing there; nothing brings it back, for the engine is closed"):
            late.waits_for(LOST)


def test_a_question_is_asked_again_only_after_the_run_and_before_its_deadline():
    clock = Clock()
    source = Blocking()
    made = restoration(source, clock=clock)
    question = Wait(made, 5.0)
    run, _ = question.waits_for(LOST)
    with pytest.raises(ResourcesLost, match="it is being brought back"):
        question.again(LOST)
    source.may.set()
    ended(run)
    assert question.again(LOST) == 5.0
    for late in (5.0, 0.5):
        clock.now += late
        with pytest.raises(ResourcesLost, match=r"; a question 0\.1 s from now begins another try$"):
            question.again(LOST)


def test_a_question_after_a_failed_run_begins_no_rest_of_its_own():
    made = restoration(failing())
    question = Wait(made, 5.0)
    ended(question.waits_for(LOST)[0])
    made.clock.now += 1
    question.still(LOST)
    assert made.rests_for == 0.0


def test_a_question_tells_of_the_run_that_it_waited_for():
    clock = Clock()
    errors = [OSError("first"), OSError("second")]
    made = restoration(lambda: (_ for _ in ()).throw(errors.pop(0)), clock=clock)
    question = Wait(made, 5.0)
    ended(question.waits_for(LOST)[0])
    clock.now += 1
    ended(made.begun())
    clock.now += 1
    assert "source failed: first; " in str(question.still(LOST))
    assert made.rests_for == 0.0, "that it did not help is known"
    with pytest.raises(ResourcesLost, match="source failed: second; "):
        Wait(made, 5.0).again(LOST)


def test_what_a_source_is_told_that_asks():
    source = Blocking()
    made = restoration(source)
    source.then = lambda: Wait(made, 5.0).waits_for(LOST)
    source.may.set()
    ended(made.begun())
    assert type(source.outcome) is ResourcesLost
    assert str(source.outcome) == "nothing there; a source must not ask the bridge that it is a source of"


def test_a_question_that_never_waited_is_not_asked_again():
    made = restoration()
    with pytest.raises(ResourcesLost, match="nothing brings it back"):
        Wait(made, 5.0).again(LOST)


def test_a_question_after_a_longer_rest():
    made = restoration(failing())
    for _ in range(4):
        ended(made.begun())
    with pytest.raises(ResourcesLost, match=r"could not be brought back: .* no; a question 0\.8 s from now begins"):
        Wait(made, 5.0).waits_for(LOST)


@pytest.mark.parametrize("fault", [ForeignContent("foreign"), OwnedByBundle("a bundle's")], ids=str)
def test_what_nobody_may_replace_ends_a_run_at_once(fault):
    looks = []

    class Foreign(Engine):
        def decide(self, _):
            looks.append(1)
            raise fault

    run = Run(Limits(300.0, name="r", setting="s", clock=Clock()))
    with pytest.raises(type(fault)):
        run.bring_back(Foreign(), {}, tries=5, patience=30.0)
    assert looks == [1]


def test_a_fault_in_each_look_ends_a_run_after_its_tries(monkeypatch):
    monkeypatch.setattr(Limits, "pause", lambda *_: None)
    fault, looks = EngineUnreachable("down"), []

    class Down(Engine):
        def decide(self, _):
            looks.append(1)
            raise fault

    run = Run(Limits(300.0, name="r", setting="s", clock=Clock()))
    with pytest.raises(EngineUnreachable) as caught:
        run.bring_back(Down(), {}, tries=2, patience=30.0)
    assert caught.value is fault
    assert len(looks) == 3
    assert run.failure is not fault, "whose traceback holds the resources"
    assert (type(run.failure), str(run.failure), run.failure.__traceback__) == (EngineUnreachable, "down", None)


@pytest.mark.parametrize("fault", [None, EngineUnreachable("down")])
def test_what_is_said_of_what_is_lost_again_and_again(monkeypatch, fault):
    monkeypatch.setattr(Limits, "pause", lambda *_: None)

    class Forgetful(Engine):
        def restore(self, *_, **__):
            if fault is not None:
                raise fault

    run = Run(Limits(300.0, name="r", setting="s", clock=Clock()))
    with pytest.raises(EngineFault) as caught:
        run.bring_back(Forgetful(), {"devices": list}, tries=2, patience=30.0)
    assert type(caught.value) is ResourcesLost
    text = "OPA has lost the resources of `devices` again, 2 times in a row: see why it restarts, or who removes them"
    assert str(caught.value) == text + ("" if fault is None else "; the last fault was: down")


def test_a_run_whose_time_is_over_before_anything_went_wrong():
    clock = Clock()

    class Slow(Engine):
        def decide(self, _):
            clock.now += 301
            raise EngineUnreachable("down")

    run = Run(Limits(300.0, name="r", setting="s", clock=clock))
    with pytest.raises(DeadlineExceeded, match=r"^r did not end within 300 s: raise `s`$"):
        run.bring_back(Slow(), {}, tries=2, patience=30.0)


def test_the_pauses_of_a_run_grow_and_differ(monkeypatch):
    seen, bounds = [], []
    monkeypatch.setattr(Limits, "pause", lambda _, seconds: seen.append(seconds))
    monkeypatch.setattr(restoring_run.random, "uniform", lambda least, most: bounds.append((least, most)) or most)
    run = Run(Limits(300.0, name="r", setting="s", clock=Clock()))
    for tried in range(9):
        run._pause(tried)
        assert run.state is (State.PAUSING if tried else State.LOOKING)
    expected = [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    assert seen == pytest.approx(expected)
    assert bounds == [(most / 2, most) for _, most in bounds]
    assert [most for _, most in bounds] == seen
