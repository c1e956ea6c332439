"""An OPA that forgets at every moment of a recovery: all is brought back, or each question ends with its error."""

from __future__ import annotations

import json
import subprocess
import sys
from threading import Lock

import pytest
import recovery_caller
from fault_server import FaultServer
from forgetful import FORGET, WELL, both_reasons, forget_rules, lose, requests_of_a_recovery
from recovering_bridges import DEADLINE, bridge_to
from recovering_process import CLAIMS
from relay import relayed

from bridge import OpaClient, Reason
from bridge.errors import EngineError, OpaStatusError, ResourcesMissingError, RulesNotInstalledError

SAFETY = 120
FORGOTTEN = 200


@pytest.fixture
def opa(start_opa):
    """An OPA of the test's own, with nothing in it."""
    opa = start_opa()
    yield opa
    opa.kill()


@pytest.fixture
def direct(opa):
    """A client that nobody stands in between."""
    with OpaClient(opa.url, deadline=DEADLINE) as client:
        yield client


@pytest.mark.parametrize("what", FORGET)
def test_it_forgets_before_one_request_whichever(opa, direct, what):
    """What it forgets before the run has looked for the last time is brought back by the same run."""
    usual = requests_of_a_recovery(direct, opa.url, what)
    assert 8 < usual < 50
    raised = {}
    for number in range(usual):
        lose(direct, what)

        def at(now, _, moment, number=number):
            if now == number and moment == "before":
                FORGET[what](direct)

        with relayed(opa.url, at) as (through, relay), bridge_to(through) as bridge:
            try:
                assert bridge.check(CLAIMS, "devices", "d1").reason is Reason.MATCHED
            except (ResourcesMissingError, RulesNotInstalledError) as lost:
                raised[number] = str(lost)
            assert len(relay.lines) <= 3 * usual, "it makes requests without a bound"
            bridge.engine.restore()
            assert both_reasons(bridge) == WELL
    repetition, look = usual - 1, usual - 2
    assert set(raised) == ({look, repetition} if what == "rules" else {repetition})
    assert all("all that has a source was brought back before" in text for text in raised.values())


@pytest.mark.parametrize("what", FORGET)
def test_it_forgets_before_all_requests(opa, direct, what):
    """A bounded number of requests, no answer, and the state in the error; afterwards all comes back."""
    forgets = True

    def at(_, __, moment):
        if forgets and moment == "before":
            FORGET[what](direct)

    with relayed(opa.url, at) as (through, relay), bridge_to(through) as bridge:
        with pytest.raises((ResourcesMissingError, RulesNotInstalledError), match="could not be brought back"):
            bridge.check(CLAIMS, "devices", "d1")
        assert len(relay.lines) < 400
        forgets = False
        bridge.engine.restore()
        assert both_reasons(bridge) == WELL


def called(settings):
    return subprocess.Popen(
        [sys.executable, recovery_caller.__file__, json.dumps(settings)], stdout=subprocess.PIPE, text=True
    )


def outcome(process):
    with process:
        try:
            out, _ = process.communicate(timeout=SAFETY)
        finally:
            process.kill()
    assert process.returncode == 0
    report = json.loads(out)
    assert report["late"] < SAFETY / 2, "a question did not end by its deadline"
    return report["outcomes"]


@pytest.mark.parametrize("kind", ["raise", "deny", "await"])
def test_it_forgets_the_rules_between_their_install_and_its_check(opa, direct, kind):
    """The check was a question once, which waited for what it was part of: no deadline ended that."""
    moments = iter(["install", "check"])
    awaited = next(moments)

    def at(_, line, moment):
        nonlocal awaited
        if moment != "before":
            return
        if awaited == "install" and line.startswith("PUT /v1/policies"):
            awaited = next(moments)
        elif awaited == "check" and line.startswith("POST"):
            awaited = next(moments, None)
            forget_rules(direct)

    with relayed(opa.url, at) as (through, _):
        counts = outcome(called({"url": through, "kind": kind, "deadline": 60.0, "until": True}))
    assert awaited is None
    assert set(counts) == {"d1 matched", "d2 constraint_failed", "d1 listed"}


@pytest.mark.parametrize("what", FORGET)
def test_many_ask_one_that_forgets_before_each_of_200_requests(opa, direct, what):
    """Two processes, in each of which four threads and four tasks ask until all is well."""
    together = Lock()
    count = 0

    def at(_, line, moment):
        nonlocal count
        if moment != "before":
            return
        with together:
            if count < FORGOTTEN:
                count += not line.startswith("POST")  # a question is no request of a recovery
                lose(direct, what)

    with relayed(opa.url, at) as (through, _):
        settings = {"url": through, "kind": "all", "deadline": 3.0, "until": True}
        running = [called(settings) for _ in range(2)]
        all_counts = [outcome(process) for process in running]
    assert count == FORGOTTEN
    for counts in all_counts:
        answers = {name: times for name, times in counts.items() if name.partition(" ")[2][0].islower()}
        assert set(answers) == {"d1 matched", "d2 constraint_failed", "d1 listed"}, "an answer from nothing"
        # How many questions meet their deadline depends on the machine; that one raises while all is forgotten is the
        # test above.
        errors = {name.partition(" ")[2] for name in set(counts) - set(answers)}
        assert all(issubclass(getattr(sys.modules["bridge.errors"], error), EngineError) for error in errors)


def test_rules_that_are_there_are_not_uploaded_again(opa):
    """They may come from a bundle, which owns them: then nobody else can."""
    with relayed(opa.url) as (through, relay), bridge_to(through) as bridge:
        bridge.engine.install()
        del relay.lines[:]
        assert bridge.check(CLAIMS, "devices", "d1").reason is Reason.MATCHED
        assert not [line for line in relay.lines if "/v1/policies" in line]


def test_what_may_not_be_written_is_not_tried_again(opa):
    """By a client without that right; the error says so."""
    with relayed(opa.url) as (_, relay):

        def answer(exchange):
            if exchange.line.startswith("PUT"):
                exchange.reply(b'{"code":"unauthorized","message":"no"}', "403 Forbidden")
                exchange.close()
            else:
                relay.answer(exchange)

        with FaultServer(answer) as server, bridge_to(server.url) as bridge:
            with pytest.raises(RulesNotInstalledError, match=r"could not be brought back: .*403"):
                bridge.check(CLAIMS, "devices", "d1")
            assert sum(line.startswith("PUT") for line in server.lines) == 1
            with pytest.raises(OpaStatusError):
                bridge.engine.restore()
