"""The asynchronous OPA client: what it sends, TLS, secrets and the environment."""

from __future__ import annotations

import ssl

import pytest
from async_tests import async_test, serving
from fault_server import ANSWER, INPUT, NONCE, TOKEN, Exchange, FaultServer, replying, sending
from loopback_certificates import Authority

from bridge import ConfigurationError, EngineError, EngineUnreachableError, MalformedInputError, OpaClient
from bridge.aio import AsyncOpaClient
from bridge.errors import InvalidResponseError
from bridge.opa.queries import RulesQuery


# --- secrets, TLS and the environment
def everything(error: BaseException | None) -> str:
    if error is None:
        return ""
    return f"{error} {error!r} {vars(error)} {error.args}" + everything(error.__cause__) + everything(error.__context__)


@pytest.mark.parametrize(
    "answer",
    [
        replying(b'{"code":"%s","message":"you sent Bearer %s"}' % ((TOKEN.encode(),) * 2), "401 Unauthorized"),
        replying(TOKEN.encode()),
        sending(b""),
        sending(TOKEN.encode() + b"\r\n"),
        sending(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + TOKEN.encode()),
    ],
)
@async_test
async def test_no_secret_in_errors(answer) -> None:
    async with serving(answer) as (server, client):
        with pytest.raises(EngineError) as caught:
            await client.query(("x",), INPUT, provenance=True)
        head = server.exchanges[0].head
    assert f"Authorization: Bearer {TOKEN}".encode() in head
    assert b"Accept-Encoding: identity" in head
    text = everything(caught.value) + repr(client)
    assert TOKEN not in text
    assert "hunter2" not in text
    assert isinstance(caught.value.__context__, MalformedInputError | None), (
        "a foreign one holds the request, with its token"
    )


@async_test
async def test_nothing_is_taken_from_the_environment(monkeypatch, tmp_path) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            monkeypatch.setenv(variable, "http://127.0.0.1:9")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login mallory password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with FaultServer(replying(ANSWER, "200 OK", "Set-Cookie: a=b")) as server:
        async with AsyncOpaClient(server.url) as client:
            for _ in range(2):
                assert (await client.query(("x",), INPUT)).result is True
    assert not {"authorization", "cookie"} & server.exchanges[1].header_names


@async_test
async def test_cookies_are_not_kept() -> None:
    """The name counts: aiohttp's own jar takes none from an address of numbers."""
    with FaultServer(replying(ANSWER, "200 OK", "Set-Cookie: a=b; Path=/")) as server:
        async with AsyncOpaClient(server.url.replace("127.0.0.1", "localhost")) as client:
            for _ in range(2):
                await client.query(("x",), INPUT)
    assert [exchange.header_names & {"host", "cookie"} for exchange in server.exchanges] == [{"host"}] * 2


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_tls(authority, tmp_path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server"))
    context.load_verify_locations(authority.file)
    mine = authority.issue("client")

    @async_test
    async def ask(error: str | None = None, **settings: object) -> None:
        with FaultServer(replying(ANSWER), context) as server:
            async with AsyncOpaClient(server.url, **settings) as client:
                if error is None:
                    for _ in range(3):
                        assert (await client.query(("x",), INPUT)).result is True
                    assert server.connections == 1
                else:
                    with pytest.raises(EngineUnreachableError, match=error):
                        await client.query(("x",), INPUT)

    ask(ca=authority.file)
    ask("the server's certificate is refused: ")
    ask("the server's certificate is refused: ", ca=Authority(tmp_path, "other").file)
    context.verify_mode = ssl.CERT_REQUIRED
    ask(ca=authority.file, client_certificate=mine)
    ask("tls failed: ", ca=authority.file)


@pytest.mark.parametrize("settings", [{"deadline": 0}, {"token": "a b"}, {"max_answer": 0}, {"ca": "/nowhere.pem"}])
def test_unusable_settings(settings) -> None:
    for client in (AsyncOpaClient, OpaClient):
        with pytest.raises(ConfigurationError):
            client("http://127.0.0.1", **settings)


# --- what is sent
@async_test
async def test_the_bytes_of_a_request() -> None:
    with FaultServer(replying(ANSWER)) as server:
        fields = {"Host": f"127.0.0.1:{server.port}", "Accept-Encoding": "identity", "User-Agent": "jwt-policy-bridge"}
        async with AsyncOpaClient(f"{server.url}/team", token=TOKEN) as client:
            await client.query(("x",), INPUT)
        async with AsyncOpaClient(server.url) as client:
            with pytest.raises(InvalidResponseError):
                await client.query((), b"", provenance=True)
    secret = {"Authorization": f"Bearer {TOKEN}"}
    fields["Content-Type"] = "application/json"
    length = {"Content-Length": str(len(INPUT))}
    assert [exchange.line for exchange in server.exchanges] == [
        "POST /team/v1/data/x HTTP/1.1",
        "POST /v1/data?provenance=true HTTP/1.1",
    ]
    for exchange, wanted in zip(server.exchanges, (fields | secret | length, fields), strict=True):
        sent = dict(line.split(": ", 1) for line in exchange.head.decode().split("\r\n")[1:])
        assert wanted.items() <= sent.items()
        assert set(sent) - set(wanted) <= {"Accept", "Content-Length"}
    assert [exchange.body for exchange in server.exchanges] == [INPUT, b""]


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 3_000_000])
@async_test
async def test_a_body_arrives_whole(size) -> None:
    async with serving(replying(ANSWER), deadline=60.0) as (server, client):
        assert (await client.query(("x",), b"x" * size)).result is True
        assert server.exchanges[0].body == b"x" * size
        assert b"Content-Length: %d" % size in server.exchanges[0].head


@async_test
async def test_redirects_are_not_followed() -> None:
    with FaultServer(replying(ANSWER)) as other:
        async with serving(replying(ANSWER, "307 Temporary Redirect", f"Location: {other.url}/x")) as (_, client):
            with pytest.raises(InvalidResponseError, match=r"^`POST /v1/data/x`: status 307"):
                await client.query(("x",), INPUT)
        assert other.connections == 0


@async_test
async def test_compressed_answers_are_not_read_as_such() -> None:
    async with serving(replying(ANSWER, "200 OK", "Content-Encoding: gzip")) as (_, client):
        with pytest.raises(
            InvalidResponseError, match="the answer has the content encoding `gzip`, which was not asked for"
        ):
            await client.query(("x",), INPUT)


@async_test
async def test_each_attempt_asks_with_a_nonce_of_its_own() -> None:
    def answer(exchange: Exchange) -> None:
        exchange.close() if exchange.number < 2 else exchange.reply(b'{"result":"%b"}' % NONCE.encode())

    async with serving(answer) as (server, client):
        reply = await client.query(("x",), RulesQuery(b"{}"))
    nonces = [exchange.nonce for exchange in server.exchanges]
    assert len(set(nonces)) == 3
    assert reply.nonce == reply.result == nonces[2]


@async_test
async def test_after_an_answer_without_the_nonce_the_connection_is_not_used_again() -> None:
    bodies = [NONCE.encode(), b"another", NONCE.encode(), NONCE.encode()]

    def answer(exchange: Exchange) -> None:
        exchange.reply(b'{"result":"%b"}' % bodies[exchange.number])

    async with serving(answer) as (server, client):
        counts = []
        for _ in bodies:
            await client.query(("x",), RulesQuery(b"{}"))
            counts.append(server.connections)
        assert counts == [1, 1, 2, 2]
