"""The state machine that brings back what an OPA lost: its states, its bounds, and how long a question waits."""

from __future__ import annotations

import threading
from itertools import chain, pairwise, repeat
from types import SimpleNamespace

import pytest
from clocks import Clock

from bridge import OpaClient
from bridge.engines.installation import InterferenceError
from bridge.engines.recovery import Recovery
from bridge.engines.recovery_run import RecoveryRun, RecoveryState, SourceError
from bridge.engines.recovery_wait import RecoveryWait
from bridge.errors import (
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    InvalidResponseError,
    MultipleStoresError,
    OpaStatusError,
    PushConflictError,
    ResourcesMissingError,
    RulesMismatchError,
    RulesNotInstalledError,
    UnsupportedLayoutError,
    UnsupportedOpaVersionError,
)
from bridge.opa.limited import LimitedClient, Limits

SAFETY = 60
MISSING = RulesNotInstalledError("no rules")


def limits(seconds=300.0, clock=None):
    return Limits(seconds, name="the run", setting="run_timeout", clock=clock or Clock())


@pytest.fixture
def no_pauses(monkeypatch):
    """Pauses take no time; gives how long they would have been."""
    pauses = []
    monkeypatch.setattr(Limits, "pause", lambda _, seconds: pauses.append(seconds))
    return pauses


class ScriptedEngine:
    """An engine whose OPA is as the script says: at each look, whether the rules and whether the devices are missing.

    Args:
        script: What each look finds, or raises.
        on_bring: What installing or pushing raises, each time.
    """

    def __init__(self, *script, on_bring=()):
        self._script = iter(script)
        self._on_bring = chain(on_bring, repeat(None))
        self._devices_missing = False
        self.run = RecoveryRun(limits())
        self.seen = []
        self.is_being_installed = lambda: False
        self.store = SimpleNamespace(look=self._look, restore=self._restore, require_one=lambda: None)

    def decide(self, _):
        self.seen.append(self.run.state)
        look = next(self._script)
        if isinstance(look, Exception):
            raise look
        are_rules_missing, self._devices_missing = look
        if are_rules_missing:
            raise MISSING

    def _look(self, _):
        return None if self._devices_missing else SimpleNamespace(current=object())

    def _bring(self):
        self.seen.append(self.run.state)
        error = next(self._on_bring)
        if error is not None:
            raise error

    def install(self):
        self._bring()

    def _restore(self, _, collect, *, patience, limits):
        assert (patience, limits) == (30.0, self.run.limits)
        self._bring()
        collect()
        self.seen.append(self.run.state)

    def bring_back(self, source=list, tries=5):
        def noted_source():
            self.seen.append(self.run.state)
            return source()

        self.run.bring_back(self, {"devices": noted_source}, tries=tries, patience=30.0)
        return self.seen


L, I, P, C = RecoveryState.LOOKING, RecoveryState.INSTALLING, RecoveryState.PUSHING, RecoveryState.COLLECTING  # noqa: E741
WELL, RULES, DEVICES, BOTH = (False, False), (True, False), (False, True), (True, True)


def test_rules_that_somebody_else_installs_just_now_are_waited_for(no_pauses):
    engine = ScriptedEngine(RULES, WELL, WELL)
    engine.is_being_installed = lambda: True
    assert engine.bring_back() == [L, L, L]
    assert no_pauses == [1.0]


def test_rules_whose_install_was_broken_off_are_installed(no_pauses):
    engine = ScriptedEngine(RULES, RULES, RULES, WELL)
    engine.is_being_installed = lambda: True
    assert engine.bring_back() == [L, L, I, L, I, L]
    assert no_pauses[0] == 1.0
    assert len(no_pauses) == 2


def test_what_is_back_on_one_of_several_opas_is_not_back():
    engine = ScriptedEngine(WELL)

    def refuse():
        raise MultipleStoresError("two")

    engine.store.require_one = refuse
    with pytest.raises(MultipleStoresError):
        engine.bring_back()


@pytest.mark.parametrize(
    ("script", "states"),
    [
        ([WELL], [L]),
        ([RULES, WELL], [L, I, L]),
        ([DEVICES, WELL], [L, P, C, P, L]),
        ([BOTH, WELL], [L, I, P, C, P, L]),
        ([RULES, DEVICES, WELL], [L, I, L, P, C, P, L]),
        ([DEVICES, BOTH, RULES, WELL], [L, P, C, P, L, I, P, C, P, L, I, L]),
    ],
)
def test_it_brings_what_is_missing_until_nothing_is(no_pauses, script, states):
    engine = ScriptedEngine(*script)
    assert engine.bring_back() == states
    assert len(no_pauses) == max(0, len(script) - 2), "before the second try and later ones"


@pytest.mark.parametrize("tries", [1, 2, 5])
def test_what_is_lost_again_and_again_ends_it(no_pauses, tries):
    engine = ScriptedEngine(*repeat(BOTH, 20))
    with pytest.raises(
        RulesNotInstalledError, match=f"lost the rules and the resources of `devices` again, {tries} times"
    ):
        engine.bring_back(tries=tries)
    assert engine.seen.count(L) == tries + 1
    assert engine.seen.count(I) == tries
    assert len(no_pauses) == tries - 1
    for earlier, later in pairwise(no_pauses):
        assert earlier <= later * 1.000001, "they grow"


def test_resources_that_are_lost_again_and_again(no_pauses):
    with pytest.raises(ResourcesMissingError, match="lost the resources of `devices` again, 2 times"):
        ScriptedEngine(*repeat(DEVICES, 20)).bring_back(tries=2)
    assert len(no_pauses) == 1


PASSING = [
    EngineUnreachableError("down"),
    EngineTimeoutError("slow"),
    InvalidResponseError("odd"),
    PushConflictError("overtaken"),
    ResourcesMissingError("lost in the middle"),
    OpaStatusError("compile error", status=400),
    OpaStatusError("broken", status=500),
]
LASTING = [
    UnsupportedOpaVersionError("old"),
    UnsupportedLayoutError("layout"),
    RulesMismatchError("other rules"),
    MultipleStoresError("two"),
    OpaStatusError("who are you", status=401),
    OpaStatusError("you may not", status=403),
]


@pytest.mark.parametrize("fault", PASSING, ids=str)
def test_a_fault_that_may_pass_is_tried_again(no_pauses, fault):
    assert ScriptedEngine(RULES, RULES, WELL, on_bring=[fault]).bring_back() == [L, I, L, I, L]
    assert ScriptedEngine(fault, RULES, WELL).bring_back() == [L, L, I, L]
    assert len(no_pauses) == 2
    engine = ScriptedEngine(*repeat(RULES, 20), on_bring=repeat(fault, 20))
    with pytest.raises(EngineError, match=f"last fault was: {fault}"):
        engine.bring_back(tries=3)
    assert engine.seen.count(I) == 3


@pytest.mark.parametrize("fault", LASTING, ids=str)
def test_a_fault_that_lasts_ends_it(no_pauses, fault):
    for engine in (ScriptedEngine(fault), ScriptedEngine(RULES, on_bring=[fault])):
        with pytest.raises(type(fault), match=str(fault)):
            engine.bring_back()
        assert engine.seen[-1] in (L, I)
    assert no_pauses == []


def test_rules_that_cannot_be_read_do_not_hide_what_the_resources_tell(no_pauses):
    for unread in (MISSING, InterferenceError("others removed them")):
        engine = ScriptedEngine(BOTH, on_bring=[unread, MultipleStoresError("two")])
        with pytest.raises(MultipleStoresError):
            engine.bring_back()
    unseen = RulesNotInstalledError("it has none, or several OPAs answer at this address")
    engine = ScriptedEngine(*repeat(RULES, 20), on_bring=repeat(unseen, 20))
    with pytest.raises(RulesNotInstalledError, match="or several OPAs answer at this address"):
        engine.bring_back(tries=2)
    assert len(no_pauses) == 1


def test_a_source_that_fails_ends_it(no_pauses):
    with pytest.raises(SourceError, match="lost the resources of `devices`, and their source failed: no"):
        ScriptedEngine(DEVICES).bring_back(source=lambda: (_ for _ in ()).throw(OSError("no")))
    assert no_pauses == []


def test_a_run_whose_time_is_over_tells_what_went_wrong_before():
    engine = ScriptedEngine(RULES, RULES, on_bring=[EngineUnreachableError("down"), EngineUnreachableError("later")])
    engine.run.limits.clock.now += 299.99  # the pause is no longer than what is left

    def install(install=engine.install):
        if engine.seen.count(I):
            engine.run.limits.clock.now += 1
        install()

    engine.install = install
    with pytest.raises(EngineTimeoutError, match=r"did not end within 300 s: raise `run_timeout`; .* was: down$"):
        engine.bring_back()


# --- limits


def test_requests_within_limits():
    clock = Clock()
    bounds = limits(10.0, clock)
    assert bounds.within(5.0) == 5.0
    clock.now += 8
    assert bounds.within(5.0) == 2.0
    clock.now += 2
    assert bounds.is_over
    with pytest.raises(EngineTimeoutError, match="the run did not end within 10 s: raise `run_timeout`"):
        bounds.within(5.0)
    assert [bounds.within(seconds) for seconds in (5.0, 5.0, 0.5)] == [1.0, 1.0, 0.5], "to take away what is half done"
    for _ in range(3):
        with pytest.raises(EngineTimeoutError):
            bounds.within(5.0)


def test_limits_that_are_stopped():
    bounds = limits()
    paused = threading.Thread(target=bounds.pause, args=(SAFETY,))
    paused.start()
    bounds.stop()
    paused.join(SAFETY)
    assert not paused.is_alive()
    assert bounds.is_over
    with pytest.raises(EngineError, match="was stopped because the engine was closed"):
        bounds.within(1.0)


def test_no_pause_is_longer_than_what_is_left():
    bounds = limits(10.0)
    bounds.clock.now += 11
    bounds.pause(1_000_000.0)


def test_a_limited_client_asks_by_the_other_one():
    deadlines = []

    class Client(OpaClient):
        def _call(self, *_, **__):
            deadlines.append(_[3])
            return SimpleNamespace(status=204)

    clock = Clock()
    limited = LimitedClient(Client("http://127.0.0.1:1", deadline=5.0), limits(8.0, clock))
    limited.put_data(("a",), b"1")
    limited.put_data(("a",), b"1", deadline=6.0)
    clock.now += 7
    limited.put_data(("a",), b"1")
    assert deadlines == [5.0, 6.0, 1.0]
    clock.now += 2
    with pytest.raises(EngineTimeoutError):
        limited.put_data(("a",), b"1")
    assert len(deadlines) == 3


# --- questions


class Idle(Recovery):
    """One whose runs do nothing by themselves."""

    def __init__(self, clock):
        super().__init__(lambda _: None, OpaClient("http://127.0.0.1:1"), {}, (), clock=clock)

    def _begin(self, process):
        process.run = RecoveryRun(limits(300.0, self.clock))
        return process.run

    def end(self, failure=None):
        with self._process.lock:
            self._finish(self._process, self._process.run, failure)


LOST = ResourcesMissingError("nothing there")


def test_a_question_waits_for_what_is_left_of_its_deadline():
    clock = Clock()
    recovery = Idle(clock)
    question = RecoveryWait(recovery, 5.0)
    clock.now += 2
    run, seconds = question.waits_for(LOST)
    assert seconds == 3.0
    clock.now += 1
    recovery.end()
    assert run.has_ended
    assert question.again(LOST) == 2.0, "its repetition gets what is left"


def test_a_question_whose_deadline_has_passed():
    clock = Clock()
    recovery = Idle(clock)
    question = RecoveryWait(recovery, 5.0)
    question.waits_for(LOST)
    clock.now += 5
    with pytest.raises(
        ResourcesMissingError, match=r"nothing there; it is being brought back for 5\.0 s now: it looks"
    ):
        question.again(LOST)
    recovery.end()
    with pytest.raises(ResourcesMissingError):
        question.again(LOST)
    late = RecoveryWait(recovery, 5.0)
    clock.now += 6
    assert late.waits_for(LOST)[1] == 0.0, "it begins a run, and does not wait"


def test_a_question_waits_no_longer_than_the_run_may_last():
    clock = Clock()
    recovery = Idle(clock)
    recovery.run_since(None)
    clock.now += 298
    assert RecoveryWait(recovery, 5.0).waits_for(LOST)[1] == 2.0
    clock.now += 3
    assert RecoveryWait(recovery, 5.0).waits_for(LOST)[1] == 0.0, "nobody waits for one that hangs"


def test_a_run_that_ended_since_the_question_began_is_no_reason_for_another():
    clock = Clock()
    recovery = Idle(clock)
    first, second = RecoveryWait(recovery, 5.0), RecoveryWait(recovery, 5.0)
    run, _ = first.waits_for(LOST)
    recovery.end()
    assert second.waits_for(LOST)[0] is run
    assert RecoveryWait(recovery, 5.0).waits_for(LOST)[0] is not run


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (MultipleStoresError("two OPAs"), MultipleStoresError),
        (EngineUnreachableError("down"), ResourcesMissingError),
        (RulesNotInstalledError("gone"), ResourcesMissingError),
    ],
)
def test_what_a_question_says_after_a_failure(failure, kind):
    recovery = Idle(Clock())
    question = RecoveryWait(recovery, 5.0)
    question.waits_for(LOST)
    recovery.end(failure)
    assert question.again(LOST) == 5.0, "something may be back"
    again = f"nothing there; it could not be brought back: {failure}; ask again in 0.1 s to begin another try"
    still = question.still(LOST)
    assert type(still) is kind
    assert str(still) == again
    with pytest.raises(kind) as at_once:
        RecoveryWait(recovery, 5.0).waits_for(LOST)
    assert str(at_once.value) == again


def test_an_answer_ends_the_row_of_failures():
    clock = Clock()
    recovery = Idle(clock)
    for _ in range(4):
        recovery.run_since(None)
        recovery.end(EngineUnreachableError("down"))
    assert recovery.rests_for == pytest.approx(0.8)
    recovery.note_success()
    recovery.run_since(None)
    recovery.end(EngineUnreachableError("down"))
    assert recovery.rests_for == pytest.approx(0.1)


def test_who_is_told_of_the_end():
    run = RecoveryRun(limits())
    woken = []

    def closed():
        raise RuntimeError("Event loop is closed")

    def other():
        woken.append("other")

    assert all(run.call_at_end(wake) for wake in (closed, other, woken.clear))
    run.forget(woken.clear)
    run.end(None)
    assert woken == ["other"]
    assert run.has_ended
    assert not run.call_at_end(other)
