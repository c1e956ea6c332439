"""An answer belongs to its question: what nobody asked for, and what comes late, is believed by nobody."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jwt
import pytest
from both_bridges import BOTH
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fault_server import Exchange, FaultServer

from bridge import OpaEngine, PolicyBridge, RuleSet, RulesMismatchError, TokenChecks, TokenVerifier, WasmEngine
from bridge.errors import InvalidResponseError
from bridge.rendering import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.opa.process import ManagedOpa

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
RULES = RuleSet(package_root="nonces", data_root="nonces_data")
TOKEN_RULES = RuleSet(package_root="nonces_token", data_root="nonces_token_data", token=TokenChecks(PEM.decode()))
MINE = {"policy": {"version": 2, "devices": {"custom_data": {"user": "u1"}}}}
NOT_MINE = {"policy": {"version": 2, "devices": {"custom_data": {"user": "u2"}}}}
DEVICE = {"id": "d1", "custom_data": {"user": "u1"}}


@pytest.fixture(scope="module")
def opa(start_opa: Callable[..., ManagedOpa]) -> str:
    url = start_opa().url
    for rules in (RULES, TOKEN_RULES):
        with PolicyBridge(OpaEngine(url, rules)) as bridge:
            bridge.install()
            bridge.push("devices", [DEVICE, {"id": "d2", "custom_data": {"user": "u3"}}])
    return url


class Smuggler:
    """Hands requests on to an OPA, and, when it is told to, answers the next query by an answer to an earlier one.

    The client has sent the request by then, and the true answer follows: nothing on the connection looks amiss.
    """

    def __init__(self, url: str) -> None:
        self.opa = urlsplit(url)
        self.on_response: Callable[[dict[str, Any], str], object] | None = None
        self.earlier: bytes = b""

    def answer(self, exchange: Exchange) -> None:
        if exchange.line.startswith("POST") and self.on_response is not None:
            answer = json.loads(self.earlier)
            self.on_response(answer["result"], exchange.nonce)
            self.on_response = None
            exchange.reply(json.dumps(answer).encode())
        exchange.reply(*self.true(exchange))

    def true(self, exchange: Exchange) -> tuple[bytes, str]:
        method, target, _ = exchange.line.split(" ")
        onward = http.client.HTTPConnection(self.opa.hostname or "", self.opa.port)
        onward.request(method, target, exchange.body, {"Content-Type": "application/json"})
        reply = onward.getresponse()
        body = reply.read()
        onward.close()
        if method == "POST":
            self.earlier = body
        return body, f"{reply.status} {reply.reason}"


def _leave(result: dict[str, Any], nonce: str) -> None:
    assert result["nonce"] != nonce


def _set(value: Callable[[str], object]) -> Callable[[dict[str, Any], str], None]:
    return lambda result, nonce: result.update(nonce=value(nonce))


SMUGGLED = {
    "an earlier answer": _leave,
    "no nonce": lambda result, nonce: result.pop("nonce") if nonce else None,
    "null": _set(lambda _: None),
    "in an object": _set(lambda nonce: {nonce[:4]: nonce[4:]}),
    "empty": _set(lambda _: ""),
    "true": _set(lambda _: True),
    "half of it": _set(lambda nonce: nonce[:16]),
    "more than it": _set(lambda nonce: nonce + "0"),
    "in capitals": _set(lambda nonce: nonce.upper() + "A"),
}

WITH_THE_NONCE = {
    "in an array": _set(lambda nonce: [nonce]),
    "in another member": lambda result, nonce: result.update(nonce=None, other=nonce),
    "beside another member": lambda result, nonce: result.update(nonce=nonce, other=nonce),
}
"""Who knows the nonce can write any answer; these are refused for their form."""

CALLS = {
    "check": (
        lambda bridge: bridge.check(MINE, "devices", DEVICE).allow,
        lambda bridge: bridge.check(NOT_MINE, "devices", DEVICE).allow,
    ),
    "by id": (
        lambda bridge: bridge.check(MINE, "devices", "d1").allow,
        lambda bridge: bridge.check(NOT_MINE, "devices", "d1").allow,
    ),
    "check_many": (
        lambda bridge: any(bridge.check_many(MINE, "devices", [DEVICE, DEVICE])),
        lambda bridge: any(bridge.check_many(NOT_MINE, "devices", [DEVICE, DEVICE])),
    ),
    "explain": (
        lambda bridge: bridge.explain(MINE, "devices", "d1").decision.allow,
        lambda bridge: bridge.explain(NOT_MINE, "devices", "d1").decision.allow,
    ),
    "list": (
        lambda bridge: bool(bridge.list_allowed(MINE, "devices").ids),
        lambda bridge: bool(bridge.list_allowed(NOT_MINE, "devices").ids),
    ),
}


@pytest.mark.parametrize("smuggled", SMUGGLED.values(), ids=SMUGGLED)
@pytest.mark.parametrize("calls", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("kind", BOTH)
def test_an_answer_that_nobody_asked_for_is_refused(opa, kind, calls, smuggled) -> None:
    smuggler = Smuggler(opa)
    allowed, denied = calls
    with FaultServer(smuggler.answer) as server, BOTH[kind](server.url, RULES) as bridge:
        assert allowed(bridge)
        assert server.connections == 1
        smuggler.on_response = smuggled
        with pytest.raises(InvalidResponseError, match="belongs to another question"):
            denied(bridge)
        # The connection is one answer behind, and is not used again.
        assert not denied(bridge)
        assert server.connections == 2


@pytest.mark.parametrize("smuggled", WITH_THE_NONCE.values(), ids=WITH_THE_NONCE)
@pytest.mark.parametrize("kind", BOTH)
def test_a_nonce_in_another_place_is_none(opa, kind, smuggled) -> None:
    for allowed, denied in CALLS.values():
        smuggler = Smuggler(opa)
        with FaultServer(smuggler.answer) as server, BOTH[kind](server.url, RULES) as bridge:
            assert allowed(bridge)
            smuggler.on_response = smuggled
            with pytest.raises(InvalidResponseError, match=r"another question|members that the rules do not give"):
                denied(bridge)


@pytest.mark.parametrize("kind", BOTH)
def test_nothing_but_the_nonce_tells_the_two_apart(opa, kind) -> None:
    """The answers above are well-formed otherwise: with the right nonce they would be believed."""
    for allowed, denied in CALLS.values():
        smuggler = Smuggler(opa)
        with FaultServer(smuggler.answer) as server, BOTH[kind](server.url, RULES) as bridge:
            assert allowed(bridge)
            smuggler.on_response = _set(lambda nonce: nonce)
            assert denied(bridge)


@pytest.mark.parametrize("smuggled", [SMUGGLED["an earlier answer"], SMUGGLED["no nonce"]])
@pytest.mark.parametrize("kind", BOTH)
def test_a_change_is_not_worked_out_from_a_view_that_nobody_asked_for(opa, kind, smuggled) -> None:
    smuggler = Smuggler(opa)
    with FaultServer(smuggler.answer) as server, BOTH[kind](server.url, RULES) as bridge:
        before = bridge.upsert("devices", [{"id": "d2", "custom_data": {"user": "u3", "at": time.time_ns()}}])
        smuggler.on_response = smuggled
        with pytest.raises(InvalidResponseError, match="belongs to another question"):
            bridge.delete("devices", ["d2"])
        assert bridge.check({}, "devices", "d2").revision == before.revision


@pytest.mark.parametrize("smuggled", [SMUGGLED["an earlier answer"], SMUGGLED["no nonce"]])
@pytest.mark.parametrize("kind", BOTH)
def test_rules_that_verify_tokens_echo_it_too(opa, kind, smuggled) -> None:
    """A token goes raw; claims go in the form that the bridge alone uses."""
    tokens = [
        jwt.encode({**claims, "exp": int(time.time()) + 1_000}, KEY, algorithm="RS256") for claims in (MINE, NOT_MINE)
    ]
    smuggler = Smuggler(opa)
    verifier = TokenVerifier(KEY.public_key())
    with FaultServer(smuggler.answer) as server, BOTH[kind](server.url, TOKEN_RULES, verifier=verifier) as bridge:
        for mine, not_mine in (tokens, (MINE, NOT_MINE)):
            assert bridge.check(mine, "devices", DEVICE).allow
            assert not bridge.check(not_mine, "devices", DEVICE).allow
            assert bridge.check(mine, "devices", DEVICE).allow
            smuggler.on_response = smuggled
            with pytest.raises(InvalidResponseError, match="belongs to another question"):
                bridge.check(not_mine, "devices", DEVICE)


@pytest.mark.parametrize("kind", BOTH)
def test_each_attempt_has_a_nonce_of_its_own(opa, kind) -> None:
    """The answer to an attempt that was given up may still come, and must not be taken for that to the next one."""
    smuggler = Smuggler(opa)
    is_late = True

    def answer(exchange: Exchange) -> None:
        if exchange.number in (0, 2):
            exchange.close()
            return
        [*_, first, second] = server.exchanges
        exchange.reply(*smuggler.true(first if is_late else second))

    with FaultServer(answer) as server, BOTH[kind](server.url, RULES) as bridge:
        with pytest.raises(InvalidResponseError, match="belongs to another question"):
            bridge.check(MINE, "devices", DEVICE)
        is_late = False
        assert bridge.check(MINE, "devices", DEVICE).allow
        nonces = [exchange.nonce for exchange in server.exchanges]
        assert len(set(nonces)) == len(nonces) == 4
        assert all(len(bytes.fromhex(nonce)) == 16 for nonce in nonces)
        bodies = {exchange.body.replace(exchange.nonce.encode(), b"") for exchange in server.exchanges}
        assert len(bodies) == 1


@pytest.mark.parametrize("kind", BOTH)
def test_rules_that_know_no_nonce_are_told_to_be_other_rules(kind) -> None:
    """Those of an older release, whose remedy is to install: not a gateway that mixes answers up."""
    older = {"fingerprint": "0" * 64, "current": {}, "decisions": [{"allow": True, "reason": "matched"}]}
    body = json.dumps({"result": older, "provenance": {"version": "1.20.2"}}).encode()
    with FaultServer(lambda exchange: exchange.reply(body)) as server, BOTH[kind](server.url) as bridge:
        for call in (
            lambda: bridge.check(MINE, "devices", DEVICE),
            lambda: bridge.explain(MINE, "devices", "d1"),
            lambda: bridge.list_allowed(MINE, "devices"),
            lambda: bridge.upsert("devices", [DEVICE]),
        ):
            with pytest.raises(RulesMismatchError):
                call()


def test_who_asks_without_a_nonce_is_answered_as_before(opa) -> None:
    question = json.dumps({"claims": MINE, "type": "sessions", "resource": DEVICE}).encode()
    wanted = (
        b'"decisions":[{"allow":false,"reason":"type_not_granted"}],"fingerprint":"%s"' % fingerprint(RULES).encode()
    )
    where = urlsplit(opa)

    def reply_to(input_: bytes) -> bytes:
        connection = http.client.HTTPConnection(where.hostname or "", where.port)
        with contextlib.closing(connection):
            connection.request("POST", "/v1/data/nonces/answer", b'{"input":' + input_ + b"}")
            return connection.getresponse().read().strip()

    plain = reply_to(question)
    assert plain.startswith(b'{"result":{"current":{')
    assert plain.endswith(wanted + b"}}")
    for nonce in (b'"a"', b"null", b"false", b"0", b"[]", b'{"a":[1]}', b"1.50"):
        assert reply_to(question[:-1] + b',"nonce":' + nonce + b"}") == plain[:-2] + b',"nonce":' + nonce + b"}}"


def test_the_engine_in_this_process_sends_none_and_its_rules_echo_one() -> None:
    engine = WasmEngine()
    sent_texts = []
    reply = engine._pool.reply
    engine._pool.reply = lambda name, text, *rest: (sent_texts.append(text), reply(name, text, *rest))[1]
    bridge = PolicyBridge(engine)
    bridge.push("devices", [DEVICE])
    assert bridge.check(MINE, "devices", DEVICE).allow
    assert any(bridge.check_many(MINE, "devices", [DEVICE, "d1"]))
    assert bridge.list_allowed(MINE, "devices").ids == ("d1",)
    assert len(sent_texts) >= 4
    assert not any(b"nonce" in text for text in sent_texts)
    assert engine.query("answer", b'{"nonce":"a"}') == engine.query("answer", b"{}") | {"nonce": "a"}
    bridge.close()
