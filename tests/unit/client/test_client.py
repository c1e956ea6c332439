"""PolicyBridge: what it takes, what it raises, and that it fails closed."""

from __future__ import annotations

import multiprocessing
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from colliding_names import colliding

from bridge import (
    ConfigurationError,
    Decision,
    EngineError,
    Failure,
    MalformedInputError,
    PartialResultError,
    PolicyBridge,
    PolicySettings,
    Reason,
    ReferenceEngine,
    RuleSet,
    RulesMismatchError,
    UsageError,
    WasmEngine,
)
from bridge.checks import batches
from bridge.decision import Request
from bridge.errors import (
    EngineTimeoutError,
    EngineUnreachableError,
    InvalidResponseError,
    OpaStatusError,
    RulesNotInstalledError,
    UnsupportedOpaVersionError,
)
from bridge.rendering import default_wasm
from bridge.strict_json import ABSENT, encode

CLAIMS = {"policy": {"version": 2, "devices": {"id": "d1", "custom_data": {"user": "u1", "n": 1}}}}
DEVICE = {"id": "d1", "custom_data": {"user": "u1", "n": 1.0}}
IN_PROCESS = [ReferenceEngine, WasmEngine]


@pytest.fixture(params=IN_PROCESS, ids=lambda engine: engine.name)
def policy_bridge(request):
    with PolicyBridge(request.param()) as opened:
        yield opened


def test_the_default_engine_is_wasm():
    assert PolicyBridge().check(CLAIMS, "devices", DEVICE).engine == "wasm"


def test_a_decision_for_claims_and_a_resource(policy_bridge):
    assert policy_bridge.check(CLAIMS, "devices", DEVICE)
    denied = policy_bridge.check(CLAIMS, "devices", {"id": "d1", "custom_data": {"user": "u2"}})
    assert denied.as_dict() == {
        "allow": False,
        "reason": "constraint_failed",
        "failures": [
            {"pointer": "/custom_data/n", "code": "missing"},
            {"pointer": "/custom_data/user", "code": "different"},
        ],
    }
    assert policy_bridge.check(CLAIMS, "sessions", DEVICE).reason == "type_not_granted"
    assert policy_bridge.check({}, "devices", DEVICE).reason == "unrestricted"


@pytest.mark.parametrize(
    ("claims", "type_", "resource", "reason"),
    [
        (None, "devices", DEVICE, "malformed_input"),
        ([], "devices", DEVICE, "malformed_input"),
        (True, "devices", DEVICE, "malformed_input"),
        ({}, None, DEVICE, "malformed_input"),
        ({}, 1, DEVICE, "malformed_input"),
        ({}, "x", None, "unknown_type"),
        ({}, "x" * 2_000_000, None, "unknown_type"),
        ({}, "devices", None, "invalid_resource"),
        ({}, "devices", [DEVICE], "invalid_resource"),
        ({}, "devices", "d1", "unknown_resource"),
        ({}, "devices", "", "unknown_resource"),
        ({}, "devices", "d" * 2_000_000, "unknown_resource"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_odd_questions_are_denied(policy_bridge, claims, type_, resource, reason):
    policy_bridge.push("devices", [], force=True)
    assert policy_bridge.check(claims, type_, resource).as_dict() == {"allow": False, "reason": reason}


@pytest.mark.parametrize(
    ("claims", "resource", "rule", "place"),
    [
        ({"a": float("nan")}, DEVICE, "R12.7", "claims: at `/a`"),
        ({1: 1}, DEVICE, "R12.7", "claims: at `/1`"),
        ({"a": "a" * 65_536}, DEVICE, "R12.6", "claims: "),
        ({}, {"id": "a", "x": (1,)}, "R12.7", "resource: at `/x`"),
        ({}, {"id": "\ud800"}, "R12.3", "resource: at `/id`"),
        ({}, {"id": "a", "x": "a" * 1_048_576}, "R12.6", "resource: "),
        ({}, object(), "R12.7", "resource: "),
        ({}, b"d1", "R12.7", "resource: "),
        ({}, "\udfff", "R12.3", "id: "),
    ],
    ids=lambda value: ascii(value)[:20],
)
@pytest.mark.parametrize("on_error", ["raise", "deny"])
def test_what_breaks_r12_raises_in_either_mode(on_error, claims, resource, rule, place):
    opened = PolicyBridge(ReferenceEngine(), on_error=on_error)
    with pytest.raises(MalformedInputError) as refused:
        opened.check(claims, "devices", resource)
    assert refused.value.rule == rule
    assert str(refused.value).startswith(place)


def test_no_engine_has_a_lower_limit_than_r12(policy_bridge):
    custom_data = {"a": ["x" * 1_000] * 60, "b": {}}
    claims = {"policy": {"version": 2, "devices": {"custom_data": custom_data}}}
    deep = []
    for _ in range(61):
        deep = [deep]
    resource = {"id": "d1", "custom_data": {**custom_data, "deep": deep, "c": "\U00020000" * 220_000}}
    assert policy_bridge.check(claims, "devices", resource)
    many = {f"k{n}": n for n in range(60_000)}
    assert policy_bridge.check(claims, "devices", {"id": "d1", "custom_data": {**custom_data, **many}})
    wide = {"policy": {"version": 2, **{f"t{n}": 0 for n in range(6_000)}}}
    assert len(policy_bridge.check(wide, "devices", resource).violations) == 6_000


MALFORMED = [
    ({"id": "a", "x": ()}, "resource 1: at `/x`: a Python builtins.tuple is no JSON value (R12.7)"),
    ({"id": "a", "x": "a" * 1_048_576}, "resource 1: at `/x`: longer than 1,048,576 bytes in canonical text (R12.6)"),
    ("\ud800", "id 1: a string with an unpaired surrogate (R12.3)"),
]


@pytest.mark.parametrize(("malformed", "error"), MALFORMED, ids=["value", "size", "id"])
@pytest.mark.parametrize("on_error", ["raise", "deny"])
def test_a_malformed_one_among_many_is_denied_and_spoils_no_other(policy_bridge, malformed, error, on_error):
    opened = PolicyBridge(policy_bridge.engine, on_error=on_error)
    other = {**DEVICE, "id": "d2"}
    decisions = opened.check_many(CLAIMS, "devices", [DEVICE, malformed, other])
    assert [decision.reason for decision in decisions] == ["matched", "malformed_input", "constraint_failed"]
    assert (decisions[1].allow, decisions[1].engine, decisions[1].error) == (False, "", error)
    assert decisions[::2] == [opened.check(CLAIMS, "devices", one) for one in (DEVICE, other)]
    with pytest.raises(MalformedInputError):
        opened.check(CLAIMS, "devices", malformed)


@pytest.mark.parametrize(("claims", "type_"), [({"a": ()}, "devices"), ({}, "\ud800"), ({}, ("devices",))])
def test_malformed_claims_and_types_spoil_all(policy_bridge, claims, type_):
    with pytest.raises(MalformedInputError):
        policy_bridge.check_many(claims, type_, [DEVICE])


def test_none_is_asked_where_all_are_malformed():
    opened = PolicyBridge(FailingEngine(EngineUnreachableError("gone")))
    assert [one.reason for one in opened.check_many(CLAIMS, "devices", [(), ()])] == ["malformed_input"] * 2


def test_many_are_decided_in_order(policy_bridge):
    resources = [{"id": "d1", "custom_data": {"user": f"u{n % 3}", "n": 1}} for n in range(2_500)]
    resources[7] = None
    decisions = policy_bridge.check_many(CLAIMS, "devices", iter(resources))
    assert [bool(decision) for decision in decisions] == [n % 3 == 1 and n != 7 for n in range(2_500)]
    assert decisions[7].reason == "invalid_resource"
    assert policy_bridge.check_many(CLAIMS, "devices", []) == []


def test_batches_are_bounded_in_number_and_bytes():
    small, large = Request(b"{}", b'"t"', b"x"), Request(b"{}", b'"t"', b"x" * 100)
    sizes = [len(batch) for batch in batches([small] * 2_001, 10**9)]
    assert sizes == [1_000, 1_000, 1]
    assert [len(batch) for batch in batches([small, large, small, small], 50)] == [1, 1, 2]
    assert list(batches([], 1)) == []


def test_an_explanation_says_what_was_wanted_and_found(policy_bridge):
    policy_bridge.push("devices", [{"id": "d1", "custom_data": {"user": "u2"}}])
    for resource in ("d1", {"id": "d1", "custom_data": {"user": "u2"}}):
        explained = policy_bridge.explain(CLAIMS, "devices", resource)
        assert explained.decision.reason == "constraint_failed"
        assert [(demand.failure.pointer, demand.expected, demand.actual) for demand in explained.failures] == [
            ("/custom_data/n", 1, ABSENT),
            ("/custom_data/user", "u1", "u2"),
        ]
        assert explained.resource == {"id": "d1", "custom_data": {"user": "u2"}}
    assert policy_bridge.explain(CLAIMS, "devices", "d2").resource is ABSENT
    assert policy_bridge.explain(CLAIMS, "devices", DEVICE).failures == ()


class FailingEngine(ReferenceEngine):
    """An engine with a fault of every kind: what the bridge makes of them is the same for all."""

    name = "failing"

    def __init__(self, fault):
        super().__init__()
        self.fault = fault

    def decide(self, _requests):
        raise self.fault

    def explain(self, _request):
        raise self.fault


FAULTS = [
    EngineUnreachableError("gone"),
    EngineTimeoutError("late"),
    InvalidResponseError("odd"),
    OpaStatusError("no", status=500),
    RulesNotInstalledError("none"),
    RulesMismatchError("other"),
    UnsupportedOpaVersionError("old"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.code)
def test_a_fault_raises_or_denies_and_never_allows(fault):
    with pytest.raises(type(fault)):
        PolicyBridge(FailingEngine(fault)).check({}, "devices", DEVICE)
    with pytest.raises(type(fault)):
        PolicyBridge(FailingEngine(fault)).explain({}, "devices", DEVICE)
    denying = PolicyBridge(FailingEngine(fault), on_error="deny")
    expected = Decision(allow=False, reason=Reason.ENGINE_UNAVAILABLE, engine="failing", error=str(fault))
    assert denying.check({}, "devices", DEVICE) == expected
    assert denying.check_many({}, "devices", [DEVICE] * 3) == [expected] * 3
    assert denying.explain({}, "devices", DEVICE).decision == expected


class SometimesFailingEngine(ReferenceEngine):
    """Fails at the queries of these numbers."""

    name = "sometimes"

    def __init__(self, *failing):
        super().__init__()
        self.failing = failing
        self.batch_sizes = []

    def decide(self, requests):
        self.batch_sizes.append(len(requests))
        if len(self.batch_sizes) - 1 in self.failing:
            raise EngineTimeoutError("late")
        return super().decide(requests)


def _many():
    """More than two queries' worth, two of them malformed."""
    resources = [{"id": f"d{n % 2}", "custom_data": DEVICE["custom_data"]} for n in range(2_500)]
    resources[3] = resources[2_400] = ()
    return resources


def test_what_was_decided_before_a_fault_is_kept():
    engine = SometimesFailingEngine(1)
    with pytest.raises(PartialResultError, match=r"^only 1,002 of 2,500 were decided: late$") as caught:
        PolicyBridge(engine).check_many(CLAIMS, "devices", _many())
    assert engine.batch_sizes == [1_000, 1_000]
    partial = caught.value
    assert isinstance(partial.fault, EngineTimeoutError)
    assert partial.__cause__ is partial.fault
    alone = PolicyBridge(SometimesFailingEngine()).check_many(CLAIMS, "devices", _many())
    known = [place for place, decision in enumerate(partial.decisions) if decision is not None]
    assert known == [*range(1_001), 2_400]
    assert all(partial.decisions[place] == alone[place] for place in known)
    assert len(partial.decisions) == 2_500
    twin = pickle.loads(pickle.dumps(partial))
    assert (str(twin), twin.decisions, twin.fault.args) == (str(partial), partial.decisions, partial.fault.args)


def test_a_fault_before_any_decision_is_itself():
    with pytest.raises(EngineTimeoutError):
        PolicyBridge(SometimesFailingEngine(0)).check_many(CLAIMS, "devices", [DEVICE] * 3)


def test_each_query_that_failed_denies_for_its_part_alone():
    engine = SometimesFailingEngine(1)
    decisions = PolicyBridge(engine, on_error="deny").check_many(CLAIMS, "devices", _many())
    alone = PolicyBridge(SometimesFailingEngine()).check_many(CLAIMS, "devices", _many())
    assert engine.batch_sizes == [1_000, 1_000, 498]
    late = Decision(allow=False, reason=Reason.ENGINE_UNAVAILABLE, engine="sometimes", error="late")
    assert decisions == [*alone[:1_001], *[late] * 1_000, *alone[2_001:]]


class InventingEngine(ReferenceEngine):
    """Says that something failed which nobody demanded."""

    name = "inventing"

    def explain(self, _request):
        failures = (Failure("/custom_data/other", "missing"),)
        return Decision(allow=False, reason=Reason.CONSTRAINT_FAILED, failures=failures), None


def test_an_explanation_that_cannot_be_is_a_fault():
    with pytest.raises(InvalidResponseError, match="which the policy does not demand"):
        PolicyBridge(InventingEngine()).explain(CLAIMS, "devices", DEVICE)
    denied = PolicyBridge(InventingEngine(), on_error="deny").explain(CLAIMS, "devices", DEVICE)
    assert denied.decision.reason is Reason.ENGINE_UNAVAILABLE


@pytest.mark.parametrize("several", ["d1", b"d1", DEVICE, None, 5])
def test_one_resource_is_not_several(several):
    with pytest.raises(UsageError, match="several"):
        PolicyBridge().check_many(CLAIMS, "devices", several)


def test_other_errors_of_an_engine_are_not_taken_for_faults():
    with pytest.raises(ZeroDivisionError):
        PolicyBridge(FailingEngine(ZeroDivisionError()), on_error="deny").check({}, "devices", DEVICE)


def test_misuse_raises():
    with pytest.raises(UsageError, match="verifier"):
        PolicyBridge().check("a.b.c", "devices", DEVICE)
    with pytest.raises(UsageError, match="on_error"):
        PolicyBridge(on_error="allow")
    with pytest.raises(ConfigurationError):
        WasmEngine(RuleSet(policy=PolicySettings(claim="other")))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        WasmEngine(wasm=default_wasm().with_name("none.wasm"))


def test_wasm_of_other_settings_or_of_no_rules_is_refused(tmp_path):
    with pytest.raises(RulesMismatchError):
        WasmEngine(RuleSet(policy=PolicySettings(claim="other")), wasm=default_wasm())
    for content in (b"", b"no wasm", b"\0asm\x01\0\0\0", default_wasm().read_bytes()[:-1]):
        file = tmp_path / "policy.wasm"
        file.write_bytes(content)
        with pytest.raises(EngineError):
            WasmEngine(wasm=file)


def test_threads_share_a_wasm_engine():
    opened = PolicyBridge()
    start = threading.Barrier(8)

    def ask(thread):
        start.wait()
        resources = [{"id": "d1", "custom_data": {"user": f"u{n % 2}", "n": 1, "t": thread}} for n in range(200)]
        return [bool(opened.check(CLAIMS, "devices", resource)) for resource in resources]

    with ThreadPoolExecutor(8) as pool:
        assert all(answers == [False, True] * 100 for answers in pool.map(ask, range(8)))


def _decide_in_child(opened, results):
    results.put((bool(opened.check(CLAIMS, "devices", DEVICE)), bool(PolicyBridge().check(CLAIMS, "devices", DEVICE))))


def _decide_in_threads(opened, results):
    start = threading.Barrier(8)

    def ask(_thread):
        start.wait()
        return [bool(opened.check(CLAIMS, "devices", DEVICE)) for _ in range(20)]

    with ThreadPoolExecutor(8) as pool:
        results.put(all(all(answers) for answers in pool.map(ask, range(8))))


def _said_by_a_forked_child(target):
    """What a child says of its parent's bridge, which has decided before and still does afterwards."""
    opened = PolicyBridge()
    opened.check(CLAIMS, "devices", DEVICE)
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=target, args=(opened, results))
    child.start()
    child.join(60)
    assert child.exitcode == 0, "the child hangs or died"
    assert opened.check(CLAIMS, "devices", DEVICE)
    return results.get()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_threads_of_a_forked_child_come_to_the_engine_at_once():
    assert _said_by_a_forked_child(_decide_in_threads) is True


def test_an_evaluation_ends_at_its_deadline_and_the_engine_goes_on():
    engine = WasmEngine(deadline=0.05)
    many = encode({"id": "d1", "custom_data": dict.fromkeys(colliding(30_000), 1)})
    with pytest.raises(EngineTimeoutError, match=r"0\.05 s"):
        engine.query("decision", Request(b"{}", b'"devices"', many).text)  # whole, as no question goes there
    assert engine.decide([Request(b"{}", b'"devices"', many)])[0].allow
    assert engine.decide([Request(b"{}", b'"devices"', b'{"id":"a"}')])[0].allow
    for deadline in (0, -1, float("nan"), 100_000):
        with pytest.raises(ConfigurationError, match="deadline"):
            WasmEngine(deadline=deadline)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_decides_with_its_parents_engine_and_with_its_own():
    assert _said_by_a_forked_child(_decide_in_child) == (True, True)


def test_a_decision_survives_a_process_boundary(policy_bridge):
    for decision in policy_bridge.check_many(CLAIMS, "devices", [DEVICE, {"id": "x"}]):
        assert pickle.loads(pickle.dumps(decision)) == decision
