"""What the client makes of servers that do what no real OPA does."""

from __future__ import annotations

import os
import re
import socket
import ssl
import threading
from contextlib import suppress

import pytest
from fault_server import ANSWER, INPUT, TOKEN, Exchange, FaultServer, replying, sending, serving
from loopback_certificates import Authority
from ports import reserved_port

from bridge.errors import (
    ConfigurationError,
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    InvalidResponseError,
    OpaStatusError,
    UnsupportedOpaVersionError,
    UsageError,
)
from bridge.http.deadline import TimedSocket
from bridge.opa import OpaClient
from bridge.strict_json import ABSENT


class Clock:
    """A clock that stands still but for those who move it, in place of the module `time`."""

    def __init__(self) -> None:
        self._now = 1_000.0

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds


# --- the deadline


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("fault-server"))
    return context


def test_deadline_holds_for_all_repetitions_together(monkeypatch) -> None:
    """By a clock that the server and the pauses move: 40 s for each attempt, and the pauses between them."""
    clock = Clock()
    monkeypatch.setattr("bridge.http.retries.monotonic", clock.monotonic)
    monkeypatch.setattr("bridge.http.deadline.time", clock)
    monkeypatch.setattr("bridge.http.client.sleep", clock.sleep)

    def close_late(exchange: Exchange) -> None:
        clock.sleep(40)
        exchange.close()

    with (
        serving(close_late, deadline=100.0) as (server, client),
        pytest.raises(EngineTimeoutError, match=r"no whole answer within 100 s: raise the deadline"),
    ):
        client.query(("x",), INPUT)
    assert len(server.exchanges) == 3


def test_each_operation_may_last_as_long_as_is_left_of_the_call(monkeypatch) -> None:
    """By a clock that moves a second with each operation on the socket."""
    clock, limits = Clock(), []

    def limit(self: socket.socket, seconds: float) -> None:
        limits.append(seconds)
        clock.sleep(1)
        socket.socket.settimeout(self, seconds)

    monkeypatch.setattr("bridge.http.retries.monotonic", clock.monotonic)
    monkeypatch.setattr("bridge.http.deadline.time", clock)
    monkeypatch.setattr(TimedSocket, "settimeout", limit, raising=False)
    with serving(replying(ANSWER)) as (_, client):
        for deadline in (100.0, 50.0):
            limits.clear()
            client.query(("x",), INPUT, deadline=deadline)
            assert len(limits) >= 2
            assert limits == [deadline - number for number in range(len(limits))]


def test_no_answer_is_taken_for_the_answer_to_another_call() -> None:
    late = threading.Event()

    def answer(exchange: Exchange) -> None:
        if exchange.number == 0:
            late.wait()
            exchange.reply(b'{"result":"of the first"}')
        else:
            exchange.reply(b'{"result":"of the second"}')

    with serving(answer) as (_, client):
        with pytest.raises(EngineTimeoutError):
            client.query(("x",), INPUT, deadline=0.2)
        late.set()
        assert client.query(("x",), INPUT).result == "of the second"


def test_what_comes_after_an_answer_is_not_taken_for_the_next() -> None:
    def answer(exchange: Exchange) -> None:
        answers = (ANSWER, b'{"result":false}')
        exchange.send(b"".join(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(a), a) for a in answers))

    with serving(answer) as (_, client):
        assert [client.query(("x",), INPUT).result for _ in range(3)] == [True, True, True]


# --- answers


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"nul",
        b'{"result":tru',
        b'{"result":NaN}',
        b'{"result":true}{"result":false}',
        b'{"result":true,"result":false}',
        b'\xef\xbb\xbf{"result":true}',
        b'{"result":"\xff"}',
        b'{"result":"\\ud800"}',
        b"[true]",
        b"true",
        b'{"result":' + b"[" * 100 + b"]" * 100 + b"}",
        b"[" * 100_000,
    ],
)
def test_no_json_object(body) -> None:
    with (
        serving(replying(body)) as (server, client),
        pytest.raises(InvalidResponseError, match=r"^`POST /v1/data/x`: the answer"),
    ):
        client.query(("x",), INPUT)
    assert len(server.exchanges) == 1


def test_depth_of_what_was_accepted_is_accepted() -> None:
    deep = b"[" * 70 + b"]" * 70
    with serving(replying(b'{"result":' + deep + b"}")) as (_, client):
        assert client.query(("x",), INPUT).result is not ABSENT


@pytest.mark.parametrize("body", [b"{}", b'{"decision_id":"d"}'])
def test_200_without_result_is_absent(body) -> None:
    with serving(replying(body)) as (_, client):
        assert client.query(("x",), INPUT).result is ABSENT


@pytest.mark.parametrize("result", [b"null", b"false", b'"true"', b"1", b"1.0", b"[true]"])
def test_a_result_is_given_as_it_is(result) -> None:
    with serving(replying(b'{"result":' + result + b"}")) as (_, client):
        found = client.query(("x",), INPUT).result
    assert found is not True
    assert found is not ABSENT


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        ("401 Unauthorized", b'{"code":"unauthorized","message":"who are you?"}', "unauthorized", "who are you?"),
        ("403 Forbidden", b"<html>no</html>", "", ""),
        ("404 Not Found", b"404 page not found", "", ""),
        ("500 Internal Server Error", b'{"code":"internal_error","message":"boom"}', "internal_error", "boom"),
        ("500 Internal Server Error", b"", "", ""),
        ("503 Service Unavailable", b'{"code":"starting"}', "starting", ""),
    ],
)
def test_error_status(status, body, code, message) -> None:
    with serving(replying(body, status)) as (server, client), pytest.raises(OpaStatusError) as caught:
        client.query(("x",), INPUT)
    error = caught.value
    assert (error.status, error.opa_code, error.opa_message) == (int(status[:3]), code, message)
    assert str(error).startswith(f"`POST /v1/data/x`: opa answered {status[:3]}")
    assert code in str(error)
    assert message in str(error)
    assert len(server.exchanges) == (3 if status.startswith("503") else 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get_policy("x"),
        lambda client: client.delete_policy("x"),
        lambda client: client.delete_data(("x",)),
    ],
)
def test_only_opa_itself_can_say_that_something_is_not_there(call) -> None:
    """A gateway that knows no such path answers 404 as well."""
    with serving(replying(b"404 page not found", "404 Not Found")) as (_, client), pytest.raises(OpaStatusError):
        call(client)
    body = b'{"code":"resource_not_found","message":"storage_not_found_error"}'
    with serving(replying(body, "404 Not Found")) as (_, client):
        assert call(client) in (False, ABSENT)


def test_errors_of_opa_are_shortened_and_fit_for_a_terminal() -> None:
    errors = b",".join(
        b'{"message":"bad\\u001b[31m\\nthing %d","location":{"file":"f.rego","row":%d,"col":1}}' % (i, i)
        for i in range(9)
    )
    body = b'{"code":"invalid_parameter","message":"' + b"m" * 10_000 + b'","errors":[' + errors + b"]}"
    with serving(replying(body, "400 Bad Request")) as (_, client), pytest.raises(OpaStatusError) as caught:
        client.put_policy("a.rego", "package a")
    text = str(caught.value)
    assert text.isprintable()
    assert r"f.rego:2:1: bad\u001b[31m\nthing 2; and 6 more" in text
    assert "thing 3" not in text
    assert len(text) < 1000


@pytest.mark.parametrize(
    "status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"]
)
def test_redirects_are_not_followed(status) -> None:
    with FaultServer(replying(ANSWER)) as other:
        location = f"Location: {other.url}/v1/data/x"
        with (
            serving(replying(ANSWER, status, location)) as (_, client),
            pytest.raises(InvalidResponseError, match=f"status {status[:3]}"),
        ):
            client.query(("x",), INPUT)
        assert other.connections == 0


@pytest.mark.parametrize(
    "status", ["201 Created", "202 Accepted", "204 No Content", "206 Partial Content", "304 Not Modified"]
)
def test_success_that_opa_does_not_promise(status) -> None:
    body = b"" if status[:3] in ("204", "304") else ANSWER
    with (
        serving(replying(body, status)) as (_, client),
        pytest.raises(InvalidResponseError, match=f"status {status[:3]}"),
    ):
        client.query(("x",), INPUT)


@pytest.mark.parametrize(
    ("call", "body"),
    [
        (lambda client: client.list_policies(), b'{"result":{}}'),
        (lambda client: client.list_policies(), b"{}"),
        (lambda client: client.list_policies(), b'{"result":[{"id":1,"raw":"x"}]}'),
        (lambda client: client.get_policy("a"), b'{"result":{"id":"a"}}'),
        (lambda client: client.get_policy("a"), b"{}"),
        (lambda client: client.compile("1==1"), b"{}"),
        (lambda client: client.compile("1==1"), b'{"result":[]}'),
        (lambda client: client.compile("1==1"), b'{"result":{"queries":{}}}'),
        (lambda client: client.compile("1==1"), b'{"result":{"support":null}}'),
        (lambda client: client.health(), b"OK"),
        (lambda client: client.version(), b"{}"),
        (lambda client: client.version(), b'{"provenance":[]}'),
        (lambda client: client.version(), b'{"provenance":{"version":1}}'),
    ],
)
def test_answers_of_another_shape(call, body) -> None:
    with serving(replying(body)) as (_, client), pytest.raises(InvalidResponseError):
        call(client)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"result":{"b":"\xc3\xa9","a":1.50}}', '{"b":"\xe9","a":1.50}'),
        (b'{"result":"}"}\n', '"}"'),
        (b'{"decision_id":"4ca636c1","result":{"result":[{}]}}', '{"result":[{}]}'),
        (b'{"result":{"b":1,"a":2},"warning":{"code":"x"}}', '{"a":2,"b":1}'),
        (b'{ "warning":{}, "result":{"b":1,"a":2}}', '{"a":2,"b":1}'),
        (b"{}", ABSENT),
        (b'{"warning":{}}', ABSENT),
    ],
)
def test_the_text_of_a_document(body, text) -> None:
    with serving(replying(body)) as (_, client):
        assert client.get_data_text(("x",)) == text


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b'{"result":', b'{"result":}', b'{"result":1}}', b'{"result":1', b'{"result":"\xff"}'),
        b'{"result":' + b"[" * 100_000,
    ],
)
def test_a_document_whose_text_cannot_be_told(body) -> None:
    with serving(replying(body)) as (_, client), pytest.raises(InvalidResponseError):
        client.get_data_text(("x",))


# --- old versions


def saying(version: str) -> bytes:
    return b'{"provenance":{"version":"%s"},"result":true}' % version.encode()


@pytest.mark.parametrize("version", ["0.70.0", "1.19.1", "1.19.99", "1.20.0", "1.20.1-rc1", "1.20.1-dev+abc"])
def test_too_old(version) -> None:
    with serving(replying(saying(version))) as (_, client):
        with pytest.raises(
            UnsupportedOpaVersionError, match=rf"opa {re.escape(version)} is too old: .*exactly is 1\.20\.1"
        ):
            client.query(("x",), INPUT, provenance=True)
        with pytest.raises(UnsupportedOpaVersionError):
            client.require_version()
        assert client.version() == version


@pytest.mark.parametrize(
    "version", ["1.20.1", "1.20.2", "1.20.2-rc1", "1.21.0-dev", "2.0.0", "1.100.0", "1.20.1+build"]
)
def test_new_enough(version) -> None:
    with serving(replying(saying(version))) as (_, client):
        assert client.query(("x",), INPUT, provenance=True).version == version
        client.require_version()


@pytest.mark.parametrize(
    "version", ["", "1.20", "1.20.x", "latest", "1.20.2 ", "1.20.2-", "1" * 5000 + ".0.0", "\u0661.20.2"]
)
def test_no_version(version) -> None:
    with (
        serving(replying(saying(version))) as (_, client),
        pytest.raises(InvalidResponseError, match="is no version of opa"),
    ):
        client.query(("x",), INPUT, provenance=True)


def test_an_answer_without_provenance_is_from_nobody_knows_whom() -> None:
    with serving(replying(ANSWER)) as (_, client), pytest.raises(InvalidResponseError, match="which opa it is from"):
        client.query(("x",), INPUT, provenance=True)


def test_an_opa_that_is_replaced_by_an_older_one_is_noticed_at_once() -> None:
    with serving(lambda exchange: exchange.reply(saying(["1.20.2", "1.19.1", "1.20.2"][exchange.number]))) as (
        _,
        client,
    ):
        client.query(("x",), INPUT, provenance=True)
        with pytest.raises(UnsupportedOpaVersionError):
            client.query(("x",), INPUT, provenance=True)
        client.query(("x",), INPUT, provenance=True)


# --- broken connections and broken HTTP


@pytest.fixture
def closed_port():
    with reserved_port() as port:
        yield port


def test_wrong_port(closed_port) -> None:
    refused = r"^`{} /v1/data/x` at http://127\.0\.0\.1:\d+: connection refused: is opa running there"
    with OpaClient(f"http://127.0.0.1:{closed_port}") as client:
        with pytest.raises(EngineUnreachableError, match=refused.format("POST")):
            client.query(("x",), INPUT)
        with pytest.raises(EngineUnreachableError, match=refused.format("PUT")):
            client.put_data(("x",), b"1")


def test_unknown_host(monkeypatch) -> None:
    def unknown(*_args: object, **_settings: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with (
        OpaClient("http://opa.invalid:8181") as client,
        pytest.raises(EngineUnreachableError, match="name cannot be resolved"),
    ):
        client.query(("x",), INPUT, deadline=30.0)


def test_a_connection_that_is_refused_is_not_called_a_missed_deadline(closed_port) -> None:
    with OpaClient(f"http://127.0.0.1:{closed_port}", deadline=0.08) as client, pytest.raises(EngineUnreachableError):
        client.query(("x",), INPUT)


BROKEN = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + ANSWER, id="shorter than its length"),
    pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n" + ANSWER, id="no last chunk"),
    pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + ANSWER, id="half a chunk"),
]


@pytest.mark.parametrize("data", BROKEN)
def test_reads_are_repeated_twice_when_the_connection_breaks(data) -> None:
    with serving(sending(data)) as (server, client), pytest.raises(EngineUnreachableError, match="was closed"):
        client.query(("x",), INPUT)
    assert server.lines == ["POST /v1/data/x HTTP/1.1"] * 3
    assert [exchange.body for exchange in server.exchanges] == [INPUT] * 3


@pytest.mark.parametrize("data", BROKEN[:1])
@pytest.mark.parametrize(
    "write",
    [
        lambda client: client.put_data(("x",), b"1"),
        lambda client: client.patch_data(("x",), b"[]"),
        lambda client: client.delete_data(("x",)),
        lambda client: client.put_policy("x", "package x"),
        lambda client: client.delete_policy("x"),
    ],
)
def test_writes_are_never_repeated(data, write) -> None:
    with serving(sending(data)) as (server, client), pytest.raises(EngineUnreachableError):
        write(client)
    assert len(server.exchanges) == 1


@pytest.mark.parametrize(
    "read",
    [
        lambda client: client.query(("x",), INPUT),
        lambda client: client.get_data(("x",)),
        lambda client: client.list_policies(),
        lambda client: client.get_policy("x"),
        lambda client: client.health(),
        lambda client: client.version(),
        lambda client: client.compile("true"),
    ],
)
def test_every_read_is_repeated(read) -> None:
    with serving(sending(b"")) as (server, client), pytest.raises(EngineUnreachableError):
        read(client)
    assert len(server.exchanges) == 3


def test_a_connection_that_has_gone_stale_is_not_noticed() -> None:
    """The server closes it at the moment when the next request arrives."""

    def answer(exchange: Exchange) -> None:
        exchange.close() if exchange.number == 1 else exchange.reply(ANSWER)

    with serving(answer) as (server, client):
        assert [client.query(("x",), INPUT).result for _ in range(3)] == [True] * 3
        assert server.connections == 2
        assert len(server.exchanges) == 4


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", id="not http"),
        pytest.param(b"\x15\x03\x01\x00\x02\x02\x46\r\n", id="tls alert"),
        pytest.param(b"HTTP/1.1 abc\r\n\r\n", id="no status"),
        pytest.param(b"HTTP/1.1 20\r\n\r\n", id="half a status"),
        pytest.param(b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n", id="huge status line"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", id="huge header"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", id="many headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nContent-Length: 16\r\n\r\n" + ANSWER, id="two lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + ANSWER, id="no chunk size"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n" + ANSWER, id="negative chunk size"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 99_999, id="huge chunk size"),
    ],
)
def test_broken_http(data) -> None:
    with serving(sending(data)) as (_, client), pytest.raises(InvalidResponseError):
        client.query(("x",), INPUT)


def test_compressed_answers_are_neither_asked_for_nor_read() -> None:
    refused = "the answer has the content encoding `gzip`, which was not asked for"
    with (
        serving(replying(ANSWER, "200 OK", "Content-Encoding: gzip")) as (server, client),
        pytest.raises(InvalidResponseError, match=refused),
    ):
        client.query(("x",), INPUT)
    assert b"Accept-Encoding: identity" in server.exchanges[0].head


@pytest.mark.parametrize("framing", [b"Content-Length: 2000\r\n\r\n", b"\r\n"])
def test_answers_beyond_the_limit(framing) -> None:
    body = b'{"result":"' + b"x" * 1987 + b'"}'
    data = b"HTTP/1.1 200 OK\r\n" + framing + body
    with (
        serving(sending(data), max_answer=1999) as (_, client),
        pytest.raises(InvalidResponseError, match="larger than 1999 bytes"),
    ):
        client.query(("x",), INPUT)
    with serving(sending(data), max_answer=2000) as (_, client):
        assert len(client.query(("x",), INPUT).result) == 1987


def test_an_answer_without_end_is_given_up_at_the_limit() -> None:
    def endless(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while not exchange.over.is_set():
            exchange.send(b" " * 65536)

    with (
        serving(endless, max_answer=10_000_000, deadline=60.0) as (_, client),
        pytest.raises(InvalidResponseError, match="larger"),
    ):
        client.query(("x",), INPUT)


def test_a_length_beyond_the_limit_is_refused_before_it_comes() -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n")
        exchange.over.wait()

    with serving(answer, deadline=60.0) as (_, client), pytest.raises(InvalidResponseError, match="larger"):
        client.query(("x",), INPUT)


# --- secrets and the environment


def everything(error: BaseException | None) -> str:
    """All that a crash reporter could find."""
    if error is None:
        return ""
    return f"{error} {error!r} {vars(error)} {error.args}" + everything(error.__cause__) + everything(error.__context__)


@pytest.mark.parametrize(
    "answer",
    [
        lambda exchange: exchange.reply(
            b'{"code":"%s","message":"you sent Bearer %s","errors":[{"message":"%s"}]}' % ((TOKEN.encode(),) * 3),
            "401 Unauthorized",
        ),
        replying(ANSWER, "301 Moved Permanently", f"Location: /{TOKEN}"),
        replying(TOKEN.encode()),
        sending(b""),
        sending(TOKEN.encode() + b"\r\n"),
        sending(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + TOKEN.encode()),
        replying(b'{"provenance":{"version":"1.19.1"}}'),
    ],
)
def test_no_secret_in_errors(answer) -> None:
    with serving(answer) as (server, client):
        with pytest.raises(EngineError) as caught:
            client.query(("x",), INPUT, provenance=True)
        assert TOKEN not in repr(client)
    assert f"Authorization: Bearer {TOKEN}".encode() in server.exchanges[0].head
    found = everything(caught.value)
    assert TOKEN not in found
    assert "hunter2" not in found
    assert caught.value.__cause__ is None


def test_no_foreign_exception_is_kept(closed_port) -> None:
    """They hold the request, with its token."""
    with (
        OpaClient(f"http://127.0.0.1:{closed_port}", token=TOKEN) as client,
        pytest.raises(EngineUnreachableError) as caught,
    ):
        client.query(("x",), INPUT)
    assert caught.value.__context__ is None


@pytest.fixture
def misleading_environment(monkeypatch, tmp_path, closed_port) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{closed_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login mallory password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(variable, str(tmp_path / "nowhere.pem"))


@pytest.mark.usefixtures("misleading_environment")
def test_nothing_is_taken_from_the_environment() -> None:
    with FaultServer(replying(ANSWER)) as server, OpaClient(server.url) as client:
        assert client.query(("x",), INPUT).result is True
    assert "authorization" not in server.exchanges[0].header_names


@pytest.mark.usefixtures("misleading_environment")
def test_the_environment_does_not_name_whom_to_trust(monkeypatch, tls, authority) -> None:
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(variable, str(authority.file))
    with FaultServer(replying(ANSWER), tls) as server:
        with OpaClient(server.url) as client, pytest.raises(EngineUnreachableError, match="certificate is refused"):
            client.query(("x",), INPUT)
        with OpaClient(server.url, ca=authority.file) as client:
            assert client.query(("x",), INPUT).result is True


def test_whom_one_names_is_trusted_and_nobody_else(monkeypatch, tls, authority, tmp_path) -> None:
    """`requests` by itself adds the authorities that it brings."""
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(authority.file))
    other = Authority(tmp_path, "other")
    with (
        FaultServer(replying(ANSWER), tls) as server,
        OpaClient(server.url, ca=other.file) as client,
        pytest.raises(EngineUnreachableError, match="certificate is refused"),
    ):
        client.query(("x",), INPUT)


def test_cookies_are_not_kept() -> None:
    with serving(replying(ANSWER, "200 OK", "Set-Cookie: a=b")) as (server, client):
        client.query(("x",), INPUT)
        client.query(("x",), INPUT)
    assert "cookie" not in server.exchanges[1].header_names


# --- what is sent


def test_the_body_is_sent_as_it_is() -> None:
    with serving(replying(ANSWER)) as (server, client):
        client.query(("a", "b_c-d"), b'{"input": 15e49 }', provenance=False)
        client.query((), INPUT)
    assert server.lines == ["POST /v1/data/a/b_c-d HTTP/1.1", "POST /v1/data HTTP/1.1"]
    assert server.exchanges[0].body == b'{"input": 15e49 }'
    assert b"Content-Type: application/json" in server.exchanges[0].head


def test_a_prefix_goes_before_every_path() -> None:
    with FaultServer(replying(ANSWER)) as server, OpaClient(server.url + "/team/opa/") as client:
        client.query(("x",), INPUT)
        client.get_data(("x",))
        with pytest.raises(EngineError) as caught:
            client.put_data(("x",), b"1") or client.list_policies()
    assert server.lines[:2] == ["POST /team/opa/v1/data/x HTTP/1.1", "GET /team/opa/v1/data/x HTTP/1.1"]
    assert "/v1/policies" in str(caught.value)


def test_connections_are_kept() -> None:
    with serving(replying(ANSWER)) as (server, client):
        for _ in range(20):
            client.query(("x",), INPUT)
        assert server.connections == 1


def test_a_connection_is_used_again_after_a_200_alone() -> None:
    """The true answer may still be to come after any other status."""

    def answer(exchange: Exchange) -> None:
        exchange.reply(b"{}", "500 Internal Server Error") if exchange.number == 0 else exchange.reply(
            b"", "204 No Content"
        )

    with serving(answer) as (server, client):
        with pytest.raises(OpaStatusError):
            client.query(("x",), INPUT)
        client.put_data(("x",), b"1")
        client.put_data(("x",), b"1")
        assert server.connections == 3


def patch(client: OpaClient) -> None:
    client.patch_data(("x",), b"[]")


def put(client: OpaClient) -> None:
    client.put_data(("x",), b"1")


@pytest.mark.parametrize("write", [patch, put], ids=["patch", "put"])
@pytest.mark.parametrize("status", ["200 OK", "204 No Content"])
def test_a_write_has_a_connection_to_itself(write, status) -> None:
    """Nobody could repeat it if an idle one broke, and what is still to come on it is believed of nothing else."""

    def answer(exchange: Exchange) -> None:
        is_read = exchange.line.startswith("POST")
        exchange.reply(ANSWER, *(() if is_read else (status,))) if is_read or status[0:3] == "200" else exchange.reply(
            b"", status
        )

    with serving(answer) as (server, client):
        assert client.query(("x",), INPUT).result is True
        for number in (2, 3):
            write(client)
            assert server.connections == number
            assert b"Connection: close" in server.exchanges[-1].head
            assert client.query(("x",), INPUT).result is True
            assert server.connections == number


@pytest.mark.parametrize("true_answer", ["204 No Content", "404 Not Found", "500 Internal Server Error"])
def test_a_204_that_somebody_made_up_lets_no_answer_be_believed_of_another_question(true_answer) -> None:
    """What OPA says of the PATCH comes when nobody reads that connection any more."""

    def answer(exchange: Exchange) -> None:
        if exchange.line.startswith("PATCH"):
            exchange.reply(b"", "204 No Content")
            exchange.reply(b"{}" if true_answer[0] != "2" else b"", true_answer)
        else:
            exchange.reply(exchange.body)

    with serving(answer) as (server, client):
        patch(client)
        for number in (1, 2, 3):
            assert client.query(("x",), b'{"result":%d}' % number).result == number
        assert server.connections == 2


@pytest.mark.parametrize(
    "path",
    [
        ("007",),
        ("1",),
        ("a b",),
        ("a/b",),
        ("..",),
        ("",),
        ("a", ""),
        ("\u00e9",),
        ("a\n",),
        ("a?b",),
        ("a%2f",),
        (1,),
        ("-a",),
        "abc",
    ],
)
def test_only_simple_names_travel_in_paths(path) -> None:
    with serving(replying(ANSWER)) as (server, client):
        with pytest.raises(UsageError):
            client.query(path, INPUT)
        with pytest.raises(UsageError):
            client.put_data(path, b"1")
        assert server.connections == 0


@pytest.mark.parametrize(
    "policy_id", ["", "/a", "a//b", "a/../b", ".", "a b", "a?b", "a#b", "a\n", "\u00e9.rego", None]
)
def test_only_simple_policy_ids(policy_id) -> None:
    with serving(replying(ANSWER)) as (server, client):
        with pytest.raises(UsageError):
            client.put_policy(policy_id, "package a")
        assert server.connections == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.put_data((), b"1"),
        lambda client: client.patch_data((), b"1"),
        lambda client: client.delete_data(()),
        lambda client: client.query(("x",), '{"input":1}'),
        lambda client: client.query(("x",), {"input": 1}),
        lambda client: client.put_policy("a", "package \ud800"),
        lambda client: client.put_policy("a", b"package a"),
        lambda client: client.query(("x",), INPUT, deadline=0),
        lambda client: client.query(("x",), INPUT, deadline=-1.0),
        lambda client: client.query(("x",), INPUT, deadline=float("nan")),
        lambda client: client.query(("x",), INPUT, deadline=float("inf")),
        lambda client: client.query(("x",), INPUT, deadline=True),
        lambda client: client.query(("x",), INPUT, deadline="5"),
    ],
)
def test_misuse(call) -> None:
    with serving(replying(ANSWER)) as (server, client):
        with pytest.raises(UsageError):
            call(client)
        assert server.connections == 0


def test_a_closed_client_is_closed() -> None:
    with serving(replying(ANSWER)) as (_, client):
        client.query(("x",), INPUT)
        client.close()
        client.close()
        with pytest.raises(UsageError, match="closed"):
            client.query(("x",), INPUT)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8181",
        "ftp://127.0.0.1",
        "http://",
        "http:///x",
        "http://user:hunter2@opa",
        "http://user@opa",
        "http://@opa",
        "http://opa?x=hunter2",
        "http://opa?",
        "http://opa/#x",
        "http://opa:0",
        "http://opa:70000",
        "http://opa:x",
        "http://op a",
        "http://opa/\r\nX: y",
        "http://opa/a/../b",
        "http://opa/%2e",
        "http://opa/%2e%2E/a",
        "http://opa/a|b",
        "http://opa/a%2",
        "http://[::1",
        "http://\u00f6pa",
        None,
        b"http://opa",
    ],
)
def test_unusable_urls(url) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OpaClient(url)
    assert "hunter2" not in everything(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://opa", "http://opa:80"),
        ("https://opa/", "https://opa:443"),
        ("HTTP://OPA:8181/x/", "http://opa:8181/x"),
        ("http://[::1]:8181", "http://[::1]:8181"),
    ],
)
def test_urls(url, shown) -> None:
    with OpaClient(url) as client:
        assert client.url == shown


@pytest.mark.parametrize(
    "settings",
    [
        {"token": ""},
        {"token": "hunter2\r\nX: y"},
        {"token": "hunter2 "},
        {"token": b"hunter2"},
        {"deadline": 0},
        {"deadline": float("nan")},
        {"deadline": None},
        {"max_answer": 0},
        {"max_answer": 1.5},
        {"ca": "/nowhere.pem"},
    ],
)
def test_unusable_settings(settings) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OpaClient("http://127.0.0.1", **settings)
    assert "hunter2" not in everything(caught.value)


# --- threads and forks


def test_threads_share_a_client_and_get_their_own_answers() -> None:
    answered: list[tuple[int, object]] = []

    def echo(exchange: Exchange) -> None:
        exchange.reply(b'{"result":' + exchange.body + b"}")

    with serving(echo, deadline=30.0) as (server, client):
        start = threading.Barrier(12)

        def ask(thread: int) -> None:
            start.wait()
            for i in range(40):
                number = thread * 1000 + i
                answered.append((number, client.query(("x",), b"%d" % number).result))

        threads = [threading.Thread(target=ask, args=(thread,)) for thread in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answered) == 12 * 40
        assert all(asked == got for asked, got in answered)
        assert server.connections <= 12


def test_a_forked_child_opens_connections_of_its_own() -> None:
    def echo(exchange: Exchange) -> None:
        exchange.reply(b'{"result":' + exchange.body + b"}")

    with serving(echo) as (server, client):
        client.query(("x",), b"1")
        child = os.fork()
        if not child:
            status = 1
            with suppress(BaseException):
                status = 0 if client.query(("x",), b"2").result == 2 else 2
            os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert client.query(("x",), b"3").result == 3
        assert server.connections == 2
        assert [exchange.body for exchange in server.exchanges] == [b"1", b"2", b"3"]


@pytest.mark.parametrize("step", [-1, 1])
def test_a_process_with_a_smaller_or_a_greater_id_is_another_process(monkeypatch, step) -> None:
    """The system starts again at low process ids, so a child's id may be smaller."""
    with serving(replying(ANSWER)) as (server, client):
        client.query(("x",), INPUT)
        here = os.getpid()
        with monkeypatch.context() as context:
            context.setattr(os, "getpid", lambda: here + step)
            for _ in range(2):
                client.query(("x",), INPUT)
                assert server.connections == 2
