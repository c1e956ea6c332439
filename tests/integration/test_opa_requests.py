"""What the OPA client sends: paths, addresses, settings. Nothing is taken from the environment; errors hide secrets."""

from __future__ import annotations

import ssl

import pytest
from fault_server import ANSWER, INPUT, TOKEN, Exchange, FaultServer, replying, sending, serving
from loopback_certificates import Authority
from ports import reserved_port

from bridge.errors import (
    ConfigurationError,
    EngineError,
    EngineUnreachableError,
    OpaStatusError,
    UsageError,
)
from bridge.opa import OpaClient


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("fault-server"))
    return context


@pytest.fixture
def closed_port():
    with reserved_port() as port:
        yield port


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
    text = everything(caught.value)
    assert TOKEN not in text
    assert "hunter2" not in text
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
