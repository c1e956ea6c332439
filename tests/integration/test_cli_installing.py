"""`jwt-bridge install`, `uninstall` and `doctor` where others, bundles and missing rights stand in the way."""

from __future__ import annotations

import json
import re

import pytest
from cli_process import between, run_here

from bridge import EngineError, OpaClient, OpaEngine, PolicyBridge, PolicySettings, RuleSet
from bridge.errors import OpaStatusError, OwnedByBundleError
from bridge.opa import run_opa
from bridge.rendering import render

SETTINGS = "jwt_policy/settings/settings.rego"
NEW = {module.path: module.text for module in render(RuleSet())}
FORBIDDEN = b'{"code":"unauthorized","message":"request rejected by administrative policy"}'
CLAIMS = {"policy": {"version": 2, "devices": {"id": "d1"}}}


@pytest.fixture
def opa(start_opa):
    opa = start_opa()
    yield opa
    opa.stop()


def texts_on(client):
    return {policy.id: policy.text for policy in client.list_policies()}


def test_install_replaces_what_it_is_told_and_nothing_else(opa):
    with OpaClient(opa.url) as client:
        client.put_policy("foreign.rego", 'package jwt_policy\n\nallow if input.user == "admin"\n')
        client.put_policy("second.rego", "package jwt_policy.grant\n")
        client.put_data(("jwt_policy_data", "other"), b"1")
        done = run_here("install", "--opa-url", opa.url, status=3)
        assert "`foreign.rego`, `second.rego`, `data.jwt_policy_data.other`; nothing was changed" in done.stderr
        assert set(texts_on(client)) == {"foreign.rego", "second.rego"}
        replaced = ["--replace", "foreign.rego", "--replace", "data.jwt_policy_data.other"]
        assert "`second.rego`" in run_here("install", "--opa-url", opa.url, *replaced, status=3).stderr
        assert set(texts_on(client)) == {"foreign.rego", "second.rego"}
        done = run_here("install", "--opa-url", opa.url, *replaced, "--replace", "second.rego")
        assert "not replaced" not in done.stderr
        assert texts_on(client) == NEW
        done = run_here(
            "install", "--opa-url", opa.url, "--replace", "third.rego", "--replace", "jwt_policy/x", "--replace", "a\nb"
        )
        message = (
            r'nothing foreign is called `third.rego`, `jwt_policy/x`, `"a\nb"` here, so that was not replaced: '
            "`jwt-bridge doctor` shows the names"
        )
        assert done.stderr == f"jwt-bridge: {message}\n"
        assert texts_on(client) == NEW


def test_uninstall(opa):
    with OpaClient(opa.url) as client, PolicyBridge(OpaEngine(opa.url)) as bridge:
        bridge.install()
        bridge.push("devices", [{"id": "d1"}])
        client.put_policy("others.rego", "package others\n")
        client.put_data(("jwt_policy_data", "x"), b"1")
        done = run_here("uninstall", "--opa-url", opa.url)
        assert "left alone, for no bridge wrote it: data.jwt_policy_data.x" in done.text
        assert set(texts_on(client)) == {"others.rego"}
        assert client.get_data(("jwt_policy_data",)) == {"x": 1}
    assert "no OPA server is named: " in run_here("uninstall", status=2).stderr


def test_uninstall_of_rules_of_other_settings(opa):
    rules = RuleSet(policy=PolicySettings(claim="p", types=("robots",), require_policy=True))
    with PolicyBridge(OpaEngine(opa.url, rules)) as bridge:
        bridge.install()
        bridge.push("robots", [{"id": "r"}])
        run_here("uninstall", "--opa-url", opa.url)
        assert bridge.engine.opa.list_policies() == ()
        assert bridge.engine.opa.kind(("jwt_policy_data",)) is None


def test_an_uninstall_that_cannot_remove_the_fingerprint_leaves_the_others(opa):
    def changed(exchange, _):
        return ("403 Forbidden", FORBIDDEN) if exchange.line.startswith(f"DELETE /v1/policies/{SETTINGS}") else None

    OpaEngine(opa.url).install()
    with between(opa.url, changed) as server:
        run_here("uninstall", "--opa-url", server.url, status=3)
        assert [line for line in server.lines if line.startswith("DELETE /v1/policies/")] == [
            f"DELETE /v1/policies/{SETTINGS} HTTP/1.1"
        ]


RIGHTS = {"GET /v1/policies ": "list the policies (GET /v1/policies)", "POST /v1/query ": "(POST /v1/query)"}


@pytest.mark.parametrize(
    ("command", "request_line", "right"),
    [*(("install", *each) for each in RIGHTS.items()), ("uninstall", *next(iter(RIGHTS.items())))],
)
def test_a_missing_right_is_named_before_anything_is_changed(opa, command, request_line, right):
    refused = []

    def authz(exchange, _):
        if exchange.line.startswith(request_line):
            refused.append(exchange.line)
            return "401 Unauthorized", FORBIDDEN
        return None

    with between(opa.url, authz) as server:
        done = run_here(command, "--opa-url", server.url, status=3)
        assert right in done.stderr
        assert "is missing, so nothing was changed" in done.stderr
        assert not any(line.startswith(("PUT", "DELETE", "PATCH")) for line in server.lines)
    assert refused


def test_an_uninstall_does_without_the_right_to_query(opa):
    def authz(exchange, _):
        return ("401 Unauthorized", FORBIDDEN) if exchange.line.startswith("POST ") else None

    with between(opa.url, authz) as server, PolicyBridge(OpaEngine(opa.url)) as bridge:
        for foreign in (False, True):
            bridge.install()
            bridge.push("devices", [{"id": "d1"}])
            if foreign:
                bridge.engine.opa.put_data(("jwt_policy_data", "x"), b"1")
            assert OpaEngine(server.url).uninstall() == (("data.jwt_policy_data",) if foreign else ())
            assert bridge.engine.opa.list_policies() == ()
            assert bridge.engine.opa.kind(("jwt_policy_data",)) == ("object" if foreign else None)


def test_an_opa_that_forbids_by_its_own_policy(start_opa, tmp_path):
    authz = tmp_path / "authz.rego"
    authz.write_text(
        'package system.authz\n\ndefault allow := true\n\nallow := false if {\n\tinput.method == "GET"\n'
        '\tinput.path == ["v1", "policies"]\n}\n'
    )
    opa = start_opa([authz], arguments=["--authorization=basic"])
    with OpaClient(opa.url) as client, pytest.raises(OpaStatusError, match="nothing was changed"):
        OpaEngine(client).install()
    opa.stop()


@pytest.fixture
def bundle(tmp_path):
    """Builds a bundle of files, by their paths and texts, with these roots."""

    def build(files, roots, name="bundle.tar.gz"):
        folder = tmp_path / "source"
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        (folder / ".manifest").write_text(json.dumps({"roots": roots, "revision": "r1"}))
        assert run_opa(["build", "--bundle", folder, "--output", tmp_path / name]).status == 0
        return tmp_path / name

    return build


BUNDLES = {
    "the rules": (NEW, ["jwt_policy"]),
    "a package below": ({"jwt_policy/x/x.rego": "package jwt_policy.x\n\ny := 1\n"}, ["jwt_policy/x"]),
    "everything": ({"x/x.rego": "package x\n\ny := 1\n"}, [""]),
    "an empty root": ({"x/x.rego": "package x\n\ny := 1\n"}, ["x", "jwt_policy"]),
    "the data": ({"jwt_policy_data/data.json": "{}"}, ["jwt_policy_data"]),
}


@pytest.mark.parametrize(("files", "roots"), BUNDLES.values(), ids=BUNDLES)
def test_where_a_bundle_owns_the_place_nothing_is_changed(start_opa, bundle, files, roots):
    path = bundle(files, roots)
    opa = start_opa([path], is_bundle=True)
    with OpaClient(opa.url) as client:
        before, data = texts_on(client), client.get_data(())
        for command in ("install", "uninstall"):
            done = run_here(command, "--opa-url", opa.url, status=3)
            assert "belongs to the bundle" in done.stderr
            assert path.name in done.stderr
            assert "nothing was changed" in done.stderr
        with pytest.raises(OwnedByBundleError) as owned:
            OpaEngine(client).install()
        assert path.name in owned.value.bundle
        assert (texts_on(client), client.get_data(())) == (before, data)
        if files is NEW:
            assert PolicyBridge(OpaEngine(client)).check(CLAIMS, "devices", {"id": "d1"})
    opa.stop()


def test_a_bundle_that_may_not_be_read_is_named_by_opa_itself(start_opa, bundle):
    path = bundle(NEW, ["jwt_policy"])
    opa = start_opa([path], is_bundle=True)

    def hidden(exchange, _):
        return ("401 Unauthorized", FORBIDDEN) if "/system/bundles" in exchange.line else None

    with between(opa.url, hidden) as server, OpaClient(opa.url) as client:
        before = texts_on(client)
        ids = [f"--replace={id_}" for id_ in before]
        done = run_here("install", "--opa-url", server.url, *ids, status=3)
        assert path.name in done.stderr
        assert texts_on(client) == before
    opa.stop()


def test_a_bundle_of_others_is_no_hindrance(start_opa, bundle):
    opa = start_opa([bundle({"x/x.rego": "package x\n\ny := 1\n"}, ["x"])], is_bundle=True)
    run_here("install", "--opa-url", opa.url)
    run_here("uninstall", "--opa-url", opa.url)
    opa.stop()


def doctor(opa, status, *options):
    return run_here("doctor", "--opa-url", opa.url, *options, status=status).text


def test_doctor_tells_what_is_wrong_with_the_rules(opa, start_opa, bundle):
    with OpaClient(opa.url) as client, PolicyBridge(OpaEngine(opa.url)) as bridge:
        bridge.install()
        for type_ in ("devices", "sessions"):
            bridge.push(type_, [{"id": "d1"}])
        assert "rules at data.jwt_policy: all is well" in doctor(opa, 0)
        client.put_policy("foreign.rego", "package jwt_policy.x\n")
        client.put_data(("jwt_policy_data", "x"), b"1")
        text = doctor(opa, 1)
        assert "  foreign module in the place of the rules: foreign.rego\n" in text
        assert "  foreign data in the place of the resources: data.jwt_policy_data.x\n" in text
        client.delete_policy("foreign.rego")
        client.delete_data(("jwt_policy_data", "x"))
        client.put_policy(SETTINGS, NEW[SETTINGS].replace('fingerprint := "', 'fingerprint := "0'))
        assert "of another release or of other settings" in doctor(opa, 1)
        assert "of another release or of other settings" in doctor(opa, 1, "--claim", "other")
        main = "jwt_policy/jwt_policy.rego"
        client.put_policy(SETTINGS, NEW[SETTINGS])
        client.put_policy(main, NEW[main] + "\nx := 1\n")
        assert f"the module {main} differs from the rules at" in doctor(opa, 1)
        client.delete_policy(main)
        assert f"half-installed: the module {main} is missing" in doctor(opa, 1)
        client.delete_policy(SETTINGS)
        assert "half-installed: without their fingerprint" in doctor(opa, 1)
        bridge.engine.uninstall()
        assert "no rules are installed at `data.jwt_policy`" in doctor(opa, 3)
    bundled = start_opa([bundle(NEW, ["jwt_policy"])], is_bundle=True)
    text = doctor(bundled, 3)
    assert "bundle.tar.gz` owns them, so only their fingerprint is checked\n" in text
    assert "rules at data.jwt_policy: all is well" in text
    bundled.stop()


def test_doctor_tells_of_foreign_data_and_goes_on(opa):
    with OpaClient(opa.url) as client, PolicyBridge(OpaEngine(opa.url)) as bridge:
        bridge.install()
        bridge.push("sessions", [{"id": "s1"}])
        client.put_data(("jwt_policy_data", "devices"), b'{"state":1,"generations":{}}')
        done = run_here("doctor", "--opa-url", opa.url, status=3)
    assert "foreign data in the place of the resources: data.jwt_policy_data.devices" in done.text
    assert re.search(r"^sessions: 1 resources, revision [0-9]+: all is well$", done.text, re.MULTILINE)
    assert "`data.jwt_policy_data.devices` holds data that no bridge wrote, and is left as it is" in done.stderr
    assert "nothing was pushed" not in done.stderr


def calling_itself(version):
    """What stands between, for an OPA to give another version in its answers."""

    def change(exchange, body):
        if "provenance" not in exchange.line:
            return None
        changed, count = re.subn(rb'"version":"[0-9.]+"', b'"version":"%s"' % version.encode(), body)
        assert count == 1
        return "200 OK", changed

    return change


def test_doctor_of_an_opa_that_is_too_old(opa):
    with between(opa.url, calling_itself("1.19.0")) as server:
        assert "1.19.0" in run_here("doctor", "--opa-url", server.url, status=3).stderr


@pytest.mark.parametrize(
    ("version", "warns"), [("1.20.2", False), ("1.21.0", True), ("1.22.0", True), ("1.22.1", False)]
)
def test_install_and_doctor_warn_of_the_defect_of_the_indexer(opa, version, warns):
    with between(opa.url, calling_itself(version)) as server:
        for command, status in (("install", 0), ("doctor", 3)):
            text = run_here(command, "--opa-url", server.url, status=status).stderr
            assert (f"opa {version} has a defect of its rule indexer" in text) is warns


def test_two_installers_at_the_same_time_leave_no_mixture(opa):
    """Another release is installed in the middle: who finds it says so, and leaves no fingerprint."""
    other = RuleSet(policy=PolicySettings(claim="other"))
    done = []

    def meanwhile(exchange, _):
        if exchange.line.startswith(f"DELETE /v1/policies/{SETTINGS}") and not done:
            done.append(True)
            OpaEngine(opa.url, other).install()

    OpaEngine(opa.url).install()
    with between(opa.url, meanwhile) as server, OpaClient(opa.url) as client:
        with pytest.raises(EngineError, match="install again when nobody else does"):
            OpaEngine(server.url, RuleSet(policy=PolicySettings(claim="third"))).install()
        assert done
        assert SETTINGS not in texts_on(client)
        for rules in (other, RuleSet()):
            OpaEngine(opa.url, rules).install()
            assert texts_on(client) == {module.path: module.text for module in render(rules)}
