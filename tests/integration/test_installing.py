"""Rules come to an OPA and go again: nobody ever decides by a mixture."""

from __future__ import annotations

import asyncio
import json

import pytest
from installing import DENIED, DEVICE, GRANTED, MAIN, NEW, SETTINGS, remove_everything, texts_on
from relay import ConnectionCutError, relayed

from bridge import EngineError, OpaClient, OpaEngine, PolicyBridge, RulesNotInstalledError, UsageError, WasmEngine
from bridge.aio import AsyncOpaEngine, AsyncPolicyBridge
from bridge.errors import ForeignContentError, OpaStatusError

CONSTRAINT = "jwt_policy/constraint/constraint.rego"
OLD_FINGERPRINT = "0" * 64


def older_release():
    """Rules with a bug that allows, and with a function that the new ones do not have, under their own fingerprint."""
    texts = {path: text.replace(fingerprint_of(NEW), OLD_FINGERPRINT) for path, text in NEW.items()}
    texts[CONSTRAINT] += "\nolder(description, resource) if {\n\tdescription\n\tresource\n}\n"
    texts[MAIN] = texts[MAIN].replace("constraint.hold(granted", "constraint.older(granted")
    assert "older" in texts[MAIN]
    return texts


def fingerprint_of(texts):
    return texts[SETTINGS].split('fingerprint := "')[1].split('"')[0]


OLD = older_release()


def loaded(client, texts):
    for path in [*[path for path in NEW if path != MAIN], MAIN]:
        client.put_policy(path, texts[path])


def client_of(url, texts):
    """A bridge that believes this release, and no other."""
    engine = OpaEngine(url)
    engine._protocol._fingerprint = fingerprint_of(texts)
    return PolicyBridge(engine)


class Witness:
    """Asks an OPA by both fingerprints, and by the public entrypoints, and remembers who was answered."""

    def __init__(self, url):
        self.bridges = {"old": client_of(url, OLD), "new": client_of(url, NEW)}
        self.client = OpaClient(url)
        self.seen = []

    def look(self):
        answers = {}
        for release, bridge in self.bridges.items():
            try:
                allowed = [bridge.check(claims, "devices", DEVICE).allow for claims in (DENIED, GRANTED)]
            except EngineError:
                continue
            assert allowed == [release == "old", True], f"{release} was answered by a mixture"
            answers[release] = allowed
        body = json.dumps({"input": {"claims": DENIED, "type": "devices", "resource": DEVICE}}).encode()
        assert "old" in answers or self.client.query(("jwt_policy", "allow"), body).result is not True
        self.seen.append(tuple(answers))
        return self.seen[-1]


@pytest.fixture(scope="module")
def shared(start_opa):
    return start_opa()


@pytest.fixture
def opa(shared):
    """An OPA with nothing in it."""
    remove_everything(shared.url)
    return shared


def test_at_no_moment_of_an_install_does_a_mixture_answer(opa):
    witness = Witness(opa.url)
    with OpaClient(opa.url) as client:
        loaded(client, OLD)
        assert witness.look() == ("old",)
        with relayed(opa.url, lambda *_: witness.look()) as (url, relay):
            OpaEngine(url).install()
        assert texts_on(client) == NEW
    assert witness.look() == ("new",)
    changed = [seen for number, seen in enumerate(witness.seen) if number == 0 or seen != witness.seen[number - 1]]
    assert changed == [("old",), (), ("new",)]
    writes = [line for line in relay.lines if line.startswith(("PUT", "DELETE"))]
    assert writes[0].startswith(f"DELETE /v1/policies/{SETTINGS}")
    assert writes[-1].startswith(f"PUT /v1/policies/{SETTINGS}")
    assert len(writes) > 2 * len(["settings", "constraint", "main"])


def interrupted(url, client, number, moment, *, for_good):
    """Install with one request cut off, or with all from there on; gives the error and how many were sent."""
    if texts_on(client) != OLD:
        for path in reversed(list(NEW)):
            client.delete_policy(path)
        loaded(client, OLD)

    def at(count, _, now):
        if (count == number and now == moment) or (for_good and count > number):
            raise ConnectionCutError

    with relayed(url, at) as (relayed_url, relay), OpaClient(relayed_url) as cut_off:
        try:
            OpaEngine(cut_off).install()
        except EngineError as error:
            return error, len(relay.lines)
    return None, len(relay.lines)


@pytest.mark.parametrize("for_good", [False, True])
def test_an_install_that_is_cut_off_at_any_request_leaves_no_mixture(opa, for_good):
    witness = Witness(opa.url)
    number, outcomes = 0, set()
    with OpaClient(opa.url) as client:
        while True:
            moment = ("before", "after")[number % 2]
            error, sent = interrupted(opa.url, client, number, moment, for_good=for_good)
            seen, there = witness.look(), texts_on(client)
            if error is None:
                assert (seen, there) == (("new",), NEW)  # it was the end, or a read, which is repeated
            elif seen:
                assert there == {"old": OLD, "new": NEW}[seen[0]]
            else:
                assert SETTINGS not in there
                assert str(error).endswith("install again")
            outcomes.add(seen)
            if sent <= number:
                break
            number += 1
        OpaEngine(opa.url).install()
    assert outcomes == ({("old",), ("new",), ()} if for_good else {("old",), ("new",)})
    assert witness.look() == ("new",)
    assert number > 20


def test_rules_that_are_there_already_are_left_alone(opa):
    with relayed(opa.url) as (url, relay):
        OpaEngine(url).install()
        relay.lines.clear()
        OpaEngine(url).install()
        assert not any(line.startswith(("PUT", "DELETE", "PATCH")) for line in relay.lines)


@pytest.mark.parametrize("gone", [SETTINGS, MAIN, CONSTRAINT])
def test_half_of_the_rules_are_made_whole(opa, gone):
    with OpaClient(opa.url) as client, PolicyBridge(OpaEngine(opa.url)) as bridge:
        for path, text in NEW.items():
            if path != gone:
                try:
                    client.put_policy(path, text)
                except OpaStatusError:
                    continue
        bridge.install()
        assert texts_on(client) == NEW
        assert bridge.check(GRANTED, "devices", DEVICE)


def test_the_check_after_an_install_brings_nothing_back(opa):
    source_calls = []
    with relayed(opa.url) as (url, relay):
        engine = OpaEngine(url, sources={"devices": lambda: source_calls.append(1) or []})
        engine.install()
        assert source_calls == []
        assert sum(line.startswith("POST /v1/data/jwt_policy/answer") for line in relay.lines) == 2


def test_modules_of_ours_that_somebody_added_to_are_replaced(opa):
    with OpaClient(opa.url) as client, PolicyBridge(OpaEngine(opa.url)) as bridge:
        bridge.install()
        client.put_policy(CONSTRAINT, NEW[CONSTRAINT] + '\nhold(_, r) if r.id == "magic"\n')
        bridge.install()
        assert texts_on(client) == NEW


def test_only_an_opa_has_something_to_replace():
    with PolicyBridge(WasmEngine()) as bridge:
        bridge.install()
        with pytest.raises(UsageError, match="nothing to replace"):
            bridge.install(replace=["x"])


@pytest.mark.parametrize("raised", [KeyboardInterrupt, EngineError, ZeroDivisionError])
def test_an_install_that_is_broken_off_puts_the_old_rules_back(opa, raised, caplog):
    def check():
        raise raised("enough")

    with OpaClient(opa.url) as client:
        loaded(client, OLD)
        with pytest.raises(raised) as error:
            OpaEngine(client)._installation.install(check)
        assert texts_on(client) == OLD
    message = str(error.value) if raised is EngineError else caplog.messages[-1]
    assert "what was there before is back" in message


@pytest.mark.parametrize("put_back", [MAIN, SETTINGS])
def test_old_rules_that_somebody_changes_while_they_are_put_back_are_not_believed(opa, put_back):
    """Two installs that fail at the same time would put back some modules each, under the fingerprint of one."""
    failed = []

    def check():
        failed.append(True)
        raise EngineError("enough")

    with OpaClient(opa.url) as client:

        def at(_number, line, moment):
            if failed and moment == "after" and line.startswith(f"PUT /v1/policies/{put_back}"):
                client.put_policy(CONSTRAINT, OLD[CONSTRAINT] + "\n# of somebody else\n")

        loaded(client, OLD)
        with relayed(opa.url, at) as (url, _), OpaClient(url) as another, pytest.raises(EngineError) as error:
            OpaEngine(another)._installation.install(check)
        assert SETTINGS not in texts_on(client)
    assert str(error.value).startswith("enough; and what was there before could not be put back (somebody else changes")


def test_rules_of_somebody_else_that_came_just_before_the_check_are_told_as_that(opa):
    """Nothing is put back in their place: it is not the rules that were uploaded which do not answer."""
    with OpaClient(opa.url) as client:

        def check():
            for path in (SETTINGS, *reversed(NEW)):
                client.delete_policy(path)
            raise RulesNotInstalledError("nothing is there")

        loaded(client, OLD)
        with pytest.raises(EngineError, match=r"somebody else changes .* no rules are left there"):
            OpaEngine(client)._installation.install(check)
        assert texts_on(client) == {}


def test_a_failed_install_tells_what_it_has_removed_for_others(opa):
    def check():
        raise EngineError("enough")

    with OpaClient(opa.url) as client:
        loaded(client, OLD)
        client.put_policy("foreign.rego", "package jwt_policy.x\n")
        client.put_data(("jwt_policy_data",), b'{"x": 1}')
        with pytest.raises(EngineError) as error:
            OpaEngine(client)._installation.install(check, replace=["foreign.rego", "data.jwt_policy_data.x"])
        assert texts_on(client) == OLD
    message = "enough; what was there before is back; what was to be replaced is gone: "
    assert str(error.value) == message + "`data.jwt_policy_data.x`, `foreign.rego`"


def test_what_cannot_be_removed_is_refused_before_anything_is_changed(opa):
    with OpaClient(opa.url) as client:
        loaded(client, OLD)
        client.put_data(("jwt_policy_data",), b'{"": 1, "x": 2}')
        with pytest.raises(UsageError, match="remove the document that has it by hand"):
            OpaEngine(client).install(replace=['data.jwt_policy_data[""]', "data.jwt_policy_data.x"])
        assert texts_on(client) == OLD
        assert client.get_data(("jwt_policy_data",)) == {"": 1, "x": 2}


def test_an_asynchronous_client_installs_likewise(opa):
    async def run():
        async with AsyncPolicyBridge(AsyncOpaEngine(opa.url)) as bridge:
            bridge.engine.synchronous.opa.put_policy("foreign.rego", "package jwt_policy.x\n")
            with pytest.raises(ForeignContentError):
                await bridge.install()
            await bridge.install(replace=["foreign.rego"])
            return texts_on(bridge.engine.synchronous.opa)

    assert asyncio.run(run()) == NEW
