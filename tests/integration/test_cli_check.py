"""`jwt-bridge check` as a process."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import jwt
import pytest
from cli_process import run, run_here
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fault_server import FaultServer

from bridge.rendering import default_wasm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from bridge.opa import ManagedOpa

POLICY = {"version": 2, "devices": {"custom_data": {"user_id": "ada", "plan": 1}}}
GOOD = '{"id": "d1", "custom_data": {"user_id": "ada", "plan": 1.0}}'
BAD = '{"id": "d2", "custom_data": {"user_id": "Ada"}}'
FAILURES = [
    {"pointer": "/custom_data/plan", "code": "missing", "expected": 1},
    {"pointer": "/custom_data/user_id", "code": "different", "expected": "ada", "actual": "Ada"},
]
SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, key: RSAPrivateKey) -> Path:
    """Keys and inputs, right and wrong ones."""
    folder = tmp_path_factory.mktemp("check")
    pem = serialization.Encoding.PEM
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    weak = rsa.generate_private_key(public_exponent=65_537, key_size=1024)
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    files: dict[str, bytes] = {
        "public.pem": key.public_key().public_bytes(pem, spki),
        "private.pem": key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        "weak.pem": weak.public_key().public_bytes(pem, spki),
        "bad.pem": b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "jwks.json": json.dumps({"keys": [{**jwk, "kid": "k1"}]}).encode(),
        "secret.txt": SECRET.encode() + b"\n",
        "short.txt": b"short\n",
        "claims.json": json.dumps({"policy": POLICY}).encode(),
        "good.json": GOOD.encode(),
        "binary": bytes(range(256)),
        "empty": b"",
        "cut.wasm": default_wasm().read_bytes()[:5_000],
        "empty.wasm": b"\0asm\1\0\0\0",
        "list.json": b"[1]",
        "string.json": b'"d1"',
        "twice.json": b'{"id":"1","id":"2"}',
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def token(key: RSAPrivateKey) -> Callable[..., str]:
    def signed(*, by: object = key, alg: str = "RS256", kid: str | None = None, **changes: object) -> str:
        claims = {"exp": int(time.time()) + 600, "sub": "ada@example.com", "policy": POLICY} | changes
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, by, algorithm=alg, headers={"kid": kid} if kid else None)

    return signed


@pytest.fixture(scope="module")
def opa(start_opa: Callable[..., ManagedOpa]) -> ManagedOpa:
    return start_opa()


def test_an_argument_that_is_no_utf_8_is_called_so() -> None:
    arguments = ["check", "--claims", "-", "--type", "devices", "--resource", os.fsdecode(b'{"id":"\xff"}')]
    done = run(*arguments, stdin=b"{}", status=2)
    assert "resource: line 1, column 8: invalid UTF-8: byte 0xff (R12.1)" in done.stderr


# --- verdicts


def test_allowed(folder, token) -> None:
    done = run("check", "--token", token(), "--key", folder / "public.pem", "--type", "devices", "--resource", GOOD)
    assert done.text == ("allowed: matched\n  the resource meets the policy\n  decided by wasm, in this process\n")
    assert done.stderr == ""


@pytest.mark.parametrize("engine", ["wasm", "reference"])
def test_denied_with_each_demand_that_failed(folder, engine) -> None:
    arguments = ["check", "--claims", "-", "--type", "devices", "--resource", BAD, "--engine", engine]
    claims = (folder / "claims.json").read_bytes()
    assert run(*arguments, stdin=claims, status=1).text == (
        "denied: constraint_failed\n"
        "  the resource does not meet the policy\n"
        "  /custom_data/plan  missing\n"
        "    expected  1\n"
        "    actual    nothing\n"
        "  /custom_data/user_id  different\n"
        '    expected  "ada"\n'
        '    actual    "Ada"\n'
        f"  decided by {engine}, in this process\n"
    )
    answer = json.loads(run(*arguments, "--json", stdin=claims, status=1).stdout)
    assert answer == {"allow": False, "reason": "constraint_failed", "failures": FAILURES, "engine": engine}


def test_denied_for_what_is_wrong_with_the_policy() -> None:
    claims = b'{"policy":{"version":"2","devices":{"user_id":"ada"},"device":{},"sessions":[]}}'
    arguments = ["check", "--claims", "-", "--type", "devices", "--resource", GOOD]
    assert run_here(*arguments, stdin=claims, status=1).text == (
        "denied: invalid_policy\n"
        "  the policy is not valid, so it grants nothing at all\n"
        "  /device  unknown_resource_type: the resource type is unknown, the known ones are devices, sessions\n"
        "  /devices/user_id  unknown_field: only `id` and `custom_data` are allowed\n"
        "  /sessions  not_an_object: it must be an object\n"
        "  /version  version_unsupported: it must be the number 2\n"
        "  decided by wasm, in this process\n"
    )
    assert json.loads(run_here(*arguments, "--json", stdin=claims, status=1).stdout)["violations"][0] == {
        "pointer": "/device",
        "code": "unknown_resource_type",
    }


@pytest.mark.parametrize(
    ("claims", "type_", "resource", "reason"),
    [
        ("{}", "device", GOOD, "unknown_type"),
        ("{}", "devices", "list.json", "invalid_resource"),
        ("{}", "devices", "string.json", "invalid_resource"),
        ('"header.payload.signature"', "devices", GOOD, "malformed_input"),
    ],
)
def test_denied_for_what_is_asked(folder, claims, type_, resource, reason) -> None:
    resource = folder / resource if resource.endswith(".json") else resource
    arguments = ["check", "--claims", "-", "--type", type_, "--resource", resource, "--json"]
    answer = json.loads(run_here(*arguments, stdin=claims.encode(), status=1).stdout)
    assert answer == {"allow": False, "reason": reason, "engine": "wasm"}


@pytest.mark.parametrize(
    ("type_", "resource", "expected"),
    [
        ("device", GOOD, "unknown_type\n  the resource type is unknown: the known ones are devices, sessions\n"),
        ("devices", "{}", "invalid_resource\n  the resource has no `id` (R12.8)\n"),
        (
            "devices",
            '{"id":""}',
            "invalid_resource\n  the resource's `id` must be a string that is not empty (R12.8)\n",
        ),
        (
            "devices",
            '{"id":"1","custom_data":[]}',
            "invalid_resource\n  the resource's `custom_data` must be an object (R12.8)\n",
        ),
        ("devices", "list.json", "invalid_resource\n  a resource must be an object (R12.8)\n"),
    ],
)
def test_what_is_wrong_with_what_is_asked(folder, type_, resource, expected) -> None:
    resource = folder / resource if resource.endswith(".json") else resource
    done = run_here("check", "--claims", "-", "--type", type_, "--resource", resource, stdin=b"{}", status=1)
    assert done.text.startswith(f"denied: {expected}")


def test_other_rules(tmp_path) -> None:
    rules = ["--claim", "acme/policy", "--resource-type", "robots", "--require-policy"]
    run_here("render", *rules, "--wasm", tmp_path / "policy.wasm")
    arguments = ["check", "--claims", "-", "--type", "robots", "--resource", "-", "--wasm", tmp_path / "policy.wasm"]
    claims = tmp_path / "claims.json"
    claims.write_text('{"acme/policy": {"version": 2, "robots": {}}}')
    arguments[2] = claims
    assert "allowed: matched" in run_here(*arguments, *rules, stdin=b'{"id":"r2d2"}').text
    claims.write_text("{}")
    assert "denied: policy_required" in run_here(*arguments, *rules, stdin=b'{"id":"r2d2"}', status=1).text
    done = run_here(*arguments, stdin=b'{"id":"r2d2"}', status=3)
    assert "use the settings that they were rendered for" in done.stderr


def test_hostile_values_cannot_drive_the_terminal() -> None:
    evil = "\x1b[2J\x9b\x7f\u202e\u2066"
    claims = json.dumps({"policy": {"version": 2, "devices": {"custom_data": {evil: evil}}}}, ensure_ascii=False)
    resource = json.dumps({"id": "1", "custom_data": {evil: "\u00e4"}})
    done = run("check", "--claims", "-", "--type", "devices", "--resource", resource, stdin=claims.encode(), status=1)
    assert all(char.isprintable() or char == "\n" for char in done.text)
    assert '"\n    actual    "\u00e4"\n' in done.text
    ascii_ = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    done = run(
        "check", "--claims", "-", "--type", "devices", "--resource", resource, stdin=claims.encode(), status=1, **ascii_
    )
    assert b'"\n    actual    "\\xe4"\n' in done.stdout


def test_values_as_deep_as_they_may_be() -> None:
    deep = "[" * 62 + "]" * 62
    claims = b'{"policy":{"version":2,"devices":{"custom_data":{"x":1}}}}'
    resource = f'{{"id":"1","custom_data":{{"x":{deep}}}}}'
    done = run_here(
        "check", "--claims", "-", "--type", "devices", "--resource", resource, "--json", stdin=claims, status=1
    )
    assert f'"actual":{deep}}}'.encode() in done.stdout


def test_malformed_input_in_json() -> None:
    arguments = ["check", "--claims", "-", "--type", "devices", "--resource", GOOD, "--json"]
    answer = json.loads(run_here(*arguments, stdin=b'{"a":1,"a":2}', status=2).stdout)
    assert (answer.pop("allow"), answer.pop("reason"), answer.pop("code")) == (False, *["malformed_input"] * 2)
    assert answer == {"error": "claims: line 1, column 8: duplicate member `a` (R12.2)"}


# --- tokens


def test_where_a_token_comes_from(folder, token, tmp_path) -> None:
    arguments = ["check", "--type", "devices", "--resource", folder / "good.json", "--key", folder / "public.pem"]
    file = tmp_path / "token.txt"
    file.write_text(token() + "\n")
    assert "allowed" in run_here(*arguments, "--token-file", file).text
    assert "allowed" in run_here(*arguments, "--token-file", "-", stdin=file.read_bytes()).text
    assert "allowed" in run_here(*arguments, JWT=token()).text
    # What is given outranks the environment.
    assert "allowed" in run_here(*arguments, "--token-file", file, JWT="nonsense").text
    claims = ["check", "--claims", folder / "claims.json", "--type", "devices", "--resource", GOOD]
    assert "allowed" in run_here(*claims, JWT="nonsense").text


def test_keys_of_other_kinds(folder, token) -> None:
    arguments = ["check", "--type", "devices", "--resource", GOOD]
    assert "allowed" in run_here(*arguments, "--jwks", folder / "jwks.json", JWT=token(kid="k1")).text
    hmac = token(by=SECRET, alg="HS256")
    secret = ["--secret-file", folder / "secret.txt"]
    assert "allowed" in run_here(*arguments, *secret, "--alg", "HS256", JWT=hmac).text
    assert (
        "allowed" in run_here(*arguments, *secret, JWT=hmac).text
    )  # a secret is for HS256, where nothing else is said


EXPIRED = {"exp": 1_000_000_000}


@pytest.mark.parametrize(
    ("options", "changes", "status", "expected"),
    [
        (["--key", "public.pem"], EXPIRED, 2, "invalid token (expired): the token has expired: its `exp` was "),
        (["--key", "public.pem"], {"nbf": 4_000_000_000}, 2, "invalid token (not_yet_valid): the token's `nbf`"),
        (
            ["--key", "public.pem"],
            {"by": None},
            2,
            "invalid token (signature): the token's signature does not fit the key",
        ),
        (
            ["--key", "public.pem", "--alg", "RS512"],
            {},
            2,
            "is not accepted, only RS512: set `algorithms`\njwt-bridge: hint: --alg ",
        ),
        (
            ["--key", "public.pem"],
            {"aud": "x"},
            2,
            "`x`, and no audience is configured: set `audience`\njwt-bridge: hint: --aud",
        ),
        (
            ["--key", "public.pem", "--audience", "x", "--audience", "y"],
            {"aud": "z"},
            2,
            "audience: `z`; if it is for this service, set `audience`\njwt-bridge: ",
        ),
        (
            ["--key", "public.pem", "--issuer", "x"],
            {"iss": "y"},
            2,
            "issuer: `y`; if you trust it, set `issuer`\njwt-bridge: hint: --issuer ",
        ),
        (["--key", "public.pem", "--issuer", "x"], {}, 2, "invalid token (missing_claim): the claim `iss`"),
        (["--key", "public.pem", "--require", "jti"], {}, 2, "invalid token (missing_claim): the claim `jti`"),
        (["--key", "public.pem"], {"exp": None}, 2, "invalid token (missing_claim): the claim `exp`"),
        (["--jwks", "jwks.json"], {}, 2, "give the one key of its issuer in PEM, not the set"),
        (["--jwks", "jwks.json"], {"kid": "other"}, 2, "invalid token (unknown_key): "),
        (["--jwks", "nothing.json"], {"kid": "k1"}, 3, "are unavailable: "),
        (["--jwks", "binary"], {"kid": "k1"}, 3, "are unavailable: "),
        (["--jwks", "http://127.0.0.1:1/jwks"], {"kid": "k1"}, 3, "are unavailable: "),
        (
            ["--key", "public.pem", "--issuer", "x", "--audience", "y", "--require", "sub"],
            {"iss": "x", "aud": ["y"]},
            0,
            "",
        ),
        (["--key", "public.pem", "--leeway", "3e9"], EXPIRED, 0, ""),
    ],
)
def test_what_is_verified(folder, token, options, changes, status, expected) -> None:
    if "by" in changes:
        changes = {"by": rsa.generate_private_key(public_exponent=65_537, key_size=2048)}
    options = [folder / each if each.endswith((".pem", ".json", "binary")) else each for each in options]
    arguments = ["check", *options, "--type", "devices", "--resource", GOOD, "--json"]
    text = token(**changes)
    done = run_here(*arguments, status=status, JWT=text)
    answer = json.loads(done.stdout)
    if status == 0:
        assert answer == {"allow": True, "reason": "matched", "engine": "wasm"}
        return
    assert done.stderr.startswith("jwt-bridge: ")
    assert expected in done.stderr
    assert answer["allow"] is False
    if status == 2:
        assert answer["reason"] == "invalid_token"
        assert f"invalid token ({answer['code']}): {answer['error']}\n" in done.stderr
    else:
        assert (answer["code"], answer.get("reason")) == ("keys_unavailable", None)
    assert text not in done.stderr
    assert text.split(".")[2] not in done.stderr


def test_a_text_that_is_no_token(folder) -> None:
    done = run_here(
        "check", "--token", "nonsense", "--key", folder / "public.pem", "--type", "x", "--resource", GOOD, status=2
    )
    message = "the token has 1 segment, not 3 with dots between them; is it a whole token?"
    assert done.stderr == f"jwt-bridge: invalid token (malformed): {message}\n"
    assert done.stdout == b""


@pytest.mark.parametrize(
    ("token_argument", "expected"),
    [
        (" ", "the token is empty\n"),
        ("Bearer {}", "the token begins with `Bearer `, which is a part of the HTTP header and not of the token: take"),
        ("public.pem", "whole token?\njwt-bridge: hint: the token is the name of a file: give it with --token-file\n"),
    ],
)
def test_a_token_that_was_given_in_another_way(folder, token, token_argument, expected) -> None:
    text = token()
    token_argument = str(folder / token_argument) if token_argument.endswith(".pem") else token_argument.format(text)
    arguments = ["check", "--key", folder / "public.pem", "--type", "devices", "--resource", GOOD]
    done = run_here(*arguments, "--token", token_argument, status=2)
    assert "jwt-bridge: invalid token (malformed): " in done.stderr
    assert expected in done.stderr
    assert text.split(".")[2] not in done.stderr


# --- an OPA


def test_an_opa_that_has_the_rules(opa, folder) -> None:
    roots = ["--package-root", "check.rules", "--data-root", "check.resources"]
    server = ["--engine", "opa", "--opa-url", opa.url, *roots]
    arguments = ["check", "--claims", folder / "claims.json", "--type", "devices", "--json", *server]
    # An address in the environment is for whom it concerns.
    assert "decided by wasm" in run_here(*arguments[:5], "--resource", GOOD, OPA_URL=opa.url).text
    done = run(*arguments, "--resource", GOOD, status=3)
    assert "`jwt-bridge install` uploads them" in done.stderr
    assert json.loads(done.stdout)["reason"] == "engine_unavailable"
    run("install", "--opa-url", opa.url, *roots)
    assert json.loads(run(*arguments, "--resource", BAD, status=1).stdout)["failures"] == FAILURES
    lost = run(*arguments, "--id", "d1", status=3)
    assert json.loads(lost.stdout)["code"] == "resources_missing"
    assert "push them" in lost.stderr
    run("push", "--type", "devices", "-", "--opa-url", opa.url, *roots, stdin=f"{GOOD}\n{BAD}\n".encode())
    assert json.loads(run(*arguments, "--id", "d3", status=1).stdout)["reason"] == "unknown_resource"
    answer = json.loads(run(*arguments, "--id", "d1").stdout)
    assert answer.pop("revision").isdecimal()
    assert answer == {"allow": True, "reason": "matched", "engine": "opa"}
    assert json.loads(run(*arguments, "--id", "d2", status=1).stdout)["failures"] == FAILURES
    arguments.remove("--json")
    assert run_here(*arguments, "--id", "d1").text.endswith(f"\n  decided by opa, at {opa.url}\n")


def test_rules_that_verify_tokens_themselves(opa, folder, token) -> None:
    checks = ["--key", folder / "public.pem", "--issuer", "x", "--package-root", "check_tokens"]
    run_here("install", "--opa-url", opa.url, *checks)
    arguments = ["check", "--type", "devices", "--resource", GOOD, "--engine", "opa", "--opa-url", opa.url, *checks]
    assert "allowed" in run_here(*arguments, "--token-rules", JWT=token(iss="x")).text
    assert "use the settings that they were rendered for" in run_here(*arguments, JWT=token(iss="x"), status=3).stderr


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ((b'{"code":"unauthorized","message":"request rejected"}', "401 Unauthorized"), "opa answered 401"),
        ((b'{"provenance":{"version":"1.19.0"},"result":{}}', "200 OK"), "1.19.0"),
        ((b"<html>", "200 OK"), "not well-formed JSON"),
        ((b'{"provenance":{"version":"1.20.2"}}', "200 OK"), "OPA has no rules"),
    ],
)
def test_an_opa_that_does_not_answer_as_it_must(reply, expected) -> None:
    with FaultServer(lambda exchange: exchange.reply(*reply)) as server:
        arguments = ["--type", "devices", "--resource", GOOD, "--engine", "opa", "--opa-url", server.url]
        done = run_here("check", "--claims", "-", *arguments, stdin=b"{}", status=3)
    assert expected in done.stderr
    assert done.stdout == b""


# --- what a user gets wrong

WHOSE = ["--claims", "claims.json"]
WHAT = ["--type", "devices", "--resource", GOOD]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (WHAT, "give the token or the claims by one of --token, --token-file and --claims, or set JWT"),
        ([*WHOSE, "--token", "x", *WHAT], "by one of --token, --token-file and --claims, not both"),
        ([*WHOSE, "--token", "x", "--token-file", "y", *WHAT], "and --claims, not all"),
        ([*WHOSE, "--key", "public.pem", *WHAT], "--key is for a token, and --claims need no verification"),
        ([*WHOSE, "--alg", "RS256", "--leeway", "1", *WHAT], "--alg, --leeway are for a token"),
        (["--token", "x", "--key", "public.pem", "--key", "jwks.json", *WHAT], "--key is given more than once"),
        ([*WHOSE, *WHAT, "--opa-url", "http://127.0.0.1:1"], "--opa-url is for --engine opa"),
        (
            [*WHOSE, *WHAT, "--engine", "reference", "--opa-url", "http://127.0.0.1:1", "--opa-deadline", "3"],
            "--opa-url, --opa-deadline are for --engine opa",
        ),
        ([*WHOSE, "--type", "devices"], "give the resource by one of --resource and --id"),
        ([*WHOSE, *WHAT, "--id", "1"], "give the resource by one of --resource and --id, not both"),
        ([*WHOSE, "--type", "devices", "--resource", "d1"], "`d1`: no such file or directory; if it is an id, give it"),
        ([*WHOSE, "--type", "devices", "--id", "1"], "it needs --engine opa"),
        ([*WHOSE, "--type", "devices", "--id", "1", "--engine", "opa"], "no OPA server is named: "),
        (["--claims", "-", "--type", "devices", "--resource", "-"], "standard input holds one thing only"),
        ([*WHOSE, *WHAT, "--engine", "reference", "--wasm", "binary"], "--wasm is for --engine wasm"),
        ([*WHOSE, *WHAT, "--claim", "other"], "with `jwt-bridge render --wasm FILE`, and give it by --wasm FILE"),
        ([*WHOSE, *WHAT, "--policy-version", "4"], "the versions must be 2, 3 or both"),
        ([*WHOSE, *WHAT, "--policy-version", "2.5"], "--policy-version"),
        ([*WHOSE, *WHAT, "--wasm", "binary"], "the file is not Wasm: build one with `jwt-bridge render --wasm FILE`"),
        ([*WHOSE, *WHAT, "--wasm", "cut.wasm"], "the file is no Wasm module: "),
        ([*WHOSE, *WHAT, "--wasm", "empty.wasm"], "the Wasm module is not made of such rules: "),
        ([*WHOSE, *WHAT, "--wasm", "nothing.json"], "no such file or directory"),
        ([*WHOSE, *WHAT, "--package-root", "a..b"], "the package root `a..b`"),
        ([*WHOSE, *WHAT, "--resource-type", "version"], "cannot be called `version`"),
        (["--claims", "nothing.json", *WHAT], "no such file or directory"),
        (["--claims", "binary", *WHAT], "claims: line 2, column 118: invalid UTF-8"),
        (["--claims", "empty", *WHAT], "claims: line 1"),
        ([*WHOSE, "--type", "devices", "--resource", "."], "is a directory"),
        ([*WHOSE, "--type", "devices", "--resource", "{"], "resource: line 1"),
        (
            [*WHOSE, "--type", "devices", "--resource", "twice.json"],
            "resource: line 1, column 11: duplicate member `id`",
        ),
        ([*WHOSE, *WHAT, "--type"], "requires an argument"),
        (["--token-file", "binary", "--key", "public.pem", *WHAT], "not UTF-8"),
        (["--token", "x", *WHAT], "give what verifies the token by one of --key, --jwks and --secret-file"),
        (["--token", "x", "--key", "public.pem", "--jwks", "jwks.json", *WHAT], "--jwks and --secret-file, not both"),
        (["--token", "x", "--key", "private.pem", *WHAT], "a private key, and tokens are verified with public keys"),
        (["--token", "x", "--key", "weak.pem", *WHAT], "an RSA key of 1024 bits, under 2048"),
        (["--token", "x", "--key", "bad.pem", *WHAT], "a PEM text without a readable public key"),
        (["--token", "x", "--key", "binary", *WHAT], "not a PEM text"),
        (["--token", "x", "--key", ".", *WHAT], "Is a directory"),
        (["--token", "x", "--secret-file", "short.txt", "--alg", "HS256", *WHAT], "an HMAC secret under 32 bytes"),
        (["--token", "x", "--secret-file", "public.pem", "--alg", "HS256", *WHAT], "is the text of a key"),
        (["--token", "x", "--key", "public.pem", "--alg", "none", *WHAT], "`none` is never accepted"),
        (["--token", "x", "--key", "public.pem", "--alg", "HS256", *WHAT], "does not fit the key"),
        (["--token", "x", "--jwks", "http://example.com/jwks", *WHAT], "https"),
        (["--token", "x", "--key", "public.pem", "--leeway", "-1", *WHAT], "--leeway"),
    ],
)
def test_misuse(folder, arguments, expected) -> None:
    names = {each.name for each in folder.iterdir()} | {"nothing.json", "."}
    arguments = [folder / each if each in names else each for each in arguments]
    done = run_here("check", *arguments, status=2)
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1 or "─ Error ─" in done.stderr
    assert done.stdout == b""
