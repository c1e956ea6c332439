"""`jwt-bridge conformance`, on each engine."""

from __future__ import annotations

import json
import re
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest
from cli_process import PATIENCE, between, ended, run, run_here, started
from conformance.committed_vectors import FILES, FOLDER, all_cases, cases

from bridge.conformance.case_queries import as_they_stand, is_pushable
from bridge.conformance.token_cases import token_cases
from bridge.conformance.vectors import token_files
from bridge.engines import OpaEngine
from bridge.errors import OpaStatusError
from bridge.opa import OpaClient
from bridge.policy import PolicySettings
from bridge.rendering import RuleSet, TokenChecks
from bridge.strict_json import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fault_server import Exchange

    from bridge.opa import ManagedOpa

TOKENS = [case for path in token_files(FOLDER) for case in token_cases(path)]
ALL = len(all_cases()) + len(TOKENS)
NOT_READING = {
    case.name
    for case in all_cases()
    if case.is_accepted and (case.settings != PolicySettings() or "id" in case.members)
}
NOT_IN_WASM = {question.case.name for question in as_they_stand(all_cases()) if not is_pushable(question)}
SEED, SETTINGS = (len(cases(FOLDER / f"{name}.json")) for name in ("seed", "settings"))
PEM = next(case.key.data.decode() for case in TOKENS if case.key.form == "pem")
EQUAL = 'object.get(description, "id", resource.id) == resource.id'


@pytest.fixture(scope="module")
def opa(start_opa: Callable[..., ManagedOpa]) -> ManagedOpa:
    """An OPA that nobody else uses, to be as empty after each test as before."""
    return start_opa()


@pytest.fixture
def client(opa: ManagedOpa) -> Iterator[OpaClient]:
    with OpaClient(opa.url, deadline=PATIENCE) as client:
        yield client
        assert state(client) == ((), {})


@pytest.fixture
def installed(client: OpaClient) -> Iterator[OpaEngine]:
    """The default rules, and a resource of somebody's whose id a vector asks for."""
    engine = OpaEngine(client)
    engine.install()
    engine.store.replace("devices", {b'"stored"': b'{"id":"stored"}'})
    yield engine
    engine.uninstall()


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """A folder with a few of the vectors, of every kind, for what need not be asked all of them."""
    folder = tmp_path / "few"
    (folder / "tokens").mkdir(parents=True)
    for name in ("seed.json", "r2_by_id.json", "settings.json", "malformed_input.json", "schema.json"):
        shutil.copy(FOLDER / name, folder)
    shutil.copy(FOLDER / "tokens" / "algorithms.json", folder / "tokens")
    return folder


def state(client: OpaClient) -> tuple[object, object]:
    """All that is on an OPA."""
    return client.list_policies(), client.get_data(())


def rows(text: str) -> dict[str, tuple[int, ...]]:
    """The table: by file how many cases, passed, differing and not run."""
    matches = re.findall(r"^(\S+) +([\d,]+) +([\d,]+) +([\d,]+) +([\d,]+)$", text, re.MULTILINE)
    return {name: tuple(int(number.replace(",", "")) for number in numbers) for name, *numbers in matches}


def at(opa: ManagedOpa, *more: object) -> tuple[object, ...]:
    return ("conformance", "--engine", "opa", "--opa-url", opa.url, *more)


# --- that all agree


@pytest.mark.parametrize("engine", ["wasm", "reference", "opa"])
def test_all_vectors_on_each_engine(engine: str, opa: ManagedOpa, client: OpaClient) -> None:
    arguments = at(opa, "--write") if engine == "opa" else ("conformance", "--engine", engine)
    done = run(*arguments)
    table = rows(done.text)
    files = [*(path.stem for path in FILES), *(f"tokens/{path.stem}" for path in token_files(FOLDER))]
    assert list(table) == [*files, "all"]
    assert table["all"] == tuple(map(sum, zip(*(table[name] for name in files), strict=True)))
    # The Wasm engine's store takes no broken resources.
    not_run = len(NOT_IN_WASM) if engine == "wasm" else 0
    assert table["all"] == (ALL, ALL - not_run, 0, not_run)
    assert done.text.count(" not run: ") == (engine == "wasm")
    assert done.stderr == ""
    assert state(client) == ((), {})


def test_the_installed_rules_are_asked_and_nothing_is_written(
    opa: ManagedOpa, client: OpaClient, installed: OpaEngine
) -> None:
    before = state(client)
    with between(opa.url, lambda *_: None) as server:
        done = run("conformance", "--engine", "opa", "--opa-url", server.url)
    table = rows(done.text)
    assert table["all"] == (ALL, ALL - len(NOT_READING), 0, len(NOT_READING))
    assert table["r2_by_id"][3] == table["r2_by_id"][0]
    assert "not run: they ask for stored resources" in done.text
    assert "not run: their settings are not those of the installed rules" in done.text
    assert {exchange.line.split()[0] for exchange in server.exchanges} == {"POST"}
    paths = {exchange.line.split()[1].partition("?")[0] for exchange in server.exchanges}
    root = f"/v1/data/{installed.rule_set.package_root}"
    assert paths == {f"{root}/{name}" for name in ("decision", "allow", "decisions", "answer")}
    assert state(client) == before


def test_rules_of_other_settings_are_asked_the_cases_of_these(opa: ManagedOpa, client: OpaClient, few: Path) -> None:
    policy = PolicySettings(types=("rooms", "users"))  # the vectors have them the other way round
    engine = OpaEngine(client, RuleSet(policy=policy, package_root="acme.rules"))
    engine.install()
    types = ("--resource-type", "rooms", "--resource-type", "users")
    table = rows(run(*at(opa, "--vectors", few, "--package-root", "acme.rules", *types)).text)
    engine.uninstall()
    fitting_cases = [
        case
        for case in cases(few / "settings.json")
        if set(case.settings.types) == {"rooms", "users"} and "id" not in case.members
    ]
    assert len(fitting_cases) > 3
    assert table["settings"][1] == len(fitting_cases)
    assert table["seed"][1] == 0


def test_rules_that_verify_tokens_are_asked_with_claims(
    opa: ManagedOpa, client: OpaClient, few: Path, tmp_path: Path
) -> None:
    key = tmp_path / "public.pem"
    key.write_text(PEM)
    engine = OpaEngine(client, RuleSet(token=TokenChecks(PEM)))
    engine.install()
    done = run(*at(opa, "--vectors", few, "--key", key))
    assert "fingerprint" in run(*at(opa, "--vectors", few), status=3).stderr
    engine.uninstall()
    table = rows(done.text)
    assert table["seed"] == (SEED, SEED, 0, 0)
    assert table["malformed_input"][3] > 0
    assert table["all"][2] == 0


def test_wasm_of_other_settings_needs_an_opa_to_build_it(few: Path, tmp_path: Path) -> None:
    done = run("conformance", "--vectors", few, PATH=str(tmp_path), JWT_BRIDGE_OPA=None)
    table = rows(done.text)
    assert table["settings"] == (SETTINGS, 0, 0, SETTINGS)
    assert table["seed"] == (SEED, SEED, 0, 0)
    assert "need a Wasm build of their own, and no `opa` was found that can build it" in done.text


# --- that not all agree


@pytest.fixture
def rigged(installed: OpaEngine, client: OpaClient) -> OpaEngine:
    """The rules of before, but that no demand of an `id` is looked at; the fingerprint is still theirs."""
    (policy,) = (each for each in client.list_policies() if each.id.endswith("/constraint.rego"))
    assert EQUAL in policy.text
    client.put_policy(policy.id, policy.text.replace(EQUAL, "true"))
    return installed


@pytest.mark.usefixtures("rigged")
def test_a_changed_rule_is_found(opa: ManagedOpa) -> None:
    done = run(*at(opa), status=1)
    wanted = {
        case.name
        for case in all_cases()
        if case.expected.get("failures") == [{"pointer": "/id", "code": "different"}]
        and case.settings == PolicySettings()
        and "id" not in case.members
    }
    named = re.findall(r"^(\S+)  (\S+), (R[\d., R]*); asked by (.*)$", done.text, re.MULTILINE)
    assert len(wanted) > 10
    assert {name for name, *_ in named} == wanted
    assert rows(done.text)["all"][2] == len(wanted)
    by_name = {case.name: case for case in all_cases()}
    for name, file, rules, _ in named:
        assert file == by_name[name].file
        assert tuple(rules.split(", ")) == by_name[name].rules
    assert {ways for *_, ways in named} == {"decision, answer", "allow", "decisions"}
    failure = '"failures": [{"code": "different", "pointer": "/id"}]'
    assert f'  expected  {{"allow": false, {failure}, "reason": "constraint_failed"}}' in done.text
    assert '  actual    {"allow": true, "reason": "matched"}' in done.text


@pytest.mark.usefixtures("rigged")
def test_with_write_the_rules_that_are_there_do_not_count(opa: ManagedOpa, client: OpaClient, few: Path) -> None:
    before = state(client)
    assert rows(run(*at(opa, "--write", "--vectors", few)).text)["all"][2:] == (0, 0)
    assert state(client) == before


def test_a_rule_that_fails_is_a_difference(opa: ManagedOpa, client: OpaClient, installed: OpaEngine, few: Path) -> None:
    """OPA answers with an error to the questions that it fails at, and one of these does not hide the others."""
    (policy,) = (each for each in client.list_policies() if each.id.endswith("/resource.rego"))
    client.put_policy(policy.id, policy.text + '\nare_valid(values) := false if values[_].id == "12345"\n')
    failing = [case for case in cases(few / "seed.json") if b'"id":"12345"' in (case.request().resource or b"")]
    assert 0 < len(failing) < SEED
    for case in failing:
        # OPA changed this text in 1.22.
        with pytest.raises(OpaStatusError, match=r"must not produce multiple outputs|produced conflicting values"):
            installed.query("decision", case.request().text)
    done = run(*at(opa, "--vectors", few), status=1)
    assert rows(done.text)["seed"] == (SEED, SEED - len(failing), len(failing), 0)
    assert all(f"\n{case.name}  seed, " in done.text for case in failing)
    assert '  actual    "`POST /v1/data/jwt_policy/decision`: opa answered 500 `internal_error`' in done.text


@pytest.mark.usefixtures("installed")
def test_an_entrypoint_that_is_not_there_is_a_difference(opa: ManagedOpa, client: OpaClient, few: Path) -> None:
    (policy,) = (each for each in client.list_policies() if each.id.endswith("/jwt_policy.rego"))
    text = policy.text.replace("default allow :=", "default permit :=").replace("allow if", "permit if")
    client.put_policy(policy.id, text)
    done = run(*at(opa, "--vectors", few), status=1)
    assert rows(done.text)["seed"] == (SEED, 0, SEED, 0)
    assert '; asked by allow\n  expected  true\n  actual    "no result"\n' in done.text


def changed(folder: Path, file: str, change: Callable[[dict[str, Any]], None]) -> str:
    """Change the first case of a file; gives its name."""
    path = folder / file
    document = json.loads(path.read_text())
    change(document["cases"][0])
    path.write_text(json.dumps(document))
    return document["cases"][0]["name"]


@pytest.mark.parametrize("engine", ["wasm", "reference"])
def test_each_engine_is_held_to_the_vectors(engine: str, few: Path) -> None:
    def deny(case: dict[str, Any]) -> None:
        case["expect"] = {"allow": False, "reason": "type_not_granted"}

    name = changed(few, "seed.json", deny)
    done = run("conformance", "--engine", engine, "--vectors", few, status=1)
    assert rows(done.text)["seed"] == (SEED, SEED - 1, 1, 0)
    assert f"\n{name}  seed, " in done.text
    assert '\n  expected  {"allow": false, "reason": "type_not_granted"}\n' in done.text


def test_the_verifier_is_held_to_the_vectors(few: Path) -> None:
    name = changed(few, "tokens/algorithms.json", lambda case: case.update(expect={"error": "expired"}))
    done = run("conformance", "--vectors", few, status=1)
    assert rows(done.text)["tokens/algorithms"][2] == 1
    assert f"\n{name}  tokens/algorithms, Tokens; asked by verifier\n" in done.text
    assert '\n  expected  {"error": "expired"}\n  actual    {"claims": ' in done.text


def test_a_text_is_refused_by_the_rule_that_is_wanted(few: Path) -> None:
    shutil.copy(FOLDER / "r12_text.json", few)
    path = few / "r12_text.json"
    path.write_text(path.read_text().replace('"rule": "R12.2"', '"rule": "R12.3"', 1))
    done = run("conformance", "--vectors", few, status=1)
    assert 'asked by text\n  expected  "claims refused by R12.3"\n  actual    "claims refused by R12.2"' in done.text


# --- faults


def test_without_rules(opa: ManagedOpa, client: OpaClient) -> None:
    assert "`jwt-bridge install` uploads them" in run(*at(opa), status=3).stderr
    assert state(client) == ((), {})


@pytest.mark.usefixtures("installed")
def test_rules_of_another_fingerprint(opa: ManagedOpa) -> None:
    done = run(*at(opa, "--require-policy"), status=3)
    assert "fingerprint" in done.stderr
    assert done.stdout == b""


@pytest.mark.parametrize("write", [[], ["--write"]], ids=["reading", "writing"])
def test_no_opa(free_port: int, write: list[str]) -> None:
    assert (
        "jwt-bridge: "
        in run("conformance", "--engine", "opa", "--opa-url", f"http://127.0.0.1:{free_port}", *write, status=3).stderr
    )


@pytest.fixture
def free_port(start_opa: Callable[..., ManagedOpa]) -> int:
    """The port of an OPA that has ended."""
    opa = start_opa()
    port = int(opa.url.rsplit(":", 1)[1])
    opa.stop()
    return port


@pytest.mark.parametrize("status", ["503 Service Unavailable", "403 Forbidden"])
def test_nothing_is_left_after_a_fault(opa: ManagedOpa, client: OpaClient, few: Path, status: str) -> None:
    seen: list[str] = []

    def late(exchange: Exchange, _: bytes) -> tuple[str, bytes] | None:
        if exchange.line.startswith("POST "):
            seen.append(exchange.line)
        return (status, b"the gateway says no") if len(seen) > 40 and exchange.line.startswith("POST ") else None

    with between(opa.url, late) as server:
        done = run("conformance", "--engine", "opa", "--opa-url", server.url, "--write", "--vectors", few, status=3)
    assert status[:3] in done.stderr
    assert done.stdout == b""
    assert client.get_data(("jwt_policy",)) is ABSENT


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_nothing_is_left_when_it_is_ended(
    opa: ManagedOpa, client: OpaClient, few: Path, number: signal.Signals, status: int
) -> None:
    def end(exchange: Exchange, _: bytes) -> None:
        if exchange.line.startswith("POST ") and exchange.number > 40 and client.list_policies():
            process.send_signal(number)

    with (
        between(opa.url, end) as server,
        started("conformance", "--engine", "opa", "--opa-url", server.url, "--write", "--vectors", few) as process,
    ):
        ended(process, status)


# --- misuse


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--write"], "--write is for --engine opa"),
        (["--engine", "reference", "--write"], "--write is for --engine opa"),
        (["--opa-url", "http://127.0.0.1:8181"], "--opa-url is for --engine opa"),
        (["--engine", "opa"], "no OPA server is named: give --opa-url, or set OPA_URL"),
        (["--require-policy"], "--require-policy: options of the rules need --engine opa"),
        (["--engine", "opa", "--write", "--claim", "x", "--alg", "RS256"], "--claim, --alg: options of the rules need"),
        (["--vectors", "/nowhere"], "`/nowhere`: it has no vectors: give a folder with"),
        (["--engine", "opa", "--issuer", "x"], "give --key or --jwks as well"),
    ],
)
def test_misuse(arguments: list[str], complaint: str) -> None:
    assert complaint in run_here("conformance", *arguments, status=2).stderr


def test_rules_that_no_case_is_for(opa: ManagedOpa, client: OpaClient, few: Path) -> None:
    engine = OpaEngine(client, RuleSet(policy=PolicySettings(claim="nobody's")))
    engine.install()
    done = run(*at(opa, "--vectors", few, "--claim", "nobody's"), status=2)
    engine.uninstall()
    assert "no case was run: " in done.stderr
    assert "--write runs all cases" in done.stderr


CASE = {
    "name": "a",
    "rules": ["R7"],
    "claims": {},
    "type": "devices",
    "resource": {"id": "1"},
    "expect": {"allow": True, "reason": "unrestricted"},
}
DENIED = {"allow": False, "reason": "constraint_failed"}
BAD_CASES = [
    ({"name": 1}, "case 1: `name`: it is not of type 'string'"),
    ({"name": ...}, "case 1: 'name' is a required property"),
    ({"rules": "R7"}, "case `a`: `rules`: it is not of type 'array'"),
    ({"rules": [7]}, "case `a`: `rules`: `0`: it is not of type 'string'"),
    ({"expect": ...}, "case `a`: 'expect' is a required property"),
    ({"expect": []}, "case `a`: `expect`: it is not of type 'object'"),
    ({"expect": {"allow": True}}, "case `a`: `expect`: 'reason' is a required property"),
    ({"expect": {"allow": 1, "reason": "matched"}}, "case `a`: `expect`: `allow`: it is not of type 'boolean'"),
    (
        {"expect": {"allow": True, "reason": "perhaps"}},
        "case `a`: `expect`: `reason`: it is not one of ['unknown_type', ",
    ),
    ({"expect": {"allow": False, "reason": "matched"}}, "case `a`: `expect`: `allow`: True was expected"),
    ({"expect": DENIED}, "case `a`: `expect`: 'failures' is a required property"),
    ({"expect": {**DENIED, "failures": [{"pointer": "/id"}]}}, "`failures`: `0`: 'code' is a required property"),
    (
        {"expect": {**DENIED, "refused": {"rule": "R12.9", "what": "claims"}, "failures": [{}]}},
        "case `a`: `expect`: `reason`: 'malformed_input' was expected",
    ),
    (
        {"expect": {"allow": False, "reason": "malformed_input", "refused": {"rule": "R12.9", "what": "claims"}}},
        "case `a`: `expect`: `refused`: `rule`: it does not match '^R12",
    ),
    ({"claim": {}}, "case `a`: Additional properties are not allowed ('claim' was unexpected)"),
    ({"claims_text": "{}"}, "case `a`: it must have only one of `claims`, `claims_text` and"),
    ({"claims": ..., "claims_text": 1}, "case `a`: `claims_text`: it must be a string, or an array of parts"),
    ({"claims": ..., "claims_text": [1]}, "case `a`: `claims_text`: it must be a string, or an array of parts"),
    ({"claims": ..., "claims_text": [{"repeat": "x", "times": 0}]}, "case `a`: `claims_text`: it must be a string, or"),
    ({"claims": ..., "claims_base64": "?"}, "case `a`: `claims_base64`: it must be base64"),
    ({"input": {}}, "case `a`: `input` is the whole request, so"),
    ({"id": "1"}, "case `a`: 'stored' is a required property"),
    ({"stored": {}}, "case `a`: 'id' is a required property"),
    ({"id": "1", "stored": {"devices": []}}, "case `a`: `stored`: `devices`: it is not of type 'object'"),
    ({"settings": {"types": []}}, "case `a`: `settings`: `types`: it should be non-empty"),
    ({"settings": {"claims": "x"}}, "case `a`: `settings`: Additional properties are not allowed ('claims' "),
]


def document(*cases: object, **more: object) -> str:
    return json.dumps({"description": "x", "cases": [*cases], **more})


def with_changes(case: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**case, **changes}.items() if value is not ...}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1, column 1"),
        ("[]", "it is not of type 'object'"),
        ("{}", "'cases' is a required property"),
        ('{"cases": 1}', "`cases`: it is not of type 'array'"),
        ('{"cases": [1]}', "case 1: it is not of type 'object'"),
        ('{"cases": [], "cases": []}', "(R12.2)"),
        (document(extra=1), "Additional properties are not allowed ('extra' was unexpected)"),
        (document(CASE, CASE), "case `a`: `name`: another case of the file has it"),
        *((document(with_changes(CASE, changes)), complaint) for changes, complaint in BAD_CASES),
    ],
)
def test_a_malformed_file(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "some.json"
    path.write_text(text)
    message = run_here("conformance", "--vectors", tmp_path, status=2).stderr
    assert message.startswith(f"jwt-bridge: `{path}`: ")
    assert complaint in message


TOKEN_CASE = {"name": "a", "rules": ["Tokens"], "key": "k", "token": "a.b.c", "expect": {"error": "malformed"}}
BAD_TOKEN_CASES = [
    ({"key": "x"}, "case `a`: `key`: the file's `keys` have no `x`: add it there"),
    ({"token": ...}, "case `a`: 'token' is a required property"),
    ({"expect": {"error": "invalid_setting"}}, "case `a`: a case of `invalid_setting` must have neither"),
    ({"expect": {"error": "bad"}}, "case `a`: `expect`: `error`: it is not one of ['malformed', "),
    ({"expect": {}}, "case `a`: `expect`: it should be non-empty"),
    ({"expect": {"error": "malformed", "claims": {}}}, "case `a`: `expect`: it has too many properties"),
    ({"expect": {"claims_text": "{"}}, "case `a`: claims_text: line 1, column 2: "),
    ({"now": "soon"}, "case `a`: `now`: it must be seconds"),
    ({"now": True}, "case `a`: `now`: it must be seconds"),
    ({"settings": {"leeway": []}}, "case `a`: `settings`: `leeway`: it must be seconds"),
    ({"settings": {"algorithm": "RS256"}}, "case `a`: `settings`: Additional properties are not allowed ('algorithm' "),
]


@pytest.mark.parametrize(
    ("keys", "changes", "complaint"),
    [
        ({}, {}, "`keys`: it should be non-empty"),
        ({"k": {}}, {}, "`keys`: `k`: it should be non-empty"),
        ({"k": {"pem": 1}}, {}, "`keys`: `k`: `pem`: it is not of type 'string'"),
        ({"k": {"pem": "x", "extra": 1}}, {}, "`keys`: `k`: it has too many properties"),
        *(({"k": {"pem": PEM}}, changes, complaint) for changes, complaint in BAD_TOKEN_CASES),
    ],
)
def test_a_malformed_file_about_tokens(
    tmp_path: Path, keys: dict[str, Any], changes: dict[str, Any], complaint: str
) -> None:
    path = tmp_path / "tokens" / "some.json"
    path.parent.mkdir()
    path.write_text(document(with_changes(TOKEN_CASE, changes), keys=keys))
    message = run_here("conformance", "--vectors", tmp_path, status=2).stderr
    assert message.startswith(f"jwt-bridge: `{path}`: ")
    assert complaint in message


def test_two_files_with_one_name(tmp_path: Path) -> None:
    for name in ("one.json", "two.json"):
        (tmp_path / name).write_text(document(CASE))
    message = run_here("conformance", "--vectors", tmp_path, status=2).stderr
    assert f"`{tmp_path / 'two.json'}`: case `a`: `name`: a case of `{tmp_path / 'one.json'}` has it" in message
