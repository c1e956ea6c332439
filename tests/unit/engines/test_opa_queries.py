"""The queries to an OPA as steps: a batch that is too large goes in halves, and what is lost is waited for."""

from __future__ import annotations

import pytest

from bridge import OpaEngine, RuleSet, UsageError
from bridge.decision import Request
from bridge.engines.base import PageRequest
from bridge.engines.opa_queries import OpaCall, OpaQueries, RecoveryPause
from bridge.engines.protocol import halves_after
from bridge.errors import EngineTimeoutError, OpaStatusError, ResourcesMissingError, RulesNotInstalledError
from bridge.opa import OpaClient, QueryReply
from bridge.rendering import fingerprint
from bridge.steps import drive

OWN = fingerprint(RuleSet())
REQUESTS = [Request(b"{}", b'"devices"', resource=b'{"id":"d%d"}' % number) for number in range(5)]
UNRESTRICTED = {"allow": True, "reason": "unrestricted"}
TOO_LARGE = OpaStatusError("too large", status=413)
LOST, STILL_LOST = ResourcesMissingError("lost"), ResourcesMissingError("still lost")
LIMIT_OF_OPA = OpaStatusError("too large", status=400, opa_message="request body too large")


@pytest.fixture
def engine():
    return OpaEngine("http://127.0.0.1:9")


class FakeOpa:
    """Responds to at most so many requests at once."""

    def __init__(self, most, refusal=TOO_LARGE):
        self.most = most
        self.refusal = refusal
        self.sizes = []

    def ask(self, call):
        assert isinstance(call, OpaCall)
        assert (call.path, call.deadline) == (("jwt_policy", "answer"), None)
        body, nonce = call.query.fresh()
        count = body.count(b'"id":')
        self.sizes.append(count)
        if count > self.most:
            raise self.refusal
        result = {"fingerprint": OWN, "nonce": nonce, "current": {}, "decisions": [UNRESTRICTED] * count}
        return QueryReply(result, None, "1.22.4", {}, nonce)


@pytest.mark.parametrize(("count", "sizes"), [(2, (1, 1)), (3, (1, 2)), (4, (2, 2)), (5, (2, 3))])
def test_the_halves_of_a_batch(count, sizes):
    for refused in (TOO_LARGE, LIMIT_OF_OPA):
        first, second = halves_after(refused, REQUESTS[:count])
        assert (len(first), len(second)) == sizes
        assert [*first, *second] == REQUESTS[:count]


def test_nothing_else_is_halved():
    assert halves_after(TOO_LARGE, REQUESTS[:1]) is None
    for refused in (OpaStatusError("no", status=400), OpaStatusError("no", status=500)):
        assert halves_after(refused, REQUESTS) is None


def test_a_batch_that_is_too_large_goes_in_halves_and_later_ones_are_smaller(engine):
    opa = FakeOpa(2)
    decisions = drive(engine._decide(REQUESTS), opa.ask)
    assert opa.sizes == [5, 2, 3, 1, 2]
    assert [decision.allow for decision in decisions] == [True] * 5
    assert engine.batch_bytes == sum(request.size for request in REQUESTS[2:]) // 2
    assert type(engine.batch_bytes) is int


def test_a_single_request_that_is_too_large_is_an_error(engine):
    opa = FakeOpa(0)
    with pytest.raises(OpaStatusError) as caught:
        drive(engine._decide(REQUESTS[:2]), opa.ask)
    assert caught.value is TOO_LARGE
    assert opa.sizes == [2, 1]


def test_no_requests_ask_nothing(engine):
    assert drive(engine._decide([]), None) == []


@pytest.mark.parametrize(("max_body", "most"), [(1024 * 1024, 1024 * 1024), (64 * 1024 * 1024, 16 * 1024 * 1024)])
def test_a_batch_has_at_most_16_mib(max_body, most):
    assert OpaEngine(OpaClient("http://127.0.0.1:9", max_body=max_body)).batch_bytes == most


def test_without_sources_nothing_is_waited_for(engine):
    assert (engine.name, engine.recovery, engine.deadline) == ("opa", None, engine.opa.deadline)
    assert engine.rule_set == RuleSet()
    with pytest.raises(UsageError, match="no sources to restore from: give it `sources`"):
        engine._required_recovery()
    calls = []

    def lost(call):
        calls.append(call)
        raise LOST

    with pytest.raises(ResourcesMissingError, match=r"^lost$"):
        drive(engine._decide(REQUESTS), lost)
    assert [call.deadline for call in calls] == [None]


class FakeProtocol:
    """Names what it is called with."""

    path, list_path = ("answer",), ("list",)

    def question(self, requests):
        return ("question", requests)

    def explaining_question(self, request):
        return ("explaining", request)

    def decisions(self, reply, requests):
        return ("decisions", reply, requests)

    def explained(self, reply, request):
        return ("explained", reply, request)

    def pages(self, reply, request):
        return ("pages", reply, request)


class FakeWait:
    """A wait of which a test says how it ends; the recovery is the list of the calls."""

    fault = None

    def __init__(self, recovery, seconds):
        self.log = recovery
        self.log.append(("wait", seconds))

    def waits_for(self, lost):
        self.log.append(("waits for", lost))
        if self.fault is not None:
            raise self.fault
        return "run", 3.0

    def again(self, lost):
        self.log.append(("again", lost))
        return 2.5

    def still(self, lost):
        self.log.append(("still", lost))
        return STILL_LOST

    def answered(self):
        self.log.append("answered")


@pytest.fixture
def log():
    return []


@pytest.fixture
def queries(monkeypatch, log):
    """Queries with a recovery, which logs what is asked of it."""
    monkeypatch.setattr("bridge.engines.opa_queries.RecoveryWait", FakeWait)
    return OpaQueries(OpaClient("http://127.0.0.1:9", deadline=7), RuleSet(), FakeProtocol(), log)


def asked_of(log, *outcomes):
    """A function that logs each step, and returns or raises the next outcome."""
    following = iter(outcomes)

    def ask(step):
        log.append(step)
        if isinstance(step, RecoveryPause):
            return None
        outcome = next(following)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return ask


@pytest.mark.parametrize("lost", [LOST, RulesNotInstalledError("no rules")])
def test_what_is_lost_is_waited_for_and_asked_once_more(queries, log, lost):
    assert queries.recovery is queries._required_recovery() is log
    decisions = drive(queries._decide(REQUESTS), asked_of(log, lost, "reply"))
    assert decisions == ("decisions", "reply", REQUESTS)
    query = ("question", REQUESTS)
    assert log == [
        ("wait", 7),
        OpaCall(("answer",), query),
        ("waits for", lost),
        RecoveryPause("run", 3.0),
        ("again", lost),
        OpaCall(("answer",), query, 2.5),
        "answered",
    ]


def test_what_is_lost_again_is_an_error_with_what_the_recovery_says(queries, log):
    again = RulesNotInstalledError("again")
    with pytest.raises(ResourcesMissingError) as caught:
        drive(queries._decide(REQUESTS), asked_of(log, LOST, again))
    assert caught.value is STILL_LOST
    assert caught.value.__suppress_context__
    assert log[-1] == ("still", again)


def test_a_reply_that_shows_a_loss_is_one(queries, log, monkeypatch):
    def decisions(reply, _requests):
        if reply == "empty":
            raise LOST
        return [reply]

    monkeypatch.setattr(queries._protocol, "decisions", decisions, raising=False)
    assert drive(queries._decide(REQUESTS), asked_of(log, "empty", "reply")) == ["reply"]
    with pytest.raises(ResourcesMissingError) as caught:
        drive(queries._decide(REQUESTS), asked_of(log, "empty", "empty"))
    assert caught.value is STILL_LOST


def test_nothing_but_a_loss_is_waited_for(queries, log):
    late = EngineTimeoutError("late")
    for outcomes in ((late,), (LOST, late)):
        log.clear()
        with pytest.raises(EngineTimeoutError) as caught:
            drive(queries._decide(REQUESTS), asked_of(log, *outcomes))
        assert caught.value is late
        assert isinstance(log[-1], OpaCall)


def test_a_recovery_without_an_end_is_the_error(queries, log, monkeypatch):
    monkeypatch.setattr(FakeWait, "fault", STILL_LOST)
    with pytest.raises(ResourcesMissingError) as caught:
        drive(queries._decide(REQUESTS), asked_of(log, LOST))
    assert caught.value is STILL_LOST


def test_explanations_and_lists_wait_likewise(queries, log):
    request = REQUESTS[0]
    assert drive(queries._explain(request), asked_of(log, LOST, "reply")) == ("explained", "reply", request)
    assert [step for step in log if isinstance(step, OpaCall)] == [
        OpaCall(("answer",), ("explaining", request)),
        OpaCall(("answer",), ("explaining", request), 2.5),
    ]
    log.clear()
    pages = PageRequest(b"{}", b'"devices"', 0, 2)
    assert drive(queries._list_pages(pages), asked_of(log, LOST, "reply")) == ("pages", "reply", pages)
    first, second = (step for step in log if isinstance(step, OpaCall))
    assert (first.path, first.deadline, second.path, second.deadline) == (("list",), None, ("list",), 2.5)
    assert pages.text[1:-1] in first.query.fresh()[0]
    assert second.query is first.query
