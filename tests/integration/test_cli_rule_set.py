"""One rule-set file for all commands: `--write-rule-set` and `--rule-set`."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING

import jwt
import pytest
from cli_process import ended, read_line, run, run_here, started
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bridge import PolicySettings, RuleSet, TokenChecks
from bridge.cli import app
from bridge.rendering import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridge.opa import ManagedOpa

KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
CHECKS = ["--audience", "https://cobrowse.io", "--issuer", "LICENSE-KEY", "--require", "sub"]
RULES = [
    "--package-root",
    "one.rules",
    "--data-root",
    "one.resources",
    "--claim",
    "access",
    "--resource-type",
    "robots",
]
RULES += ["--require-policy", "--policy-version", "2", "--policy-version", "3"]
ROBOT = '{"id": "r1", "custom_data": {"user_id": "u1"}}'
DEVICE = '{"id": "d1"}'


def pem(key: rsa.RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def token(**changes: object) -> str:
    claims = {"aud": "https://cobrowse.io", "iss": "LICENSE-KEY", "sub": "a", "exp": int(time.time()) + 600}
    policy = {"version": 3, "robots": {"custom_data": {"user_id": "u1"}}, "push": {}}
    return jwt.encode({**claims, "access": policy} | changes, KEY, algorithm="RS256")


@pytest.fixture(scope="module")
def opa(start_opa: Callable[..., ManagedOpa]) -> ManagedOpa:
    return start_opa()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rules")
    (folder / "public.pem").write_text(pem(KEY))
    (folder / "same.pem").write_text(f"\n{pem(KEY)}\n\n")
    (folder / "other.pem").write_text(pem(OTHER))
    (folder / "secret").write_text("0123456789abcdef0123456789abcdef")
    (folder / "plain.json").write_text(RuleSet().to_json())
    (folder / "claims.json").write_text('{"access": {"version": 2, "robots": {}}}')
    return folder


@pytest.fixture(scope="module")
def file(folder: Path, opa: ManagedOpa) -> Path:
    """The file of rules that verify tokens, as `install` writes it."""
    path = folder / "rules.json"
    arguments = ["--opa-url", opa.url, *RULES, "--key", folder / "public.pem", *CHECKS, "--write-rule-set", path]
    done = run_here("install", *arguments)
    assert f"  rule set     {path}\n" in done.text
    return path


def test_the_file_of_install_holds_what_was_installed(file):
    loaded = RuleSet.load(file)
    assert loaded == RuleSet(
        PolicySettings("access", ("robots",), require_policy=True, versions=frozenset({2, 3})),
        "one.rules",
        "one.resources",
        TokenChecks(pem(KEY), ("RS256",), ("https://cobrowse.io",), "LICENSE-KEY", ("sub",)),
    )


def test_every_command_takes_the_file_in_place_of_all_options(file, opa, folder, tmp_path):
    """Of rules that verify tokens, which `push`, `sync` and `list` had no options for."""
    rules = ["--rule-set", file]
    server = [*rules, "--opa-url", opa.url]
    run_here("push", "--type", "robots", "-", *server, stdin=f"{ROBOT}\n".encode())
    run_here("sync", "--type", "robots", "-", *server, stdin=f'{ROBOT}\n{{"id": "r2"}}\n'.encode())
    assert "robots: 2 resources" in run_here("doctor", *server).text
    assert run_here("list", "--type", "robots", *server, JWT=token()).text == "r1\n"
    assert run_here("list", "--type", "robots", *server, "--claims", folder / "claims.json").text == "r1\nr2\n"
    check = ["check", "--type", "robots", "--engine", "opa", *server]
    assert "allowed: matched" in run_here(*check, "--id", "r1", JWT=token()).text
    assert "denied: constraint_failed" in run_here(*check, "--id", "r2", JWT=token(), status=1).text
    assert "denied: policy_required" in run_here(*check, "--id", "r1", JWT=bare(), status=1).text
    assert "allowed: matched" in run_here(*check, "--id", "r2", "--claims", folder / "claims.json").text
    run_here("install", *server)
    run_here("render", *rules, "--out", tmp_path)
    assert fingerprint(RuleSet.load(file)) in (tmp_path / "one/rules/settings/settings.rego").read_text()
    conformance = run_here("conformance", "--engine", "opa", *server, status=2)
    assert "no case was run: " in conformance.stderr  # no vector is for such settings: but the rules are those
    with started("serve", *rules, "--port", "0", "--data", f"robots={tmp_path / 'robots.jsonl'}") as process:
        assert "robots.jsonl" in ended(process, 2)
    (tmp_path / "robots.jsonl").write_text(f"{ROBOT}\n")
    with started("serve", *rules, "--port", "0", "--data", f"robots={tmp_path / 'robots.jsonl'}") as process:
        assert read_line(process).startswith(b"opa is serving one.rules at ")


def bare() -> str:
    """A token without a policy."""
    claims = {"aud": "https://cobrowse.io", "iss": "LICENSE-KEY", "sub": "a", "exp": int(time.time()) + 600}
    return jwt.encode(claims, KEY, algorithm="RS256")


def test_every_command_with_options_of_the_rules_takes_the_file():
    from typer.main import get_command  # noqa: PLC0415 - what the application is made of

    commands = get_command(app).commands
    takes = {name: {option for param in command.params for option in param.opts} for name, command in commands.items()}
    assert {name for name, options in takes.items() if "--package-root" in options} == {
        name for name, options in takes.items() if "--rule-set" in options
    }
    assert {"check", "list", "push", "sync", "doctor", "install", "render", "serve", "conformance"} <= {
        name for name, options in takes.items() if "--rule-set" in options
    }
    for name, options in takes.items():
        assert ("--policy-version" in options) is ("--rule-set" in options), name


def test_tokens_are_verified_by_what_the_file_demands(file, opa):
    """The bridge before the rules needs no options for tokens any more, and is as strict."""
    check = ["check", "--type", "robots", "--resource", ROBOT, "--engine", "opa", "--opa-url", opa.url]
    check += ["--rule-set", file]
    for changes, code in (
        ({"iss": "other"}, "issuer"),
        ({"aud": "other"}, "audience"),
        ({"exp": 1}, "expired"),
    ):
        assert f"invalid token ({code})" in run_here(*check, JWT=token(**changes), status=2).stderr
    forged = jwt.encode({"exp": int(time.time()) + 600}, OTHER, algorithm="RS256")
    assert "invalid token (signature)" in run_here(*check, JWT=forged, status=2).stderr
    without_sub = jwt.encode({"exp": 4_000_000_000, "iss": "LICENSE-KEY", "aud": "https://cobrowse.io"}, KEY, "RS256")
    assert "invalid token (missing_claim)" in run_here(*check, JWT=without_sub, status=2).stderr


def test_tokens_are_verified_by_the_jwks_of_a_file(tmp_path, opa):
    jwks = {"keys": [{**jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "k1"}]}
    rule_set = RuleSet(package_root="jwks.rules", data_root="jwks.stored", token=TokenChecks(json.dumps(jwks)))
    path = tmp_path / "rules.json"
    path.write_text(rule_set.to_json())
    server = ["--rule-set", path, "--opa-url", opa.url]
    run_here("install", *server)
    check = ["check", "--type", "devices", "--resource", DEVICE, "--engine", "opa", *server]
    claims = {"exp": int(time.time()) + 600, "policy": {"version": 2, "devices": {}}}
    good, lacking = (jwt.encode(claims, KEY, algorithm="RS256", headers=headers) for headers in ({"kid": "k1"}, {}))
    assert "allowed: matched" in run_here(*check, JWT=good).text
    assert "invalid token (unknown_key)" in run_here(*check, JWT=lacking, status=2).stderr


SAME = [
    ["--package-root", "one.rules"],
    ["--data-root", "one.resources"],
    ["--claim", "access"],
    ["--resource-type", "robots"],
    ["--require-policy"],
    ["--policy-version", "3", "--policy-version", "2"],
]
DIFFERING = [
    (
        ["--package-root", "jwt_policy"],
        "--package-root `jwt_policy` contradicts `package_root` of `{}`, which is `one.rules`",
    ),
    (
        ["--data-root", "jwt_policy_data"],
        "--data-root `jwt_policy_data` contradicts `data_root` of `{}`, which is `one.re",
    ),
    (["--claim", "policy"], "--claim `policy` contradicts `policy.claim` of `{}`, which is `access`"),
    (["--resource-type", "devices"], "--resource-type `devices` contradicts `policy.types` of `{}`, which is `robots`"),
    (["--policy-version", "2"], "--policy-version `2` contradicts `policy.versions` of `{}`, which is `2`, `3`"),
]
WITH_RULES = {
    "check": ["--type", "robots", "--resource", ROBOT, "--engine", "opa", "--claims", "claims.json"],
    "list": ["--type", "robots", "--claims", "claims.json"],
    "push": ["--type", "robots", "-"],
    "sync": ["--type", "robots", "-"],
    "doctor": [],
    "install": [],
    "render": [],
    "serve": [],
    "conformance": ["--engine", "opa"],
}


@pytest.mark.parametrize("command", WITH_RULES)
@pytest.mark.parametrize(
    ("options", "expected"), DIFFERING, ids=lambda value: value[0] if isinstance(value, list) else ""
)
def test_an_option_that_contradicts_the_file_is_refused_with_both_names(file, folder, command, options, expected):
    arguments = [folder / each if each == "claims.json" else each for each in WITH_RULES[command]]
    done = run_here(command, *arguments, "--rule-set", file, *options, status=2, OPA_URL="http://127.0.0.1:1")
    assert expected.format(file) in done.stderr
    assert "leave one of them out" in done.stderr


def test_require_policy_contradicts_a_file_that_does_not(folder):
    done = run_here(
        "doctor", "--rule-set", folder / "plain.json", "--require-policy", "--opa-url", "http://x", status=2
    )
    assert "--require-policy true contradicts `policy.require_policy` of " in done.stderr
    assert "which is false: leave one of them out" in done.stderr


def test_options_that_say_the_same_as_the_file_are_no_contradiction(file, folder, tmp_path):
    same = [each for options in SAME for each in options]
    tokens = ["--key", folder / "same.pem", *CHECKS, "--alg", "RS256"]
    written = tmp_path / "again.json"
    run_here("render", "--rule-set", file, *same, *tokens, "--write-rule-set", written)
    assert written.read_bytes() == file.read_bytes()


@pytest.mark.parametrize("options", [["--key", "same.pem"], CHECKS[:2], CHECKS[2:4], CHECKS[4:], ["--alg", "RS256"]])
def test_one_option_of_tokens_beside_the_file_takes_nothing_of_it_away(file, opa, folder, options):
    """What the file demands counts whole, and `doctor` takes what the other commands take."""
    options = [folder / each if each.endswith(".pem") else each for each in options]
    server = ["--rule-set", file, *options, "--opa-url", opa.url]
    check = ["check", "--type", "robots", "--resource", ROBOT, "--engine", "opa", *server]
    assert "allowed: matched" in run_here(*check, JWT=token()).text
    for changes, code in (({"iss": "other"}, "issuer"), ({"aud": "other"}, "audience")):
        assert f"invalid token ({code})" in run_here(*check, JWT=token(**changes), status=2).stderr
    run_here("push", "--type", "robots", "-", "--rule-set", file, "--opa-url", opa.url, stdin=ROBOT.encode())
    assert "rules at data.one.rules: all is well\n" in run_here("doctor", *server).text


@pytest.mark.parametrize("command", ["install", "render", "serve", "conformance", "check", "list", "doctor"])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--key", "other.pem"], "contradicts `token.keys` of `{}`, which differs"),
        (["--jwks", "https://example.com/jwks"], "--jwks `https://example.com/jwks` contradicts `token.keys` of `{}`"),
        (["--alg", "PS256"], "--alg `PS256` contradicts `token.algorithms` of `{}`, which is `RS256`"),
        (
            ["--audience", "b", "--audience", "a"],
            "--audience `a`, `b` contradicts `token.audience` of `{}`, which is `http",
        ),
        (["--issuer", "x"], "--issuer `x` contradicts `token.issuer` of `{}`, which is `LICENSE-KEY`"),
        (
            ["--require", "sub", "--require", "iat"],
            "--require `iat`, `sub` contradicts `token.required` of `{}`, which is ",
        ),
    ],
)
def test_options_of_tokens_that_contradict_the_file_are_refused(file, folder, command, options, expected):
    arguments = [each for each in WITH_RULES[command] if each not in ("--claims", "claims.json")]
    options = [folder / each if each.endswith(".pem") else each for each in options]
    done = run_here(command, *arguments, "--rule-set", file, *options, status=2, JWT="a", OPA_URL="http://127.0.0.1:1")
    assert expected.format(file) in done.stderr


def test_a_secret_contradicts_rules_that_verify_tokens(file, folder):
    arguments = ["--type", "robots", "--resource", ROBOT, "--engine", "opa", "--secret-file", folder / "secret"]
    done = run_here("check", *arguments, "--rule-set", file, JWT="a", OPA_URL="http://127.0.0.1:1", status=2)
    assert "--secret-file" in done.stderr
    assert "contradicts `token.keys` of" in done.stderr


@pytest.mark.parametrize("command", ["install", "render", "serve", "conformance", "doctor"])
def test_a_key_contradicts_a_file_whose_rules_verify_no_tokens(folder, command):
    arguments = [*WITH_RULES[command], "--rule-set", folder / "plain.json"]
    done = run_here(command, *arguments, "--key", folder / "public.pem", status=2, OPA_URL="http://127.0.0.1:1")
    assert f"--key: `{folder / 'plain.json'}` has no `token`, so its rules verify none: leave" in done.stderr


@pytest.mark.parametrize("command", ["check", "list"])
def test_token_rules_contradicts_a_file_whose_rules_verify_no_tokens(folder, command):
    arguments = [each for each in WITH_RULES[command] if each not in ("--claims", "claims.json")]
    arguments += ["--rule-set", folder / "plain.json", "--key", folder / "public.pem"]
    done = run_here(command, *arguments, "--token-rules", status=2, JWT="a", OPA_URL="http://127.0.0.1:1")
    assert f"--token-rules contradicts `{folder / 'plain.json'}`" in done.stderr


def test_the_options_for_tokens_are_the_verifiers_where_the_rules_verify_none(folder):
    """As they are without a file."""
    path = folder / "required.json"
    path.write_text(RuleSet(PolicySettings("access", ("devices", "sessions"), require_policy=True)).to_json())
    arguments = ["check", "--type", "devices", "--resource", DEVICE, "--engine", "reference", "--rule-set", path]
    good = token(access={"version": 2, "devices": {}})
    assert "allowed: matched" in run_here(*arguments, "--key", folder / "public.pem", *CHECKS, JWT=good).text


def test_the_embedded_engine_takes_the_file_of_its_settings(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text("[policy]\nrequire_policy = true\nversions = [3]\n")
    arguments = ["check", "--claims", "-", "--type", "devices", "--resource", DEVICE, "--rule-set", path]
    nowhere = {"PATH": str(tmp_path), "JWT_BRIDGE_OPA": None}
    done = run_here(*arguments, stdin=b'{"Policy": {}}', status=1, **nowhere)
    assert done.text.startswith("denied: policy_required")
    allowed = run_here(*arguments, stdin=b'{"policy": {"version": 3, "devices": {}}}', **nowhere)
    assert allowed.text.startswith("allowed: matched")


def test_rules_of_other_settings_are_refused_with_the_option_that_helps(file, opa, folder):
    arguments = ["--type", "robots", "--opa-url", opa.url, *RULES, "--claims", folder / "claims.json"]
    for command in (["list"], ["check", "--engine", "opa", "--resource", ROBOT]):
        said = run_here(*command, *arguments, status=3).stderr
        assert "`--rule-set FILE`" in said
        assert "`--token-rules`" in said
    many = [f'{{"id": "r{number}"}}\n' for number in range(300)]
    push = ["push", "--type", "robots", "-", "--opa-url", opa.url, "--rule-set", file]
    run_here(*push, stdin="".join(many).encode())
    sync = ["sync", "--type", "robots", "-", "--opa-url", opa.url, *RULES]
    assert "`--rule-set FILE`" in run_here(*sync, stdin="".join(many[1:]).encode(), status=3).stderr


def test_a_list_takes_token_rules_as_well(opa, file, folder):
    arguments = ["list", "--type", "robots", "--opa-url", opa.url, *RULES, "--key", folder / "public.pem", *CHECKS]
    push = ["push", "--type", "robots", "-", "--force", "--opa-url", opa.url, "--rule-set", file]
    run_here(*push, stdin=f"{ROBOT}\n".encode())
    assert run_here(*arguments, "--token-rules", JWT=token()).text == "r1\n"
    assert "--token-rules" in run_here(*arguments, JWT=token(), status=3).stderr


# Files that are no rule-set files, and files that are written


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"{", "line 1, column 2"),
        (
            b'{"policy": {"require": true}}',
            "`policy.require`: no such member is known here; the known ones are claim, ",
        ),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"", "it has no members"),
        (None, "is a directory"),
    ],
)
def test_a_file_that_is_no_rule_set_is_refused(tmp_path, data, expected):
    path = tmp_path
    if data is not None:
        path = tmp_path / "rules"
        path.write_bytes(data)
    for command in ("doctor", "render"):
        done = run_here(command, "--rule-set", path, status=2, OPA_URL="http://127.0.0.1:1")
        assert f"rule-set file `{path}`: " in done.stderr
        assert expected in done.stderr


def test_a_foreign_file_is_left_alone(tmp_path, opa):
    path, other = tmp_path / "mine.json", tmp_path / "jwt_policy" / "jwt_policy.rego"
    path.write_text('{"mine": true}')
    for command in (["install", "--opa-url", opa.url, "--package-root", "never"], ["render", "--out", tmp_path]):
        done = run_here(*command, "--write-rule-set", path, status=2)
        assert "exists, and no earlier run wrote it" in done.stderr
    assert path.read_text() == '{"mine": true}'
    assert not other.exists()
    doctor = run_here("doctor", "--opa-url", opa.url, status=3)
    assert doctor.status == 3
    check = ["check", "--engine", "opa", "--opa-url", opa.url, "--package-root", "never", "--claims", "-"]
    done = run_here(*check, "--type", "devices", "--resource", DEVICE, stdin=b"{}", status=3)
    assert "`jwt-bridge install` uploads them" in done.stderr  # nothing was installed either


def test_an_earlier_rule_set_file_is_replaced(tmp_path):
    path = tmp_path / "rules.json"
    run("render", "--write-rule-set", path)
    assert RuleSet.load(path) == RuleSet()
    done = run_here("render", "--require-policy", "--write-rule-set", path)
    assert RuleSet.load(path) == RuleSet(PolicySettings(require_policy=True))
    assert f"{path}  " in done.text
    assert "package" not in done.text  # the modules are not shown beside it
    same = run_here("render", "--out", tmp_path, "--wasm", path, "--write-rule-set", path, status=2)
    assert "is named twice" in same.stderr
    shutil.rmtree(tmp_path)


def test_a_file_with_a_private_key_is_neither_written_nor_taken(tmp_path):
    algorithm = jwt.algorithms.RSAAlgorithm
    keys = {
        "keys": [
            {**algorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "a"},
            {**algorithm.to_jwk(OTHER, as_dict=True), "kid": "b"},
        ]
    }
    (tmp_path / "jwks.json").write_text(json.dumps(keys))
    done = run_here("render", "--jwks", tmp_path / "jwks.json", "--write-rule-set", tmp_path / "rules.json", status=2)
    assert "must have no secret" in done.stderr
    assert not (tmp_path / "rules.json").exists()


def test_the_help_says_seconds_of_leeway():
    for command in ("check", "list"):
        text = " ".join(run_here(command, "--help").text.split())
        assert "How many seconds the clocks may differ; the default is 0." in text
        assert "Fraction" not in text
