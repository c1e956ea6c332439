"""Tokens and certificates that change while a client is in use."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
from pathlib import Path

import pytest
from fault_server import ANSWER, INPUT, Exchange, FaultServer, replying
from loopback_certificates import Authority

from bridge.aio import AsyncOpaClient
from bridge.errors import ConfigurationError, EngineUnreachableError, OpaStatusError
from bridge.http.credentials import BearerToken
from bridge.opa import OpaClient

SAFETY = 60.0


def sent_tokens(server: FaultServer) -> list[str]:
    lines = [line for exchange in server.exchanges for line in exchange.head.decode().split("\r\n")]
    return [line.removeprefix("Authorization: Bearer ") for line in lines if line.startswith("Authorization")]


@pytest.fixture
def now(monkeypatch) -> list[float]:
    now = [1_000.0]
    monkeypatch.setattr("bridge.http.credentials.time.monotonic", lambda: now[0])
    return now


def only(*tokens: str):
    """A server that takes some tokens."""

    def answer(exchange: Exchange) -> None:
        if any(f"Bearer {token}\r\n".encode() in exchange.head + b"\r\n" for token in tokens):
            exchange.reply(ANSWER)
        else:
            exchange.reply(b'{"code":"unauthorized"}', "401 Unauthorized")

    return answer


def replaced(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


# --- a file


def test_a_token_of_a_file_is_read_again_when_the_file_changes(now, tmp_path) -> None:
    path = tmp_path / "token"
    path.write_text(" one\n")
    token = BearerToken(path)
    replaced(path, "two")
    assert token.current() == "one", "it is looked at once a second"
    now[0] += 1
    assert [token.current(), token.current()] == ["two", "two"]
    path.unlink()
    now[0] += 1
    with pytest.raises(
        ConfigurationError,
        match=r"^the bearer token in `.*token`: no such file or directory: put one token in this file, or name",
    ):
        token.current()
    path.write_text("three")
    assert token.current() == "three"


@pytest.mark.parametrize("text", [b"", b"a b", b"a\nb", b"\xff", b"x" * 1_048_577])
def test_a_file_that_holds_no_token(tmp_path, text) -> None:
    path = tmp_path / "token"
    path.write_bytes(text)
    with pytest.raises(ConfigurationError, match="the bearer token in"):
        OpaClient("http://127.0.0.1", token=path)


def test_a_pipe_is_read_once(now) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"one")
    os.close(writing)
    token = BearerToken(Path(f"/dev/fd/{reading}"))
    now[0] += 100
    assert token.current() == "one"
    os.close(reading)


@pytest.mark.usefixtures("now")
def test_after_a_401_the_file_is_read_again_at_once(tmp_path) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    with FaultServer(only("two")) as server, OpaClient(server.url, token=path, deadline=SAFETY) as client:
        replaced(path, "two")
        assert client.query(("x",), INPUT).result is True
        assert sent_tokens(server) == ["one", "two"]
        replaced(path, "four")
        assert client.query(("x",), INPUT).result is True, "the token of before is still taken"
        server.answer = only("four")
        assert client.get_data(("x",)) is True
        assert sent_tokens(server)[2:] == ["two", "two", "four"]


def test_a_401_is_the_answer_where_the_token_is_the_same(tmp_path) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    for token in ("one", path, lambda: "one"):
        with FaultServer(only("two")) as server, OpaClient(server.url, token=token) as client:
            with pytest.raises(OpaStatusError, match="is the token right"):
                client.query(("x",), INPUT)
            assert sent_tokens(server) == ["one"]


def test_a_token_is_renewed_once_a_call() -> None:
    tokens = [f"t{number}" for number in range(9)]
    with FaultServer(only("none")) as server, OpaClient(server.url, token=lambda: tokens.pop(0)) as client:
        with pytest.raises(OpaStatusError):
            client.put_data(("x",), b"1")
        assert len(server.exchanges) == 2


# --- a function


def test_a_function_is_called_for_each_request() -> None:
    tokens = iter(["a", "b", "c"])
    with FaultServer(replying(ANSWER)) as server, OpaClient(server.url, token=lambda: next(tokens)) as client:
        client.query(("x",), INPUT)
        client.get_data(("x",))
        assert sent_tokens(server) == ["a", "b"]


@pytest.mark.parametrize("token", [b"x", 1, ["x"], object()])
def test_what_is_no_token(token) -> None:
    with pytest.raises(ConfigurationError, match="`token` must be"):
        OpaClient("http://127.0.0.1", token=token)


def test_no_token_that_was_sent_shows_in_an_error() -> None:
    tokens = iter(["first-secret", "second-secret"])

    def echo(exchange: Exchange) -> None:
        exchange.reply(b'{"code":"no","message":"first-secret second-secret"}', "401 Unauthorized")

    with (
        FaultServer(echo) as server,
        OpaClient(server.url, token=lambda: next(tokens)) as client,
        pytest.raises(OpaStatusError) as caught,
    ):
        client.query(("x",), INPUT)
    assert (caught.value.opa_message, "secret" in str(caught.value)) == ("[token] [token]", False)


# --- the asynchronous client


def test_the_asynchronous_client_takes_the_same_tokens(tmp_path) -> None:
    path = tmp_path / "token"
    path.write_text("one")

    async def ask(url: str) -> None:
        async with AsyncOpaClient(url, token=path, deadline=SAFETY) as client:
            replaced(path, "two")
            assert (await client.query(("x",), INPUT)).result is True
        tokens = iter(["three", "four"])
        async with AsyncOpaClient(url, token=lambda: next(tokens), deadline=SAFETY) as client:
            assert (await client.query(("x",), INPUT)).result is True

    with FaultServer(only("two", "four")) as server:
        asyncio.run(ask(server.url))
        assert sent_tokens(server) == ["one", "two", "three", "four"]


# --- certificates


def server_context(authority: Authority, clients: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server"))
    context.load_verify_locations(clients.file)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_certificates_are_read_again_for_new_connections(tmp_path) -> None:
    """The authority of the server and our own certificate change at once, as where both are rotated."""
    old, new = Authority(tmp_path, "old"), Authority(tmp_path, "new")
    ca, certificate, key = tmp_path / "ca", tmp_path / "certificate", tmp_path / "key"

    def use(authority: Authority) -> None:
        shutil.copy(authority.file, ca)
        for source, target in zip(authority.issue("client"), (certificate, key), strict=True):
            shutil.copy(source, target)

    async def ask(url: str) -> None:
        async with AsyncOpaClient(url, ca=ca, client_certificate=(certificate, key), deadline=SAFETY) as client:
            use(new)
            assert (await client.query(("x",), INPUT)).result is True

    use(old)
    with FaultServer(replying(ANSWER), server_context(old, old)) as server:
        with OpaClient(server.url, ca=ca, client_certificate=(certificate, key), deadline=SAFETY) as client:
            client.query(("x",), INPUT)
            server.tls = server_context(new, new)
            client.query(("x",), INPUT)
            assert server.connections == 1, "a connection goes on as it began"
            use(new)
            client.query(("x",), INPUT, fresh=True)
            assert server.connections == 2
        use(old)
        asyncio.run(ask(server.url))


def test_a_certificate_that_cannot_be_used_any_more_ends_no_open_connection(tmp_path) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server"))
    with FaultServer(replying(ANSWER), context) as server, OpaClient(server.url, ca=authority.file) as client:
        client.query(("x",), INPUT)
        authority.file.write_text("nonsense")
        client.query(("x",), INPUT)
        with pytest.raises(EngineUnreachableError, match="`ca`: no certificate authorities can be read from"):
            client.query(("x",), INPUT, fresh=True)
        assert server.connections == 1
