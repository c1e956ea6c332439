"""Whatever others have put into names, ids, claims, tokens, files and answers: no command prints a line of theirs."""

from __future__ import annotations

import base64
import json
import logging
import os

import pytest
from cli_process import run, run_here
from fault_server import FaultServer

from bridge import BridgeError, OpaClient, OpaEngine, PolicyBridge, StaticKey, TokenVerifier
from bridge.errors import InvalidTokenError
from bridge.strict_json import parse

EVIL = "x\nallowed: matched\r\x1b[2J\x7f\x9b1m\u202e\u2066\u2028\u200b\U000e0001"
TWIN = EVIL.replace("\n", "\\n")
NAME = EVIL.replace("/", "")


def lines_of(done):
    """What a command has printed, which is printable but for the ends of its lines."""
    text = done.text + done.stderr
    lines = text.split("\n")
    assert all(line.isprintable() for line in lines), text
    assert not any(line.startswith("allowed") for line in lines), text
    return lines


@pytest.fixture(scope="module")
def opa(start_opa):
    opa = start_opa()
    with PolicyBridge(OpaEngine(opa.url)) as bridge:
        bridge.install()
    return opa


def claims_file(tmp_path, policy):
    path = tmp_path / "claims.json"
    path.write_text(json.dumps({"policy": policy}))
    return path


POLICIES = {
    "a constraint": {"version": 2, "devices": {"custom_data": {EVIL: EVIL}}},
    "an id": {"version": 2, "devices": {"id": EVIL}},
    "an unknown field": {"version": 2, "devices": {EVIL: 1}},
    "an unknown type": {"version": 2, EVIL: {}},
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_check(tmp_path, policy):
    resource = json.dumps({"id": "d", "custom_data": {EVIL: f"{EVIL}!"}})
    arguments = ["check", "--claims", claims_file(tmp_path, policy), "--type", "devices", "--resource", resource]
    lines = lines_of(run_here(*arguments, status=1))
    assert lines[0].startswith("denied: ")
    done = run_here(*arguments, "--json", status=1)
    assert len(lines_of(done)) == 2
    answer = json.loads(done.stdout)
    assert EVIL in json.dumps(answer, ensure_ascii=False) or json.dumps(EVIL)[1:-1] in json.dumps(answer)


def test_a_name_with_a_line_feed_is_told_from_one_with_a_backslash(tmp_path):
    said = []
    for name in ("a\nb", "a\\nb"):
        claims = claims_file(tmp_path, {"version": 2, "devices": {"custom_data": {name: 1}}})
        done = run_here("check", "--claims", claims, "--type", "devices", "--resource", '{"id":"d"}', status=1)
        said.append(lines_of(done)[2])
    assert said == ['  "/custom_data/a\\nb"  missing', '  "/custom_data/a\\\\nb"  missing']


MALFORMED = {
    "a duplicate name": b'{"id":"d","%s":1,"%s":2}',
    "a number in a name": b'{"id":"d","custom_data":{"%s":1e999}}',
    "a type": b'{"id":1,"%s":2}',
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_check_of_malformed_resources(tmp_path, text):
    path = tmp_path / NAME
    path.write_bytes(text.replace(b"%s", json.dumps(EVIL)[1:-1].encode()))
    claims = claims_file(tmp_path, {"version": 2, "devices": {"id": "x"}})
    for json_option in ([], ["--json"]):
        status = 1 if b'"id":1' in text else 2
        lines_of(
            run_here("check", "--claims", claims, "--type", "devices", "--resource", path, *json_option, status=status)
        )


@pytest.mark.parametrize("command", ["check", "list", "push", "sync", "decide", "conformance", "render"])
def test_names_of_files_and_types(tmp_path, opa, command):
    claims = claims_file(tmp_path, {})
    missing = tmp_path / NAME
    arguments = {
        "check": [
            ["--claims", missing, "--type", "devices", "--id", "x", "--engine", "opa"],
            ["--token-file", missing, "--key", missing, "--type", "devices", "--resource", "{}"],
            ["--claims", claims, "--type", EVIL, "--resource", '{"id":"x"}', "--resource-type", EVIL],
        ],
        "list": [["--claims", claims, "--type", EVIL, "--after", EVIL], ["--token-file", missing, "--type", EVIL]],
        "push": [
            ["--type", EVIL, missing],
            ["--type", "devices", missing],
            ["--data-root", EVIL, "--type", "x", missing],
        ],
        "sync": [["--type", EVIL, missing], ["--type", "devices", missing]],
        "decide": [[missing]],
        "conformance": [["--vectors", missing]],
        "render": [["--package-root", EVIL], ["--claim", EVIL], ["--key", missing], ["--out", missing / "\udc80"]],
    }[command]
    for case_arguments in arguments:
        for options in (["--opa-url", opa.url], []):
            if command in ("decide", "conformance", "render") and options:
                continue
            lines_of(_run_any(command, *case_arguments, *options))


def _run_any(*arguments):
    for status in (1, 2, 3, 0):
        try:
            return run_here(*arguments, status=status)
        except AssertionError as error:
            last = error
    raise last


def test_usage():
    for arguments in ([EVIL], ["check", f"--{EVIL}"], ["check", "--engine", EVIL], ["push", "a", EVIL], ["--", EVIL]):
        lines_of(run_here(*arguments, status=2))


def test_list(tmp_path, opa):
    ids = [EVIL, TWIN, "plain", "é", 'a"b', '"a"', "a\\nb", "a\nb"]
    with PolicyBridge(OpaEngine(opa.url)) as bridge:
        bridge.push("devices", [{"id": id_} for id_ in ids])
    arguments = ["list", "--claims", claims_file(tmp_path, {"version": 2, "devices": {}}), "--type", "devices"]
    done = run_here(*arguments, "--opa-url", opa.url)
    lines_of(done)
    lines = done.text.splitlines()
    assert len(set(lines)) == len(ids)
    assert {json.loads(line) if line.startswith('"') else line for line in lines} == set(ids)
    assert {"plain", "é", 'a"b', '"a\\nb"', '"a\\\\nb"'} < set(lines)
    done = run_here(*arguments, "--opa-url", opa.url, "--json")
    lines_of(done)
    assert {json.loads(line) for line in done.text.splitlines()} == set(ids)


@pytest.mark.parametrize("command", ["push", "sync"])
def test_refused_resources(opa, command):
    resources = [{"id": EVIL}, {"id": EVIL}, {"id": "a", "custom_data": EVIL}, {EVIL: 1}]
    data = b"".join(json.dumps(each).encode() + b"\n" for each in resources)
    data += b'{"id":"b","' + json.dumps(EVIL)[1:-1].encode() + b'":1e999}\n' + EVIL.encode() + b"\n"
    lines_of(_run_input(data, command, "--type", "devices", "-", "--opa-url", opa.url))


def _run_input(data, *arguments):
    for status in (1, 2):
        try:
            return run_here(*arguments, stdin=data, status=status)
        except AssertionError as error:
            last = error
    raise last


def test_decide():
    questions = [
        {"case": EVIL, "claims": {"policy": POLICIES["a constraint"]}, "type": "devices", "resource": {"id": "x"}},
        {"case": EVIL, "claims": {"policy": POLICIES["an unknown type"]}, "type": "devices", "resource": {"id": "x"}},
        {"case": EVIL, EVIL: 1},
        {"case": EVIL, "claims": 1, "type": EVIL, "resource": 1},
    ]
    data = b"".join(json.dumps(each).encode() + b"\n" for each in questions)
    done = run("decide", stdin=data)
    lines_of(done)
    answers = [parse(line) for line in done.stdout.splitlines()]
    assert [answer["case"] for answer in answers] == [EVIL] * 4
    assert answers[0]["failures"] == [{"code": "missing", "pointer": f"/custom_data/{EVIL}"}]


ANSWERS = {
    "a message": (
        {"code": EVIL, "message": EVIL, "errors": [{"message": EVIL, "location": {"file": EVIL}}]},
        "400 Bad",
    ),
    "a version": ({"result": 1, "provenance": {"version": EVIL}}, "200 OK"),
    "no json": (EVIL, "200 OK"),
    "a fingerprint": ({"result": {"fingerprint": EVIL}, "provenance": {"version": "1.20.2"}}, "200 OK"),
    "a policy": ({"result": [{"id": EVIL}], "provenance": {"version": "1.20.2"}}, "200 OK"),
}


@pytest.mark.parametrize(("answer", "status"), ANSWERS.values(), ids=ANSWERS)
def test_what_an_opa_says(tmp_path, answer, status):
    body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
    claims = claims_file(tmp_path, {})
    with FaultServer(lambda exchange: exchange.reply(body, status)) as server:
        url = ["--opa-url", server.url]
        for arguments in (
            ["check", "--claims", claims, "--type", "devices", "--id", "x", "--engine", "opa"],
            ["list", "--claims", claims, "--type", "devices"],
            ["install"],
            ["uninstall"],
            ["doctor"],
            ["conformance", "--engine", "opa"],
        ):
            lines_of(run_here(*arguments, *url, status=3))


def test_a_module_and_data_of_others(opa):
    with OpaClient(opa.url) as client:
        from bridge.opa.paths import quoted_path  # noqa: PLC0415 - a path that no caller of ours may write to

        client._write("PUT", quoted_path("policies", [EVIL]), b"package jwt_policy.foreign\n", None)
        OpaEngine(client).store.replace("devices", {})
        client.put_data(("jwt_policy_data", "sessions"), json.dumps({EVIL: 1}).encode())
        try:
            for command, status in (("install", 3), ("doctor", 1), ("uninstall", 0)):
                lines = lines_of(run_here(command, "--opa-url", opa.url, status=status))
                assert any('"x\\nallowed: matched\\r\\u001b[2J' in line for line in lines)
        finally:
            client.delete_policy(EVIL, quoted=True)
            client.delete_data(("jwt_policy_data", "sessions"))
            OpaEngine(client).install()


def segment(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def token(header, claims):
    return f"{segment(header)}.{segment(claims)}.{segment('x')}"


TOKENS = {
    "no token": EVIL,
    "an algorithm": token({"alg": EVIL}, {}),
    "a type": token({"alg": "RS256", "typ": EVIL}, {}),
    "a key": token({"alg": "RS256", "kid": EVIL}, {}),
    "crit": token({"alg": "RS256", "crit": [EVIL]}, {}),
    "an issuer": token({"alg": "RS256"}, {"iss": EVIL, "aud": EVIL, "exp": EVIL}),
    "a name": token({"alg": "RS256", EVIL: "\ud800"}, {}),
}


@pytest.mark.parametrize("text", TOKENS.values(), ids=TOKENS)
def test_tokens(tmp_path, text):
    path = tmp_path / "token"
    path.write_text(text)
    secret = tmp_path / "secret"
    secret.write_bytes(os.urandom(32))
    done = run_here(
        "check",
        "--token-file",
        path,
        "--secret-file",
        secret,
        "--type",
        "devices",
        "--resource",
        '{"id":"x"}',
        status=2,
    )
    lines_of(done)
    with pytest.raises(InvalidTokenError) as error:
        TokenVerifier(StaticKey.from_secret(secret.read_bytes()), algorithms=("HS256",)).verify(text)
    assert str(error.value).isprintable()


def test_what_a_service_logs(caplog):
    """Each call of a service that can be given something hostile: what it logs of it is one line."""
    bridge = PolicyBridge()
    for call in (
        lambda: bridge.check({"policy": {EVIL: "\ud800"}}, "devices", {"id": "x"}),
        lambda: bridge.check({}, EVIL, {"id": EVIL, EVIL: float("nan")}),
        lambda: bridge.push(EVIL, []),
        lambda: bridge.push("devices", [{"id": EVIL, "x": float("inf")}] * 2),
        lambda: bridge.upsert("devices", [{"id": EVIL, EVIL: {1}}]),
        lambda: bridge.list_allowed({}, "devices", after=EVIL),
        lambda: bridge.check({}, "devices", {"id": "x"}, at_least=EVIL),
        lambda: OpaClient(f"http://127.0.0.1/{EVIL}"),
        lambda: OpaClient(EVIL),
        lambda: OpaClient("http://x", ca=EVIL),
        lambda: StaticKey.from_pem_file(NAME),
        lambda: StaticKey.from_pem(EVIL),
        lambda: TokenVerifier(StaticKey.from_secret(b"x" * 32), algorithms=(EVIL,)),
    ):
        try:
            call()
        except BridgeError as error:
            logging.getLogger("service").error("it failed: %s", error)  # noqa: TRY400 - the text alone counts
    assert len(caplog.messages) >= 10
    assert all(message.isprintable() for message in caplog.messages), caplog.messages
