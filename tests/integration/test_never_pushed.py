"""Where nothing was ever pushed for a type, nothing is decided by id and nothing is listed, with every engine alike."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from cli_process import run

from bridge import (
    MalformedInputError,
    OpaClient,
    OpaEngine,
    PartialResultError,
    PolicyBridge,
    Reason,
    ReferenceEngine,
    ResourcesMissingError,
    WasmEngine,
)
from bridge.aio import AsyncOpaEngine, AsyncPolicyBridge
from bridge.decision import Request
from bridge.strict_json import ABSENT, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.opa import ManagedOpa

GRANTED = {"policy": {"version": 2, "devices": {"custom_data": {"n": 1}}}}
DEVICE = {"id": "d1", "custom_data": {"n": 1}}
ENGINES = ("reference", "wasm", "opa", "asynchronous")
ROOT = ("jwt_policy_data",)

EVERY_CLAIMS = [
    {},
    GRANTED,
    {"policy": None},
    {"policy": {"version": 2}},
    {"policy": {"version": 2, "devices": {}}},
    {"policy": {"version": 2, "devices": {"id": "d1"}}},
    {"policy": {"version": 2, "devices": {"custom_data": {"n": 1, "m": 2}}}},
]


class Awaited:
    """The bridge that awaits, asked as the other one is."""

    def __init__(self, url: str, on_error: str) -> None:
        self._url, self._on_error = url, on_error

    def __getattr__(self, name: str) -> object:
        async def ask(*args: object, **settings: object) -> object:
            async with AsyncPolicyBridge(AsyncOpaEngine(self._url), on_error=self._on_error) as bridge:
                return await getattr(bridge, name)(*args, **settings)

        return lambda *args, **settings: asyncio.run(ask(*args, **settings))


@pytest.fixture(scope="module")
def opa(start_opa) -> ManagedOpa:
    opa = start_opa()
    with PolicyBridge(OpaEngine(opa.url)) as bridge:
        bridge.install()
    return opa


@pytest.fixture(params=ENGINES)
def ask(request, opa) -> Iterator[object]:
    """Gives a bridge over an engine that nothing was pushed to; two of one test share what they are given."""
    with OpaClient(opa.url, deadline=60) as client:
        client.delete_data(ROOT)
    made = {"reference": ReferenceEngine, "wasm": WasmEngine, "opa": lambda: OpaEngine(OpaClient(opa.url, deadline=60))}
    if request.param == "asynchronous":
        yield lambda on_error="raise": Awaited(opa.url, on_error)
        return
    engine = made[request.param]()
    yield lambda on_error="raise": PolicyBridge(engine, on_error=on_error)
    engine.close()


@pytest.mark.parametrize("claims", EVERY_CLAIMS, ids=str)
def test_what_is_asked_by_id_is_not_decided(ask, claims):
    """R2 comes before R3 and R4, so it does not matter what the claims say."""
    bridge = ask()
    for id_ in ("d1", "", "\U00020000", "d" * 100_000):
        for question in (
            lambda id_=id_: bridge.check(claims, "devices", id_),
            lambda id_=id_: bridge.explain(claims, "devices", id_),
            lambda id_=id_: bridge.check_many(claims, "devices", [id_, id_]),
            lambda id_=id_: bridge.check(claims, "devices", id_, at_least="0"),
            lambda id_=id_: bridge.check_many(claims, "devices", [id_], at_least="0"),
        ):
            with pytest.raises(ResourcesMissingError, match=r"`devices`.*push"):
                question()


def test_a_value_that_is_no_id_is_asked_by_id_too(opa):
    with OpaClient(opa.url, deadline=60) as client:
        client.delete_data(ROOT)
        for engine in (ReferenceEngine(), WasmEngine(), OpaEngine(client)):
            for id_ in (b"7", b"null", b"{}", b"[]", b'""'):
                request = Request(b"{}", b'"devices"', id=id_)
                for call in (
                    lambda engine=engine, request=request: engine.decide([request]),
                    lambda engine=engine, request=request: engine.decide([request, request]),
                    lambda engine=engine, request=request: engine.explain(request),
                ):
                    with pytest.raises(ResourcesMissingError):
                        call()
                # A member `resource` counts whenever it is there.
                inline = request._replace(resource=b"null")
                assert [one.reason for one in engine.decide([inline])] == [Reason.INVALID_RESOURCE]


def test_nothing_is_listed(ask):
    bridge = ask()
    for claims in ({}, GRANTED, EVERY_CLAIMS[-2], EVERY_CLAIMS[-3], EVERY_CLAIMS[-1]):
        for settings in ({}, {"limit": 1}, {"at_least": "0"}):
            with pytest.raises(ResourcesMissingError, match=r"`devices`.*push"):
                bridge.list_allowed(claims, "devices", **settings)


def test_what_is_decided_before_a_resource_is_looked_at_still_is(ask):
    bridge = ask()
    for claims, type_, reason in (
        (None, "devices", "malformed_input"),
        ([], "devices", "malformed_input"),
        ({}, 7, "malformed_input"),
        ({}, "users", "unknown_type"),
        ({}, "", "unknown_type"),
    ):
        assert bridge.check(claims, type_, "d1").as_dict() == {"allow": False, "reason": reason}
        assert [one.reason for one in bridge.check_many(claims, type_, ["d1", DEVICE])] == [reason] * 2
        assert bridge.explain(claims, type_, "d1").decision.reason == reason
        assert bridge.list_allowed(claims, type_).decision.reason == reason
    # A list for claims that nothing can be listed for names the reason; all engines agree on that.
    for claims, reason in (({"policy": {"version": 2}}, "type_not_granted"), ({"policy": None}, "invalid_policy")):
        assert bridge.list_allowed(claims, "devices").decision.reason == reason
    with pytest.raises(MalformedInputError):
        bridge.check({}, "devices", "\ud800")
    with pytest.raises(MalformedInputError):
        bridge.check({1: 1}, "devices", "d1")


def test_resources_that_come_with_the_question_need_no_push(ask):
    bridge = ask()
    assert bridge.check(GRANTED, "devices", DEVICE)
    assert [bool(one) for one in bridge.check_many(GRANTED, "devices", [DEVICE, {"id": "d2"}])] == [True, False]
    assert bridge.explain(GRANTED, "devices", None).decision.reason is Reason.INVALID_RESOURCE


def test_one_that_cannot_be_decided_leaves_its_query_without_an_answer(ask):
    """All of one query were asked together, so nothing is said of the others; those of other queries are kept."""
    bridge, denying = ask(), ask("deny")
    for mixed in ([DEVICE, "d1"], ["d1", DEVICE], [DEVICE, "", DEVICE]):
        with pytest.raises(ResourcesMissingError):
            bridge.check_many(GRANTED, "devices", mixed)
        assert [one.reason for one in denying.check_many(GRANTED, "devices", mixed)] == ["engine_unavailable"] * len(
            mixed
        )
    many = [DEVICE] * 1_000
    with pytest.raises(PartialResultError, match=r"only 1,000 of 1,002 were decided: .*`devices`") as partial:
        bridge.check_many(GRANTED, "devices", [*many, "d1", DEVICE])
    assert isinstance(partial.value.fault, ResourcesMissingError)
    assert [one and one.reason for one in partial.value.decisions[-3:]] == ["matched", None, None]
    reasons = [one.reason for one in denying.check_many(GRANTED, "devices", [*many, "d1", DEVICE])]
    assert reasons == ["matched"] * 1_000 + ["engine_unavailable"] * 2
    # What is malformed was denied before anything is asked.
    with pytest.raises(PartialResultError):
        bridge.check_many(GRANTED, "devices", ["\ud800", "d1"])
    assert bridge.check_many(GRANTED, "devices", []) == []


def test_it_denies_where_faults_do(ask):
    denying = ask("deny")
    decision = denying.check(GRANTED, "devices", "d1")
    assert (decision.allow, decision.reason, decision.revision) == (False, Reason.ENGINE_UNAVAILABLE, None)
    assert "push" in decision.error
    explained = denying.explain({}, "devices", "")
    assert (explained.decision.reason, explained.failures, explained.resource) == ("engine_unavailable", (), ABSENT)
    with pytest.raises(ResourcesMissingError):  # a list that could not be had is no empty one
        denying.list_allowed({}, "devices")


def test_a_push_of_nothing_is_a_push_and_of_one_type_only(ask):
    bridge = ask()
    revision = bridge.push("devices", [], force=True).revision
    for id_ in ("d1", ""):
        for claims in ({}, GRANTED, {"policy": None}):
            decision = bridge.check(claims, "devices", id_, at_least=revision)
            assert (decision.reason, decision.revision) == (Reason.UNKNOWN_RESOURCE, revision)
    reasons = [one.reason for one in bridge.check_many({}, "devices", ["", DEVICE])]
    assert reasons == ["unknown_resource", "unrestricted"]
    assert bridge.explain({}, "devices", "d1").decision.reason is Reason.UNKNOWN_RESOURCE
    listed = bridge.list_allowed(GRANTED, "devices")
    assert (listed.ids, listed.complete, listed.revision) == ((), True, revision)
    for question in (
        lambda: bridge.check({}, "sessions", "d1"),
        lambda: bridge.list_allowed({}, "sessions"),
        lambda: bridge.upsert("sessions", [DEVICE]),
        lambda: bridge.delete("sessions", ["d1"]),
    ):
        with pytest.raises(ResourcesMissingError, match="`sessions`"):
            question()
    # A sync is as good as a push.
    assert bridge.sync("sessions", [DEVICE]).stored == 1
    assert bridge.check({}, "sessions", "d1")


def test_the_entrypoints_that_cannot_raise_say_that_they_do_not_know_it(opa):
    with OpaClient(opa.url, deadline=60) as client:
        client.delete_data(ROOT)
        for engine in (WasmEngine(), OpaEngine(client)):
            for id_ in (b'"d1"', b'""', b"7"):
                question = b'{"claims":{"policy":null},"type":"devices","id":%b}' % id_
                unknown = {"allow": False, "reason": "unknown_resource"}
                assert engine.query("decision", question) == unknown
                assert engine.query("allow", question) is False
                several = b'{"claims":{},"type":"devices","ids":[%b]}' % id_
                assert engine.query("decisions", several) == [unknown]


def test_on_the_command_line(opa):
    with OpaClient(opa.url, deadline=60) as client:
        client.delete_data(ROOT)
    claims = encode(GRANTED)
    options = ("--claims", "-", "--type", "devices", "--opa-url", opa.url)
    checked = run("check", *options, "--engine", "opa", "--id", "d1", "--json", stdin=claims, status=3)
    assert json.loads(checked.stdout)["code"] == "resources_missing"
    assert run("check", *options, "--engine", "opa", "--id", "", stdin=claims, status=3).stdout == b""
    assert "no pushed resources of `devices`" in run("list", *options, stdin=claims, status=3).stderr
    run("push", "--type", "sessions", "-", "--opa-url", opa.url, stdin=encode(DEVICE) + b"\n")
    run("list", *options, stdin=claims, status=3)
    run("push", "--type", "devices", "-", "--force", "--opa-url", opa.url)
    refused = run("check", *options, "--engine", "opa", "--id", "d1", "--json", stdin=claims, status=1)
    assert json.loads(refused.stdout)["reason"] == "unknown_resource"


def test_the_doctor_says_that_none_were_pushed(opa):
    """An OPA that has resources of one type has not lost the others; one that has none may have lost them all."""
    with OpaClient(opa.url, deadline=60) as client:
        client.delete_data(ROOT)
        assert "no pushed resources of `sessions`" in run("doctor", "--opa-url", opa.url, status=3).stderr
        run("push", "--type", "devices", "-", "--opa-url", opa.url, stdin=encode(DEVICE) + b"\n")
        report = run("doctor", "--opa-url", opa.url)
        rules, devices, *rest = report.text.splitlines()
        assert rules == "rules at data.jwt_policy: all is well"
        assert devices.startswith("devices: 1 resources")
        assert (rest, report.stderr) == (["sessions: none pushed"], "")
        only = run("doctor", "--opa-url", opa.url, "--type", "sessions").text.splitlines()
        assert only == [rules, "sessions: none pushed"]
        # What is wrong with the other one counts as before.
        generation = client.get_data((*ROOT, "devices", "state", "current", "generation"))
        client.put_data((*ROOT, "devices", "generations", generation, "digests", "s00"), b'"0"')
        assert "sessions: none pushed" in run("doctor", "--opa-url", opa.url, status=1).text
        # A push that never ended has pushed nothing.
        client.delete_data((*ROOT, "devices", "state", "current"))
        assert "of `devices`" in run("doctor", "--opa-url", opa.url, status=3).stderr
