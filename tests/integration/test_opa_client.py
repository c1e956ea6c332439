"""The client against real OPAs, healthy, locked, dying and dead."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from fault_server import Exchange, FaultServer, ends_by_deadline
from loopback_certificates import Authority

from bridge.errors import EngineError, EngineTimeoutError, EngineUnreachableError, InvalidResponseError, OpaStatusError
from bridge.http.response import StrictResponse
from bridge.opa import ManagedOpa, OpaClient, StoredPolicy, find_opa, run_opa
from bridge.rendering import RuleSet, build_wasm, render
from bridge.strict_json import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INPUT = b'{"input":{}}'
ECHO = "package echo\n\nnumber := input.number\n"

# Only the holder of the token may do anything; the token is OPA's `input.identity` with --authentication=token.
AUTHZ = """package system.authz

default allow := false

allow if input.identity == "right-token"
"""


@pytest.fixture(scope="module")
def opa(opa_executable: Path) -> Iterator[ManagedOpa]:
    with ManagedOpa(executable=opa_executable) as opa:
        yield opa


@pytest.fixture
def client(opa: ManagedOpa) -> Iterator[OpaClient]:
    """An OPA as good as empty."""
    with OpaClient(opa.url, deadline=60.0) as client:
        for policy in client.list_policies():
            client.delete_policy(policy.id)
        client.delete_data(("test",))
        yield client


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


# --- what a healthy OPA does


def test_data(client) -> None:
    assert client.get_data(("test",)) is ABSENT
    client.put_data(("test", "a", "b"), b'{"n":9007199254740993,"s":"\xf0\xa0\x80\x80"}')
    assert client.get_data(("test",)) == {"a": {"b": {"n": 9007199254740993, "s": "\U00020000"}}}
    client.patch_data(("test", "a"), b'[{"op":"add","path":"/c","value":null},{"op":"remove","path":"/b/s"}]')
    assert client.get_data(("test", "a")) == {"b": {"n": 9007199254740993}, "c": None}
    assert client.delete_data(("test", "a", "c")) is True
    assert client.delete_data(("test", "a", "c")) is False
    assert client.get_data(("test", "a", "c")) is ABSENT


def test_a_patch_is_done_whole_or_not_at_all(client) -> None:
    client.put_data(("test",), b"{}")
    operations = b'[{"op":"add","path":"/a","value":1},{"op":"remove","path":"/missing"}]'
    with pytest.raises(
        OpaStatusError, match=r"^`PATCH /v1/data/test`: opa answered 404 `resource_not_found`: .*not exist"
    ):
        client.patch_data(("test",), operations)
    assert client.get_data(("test",)) == {}


def test_policies(client) -> None:
    assert client.list_policies() == ()
    assert client.get_policy("x/echo.rego") is ABSENT
    client.put_policy("x/echo.rego", ECHO)
    client.put_policy("a.rego", "package a\n")
    assert client.get_policy("x/echo.rego") == StoredPolicy("x/echo.rego", ECHO)
    assert [policy.id for policy in client.list_policies()] == ["a.rego", "x/echo.rego"]
    client.put_policy("x/echo.rego", ECHO + "# changed\n")
    assert client.get_policy("x/echo.rego").text == ECHO + "# changed\n"
    assert client.delete_policy("x/echo.rego") is True
    assert client.delete_policy("x/echo.rego") is False


def test_a_policy_that_nests_deep_can_be_read_back(client) -> None:
    text = "package deep\n\nx := " + "[" * 200 + "]" * 200 + "\n"
    client.put_policy("deep.rego", text)
    assert client.get_policy("deep.rego").text == text
    assert client.list_policies() == (StoredPolicy("deep.rego", text),)


def test_a_policy_of_others_with_numbers_beyond_r12_can_be_read_back(client) -> None:
    text = "package pi\n\nx := 3.14159265358979323846\n"
    client.put_policy("pi.rego", text)
    assert client.get_policy("pi.rego").text == text
    assert client.list_policies() == (StoredPolicy("pi.rego", text),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("package a\n\nx := y\n", "a/b.rego:3:6: var y is unsafe"),
        ("package a\n\nx := ", "a/b.rego:3:"),
        ("", "empty module"),
        ("package a\n\nx if input.y = nope(1)\n", "a/b.rego:3:16: undefined function nope"),
    ],
)
def test_a_policy_that_does_not_compile(client, text, expected) -> None:
    with pytest.raises(OpaStatusError) as caught:
        client.put_policy("a/b.rego", text)
    assert str(caught.value).startswith("`PUT /v1/policies/a/b.rego`: opa answered 400 `invalid_parameter`: ")
    assert expected in str(caught.value)
    assert (caught.value.status, caught.value.opa_code) == (400, "invalid_parameter")
    assert client.get_policy("a/b.rego") is ABSENT


def test_a_body_that_is_no_json(client) -> None:
    with pytest.raises(OpaStatusError, match="opa answered 400"):
        client.put_data(("test",), b"{")
    with pytest.raises(OpaStatusError, match="opa answered 400"):
        client.query(("test",), b"{")


def test_queries(client) -> None:
    client.put_policy("echo.rego", ECHO)
    assert client.query(("echo", "number"), b'{"input":{"number":9007199254740993}}').result == 9007199254740993
    assert client.query(("echo", "number"), b'{"input":{"number":null}}').result is None
    assert client.query(("echo", "number"), b'{"input":{}}').result is ABSENT
    assert client.query(("echo",), b'{"input":{"number":[1]}}').result == {"number": [1]}
    assert client.query(("nothing", "here"), INPUT).result is ABSENT
    assert client.query(("echo",), INPUT).version is None
    assert client.query(("echo",), INPUT, provenance=True).version == client.version()
    client.require_version()


def test_a_query_that_fails_in_opa(client) -> None:
    client.put_policy("clash.rego", "package clash\n\nx := 1 if input.a\n\nx := 2 if input.b\n")
    with pytest.raises(
        OpaStatusError,
        # OPA changed this text in 1.22.
        match=r"opa answered 500 `internal_error`: .*clash\.rego:"
        r"(3:1: complete rules must not produce multiple|5:1: rule data\.clash\.x produced conflicting values)",
    ) as caught:
        client.query(("clash", "x"), b'{"input":{"a":1,"b":1}}')
    assert caught.value.status == 500


def test_compile(client) -> None:
    client.put_policy("c.rego", "package c\n\nallow if input.x == input.y\n")
    left = client.compile("data.c.allow", unknowns=["input.x"], input_=b'{"y":7}')
    assert '"value": 7' in json.dumps(left.queries)
    assert client.compile("data.c.allow", unknowns=["input.z"], input_=b'{"x":7,"y":7}').queries == ([],)
    assert client.compile("data.c.allow", unknowns=["input.z"], input_=b'{"x":6,"y":7}').queries == ()
    assert client.compile("true").queries == ([],)
    with pytest.raises(OpaStatusError, match=r"opa answered 400 `invalid_parameter`: .*unexpected eof token"):
        client.compile("data.c.allow ==")


def test_support_modules_of_a_compiled_query(client) -> None:
    client.put_policy("c.rego", "package c\n\ndefault allow := false\n\nallow if input.x > 1\n")
    left = client.compile("data.c.allow == false")
    assert len(left.queries) == 1
    assert len(left.support) == 1


def test_health(client) -> None:
    assert client.health().ok
    assert client.health(bundles=True, plugins=True).ok


def test_health_of_an_opa_that_waits_for_its_bundle(opa_executable) -> None:
    with FaultServer(lambda exchange: exchange.reply(b"", "404 Not Found")) as store:
        arguments = ["--set", f"services.s.url={store.url}", "--set", "bundles.b.service=s"]
        with pytest.raises(EngineTimeoutError, match="did not become healthy in time"):
            ManagedOpa(executable=opa_executable, arguments=arguments, ready_within=1.5)


def test_health_that_is_not_ok() -> None:
    body = b'{"error":"one or more bundles are not activated"}'
    with (
        FaultServer(lambda exchange: exchange.reply(body, "500 Internal Server Error")) as server,
        OpaClient(server.url) as client,
    ):
        health = client.health(bundles=True, plugins=True)
    assert not health.ok
    assert "one or more bundles are not activated" in health.message
    assert server.lines == ["GET /health?bundles&plugins HTTP/1.1"]


@pytest.mark.parametrize("command", ["check", "build"])
def test_what_opa_says_of_rules_that_it_refuses(opa_executable, tmp_path, command) -> None:
    """`opa build` writes it to its output, `opa check` to its error output."""
    (tmp_path / "unsafe.rego").write_text("package unsafe\n\nx := y\n")
    run = run_opa([command, "unsafe.rego"], executable=opa_executable, folder=tmp_path)
    assert run.status == 1
    assert "unsafe.rego:3: rego_unsafe_var_error: var y is unsafe" in run.message
    assert "\n" not in run.message


def test_rules_that_opa_build_refuses(opa_executable, monkeypatch) -> None:
    unsafe = [replace(module, text=f"{module.text}\nunsafe := y\n") for module in render(RuleSet())]
    monkeypatch.setattr("bridge.rendering.wasm_build.render", lambda _: unsafe)
    with pytest.raises(
        EngineError, match=r"^`opa build` refused the rules: .*y is unsafe.*: use another release of opa$"
    ):
        build_wasm(RuleSet(), executable=opa_executable)


def test_revisions_of_bundles_and_decision_ids(opa_executable, tmp_path) -> None:
    (tmp_path / "echo.rego").write_text(ECHO)
    bundle = tmp_path / "bundle.tar.gz"
    built = run_opa(["build", "--bundle", tmp_path, "--revision", "r7", "-o", bundle], executable=opa_executable)
    assert built.status == 0, built.stderr
    arguments = ["--set", "decision_logs.console=true"]
    with (
        ManagedOpa([bundle], is_bundle=True, executable=opa_executable, arguments=arguments) as opa,
        OpaClient(opa.url) as client,
    ):
        reply = client.query(("echo", "number"), b'{"input":{"number":1}}', provenance=True)
        assert list(reply.bundles.values()) == ["r7"]
        assert reply.decision_id
        assert reply.result == 1
        with pytest.raises(OpaStatusError, match=r"opa answered 400 `invalid_parameter`: .*owned by bundle"):
            client.put_policy("echo/x.rego", "package echo\n\ny := 1\n")


# --- locks


@pytest.fixture(scope="module")
def locked(opa_executable, tmp_path_factory) -> Iterator[ManagedOpa]:
    policy = tmp_path_factory.mktemp("authz") / "authz.rego"
    policy.write_text(AUTHZ)
    arguments = ["--authentication=token", "--authorization=basic"]
    with ManagedOpa([policy], executable=opa_executable, arguments=arguments) as opa:
        yield opa


def test_the_right_token(locked) -> None:
    with OpaClient(locked.url, token="right-token") as client:
        client.put_data(("test",), b"[1]")
        assert client.get_data(("test",)) == [1]
        client.require_version()


@pytest.mark.parametrize("token", [None, "wrong-token"])
def test_a_wrong_token_or_none(locked, token) -> None:
    with OpaClient(locked.url, token=token) as client:
        for call in (
            lambda: client.query(("x",), INPUT),
            lambda: client.put_data(("x",), b"1"),
            lambda: client.delete_policy("x"),
            client.health,
            client.version,
        ):
            with pytest.raises(OpaStatusError, match="opa answered 401 `unauthorized`: request rejected") as caught:
                call()
            assert caught.value.status == 401
            assert "wrong-token" not in str(caught.value)


def test_netrc_and_proxies_are_ignored(locked, monkeypatch, tmp_path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login x password right-token\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with OpaClient(locked.url, token="right-token") as client:
        assert client.get_data(("nothing",)) is ABSENT


# --- TLS


@pytest.fixture(scope="module")
def over_tls(opa_executable, authority) -> Iterator[ManagedOpa]:
    with ManagedOpa(executable=opa_executable, tls=authority.issue("server"), ca=authority.file) as opa:
        yield opa


def test_tls(over_tls, authority) -> None:
    with OpaClient(over_tls.url, ca=authority.file) as client:
        client.put_data(("test",), b"[" + b"1," * 2_000_000 + b"1]", deadline=60.0)
        assert len(client.get_data(("test",), deadline=60.0)) == 2_000_001


def test_a_server_that_nobody_trusts(over_tls, tmp_path) -> None:
    for ca in (None, Authority(tmp_path, "other").file):
        with (
            OpaClient(over_tls.url, ca=ca) as client,
            pytest.raises(
                EngineUnreachableError,
                match=r"^`GET /v1/data/x` at https://127\.0\.0\.1:\d+: the server's certificate is refused: ",
            ),
        ):
            client.get_data(("x",))


def test_a_certificate_for_another_address(opa_executable, authority) -> None:
    tls = authority.issue("elsewhere", address="127.0.0.2")
    with pytest.raises(EngineTimeoutError):
        ManagedOpa(executable=opa_executable, tls=tls, ca=authority.file, ready_within=0.5)
    with (
        FaultServer(None) as _,
        serving_tls(tls) as url,
        OpaClient(url, ca=authority.file) as client,
        pytest.raises(EngineUnreachableError, match="certificate is refused: IP address mismatch"),
    ):
        client.get_data(("x",))


def test_a_certificate_that_has_expired(authority) -> None:
    tls = authority.issue("expired", until=dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1))
    with (
        serving_tls(tls) as url,
        OpaClient(url, ca=authority.file) as client,
        pytest.raises(EngineUnreachableError, match="certificate is refused: certificate has expired"),
    ):
        client.get_data(("x",))


@contextmanager
def serving_tls(files: tuple[Path, Path]) -> Iterator[str]:
    import ssl  # noqa: PLC0415

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    with FaultServer(lambda exchange: exchange.reply(b"{}"), context) as server:
        yield server.url


def test_plain_http_to_a_tls_server_and_the_other_way_round(over_tls, opa) -> None:
    with (
        OpaClient(over_tls.url.replace("https", "http")) as client,
        pytest.raises(OpaStatusError, match="opa answered 400"),
    ):
        client.get_data(("x",))
    with (
        OpaClient(opa.url.replace("http", "https")) as client,
        pytest.raises(EngineUnreachableError, match="tls failed: "),
    ):
        client.get_data(("x",))


def test_mutual_tls(opa_executable, authority, tmp_path) -> None:
    mine = authority.issue("client")
    arguments = ["--authentication=tls", f"--tls-ca-cert-file={authority.file}"]
    tls = authority.issue("mutual")
    with ManagedOpa(
        executable=opa_executable, tls=tls, arguments=arguments, ca=authority.file, client_certificate=mine
    ) as opa:
        with OpaClient(opa.url, ca=authority.file, client_certificate=mine) as client:
            assert client.get_data(("nothing",)) is ABSENT
        with (
            OpaClient(opa.url, ca=authority.file) as client,
            pytest.raises(EngineUnreachableError, match="tls failed: "),
        ):
            client.get_data(("x",))
        stranger = Authority(tmp_path, "other").issue("stranger")
        with (
            OpaClient(opa.url, ca=authority.file, client_certificate=stranger) as client,
            pytest.raises(EngineUnreachableError, match="tls failed: "),
        ):
            client.get_data(("x",))


# --- deaths


@contextmanager
def under_way(opa: ManagedOpa, deadline: float) -> Iterator[None]:
    """Within the block, the OPA evaluates a query for `data.slow`, which does not end before the block."""
    entered, over = threading.Event(), threading.Event()

    def hold(exchange: Exchange) -> None:
        entered.set()
        over.wait()
        exchange.reply(b"1")

    with FaultServer(hold) as server, OpaClient(opa.url) as client:
        client.put_policy(
            "slow.rego",
            f'package slow\n\nx := http.send({{"method": "GET", "url": "{server.url}", "timeout": "60s"}})\n',
        )
        failures: list[BaseException] = []

        def ask() -> None:
            try:
                client.query(("slow",), INPUT, deadline=deadline)
            except (EngineUnreachableError, EngineTimeoutError) as error:
                failures.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            assert entered.wait(60)
            yield failures, thread
        finally:
            over.set()
            thread.join()


def test_killed_in_the_middle_of_a_query(opa_executable) -> None:
    with ManagedOpa(executable=opa_executable) as opa, under_way(opa, 60.0) as (failures, thread):
        os.kill(opa.pid, signal.SIGKILL)
        thread.join()
        assert [type(error) for error in failures] == [EngineUnreachableError]
        assert str(failures[0]).startswith("`POST /v1/data/slow` at ")


def test_stopped_in_the_middle_of_a_query(opa_executable) -> None:
    with ManagedOpa(executable=opa_executable) as opa, under_way(opa, 2.0) as (failures, thread):
        os.kill(opa.pid, signal.SIGSTOP)
        try:
            thread.join()
            assert [type(error) for error in failures] == [EngineTimeoutError]
        finally:
            os.kill(opa.pid, signal.SIGCONT)


@pytest.fixture
def when_reading(monkeypatch):
    """Have something done when the head of an answer has come, but not its body."""

    def arrange(action) -> None:
        begin = StrictResponse.begin
        monkeypatch.setattr(StrictResponse, "begin", lambda self: (begin(self), action())[0])

    return arrange


def test_killed_in_the_middle_of_an_answer(opa_executable, when_reading) -> None:
    with ManagedOpa(executable=opa_executable) as opa, OpaClient(opa.url, deadline=60.0) as client:
        client.put_data(("large",), b'"' + b"x" * 64_000_000 + b'"')
        when_reading(opa.kill)
        with pytest.raises(EngineUnreachableError, match=r"^`GET /v1/data/large` at "):
            client.get_data(("large",))


def test_stopped_in_the_middle_of_an_answer(opa_executable, when_reading) -> None:
    with ManagedOpa(executable=opa_executable) as opa, OpaClient(opa.url, deadline=60.0) as client:
        client.put_data(("large",), b'"' + b"x" * 64_000_000 + b'"')
        when_reading(lambda: os.kill(opa.pid, signal.SIGSTOP))
        with ends_by_deadline(2.0):
            client.get_data(("large",), deadline=2.0)
        os.kill(opa.pid, signal.SIGCONT)


def test_stopped_while_it_is_sent_a_large_body(opa_executable) -> None:
    with ManagedOpa(executable=opa_executable) as opa, OpaClient(opa.url, deadline=60.0) as client:
        client.health()
        body = b" " * 64_000_000 + b"1"
        os.kill(opa.pid, signal.SIGSTOP)
        with ends_by_deadline(1.0):
            client.put_data(("large",), body, deadline=1.0)
        os.kill(opa.pid, signal.SIGCONT)
        assert client.get_data(("large",)) is ABSENT


def test_a_restart_is_not_noticed(opa_executable) -> None:
    with ManagedOpa(executable=opa_executable) as first, OpaClient(first.url) as client:
        client.query(("x",), INPUT, provenance=True)
        first.kill()
        with pytest.raises(EngineUnreachableError, match="connection refused"):
            client.query(("x",), INPUT)
        with ManagedOpa(executable=opa_executable, port=first.port):
            client.query(("x",), INPUT, provenance=True)
            client.put_data(("test",), b"1")


def test_a_restart_in_the_middle_of_a_query_is_not_noticed(opa_executable, monkeypatch) -> None:
    """The connection breaks, the first repetition is refused, and the second finds the new OPA."""
    with ManagedOpa(executable=opa_executable) as first, OpaClient(first.url, deadline=60.0) as client:
        client.query(("x",), INPUT)
        started = []

        def restart(seconds: float) -> None:
            if seconds > 0:
                started.append(ManagedOpa(executable=opa_executable, port=first.port))

        monkeypatch.setattr("bridge.http.session.sleep", restart)
        first.kill()
        assert client.query(("x",), INPUT).result is ABSENT
        for opa in started:
            opa.stop()


# --- sizes


def test_a_full_size_body(client) -> None:
    """As large as a push of many resources, both ways; OPA takes up to 256 MiB."""
    resources = b",".join(b'"%07d":{"id":"%07d","custom_data":{"%s":1}}' % (i, i, b"x" * 900) for i in range(70_000))
    client.put_data(("test", "large"), b"{" + resources + b"}", deadline=120.0)
    assert client.query(("test", "large", "none"), INPUT).result is ABSENT
    stored = client.get_data(("test", "large"), deadline=120.0)
    assert len(stored) == 70_000
    assert stored["0069999"]["id"] == "0069999"
    with (
        OpaClient(client.url, max_answer=1_000_000) as modest,
        pytest.raises(InvalidResponseError, match="larger than 1000000"),
    ):
        modest.get_data(("test", "large"), deadline=120.0)


def test_a_body_that_is_larger_than_opa_takes(opa_executable) -> None:
    arguments = ["--set", "server.decoding.max_length=1000000"]
    with ManagedOpa(executable=opa_executable, arguments=arguments) as opa, OpaClient(opa.url) as client:
        for size in (1_000_100, 64_000_000):
            with pytest.raises(OpaStatusError, match=r"^`PUT /v1/data/test`: .*request body too large"):
                client.put_data(("test",), b'"' + b"x" * size + b'"')
            with pytest.raises(OpaStatusError, match=r"^`POST /v1/data/test`: .*request body too large"):
                client.query(("test",), b'{"input":"' + b"x" * size + b'"}')
        client.put_data(("test",), b"1")
        assert client.get_data(("test",)) == 1


def test_threads_and_a_real_opa(client) -> None:
    client.put_policy("echo.rego", ECHO)
    wrong: list[object] = []
    start = threading.Barrier(10)

    def ask(thread: int) -> None:
        start.wait()
        for number in range(thread * 1000, thread * 1000 + 50):
            result = client.query(("echo", "number"), b'{"input":{"number":%d}}' % number).result
            if result != number:
                wrong.append((number, result))

    threads = [threading.Thread(target=ask, args=(thread,)) for thread in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_find_opa_finds_the_one_of_this_run(opa_executable) -> None:
    assert find_opa() == opa_executable
