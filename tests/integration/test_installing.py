"""Rules come to an OPA and go again: nobody ever decides by a mixture, and nothing of others is touched."""

from __future__ import annotations

import asyncio
import json

import pytest
from relay import Cut, relayed

from bridge import (
    EngineError,
    ForeignContentError,
    OpaClient,
    OpaEngine,
    OpaStatusError,
    PolicyBridge,
    PolicySettings,
    RuleSet,
    RulesNotInstalledError,
    UsageError,
    WasmEngine,
)
from bridge.aio import AsyncOpaEngine, AsyncPolicyBridge
from bridge.engines.diagnosis import rules_findings
from bridge.rendering import render

RULES = RuleSet()
NEW = {module.path: module.text for module in render(RULES)}
SETTINGS = "jwt_policy/settings/settings.rego"
CONSTRAINT = "jwt_policy/constraint/constraint.rego"
MAIN = "jwt_policy/jwt_policy.rego"
DEVICE = {"id": "d1"}
DENIED = {"policy": {"version": 2, "devices": {"id": "another"}}}
GRANTED = {"policy": {"version": 2, "devices": {"id": "d1"}}}
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


def texts_on(client):
    return {policy.id: policy.text for policy in client.list_policies()}


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
    with OpaClient(shared.url) as client:
        for _ in range(3):
            for policy in client.list_policies():
                try:
                    client.delete_policy(policy.id, quoted=True)
                except OpaStatusError:
                    continue
        assert client.list_policies() == ()
        client.delete_data(("jwt_policy_data",))
        client.delete_data(("jwt_policy",))
        yield shared


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
            raise Cut

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
    asked = []
    with relayed(opa.url) as (url, relay):
        engine = OpaEngine(url, sources={"devices": lambda: asked.append(1) or []})
        engine.install()
        assert asked == []
        assert sum(line.startswith("POST /v1/data/jwt_policy/answer") for line in relay.lines) == 2


FOREIGN = {
    "a rule of a package of ours": 'package jwt_policy.constraint\n\nhold(_, r) if r.id == "magic"\n',
    "an entrypoint": 'package jwt_policy\n\nallow if input.user == "admin"\n',
    "a package below": "package jwt_policy.x\n\ny := 1\n",
    "far below": "package jwt_policy.x.y.z\n\ny := 1\n",
    "quoted": 'package jwt_policy["constraint"]\n\nhold(_, r) if r.id == "magic"\n',
    "spaced, with comments": '# METADATA\n# title: Constraints\npackage   jwt_policy["constraint"]  # ours\n\nx := 1\n',
    "a package that is quoted oddly": "package jwt_policy[`a b`]\n\nx := 1\n",
    "an empty one": "package jwt_policy.grant\n",
    "in the data": 'package jwt_policy_data.devices\n\nstate := "current"\n',
    "of all data": "package jwt_policy_data\n\nx := 1\n",
}


IDS = ["foreign.rego", "a/b c/é\n.rego", "jwt_policy/mine/mine.rego", "../up.rego"]


@pytest.mark.parametrize(("text", "id_"), list(zip(FOREIGN.values(), IDS * 3, strict=False)), ids=FOREIGN)
def test_a_foreign_module_is_never_installed_beside(opa, text, id_):
    with OpaClient(opa.url) as client, PolicyBridge(OpaEngine(opa.url)) as bridge:
        put_any(client, id_, text)
        client.put_policy("others.rego", "package others\n\nx := 1\n")
        before = texts_on(client)
        with pytest.raises(ForeignContentError, match=r"nothing was changed.*--replace") as error:
            bridge.install()
        assert error.value.ids == (id_,)
        assert str(error.value).isprintable()
        assert texts_on(client) == before
        with pytest.raises(ForeignContentError):
            bridge.install(replace=["others.rego", "nothing.rego"])
        assert texts_on(client) == before
        bridge.install(replace=[id_])
        assert texts_on(client) == NEW | {"others.rego": before["others.rego"]}
        assert not bridge.check(DENIED, "devices", {"id": "magic"})
        assert bridge.check(GRANTED, "devices", DEVICE)


def put_any(client, id_, text):
    from bridge.opa.paths import quoted_path  # noqa: PLC0415 - a path that no caller of ours may write to

    client._write("PUT", quoted_path("policies", [id_]), text.encode(), None)


@pytest.mark.parametrize(
    ("root", "text"),
    [
        ("acme.policy", "package acme\n\npolicy.allow if input.admin\n"),
        ("acme.policy", "package acme\n\npolicy.constraint.hold(_, r) if r.id == `magic`\n"),
        ("acme.policy.deep", "package acme\n\npolicy[x].allow := true if some x in [`deep`]\n"),
        ("acme", "package other\n\nx := 1\n"),
    ],
)
def test_a_rule_above_that_reaches_down_is_foreign(opa, root, text):
    rules = RuleSet(package_root=root)
    with OpaClient(opa.url) as client:
        client.put_policy("above.rego", text)
        engine = OpaEngine(client, rules)
        if "other" in text:
            engine.install()
        else:
            with pytest.raises(ForeignContentError) as error:
                engine.install()
            assert error.value.ids == ("above.rego",)
            engine.install(replace=["above.rego"])
        engine.uninstall()


@pytest.mark.parametrize(
    "text", ["package jwt_policy\n", "package other\n", "# METADATA\n# title: Else\npackage jwt_policy\n"]
)
def test_a_foreign_text_under_an_id_of_ours_is_foreign(opa, text):
    text += "\nx := 1\n"
    for id_ in (MAIN, SETTINGS):
        with OpaClient(opa.url) as client:
            client.put_policy(id_, text)
            engine = OpaEngine(client)
            with pytest.raises(ForeignContentError) as error:
                engine.install()
            assert error.value.ids == (id_,)
            assert engine.uninstall() == (id_,)
            assert texts_on(client) == {id_: text}
            engine.install(replace=[id_])
            assert texts_on(client) == NEW
            engine.uninstall()


def test_modules_of_ours_that_somebody_added_to_are_replaced(opa):
    with OpaClient(opa.url) as client, PolicyBridge(OpaEngine(opa.url)) as bridge:
        bridge.install()
        client.put_policy(CONSTRAINT, NEW[CONSTRAINT] + '\nhold(_, r) if r.id == "magic"\n')
        bridge.install()
        assert texts_on(client) == NEW


DATA = {
    "beside": ("other", {"a": 1}),
    "oddly named": ("a b/c", 1),
    "a number": ("007", True),
    "a dot": (".", 1),
    "two dots": ("..", 1),
    "in a type's place": ("devices", {"d1": {"id": "d1"}}),
    "false": ("x", False),
}


@pytest.mark.parametrize(("name", "value"), DATA.values(), ids=DATA)
def test_foreign_data_is_never_installed_beside(opa, name, value):
    with OpaClient(opa.url) as client, PolicyBridge(OpaEngine(opa.url)) as bridge:
        client.put_data(("jwt_policy_data",), json.dumps({name: value}).encode())
        with pytest.raises(ForeignContentError, match="nothing was changed") as error:
            bridge.install()
        (id_,) = error.value.ids
        assert id_.startswith("data.jwt_policy_data")
        assert client.list_policies() == ()
        assert client.get_data(("jwt_policy_data",)) == {name: value}
        bridge.install(replace=[id_])
        assert client.get_data(("jwt_policy_data",)) == {}
        bridge.push("sessions", [{"id": "s"}])
        assert bridge.check({}, "sessions", "s")


def test_what_bridges_have_pushed_is_not_foreign(opa):
    kept = PolicyBridge(OpaEngine(opa.url, RuleSet(policy=PolicySettings(types=("robots", "devices")))))
    kept.install()
    kept.push("robots", [{"id": "r"}])
    kept.push("devices", [DEVICE])
    with PolicyBridge(OpaEngine(opa.url)) as bridge:
        bridge.install()
        assert bridge.check({}, "devices", "d1")
        assert bridge.engine.opa.names(("jwt_policy_data",)) == ["devices", "robots"]
        bridge.engine.uninstall()
        assert bridge.engine.opa.kind(("jwt_policy_data",)) is None


def test_an_uninstall_takes_ours_and_tells_what_stays(opa):
    with OpaClient(opa.url) as client, PolicyBridge(OpaEngine(opa.url)) as bridge:
        bridge.install()
        bridge.push("devices", [DEVICE])
        client.put_policy("foreign.rego", "package jwt_policy.x\n\ny := 1\n")
        client.put_policy("others.rego", "package others\n")
        client.put_data(("jwt_policy_data", "other"), b"1")
        client.put_data(("unrelated",), b"1")
        assert bridge.engine.uninstall() == ("foreign.rego", "data.jwt_policy_data.other")
        assert set(texts_on(client)) == {"foreign.rego", "others.rego"}
        assert client.get_data(("jwt_policy_data",)) == {"other": 1}
        assert client.get_data(("unrelated",)) == 1
        assert bridge.engine.uninstall() == ("foreign.rego", "data.jwt_policy_data.other"), "it is gone already"
        with pytest.raises(RulesNotInstalledError):
            bridge.check(GRANTED, "devices", DEVICE)
        client.delete_policy("others.rego")
        client.delete_data(("unrelated",))


NESTED = [
    ("jwt_policy", "jwt_policy.settings"),
    ("jwt_policy", "jwt_policy.x.y"),
    ("a.b", "a.b.c"),
    ("a.b", "a.b.grant"),
]


@pytest.mark.parametrize(("above", "below"), NESTED)
@pytest.mark.parametrize("order", ["above first", "below first"])
def test_package_roots_below_one_another_are_refused(opa, above, below, order):
    first, second = (above, below) if order == "above first" else (below, above)
    there = OpaEngine(opa.url, RuleSet(package_root=first, data_root="first_data"))
    there.install()
    before = texts_on(there.opa)
    with pytest.raises(ForeignContentError, match="nothing was changed"):
        OpaEngine(opa.url, RuleSet(package_root=second, data_root="second_data")).install()
    assert texts_on(there.opa) == before
    there.install()
    there.uninstall()
    assert there.opa.list_policies() == ()


def test_package_roots_beside_one_another_are_not(opa):
    engines = [
        OpaEngine(opa.url, RuleSet(package_root=root, data_root=f"{root}_data"))
        for root in ("acme.policy", "acme.policy2", "acme.rules", "jwt_policy", "jwt_policy_x")
    ]
    for engine in engines:
        engine.install()
    for engine in engines:
        engine.install()
        assert engine.uninstall() == ()
    assert engines[0].opa.list_policies() == ()


def test_a_package_root_is_no_data_root_of_others(opa):
    with PolicyBridge(OpaEngine(opa.url)) as first:
        first.install()
        first.push("devices", [DEVICE])
        before = texts_on(first.engine.opa)
        second = OpaEngine(opa.url, RuleSet(package_root="jwt_policy_data", data_root="second_data"))
        with pytest.raises(
            ForeignContentError, match=r"pushed resources to `data\.jwt_policy_data\.devices`, below the pack"
        ) as error:
            second.install()
        assert error.value.ids == ("data.jwt_policy_data.devices",)
        assert texts_on(first.engine.opa) == before
        assert first.check(GRANTED, "devices", "d1")


@pytest.mark.parametrize("type_", ["devices", "robots"])
def test_a_data_root_is_no_package_root_of_others(opa, type_):
    types = ("robots", "devices")
    with PolicyBridge(OpaEngine(opa.url)) as first, OpaClient(opa.url) as client:
        first.install()
        policy = PolicySettings(types=types)
        second = OpaEngine(opa.url, RuleSet(policy, package_root="second", data_root="jwt_policy"))
        before = texts_on(client)
        with pytest.raises(ForeignContentError, match=r"`jwt_policy/.*nothing was changed") as error:
            second.install()
        assert set(error.value.ids) == set(NEW)
        with (
            PolicyBridge(second) as pushing,
            pytest.raises(
                ForeignContentError, match=r"`data.jwt_policy` is a package of rules \(`jwt_policy/.*nothing was pushed"
            ),
        ):
            pushing.push(type_, [DEVICE])
        assert texts_on(client) == before
        assert client.kind(("jwt_policy", type_)) is None
        assert "foreign module in the place of the rules: jwt_policy/settings" in "\n".join(
            rules_findings(client, second.rule_set)
        )
        assert first.engine.uninstall() == ()


@pytest.mark.parametrize("root", [b"[1,2]", b"5", b'"x"', b"null"])
@pytest.mark.parametrize("length", [1, 2])
def test_resources_are_not_pushed_below_what_is_no_object(opa, root, length):
    place = ("above", "below")[:length]
    with PolicyBridge(OpaEngine(opa.url, RuleSet(data_root="above.below"))) as bridge:
        bridge.engine.opa.put_data(place, root)
        for change in (bridge.push, bridge.sync):
            with pytest.raises(
                ForeignContentError, match="holds data that no bridge wrote, and is left as it is"
            ) as error:
                change("devices", [DEVICE])
            assert error.value.ids == (f"data.{'.'.join(place)}",)
        assert bridge.engine.opa.get_data(place) == json.loads(root)
        bridge.engine.opa.delete_data(("above",))


def test_who_may_not_list_the_policies_may_push(start_opa, tmp_path):
    rules = tmp_path / "authz.rego"
    rules.write_text('package system.authz\n\nallow if input.path != ["v1", "policies"]\n')
    opa = start_opa([rules], arguments=["--authorization=basic"])
    with PolicyBridge(OpaEngine(opa.url)) as bridge:
        with pytest.raises(OpaStatusError):
            bridge.engine.opa.list_policies()
        assert bridge.push("devices", [DEVICE]).stored == 1
    opa.stop()


def test_data_roots_in_the_resources_of_others_are_refused(opa):
    with PolicyBridge(OpaEngine(opa.url, RuleSet(package_root="a", data_root="d"))) as above:
        above.install()
        above.push("devices", [DEVICE])
        for root in ("d.devices", "d.devices.generations", "d.devices.x"):
            with pytest.raises(ForeignContentError, match="choose another root"):
                OpaEngine(opa.url, RuleSet(package_root="b", data_root=root)).install()
            with pytest.raises(ForeignContentError, match="choose another root"):
                OpaEngine(opa.url, RuleSet(package_root=root, data_root="b")).install()
        assert above.check({}, "devices", "d1")
        above.engine.uninstall()
    with PolicyBridge(OpaEngine(opa.url, RuleSet(package_root="b", data_root="d.devices"))) as below:
        below.install()
        below.push("devices", [DEVICE])
        with pytest.raises(ForeignContentError):
            OpaEngine(opa.url, RuleSet(package_root="a", data_root="d")).install()
        below.engine.uninstall()
        below.engine.opa.delete_data(("d",))


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
    told = str(error.value) if raised is EngineError else caplog.messages[-1]
    assert "what was there before is back" in told


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
    told = "enough; what was there before is back; what was to be replaced is gone: "
    assert str(error.value) == told + "`data.jwt_policy_data.x`, `foreign.rego`"


def test_what_cannot_be_removed_is_refused_before_anything_is_changed(opa):
    with OpaClient(opa.url) as client:
        loaded(client, OLD)
        client.put_data(("jwt_policy_data",), b'{"": 1, "x": 2}')
        with pytest.raises(UsageError, match="remove what has it by hand"):
            OpaEngine(client).install(replace=['data.jwt_policy_data[""]', "data.jwt_policy_data.x"])
        assert texts_on(client) == OLD
        assert client.get_data(("jwt_policy_data",)) == {"": 1, "x": 2}


def test_an_asynchronous_client_installs_likewise(opa):
    async def run():
        async with AsyncPolicyBridge(AsyncOpaEngine(opa.url)) as bridge:
            bridge.engine.waiting.opa.put_policy("foreign.rego", "package jwt_policy.x\n")
            with pytest.raises(ForeignContentError):
                await bridge.install()
            await bridge.install(replace=["foreign.rego"])
            return texts_on(bridge.engine.waiting.opa)

    assert asyncio.run(run()) == NEW
