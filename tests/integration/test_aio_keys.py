"""Keys for a bridge that awaits, from a key server that answers only when the test lets it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest
from clocks import Clock
from cryptography.hazmat.primitives.asymmetric import rsa
from fault_server import NONCE, FaultServer, replying

from bridge import (
    ExpiredTokenError,
    JwkSet,
    JwksFile,
    JwksUrl,
    KeysUnavailableError,
    RuleSet,
    StaticKey,
    TokenVerifier,
    UsageError,
)
from bridge.aio import AsyncOpaEngine, AsyncPolicyBridge
from bridge.aio.async_keys import DaemonThreads
from bridge.errors import InvalidSignatureError, MalformedTokenError, UnknownKeyError
from bridge.rendering import fingerprint
from bridge.tokens.jwks_url import Fetcher

LONG = 60  # seconds: a net under a test that is broken
MADE_UP = 60
CLAIMS = {"exp": int(time.time()) + 24 * 3600, "policy": {"version": 2, "devices": {"id": "d1"}}}
NOBODY = "http://127.0.0.1:9"
OURS = "jwt-bridge-keys"


@functools.cache
def private(name):
    del name
    return rsa.generate_private_key(65537, 2048)


def jwk(kid):
    return {**jwt.algorithms.RSAAlgorithm.to_jwk(private(kid).public_key(), as_dict=True), "kid": kid, "key_ops": None}


def document(*kids):
    keys = [{name: value for name, value in jwk(kid).items() if value is not None} for kid in kids]
    return json.dumps({"keys": keys})


def made(kid, *, key=None, **claims):
    def b64(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    message = b64(json.dumps({"alg": "RS256", "kid": kid}).encode()) + "." + b64(json.dumps(CLAIMS | claims).encode())
    signer = jwt.algorithms.get_default_algorithms()["RS256"]
    return f"{message}.{b64(signer.sign(message.encode(), private(key or kid)))}"


class GatedServer:
    """A key server that keeps each request until the test says what to answer."""

    def __init__(self):
        self.requested = threading.Semaphore(0)
        self.count = 0
        self._answers = []
        self._answer_allowed = threading.Semaphore(0)
        self._ended = False
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                owner.count += 1
                owner.requested.release()
                assert owner._answer_allowed.acquire(timeout=LONG)
                if owner._ended:
                    return
                status, body = owner._answers.pop(0)
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/keys.json"

    def tell(self, body, status=200):
        """Answer the next request, one that waits or one that is to come."""
        self._answers.append((status, body))
        self._answer_allowed.release()

    async def await_request(self):
        assert await asyncio.to_thread(self.requested.acquire, timeout=LONG)

    def stop(self):
        self._ended = True
        self._answer_allowed.release(1_000)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server():
    server = GatedServer()
    yield server
    server.stop()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def allowing():
    """An OPA that allows whatever it is asked: these tests are about tokens, which it does not see."""
    answer = {"fingerprint": fingerprint(RuleSet()), "nonce": NONCE, "current": {}}
    answer["decisions"] = [{"allow": True, "reason": "matched"}]
    body = json.dumps({"result": answer, "provenance": {"version": "1.22.4"}})
    with FaultServer(replying(body.encode())) as server:
        yield server.url


def bridge_of(server, clock, url=NOBODY):
    source = JwksUrl(server.url, deadline=LONG, lifetime=10 * LONG, interval=30, clock=clock)
    return AsyncPolicyBridge(AsyncOpaEngine(url), verifier=TokenVerifier(source))


def async_test(test):
    """Run a test's coroutine; nothing that it began may be left behind."""

    @functools.wraps(test)
    def run(*args, **settings):
        async def alone():
            await asyncio.wait_for(test(*args, **settings), 2 * LONG)
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(alone())

    return run


def begun(*tokens, bridge):
    return [asyncio.ensure_future(bridge.verify(token)) for token in tokens]


async def outcomes(tasks):
    return [type(outcome) for outcome in await asyncio.gather(*tasks, return_exceptions=True)]


def ours_but(before):
    """The threads that look for keys and were not there before; one of an earlier test may still be ending."""
    return [thread for thread in threading.enumerate() if thread.name == OURS and thread not in before]


async def turned():
    """Let every task run until it waits for something outside of the event loop."""
    for _ in range(20):
        await asyncio.sleep(0)


@async_test
async def test_a_flood_of_made_up_kids_and_a_server_that_does_not_answer_hold_up_no_known_key(server, clock, allowing):
    before = threading.enumerate()
    async with bridge_of(server, clock, allowing) as bridge:
        server.tell(document("a"))
        known = made("a")
        await bridge.verify(known)
        await server.await_request()
        clock.now += 30

        flood = begun(*[made(f"made-up-{number}", key="b") for number in range(MADE_UP)], bridge=bridge)
        await server.await_request()
        await turned()
        # The server keeps the fetch, and nothing ends until the test lets it.
        assert (await bridge.check(known, "devices", {"id": "d1"})).allow is True
        assert (await bridge.verify(made("a", sub="never seen")))["sub"] == "never seen"
        with pytest.raises(InvalidSignatureError):
            await bridge.verify(made("a", key="b"))
        assert not any(task.done() for task in flood)
        assert len(ours_but(before)) == 1
        assert server.count == 2

        server.tell(document("a"))
        assert await outcomes(flood) == [UnknownKeyError] * MADE_UP
        assert server.count == 2


@async_test
async def test_known_keys_are_used_in_the_event_loop(server, clock, monkeypatch, tmp_path):
    del tmp_path
    async with bridge_of(server, clock) as bridge:
        server.tell(document("a"))
        await bridge.verify(made("a"))
        monkeypatch.setattr(DaemonThreads, "run", None)
        await bridge.verify(made("a"))
        await bridge.verify(made("a", sub="never seen"))
        with pytest.raises(UnknownKeyError):
            await bridge.verify(made("made-up", key="b"))  # too early to fetch again
        with pytest.raises(MalformedTokenError):
            await bridge.verify("not.a.token")
    for source in (StaticKey.from_public_key(private("a").public_key()), JwkSet(document("a"))):
        async with AsyncPolicyBridge(AsyncOpaEngine(NOBODY), verifier=TokenVerifier(source)) as bridge:
            await bridge.verify(made("a"))


@async_test
async def test_a_fetch_does_not_need_the_default_executor(server, clock):
    gate = threading.Event()
    loop = asyncio.get_running_loop()
    filled = [loop.run_in_executor(None, gate.wait, LONG) for _ in range(100)]
    try:
        async with bridge_of(server, clock) as bridge:
            server.tell(document("a"))
            await bridge.verify(made("a"))
    finally:
        gate.set()
        await asyncio.gather(*filled)


@async_test
async def test_tasks_that_want_different_keys_share_one_fetch(server, clock):
    async with bridge_of(server, clock) as bridge:
        tasks = begun(made("a"), made("b"), made("c"), made("b"), bridge=bridge)
        await server.await_request()
        await turned()
        server.tell(document("a", "b"))
        assert await outcomes(tasks) == [dict, dict, UnknownKeyError, dict]
        assert server.count == 1


@async_test
async def test_a_fetch_that_fails_is_the_answer_for_all_who_waited(server, clock):
    async with bridge_of(server, clock) as bridge:
        tasks = begun(made("a"), made("b"), made("a"), bridge=bridge)
        await server.await_request()
        await turned()
        server.tell("", status=503)
        assert await outcomes(tasks) == [KeysUnavailableError] * 3
        assert server.count == 1


@async_test
async def test_a_task_that_is_cancelled_takes_the_fetch_from_no_other(server, clock):
    async with bridge_of(server, clock) as bridge:
        first, second, third = begun(made("a"), made("a"), made("b"), bridge=bridge)
        await server.await_request()
        await turned()
        first.cancel()
        third.cancel()
        await turned()
        server.tell(document("a"))
        assert await outcomes([first, second, third]) == [asyncio.CancelledError, dict, asyncio.CancelledError]
        assert server.count == 1


@async_test
async def test_where_all_who_waited_are_cancelled_a_failing_fetch_disturbs_nobody(server, clock):
    loop = asyncio.get_running_loop()
    complaints = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    async with bridge_of(server, clock) as bridge:
        tasks = begun(made("a"), made("b"), bridge=bridge)
        await server.await_request()
        await turned()
        for task in tasks:
            task.cancel()
        await outcomes(tasks)
        [fetching] = bridge._keys._fetches.values()
        server.tell("", status=503)
        await asyncio.wait([fetching])
        await turned()
        assert not bridge._keys._fetches
        with pytest.raises(KeysUnavailableError, match="503"):
            await bridge.verify(made("a"))
    assert not complaints


@async_test
async def test_a_key_that_comes_by_rotation_is_fetched_while_known_ones_are_used(server, clock):
    async with bridge_of(server, clock) as bridge:
        server.tell(document("a"))
        await bridge.verify(made("a"))
        await server.await_request()
        clock.now += 30
        [rotated] = begun(made("b"), bridge=bridge)
        await server.await_request()
        await bridge.verify(made("a"))
        server.tell(document("b"))
        await rotated
        with pytest.raises(UnknownKeyError):
            await bridge.verify(made("a"))


@async_test
async def test_expired_keys_are_not_used_while_new_ones_are_fetched(server, clock):
    async with bridge_of(server, clock) as bridge:
        server.tell(document("a"))
        await bridge.verify(made("a"))
        await server.await_request()
        clock.now += 10 * LONG
        [task] = begun(made("a"), bridge=bridge)
        await server.await_request()
        await turned()
        assert not task.done()
        server.tell(document("b"))
        assert await outcomes([task]) == [UnknownKeyError]


# --- what runs in a thread


class Own:
    """A source of the application's own."""

    def __init__(self):
        self.key = StaticKey.from_public_key(private("a").public_key()).key

    def check(self, algorithms):
        pass

    def key_for(self, kid):
        del kid
        threads.append(threading.current_thread().name)
        return self.key


class OwnVerifier(TokenVerifier):
    def verify(self, token):
        threads.append(threading.current_thread().name)
        return super().verify(token)


class OwnUrl(JwksUrl):
    def key_for(self, kid):
        threads.append(threading.current_thread().name)
        return StaticKey.from_public_key(private(kid).public_key()).key


threads = []


@async_test
async def test_what_is_the_applications_own_runs_in_a_thread_of_the_bridge(allowing):
    static = StaticKey.from_public_key(private("a").public_key())
    for verifier in (TokenVerifier(Own()), OwnVerifier(static), TokenVerifier(OwnUrl("https://localhost/"))):
        threads.clear()
        async with AsyncPolicyBridge(AsyncOpaEngine(allowing), verifier=verifier) as bridge:
            assert await bridge.verify(made("a")) == CLAIMS
            assert (await bridge.check(made("a"), "devices", {"id": "d1"})).allow is True
        assert threads == [OURS, OURS]


class Demanding(TokenVerifier):
    def verify(self, token):
        raise ExpiredTokenError(token)


@async_test
async def test_what_a_verifier_of_the_applications_own_demands_is_demanded(allowing):
    verifier = Demanding(StaticKey.from_public_key(private("a").public_key()))
    async with AsyncPolicyBridge(AsyncOpaEngine(allowing), verifier=verifier) as bridge:
        with pytest.raises(ExpiredTokenError):
            await bridge.verify(made("a"))
        with pytest.raises(ExpiredTokenError):
            await bridge.check(made("a"), "devices", {"id": "d1"})


@async_test
async def test_sixteen_threads_at_most_wait_for_others(monkeypatch):
    before = threading.enumerate()
    opened = threading.Event()
    key_for = Own.key_for
    monkeypatch.setattr(Own, "key_for", lambda self, kid: (opened.wait(LONG), key_for(self, kid))[1])
    async with AsyncPolicyBridge(AsyncOpaEngine(NOBODY), verifier=TokenVerifier(Own())) as bridge:
        tasks = begun(*[made("a")] * 20, bridge=bridge)
        await turned()
        running = len(ours_but(before))
        opened.set()
        assert await outcomes(tasks) == [dict] * 20
    assert running == 16


@async_test
async def test_a_key_file_is_looked_at_in_a_thread_for_each_token(tmp_path, monkeypatch):
    path = tmp_path / "keys.json"
    path.write_text(document("a"))
    looked = []
    original = JwksFile.key_for
    monkeypatch.setattr(
        JwksFile, "key_for", lambda self, kid: (looked.append(threading.current_thread().name), original(self, kid))[1]
    )
    async with AsyncPolicyBridge(AsyncOpaEngine(NOBODY), verifier=TokenVerifier(JwksFile(path))) as bridge:
        await bridge.verify(made("a"))
        await bridge.verify(made("a"))
        path.write_text(document("b") + " ")
        with pytest.raises(UnknownKeyError):
            await bridge.verify(made("a"))
    assert looked == [OURS] * 3


# --- the end


@async_test
async def test_a_closed_bridge_finds_no_keys(server, clock):
    bridge = bridge_of(server, clock)
    tasks = begun(made("a"), bridge=bridge)
    await server.await_request()
    await bridge.close()
    server.tell(document("a"))
    assert await outcomes(tasks) == [dict]  # what had begun ended as usual
    clock.now += 30
    with pytest.raises(UsageError, match="this bridge is closed"):
        await bridge.verify(made("b"))


def test_a_source_that_hangs_holds_up_neither_the_loop_nor_the_end_of_the_process():
    program = """
import asyncio, threading
from bridge import TokenVerifier
from bridge.aio import AsyncOpaEngine, AsyncPolicyBridge

hangs = threading.Event()

class Hanging:
    def check(self, algorithms):
        pass
    def key_for(self, kid):
        hangs.set()
        threading.Event().wait()

async def main(token):
    bridge = AsyncPolicyBridge(AsyncOpaEngine("http://127.0.0.1:9"), verifier=TokenVerifier(Hanging()))
    task = asyncio.ensure_future(bridge.verify(token))
    await asyncio.to_thread(hangs.wait)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await bridge.close()

import sys
asyncio.run(main(sys.argv[1]))
print("ended")
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, made("a")], capture_output=True, text=True, timeout=LONG, check=False
    )
    assert (ended.stdout, ended.stderr) == ("ended\n", "")


# --- the bridge that waits


def test_a_verifier_that_waits_for_an_unknown_kid_holds_up_no_thread_whose_key_is_known(server, clock):
    verifier = TokenVerifier(JwksUrl(server.url, deadline=LONG, lifetime=10 * LONG, interval=30, clock=clock))
    server.tell(document("a"))
    verifier.verify(made("a"))
    assert server.requested.acquire(timeout=LONG)
    clock.now += 30
    ends = []

    def ask(kid):
        try:
            verifier.verify(made(kid, key="b"))
        except UnknownKeyError as error:
            ends.append(error)

    asking = [threading.Thread(target=ask, args=(f"made-up-{number}",), daemon=True) for number in range(10)]
    for thread in asking:
        thread.start()
    assert server.requested.acquire(timeout=LONG)
    verifier.verify(made("a"))
    verifier.verify(made("a", sub="never seen"))
    assert verifier.source.known_key("a") is verifier.source.key_for("a")
    assert verifier.source.known_key("made-up") is None
    assert not ends
    server.tell(document("a"))
    for thread in asking:
        thread.join(LONG)
    assert len(ends) == 10
    assert server.count == 2


def test_known_keys_need_no_fetch(server, clock, monkeypatch):
    source = JwksUrl(server.url, lifetime=300, interval=30, clock=clock)
    assert source.known_key("a") is None
    with pytest.raises(UnknownKeyError, match="no `kid`"):
        source.known_key(None)
    server.tell("", status=503)
    with pytest.raises(KeysUnavailableError, match="503"):
        source.key_for("a")
    monkeypatch.setattr(Fetcher, "get", None)
    with pytest.raises(KeysUnavailableError, match="503"):
        source.known_key("a")
    clock.now += 30
    assert source.known_key("a") is None
