"""The bridge over an OPA that fails: raised or denied, never allowed."""

from __future__ import annotations

import json
import os
import signal
import threading

import pytest
from cli_process import between
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fault_server import NONCE, FaultServer, ends_by_deadline
from rule_files import write_rules

from bridge import (
    ConfigurationError,
    EngineError,
    EngineTimeoutError,
    EngineUnreachableError,
    OpaClient,
    OpaEngine,
    PolicyBridge,
    PolicySettings,
    Reason,
    RuleSet,
    RulesMismatchError,
    RulesNotInstalledError,
    TokenChecks,
)
from bridge.errors import ForeignContentError, InvalidResponseError, OpaStatusError, UnsupportedOpaVersionError
from bridge.rendering import fingerprint, render
from bridge.store import layout
from bridge.strict_json import encode

DEVICE = {"id": "d1", "custom_data": {"user": "u1"}}
GRANTED = {"policy": {"version": 2, "devices": {"id": "d1"}}}
MATCHED = {"allow": True, "reason": "matched"}


def well_formed(**others):
    return {"fingerprint": fingerprint(RuleSet()), "nonce": NONCE, "current": {}, "decisions": [MATCHED]} | others


def body(result=..., version="1.20.2"):
    members = {} if result is ... else {"result": result}
    return json.dumps(members | {"provenance": {"version": version}}).encode()


def replying(data, status="200 OK"):
    return lambda exchange: exchange.reply(data, status)


FAULTS = {
    "no json": (replying(b"<html>allowed</html>"), InvalidResponseError),
    "half of it": (replying(body(well_formed())[:-9]), InvalidResponseError),
    "without result": (replying(body()), RulesNotInstalledError),
    "result null": (replying(body(None)), InvalidResponseError),
    "result true": (replying(body([True])), InvalidResponseError),
    'result "true"': (replying(body("true")), InvalidResponseError),
    'allow "true"': (
        replying(body(well_formed(decisions=[{"allow": "true", "reason": "matched"}]))),
        InvalidResponseError,
    ),
    "a deny that allows": (
        replying(body(well_formed(decisions=[{"allow": True, "reason": "unknown_type"}]))),
        InvalidResponseError,
    ),
    "two decisions": (replying(body(well_formed(decisions=[MATCHED, MATCHED]))), InvalidResponseError),
    "no decision": (replying(body(well_formed(decisions=[]))), InvalidResponseError),
    "other rules": (replying(body(well_formed(fingerprint="0" * 64))), RulesMismatchError),
    "duplicate members": (replying(b'{"result":null,' + body(well_formed())[1:]), InvalidResponseError),
    "401": (replying(b'{"code":"unauthorized","message":"request rejected"}', "401 Unauthorized"), OpaStatusError),
    "500": (replying(b'{"code":"internal_error","message":"oh"}', "500 Internal Server Error"), OpaStatusError),
    "500 with an allow": (replying(body(well_formed()), "500 Internal Server Error"), OpaStatusError),
    "opa 1.19": (replying(body(well_formed(), "1.19.1")), UnsupportedOpaVersionError),
    "opa 1.20.0": (replying(body(well_formed(), "1.20.0")), UnsupportedOpaVersionError),
    "no version": (replying(json.dumps({"result": well_formed()}).encode()), InvalidResponseError),
    "hangs up": (lambda exchange: exchange.close(), EngineUnreachableError),
}


@pytest.mark.parametrize(("answer", "error"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_answer_never_allows(answer, error):
    with FaultServer(answer) as server:
        with PolicyBridge(OpaEngine(server.url)) as raising, pytest.raises(error) as fault:
            raising.check(GRANTED, "devices", DEVICE)
        assert isinstance(fault.value, EngineError)
        with PolicyBridge(OpaEngine(server.url), on_error="deny") as denying:
            decision = denying.check(GRANTED, "devices", DEVICE)
            many = denying.check_many(GRANTED, "devices", [DEVICE, DEVICE, DEVICE])
            explained = denying.explain(GRANTED, "devices", DEVICE)
    assert (decision.allow, decision.reason, decision.engine) == (False, Reason.ENGINE_UNAVAILABLE, "opa")
    assert decision.error
    assert [one.allow for one in many] == ([False] * 3)
    assert explained.decision.allow is False


def test_the_same_answer_without_a_fault_allows():
    """What the faults above are made of is well-formed, so that each fails for its own fault."""
    with FaultServer(replying(body(well_formed()))) as server, PolicyBridge(OpaEngine(server.url)) as bridge:
        assert bridge.check(GRANTED, "devices", DEVICE)


@pytest.mark.parametrize("deadline", [0.4, 1.0])
def test_a_check_ends_by_the_deadline_of_its_client(deadline):
    with FaultServer(lambda exchange: exchange.over.wait()) as server:
        client = OpaClient(server.url, deadline=deadline)
        with PolicyBridge(OpaEngine(client)) as bridge, ends_by_deadline(deadline):
            bridge.check(GRANTED, "devices", DEVICE)


def test_a_wrong_port():
    with FaultServer(None) as server:
        url = server.url
    with PolicyBridge(OpaEngine(url)) as bridge, pytest.raises(EngineUnreachableError, match="refused"):
        bridge.check(GRANTED, "devices", DEVICE)


def test_an_opa_without_the_rules_and_then_with_them(start_opa):
    with PolicyBridge(OpaEngine(start_opa().url)) as bridge:
        with pytest.raises(RulesNotInstalledError, match="jwt-bridge install"):
            bridge.check(GRANTED, "devices", DEVICE)
        bridge.install()
        assert bridge.check(GRANTED, "devices", DEVICE).reason == "matched"
        bridge.engine.uninstall()
        with pytest.raises(RulesNotInstalledError):
            bridge.check(GRANTED, "devices", DEVICE)


def test_rules_of_other_settings_refuse_to_decide(start_opa):
    url = start_opa().url
    with PolicyBridge(OpaEngine(url)) as bridge:
        bridge.install()
    strict = RuleSet(policy=PolicySettings(require_policy=True))
    with PolicyBridge(OpaEngine(url, strict)) as bridge:
        with pytest.raises(RulesMismatchError):
            bridge.check({}, "devices", DEVICE)
        bridge.install()
        assert bridge.check({}, "devices", DEVICE).reason == "policy_required"
    with PolicyBridge(OpaEngine(url)) as bridge, pytest.raises(RulesMismatchError):
        bridge.check({}, "devices", DEVICE)


def test_rules_that_were_tampered_with_and_are_half_gone_do_not_decide(start_opa):
    with PolicyBridge(OpaEngine(start_opa().url)) as bridge:
        bridge.install()
        main = render(RuleSet())[-1]
        bridge.engine.opa.put_policy(main.path, main.text.replace('"reason": "matched"', '"reason": "because"'))
        with pytest.raises(InvalidResponseError):
            bridge.check(GRANTED, "devices", DEVICE)
        bridge.engine.opa.delete_policy(main.path)
        with pytest.raises(RulesNotInstalledError):
            bridge.check(GRANTED, "devices", DEVICE)


def test_a_module_that_opa_refuses_is_told_with_its_place(start_opa):
    opa = start_opa()
    with PolicyBridge(OpaEngine(opa.url)) as bridge:
        bridge.engine.opa.put_data(("jwt_policy",), b'{"grant":{"for_claims":1}}')
        with pytest.raises(OpaStatusError, match=r"jwt_policy/grant.*nothing of the rules is left there") as refused:
            bridge.install()
        assert refused.value.status == 400
        assert bridge.engine.opa.list_policies() == ()


def test_an_opa_that_is_killed_and_comes_back(start_opa):
    opa = start_opa()
    with PolicyBridge(OpaEngine(opa.url)) as bridge:
        bridge.install()
        assert bridge.check(GRANTED, "devices", DEVICE)
        opa.kill()
        with pytest.raises(EngineUnreachableError):
            bridge.check(GRANTED, "devices", DEVICE)
        start_opa(port=int(opa.url.rsplit(":", 1)[1]))
        with pytest.raises(RulesNotInstalledError):
            bridge.check(GRANTED, "devices", DEVICE)
        bridge.install()
        assert bridge.check(GRANTED, "devices", DEVICE)


def test_an_opa_that_stands_still_in_mid_answer(start_opa, request):
    opa = start_opa()
    with PolicyBridge(OpaEngine(OpaClient(opa.url, deadline=60))) as bridge:
        bridge.install()
        assert bridge.check(GRANTED, "devices", DEVICE)
    with PolicyBridge(OpaEngine(OpaClient(opa.url, deadline=2)), on_error="deny") as bridge:
        os.kill(opa.pid, signal.SIGSTOP)
        request.addfinalizer(lambda: os.kill(opa.pid, signal.SIGCONT))
        os.waitid(os.P_PID, opa.pid, os.WSTOPPED | os.WNOWAIT)  # a signal takes its time to reach every thread
        assert bridge.check(GRANTED, "devices", DEVICE).reason == "engine_unavailable"


def test_the_largest_claims_and_resource_are_decided(opa_url):
    rule_set = RuleSet(package_root="test_largest", data_root="test_largest_data")
    claims = {"policy": {"version": 2, "devices": {"custom_data": {"a": "x" * 65_000}}}}
    resource = {"id": "d1", "custom_data": {"a": "x" * 65_000, "b": ["\U00020000" * 200] * 1_200}}
    with PolicyBridge(OpaEngine(OpaClient(opa_url, deadline=60), rule_set)) as bridge:
        bridge.install()
        try:
            assert bridge.check(claims, "devices", resource)
            assert [one.allow for one in bridge.check_many(claims, "devices", [resource] * 40)] == [True] * 40
            resource["custom_data"]["a"] = "x" * 64_999 + "y"
            assert not bridge.check(claims, "devices", resource)
        finally:
            bridge.engine.uninstall()


def test_decisions_carry_the_decision_id_and_the_revisions(start_opa, tmp_path):
    log = start_opa(arguments=["--set=decision_logs.console=true"])
    with PolicyBridge(OpaEngine(log.url)) as bridge:
        bridge.install()
        report = bridge.push("devices", [DEVICE])
        decision = bridge.check(GRANTED, "devices", "d1")
    assert decision.allow
    assert decision.decision_id
    assert decision.revision == report.revision
    bundle = tmp_path / "bundle"
    write_rules(bundle)
    (bundle / ".manifest").write_text('{"revision":"r7","roots":["jwt_policy"]}')
    bundled = start_opa([bundle], is_bundle=True)
    with PolicyBridge(OpaEngine(bundled.url)) as bridge:
        decision = bridge.check(GRANTED, "devices", DEVICE)
    assert decision.allow
    assert list(decision.bundles.values()) == ["r7"]


def test_what_others_put_under_an_id_is_no_resource(opa_url):
    rule_set = RuleSet(package_root="test_stored", data_root="test_stored_data")
    with PolicyBridge(OpaEngine(opa_url, rule_set)) as bridge:
        bridge.install()
        try:
            stored = {"a": None, "b": False, "c": {"id": "x"}, "d": {"id": "d", "custom_data": []}, "e": {"id": "e"}}
            document = layout.document({encode(id_): json.dumps(value).encode() for id_, value in stored.items()})
            bridge.engine.opa.put_data(("test_stored_data", "devices"), document)
            decisions = bridge.check_many({}, "devices", [*stored, "f", "0"])
        finally:
            bridge.engine.uninstall()
    reasons = ["invalid_resource"] * 4 + ["unrestricted"] + ["unknown_resource"] * 2
    assert [decision.reason for decision in decisions] == reasons


def test_ids_that_look_like_numbers_or_paths_are_found(opa_url):
    rule_set = RuleSet(package_root="test_ids", data_root="test_ids_data")
    ids = ["007", "7", "a/b", "..", "%2e", "?x#y", " ", "é", "\U00020000", '"', "a\x00b"]
    with PolicyBridge(OpaEngine(opa_url, rule_set)) as bridge:
        bridge.install()
        try:
            bridge.push("devices", [{"id": one, "custom_data": {"me": one}} for one in ids])
            for one in ids:
                claims = {"policy": {"version": 2, "devices": {"id": one, "custom_data": {"me": one}}}}
                assert [d.allow for d in bridge.check_many(claims, "devices", ids)] == [other == one for other in ids]
                assert bridge.explain(claims, "devices", one).resource == {"id": one, "custom_data": {"me": one}}
            assert {id_ for shard in bridge.engine.store.resources("devices") for id_ in shard} == set(ids)
        finally:
            bridge.engine.uninstall()


def test_an_install_takes_away_what_an_earlier_rule_set_had(start_opa):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    url = start_opa().url
    with PolicyBridge(OpaEngine(url, RuleSet(token=TokenChecks(pem.decode())))) as bridge:
        bridge.install()
        assert "jwt_policy/token/token.rego" in {policy.id for policy in bridge.engine.opa.list_policies()}
    with PolicyBridge(OpaEngine(url)) as bridge:
        bridge.install()
        assert {policy.id for policy in bridge.engine.opa.list_policies()} == {one.path for one in render(RuleSet())}
        assert bridge.check(GRANTED, "devices", DEVICE)
        bridge.engine.uninstall()
        assert bridge.engine.opa.list_policies() == ()


def test_rules_that_are_loaded_under_other_ids_are_told(start_opa, tmp_path):
    write_rules(tmp_path / "elsewhere")
    with PolicyBridge(OpaEngine(start_opa([tmp_path / "elsewhere"]).url)) as bridge:
        assert bridge.check(GRANTED, "devices", DEVICE)
        with pytest.raises(ForeignContentError) as foreign:
            bridge.install()
        assert len(foreign.value.ids) == len(render(RuleSet()))
        assert all(id_.endswith(".rego") and id_ in str(foreign.value) for id_ in foreign.value.ids)
        assert bridge.check(GRANTED, "devices", DEVICE)
        bridge.install(replace=foreign.value.ids)
        assert bridge.check(GRANTED, "devices", DEVICE)
        assert {policy.id for policy in bridge.engine.opa.list_policies()} == {one.path for one in render(RuleSet())}


@pytest.mark.parametrize("path", ["/v1", "/v1/data", "/opa/v1/data/"])
def test_the_url_of_an_opa_is_its_address_alone(path):
    with pytest.raises(ConfigurationError, match="address alone"):
        OpaEngine(f"http://127.0.0.1:8181{path}")


INTERIM = {
    "102": b"HTTP/1.1 102 Processing\r\n\r\n",
    "103": b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n",
}
EARLY = {
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "304": b"HTTP/1.1 304 Not Modified\r\n\r\n",
}


@pytest.mark.parametrize("early", EARLY.values(), ids=EARLY)
@pytest.mark.parametrize("on_error", ["raise", "deny"])
def test_an_answer_that_comes_late_is_not_the_answer_to_the_next_question(early, on_error):
    """What a gateway says in between must not shift an allow onto the question that comes next."""
    next_check_begins = threading.Event()

    def answer(exchange):
        exchange.send(early)
        next_check_begins.wait(60)
        exchange.reply(body(well_formed()))

    with FaultServer(answer) as server, PolicyBridge(OpaEngine(server.url), on_error=on_error) as bridge:
        for _ in range(3):
            if on_error == "raise":
                with pytest.raises(EngineError):
                    bridge.check(GRANTED, "devices", DEVICE)
            else:
                assert bridge.check(GRANTED, "devices", DEVICE).reason == "engine_unavailable"
            next_check_begins.set()
        assert server.connections == 3


@pytest.mark.parametrize("interim", INTERIM.values(), ids=INTERIM)
def test_an_interim_answer_is_waited_beyond_and_what_then_comes_late_belongs_to_no_other_question(interim):
    next_check_begins = threading.Event()

    def answer(exchange):
        exchange.send(interim)
        if exchange.number == 0:
            next_check_begins.wait(60)
        exchange.reply(body(well_formed()))

    with FaultServer(answer) as server, PolicyBridge(OpaEngine(OpaClient(server.url, deadline=0.5))) as bridge:
        with pytest.raises(EngineTimeoutError):
            bridge.check(GRANTED, "devices", DEVICE)
        bridge.engine.opa.deadline = 60.0
        next_check_begins.set()
        for _ in range(2):
            assert bridge.check(GRANTED, "devices", DEVICE)
        assert server.connections == 2


def test_all_is_taken_away_that_can_be(start_opa):
    opa = start_opa()
    stays = "/v1/policies/jwt_policy/policy/policy.rego"

    def changed(exchange, _):
        if exchange.line.startswith(f"DELETE {stays}") or exchange.line.startswith("DELETE /v1/data/"):
            return "500 Internal Server Error", b"{}"
        return None

    with PolicyBridge(OpaEngine(opa.url)) as bridge, between(opa.url, changed) as server:
        bridge.install()
        bridge.push("devices", [DEVICE])
        with pytest.raises(OpaStatusError) as refused:
            OpaEngine(server.url).uninstall()
        assert stays in str(refused.value)
        assert bridge.engine.opa.list_policies() == (), "the relay said no after it had handed on"
        assert bridge.engine.opa.kind(("jwt_policy_data",)) == "object"
    assert sum(line.startswith("DELETE /v1/policies/") for line in server.lines) == len(render(RuleSet()))


def test_a_stored_resource_that_no_push_would_take_is_a_fault_to_explain(opa_url):
    rule_set = RuleSet(package_root="test_oversized", data_root="test_oversized_data")
    with PolicyBridge(OpaEngine(opa_url, rule_set)) as bridge:
        bridge.install()
        try:
            stored = {"a": {"id": "a", "x": "y" * 1_100_000}}
            document = layout.document({encode(id_): json.dumps(value).encode() for id_, value in stored.items()})
            bridge.engine.opa.put_data(("test_oversized_data", "devices"), document)
            with pytest.raises(
                InvalidResponseError,
                match=r"^a bridge never pushed the resource that the opa engine has under this id: ",
            ):
                bridge.explain({}, "devices", "a")
        finally:
            bridge.engine.uninstall()
