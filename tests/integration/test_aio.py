"""The bridge that awaits: the same answers, and the same care with an OPA that fails."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import ssl
import subprocess
import sys
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import jwt
import pytest
from fault_server import NONCE, Exchange, FaultServer, ends_by_deadline
from loopback_certificates import Authority

from bridge import (
    BadAnswer,
    DeadlineExceeded,
    EngineFault,
    EngineTooOld,
    EngineUnreachable,
    InvalidSetting,
    MalformedInput,
    Misuse,
    OpaClient,
    OpaEngine,
    OpaRefused,
    PartialAnswer,
    PolicyBridge,
    PushRefused,
    ResourcesStale,
    RulesDiffer,
    RuleSet,
    RulesNotInstalled,
    StaticKey,
    TokenExpired,
    TokenVerifier,
)
from bridge.aio import AsyncOpaClient, AsyncOpaEngine, AsyncPolicyBridge
from bridge.rendering import fingerprint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

CLAIMS = {"policy": {"version": 2, "devices": {"id": "d1", "custom_data": {"user": "u1", "n": 1}}}}
DEVICE = {"id": "d1", "custom_data": {"user": "u1", "n": 1.0}}
OTHER = {"id": "d1", "custom_data": {"user": "u2"}}
TOKEN = "s3cret-token"
INPUT = b'{"input":{"password":"hunter2"}}'
ANSWER = b'{"result":true}'
SECONDS = 1.0
SECRET = bytes(range(64))


def awaited(test):
    """Run a test's coroutine; nothing that it began may be left behind."""

    @functools.wraps(test)
    def run(*args: object, **settings: object) -> None:
        async def alone() -> None:
            await test(*args, **settings)
            await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left

        asyncio.run(alone())

    return run


@asynccontextmanager
async def serving(answer: Callable[[Exchange], None] | None, tls=None, **settings: object) -> AsyncIterator:
    with FaultServer(answer, tls) as server:
        async with AsyncOpaClient(server.url, token=TOKEN, **settings) as client:
            yield server, client


def replying(*args: object) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.reply(*args)


def sending(data: bytes) -> Callable[[Exchange], None]:
    def send_and_close(exchange: Exchange) -> None:
        exchange.send(data)
        exchange.close()

    return send_and_close


# --- the same answers


@pytest.fixture(scope="module")
def url(start_opa) -> str:
    url = start_opa().url
    with PolicyBridge(OpaEngine(url)) as bridge:
        bridge.install()
        bridge.push("devices", [OTHER, {"id": "d2"}])
    return url


QUESTIONS = [
    (CLAIMS, "devices", DEVICE),
    (CLAIMS, "devices", OTHER),
    (CLAIMS, "devices", "d1"),
    (CLAIMS, "devices", "d3"),
    (CLAIMS, "sessions", DEVICE),
    (CLAIMS, "x", None),
    ({}, "devices", DEVICE),
    ({"policy": {"version": 1}}, "devices", DEVICE),
    (None, "devices", DEVICE),
    ({}, 7, DEVICE),
    ({}, "devices", [DEVICE]),
]


@awaited
async def test_the_answers_are_those_of_the_bridge_that_waits(url) -> None:
    with PolicyBridge(OpaEngine(url)) as waits:
        async with AsyncPolicyBridge(AsyncOpaEngine(url)) as awaits:
            for question in QUESTIONS:
                assert await awaits.check(*question) == waits.check(*question)
                assert await awaits.explain(*question) == waits.explain(*question)
            several = [DEVICE, OTHER, "d1", "d3", None, (), *[DEVICE] * 1_500, OTHER]
            assert await awaits.check_many(CLAIMS, "devices", several) == waits.check_many(CLAIMS, "devices", several)
            assert await awaits.check_many(CLAIMS, "devices", []) == []
            with pytest.raises(MalformedInput, match="resource: "):
                await awaits.check(CLAIMS, "devices", ())
            with pytest.raises(Misuse, match="several"):
                await awaits.check_many(CLAIMS, "devices", "d1")
            with pytest.raises(Misuse, match="verifier"):
                await awaits.check("a.b.c", "devices", DEVICE)


@awaited
async def test_lists_and_revisions_are_those_of_the_bridge_that_waits(url) -> None:
    with PolicyBridge(OpaEngine(url)) as waits:
        async with AsyncPolicyBridge(AsyncOpaEngine(url)) as awaits:
            for claims in (CLAIMS, {}, {"policy": {"version": 2, "devices": {"id": "d2"}}}, {"policy": 1}):
                assert await awaits.list_allowed(claims, "devices") == waits.list_allowed(claims, "devices")
            first = await awaits.list_allowed({}, "devices", limit=1)
            assert (first.ids, first.complete) == (("d1",), False)
            assert (await awaits.list_allowed({}, "devices", after=first.cursor)).ids == ("d2",)
            later = str(int(first.revision) + 1)
            assert await awaits.check({}, "devices", "d1", at_least=first.revision)
            assert await awaits.check_many({}, "devices", ["d1", OTHER], at_least=first.revision)
            for stale in (
                awaits.check({}, "devices", "d1", at_least=later),
                awaits.check_many({}, "devices", ["d1"], at_least=later),
                awaits.list_allowed({}, "devices", at_least=later),
            ):
                with pytest.raises(ResourcesStale):
                    await stale
            with pytest.raises(Misuse):
                await awaits.list_allowed({}, "devices", limit=0)
        async with AsyncPolicyBridge(AsyncOpaEngine(url), on_error="deny") as denying:
            assert (await denying.check({}, "devices", "d1", at_least=later)).reason == "engine_unavailable"
            [decision] = await denying.check_many({}, "devices", ["d1"], at_least=later)
            assert decision.reason == "engine_unavailable"


@awaited
async def test_rules_and_resources_come_by_it_too(start_opa) -> None:
    url = start_opa().url
    async with AsyncPolicyBridge(AsyncOpaEngine(url)) as bridge:
        with pytest.raises(RulesNotInstalled):
            await bridge.check(CLAIMS, "devices", "d1")
        await bridge.install()
        pushed = await bridge.push("devices", [DEVICE, {"id": "d2"}, {"id": ""}], skip_invalid=True)
        assert (pushed.added, pushed.changed, len(pushed.refusals)) == (2, 0, 1)
        assert (await bridge.check(CLAIMS, "devices", "d1", at_least=pushed.revision)).allow
        changed = await bridge.upsert("devices", [OTHER])
        assert (changed.changed, (await bridge.check(CLAIMS, "devices", "d1")).allow) == (1, False)
        synced = await bridge.sync("devices", [DEVICE, {"id": "d2"}, {"id": "d3"}])
        assert (synced.added, synced.changed, (await bridge.check(CLAIMS, "devices", "d1")).allow) == (1, 1, True)
        assert (await bridge.delete("devices", ["d1", "d2"])).removed == 2
        assert (await bridge.list_allowed({}, "devices")).ids == ("d3",)
        with pytest.raises(PushRefused, match="more than half"):
            await bridge.push("devices", [{"id": "d4"}])
        with pytest.raises(PushRefused):
            await bridge.push("devices", [{"id": "d3"}, {"id": ""}])
        with pytest.raises(PushRefused):
            await bridge.sync("devices", [{"id": "d3"}, {"id": ""}])
        with pytest.raises(Misuse):
            await bridge.upsert("users", [])
    with pytest.raises(Misuse, match="closed"):
        bridge.engine.waiting.install()


def test_it_has_what_the_bridge_that_waits_has() -> None:
    for name, method in inspect.getmembers(PolicyBridge, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(getattr(AsyncPolicyBridge, name)) == inspect.signature(method)


class Source:
    """A source of one's own: nobody knows whether it blocks."""

    def __init__(self) -> None:
        self.key = StaticKey.from_secret(SECRET).key
        self.threads: list[threading.Thread] = []

    def check(self, algorithms) -> None:
        pass

    def key_for(self, kid):  # noqa: ARG002
        self.threads.append(threading.current_thread())
        return self.key


@awaited
async def test_tokens(url) -> None:
    claims = {"exp": int(time.time()) + 1_000, **CLAIMS}
    token = jwt.encode(claims, SECRET, algorithm="HS256")
    stale = jwt.encode({"exp": 1}, SECRET, algorithm="HS256")
    source = Source()
    for key in (StaticKey.from_secret(SECRET), source):
        verifier = TokenVerifier(key, algorithms=("HS256",))
        async with AsyncPolicyBridge(AsyncOpaEngine(url), verifier=verifier) as bridge:
            assert await bridge.verify(token) == claims
            assert await bridge.check(token, "devices", DEVICE)
            assert not await bridge.check(token, "devices", OTHER)
            with pytest.raises(TokenExpired):
                await bridge.check(stale, "devices", DEVICE)
    assert len(source.threads) == 4
    assert threading.main_thread() not in source.threads, "it might have blocked all tasks"


def well_formed(**others: object) -> dict[str, object]:
    matched = {"allow": True, "reason": "matched"}
    return {"fingerprint": fingerprint(RuleSet()), "nonce": NONCE, "current": {}, "decisions": [matched]} | others


def body(result=..., version="1.20.2") -> bytes:
    members = {} if result is ... else {"result": result}
    return json.dumps(members | {"provenance": {"version": version}}).encode()


FAULTS = {
    "no json": (replying(b"<html>allowed</html>"), BadAnswer),
    "without result": (replying(body()), RulesNotInstalled),
    "two decisions": (replying(body(well_formed(decisions=[{"allow": True, "reason": "matched"}] * 2))), BadAnswer),
    "other rules": (replying(body(well_formed(fingerprint="0" * 64))), RulesDiffer),
    "401": (replying(b'{"code":"unauthorized"}', "401 Unauthorized"), OpaRefused),
    "500 with an allow": (replying(body(well_formed()), "500 Internal Server Error"), OpaRefused),
    "redirect": (replying(body(well_formed()), "307 Temporary Redirect", "Location: /"), BadAnswer),
    "opa 1.19": (replying(body(well_formed(), "1.19.1")), EngineTooOld),
    "hangs up": (lambda exchange: exchange.close(), EngineUnreachable),
}


@pytest.mark.parametrize(("answer", "error"), FAULTS.values(), ids=FAULTS)
@awaited
async def test_a_faulty_answer_never_allows(answer, error) -> None:
    with FaultServer(answer) as server:
        async with AsyncPolicyBridge(AsyncOpaEngine(server.url)) as raising:
            for ask in (raising.check, raising.explain):
                with pytest.raises(error):
                    await ask(CLAIMS, "devices", DEVICE)
        async with AsyncPolicyBridge(AsyncOpaEngine(server.url), on_error="deny") as denying:
            decisions = [
                await denying.check(CLAIMS, "devices", DEVICE),
                *await denying.check_many(CLAIMS, "devices", [DEVICE] * 3),
                (await denying.explain(CLAIMS, "devices", DEVICE)).decision,
            ]
    assert [(one.allow, one.reason, one.engine) for one in decisions] == [(False, "engine_unavailable", "opa")] * 5


@awaited
async def test_what_was_decided_before_a_fault_is_kept() -> None:
    matched = {"allow": True, "reason": "matched"}

    def answer(exchange: Exchange) -> None:
        if exchange.number == 0:
            exchange.reply(body(well_formed(decisions=[matched] * 1_000)))
        else:
            exchange.reply(b"", "503 Service Unavailable")

    with FaultServer(answer) as server:
        async with AsyncPolicyBridge(AsyncOpaEngine(server.url)) as bridge:
            with pytest.raises(PartialAnswer) as caught:
                await bridge.check_many(CLAIMS, "devices", [DEVICE] * 1_500)
    assert [decision is not None for decision in caught.value.decisions] == [True] * 1_000 + [False] * 500


# --- the deadline


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1300\r\n\r\n"
LONG_HEAD = b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1_200


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda exchange: exchange.over.wait(), id="never answers"),
        pytest.param(lambda exchange: exchange.drip(LONG_HEAD), id="drips the head"),
        pytest.param(lambda exchange: exchange.drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 50), id="drips other heads"),
        pytest.param(lambda exchange: (exchange.send(HEAD), exchange.drip(b" " * 1_200)), id="drips the body"),
        pytest.param(
            lambda exchange: (exchange.send(b"HTTP/1.1 200 OK\r\n\r\n"), exchange.drip(b" " * 1_200)),
            id="drips a body without a length",
        ),
    ],
)
@pytest.mark.parametrize("per_call", [False, True])
@awaited
async def test_deadline(answer, per_call) -> None:
    async with serving(answer, deadline=60.0 if per_call else SECONDS) as (_, client):
        with ends_by_deadline(SECONDS):
            await client.query(("x",), INPUT, deadline=SECONDS if per_call else None)


@awaited
async def test_deadline_of_a_server_that_reads_nothing() -> None:
    async with serving(None, deadline=SECONDS) as (_, client):
        with ends_by_deadline(SECONDS):
            await client.query(("x",), b" " * 16_000_000)


@awaited
async def test_deadline_of_a_server_that_does_not_shake_hands() -> None:
    with FaultServer(None) as server:
        async with AsyncOpaClient(server.url.replace("http", "https"), deadline=SECONDS) as client:
            with ends_by_deadline(SECONDS):
                await client.query(("x",), INPUT)


@awaited
async def test_deadline_holds_for_all_repetitions_together(monkeypatch) -> None:
    """By a clock that the server moves: 40 s for each attempt."""
    now = [1_000.0]
    monkeypatch.setattr("bridge.opa.attempts.monotonic", lambda: now[0])

    def close_late(exchange: Exchange) -> None:
        now[0] += 40
        exchange.close()

    async with serving(close_late, deadline=100.0) as (server, client):
        with pytest.raises(DeadlineExceeded, match=r"no whole answer within 100 s$"):
            await client.query(("x",), INPUT)
        assert len(server.exchanges) == 3


@awaited
async def test_each_attempt_may_last_as_long_as_is_left_of_the_call(monkeypatch) -> None:
    now, limits, timeout = [1_000.0], [], asyncio.timeout

    def limit(seconds: float | None) -> asyncio.Timeout:
        if seconds is not None:  # aiohttp makes timeouts without a limit, too
            limits.append(seconds)
        return timeout(seconds)

    def close_late(exchange: Exchange) -> None:
        now[0] += 30
        exchange.close()

    async with serving(close_late, deadline=100.0) as (_, client):
        monkeypatch.setattr("bridge.opa.attempts.monotonic", lambda: now[0])
        monkeypatch.setattr("bridge.aio.transport.asyncio.timeout", limit)
        with pytest.raises(EngineUnreachable):
            await client.query(("x",), INPUT)
    assert limits == pytest.approx([100, 70, 40], abs=0.01)


# --- connections


BROKEN = [
    b"",
    b"HTTP/1.1 200 OK\r\nConte",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + ANSWER,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n" + ANSWER,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + ANSWER,
]


@pytest.mark.parametrize("data", BROKEN)
@awaited
async def test_questions_are_repeated_twice_when_the_connection_breaks(data) -> None:
    async with serving(sending(data)) as (server, client):
        with pytest.raises(EngineUnreachable, match="was closed"):
            await client.query(("x",), INPUT)
        assert server.lines == ["POST /v1/data/x HTTP/1.1"] * 3
        assert [exchange.body for exchange in server.exchanges] == [INPUT] * 3


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nContent-Length: 16\r\n\r\n" + ANSWER,
        b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n" + ANSWER,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + ANSWER,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n" + ANSWER,
    ],
)
@awaited
async def test_broken_http(data) -> None:
    async with serving(sending(data)) as (server, client):
        with pytest.raises(BadAnswer, match="the answer is no http"):
            await client.query(("x",), INPUT)
        assert len(server.exchanges) == 1


@awaited
async def test_a_connection_that_has_gone_stale_is_not_noticed() -> None:
    def answer(exchange: Exchange) -> None:
        exchange.close() if exchange.number == 1 else exchange.reply(ANSWER)

    async with serving(answer) as (server, client):
        assert [(await client.query(("x",), INPUT)).result for _ in range(3)] == [True] * 3
        assert server.connections == 2
        assert len(server.exchanges) == 4


@awaited
async def test_nobody_listens() -> None:
    with FaultServer(None) as server:
        pass
    async with AsyncOpaClient(server.url) as client:
        with pytest.raises(EngineUnreachable, match=r"^`POST /v1/data/x` at http://127\.0\.0\.1:\d+: connect"):
            await client.query(("x",), INPUT)


@pytest.mark.parametrize("framing", [b"Content-Length: 2000\r\n\r\n", b"\r\n"])
@awaited
async def test_answers_beyond_the_limit(framing) -> None:
    data = b"HTTP/1.1 200 OK\r\n" + framing + b'{"result":"' + b"x" * 1987 + b'"}'
    async with serving(sending(data), max_answer=1999) as (_, client):
        with pytest.raises(BadAnswer, match="larger than 1999 bytes"):
            await client.query(("x",), INPUT)
    async with serving(sending(data), max_answer=2000) as (_, client):
        assert len((await client.query(("x",), INPUT)).result) == 1987


@awaited
async def test_a_connection_is_used_again_after_a_200_alone() -> None:
    statuses = ["200 OK", "200 OK", "500 Internal Server Error", "204 No Content", "403 Forbidden", "200 OK", "200 OK"]

    def answer(exchange: Exchange) -> None:
        status = statuses[exchange.number]
        exchange.reply(b"" if status.startswith("204") else ANSWER, status)

    async with serving(answer) as (server, client):
        counts = []
        for status in statuses:
            if status == "200 OK":
                await client.query(("x",), INPUT)
            else:
                with pytest.raises(EngineFault):
                    await client.query(("x",), INPUT)
            counts.append(server.connections)
        assert counts == [1, 1, 1, 2, 3, 4, 4]


@awaited
async def test_what_comes_while_nothing_was_asked_is_not_taken_for_the_next_answer() -> None:
    asked, said = threading.Event(), threading.Event()

    def answer(exchange: Exchange) -> None:
        exchange.reply(ANSWER)
        if exchange.number == 0:
            asked.wait()
            exchange.reply(b'{"result":false}')
            said.set()

    async with serving(answer) as (server, client):
        await client.query(("x",), INPUT)
        [carrier] = client._transport._idle
        asked.set()
        await asyncio.to_thread(said.wait, 10)
        while carrier.is_usable:  # noqa: ASYNC110 - until the loop has read it, of which nothing tells
            await asyncio.sleep(0)
        assert (await client.query(("x",), INPUT)).result is True
        assert server.connections == 2


@awaited
async def test_a_call_that_is_cancelled_leaves_nothing_behind() -> None:
    asked, late = threading.Event(), threading.Event()

    def answer(exchange: Exchange) -> None:
        if exchange.number == 0:
            asked.set()
            late.wait()
            exchange.reply(b'{"result":"of the first"}')
        else:
            exchange.reply(b'{"result":"of the second"}')

    async with serving(answer) as (server, client):
        task = asyncio.create_task(client.query(("x",), INPUT))
        await asyncio.to_thread(asked.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        late.set()
        assert not client._transport._idle
        assert (await client.query(("x",), INPUT)).result == "of the second"
        assert server.connections == 2


@awaited
async def test_a_call_that_is_cancelled_while_it_connects_or_sends() -> None:
    async with serving(None, deadline=30.0) as (_, client):
        for turns in (0, 1, 2, 5, 20, 200):
            task = asyncio.create_task(client.query(("x",), b" " * 8_000_000))
            for _ in range(turns):
                await asyncio.sleep(0)  # one turn of the loop
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert not client._transport._idle


@awaited
async def test_tasks_share_a_client_and_get_their_own_answers() -> None:
    async with serving(lambda exchange: exchange.reply(b'{"result":' + exchange.body + b"}"), deadline=30.0) as (
        server,
        client,
    ):

        async def ask(task: int) -> list[bool]:
            numbers = range(task * 1_000, task * 1_000 + 20)
            return [(await client.query(("x",), b"%d" % number)).result == number for number in numbers]

        assert await asyncio.gather(*map(ask, range(16))) == [[True] * 20] * 16
        assert server.connections <= 16


@awaited
async def test_a_closed_client_is_closed() -> None:
    async with serving(replying(ANSWER)) as (_, client):
        await client.query(("x",), INPUT)
        await client.close()
        await client.close()
        with pytest.raises(Misuse, match="closed"):
            await client.query(("x",), INPUT)


def test_a_client_belongs_to_one_event_loop() -> None:
    with FaultServer(replying(ANSWER)) as server, asyncio.Runner() as first:
        client = AsyncOpaClient(server.url)
        first.run(client.query(("x",), INPUT))
        with pytest.raises(Misuse, match="another event loop"):
            _in_another_thread(client.query(("x",), INPUT))
        first.run(client.close())


def _in_another_thread(call) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(call)
        except Misuse as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    raise errors[0]


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
@awaited
async def test_no_secret_in_errors(answer) -> None:
    async with serving(answer) as (server, client):
        with pytest.raises(EngineFault) as caught:
            await client.query(("x",), INPUT, provenance=True)
        head = server.exchanges[0].head
    assert f"Authorization: Bearer {TOKEN}".encode() in head
    assert b"Accept-Encoding: identity" in head
    found = everything(caught.value) + repr(client)
    assert TOKEN not in found
    assert "hunter2" not in found
    assert isinstance(caught.value.__context__, MalformedInput | None), (
        "a foreign one holds the request, with its token"
    )


@awaited
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


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_tls(authority, tmp_path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server"))
    context.load_verify_locations(authority.file)
    mine = authority.issue("client")

    @awaited
    async def ask(error: str | None = None, **settings: object) -> None:
        with FaultServer(replying(ANSWER), context) as server:
            async with AsyncOpaClient(server.url, **settings) as client:
                if error is None:
                    for _ in range(3):
                        assert (await client.query(("x",), INPUT)).result is True
                    assert server.connections == 1
                else:
                    with pytest.raises(EngineUnreachable, match=error):
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
        with pytest.raises(InvalidSetting):
            client("http://127.0.0.1", **settings)


def test_a_bridge_that_waits_needs_no_aiohttp() -> None:
    code = "import sys, bridge, bridge.cli.app; sys.exit('aiohttp' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
