"""`--require-policy`, `--policy-version`, and claims that are misspelt, on the command line."""

from __future__ import annotations

import json
import time

import jwt
import pytest
from cli_process import run_here

from bridge import OpaEngine, PolicyBridge, StaticKey, TokenVerifier
from bridge.cli.bearer_options import lookalikes
from bridge.cli.demo import warn_of_misspelt_tokens

GOOD = '{"id": "d1", "custom_data": {"user_id": "ada", "plan": 1.0}}'
EVERYTHING = '{"policy": {"version": 2, "devices": {}}, "Policy": 1}'
SECRET = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("engine", ["wasm", "reference"])
@pytest.mark.parametrize(
    ("version", "options", "expected"),
    [
        (3, [], "it must be the number 2; the claim is version 3, which the setting `versions` can allow: "),
        (3, ["--require-policy"], "it must be the number 2; the claim is version 3, which the setting `versions` can "),
        (
            2,
            ["--policy-version", "3"],
            "it must be the number 3; the claim is version 2, which the setting `versions` ",
        ),
        (4, [], "it must be the number 2\n"),
        (4, ["--policy-version", "3", "--policy-version", "2"], "it must be the number 2 or 3\n"),
        ("3", [], "it must be the number 2\n"),
        (True, [], "it must be the number 2\n"),
    ],
)
def test_a_version_that_a_setting_could_allow_is_named_with_the_setting(engine, version, options, expected) -> None:
    claims = json.dumps({"policy": {"version": version, "devices": {}}}).encode()
    arguments = ["check", "--claims", "-", "--type", "devices", "--resource", GOOD, "--engine", engine, *options]
    done = run_here(*arguments, stdin=claims, status=1)
    assert f"\n  /version  version_unsupported: {expected}" in done.text
    assert ("--policy-version 2 --policy-version 3\n" in done.text) is ("setting" in expected)
    # For programs the code and the pointer stay as they are.
    answer = json.loads(run_here(*arguments, "--json", stdin=claims, status=1).stdout)
    assert answer["violations"] == [{"pointer": "/version", "code": "version_unsupported"}]


@pytest.mark.parametrize("options", [["--policy-version", "3"], ["--policy-version", "2", "--policy-version", "3"]])
def test_version_three_is_decided_without_an_opa(tmp_path, options) -> None:
    claims = b'{"policy":{"version":3.0,"devices":{},"push":{},"features":{"a":1}}}'
    arguments = ["check", "--claims", "-", "--type", "devices", "--resource", GOOD, *options]
    nowhere = {"PATH": str(tmp_path), "JWT_BRIDGE_OPA": None}
    assert run_here(*arguments, stdin=claims, **nowhere).text.startswith("allowed: matched\n")
    denied = run_here(*arguments, "--require-policy", stdin=b'{"Policy":{}}', status=1, **nowhere)
    assert denied.text.startswith("denied: policy_required\n")
    assert denied.stderr == ""


def warning(claims: object, *options: object, status: int = 0, claim: str = "policy") -> str:
    """What is said on standard error about claims, by `check`."""
    arguments = ["check", "--claims", "-", "--type", "devices", "--resource", GOOD, *options]
    done = run_here(*arguments, stdin=json.dumps(claims).encode(), status=status)
    assert ("warning" in done.stderr) is (f'the claims have no "{claim}"' in done.stderr)
    return done.stderr


def test_a_misspelt_claim_is_warned_of_and_decided_as_before(tmp_path) -> None:
    for options in ([], ["--json"], ["--engine", "reference"]):
        said = warning({"Policy": {"version": 2}}, *options)
        assert said == (
            'jwt-bridge: warning: the claims have no "policy", so nothing is restricted, but they have "Policy": is it '
            "misspelt? With --require-policy, claims without a policy are denied\n"
        )
    assert warning({"sub": "a"}) == ""
    assert warning({"Policy": {}, "policy": {"version": 2, "devices": {}}}) == ""
    assert warning({"Policy": {}}, "--require-policy", status=1) == ""
    assert warning({"Policy": {}, "policy": {}}, status=1) == ""
    path = tmp_path / "claims.json"
    path.write_text('{"Policy": {}}')
    unknown = run_here("check", "--claims", path, "--type", "users", "--resource", GOOD, status=1)
    assert unknown.stderr == ""


def test_a_misspelt_claim_cannot_forge_what_is_said() -> None:
    said = warning({"policy\n\x1b[2J\u202e\x9b": 1, "policy\nallowed: matched/policy": 1})
    assert said.count("\n") == 1
    assert said.isascii()
    assert said[:-1].isprintable()


def test_a_misspelt_claim_of_a_token_is_warned_of(tmp_path) -> None:
    claims = {"policies": {"version": 2}, "exp": int(time.time()) + 600}
    (tmp_path / "secret").write_text(SECRET)
    arguments = ["check", "--secret-file", tmp_path / "secret", "--type", "devices", "--resource", GOOD]
    done = run_here(*arguments, JWT=jwt.encode(claims, SECRET, algorithm="HS256"))
    assert done.text.startswith("allowed: unrestricted")
    assert '"policies": is it misspelt?' in done.stderr


def test_a_list_of_everything_for_a_misspelt_claim_is_warned_of(start_opa, tmp_path) -> None:
    url = start_opa().url
    with PolicyBridge(OpaEngine(url)) as bridge:
        bridge.install()
        bridge.push("devices", [{"id": "d1"}])
    claims = tmp_path / "claims.json"
    arguments = ["list", "--claims", claims, "--type", "devices", "--opa-url", url]
    for text, warned in (('{"POLICY": 1}', True), ('{"sub": 1}', False), (EVERYTHING, False)):
        claims.write_text(text)
        done = run_here(*arguments)
        assert done.text == "d1\n"
        assert ("is it misspelt?" in done.stderr) is warned


def test_the_demo_warns_of_a_token_that_it_hands_out_with_a_misspelt_claim(capsys) -> None:
    secret = StaticKey.from_secret(SECRET.encode())
    verifier = TokenVerifier(secret, algorithms=("HS256",))
    later = int(time.time()) + 600
    tokens = [
        jwt.encode({"exp": later, name: {"version": 2}}, SECRET, algorithm="HS256") for name in ("policy", "Policy")
    ]
    with PolicyBridge(verifier=verifier) as bridge:
        warn_of_misspelt_tokens(bridge, tokens[:1])
        assert capsys.readouterr().err == ""
        warn_of_misspelt_tokens(bridge, tokens)
    assert '"Policy": is it misspelt?' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("claim", "name"),
    [
        *(("policy", name) for name in ("Policy", "POLICY", " policy", "po licy", "pol-icy", "_policy_", "policys")),
        *(
            ("policy", name)
            for name in ("policies", "Poli-cies", "https://a.example/policy", "urn:a:policy", "x/Policy")
        ),
        *(("policy", name) for name in ("policy\u200b", "\ufeffpolicy", "policy\t", "\uff50olicy", "poli\u00adcy")),
        ("https://a.example/policy", "https://a.example/Policy"),
        ("https://a.example/policy", "policy"),
        ("https://a.example/policy", "https://b.example/policy"),
        ("access_policies", "accessPolicy"),
        ("access-policy", "x:access_policy"),
        ("rights", "right"),
    ],
)
def test_what_looks_like_the_claim(claim, name) -> None:
    assert lookalikes({"sub": 1, name: 2}, claim) == [name]


@pytest.mark.parametrize(
    ("claim", "name"),
    [
        *(
            ("policy", name)
            for name in ("policy", "polity", "policyx", "apolicy", "policy.v2", "sub", "", "/", ":", "s")
        ),
        *(("policy", name) for name in ("policy/x", "policies_of", "-", " ")),
        ("s", ""),
        ("-", "_"),
        ("/", ":"),
    ],
)
def test_what_does_not_look_like_the_claim(claim, name) -> None:
    assert lookalikes({name: 1}, claim) == []


def test_many_lookalikes_are_counted() -> None:
    said = warning({"Policy": 1, "policies": 2, "a/policy": 3, "b:policy": 4, "po-licy": 5})
    assert 'they have "Policy" and "policies" and "a/policy" and 2 more: ' in said
    assert len(warning({"x" * 500 + "/policy": 1})) < 400
