"""The rendered Rego: what is committed is what is rendered, formatted, checked, covered, documented and built."""

import dataclasses
import itertools
import json
import shutil

import pytest
import wasmtime
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from rule_files import write_rules

from bridge.engines.wasm_pool import Compiled
from bridge.opa import run_opa
from bridge.policy import PolicySettings
from bridge.rendering import (
    PREBUILT,
    RuleSet,
    TokenChecks,
    build_wasm,
    default_wasm,
    entrypoints,
    fingerprint,
    prebuilt_wasm,
    rego_root,
    render,
)

STALE = "is not what the templates render: run `make render` and commit what it writes"
RSA_KEY = rsa.generate_private_key(65537, 2048).public_key()
PEM = RSA_KEY.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
JWKS = json.dumps(
    {
        "keys": [
            {**RSAAlgorithm.to_jwk(RSA_KEY, as_dict=True), "kid": "first"},
            {**ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True), "kid": 'a"b\n'},
        ]
    }
)
CHECKS = TokenChecks(PEM)

WITHOUT_TOKENS = {
    "default": RuleSet(),
    "other roots": RuleSet(package_root="acme.authz.jwt", data_root="acme.stored.jwt"),
    "one type": RuleSet(policy=PolicySettings(types=("doors",))),
    "many types": RuleSet(policy=PolicySettings(types=("a", "B-c", "_d", "devices", "input_1"))),
    "other claim": RuleSet(policy=PolicySettings(claim="https://acme.example/policy")),
    "odd claim": RuleSet(policy=PolicySettings(claim='a"b\\n`{{ x }}{% y %}#é😀')),
    "required": RuleSet(policy=PolicySettings(require_policy=True)),
    "version 3": RuleSet(policy=PolicySettings(versions=frozenset({3}))),
    "both versions": RuleSet(policy=PolicySettings(versions=frozenset({2, 3}))),
}
WITH_TOKENS = {
    "PEM": RuleSet(token=CHECKS),
    "JWKS": RuleSet(token=TokenChecks(JWKS, algorithms=("RS256", "ES256"))),
    "all checks": RuleSet(
        package_root="acme.authz.jwt",
        data_root="acme.stored.jwt",
        policy=PolicySettings(claim="https://acme.example/policy", types=("doors", "windows"), require_policy=True),
        token=TokenChecks(PEM, ("RS256", "PS512"), ("https://a.example", 'b"`'), "license", ("sub", "iat")),
    ),
}
RULE_SETS = WITHOUT_TOKENS | WITH_TOKENS


@pytest.fixture
def folder(tmp_path, request):
    """The modules of a rule set, in files of their own."""
    return write_rules(tmp_path, request.param)


def each(rule_sets):
    return pytest.mark.parametrize("folder", rule_sets.values(), ids=rule_sets, indirect=True)


def succeed(executable, *arguments, folder=None):
    run = run_opa(arguments, executable=executable, folder=folder)
    assert run.status == 0, f"opa {arguments[0]}:\n{run.stdout.decode()}\n{run.stderr}"
    return run.stdout.decode()


# --- what is committed --------------------------------------------------------------------------------------------


def test_the_committed_modules_are_the_rendered_ones():
    rendered = {module.path: module.text.encode() for module in render(RuleSet())}
    committed = {
        str(path.relative_to(rego_root())): path.read_bytes()
        for path in (rego_root() / "jwt_policy").rglob("*.rego")
        if not path.name.endswith("_test.rego")
    }
    assert committed.keys() == rendered.keys(), f"rego/jwt_policy {STALE}"
    for path, text in rendered.items():
        assert committed[path] == text, f"rego/{path} {STALE}"


@pytest.mark.parametrize("rule_set", PREBUILT, ids=lambda rule_set: prebuilt_wasm(rule_set).stem)
def test_the_committed_wasm_is_the_built_one(pinned_opa, rule_set):
    path = prebuilt_wasm(rule_set)
    assert path.read_bytes() == build_wasm(rule_set, executable=pinned_opa), f"{path.name} {STALE}"


def test_no_other_wasm_is_committed():
    assert {prebuilt_wasm(rule_set) for rule_set in PREBUILT} == set(rego_root().rglob("*.wasm"))
    assert default_wasm() == prebuilt_wasm(RuleSet())


def test_each_module_has_its_test_beside_it():
    modules = [rego_root() / module.path for module in render(RuleSet())]
    assert [path for path in modules if not path.with_name(f"{path.stem}_test.rego").is_file()] == []


def test_the_committed_tests_are_formatted_and_strict(opa_executable):
    succeed(opa_executable, "fmt", "--fail", "--list", "jwt_policy", folder=rego_root())
    succeed(opa_executable, "check", "--strict", "jwt_policy", folder=rego_root())


def test_every_line_of_rego_is_covered_by_its_tests(opa_executable):
    passed = json.loads(succeed(opa_executable, "test", "--format", "json", "jwt_policy", folder=rego_root()))
    assert len(passed) > 100
    arguments = ("test", "--coverage", "--threshold", "100", "--format", "json", "jwt_policy")
    report = json.loads(succeed(opa_executable, *arguments, folder=rego_root()))
    assert report["coverage"] == 100
    assert report["files"].keys() >= {module.path for module in render(RuleSet())}
    assert [name for name, file in report["files"].items() if file.get("not_covered")] == []


def test_a_line_that_no_test_covers_fails(opa_executable, tmp_path):
    copied = shutil.copytree(rego_root() / "jwt_policy", tmp_path / "jwt_policy")
    (copied / "settings" / "settings_test.rego").unlink()
    with (copied / "settings" / "settings.rego").open("a", encoding="utf-8") as file:
        file.write("\n_unused if {\n\tclaim == types\n}\n")
    run = run_opa(("test", "--coverage", "--threshold", "100", tmp_path), executable=opa_executable)
    assert run.status != 0


# --- what is rendered ---------------------------------------------------------------------------------------------


@each(RULE_SETS)
def test_rendered_modules_are_formatted(folder, opa_executable):
    succeed(opa_executable, "fmt", "--fail", "--diff", ".", folder=folder)


@each(RULE_SETS)
def test_rendered_modules_pass_the_strict_check(folder, opa_executable):
    succeed(opa_executable, "check", "--strict", ".", folder=folder)


@pytest.mark.parametrize("rule_set", RULE_SETS.values(), ids=RULE_SETS)
def test_each_module_lies_in_the_folder_of_its_package(rule_set):
    root = rule_set.package_root.replace(".", "/")
    for module in render(rule_set):
        [package] = [line.split()[1] for line in module.text.splitlines() if line.startswith("package ")]
        assert module.path.rpartition("/")[0] == package.replace(".", "/")
        assert f"{module.path}/".startswith(f"{root}/")
        assert [line for line in module.text.splitlines() if len(line) > 120 and "-----BEGIN" not in line] == []


@each(RULE_SETS)
def test_rendered_modules_read_like_documentation(folder, opa_executable, request):
    rule_set = request.node.callspec.params["folder"]
    report = json.loads(succeed(opa_executable, "inspect", "--annotations", "--format", "json", ".", folder=folder))
    annotations = [entry["annotations"] | {"path": names(entry["path"])} for entry in report["annotations"]]
    packages = {entry["path"]: entry for entry in annotations if entry["scope"] == "package"}
    rules = {entry["path"]: entry for entry in annotations if entry["scope"] != "package"}

    root = f"data.{rule_set.package_root}"
    below = ["constraint", "grant", "index", "listing", "pointer", "policy", "resource", "settings", "store"]
    below += ["token"] if rule_set.token is not None else []
    assert sorted(packages) == [root, *sorted(f"{root}.{name}" for name in below)]
    for path, entry in packages.items():
        assert entry["title"], path
        assert entry["description"], path
        # What a pointer, the settings, the store and a token are is no rule of a decision.
        is_exempt = path.rpartition(".")[2] in ("pointer", "settings", "store", "token")
        assert is_exempt or entry["custom"]["rules"], path

    public = [
        "constraint.failures",
        "constraint.failures_of_each",
        "constraint.hold",
        "grant.for_claims",
        "pointer.from_names",
        "policy.violations",
    ]
    public += [
        "resource.all_stored",
        "resource.are_valid",
        "resource.stored",
        "resource.validated",
        "settings.claim",
        "settings.fingerprint",
    ]
    public += ["settings.require_policy", "settings.types", "settings.versions"]
    public += ["allow", "answer", "decision", "decisions", "list", "stored_view"]
    public += [f"index.{name}" for name in ("all_ids", "length", "page", "page_of", "posting", "size", "small")]
    public += ["listing.result", "resource.current", "resource.state", "store.view"]
    public += ["token.grant_of"] if rule_set.token is not None else []
    assert sorted(rules) == sorted(f"{root}.{name}" for name in public)
    assert all(entry["title"] for entry in rules.values())
    marked = {path for path, entry in rules.items() if entry.get("entrypoint")}
    assert marked == {f"{root}.{name}" for name in ("allow", "answer", "decision", "decisions")}
    assert marked == {f"data.{path.replace('/', '.')}" for path in entrypoints(rule_set)}
    assert all(rules[path]["description"] for path in marked)


def names(path):
    return ".".join(part["value"] for part in path)


# --- the Wasm build -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule_set", WITHOUT_TOKENS.values(), ids=WITHOUT_TOKENS)
def test_the_wasm_build_needs_its_host_for_stored_resources_only(rule_set, opa_executable):
    compiled = Compiled(build_wasm(rule_set, executable=opa_executable))
    names = set(compiled.instance()._entrypoints)
    assert names == set(entrypoints(rule_set))
    assert len(names) == 4

    engine, module = compiled.engine, compiled.module
    store = wasmtime.Store(engine)
    store.set_epoch_deadline(1_000)
    memory = wasmtime.Memory(store, wasmtime.MemoryType(wasmtime.Limits(16, None)))
    linker = wasmtime.Linker(engine)
    linker.define(store, "env", "memory", memory)
    linker.define_unknown_imports_as_traps(module)
    exports = linker.instantiate(store, module).exports(store)
    address = exports["opa_json_dump"](store, exports["builtins"](store))
    text = bytes(memory.read(store, address, address + 200)).partition(b"\x00")[0]
    assert json.loads(text).keys() == {"crypto.md5"}  # for ids, and not reached without data


# --- fingerprints -------------------------------------------------------------------------------------------------


DIFFERENT = [
    *RULE_SETS.values(),
    RuleSet(package_root="jwt_policy_2"),
    RuleSet(data_root="jwt_policy_data_2"),
    RuleSet(policy=PolicySettings(claim="Policy")),
    RuleSet(policy=PolicySettings(types=("devices",))),
    RuleSet(policy=PolicySettings(types=("devices", "sessions", "users"))),
    RuleSet(token=dataclasses.replace(CHECKS, algorithms=("RS512",))),
    RuleSet(token=dataclasses.replace(CHECKS, algorithms=("RS256", "RS512"))),
    RuleSet(token=dataclasses.replace(CHECKS, audience=("a",))),
    RuleSet(token=dataclasses.replace(CHECKS, audience=("a", "b"))),
    RuleSet(token=dataclasses.replace(CHECKS, issuer="a")),
    RuleSet(token=dataclasses.replace(CHECKS, required=("a",))),
    RuleSet(token=TokenChecks(JWKS)),
    RuleSet(token=TokenChecks(JWKS.replace("first", "second"))),
]


def test_rule_sets_of_other_settings_have_other_fingerprints():
    for one, other in itertools.combinations(DIFFERENT, 2):
        assert fingerprint(one) != fingerprint(other), (one, other)


def test_rule_sets_of_the_same_settings_have_the_same_fingerprint():
    one, other = RuleSet(token=TokenChecks(PEM)), RuleSet(token=TokenChecks(f"\n{PEM}"))
    assert fingerprint(RuleSet()) == fingerprint(RuleSet(policy=PolicySettings()))
    assert fingerprint(one) == fingerprint(other)


@each(RULE_SETS)
def test_the_rendered_fingerprint_is_the_rule_sets_own(folder, opa_executable, request):
    rule_set = request.node.callspec.params["folder"]
    query = f"data.{rule_set.package_root}.settings"
    settings = json.loads(succeed(opa_executable, "eval", "--data", ".", "--format", "raw", query, folder=folder))
    assert settings == {
        "claim": rule_set.policy.claim,
        "fingerprint": fingerprint(rule_set),
        "require_policy": rule_set.policy.require_policy,
        "types": sorted(rule_set.policy.types),
        "versions": sorted(rule_set.policy.versions),
    }
