"""The vectors about tokens: of the verifier, and of rules that verify tokens, on a real OPA."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from conformance.committed_vectors import FOLDER, breaches, have_all_members, read_as_any_parser_does, shown
from rule_files import write_rules

from bridge import reference
from bridge.conformance.token_cases import INVALID_SETTING, TokenCase, token_cases
from bridge.conformance.vectors import token_files
from bridge.engines import OpaEngine
from bridge.errors import ConfigurationError, InvalidTokenError
from bridge.policy import PolicySettings
from bridge.rendering import RuleSet, TokenChecks
from bridge.rendering.token_checks import ALGORITHMS
from bridge.strict_json import encode, parse
from bridge.tokens import may_be_sent_raw

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridge.opa import ManagedOpa

SCHEMA = FOLDER / "tokens.schema.json"
FILES = token_files(FOLDER)
CASES = [case for path in FILES for case in token_cases(path)]
RULES = ["Tokens", *(f"R12.{number}" for number in range(1, 7))]
CODES = {kind.code for kind in InvalidTokenError.__subclasses__()} | {INVALID_SETTING}
FROM, UNTIL = 1_704_067_200, 4_102_444_799  # 2024 to 2099


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_the_verifier_gives_the_outcome(case: TokenCase) -> None:
    assert case.outcome() == case.expected


@pytest.mark.parametrize("now", [FROM, UNTIL])
def test_without_a_time_of_its_own_an_outcome_is_the_same_at_any(now: int) -> None:
    assert [case.name for case in CASES if case.outcome(lambda: now) != case.expected] == []


# On OPA.


def _checks(case: TokenCase) -> TokenChecks | None:
    """The checks of a case's verifier, for rules; None where rules are not made for them."""
    settings = case.settings
    if case.token is None or case.now is not None or settings.get("leeway") or case.key.form not in ("pem", "jwks"):
        return None
    if not ALGORITHMS.issuperset(settings.get("algorithms", ())):
        return None
    try:
        return TokenChecks(
            case.key.data.decode(),
            **{name: settings[name] for name in ("algorithms", "audience", "issuer", "required") if name in settings},
        )
    except ConfigurationError:
        return None  # Ed448, which OPA does not have


RULE_SETS = {
    checks: RuleSet(package_root=f"vectors.r{number}", data_root=f"vectors_data.r{number}", token=checks)
    for number, checks in enumerate(dict.fromkeys(filter(None, map(_checks, CASES))))
}
FOR_OPA = [case for case in CASES if _checks(case) is not None]


# OPA 1.22.4 takes a time that grows with the square of the modules that it compiles together.
AT_ONCE = 10


@pytest.mark.parametrize("first", range(0, len(RULE_SETS), AT_ONCE))
def test_rules_on_opa_give_the_outcome(first: int, start_opa: Callable[..., ManagedOpa], tmp_path: Path) -> None:
    rule_sets = dict(list(RULE_SETS.items())[first : first + AT_ONCE])
    for rule_set in rule_sets.values():
        write_rules(tmp_path, rule_set)
    opa = start_opa([tmp_path])
    differing = []
    for case in FOR_OPA:
        if (rule_set := rule_sets.get(_checks(case))) is None:
            continue
        engine = OpaEngine(opa.url, rule_set)
        for resource in ({"id": "device-1"}, {"id": "device-2"}):
            question = {"token": case.token, "type": "devices", "resource": resource}
            outcome = engine.query("decision", encode(question, max_bytes=2_000_000))
            if shown(outcome) not in _wanted(case, resource):
                differing.append(f"{case.name}: {shown(outcome)}")
        engine.close()
    opa.stop()
    assert not differing, "\n".join(differing)


def test_most_cases_are_asked_of_rules_on_opa() -> None:
    assert len(FOR_OPA) >= 300
    assert {_checks(case) for case in FOR_OPA} <= RULE_SETS.keys()


def _wanted(case: TokenCase, resource: dict[str, str]) -> list[str]:
    """The decisions, one of which must be given."""
    refused = {"allow": False, "reason": "invalid_token"}
    claims = case.expected.get("claims")
    if claims is not None:
        decision = reference.decide(
            {"claims": parse(claims), "type": "devices", "resource": resource}, PolicySettings()
        )
        # What may not be sent raw is sent as claims by the bridge; rules that refuse it are on the safe side.
        return [shown(decision.as_dict()), *([] if may_be_sent_raw(case.token) else [shown(refused)])]
    return [shown(refused), shown({"allow": False, "reason": "malformed_input"})]


# The table itself.


def test_every_file_follows_the_schema() -> None:
    assert breaches(SCHEMA, FILES) == []
    assert have_all_members(SCHEMA, FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_any_json_parser_reads_a_file_alike(path: Path) -> None:
    """Numbers that parsers round, and members that they drop, stand in texts."""
    read_as_any_parser_does(path)


def test_names_are_unique() -> None:
    assert [name for name, times in Counter(case.name for case in CASES).items() if times > 1] == []
    assert len(CASES) >= 600


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_accepting_case_stands_beside_a_refusing_one(path: Path) -> None:
    accepts = ["claims" in case.expected for case in token_cases(path)]
    names = [case.name for case in token_cases(path)]
    alone = [name for number, name in enumerate(names) if all(accepts[max(number - 1, 0) : number + 2])]
    assert not alone


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_names_the_rules_of_its_cases_and_uses_its_keys(path: Path) -> None:
    document = json.loads(path.read_text(encoding="ascii"))
    assert document["rules"] == _ordered({rule for case in document["cases"] for rule in case["rules"]})
    assert all(case["rules"] == _ordered(case["rules"]) for case in document["cases"])
    assert set(document["keys"]) == {case["key"] for case in document["cases"]}


def _ordered(rules: Any) -> list[str]:
    return sorted(rules, key=RULES.index)


def test_every_rule_is_cited_by_accepting_and_refusing_cases() -> None:
    for accepts in (True, False):
        assert {rule for case in CASES if ("claims" in case.expected) is accepts for rule in case.rules} == set(RULES)


def test_every_error_and_every_algorithm_is_wanted_by_a_case() -> None:
    assert {case.expected["error"] for case in CASES if "error" in case.expected} == CODES
    accepted = {name for case in CASES if "claims" in case.expected for name in case.settings.get("algorithms", ())}
    assert accepted == ALGORITHMS | {"HS256", "HS384", "HS512"}
