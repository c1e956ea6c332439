"""Who waits for what an OPA lost, for how long, and what a run and a question say. No OPA is asked."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

import pytest
from clocks import Clock
from fake_recoveries import LOST, SAFETY, BlockingSourceWithOutcome, FakeEngine, ended, failing, new_recovery

from bridge import OpaClient
from bridge.engines import recovery_run
from bridge.engines.recovery_run import RecoveryRun, RecoveryState
from bridge.engines.recovery_wait import RecoveryWait
from bridge.errors import (
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    ForeignContentError,
    OwnedByBundleError,
    ResourcesMissingError,
    RulesNotInstalledError,
)
from bridge.opa.limited import LimitedClient, Limits

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
    calls = []

    class Client(OpaClient):
        def _call(self, *args, **settings):
            calls.append((args, settings))
            return SimpleNamespace(status=304)

    with Client("http://127.0.0.1:1", deadline=5.0) as client:
        limited = LimitedClient(client, Limits(8.0, name="r", setting="s", clock=Clock()))
        assert limited.create_data(("a",), b"1", deadline=2.0) is False
    assert calls == [(("PUT", "/v1/data/a", b"1", 2.0), {"is_read": False, "if_absent": True})]


# --- who waits


def test_waiting_for_an_end():
    run = RecoveryRun(Limits(5.0, name="r", setting="s", clock=Clock()))
    run.wait(-1.0)
    run.wait(0.01)
    assert not run.has_ended
    thread = threading.Thread(target=run.wait, args=(SAFETY,))
    thread.start()
    run.end(None)
    thread.join(SAFETY)
    assert not thread.is_alive()


def test_tasks_are_told_of_the_end():
    source = BlockingSourceWithOutcome()
    made = new_recovery(source)

    async def wait():
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        run = made.begin()
        assert run.call_at_end(lambda: loop.call_soon_threadsafe(woken.set))
        source.may.set()
        await asyncio.wait_for(woken.wait(), SAFETY)
        return run

    assert asyncio.run(wait()).has_ended


def test_each_who_waits_is_told_once():
    run = RecoveryRun(Limits(5.0, name="r", setting="s", clock=Clock()))
    woken = []
    run.call_at_end(lambda: woken.append(1))
    run.forget(woken.append)  # which never waited
    run.end(EngineUnreachableError("first"))
    run.end(EngineUnreachableError("again"))
    assert woken == [1]
    assert run.call_at_end(woken.clear) is False


def test_what_a_question_says_of_a_run():
    clock = Clock()
    source = BlockingSourceWithOutcome()
    made = new_recovery(source, clock=clock)
    run, seconds = RecoveryWait(made, 5.0).waits_for(LOST)
    assert seconds == 5.0
    assert source.begun.wait(SAFETY)
    clock.now += 1.25
    question = RecoveryWait(made, 5.0)
    question.waits_for(LOST)
    begun = "nothing there; it is being brought back for 1.2 s now: it asks a source for resources"
    assert str(question.still(LOST)) == f"{begun}; ask again later"
    run.failure = EngineUnreachableError("down")
    assert str(question.still(LOST)) == f"{begun}; the last try failed: down; ask again later"
    run.failure = None
    source.may.set()
    ended(run)
    assert question.again(LOST) == 5.0
    clock.now += 4.5
    assert question.again(LOST) == 0.5
    question.answered()
    still = question.still(RulesNotInstalledError("no rules"))
    assert type(still) is RulesNotInstalledError
    assert str(still) == (
        "no rules; all that has a source was brought back before: see who removes it; "
        "ask again in 0.1 s to begin another try"
    )
    assert made.rests_for == pytest.approx(0.1)
    question.answered()
    clock.now += 10
    made.note_lost_again(run)
    assert made.rests_for == pytest.approx(0.1)
    made.close()
    for late in (RecoveryWait(made, 5.0), question):
        with pytest.raises(
            ResourcesMissingError, match="nothing there; nothing brings it back, for the engine is closed"
        ):
            late.waits_for(LOST)


def test_a_question_is_asked_again_only_after_the_run_and_before_its_deadline():
    clock = Clock()
    source = BlockingSourceWithOutcome()
    made = new_recovery(source, clock=clock)
    question = RecoveryWait(made, 5.0)
    run, _ = question.waits_for(LOST)
    with pytest.raises(ResourcesMissingError, match="it is being brought back"):
        question.again(LOST)
    source.may.set()
    ended(run)
    assert question.again(LOST) == 5.0
    for late in (5.0, 0.5):
        clock.now += late
        with pytest.raises(ResourcesMissingError, match=r"; ask again in 0\.1 s to begin another try$"):
            question.again(LOST)


def test_a_question_after_a_failed_run_begins_no_rest_of_its_own():
    made = new_recovery(failing())
    question = RecoveryWait(made, 5.0)
    ended(question.waits_for(LOST)[0])
    made.clock.now += 1
    question.still(LOST)
    assert made.rests_for == 0.0


def test_a_question_tells_of_the_run_that_it_waited_for():
    clock = Clock()
    errors = [OSError("first"), OSError("second")]
    made = new_recovery(lambda: (_ for _ in ()).throw(errors.pop(0)), clock=clock)
    question = RecoveryWait(made, 5.0)
    ended(question.waits_for(LOST)[0])
    clock.now += 1
    ended(made.begin())
    clock.now += 1
    assert "source failed: first; " in str(question.still(LOST))
    assert made.rests_for == 0.0, "that it did not help is known"
    with pytest.raises(ResourcesMissingError, match="source failed: second; "):
        RecoveryWait(made, 5.0).again(LOST)


def test_what_a_source_is_told_that_asks():
    source = BlockingSourceWithOutcome()
    made = new_recovery(source)
    source.then = lambda: RecoveryWait(made, 5.0).waits_for(LOST)
    source.may.set()
    ended(made.begin())
    assert type(source.outcome) is ResourcesMissingError
    assert str(source.outcome) == "nothing there; a source must not ask the bridge that it is a source of"


def test_a_question_that_never_waited_is_not_asked_again():
    made = new_recovery()
    with pytest.raises(ResourcesMissingError, match="nothing brings it back"):
        RecoveryWait(made, 5.0).again(LOST)


def test_a_question_after_a_longer_rest():
    made = new_recovery(failing())
    for _ in range(4):
        ended(made.begin())
    with pytest.raises(
        ResourcesMissingError,
        match=r"could not be brought back: .* no; correct the source; ask again in 0\.8 s to begin",
    ):
        RecoveryWait(made, 5.0).waits_for(LOST)


@pytest.mark.parametrize("fault", [ForeignContentError("foreign"), OwnedByBundleError("a bundle's")], ids=str)
def test_what_nobody_may_replace_ends_a_run_at_once(fault):
    looks = []

    class Foreign(FakeEngine):
        def decide(self, _):
            looks.append(1)
            raise fault

    run = RecoveryRun(Limits(300.0, name="r", setting="s", clock=Clock()))
    with pytest.raises(type(fault)):
        run.bring_back(Foreign(), {}, tries=5, patience=30.0)
    assert looks == [1]


def test_a_fault_in_each_look_ends_a_run_after_its_tries(monkeypatch):
    monkeypatch.setattr(Limits, "pause", lambda *_: None)
    fault, looks = EngineUnreachableError("down"), []

    class Down(FakeEngine):
        def decide(self, _):
            looks.append(1)
            raise fault

    run = RecoveryRun(Limits(300.0, name="r", setting="s", clock=Clock()))
    with pytest.raises(EngineUnreachableError) as caught:
        run.bring_back(Down(), {}, tries=2, patience=30.0)
    assert caught.value is fault
    assert len(looks) == 3
    assert run.failure is not fault, "whose traceback holds the resources"
    assert (type(run.failure), str(run.failure), run.failure.__traceback__) == (EngineUnreachableError, "down", None)


@pytest.mark.parametrize("fault", [None, EngineUnreachableError("down")])
def test_what_is_said_of_what_is_lost_again_and_again(monkeypatch, fault):
    monkeypatch.setattr(Limits, "pause", lambda *_: None)

    class Forgetful(FakeEngine):
        def restore(self, *_, **__):
            if fault is not None:
                raise fault

    run = RecoveryRun(Limits(300.0, name="r", setting="s", clock=Clock()))
    with pytest.raises(EngineError) as caught:
        run.bring_back(Forgetful(), {"devices": list}, tries=2, patience=30.0)
    assert type(caught.value) is ResourcesMissingError
    text = "OPA has lost the resources of `devices` again, 2 times in a row: see why it restarts, or who removes them"
    assert str(caught.value) == text + ("" if fault is None else "; the last fault was: down")


def test_a_run_whose_time_is_over_before_anything_went_wrong():
    clock = Clock()

    class Slow(FakeEngine):
        def decide(self, _):
            clock.now += 301
            raise EngineUnreachableError("down")

    run = RecoveryRun(Limits(300.0, name="r", setting="s", clock=clock))
    with pytest.raises(EngineTimeoutError, match=r"^r did not end within 300 s: raise `s`$"):
        run.bring_back(Slow(), {}, tries=2, patience=30.0)


def test_the_pauses_of_a_run_grow_and_differ(monkeypatch):
    seen, bounds = [], []
    monkeypatch.setattr(Limits, "pause", lambda _, seconds: seen.append(seconds))
    monkeypatch.setattr(recovery_run.random, "uniform", lambda least, most: bounds.append((least, most)) or most)
    run = RecoveryRun(Limits(300.0, name="r", setting="s", clock=Clock()))
    for tried in range(9):
        run._pause(tried)
        assert run.state is (RecoveryState.PAUSING if tried else RecoveryState.LOOKING)
    expected = [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    assert seen == pytest.approx(expected)
    assert bounds == [(most / 2, most) for _, most in bounds]
    assert [most for _, most in bounds] == seen
