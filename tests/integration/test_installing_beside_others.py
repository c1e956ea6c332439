"""Rules come to an OPA beside the modules and data of others: nothing of theirs is touched."""

from __future__ import annotations

import json

import pytest
from installing import DENIED, DEVICE, GRANTED, MAIN, NEW, SETTINGS, remove_everything, texts_on

from bridge import OpaClient, OpaEngine, PolicyBridge, PolicySettings, RuleSet, RulesNotInstalledError
from bridge.cli.doctor import rules_findings
from bridge.errors import ForeignContentError, OpaStatusError


@pytest.fixture(scope="module")
def shared(start_opa):
    return start_opa()


@pytest.fixture
def opa(shared):
    """An OPA with nothing in it."""
    remove_everything(shared.url)
    return shared


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
