"""A token or a certificate file that cannot be read any more is an outage: `on_error="deny"` denies."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from fault_server import ANSWER, INPUT, Exchange, FaultServer, replying
from loopback_certificates import Authority

from bridge import OpaEngine, PolicyBridge
from bridge.aio import AsyncOpaClient, AsyncOpaEngine, AsyncPolicyBridge
from bridge.errors import ConfigurationError, EngineUnreachableError, KeysUnavailableError, UsageError
from bridge.http.credentials import BearerToken
from bridge.opa import OpaClient
from bridge.tokens import JwksUrl

SECRET = "hunter2-secret"
CLAIMS = {"policy": {"version": 2, "devices": {}}}

IN_FILE = "put one token in this file, or name another file by `token`"
FROM_FUNCTION = "it must return the token as a text of printable ASCII characters without spaces"


@pytest.fixture(autouse=True)
def _look_at_once(monkeypatch) -> None:
    monkeypatch.setattr("bridge.http.credentials._LOOK_EVERY", 0.0)


async def asynchronous_query(url: str, settings: dict[str, object]) -> None:
    async with AsyncOpaClient(url, **settings) as client:
        await client.query(("x",), INPUT)


async def asynchronous_check(url: str, settings: dict[str, object]) -> str:
    async with AsyncPolicyBridge(AsyncOpaEngine(AsyncOpaClient(url, **settings)), on_error="deny") as bridge:
        return (await bridge.check(CLAIMS, "devices", {"id": "d"})).reason


def synchronous_check(url: str, settings: dict[str, object]) -> str:
    with PolicyBridge(OpaEngine(OpaClient(url, **settings)), on_error="deny") as bridge:
        return bridge.check(CLAIMS, "devices", {"id": "d"}).reason


def require_outages(server: FaultServer, settings: dict[str, object], spoil, cause: str) -> None:
    """Each way of a call, made with good settings that are spoilt then, fails before a connection is made."""
    calls = (
        lambda client: client.query(("x",), INPUT),
        lambda client: client.get_data(("x",)),
        lambda client: client.put_data(("x",), b"1"),
    )
    errors = []
    with OpaClient(server.url, **settings) as client:
        spoil()
        for call in calls:
            with pytest.raises(EngineUnreachableError) as caught:
                call(client)
            errors.append(caught.value)
    for error, what in zip(errors, ("POST", "GET", "PUT"), strict=True):
        assert str(error) == f"`{what} /v1/data/x` at {server.url}: {cause}"
        assert SECRET not in f"{error!r}{error.__cause__!r}{error.__context__!r}"


# --- a file with the token

Spoil = dict[str, tuple[object, str]]

FILES: Spoil = {
    "it vanishes": (lambda path: path.unlink(), "no such file or directory"),
    "it becomes a folder": (lambda path: (path.unlink(), path.mkdir()), "it is no regular file any more"),
    "it becomes a pipe": (lambda path: (path.unlink(), os.mkfifo(path)), "it is no regular file any more"),
    "it is empty": (
        lambda path: path.write_bytes(b""),
        "it does not hold one text of printable ASCII characters without spaces",
    ),
    "it has two lines": (
        lambda path: path.write_bytes(f"{SECRET}\n{SECRET}\n".encode()),
        "it does not hold one text of printable ASCII characters without spaces",
    ),
    "it is not UTF-8": (lambda path: path.write_bytes(SECRET.encode() + b"\xff"), "it is not UTF-8"),
    "it is too long": (lambda path: path.write_bytes(b"x" * 1_048_577), "it holds no bearer token"),
}


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(SECRET)
    return path


@pytest.mark.parametrize(("spoil", "cause"), FILES.values(), ids=FILES)
def test_a_token_file_that_is_spoilt(token_file, spoil, cause) -> None:
    text = f"the bearer token in `{token_file}`: {cause}: {IN_FILE}"
    with FaultServer(replying(ANSWER)) as server:
        require_outages(server, {"token": token_file}, lambda: spoil(token_file), text)
        assert server.connections == 0
        with pytest.raises(ConfigurationError):  # at construction it is a wrong setting
            OpaClient(server.url, token=token_file) if not token_file.is_fifo() else BearerToken(Path("/nowhere"))


@pytest.mark.parametrize(("spoil", "cause"), FILES.values(), ids=FILES)
def test_a_token_file_that_is_spoilt_for_the_asynchronous_client(token_file, spoil, cause) -> None:
    async def query(url: str) -> None:
        async with AsyncOpaClient(url, token=token_file) as client:
            spoil(token_file)
            with pytest.raises(EngineUnreachableError) as caught:
                await client.query(("x",), INPUT)
            assert str(caught.value) == (
                f"`POST /v1/data/x` at {url}: the bearer token in `{token_file}`: {cause}: {IN_FILE}"
            )
            assert SECRET not in f"{caught.value!r}{caught.value.__context__!r}"

    with FaultServer(replying(ANSWER)) as server:
        asyncio.run(query(server.url))
        assert server.connections == 0


@pytest.mark.parametrize("spoil", [spoil for spoil, _ in FILES.values()], ids=FILES)
def test_a_token_file_that_is_spoilt_between_a_401_and_the_second_look(token_file, spoil) -> None:
    def answer(exchange: Exchange) -> None:
        spoil(token_file)
        exchange.reply(b"{}", "401 Unauthorized")

    async def query(url: str) -> None:
        async with AsyncOpaClient(url, token=token_file) as client:
            await client.query(("x",), INPUT)

    with (
        FaultServer(answer) as server,
        OpaClient(server.url, token=token_file) as client,
        pytest.raises(EngineUnreachableError, match="the bearer token in"),
    ):
        client.query(("x",), INPUT)
    shutil.rmtree(token_file) if token_file.is_dir() else token_file.unlink(missing_ok=True)
    token_file.write_text(SECRET)
    with FaultServer(answer) as server, pytest.raises(EngineUnreachableError, match="the bearer token in"):
        asyncio.run(query(server.url))


def test_a_token_file_that_is_there_again_is_used_again(token_file) -> None:
    with FaultServer(replying(ANSWER)) as server, OpaClient(server.url, token=token_file) as client:
        token_file.unlink()
        with pytest.raises(EngineUnreachableError):
            client.query(("x",), INPUT)
        token_file.write_text("second")
        client.query(("x",), INPUT)
        assert b"Authorization: Bearer second\r\n" in server.exchanges[-1].head


def test_a_token_that_is_written_by_halves_is_refused_and_then_whole(token_file) -> None:
    def answer(exchange: Exchange) -> None:
        if b"Bearer new-token\r\n" in exchange.head:
            exchange.reply(ANSWER)
        else:
            token_file.write_text("new-token")  # the other half comes meanwhile
            exchange.reply(b"{}", "401 Unauthorized")

    with FaultServer(answer) as server, OpaClient(server.url, token=token_file) as client:
        token_file.write_text("new-t")
        assert client.query(("x",), INPUT).result is True


def test_a_pipe_that_has_given_its_token_is_not_read_again_after_a_401() -> None:
    reading, writing = os.pipe()
    os.write(writing, SECRET.encode())
    os.close(writing)
    token = BearerToken(Path(f"/dev/fd/{reading}"))
    assert token.renewed(SECRET) is None
    assert token.current() == SECRET
    os.close(reading)


# --- a function that gives the token


def raising() -> str:
    raise RuntimeError(SECRET)


def leaving() -> str:
    raise UsageError(SECRET)


def ending() -> str:
    raise StopIteration(SECRET)


NO_TOKEN = f"`token`: the function returned no token: {FROM_FUNCTION}"
FUNCTIONS = {
    "RuntimeError": (raising, f"`token`: the function raised `RuntimeError`: {FROM_FUNCTION}"),
    "UsageError": (leaving, f"`token`: the function raised `UsageError`: {FROM_FUNCTION}"),
    "StopIteration": (ending, f"`token`: the function raised `StopIteration`: {FROM_FUNCTION}"),
    "None": (lambda: None, NO_TOKEN),
    "bytes": (SECRET.encode, NO_TOKEN),
    "a number": (lambda: 7, NO_TOKEN),
    "empty": (lambda: "", NO_TOKEN),
    "a line feed": (lambda: f"{SECRET}\nX: y", NO_TOKEN),
    "a line feed at the end": (lambda: f"{SECRET}\n", NO_TOKEN),
    "not ASCII": (lambda: f"{SECRET}é", NO_TOKEN),
}


@pytest.mark.parametrize(("function", "cause"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_function_that_gives_no_token(function, cause) -> None:
    with FaultServer(replying(ANSWER)) as server:
        require_outages(server, {"token": function}, lambda: None, cause)
        with pytest.raises(EngineUnreachableError) as caught:
            asyncio.run(asynchronous_query(server.url, {"token": function}))
        assert str(caught.value) == f"`POST /v1/data/x` at {server.url}: {cause}"
        assert SECRET not in f"{caught.value!r}{caught.value.__context__!r}"
        assert server.connections == 0


def test_an_asynchronous_function_is_no_setting() -> None:
    async def token() -> str:
        return SECRET

    with pytest.raises(ConfigurationError, match=r"`token` must be a text, a file .* or a function, not `async`"):
        OpaClient("http://127.0.0.1", token=token)


def test_a_thread_that_cannot_be_started_to_read_the_token_is_an_outage(monkeypatch) -> None:
    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def query() -> None:
        async with AsyncOpaClient("http://127.0.0.1:9", token=lambda: SECRET) as client:
            monkeypatch.setattr(threading.Thread, "start", no_thread)
            with pytest.raises(EngineUnreachableError, match="no thread can be started to read the token"):
                await client.query(("x",), INPUT)
            monkeypatch.undo()

    asyncio.run(query())


# --- certificates


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def tls(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server"))
    return context


@pytest.fixture
def certificates(authority: Authority, tmp_path: Path) -> dict[str, object]:
    files = {"ca": authority.file, **dict(zip(("certificate", "key"), authority.issue("client"), strict=True))}
    copies = {name: Path(shutil.copy(file, tmp_path / name)) for name, file in files.items()}
    return {"ca": copies["ca"], "client_certificate": (copies["certificate"], copies["key"])}


def half(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def encrypt(path: Path) -> None:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(SECRET.encode()),
        )
    )


def another_key(path: Path) -> None:
    _, key = Authority(path.parent, "another").issue("another")
    shutil.copy(key, path)


SPOILT = {
    f"{name}: {how}": (name, spoil)
    for name in ("ca", "certificate", "key")
    for how, spoil in {
        "it vanishes": lambda path: path.unlink(),
        "garbage": lambda path: path.write_text("nonsense"),
        "empty": lambda path: path.write_text(""),
        "half": half,
        "a folder": lambda path: (path.unlink(), path.mkdir()),
        "a pipe": pipe,
    }.items()
} | {"key: of another certificate": ("key", another_key), "key: with a passphrase": ("key", encrypt)}


@pytest.mark.parametrize(("name", "spoil"), SPOILT.values(), ids=SPOILT)
def test_certificate_files_that_are_spoilt(certificates, tls, name, spoil) -> None:
    ca, (certificate, key) = certificates["ca"], certificates["client_certificate"]
    file = {"ca": ca, "certificate": certificate, "key": key}[name]
    if name == "ca":
        start, end = (
            f"`ca`: no certificate authorities can be read from `{ca}`: ",
            ": name a PEM file of certificates by",
        )
    else:
        start = f"`client_certificate`: `{certificate}` with the key `{key}` cannot be used: "
        end = ": name PEM files of a certificate and of its key by `client_certificate`"

    async def query(url: str) -> None:
        async with AsyncOpaClient(url, **certificates) as client:
            spoil(file)
            await client.query(("x",), INPUT)

    def verdict(call) -> str:
        with pytest.raises(EngineUnreachableError) as caught:
            call()
        assert SECRET not in f"{caught.value!r}{caught.value.__context__!r}"
        return str(caught.value)

    if spoil is pipe:
        end = ": a pipe or a device, of which nothing tells the length: give "
    original = file.read_bytes()
    with FaultServer(replying(ANSWER), tls) as server:
        texts = [verdict(lambda: asyncio.run(query(server.url)))]
        shutil.rmtree(file) if file.is_dir() else file.unlink(missing_ok=True)
        file.write_bytes(original)
        with OpaClient(server.url, **certificates) as client:
            spoil(file)
            texts += [
                verdict(lambda: client.query(("x",), INPUT)),
                verdict(lambda: client.get_data(("x",))),
                verdict(lambda: client.put_data(("x",), b"1")),
            ]
            assert server.connections == 0
            shutil.rmtree(file) if file.is_dir() else file.unlink(missing_ok=True)
            file.write_bytes(original)
            assert client.query(("x",), INPUT).result is True, "the file is good again"
    for text, method in zip(texts, ("POST", "POST", "GET", "PUT"), strict=True):
        assert text.startswith(f"`{method} /v1/data/x` at {server.url}: {start}")
        assert end in text


@pytest.mark.parametrize(
    "spoil", [spoil for name, spoil in SPOILT.values() if name == "ca"], ids=[i for i in SPOILT if i.startswith("ca")]
)
def test_a_ca_file_of_a_key_server_that_is_spoilt(certificates, tls, spoil) -> None:
    with FaultServer(replying(b'{"keys":[]}'), tls) as server:
        keys = JwksUrl(server.url, ca=certificates["ca"])
        spoil(certificates["ca"])
        with pytest.raises(
            KeysUnavailableError, match=r"`ca`: no certificate authorities can be read from .*: (name a PEM|give)"
        ):
            keys.key_for("k")
        assert server.connections == 0


# --- the promise of on_error="deny"


def test_a_bridge_denies_where_the_token_cannot_be_read(token_file) -> None:
    with FaultServer(replying(ANSWER)) as server:
        assert synchronous_check(server.url, {"token": raising}) == "engine_unavailable"
        assert asyncio.run(asynchronous_check(server.url, {"token": raising})) == "engine_unavailable"
        client, asynchronous = OpaClient(server.url, token=token_file), AsyncOpaClient(server.url, token=token_file)
        token_file.unlink()
        with PolicyBridge(OpaEngine(client), on_error="deny") as bridge:
            assert bridge.check(CLAIMS, "devices", {"id": "d"}).reason == "engine_unavailable"

        async def check() -> str:
            async with AsyncPolicyBridge(AsyncOpaEngine(asynchronous), on_error="deny") as bridge:
                return (await bridge.check(CLAIMS, "devices", {"id": "d"})).reason

        assert asyncio.run(check()) == "engine_unavailable"
        assert server.connections == 0


def test_a_bridge_denies_where_certificates_cannot_be_read(certificates, tls) -> None:
    with FaultServer(replying(ANSWER), tls) as server:
        client, asynchronous = OpaClient(server.url, **certificates), AsyncOpaClient(server.url, **certificates)
        certificates["ca"].write_text("nonsense")
        with PolicyBridge(OpaEngine(client), on_error="deny") as bridge:
            assert bridge.check(CLAIMS, "devices", {"id": "d"}).reason == "engine_unavailable"

        async def check() -> str:
            async with AsyncPolicyBridge(AsyncOpaEngine(asynchronous), on_error="deny") as bridge:
                return (await bridge.check(CLAIMS, "devices", {"id": "d"})).reason

        assert asyncio.run(check()) == "engine_unavailable"
        assert server.connections == 0
