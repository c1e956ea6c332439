"""Rule sets of hostile settings mean in a real OPA and in Wasm exactly what was set.

An accepted rule set is checked, installed and built. Then it is asked about members, types and ids that are nearly
those of its settings, and about those that are; the reference, with the same settings, gives the expected decisions.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unicodedata import category

import pytest
from hostile_settings import (
    MOSTLY_WORDS,
    PIECES,
    TEXTS,
    TYPES,
    WITH_OPA,
    accepted,
    near,
    running,
)
from hypothesis import assume, given
from hypothesis import strategies as st

from bridge.decision import Request
from bridge.engines import ReferenceEngine, WasmEngine
from bridge.rendering import build_wasm, fingerprint
from bridge.strict_json import encode, parse


@pytest.fixture(scope="module")
def server(start_opa):
    """An OPA of this file's own: these package roots would be in the way of others."""
    return start_opa().url


@contextmanager
def built(rule_set):
    with TemporaryDirectory(prefix="attack-") as folder:
        path = Path(folder) / "policy.wasm"
        path.write_bytes(build_wasm(rule_set))
        engine = WasmEngine(rule_set, wasm=path)
        yield engine
        engine.close()


def stored_in(types):
    """For each type its own resources."""
    return {
        type_: {encode(id_): encode({"id": id_, "custom_data": {"of": type_}}) for id_ in ("a", type_, "revision")}
        for type_ in types
    }


def requests(policy_settings):
    """Questions about each name in the settings, and about those that are near."""
    claim, types = policy_settings.claim, policy_settings.types
    closed = {"version": 2, types[0]: {"id": "nobody"}}
    opened = {"version": 2, **{type_: {} for type_ in types}}
    subjects = [({}, types[0]), ({claim: closed}, types[0]), ({claim: opened}, types[0]), ({claim: None}, types[-1])]
    for name in near(claim):
        subjects += [({name: opened}, types[0]), ({name: opened, claim: closed}, types[0])]
    for type_ in types:
        own = {"version": 2, type_: {"custom_data": {"of": type_}}}
        subjects += [({claim: own}, other) for other in types]
        subjects += [
            ({claim: {"version": 2, type_: {type_: {}}}}, type_),
            ({claim: {"version": 2, type_: None}}, type_),
        ]
        for name in near(type_):
            subjects += [({claim: opened}, name), ({claim: {"version": 2, name: {}}}, type_), ({}, name)]
    all_requests = []
    for claims, type_ in subjects:
        both = {"claims": encode(claims), "type": encode(type_)}
        all_requests.append(Request(**both, resource=encode({"id": "a", "custom_data": {"of": type_}})))
        all_requests += [
            Request(**both, id=encode(id_)) for id_ in (("a", type_, "b", "revision") if type_ in types else "a")
        ]
    return all_requests


def mean_exactly_that(server, rule_set):
    """Compare OPA and Wasm with the reference; gives the verdicts."""
    policy_settings = rule_set.policy
    all_requests = requests(policy_settings)
    reference = ReferenceEngine(rule_set)
    with running(server, rule_set) as opa, built(rule_set) as wasm:
        revisions = {}
        for type_, resources in stored_in(policy_settings.types).items():
            for engine in (reference, opa, wasm):
                revisions[engine.name, type_] = engine.store.replace(type_, resources)
        wanted = [decision.as_dict() for decision in reference.decide(all_requests)]
        assert_the_extremes(rule_set, all_requests, wanted)
        for engine in (opa, wasm):
            decisions = engine.decide(all_requests)
            for request, expected, decision in zip(all_requests, wanted, decisions, strict=True):
                assert decision.as_dict() == expected, (engine.name, rule_set, request)
                known = parse(request.type) in policy_settings.types
                revision = revisions[engine.name, parse(request.type)] if known and request.resource is None else None
                assert decision.revision == revision, (engine.name, rule_set, request)
        assert_nothing_else_is_there(opa, rule_set)
    return wanted


def assert_the_extremes(rule_set, all_requests, wanted):
    """The reference means what was set: without its help, for the plainest questions."""
    claim, types, required = rule_set.policy.claim, rule_set.policy.types, rule_set.policy.require_policy
    for request, expected in zip(all_requests, wanted, strict=True):
        type_, claims = parse(request.type), parse(request.claims)
        if type_ not in types:
            assert expected == {"allow": False, "reason": "unknown_type"}
        elif claim not in claims and request.resource is not None:
            assert expected == {"allow": not required, "reason": "policy_required" if required else "unrestricted"}
        elif claims.get(claim) == {"version": 2, type_: {"custom_data": {"of": type_}}} and request.id != b'"b"':
            assert expected == {"allow": True, "reason": "matched"}


def assert_nothing_else_is_there(opa, rule_set):
    root, data = tuple(rule_set.package_root.split(".")), tuple(rule_set.data_root.split("."))
    assert opa.opa.query((*root, "settings"), b'{"input":{}}').result == {
        "claim": rule_set.policy.claim,
        "fingerprint": fingerprint(rule_set),
        "require_policy": rule_set.policy.require_policy,
        "types": sorted(rule_set.policy.types),
        "versions": sorted(rule_set.policy.versions),
    }
    assert opa.opa.get_data(data).keys() == set(rule_set.policy.types)
    for type_, resources in stored_in(rule_set.policy.types).items():
        assert opa.opa.get_data((*data, type_)).keys() == {"state", "generations"}
        stored_resources = {id_: resource for shard in opa.store.resources(type_) for id_, resource in shard.items()}
        assert stored_resources == {parse(id_): parse(text) for id_, text in resources.items()}
    members = {"allow", "answer", "decision", "decisions", "list", "stored_view"}
    members |= {"_answer", "_common", "_current", "_listed", "_requested", "_viewed"}
    folders = {"constraint", "grant", "index", "listing", "pointer", "policy", "resource", "settings", "store"}
    members |= folders if rule_set.token is None else {*folders, "token"}
    assert opa.opa.query(root, b'{"input":{}}').result.keys() <= members


HARD = {
    "a byte order mark": {"claim": "\ufeff"},
    "a byte order mark inside": {"claim": "pol\ufefficy"},
    "quotes": {"claim": '"\\"`\'"\\'},
    "a way out of a string": {"claim": '", "allow": true} #'},
    "a way out of a raw string": {"claim": "` + `{{ claim }}"},
    "templates": {"claim": '{{ fingerprint }}{% if %}{# #}${x}$"{input}"%s'},
    "every odd piece": {"claim": "".join(piece for piece in PIECES if piece.isprintable())[:128]},
    "invisible": {"claim": "\u2028\u2029\u202e\u200f\u200b\ufffd\uffff\u00ad\u0378"},
    "astral": {"claim": "\U00020000\U0001f600\U0010ffff\U000e0001"},
    "a pointer": {"claim": "~0/~1/a~b"},
    "a claim like a type": {"claim": "devices"},
    "a claim like the version": {"claim": "version"},
    "registered claims": {"claim": "exp"},
    "a claim as long as may be": {"claim": "é" * 128},
    "types by case only": {"types": ("Devices", "devices", "DEVICES", "deviceS")},
    "types like our own members": {"types": ("id", "custom_data", "allow", "revision", "resources", "type", "claims")},
    "types like keywords": {"types": ("import", "in", "null", "true", "_", "data", "input", "default")},
    "types like a prototype": {"types": ("__proto__", "constructor", "toString", "hasOwnProperty")},
    "types nearly alike": {"types": ("a-b", "a_b", "A-b", "a", "a-", "a--b")},
    "one long type": {"types": ("t" * 128,)},
    "many types": {"types": tuple(f"t{number}" for number in range(12))},
    "a package like a built-in": {"package_root": "count", "data_root": "io.jwt"},
    "a package like a rule": {"package_root": "allow.decision.answer", "data_root": "decision"},
    "a package like its own": {"package_root": "policy.policy.grant.settings", "data_root": "settings"},
    "a package like the other root": {"package_root": "a.b.a", "data_root": "a.a.b"},
    "a package like OPA's": {"package_root": "generated.system", "data_root": "partial.v1.data_.system"},
    "a package like the compiler's": {"package_root": "__local0__.__", "data_root": "__local1__"},
    "long roots": {"package_root": ".".join(["a"] * 64), "data_root": "d" * 128},
    "roots with one beginning": {"package_root": "jwt_policy", "data_root": "jwt_policy_"},
    "all at once": {
        "package_root": "json.policy",
        "data_root": "json.policy_data.resources",
        "claim": 'https://a.example/"policy"/~1/{{ claim }}\ufeff',
        "types": ("resources", "revision", "Revision", "policy"),
        "require_policy": True,
        "versions": frozenset({2, 3}),
    },
}


@pytest.mark.parametrize("hard", HARD.values(), ids=HARD)
def test_hard_settings_mean_exactly_what_they_say(server, hard):
    rule_set = accepted(**hard)
    assert rule_set is not None
    reasons = {verdict["reason"] for verdict in mean_exactly_that(server, rule_set)}
    assert {"matched", "constraint_failed", "invalid_policy", "unknown_type", "unknown_resource"} <= reasons


def test_hostile_settings_mean_exactly_what_they_say(server):
    @WITH_OPA
    @given(
        package=st.lists(MOSTLY_WORDS, min_size=1, max_size=3).map(".".join),
        data=st.lists(MOSTLY_WORDS, min_size=1, max_size=3).map(".".join),
        claim=TEXTS.map(lambda text: "".join(char for char in text if category(char) not in ("Cc", "Cs"))),
        types=st.lists(TYPES, min_size=1, max_size=4, unique=True).map(tuple),
        others=st.fixed_dictionaries(
            {"require_policy": st.booleans(), "versions": st.sampled_from((frozenset({2}), frozenset({2, 3})))}
        ),
    )
    def ask(package, data, claim, types, others):
        rule_set = accepted(package_root=package, data_root=data, claim=claim, types=types, **others)
        assume(rule_set is not None)
        mean_exactly_that(server, rule_set)

    ask()
