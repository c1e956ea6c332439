"""The engine in this process: it serves every `require_policy` with all `versions`, and is sure which ones it has."""

from __future__ import annotations

import itertools
import os
import shutil
import tomllib

import pytest

from bridge import (
    ConfigurationError,
    OpaEngine,
    PolicyBridge,
    PolicySettings,
    ReferenceEngine,
    RuleSet,
    RulesMismatchError,
    UsageError,
    WasmEngine,
)
from bridge.rendering import PREBUILT, default_wasm, fingerprint, prebuilt_wasm, rego_root, wasm_build

DEVICE = {"id": "d1", "custom_data": {"user_id": "u1"}}
ALL_CLAIMS = [
    {},
    {"Policy": {"version": 2}},
    {"policy": None},
    *({"policy": {"version": version, "devices": {}}} for version in (1, 2, 2.0, 3, 3.0, 4, "3", True, None)),
    *({"policy": {"version": version, "devices": {}, "push": {}, "features": {"a": 1}}} for version in (2, 3)),
    *({"policy": {"version": version, "devices": {"id": "d2"}, "push": []}} for version in (2, 3)),
    {"policy": {"version": 3, "push": {}}},
]


@pytest.fixture
def no_opa(monkeypatch, tmp_path):
    """A machine without an `opa`."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JWT_BRIDGE_OPA", raising=False)
    monkeypatch.delenv("OPA_URL", raising=False)
    assert shutil.which("opa") is None
    assert os.environ["PATH"] == str(tmp_path)


@pytest.mark.usefixtures("no_opa")
@pytest.mark.parametrize("rule_set", PREBUILT, ids=lambda rule_set: prebuilt_wasm(rule_set).stem)
def test_every_combination_is_decided_as_the_reference_decides(rule_set):
    chosen = {"require_policy": rule_set.policy.require_policy, "versions": rule_set.policy.versions}
    with PolicyBridge(**chosen) as bridge, PolicyBridge(ReferenceEngine(rule_set)) as reference:
        assert bridge.engine.rule_set == rule_set
        for claims in ALL_CLAIMS:
            actual, wanted = (each.check(claims, "devices", DEVICE).as_dict() for each in (bridge, reference))
            assert actual == wanted, claims


def test_there_are_six_combinations():
    chosen = {(rule_set.policy.require_policy, rule_set.policy.versions) for rule_set in PREBUILT}
    versions = (frozenset({2}), frozenset({3}), frozenset({2, 3}))
    assert chosen == set(itertools.product((False, True), versions))
    assert len({prebuilt_wasm(rule_set) for rule_set in PREBUILT}) == len(PREBUILT) == 6


def test_a_policy_is_required_where_that_is_said():
    assert PolicyBridge().check({"Policy": {"version": 2}}, "devices", DEVICE).reason == "unrestricted"
    with PolicyBridge(require_policy=True) as bridge:
        assert bridge.check({"Policy": {"version": 2}}, "devices", DEVICE).reason == "policy_required"
        assert bridge.check({"policy": {"version": 2, "devices": {}}}, "devices", DEVICE).allow


@pytest.mark.parametrize("versions", [{2, 3}, (2, 3), [3, 2], frozenset({2, 3})], ids=str)
def test_versions_may_be_any_collection_of_them(versions):
    with PolicyBridge(versions=versions) as bridge:
        assert bridge.check({"policy": {"version": 3, "devices": {}, "push": {}}}, "devices", DEVICE).allow
        assert bridge.check({"policy": {"version": 2, "devices": {}}}, "devices", DEVICE).allow


@pytest.mark.parametrize(
    "settings", [{"versions": {1}}, {"versions": ()}, {"versions": {2.0}}, {"require_policy": 1}, {"versions": "23"}]
)
def test_settings_that_cannot_be_used_are_refused(settings):
    with pytest.raises(ConfigurationError):
        PolicyBridge(**settings)


@pytest.mark.parametrize("engine", [ReferenceEngine, WasmEngine, lambda: OpaEngine("http://127.0.0.1:1")])
@pytest.mark.parametrize("settings", [{"require_policy": True}, {"require_policy": False}, {"versions": {2}}])
def test_settings_beside_an_engine_are_misuse(engine, settings):
    (name,) = settings
    with pytest.raises(UsageError, match=rf"^{name} cannot stand beside `engine`.*PolicySettings\({name}=") as refusal:
        PolicyBridge(engine(), **settings)
    assert type(refusal.value) is UsageError


def test_both_settings_beside_an_engine_are_named():
    with pytest.raises(UsageError, match=r"^require_policy and versions cannot"):
        PolicyBridge(ReferenceEngine(), require_policy=True, versions={3})


# Fail closed: a file is believed by its fingerprint, not by its name.


def test_no_two_builds_have_a_fingerprint_in_common():
    assert len({fingerprint(rule_set) for rule_set in PREBUILT}) == len(PREBUILT)


@pytest.mark.parametrize(("wanted", "there"), list(zip(PREBUILT, (*PREBUILT[1:], PREBUILT[0]), strict=True)))
def test_a_build_in_another_ones_place_is_refused(monkeypatch, tmp_path, wanted, there):
    folder = tmp_path / "jwt_policy"
    folder.mkdir()
    # Templates and all else stay as they are: only the file that is loaded is another one.
    shutil.copy(prebuilt_wasm(there), folder / prebuilt_wasm(wanted).name)
    path = folder / prebuilt_wasm(wanted).name
    monkeypatch.setattr("bridge.engines.wasm_engine.prebuilt_wasm", lambda _: path)
    with pytest.raises(RulesMismatchError):
        WasmEngine(wanted)


def test_a_build_that_is_not_there_is_an_error_and_never_another_build(monkeypatch, tmp_path):
    monkeypatch.setattr(wasm_build, "default_wasm", lambda: tmp_path / "policy.wasm")
    shutil.copy(default_wasm(), tmp_path / "policy.wasm")
    with pytest.raises(ConfigurationError, match=r"`.*policy-required\.wasm` cannot be read"):
        PolicyBridge(require_policy=True)


@pytest.mark.parametrize(
    "rule_set",
    [
        RuleSet(policy=PolicySettings(claim="other")),
        RuleSet(policy=PolicySettings(claim="other", require_policy=True)),
        RuleSet(policy=PolicySettings(types=("sessions", "devices"), versions=frozenset({3}))),
        RuleSet(policy=PolicySettings(types=("devices",))),
        RuleSet(package_root="other"),
        RuleSet(data_root="other"),
    ],
    ids=str,
)
def test_there_is_no_build_of_other_settings(rule_set):
    assert prebuilt_wasm(rule_set) is None
    with pytest.raises(ConfigurationError, match="render --wasm"):
        WasmEngine(rule_set)


def test_the_wheel_carries_them():
    pyproject = tomllib.loads((rego_root().parent / "pyproject.toml").read_text(encoding="utf-8"))
    carried = pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert carried["rego"] == "bridge/rego"
    assert all(prebuilt_wasm(rule_set).is_relative_to(rego_root()) for rule_set in PREBUILT)
