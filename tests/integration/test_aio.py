"""The bridge that awaits: the same answers, and the same care with an OPA that fails."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import threading
import time

import jwt
import pytest
from async_tests import async_test, serving
from fault_server import INPUT, NONCE, Exchange, FaultServer, ends_by_deadline, replying

from bridge import (
    EngineUnreachableError,
    ExpiredTokenError,
    MalformedInputError,
    OpaEngine,
    PartialResultError,
    PolicyBridge,
    PushRejectedError,
    RuleSet,
    RulesMismatchError,
    RulesNotInstalledError,
    StaleResourcesError,
    StaticKey,
    TokenVerifier,
    UsageError,
)
from bridge.aio import AsyncOpaClient, AsyncOpaEngine, AsyncPolicyBridge
from bridge.errors import InvalidResponseError, OpaStatusError, UnsupportedOpaVersionError
from bridge.rendering import fingerprint

CLAIMS = {"policy": {"version": 2, "devices": {"id": "d1", "custom_data": {"user": "u1", "n": 1}}}}
DEVICE = {"id": "d1", "custom_data": {"user": "u1", "n": 1.0}}
OTHER = {"id": "d1", "custom_data": {"user": "u2"}}
SECONDS = 1.0
SECRET = bytes(range(64))


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


@async_test
async def test_the_answers_are_those_of_the_bridge_that_waits(url) -> None:
    with PolicyBridge(OpaEngine(url)) as waits:
        async with AsyncPolicyBridge(AsyncOpaEngine(url)) as awaits:
            for question in QUESTIONS:
                assert await awaits.check(*question) == waits.check(*question)
                assert await awaits.explain(*question) == waits.explain(*question)
            several = [DEVICE, OTHER, "d1", "d3", None, (), *[DEVICE] * 1_500, OTHER]
            assert await awaits.check_many(CLAIMS, "devices", several) == waits.check_many(CLAIMS, "devices", several)
            assert await awaits.check_many(CLAIMS, "devices", []) == []
            with pytest.raises(MalformedInputError, match="resource: "):
                await awaits.check(CLAIMS, "devices", ())
            with pytest.raises(UsageError, match="several"):
                await awaits.check_many(CLAIMS, "devices", "d1")
            with pytest.raises(UsageError, match="verifier"):
                await awaits.check("a.b.c", "devices", DEVICE)


@async_test
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
                with pytest.raises(StaleResourcesError):
                    await stale
            with pytest.raises(UsageError):
                await awaits.list_allowed({}, "devices", limit=0)
        async with AsyncPolicyBridge(AsyncOpaEngine(url), on_error="deny") as denying:
            assert (await denying.check({}, "devices", "d1", at_least=later)).reason == "engine_unavailable"
            [decision] = await denying.check_many({}, "devices", ["d1"], at_least=later)
            assert decision.reason == "engine_unavailable"


@async_test
async def test_rules_and_resources_come_by_it_too(start_opa) -> None:
    url = start_opa().url
    async with AsyncPolicyBridge(AsyncOpaEngine(url)) as bridge:
        with pytest.raises(RulesNotInstalledError):
            await bridge.check(CLAIMS, "devices", "d1")
        await bridge.install()
        pushed = await bridge.push("devices", [DEVICE, {"id": "d2"}, {"id": ""}], skip_invalid=True)
        assert (pushed.added, pushed.changed, len(pushed.rejected)) == (2, 0, 1)
        assert (await bridge.check(CLAIMS, "devices", "d1", at_least=pushed.revision)).allow
        changed = await bridge.upsert("devices", [OTHER])
        assert (changed.changed, (await bridge.check(CLAIMS, "devices", "d1")).allow) == (1, False)
        synced = await bridge.sync("devices", [DEVICE, {"id": "d2"}, {"id": "d3"}])
        assert (synced.added, synced.changed, (await bridge.check(CLAIMS, "devices", "d1")).allow) == (1, 1, True)
        assert (await bridge.delete("devices", ["d1", "d2"])).removed == 2
        assert (await bridge.list_allowed({}, "devices")).ids == ("d3",)
        with pytest.raises(PushRejectedError, match="more than half"):
            await bridge.push("devices", [{"id": "d4"}])
        with pytest.raises(PushRejectedError):
            await bridge.push("devices", [{"id": "d3"}, {"id": ""}])
        with pytest.raises(PushRejectedError):
            await bridge.sync("devices", [{"id": "d3"}, {"id": ""}])
        with pytest.raises(UsageError):
            await bridge.upsert("users", [])
    with pytest.raises(UsageError, match="closed"):
        bridge.engine.synchronous.install()


def test_it_has_what_the_bridge_that_waits_has() -> None:
    for name, method in inspect.getmembers(PolicyBridge, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(getattr(AsyncPolicyBridge, name)) == inspect.signature(method)


class KeySource:
    """A source of one's own: nobody knows whether it blocks."""

    def __init__(self) -> None:
        self.key = StaticKey.from_secret(SECRET).key
        self.threads: list[threading.Thread] = []

    def check(self, algorithms) -> None:
        pass

    def key_for(self, kid):  # noqa: ARG002
        self.threads.append(threading.current_thread())
        return self.key


@async_test
async def test_tokens(url) -> None:
    claims = {"exp": int(time.time()) + 1_000, **CLAIMS}
    token = jwt.encode(claims, SECRET, algorithm="HS256")
    stale = jwt.encode({"exp": 1}, SECRET, algorithm="HS256")
    source = KeySource()
    for key in (StaticKey.from_secret(SECRET), source):
        verifier = TokenVerifier(key, algorithms=("HS256",))
        async with AsyncPolicyBridge(AsyncOpaEngine(url), verifier=verifier) as bridge:
            assert await bridge.verify(token) == claims
            assert await bridge.check(token, "devices", DEVICE)
            assert not await bridge.check(token, "devices", OTHER)
            with pytest.raises(ExpiredTokenError):
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
    "no json": (replying(b"<html>allowed</html>"), InvalidResponseError),
    "without result": (replying(body()), RulesNotInstalledError),
    "two decisions": (
        replying(body(well_formed(decisions=[{"allow": True, "reason": "matched"}] * 2))),
        InvalidResponseError,
    ),
    "other rules": (replying(body(well_formed(fingerprint="0" * 64))), RulesMismatchError),
    "401": (replying(b'{"code":"unauthorized"}', "401 Unauthorized"), OpaStatusError),
    "500 with an allow": (replying(body(well_formed()), "500 Internal Server Error"), OpaStatusError),
    "redirect": (replying(body(well_formed()), "307 Temporary Redirect", "Location: /"), InvalidResponseError),
    "opa 1.19": (replying(body(well_formed(), "1.19.1")), UnsupportedOpaVersionError),
    "hangs up": (lambda exchange: exchange.close(), EngineUnreachableError),
}


@pytest.mark.parametrize(("answer", "error"), FAULTS.values(), ids=FAULTS)
@async_test
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


@async_test
async def test_what_was_decided_before_a_fault_is_kept() -> None:
    matched = {"allow": True, "reason": "matched"}

    def answer(exchange: Exchange) -> None:
        if exchange.number == 0:
            exchange.reply(body(well_formed(decisions=[matched] * 1_000)))
        else:
            exchange.reply(b"", "503 Service Unavailable")

    with FaultServer(answer) as server:
        async with AsyncPolicyBridge(AsyncOpaEngine(server.url)) as bridge:
            with pytest.raises(PartialResultError) as caught:
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
@async_test
async def test_deadline(answer, per_call) -> None:
    async with serving(answer, deadline=60.0 if per_call else SECONDS) as (_, client):
        with ends_by_deadline(SECONDS):
            await client.query(("x",), INPUT, deadline=SECONDS if per_call else None)


@async_test
async def test_deadline_of_a_server_that_reads_nothing() -> None:
    async with serving(None, deadline=SECONDS) as (_, client):
        with ends_by_deadline(SECONDS):
            await client.query(("x",), b" " * 16_000_000)


@async_test
async def test_deadline_of_a_server_that_does_not_shake_hands() -> None:
    with FaultServer(None) as server:
        async with AsyncOpaClient(server.url.replace("http", "https"), deadline=SECONDS) as client:
            with ends_by_deadline(SECONDS):
                await client.query(("x",), INPUT)


def test_a_bridge_that_waits_needs_no_aiohttp() -> None:
    code = "import sys, bridge, bridge.cli.app; sys.exit('aiohttp' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
