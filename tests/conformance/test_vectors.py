"""The vectors, asked of every decider in every way there is: the same verdict, reason, details and order."""

from __future__ import annotations

import contextlib
import itertools
import json
import secrets
import shutil
import subprocess
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from conformance.committed_vectors import (
    FILES,
    FOLDER,
    SCHEMA,
    PolicyCase,
    all_cases,
    breaches,
    cases,
    have_all_members,
    read_as_any_parser_does,
    shown,
)
from conformance.engine_queries import (
    QUERY_METHODS,
    CaseQuery,
    Deciders,
    QueryMethod,
    as_they_stand,
    by_id,
    differences,
    entrypoint_url,
    is_pushable,
    objects,
)
from json_lookalikes import DictSubclass, TextSubclass

from bridge.client import PolicyBridge
from bridge.decision import Reason
from bridge.engines import ReferenceEngine
from bridge.errors import MalformedInputError
from bridge.policy import PolicySettings
from bridge.store import from_lines, from_objects, layout
from bridge.strict_json import encode, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

RULES = [
    *(f"R{number}" for number in range(1, 8)),
    *(f"R8.{number}" for number in range(1, 9)),
    *("R9", "R10", "R11"),
    *(f"R12.{number}" for number in range(1, 9)),
]
ONLY_DENYING = {"R4", "R5", "R6"}
ONLY_ALLOWING = {"R7"}
VIOLATION_CODES = {
    "not_an_object",
    "version_missing",
    "version_unsupported",
    "unknown_resource_type",
    "unknown_field",
    "not_a_string",
}
OUTSIDE_THE_VECTORS = {Reason.INVALID_TOKEN, Reason.ENGINE_UNAVAILABLE}
OF_VALUES = {"R12.3", "R12.4", "R12.5", "R12.6"}
SIDES: dict[str, Callable[[Iterable[PolicyCase]], list[CaseQuery]]] = {"inline": as_they_stand, "stored": by_id}


@pytest.fixture(scope="module")
def deciders(another_opa_url: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deciders]:
    new_deciders = Deciders(another_opa_url, tmp_path_factory.mktemp("wasm"), secrets.token_hex(6))
    yield new_deciders
    new_deciders.close()


# The decisions.


def _questions_by_file() -> Iterator[Any]:
    for path, side in itertools.product(FILES, SIDES):
        questions = SIDES[side](cases(path))
        for way in QUERY_METHODS:
            if fitting := [question for question in questions if way.fits(question)]:
                yield pytest.param(way, fitting, id=f"{path.stem}-{way}-{side}")


@pytest.mark.parametrize(("way", "questions"), list(_questions_by_file()))
def test_the_answers_are_those_of_the_vectors(deciders: Deciders, way: QueryMethod, questions: list[CaseQuery]) -> None:
    differing = differences(deciders, way, questions)
    assert not differing, f"{len(differing)} of {len(questions)} cases differ:\n" + "\n".join(differing)


@pytest.mark.parametrize("engine", ["reference", "wasm", "opa"])
def test_every_case_that_is_not_refused_is_asked_of_every_engine(engine: str) -> None:
    ways = [way for way in QUERY_METHODS if way.engine == engine]
    left_out = [question for question in as_they_stand(all_cases()) if not any(way.fits(question) for way in ways)]
    # The Wasm engine keeps its own store, which takes no broken resources.
    assert engine == "wasm" or not left_out
    assert all(not is_pushable(question) for question in left_out)


@pytest.mark.parametrize("name", ["decision", "allow", "decisions"])
def test_no_input_at_all_allows_nothing(deciders: Deciders, name: str) -> None:
    bridge = deciders.bridge("opa", PolicySettings())
    wanted = {"decision": {"allow": False, "reason": "malformed_input"}, "allow": False, "decisions": []}[name]
    url = entrypoint_url(bridge, name)
    assert shown(deciders.http.post(url, data=b"{}", timeout=60).json()["result"]) == shown(wanted)


# The seed's examples, without any Python of the bridge between the question and the answer.


@pytest.mark.parametrize("side", SIDES)
def test_seed_over_plain_http(deciders: Deciders, side: str) -> None:
    bridge = deciders.bridge("opa", PolicySettings())
    root = bridge.engine.rule_set.data_root
    url = entrypoint_url(bridge, "decision")
    stored: dict[str, dict[str, object]] = {}
    questions_and_cases = []
    for case in json.loads((FOLDER / "seed.json").read_text(encoding="utf-8"))["cases"]:
        question = {name: case[name] for name in ("claims", "type", "resource")}
        if side == "stored":
            resource = question.pop("resource")
            question["id"] = resource["id"]
            stored.setdefault(case["type"], {})[resource["id"]] = resource
        questions_and_cases.append((question, case))
    data = {
        type_: json.loads(layout.document({encode(id_): encode(value) for id_, value in resources.items()}))
        for type_, resources in stored.items()
    }
    assert deciders.http.put(f"{bridge.engine.opa.url}/v1/data/{root}", json=data, timeout=60).status_code in (204, 304)
    differing = [
        f"{case['name']}: {answer}"
        for question, case in questions_and_cases
        if shown(answer := plain_http(url, {"input": question})) != shown({"result": case["expect"]})
    ]
    assert not differing, "\n".join(differing)


def plain_http(url: str, body: object) -> Any:
    """By `curl`, or by the standard library on a machine without one."""
    data = json.dumps(body).encode()
    curl = shutil.which("curl")
    if curl is None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, data, timeout=60) as answer:
            return _without_decision_id(json.load(answer))
    done = subprocess.run(
        [curl, "--silent", "--show-error", "--noproxy", "*", "--max-time", "30", "--data-binary", "@-", url],
        input=data,
        capture_output=True,
        check=True,
    )
    return _without_decision_id(json.loads(done.stdout))


def _without_decision_id(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "decision_id"}


# The rejected.


def _refusals() -> list[Any]:
    return [pytest.param(case, *case.refused, id=case.name) for case in all_cases() if case.refused]


@pytest.mark.parametrize(("case", "rule", "what"), _refusals())
def test_a_refused_text_is_refused_by_its_rule(case: PolicyCase, rule: str, what: str) -> None:
    with pytest.raises(MalformedInputError) as refusal:
        case.canonical(what)
    assert refusal.value.rule == rule
    for other in {"claims", "type", "resource", "id"} - {what}:
        case.canonical(other)


def test_a_text_that_is_not_refused_is_read() -> None:
    assert [case.name for case in all_cases() if not case.is_accepted] == [
        case.name for case in all_cases() if case.refused
    ]


def _refused_objects() -> list[Any]:
    """Claims, type and resource as objects, where they show what is wrong with the text."""
    params = []
    for case in all_cases():
        if case.refused and case.refused[0] in OF_VALUES:
            texts = (case.texts["claims"], case.members["type"], case.texts["resource"])
            with contextlib.suppress(ValueError, RecursionError):  # more than the standard library reads
                params.append(pytest.param([objects(text) for text in texts], *case.refused, id=case.name))
    return params


@pytest.mark.parametrize(("arguments", "rule", "what"), _refused_objects())
def test_refused_objects_are_refused_by_the_same_rule(arguments: list[Any], rule: str, what: str) -> None:
    with pytest.raises(MalformedInputError) as refusal:
        PolicyBridge(ReferenceEngine()).check(*arguments)
    assert refusal.value.rule == rule
    assert refusal.value.what.startswith(what)


def test_every_rule_of_values_refuses_objects() -> None:
    assert {parameters.values[1] for parameters in _refused_objects()} == OF_VALUES


@pytest.mark.parametrize(
    ("case", "rule"),
    [
        pytest.param(case, case.refused[0], id=case.name)
        for case in all_cases()
        # A line feed would end the line.
        if case.refused and case.refused[1] == "resource" and b"\n" not in case.texts["resource"]
    ],
)
def test_a_refused_resource_is_not_pushed(case: PolicyCase, rule: str) -> None:
    collected = from_lines([case.texts["resource"] + b"\n"])
    assert not collected.resources
    (refusal,) = collected.rejected
    assert refusal.place == "line 1"
    assert f"({rule})" in refusal.cause


def test_what_is_no_resource_is_not_pushed() -> None:
    invalid = [
        parse(case.texts["resource"])
        for case in all_cases()
        if case.expected["reason"] == Reason.INVALID_RESOURCE and "resource" in case.texts
    ]
    collected = from_objects(invalid)
    assert not collected.resources
    assert len(collected.rejected) == len(invalid)
    assert all("(R12.8)" in refusal.cause for refusal in collected.rejected)


# The table itself.


def test_every_file_follows_the_schema() -> None:
    assert breaches(SCHEMA, FILES) == []
    assert have_all_members(SCHEMA, FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_any_json_parser_reads_a_file_alike(path: Path) -> None:
    """Numbers that parsers round, and members that they drop, stand in texts."""
    read_as_any_parser_does(path)


def test_names_are_unique() -> None:
    names = [case.name for case in all_cases()]
    assert len(set(names)) == len(names)
    assert len(names) >= 300


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_allowing_case_stands_beside_a_denying_one(path: Path) -> None:
    verdicts = [case.expected["allow"] for case in cases(path)]
    assert True in verdicts
    alone = [case.name for number, case in enumerate(cases(path)) if all(verdicts[max(number - 1, 0) : number + 2])]
    assert not alone


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_names_the_rules_of_its_cases(path: Path) -> None:
    document = json.loads(path.read_text(encoding="ascii"))
    assert document["rules"] == _ordered({rule for case in document["cases"] for rule in case["rules"]})
    for case in document["cases"]:
        assert case["rules"] == _ordered(case["rules"]), case["name"]


def _ordered(rules: Iterable[str]) -> list[str]:
    return sorted(rules, key=RULES.index)


def test_every_rule_is_cited_by_allowing_and_denying_cases() -> None:
    cited = {
        allow: {rule for case in all_cases() if case.expected["allow"] is allow for rule in case.rules}
        for allow in (True, False)
    }
    assert cited[True] == set(RULES) - ONLY_DENYING
    assert cited[False] == set(RULES) - ONLY_ALLOWING


def test_every_reason_and_code_is_wanted_by_a_case() -> None:
    expected = [case.expected for case in all_cases()]
    assert {answer["reason"] for answer in expected} == set(Reason) - OUTSIDE_THE_VECTORS
    codes = {detail["code"] for answer in expected for detail in answer.get("violations", [])}
    assert codes == VIOLATION_CODES
    assert {detail["code"] for answer in expected for detail in answer.get("failures", [])} == {"missing", "different"}
    assert {case.refused[0] for case in all_cases() if case.refused} == {f"R12.{number}" for number in range(1, 7)}


def test_wanted_details_are_sorted_by_code_points() -> None:
    for case in all_cases():
        for details in (case.expected.get("violations", []), case.expected.get("failures", [])):
            pairs = [(detail["pointer"], detail["code"]) for detail in details]
            assert pairs == sorted(pairs), case.name


# R12.7 is about Python objects, which no vector can hold.


def _cycle() -> list[object]:
    cycle: list[object] = []
    cycle.append(cycle)
    return cycle


@pytest.mark.parametrize(
    "value",
    [
        pytest.param((1, 2), id="tuple"),
        pytest.param({1, 2}, id="set"),
        pytest.param(b"x", id="bytes"),
        pytest.param(1j, id="complex"),
        pytest.param(object(), id="object"),
        pytest.param(Reason.MATCHED, id="string-enum"),
        pytest.param(TextSubclass("x"), id="subclass-of-str"),
        pytest.param(DictSubclass(), id="subclass-of-dict"),
        pytest.param({1: 2}, id="number-as-name"),
        pytest.param({None: 2}, id="none-as-name"),
        pytest.param({True: 2}, id="true-as-name"),
        pytest.param({TextSubclass("x"): 2}, id="subclass-of-str-as-name"),
        pytest.param([0] * 1_000_001, id="more-than-a-million-values"),
    ],
)
@pytest.mark.parametrize("what", ["claims", "resource"])
def test_python_objects_that_are_no_json_are_refused(what: str, value: object) -> None:
    arguments: dict[str, dict[str, object]] = {"claims": {}, "resource": {"id": "x"}}
    arguments[what]["x"] = value
    bridge = PolicyBridge(ReferenceEngine())
    with pytest.raises(MalformedInputError) as refusal:
        bridge.check(arguments["claims"], "devices", arguments["resource"])
    assert refusal.value.rule == "R12.7"
    assert refusal.value.what.startswith(what)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(float("nan"), id="nan"),
        pytest.param(float("inf"), id="infinity"),
        pytest.param(_cycle(), id="cycle"),
    ],
)
def test_python_objects_without_an_end_or_a_value_are_refused(value: object) -> None:
    bridge = PolicyBridge(ReferenceEngine())
    with pytest.raises(MalformedInputError):
        bridge.check({"x": value}, "devices", {"id": "x"})
    with pytest.raises(MalformedInputError):
        bridge.check({}, "devices", {"id": "x", "x": value})


@pytest.mark.parametrize("engine", ["reference", "wasm", "opa"])
@pytest.mark.parametrize(
    ("wanted", "actual", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0.1, "0.1", False),
        (0.1, 0.1, True),
        (0.1 + 0.2, 0.3, False),
        (0.1 + 0.2, 0.30000000000000004, True),
        (-0.0, 0, True),
        (2**53 + 1, float(2**53), False),
        (2**53, float(2**53), True),
        (1e22, 10**22, True),
        (1e23, 10**23, True),
        (1e23, int(1e23), False),
        (5e-324, 5e-324, True),
        (5e-324, 0.0, False),
        (1.7976931348623157e308, 1.7976931348623157e308, True),
    ],
)
def test_python_numbers_are_what_they_spell(
    deciders: Deciders,
    engine: str,
    wanted: object,
    actual: object,
    equal: bool,  # noqa: FBT001 - a column of the table
) -> None:
    bridge = deciders.bridge(engine, PolicySettings())
    claims: dict[str, object] = {"policy": {"version": 2, "devices": {"custom_data": {"v": wanted}}}}
    assert bridge.check(claims, "devices", {"id": "x", "custom_data": {"v": actual}}).allow is equal
