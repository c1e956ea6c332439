"""Properties of decisions that need no second implementation, on every engine."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import pytest
from conformance import tally
from conformance.deciders import OTHER
from conformance.differential import each_example
from conformance.engine_queries import entrypoint
from conformance.strategies import (
    MISSPELT,
    NAMES,
    broken_policies,
    descriptions,
    near,
    one_in,
    policies,
    questions,
    resources,
    values,
)
from hypothesis import Phase
from hypothesis import strategies as st

from bridge import reference
from bridge.decision import Request
from bridge.engines import OpaEngine, WasmEngine
from bridge.policy import PolicySettings
from bridge.resource import Resource, parse_resource
from bridge.strict_json import ABSENT, encode, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.engine_queries import Deciders
    from conformance.strategies import Draw

    from bridge.client import PolicyBridge

DEFAULT: Final = PolicySettings()
RENAMED: Final = PolicySettings(claim=OTHER.claim, types=OTHER.types[: len(DEFAULT.types)])
ENGINES: Final = ("reference", "wasm", "opa")
TRIALS: Final = 600
FEW: Final = 12  # of each reason
COMMON: Final = {"matched", "constraint_failed", "invalid_policy", "unrestricted"}
AT_ONCE: Final = 200

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LawTrial:
    """Two questions whose answers must go together."""

    before: Request
    after: Request
    may_differ: bool = False


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def encoded_request(claims: Any, type_: Any, resource: Any) -> Request:
    return Request(encode(claims), encode(type_), encode(resource))


def answers(bridge: PolicyBridge, requests: Sequence[Request]) -> list[Answer]:
    tally.count("algebra", bridge.engine.name, len(requests))
    return [
        decision.as_dict()
        for start in range(0, len(requests), AT_ONCE)
        for decision in bridge.engine.decide(requests[start : start + AT_ONCE])
    ]


def both(bridge: PolicyBridge, trials: Sequence[LawTrial]) -> list[tuple[LawTrial, Answer, Answer]]:
    """Each trial with its two answers, the smallest trial first, so that the first that fails is short."""
    all_answers = answers(bridge, [request for trial in trials for request in (trial.before, trial.after)])
    trials_with_answers = zip(trials, all_answers[::2], all_answers[1::2], strict=True)
    return sorted(trials_with_answers, key=lambda one: one[0].before.size + one[0].after.size)


@cache
def drawn(strategy: Any) -> list[Any]:
    """What the seed of this run draws, the same for every engine."""
    examples: list[Any] = []

    def collect(example: Any) -> None:
        examples.append(example)

    each_example(collect, strategy(), Phase.generate, seed=tally.seed(), examples=TRIALS)
    return examples


# --- more constraints


@st.composite
def more_constraints(draw: Draw) -> LawTrial:
    """A resource, and the policy before and after a constraint was added to the description of its type."""
    policy = policies(draw, DEFAULT)
    type_ = draw(st.sampled_from(DEFAULT.types))
    description = policy.setdefault(type_, descriptions(draw))
    resource = resources(draw, description)
    has: Any = resource.get("custom_data") if isinstance(resource, dict) else None
    if "id" not in description and one_in(draw, 4):
        more = {**description, "id": resource["id"] if _is_resource(resource) and one_in(draw, 2) else draw(NAMES)}
    else:
        demanded = description.get("custom_data", {})
        present = [name for name in (has if isinstance(has, dict) else {}) if name not in demanded]
        name = draw(st.sampled_from(present)) if present else draw(NAMES.filter(lambda name: name not in demanded))
        value = draw(st.sampled_from((0, 1, 2)))
        wanted = values(draw) if value == 0 or not present else has[name] if value == 1 else near(draw, has[name])
        more = {**description, "custom_data": {**demanded, name: wanted}}
    return LawTrial(
        encoded_request({"policy": policy}, type_, resource),
        encoded_request({"policy": {**policy, type_: more}}, type_, resource),
    )


def test_a_constraint_more_never_turns_deny_into_allow(bridges: Deciders, engine: str) -> None:
    seen: Counter[tuple[bool, bool]] = Counter()
    for trial, before, after in both(bridges.bridge(engine, DEFAULT), drawn(more_constraints)):
        assert before["allow"] or not after["allow"], trial
        assert [failure for failure in before.get("failures", []) if failure not in after.get("failures", [])] == []
        seen[before["allow"], after["allow"]] += 1
    assert min(seen[True, True], seen[True, False], seen[False, False]) > TRIALS / 100


# --- more members


@st.composite
def more_members(draw: Draw) -> LawTrial:
    """A policy, and the resource before and after it got members."""
    policy = policies(draw, DEFAULT)
    type_ = draw(st.sampled_from(DEFAULT.types))
    description = policy.setdefault(type_, descriptions(draw))
    resource = resources(draw, description)
    if not _is_resource(resource):
        resource = {"id": "a"}
    custom_data = resource.get("custom_data", {})
    demanded = description.get("custom_data", {})
    missing = [name for name in demanded if name not in custom_data]
    name = draw(st.sampled_from(missing) if missing and one_in(draw, 2) else NAMES)
    while name in demanded and name in custom_data:
        name += "+"  # this would change a demanded member
    outside = draw(st.sampled_from(MISSPELT))
    more = {
        **resource,
        outside: values(draw),
        "custom_data": {**custom_data, name: values(draw)},
    }
    return LawTrial(
        encoded_request({"policy": policy}, type_, resource),
        encoded_request({"policy": policy}, type_, more),
        may_differ=name in demanded,
    )


def test_members_more_never_turn_allow_into_deny(bridges: Deciders, engine: str) -> None:
    seen: Counter[tuple[bool, bool]] = Counter()
    for trial, before, after in both(bridges.bridge(engine, DEFAULT), drawn(more_members)):
        assert after["allow"] or not before["allow"], trial
        assert trial.may_differ or before == after, trial
        seen[before["allow"], trial.may_differ] += 1
    assert min(seen[True, False], seen[False, False], seen[False, True]) > TRIALS / 100


# --- other names


@st.composite
def any_question(draw: Draw) -> tuple[Any, Any, Any]:
    example = draw(questions(DEFAULT))
    return example.claims, example.type, example.resources[0]


def exchanged(names: Mapping[str, str], value: Any) -> Any:
    """An object with members of other names, or a name."""
    if isinstance(value, dict):
        return {names.get(name, name): member for name, member in value.items()}
    return names.get(value, value) if isinstance(value, str) else value


def in_other_words(question: tuple[Any, Any, Any], types: Mapping[str, str], claim: str) -> Request:
    claims, type_, resource = question
    if isinstance(claims, dict):
        claims = exchanged({DEFAULT.claim: claim, claim: DEFAULT.claim}, claims)
        if claim in claims:
            claims = {
                **claims,
                claim: exchanged(types, claims[claim]) if isinstance(claims[claim], dict) else claims[claim],
            }
    return encoded_request(claims, exchanged(types, type_), resource)


def answer_in_other_words(answer: Answer, types: Mapping[str, str]) -> Answer:
    """The violations' pointers begin with a type."""
    if "violations" not in answer:
        return answer
    violations = []
    for violation in answer["violations"]:
        first, *names = violation["pointer"].split("/")
        pointer = "/".join([first, *(exchanged(types, name) for name in names[:1]), *names[1:]])
        violations.append({"pointer": pointer, "code": violation["code"]})
    return {**answer, "violations": sorted(violations, key=lambda each: (each["pointer"], each["code"]))}


@pytest.mark.parametrize(
    ("settings", "pairs"),
    [
        pytest.param(DEFAULT, (DEFAULT.types,), id="exchanged"),
        pytest.param(RENAMED, tuple(zip(DEFAULT.types, RENAMED.types, strict=True)), id="renamed"),
    ],
)
def test_names_change_nothing(
    bridges: Deciders, engine: str, settings: PolicySettings, pairs: Sequence[tuple[str, str]]
) -> None:
    types = {one: other for pair in pairs for one, other in (pair, pair[::-1])}
    trials = drawn(any_question)
    before = answers(bridges.bridge(engine, DEFAULT), [encoded_request(*question) for question in trials])
    after = answers(
        bridges.bridge(engine, settings), [in_other_words(question, types, settings.claim) for question in trials]
    )
    for question, one, other in zip(trials, before, after, strict=True):
        assert other == answer_in_other_words(one, types), question
    assert {answer["reason"] for answer in before} >= COMMON


# --- order


def shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, list):
        return [shuffled(item, chance) for item in value]
    if not isinstance(value, dict):
        return value
    members = [(name, shuffled(member, chance)) for name, member in value.items()]
    chance.shuffle(members)
    return dict(members)


def test_the_order_of_members_changes_nothing(bridges: Deciders, engine: str) -> None:
    chance = random.Random(tally.seed())
    trials = [
        LawTrial(encoded_request(*question), encoded_request(*shuffled([*question], chance)))
        for question in drawn(any_question)
    ]
    assert sum(trial.before != trial.after for trial in trials) > TRIALS / 5
    for trial, before, after in both(bridges.bridge(engine, DEFAULT), trials):
        assert before == after, trial


# --- ways to ask


def test_all_ways_to_ask_agree(bridges: Deciders, engine: str) -> None:
    bridge = bridges.bridge(engine, DEFAULT)
    by_reason: dict[str, list[tuple[Any, Any, Any]]] = {}
    for question in drawn(any_question):
        if not isinstance(question[0], str) and not isinstance(question[2], str):
            reason = bridges.bridge("reference", DEFAULT).check(*question).reason
            by_reason.setdefault(reason, []).append(question)
    assert by_reason.keys() >= COMMON
    trials = [question for questions_ in by_reason.values() for question in questions_[:FEW]]
    for claims, type_, resource in trials:
        decision = bridge.check(claims, type_, resource)
        answer = decision.as_dict()
        question = encoded_request(claims, type_, resource)
        assert bool(decision) is decision.allow
        assert answers(bridge, [question]) == [answer]
        assert [one.as_dict() for one in bridge.check_many(claims, type_, [resource, resource])] == [answer, answer]
        assert allow_entrypoint(bridge, question) is decision.allow
        explanation = bridge.explain(claims, type_, resource)
        assert explanation.decision.as_dict() == answer
        assert tuple(demand.failure for demand in explanation.failures) == decision.failures
        for demand in explanation.failures:
            assert (demand.actual is ABSENT) is (demand.failure.code == "missing")
            assert demand.actual is ABSENT or not reference.equal(demand.expected, demand.actual)
        if type_ in DEFAULT.types and _is_resource(resource):
            bridge.push(type_, [resource], force=True)
            assert bridge.check(claims, type_, resource["id"]).as_dict() == answer
            assert bridge.explain(claims, type_, resource["id"]).failures == explanation.failures


def allow_entrypoint(bridge: PolicyBridge, question: Request) -> object:
    """What the public entrypoint says; the reference has none."""
    engine = bridge.engine
    path = entrypoint(bridge, "allow")
    if isinstance(engine, OpaEngine):
        return engine.opa.query(path.split("/"), b'{"input":' + question.text + b"}").result
    if isinstance(engine, WasmEngine):
        return engine._pool.evaluate(path, question.text)
    return answers(bridge, [question])[0]["allow"]


# --- invalid policies


@st.composite
def invalid_policies(draw: Draw) -> tuple[Any, Any]:
    """A policy claim that is invalid by the way it was made, and a resource that it might be thought to describe."""
    policy = broken_policies(draw, DEFAULT)
    description = policy.get(DEFAULT.types[0]) if isinstance(policy, dict) else None
    return policy, resources(draw, description)


def test_an_invalid_policy_claim_allows_nothing_of_any_type(bridges: Deciders, engine: str) -> None:
    bridge = bridges.bridge(engine, DEFAULT)
    types = (*DEFAULT.types, "device", "version", "")
    trials = [
        encoded_request({"policy": policy}, type_, about)
        for policy, resource in drawn(invalid_policies)
        for about in (resource, {"id": "a"})
        for type_ in types
    ]
    all_answers = answers(bridge, trials)
    for question, answer in zip(trials, all_answers, strict=True):
        assert answer["allow"] is False, question
    known = [encode(type_) for type_ in DEFAULT.types]
    for question, answer in zip(trials, all_answers, strict=True):
        if question.type in known and question.resource == encode({"id": "a"}):
            assert answer["reason"] == "invalid_policy", question


def _is_resource(value: Any) -> bool:
    return isinstance(parse_resource(parse(encode(value))), Resource)
