"""`jwt-bridge decide` as a process, on each engine."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cli_process import COMMAND, PATIENCE, between, ended, environment, read_line, run, run_here, started
from fault_server import FaultServer

from bridge.opa import OpaClient
from bridge.rendering import RuleSet, rego_root, render
from bridge.store import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fault_server import Exchange

    from bridge.opa import ManagedOpa

USER = {"custom_data": {"user_id": "my user id here"}}
OWN = {"custom_data": {"my_custom_data": "some value here", "my_other_custom_data": "some other value here"}}
RIGGED = """package jwt_policy

default allow := true

decision := {"allow": true, "reason": "matched"}

answer := {"fingerprint": "", "decisions": [decision], "revisions": {}}
"""


@pytest.fixture(scope="module")
def opa(start_opa: Callable[..., ManagedOpa]) -> ManagedOpa:
    """An OPA that nobody else uses, to be as empty after each test as before."""
    return start_opa()


@pytest.fixture
def client(opa: ManagedOpa) -> Iterator[OpaClient]:
    with OpaClient(opa.url, deadline=PATIENCE) as client:
        yield client


@pytest.fixture(params=["wasm", "reference", "opa"])
def engine(request: pytest.FixtureRequest) -> list[str]:
    """The arguments for an engine."""
    if request.param != "opa":
        return ["--engine", request.param]
    return ["--engine", "opa", "--opa-url", request.getfixturevalue("opa").url]


@pytest.fixture(params=[[], ["--stored"]], ids=["inline", "stored"])
def stored(request: pytest.FixtureRequest) -> list[str]:
    return request.param


def line(policy: object, resource: object, type_: object = "devices", **members: object) -> bytes:
    return json.dumps({"claims": {"policy": policy}, "type": type_, "resource": resource, **members}).encode()


def answers(stdout: bytes) -> list[dict[str, object]]:
    assert stdout.endswith(b"\n")
    return [json.loads(each) for each in stdout.removesuffix(b"\n").split(b"\n")]


def state(client: OpaClient) -> tuple[object, object]:
    """All that is on an OPA."""
    return client.list_policies(), client.get_data(())


# --- what is decided

YES = {"allow": True, "reason": "matched"}
NO_TYPE = {"allow": False, "reason": "type_not_granted"}


def failed(*failures: tuple[str, str]) -> dict[str, object]:
    details = [{"pointer": pointer, "code": code} for pointer, code in failures]
    return {"allow": False, "reason": "constraint_failed", "failures": details}


MISSING = failed(("/custom_data/user_id", "missing"))
DIFFERENT = failed(("/custom_data/user_id", "different"))
BOTH_MISSING = failed(("/custom_data/my_custom_data", "missing"), ("/custom_data/my_other_custom_data", "missing"))
A, B, C = {"id": "a", **USER}, {"id": "12345", "custom_data": {"user_id": "another"}}, {"id": "c", **OWN}

EXAMPLES = [
    ({"version": 2, "devices": USER}, {"devices": [YES, DIFFERENT, MISSING], "sessions": [NO_TYPE] * 3}),
    ({"version": 2, "sessions": USER}, {"devices": [NO_TYPE] * 3, "sessions": [YES, DIFFERENT, MISSING]}),
    (
        {"version": 2, "sessions": OWN, "devices": OWN},
        {"devices": [BOTH_MISSING, BOTH_MISSING, YES], "sessions": [BOTH_MISSING, BOTH_MISSING, YES]},
    ),
    ({"version": 2, "sessions": {}}, {"devices": [NO_TYPE] * 3, "sessions": [YES] * 3}),
    (
        {"version": 2, "sessions": {"id": "12345"}},
        {"devices": [NO_TYPE] * 3, "sessions": [failed(("/id", "different")), YES, failed(("/id", "different"))]},
    ),
]


def test_the_five_examples(engine, stored) -> None:
    lines_with_answers = [
        (line(policy, resource, type_), answer)
        for policy, by_type in EXAMPLES
        for type_, expected in by_type.items()
        for resource, answer in zip((A, B, C), expected, strict=True)
    ]
    done = run("decide", *engine, *stored, stdin=b"\n".join(text for text, _ in lines_with_answers))
    assert answers(done.stdout) == [answer for _, answer in lines_with_answers]
    assert done.stderr == ""


def malformed(error: str, **members: str) -> dict[str, object]:
    return {"allow": False, "reason": "malformed_input", "error": error} | members


def test_every_kind_of_line(engine, stored) -> None:
    deep = "[" * 63 + "]" * 63
    good = line({"version": 2, "devices": {}}, {"id": "1"})

    def numbers(wanted: str, actual: str) -> bytes:
        text = line({"version": 2, "devices": {"custom_data": {"n": "W"}}}, {"id": "1", "custom_data": {"n": "F"}})
        return text.replace(b'"W"', wanted.encode()).replace(b'"F"', actual.encode())

    lines_with_answers: list[tuple[bytes, dict[str, object] | None]] = [
        (
            b"\xef\xbb\xbf" + good,
            malformed("line 1, column 1: a byte order mark: save the text as UTF-8 without one (R12.1)"),
        ),
        (line({"version": 2, "devices": {}}, {"id": "1"}, case="two"), {"case": "two", **YES}),
        (b"", None),
        (b" \t\r", None),
        (
            line({}, {"id": "1"}, case="") + b"\r",
            {
                "case": "",
                "allow": False,
                "reason": "invalid_policy",
                "violations": [{"pointer": "/version", "code": "version_missing"}],
            },
        ),
        # Only a line feed ends a line.
        (
            line({"version": 2, "devices": {}}, {"id": "1"}, case="-").replace(
                b'"-"', '"\u2028\u2029\x85\u00a0"'.encode()
            ),
            {"case": "\u2028\u2029\x85\u00a0", **YES},
        ),
        (good.replace(b'"1"', b'"\r"'), malformed("line 7, column 94: invalid control character (R12.1)")),
        (good.replace(b'"1"', b'"\x0b\x0c"'), malformed("line 8, column 94: invalid control character (R12.1)")),
        (good.replace(b",", b",\r\x20"), YES),
        # Text that breaks R12, anywhere in the line.
        (good.replace(b'"1"', b'"\xff"'), malformed("line 10, column 94: invalid UTF-8")),
        (good.replace(b'"1"', b'"\\ud800"'), malformed("line 11, column 93: a string with an unpaired surrogate")),
        (good.replace(b'"1"', b'"1","id":"1"'), malformed("line 12, column 97: duplicate member `id`")),
        (good.replace(b'"1"', b"1e400"), malformed("line 13, column 93: a number of a magnitude above")),
        (good.replace(b'{"id": "1"}', b'{"id":"1","x":%s}' % deep.encode()), YES),
        (good.replace(b'{"id": "1"}', b'{"id":"1","x":[%s]}' % deep.encode()), malformed("line 15: resource: at `/x")),
        (b"[" * 100_000, malformed("line 16, column 257: ")),
        (b'{"case":"kept","claims":{"a":NaN},"type":"devices","resource":{}}', malformed("line 17, column 30: ")),
        (
            b'{"case":"kept","claims":{"a":1,"a":1},"type":"devices"}',
            malformed("line 18, column 32: duplicate member `a`", case="kept"),
        ),
        # Shapes that are no question.
        (b"null", malformed("line 19: not an object")),
        (b"{}", malformed("line 20: the member `claims` is missing")),
        (b'{"claims":{},"type":"devices"}', malformed("line 21: the member `resource` is missing")),
        (line({}, {}, casse="x"), malformed('line 22: an unknown member "casse"')),
        (line({}, {}, case=1), malformed("line 23: `case` is not a string")),
        (line({}, {}, case=None), malformed("line 24: `case` is not a string")),
        (line({}, {}, 1, case="x"), malformed("line 25: `type` is not a string", case="x")),
        (b'{"claims":[],"type":"devices","resource":{"id":"1"}}', malformed("line 26: `claims` is not an object")),
        # R2 and R1 see to the rest of the resource.
        (line({"version": 2, "devices": {}}, None), {"allow": False, "reason": "invalid_resource"}),
        (
            line({"version": 2, "devices": {}}, {"id": ""}, case="r"),
            {"case": "r", "allow": False, "reason": "invalid_resource"},
        ),
        (line({"version": 2, "devices": {}}, {"id": "1"}, "device"), {"allow": False, "reason": "unknown_type"}),
        (line({"version": 2, "devices": {}}, [], "\u0000/"), {"allow": False, "reason": "unknown_type"}),
        (b'{"claims":{},"type":"devices","resource":{"id":"1"}}', {"allow": True, "reason": "unrestricted"}),
        # One id, different resources.
        (numbers("9007199254740993", "9007199254740992"), failed(("/custom_data/n", "different"))),
        (numbers("9007199254740993", "9007199254740993.0"), YES),
        (numbers("1.50e1", "15"), YES),
        (line({"version": 2, "devices": USER}, {"id": "1", **USER}), YES),
        (line({"version": 2, "devices": USER}, {"id": "1"}), MISSING),
        (line({"version": 2, "sessions": USER}, {"id": "1", **USER}, "sessions"), YES),
        (line({"version": 2, "sessions": USER}, {"id": "1"}, "sessions", case="last"), {"case": "last", **MISSING}),
    ]
    done = run("decide", *engine, *stored, stdin=b"\n".join(text for text, _ in lines_with_answers))
    expected = [answer for _, answer in lines_with_answers if answer is not None]
    actual = answers(done.stdout)
    for answer, wanted in zip(actual, expected, strict=True):
        if "error" in wanted:  # its beginning
            assert str(answer["error"]).startswith(str(wanted["error"])), answer
            answer["error"] = wanted["error"]
        assert answer == wanted
    assert done.stderr == ""


def test_a_file_and_nothing_at_all(tmp_path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_bytes(line({"version": 2, "devices": {}}, {"id": "1"}) + b"\r\n")
    assert answers(run("decide", file).stdout) == [YES]
    assert run("decide", "-").stdout == run("decide", "--stored", stdin=b"\n \r\n").stdout == b""


@pytest.mark.parametrize(
    ("text", "hinted"),
    [
        (b"[%s,%s]" % (line({}, {}), line({}, {})), True),
        (json.dumps(json.loads(line({}, {})), indent=2).encode(), True),
        (b"x" * 2_000_000 + b"\n", True),
        (b"\n", False),
        (b"{}", False),
        (b'{"claims":{},"claims":{}}', False),  # an object, though not one that may be read
        (b"[]\n" * 1_001 + line({}, {}), False),
        (b"\xef\xbb\xbf" + line({}, {}), False),
        (b"\xef\xbb\xbf[]", False),
        (line({}, {}).decode().encode("utf-16"), False),
        (gzip.compress(line({}, {}), mtime=0), False),
    ],
)
def test_a_hint_where_no_line_is_an_object(text, hinted) -> None:
    hint = (
        "jwt-bridge: hint: no line is a JSON object; write one JSON object per line, "
        "not an array, and no object over several lines\n"
    )
    assert run("decide", stdin=text).stderr == (hint if hinted else "")


# --- it streams


def test_a_line_is_answered_before_the_next_one_is_written(engine) -> None:
    with started("decide", *engine) as process:
        for case in ("one", "two"):
            process.stdin.write(line({"version": 2, "devices": {}}, {"id": "1"}, case=case) + b"\n")
            assert json.loads(read_line(process)) == {"case": case, **YES}
        process.stdin.write(line({"version": 2, "devices": {}}, {"id": "1"}))
        process.stdin.close()
        assert json.loads(read_line(process)) == YES
        assert ended(process, 0) == ""


MEASURE = """
import resource, subprocess, sys
many, *command = sys.argv[1:]
with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
    for number in range(int(many)):
        process.stdin.write(b'{"case":"%s","claims":{"policy":{"version":2,"devices":{"id":"7"}}},'
                            b'"type":"devices","resource":{"id":"%d"}}\\n' % (b"x" * 2000, number))
    process.stdin.close()
assert process.returncode == 0
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.parametrize("arguments", [[], ["--stored"]], ids=["inline", "stored"])
def test_ten_times_as_many_lines_need_no_more_memory(arguments) -> None:
    def peak(lines: int) -> int:
        """In KiB."""
        command = [sys.executable, "-c", MEASURE, str(lines), *COMMAND, "decide", *arguments]
        done = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE, env=environment())
        return int(done.stdout)

    assert peak(30_000) - peak(3_000) < 20 * 1024


def test_a_reader_that_has_seen_enough(engine) -> None:
    with started("decide", *engine) as process:
        process.stdin.write(line({}, {}) + b"\n")
        assert read_line(process)
        process.stdout.close()
        process.stdin.write(line({}, {}) + b"\n")
        assert ended(process, 141) == ""


# --- a guest on an OPA


def test_an_empty_opa_is_empty_afterwards(client, stored) -> None:
    before = state(client)
    done = run("decide", "--engine", "opa", *stored, stdin=line({}, {"id": "1"}), OPA_URL=client.url)
    assert answers(done.stdout)[0]["reason"] == "invalid_policy"
    assert state(client) == before == ((), {})


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_a_signal_in_the_middle_leaves_nothing_behind(client, number, status) -> None:
    with started("decide", "--engine", "opa", "--stored", OPA_URL=client.url) as process:
        process.stdin.write(line({"version": 2, "devices": {}}, {"id": "1"}) + b"\n")
        assert json.loads(read_line(process)) == YES
        policies, data = state(client)
        assert len(policies) == len(render(RuleSet()))
        assert any(name.endswith("_data") for name in data)
        process.send_signal(number)
        assert ended(process, status) == ""
    assert state(client) == ((), {})


def test_what_is_there_is_neither_used_nor_touched(client, stored) -> None:
    client.put_policy("jwt_policy/rigged.rego", RIGGED)
    client.put_data(("jwt_policy_data",), b'{"devices":' + layout.document({b'"1"': b'{"id":"1"}'}) + b"}")
    before = state(client)
    try:
        questions = [line({"version": 2}, {"id": "1"}), line({"version": 2, "devices": USER}, {"id": "1"})]
        done = run("decide", "--engine", "opa", *stored, stdin=b"\n".join(questions), OPA_URL=client.url)
        assert answers(done.stdout) == [NO_TYPE, MISSING]
        assert state(client) == before
    finally:
        client.delete_policy("jwt_policy/rigged.rego")
        client.delete_data(("jwt_policy_data",))


def test_an_engine_that_fails_in_the_middle_is_cleaned_up(client) -> None:
    def fail_for_seven(exchange: Exchange, _: bytes) -> tuple[str, bytes] | None:
        return ("500 Internal Server Error", b"{}") if b'"seven"' in exchange.body else None

    with (
        between(client.url, fail_for_seven) as server,
        started("decide", "--engine", "opa", OPA_URL=server.url) as process,
    ):
        process.stdin.write(b"\n" + line({"version": 2, "devices": {}}, {"id": "1"}) + b"\n")
        assert json.loads(read_line(process)) == YES
        process.stdin.write(b"\n\n" + line({"version": 2, "devices": {}}, {"id": "seven"}) + b"\n")
        complaint = ended(process, 3)
        assert "and line 5 is the first without an answer: `POST /v1/data/" in complaint
        assert process.stdout.read() == b""
    assert state(client) == ((), {})


def test_an_opa_that_is_killed_in_the_middle(start_opa) -> None:
    opa = start_opa()
    with started("decide", "--engine", "opa", "--opa-url", opa.url) as process:
        process.stdin.write(line({"version": 2, "devices": {}}, {"id": "1"}) + b"\n")
        assert json.loads(read_line(process)) == YES
        opa.kill()
        process.stdin.write(line({"version": 2, "devices": {}}, {"id": "1"}) + b"\n")
        complaint = ended(process, 3)  # its standard input is still open
        assert process.stdout.read() == b""
    assert "jwt-bridge: the engine failed, and line 2 is the first without an answer: " in complaint
    assert "may still be on the OPA" in complaint


def test_an_opa_that_is_too_old() -> None:
    body = b'{"provenance":{"version":"1.19.0"}}'
    with FaultServer(lambda exchange: exchange.reply(body)) as server:
        done = run("decide", "--engine", "opa", "--opa-url", server.url, stdin=line({}, {}), status=3)
        assert all(each.startswith("POST /v1/data/jwt_bridge_decide_") for each in server.lines)
    assert "1.19.0" in done.stderr
    assert done.stdout == b""


# --- what a user gets wrong


NOT_UTF8 = str(rego_root() / "jwt_policy" / "policy.wasm")


@pytest.mark.parametrize(
    ("arguments", "changes", "status", "expected"),
    [
        (["nothing.jsonl"], {}, 2, "`nothing.jsonl`: no such file or directory"),
        (["/"], {}, 2, "`/`: is a directory"),
        (["--engine", "opa"], {}, 2, "no OPA server is named: give --opa-url, or set OPA_URL"),
        (["--engine", "opa", "--opa-url", "nonsense"], {}, 2, "the url of opa must start with `http://`"),
        (["--engine", "opa"], {"OPA_URL": "http://user:secret@127.0.0.1"}, 2, "the url of opa must have no user"),
        (["--engine", "opa", "--opa-url", "http://127.0.0.1:1"], {}, 3, "connection refused"),
        (["--engine", "opa", "--opa-url", "http://x", "--opa-token-file", "no"], {}, 2, "`no`: no such file"),
        (["--engine", "opa", "--opa-url", "http://x", "--opa-token-file", NOT_UTF8], {}, 2, "not UTF-8"),
        (
            ["--engine", "opa", "--opa-url", "https://x", "--opa-key", "no"],
            {},
            2,
            "one of --opa-certificate and --opa-key is missing: give both",
        ),
        (["--engine", "opa", "--opa-url", "https://x", "--opa-ca", "no"], {}, 2, "`ca`"),
        (["--opa-url", "http://x"], {}, 2, "--opa-url is for --engine opa"),
        (["--engine", "reference", "--opa-ca", "x", "--opa-key", "y"], {}, 2, "--opa-ca, --opa-key are for --engine"),
        (["--engine", "nope"], {}, 2, "nope"),
        (["--nope"], {}, 2, "--nope"),
        (["a", "b"], {}, 2, "unexpected extra argument"),
        (["--opa-deadline", "0"], {}, 2, "0"),
        (["--engine", "opa", "--opa-url", "http://x", "--opa-deadline", "1e9"], {}, 2, "a deadline must be"),
        (["\x1b[2J\u202e.jsonl"], {}, 2, '`"\\u001b[2J\\u202e.jsonl"`: no such file'),
    ],
)
def test_misuse(arguments, changes, status, expected) -> None:
    if arguments[0].startswith("--"):
        arguments = ["/dev/null", *arguments]
    done = run_here("decide", *arguments, status=status, **changes)
    assert expected in done.stderr.replace("No such", "no such").replace("Got unexpected", "unexpected")
    assert done.stdout == b""
    assert "secret" not in done.stderr


def test_a_bearer_token_with_a_byte_order_mark(tmp_path) -> None:
    (tmp_path / "token").write_bytes(b"\xef\xbb\xbfsecret\n")
    opa = ["--engine", "opa", "--opa-url", "http://x", "--opa-token-file", tmp_path / "token"]
    done = run_here("decide", "/dev/null", *opa, status=2)
    assert f"`{tmp_path / 'token'}`: it begins with a byte order mark: save it as UTF-8 without one" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize(
    ("redirection", "expected"), [("<&-", "input is closed: redirect a file to it"), (">&-", "output is closed")]
)
def test_a_stream_that_is_closed(redirection, expected) -> None:
    shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", *COMMAND, "decide"]
    done = subprocess.run(shell, capture_output=True, check=False, timeout=PATIENCE, env=environment(), stdin=None)
    assert (done.returncode, done.stderr.decode()) == (2, f"jwt-bridge: standard {expected}\n")


def test_a_disk_that_is_full(tmp_path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_bytes(line({}, {}))
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        command = [*COMMAND, "decide", str(file)]
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, check=False, timeout=PATIENCE, env=environment()
        )
    assert (done.returncode, done.stderr) == (2, b"jwt-bridge: no space left on device\n")
