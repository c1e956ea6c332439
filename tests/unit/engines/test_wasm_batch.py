"""Many questions to Wasm: in parts; and after a fault the others are answered, in a bounded time."""

from __future__ import annotations

import math

import pytest
from colliding_names import plain
from costly_queries import demanding, device

from bridge import EngineError, EngineTimeoutError, PartialResultError, PolicyBridge, WasmEngine
from bridge.decision import Request
from bridge.engines import wasm_batch
from bridge.engines.wasm_batch import FEW_DETAILS, MOST_TOGETHER, ask, most_together
from bridge.errors import InvalidResponseError, RulesMismatchError, StaleResourcesError
from bridge.reference import allow
from bridge.strict_json import encode

CLAIMS = {"policy": {"version": 2, "devices": {"custom_data": {"user_id": "u1"}}}}
SECONDS = 16.0


class Deciding:
    """Decides on numbered questions, but not on the bad ones, and takes its time by a clock of its own.

    Args:
        bad: The numbers of questions that no part with them is answered.
        takes: Seconds that a part with a bad one takes, unless it must stop sooner.
        each: Seconds that every other part takes.
    """

    def __init__(self, bad=(), takes=math.inf, each=0.0):
        self.bad = set(bad)
        self.takes = takes
        self.each = each
        self.now = 100.0
        self.batches = []
        self.allowed = []

    def __call__(self, requests, seconds):
        numbers = [int(request.id) for request in requests]
        self.batches.append(numbers)
        self.allowed.append(seconds)
        if self.bad.isdisjoint(numbers):
            self.now += self.each
            return [allow("matched")] * len(numbers)
        self.now += min(self.takes, seconds)
        raise EngineTimeoutError(f"{numbers[0]} to {numbers[-1]}")

    def ask(self, count, most):
        requests = [Request(b"{}", b'"devices"', None, b"%d" % number) for number in range(count)]
        decisions, fault = ask(requests, most, self, SECONDS, clock=lambda: self.now)
        assert len(decisions) == count
        return [number for number, decision in enumerate(decisions) if decision is None], fault


def test_parts_are_asked_in_their_order_and_once():
    deciding = Deciding()
    assert deciding.ask(10, 4) == ([], None)
    assert deciding.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert Deciding().ask(0, 4) == ([], None)


@pytest.mark.parametrize("bad", [{0}, {5}, {299}, {0, 299}, {3, 4, 100}])
@pytest.mark.parametrize("most", [1, 7, 64, 512])
def test_all_but_the_bad_ones_are_answered(bad, most):
    deciding = Deciding(bad, takes=0.01)
    left, fault = deciding.ask(300, most)
    assert set(left) == bad
    assert isinstance(fault, EngineTimeoutError)
    assert len(deciding.batches) <= 300 // most + 1 + len(bad) * 2 * 10
    assert all(deciding.batches.count([number]) <= 1 for number in range(300)), "none is asked alone twice"


def test_one_bad_question_that_never_ends_leaves_all_others_answered():
    deciding = Deciding({77})
    left, fault = deciding.ask(300, MOST_TOGETHER)
    assert left == [77]
    assert str(fault) == "0 to 299"
    assert deciding.allowed[:2] == [SECONDS, SECONDS / 16]
    assert deciding.now - 100 <= 2 * SECONDS
    assert len(deciding.batches) <= 2 * 10


def test_the_parts_that_no_time_was_left_for_are_asked_afterwards():
    deciding = Deciding({0})
    left, _ = deciding.ask(40, 10)
    assert left == [0]
    assert deciding.batches[0] == list(range(10))
    assert [10, 11, 12, 13, 14, 15, 16, 17, 18, 19] in deciding.batches


@pytest.mark.parametrize("each", [15.5, 16.0, 17.0])
def test_a_part_is_asked_whole_once_and_then_in_halves(each):
    """Whether there was time for it before or not."""
    deciding = Deciding({2}, takes=0.5, each=each)
    left, _ = deciding.ask(4, 2)
    assert left == [2]
    assert deciding.batches == [[0, 1], [2, 3], [2], [3]]


@pytest.mark.parametrize(("takes", "each"), [(math.inf, 0.0), (1.0, 1.0), (0.0, 0.1), (math.inf, 3.0)])
def test_the_time_is_bounded_where_all_are_bad_and_where_all_are_slow(takes, each):
    for bad in (range(1_000), range(0, 1_000, 3)):
        deciding = Deciding(bad, takes, each)
        left, _ = deciding.ask(1_000, 100)
        assert {number for number in range(1_000) if number in deciding.bad} <= set(left)
        assert deciding.now - 100 <= 2 * SECONDS + 2 * each
        assert all(0 < seconds <= SECONDS for seconds in deciding.allowed)
        assert len(deciding.batches) <= 10 + 2 * 1_000


def test_rules_of_other_settings_are_no_fault_of_one_question():
    batches = []

    def decide(requests, _seconds):
        batches.append(len(requests))
        raise RulesMismatchError("other rules")

    with pytest.raises(RulesMismatchError):
        ask([Request(b"{}", b'"devices"')] * 10, 5, decide, SECONDS)
    assert batches == [5]


def test_a_part_is_asked_as_long_as_any_time_is_left():
    deciding = Deciding(each=15.5)
    assert deciding.ask(2, 1) == ([], None)
    assert deciding.allowed == [16, 0.5]


def test_the_end_of_the_time_says_what_to_do():
    left, fault = Deciding(each=40).ask(3, 1)
    assert left == [2]
    assert str(fault) == (
        "the Wasm evaluations took longer than 16 s: send fewer requests at once, or raise `WasmEngine(deadline=...)`"
    )


def test_parts_have_as_many_questions_as_their_details_allow():
    sizes = [most_together(details) for details in (0, 6, 7, 8, 13, 16, 32, 33, 64, 65, 1_000)]
    assert sizes == [512, 512, 9, 8, 4, 4, 2, 1, 1, 1, 1]


def test_the_more_a_decision_may_list_the_fewer_go_together():
    sizes = [most_together(details) for details in range(100)]
    assert sizes[: FEW_DETAILS + 1] == [MOST_TOGETHER] * (FEW_DETAILS + 1)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 1


# The engine, and the bridge over it.


MARK = b"the bad one"
BAD = {"id": "bad", "custom_data": {"user_id": MARK.decode()}}
GOOD = [{"id": f"d{number}", "custom_data": {"user_id": f"u{number % 2}"}} for number in range(300)]
ALL = [*GOOD[:200], BAD, *GOOD[200:]]


class Evaluations:
    """What is sent to Wasm; an evaluation whose text has the mark fails."""

    def __init__(self, monkeypatch, engine, fault):
        self.sizes = []
        reply = engine._pool.reply

        def replying(entrypoint, text, *deadline):
            self.sizes.append(text.count(b'"id":'))
            if MARK in text:
                raise fault
            return reply(entrypoint, text, *deadline)

        monkeypatch.setattr(engine._pool, "reply", replying)


FAULTS = [
    EngineTimeoutError("the Wasm evaluation took longer than 10 s"),
    EngineError("the Wasm evaluation failed: unreachable"),
    InvalidResponseError("the Wasm evaluation gave no result"),
]


@pytest.fixture(params=FAULTS, ids=lambda fault: fault.code)
def fault(request):
    return request.param


@pytest.fixture
def engine():
    return WasmEngine()


def test_a_fault_leaves_one_question_open_and_not_300(monkeypatch, engine, fault):
    evaluations = Evaluations(monkeypatch, engine, fault)
    with pytest.raises(PartialResultError) as partial:
        PolicyBridge(engine).check_many(CLAIMS, "devices", ALL)
    assert partial.value.fault is fault
    assert partial.value.decisions[200] is None
    known = [decision for decision in partial.value.decisions if decision is not None]
    assert [decision.allow for decision in known] == [number % 2 == 1 for number in range(300)]
    assert len(evaluations.sizes) <= 2 * 10


def test_where_faults_deny_one_is_denied(monkeypatch, engine, fault):
    Evaluations(monkeypatch, engine, fault)
    decisions = PolicyBridge(engine, on_error="deny").check_many(CLAIMS, "devices", ALL)
    [denied] = [decision for decision in decisions if decision.reason == "engine_unavailable"]
    assert decisions[200] is denied
    assert denied.error == str(fault)
    assert sum(decision.allow for decision in decisions) == 150


def test_the_batches_behind_the_one_with_a_fault_are_asked_too(monkeypatch, engine, fault):
    Evaluations(monkeypatch, engine, fault)
    many = [BAD, *GOOD * 4, BAD, {"id": 1.5j}]
    with pytest.raises(PartialResultError) as partial:
        PolicyBridge(engine).check_many(CLAIMS, "devices", many)
    decisions = partial.value.decisions
    assert [place for place, decision in enumerate(decisions) if decision is None] == [0, 1201]
    assert decisions[-1].reason == "malformed_input"
    denied = PolicyBridge(engine, on_error="deny").check_many(CLAIMS, "devices", many)
    assert [one.allow for one in denied] == [bool(one) for one in decisions]


def test_where_nothing_is_answered_the_fault_is_raised_itself(monkeypatch, engine, fault):
    Evaluations(monkeypatch, engine, fault)
    bridge = PolicyBridge(engine)
    for ask_ in (
        lambda: bridge.check(CLAIMS, "devices", BAD),
        lambda: bridge.explain(CLAIMS, "devices", BAD),
        lambda: bridge.check_many(CLAIMS, "devices", [BAD, BAD]),
    ):
        with pytest.raises(type(fault)) as raised:
            ask_()
        assert raised.value is fault


def test_what_was_answered_beside_a_fault_is_not_older_than_was_asked_for(monkeypatch, engine, fault):
    Evaluations(monkeypatch, engine, fault)
    bridge = PolicyBridge(engine)
    report = bridge.push("devices", ALL)
    ids = [resource["id"] for resource in ALL]
    later = str(int(report.revision) + 1)
    with pytest.raises(StaleResourcesError):
        bridge.check_many(CLAIMS, "devices", ids, at_least=later)
    denied = PolicyBridge(engine, on_error="deny").check_many(CLAIMS, "devices", ids, at_least=later)
    assert {decision.reason for decision in denied} == {"engine_unavailable"}
    with pytest.raises(PartialResultError) as partial:
        bridge.check_many(CLAIMS, "devices", ids, at_least=report.revision)
    assert {one.revision for one in partial.value.decisions if one} == {report.revision}


def test_a_list_of_some_is_none(monkeypatch, engine, fault):
    bridge = PolicyBridge(engine)
    claims = demanding({"user_id": MARK.decode(), "team": 1})
    bridge.push("devices", [device({**BAD["custom_data"], "team": 1}), {"id": "d2"}])
    Evaluations(monkeypatch, engine, fault)
    with pytest.raises(type(fault)) as raised:
        bridge.list_allowed(claims, "devices")
    assert raised.value is fault


def test_a_list_whose_last_resource_has_a_fault_is_none(monkeypatch, engine, fault):
    bridge = PolicyBridge(engine)
    bridge.push(
        "devices",
        [*({**one, "custom_data": {"user_id": "u1"}} for one in GOOD), {**device(), "id": MARK.decode()}],
    )
    Evaluations(monkeypatch, engine, fault)
    with pytest.raises(type(fault)) as raised:
        bridge.list_allowed(CLAIMS, "devices")
    assert raised.value is fault


def test_decisions_of_many_details_go_in_small_parts(monkeypatch, engine):
    """1,000 ways to break 14 constraints have one hash in Wasm: telling them apart took 25 s."""
    evaluations = Evaluations(monkeypatch, engine, FAULTS[0])
    names = plain(14)
    PolicyBridge(engine).check_many(demanding(dict.fromkeys(names, 1)), "devices", GOOD)
    assert max(evaluations.sizes) <= 64 // len(names)
    evaluations.sizes.clear()
    PolicyBridge(engine).check_many(CLAIMS, "devices", GOOD * 3)
    assert evaluations.sizes == [512, 388]
    evaluations.sizes.clear()
    mixed = [
        Request(encode(demanding(dict.fromkeys(names[:number], 1))), b'"devices"', encode(GOOD[0]))
        for number in range(14)
    ]
    assert len(engine.decide(mixed)) == 14
    assert max(evaluations.sizes) <= 4


def test_an_evaluation_has_no_more_time_than_is_left(monkeypatch):
    engine = WasmEngine(deadline=SECONDS)
    allowed = []
    ask_ = wasm_batch.ask

    def asking(requests, most, decide, seconds):
        def noting(part, left):
            allowed.append(left)
            return decide(part, left)

        return ask_(requests, most, noting, seconds)

    monkeypatch.setattr(wasm_batch, "ask", asking)
    deadlines = []
    reply = engine._pool.reply
    monkeypatch.setattr(
        engine._pool, "reply", lambda name, text, deadline: (deadlines.append(deadline), reply(name, text))[1]
    )
    PolicyBridge(engine).check_many(CLAIMS, "devices", GOOD * 3)
    assert deadlines == allowed
    assert all(0 < left <= SECONDS for left in allowed)
