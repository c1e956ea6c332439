"""The policy claim (R8), resources (R12.8) and the reference evaluator (R1-R11), rule by rule."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bridge import reference
from bridge.decision import Decision, Failure, Reason, Violation
from bridge.errors import ConfigurationError
from bridge.policy import _BESIDE, KNOWN_VERSIONS, VERSIONS, InvalidPolicy, Policy, PolicySettings, parse_policy
from bridge.reference import decide, equal
from bridge.resource import InvalidResource, Resource, parse_resource
from bridge.strict_json import ABSENT, parse

DEVICE = {"id": "d1", "custom_data": {"user": "u1", "n": 1}}


def violations(claim):
    parsed = parse_policy(claim)
    return [(v.pointer, v.code) for v in parsed.violations] if isinstance(parsed, InvalidPolicy) else []


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ({"version": 2}, []),
        ({"version": 2, "devices": {}, "sessions": {"id": "", "custom_data": {}}}, []),
        ({"version": 2, "devices": {"custom_data": {"id": [], "version": None}}}, []),
        (None, [("", "not_an_object")]),
        ([], [("", "not_an_object")]),
        ("x", [("", "not_an_object")]),
        (False, [("", "not_an_object")]),
        ({}, [("/version", "version_missing")]),
        ({"version": 3}, [("/version", "version_unsupported")]),
        ({"version": "2"}, [("/version", "version_unsupported")]),
        ({"version": True}, [("/version", "version_unsupported")]),
        ({"version": None}, [("/version", "version_unsupported")]),
        ({"version": False}, [("/version", "version_unsupported")]),
        ({"version": Decimal("2.5")}, [("/version", "version_unsupported")]),
        ({"version": [2]}, [("/version", "version_unsupported")]),
        ({"version": 2, "device": {}}, [("/device", "unknown_resource_type")]),
        ({"version": 2, "": 1, "a/b~c": 1}, [("/", "unknown_resource_type"), ("/a~1b~0c", "unknown_resource_type")]),
        ({"version": 2, "devices": None}, [("/devices", "not_an_object")]),
        ({"version": 2, "devices": []}, [("/devices", "not_an_object")]),
        ({"version": 2, "sessions": False}, [("/sessions", "not_an_object")]),
        ({"version": 2, "devices": {"user_id": "x"}}, [("/devices/user_id", "unknown_field")]),
        ({"version": 2, "devices": {"id": 1}}, [("/devices/id", "not_a_string")]),
        ({"version": 2, "devices": {"id": None}}, [("/devices/id", "not_a_string")]),
        ({"version": 2, "devices": {"custom_data": None}}, [("/devices/custom_data", "not_an_object")]),
        ({"version": 2, "devices": {"custom_data": []}}, [("/devices/custom_data", "not_an_object")]),
        (
            {"z": 0, "sessions": {"id": 0, "b": 0, "a": 0}, "devices": 0, "\U00010000": 0, "\uffff": 0, "A": 0},
            [
                ("/A", "unknown_resource_type"),
                ("/devices", "not_an_object"),
                ("/sessions/a", "unknown_field"),
                ("/sessions/b", "unknown_field"),
                ("/sessions/id", "not_a_string"),
                ("/version", "version_missing"),
                ("/z", "unknown_resource_type"),
                ("/\uffff", "unknown_resource_type"),
                ("/\U00010000", "unknown_resource_type"),
            ],
        ),
    ],
    ids=str,
)
def test_all_violations_are_reported_sorted(claim, expected):
    assert violations(claim) == expected


@pytest.mark.parametrize("text", ["2", "2.0", "2e0", "0.2e1", "20e-1"])
def test_version_two_is_two_however_it_is_written(text):
    assert isinstance(parse_policy(parse('{"version":' + text + "}")), Policy)


# R8, "Versions"

BOTH, ONLY = frozenset({2, 3}), frozenset({3})
UNKNOWN = [("/features", "unknown_resource_type"), ("/push", "unknown_resource_type")]


@pytest.mark.parametrize(
    ("versions", "claim", "expected"),
    [
        (BOTH, {"version": 3}, []),
        (BOTH, {"version": 2}, []),
        (ONLY, {"version": 3, "devices": {}, "push": {"id": 1}, "features": {"x": []}}, []),
        (BOTH, {"version": 3, "push": {"id": 1}, "features": {"x": []}}, []),
        (ONLY, {"version": 2}, [("/version", "version_unsupported")]),
        (BOTH, {"version": 4}, [("/version", "version_unsupported")]),
        (BOTH, {"version": True}, [("/version", "version_unsupported")]),
        (BOTH, {"version": [3]}, [("/version", "version_unsupported")]),
        (BOTH, {"version": "3"}, [("/version", "version_unsupported")]),
        (BOTH, {"version": 2, "push": {}, "features": {}}, UNKNOWN),
        (BOTH, {"push": {}, "features": {}}, [*UNKNOWN, ("/version", "version_missing")]),
        (ONLY, {"version": 2, "push": {}, "features": {}}, [*UNKNOWN, ("/version", "version_unsupported")]),
        (BOTH, {"version": 3, "push": [], "features": None}, [(where, "not_an_object") for where, _ in UNKNOWN]),
        (BOTH, {"version": 3, "Push": {}, "*": {}}, [("/*", UNKNOWN[0][1]), ("/Push", UNKNOWN[0][1])]),
        (BOTH, {"version": 3, "devices": {"permissions": []}}, [("/devices/permissions", "unknown_field")]),
    ],
    ids=str,
)
def test_version_three_is_valid_where_the_setting_has_it(versions, claim, expected):
    parsed = parse_policy(claim, versions=versions)
    assert ([(v.pointer, v.code) for v in parsed.violations] if isinstance(parsed, InvalidPolicy) else []) == expected


def test_by_default_version_three_and_what_it_may_have_are_violations():
    assert violations({"version": 3, "push": {}, "features": {}}) == [*UNKNOWN, ("/version", "version_unsupported")]


@pytest.mark.parametrize("text", ["3", "3.0", "3e0", "0.3e1", "30e-1"])
def test_version_three_is_three_however_it_is_written(text):
    claim = parse('{"version":' + text + ', "push": {}}')
    assert isinstance(parse_policy(claim, versions=BOTH), Policy)


def test_what_stands_beside_the_types_grants_nothing():
    policy = parse_policy({"version": 3, "devices": {}, "push": {}, "features": {}}, versions=BOTH)
    assert isinstance(policy, Policy)
    assert policy.descriptions.keys() == {"devices"}


def test_a_configured_type_is_one_whatever_version_three_says_of_its_name():
    claim = {"version": 3, "push": {"id": 1}, "features": {"id": 1}}
    invalid = parse_policy(claim, ("push",), BOTH)
    assert invalid == InvalidPolicy((Violation("/push/id", "not_a_string"),))
    policy = parse_policy({"version": 3, "push": {"id": "a"}}, ("push",), BOTH)
    assert isinstance(policy, Policy)
    assert policy.descriptions["push"].id == "a"


def test_the_reference_decides_by_the_versions_of_the_settings():
    request = {"claims": {"policy": {"version": 3, "devices": {}}}, "type": "devices", "resource": DEVICE}
    assert decide(request).reason is Reason.INVALID_POLICY
    assert decide(request, PolicySettings(versions=BOTH)).reason is Reason.MATCHED


@pytest.mark.parametrize("versions", [{2, 3}, (3, 2), [2, 3, 2], frozenset({2, 3})], ids=str)
def test_versions_become_a_frozenset(versions):
    settings = PolicySettings(versions=versions)
    assert settings.versions == {2, 3}
    assert type(settings.versions) is frozenset
    assert hash(settings) == hash(PolicySettings(versions=frozenset({2, 3})))


def test_nobody_can_add_a_version_to_those_of_all_settings():
    for versions in (VERSIONS, KNOWN_VERSIONS, *_BESIDE.values()):
        assert type(versions) is frozenset


def test_a_policy_has_a_description_for_each_type_it_names():
    policy = parse_policy({"version": 2, "devices": {"id": "d1"}, "sessions": {"custom_data": {"a": 1}}})
    assert isinstance(policy, Policy)
    assert policy.descriptions["devices"].id == "d1"
    assert policy.descriptions["devices"].custom_data == {}
    assert policy.descriptions["sessions"].id is ABSENT
    assert policy.descriptions["sessions"].custom_data == {"a": 1}


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "d1",
        {},
        {"id": None},
        {"id": ""},
        {"id": 1},
        {"id": "d1", "custom_data": None},
        {"id": "d1", "custom_data": []},
        {"custom_data": {}},
    ],
    ids=str,
)
def test_what_is_no_resource(value):
    assert isinstance(parse_resource(value), InvalidResource)


def test_what_is_a_resource():
    assert parse_resource({"id": " ", "x": 1}) == Resource(" ", {})
    assert parse_resource(DEVICE) == Resource("d1", {"user": "u1", "n": 1})


def decided(policy=..., type_="devices", **resource):
    claims = {} if policy is ... else {"policy": policy}
    return decide({"claims": claims, "type": type_, **(resource or {"resource": DEVICE})})


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (None, "malformed_input"),
        ([], "malformed_input"),
        ({}, "malformed_input"),
        ({"type": "devices", "resource": DEVICE}, "malformed_input"),
        ({"claims": None, "type": "devices", "resource": DEVICE}, "malformed_input"),
        ({"claims": [], "type": "devices", "resource": DEVICE}, "malformed_input"),
        ({"claims": {}, "resource": DEVICE}, "malformed_input"),
        ({"claims": {}, "type": None, "resource": DEVICE}, "malformed_input"),
        ({"claims": {}, "type": "Devices", "resource": None}, "unknown_type"),
        ({"claims": {"policy": None}, "type": "", "resource": DEVICE}, "unknown_type"),
        ({"claims": {}, "type": "devices", "resource": None}, "invalid_resource"),
        ({"claims": {}, "type": "devices"}, "invalid_resource"),
        ({"claims": {"policy": None}, "type": "devices", "resource": {}}, "invalid_resource"),
        ({"claims": {}, "type": "devices", "resource": None, "id": "d1"}, "invalid_resource"),
        ({"claims": {}, "type": "devices", "id": "d1"}, "unknown_resource"),
        ({"claims": {}, "type": "devices", "id": ""}, "unknown_resource"),
        ({"claims": {}, "type": "devices", "id": None}, "unknown_resource"),
        ({"claims": {}, "type": "devices", "resource": DEVICE}, "unrestricted"),
        ({"claims": {"policy": None}, "type": "devices", "resource": DEVICE}, "invalid_policy"),
        ({"claims": {"policy": {"version": 2}}, "type": "devices", "resource": DEVICE}, "type_not_granted"),
        ({"claims": {"policy": {"version": 2, "devices": {}}}, "type": "devices", "resource": DEVICE}, "matched"),
    ],
    ids=str,
)
def test_the_order_of_the_questions(request_, reason):
    decision = decide(request_)
    assert decision.reason == reason
    assert decision.allow is (reason in {"unrestricted", "matched"})


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        ({"id": "d1"}, "unrestricted"),
        ({"id": "d2"}, "invalid_resource"),
        ({"id": "d1", "custom_data": 1}, "invalid_resource"),
        (None, "invalid_resource"),
        (False, "invalid_resource"),
    ],
    ids=str,
)
def test_what_is_stored_under_an_id(stored, reason):
    request = {"claims": {}, "type": "devices", "id": "d1"}
    assert decide(request, stored={"devices": {"d1": stored}}).reason == reason
    assert decide(request, stored={"sessions": {"d1": {"id": "d1"}}}).reason == "unknown_resource"


def test_a_policy_can_be_required():
    settings = PolicySettings(require_policy=True)
    request = {"claims": {}, "type": "devices", "resource": DEVICE}
    assert decide(request, settings).reason == "policy_required"
    assert decide({**request, "claims": {"policy": {"version": 2, "devices": {}}}}, settings).allow
    assert decide({**request, "type": "x"}, settings).reason == "unknown_type"


def test_other_names_mean_the_same():
    settings = PolicySettings(claim="https://example.com/policy", types=("rooms",))
    request = {
        "claims": {"https://example.com/policy": {"version": 2, "rooms": {"id": "d1"}}, "policy": None},
        "type": "rooms",
        "resource": DEVICE,
    }
    assert decide(request, settings).reason == "matched"
    assert decide({**request, "type": "devices"}, settings).reason == "unknown_type"


def test_an_invalid_policy_grants_nothing_whatever_the_type():
    policy = {"version": 2, "devices": {"id": 1}, "sessions": {}}
    for type_ in ("devices", "sessions"):
        decision = decided(policy, type_)
        assert decision.reason is Reason.INVALID_POLICY
        assert decision.violations == (Violation("/devices/id", "not_a_string"),)


@pytest.mark.parametrize(
    ("description", "failures"),
    [
        ({}, []),
        ({"id": "d1"}, []),
        ({"id": "D1"}, [("/id", "different")]),
        ({"custom_data": {}}, []),
        ({"custom_data": {"user": "u1"}}, []),
        ({"id": "d1", "custom_data": {"user": "u1", "n": 1}}, []),
        ({"custom_data": {"user": "u2"}}, [("/custom_data/user", "different")]),
        ({"custom_data": {"other": None}}, [("/custom_data/other", "missing")]),
        (
            {"id": "x", "custom_data": {"user": 1, "z/": 0, "a~": 0, "n": True}},
            [
                ("/custom_data/a~0", "missing"),
                ("/custom_data/n", "different"),
                ("/custom_data/user", "different"),
                ("/custom_data/z~1", "missing"),
                ("/id", "different"),
            ],
        ),
    ],
    ids=str,
)
def test_all_failures_are_reported_sorted(description, failures):
    decision = decided({"version": 2, "devices": description})
    assert decision.failures == tuple(Failure(*failure) for failure in failures)
    assert decision.reason == ("constraint_failed" if failures else "matched")


def test_a_resource_without_custom_data_has_an_empty_one():
    assert decided({"version": 2, "devices": {"custom_data": {}}}, resource={"id": "d1"}).allow
    denied = decided({"version": 2, "devices": {"custom_data": {"custom_data": None}}}, resource={"id": "d1"})
    assert denied.failures == (Failure("/custom_data/custom_data", "missing"),)


VALUES = ["null", "true", "false", "0", "1", "2", "1.5", '""', '"1"', '"null"', '"true"', "[]", "[1]", "[1,2]", "[2,1]"]
VALUES += ["{}", '{"a":1}', '{"a":2}', '{"a":1,"b":1}', '{"b":1}', "[[]]", "[{}]", "[null]", '{"a":null}', '"\\u0000"']
VALUES += [
    '"e\\u0301"',
    '"\\u00e9"',
    '"a"',
    '"A"',
    '"a "',
    "9007199254740992",
    "9007199254740993",
    "1e40",
    "0.1",
    "[true]",
]


@pytest.mark.parametrize("one", VALUES)
def test_a_value_equals_itself_and_no_other(one):
    assert [other for other in VALUES if equal(parse(one), parse(other))] == [one]


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "1.0"), ("[1]", "[1e0]"), ("-0", "0.0"), ('{"a":1,"b":2}', '{"b":2.0,"a":10e-1}'), ('"\\u00e9"', '"é"')],
)
def test_spellings_do_not_matter(one, other):
    assert equal(parse(one), parse(other))


@pytest.mark.parametrize(
    ("allow", "reason", "details"),
    [
        (True, Reason.CONSTRAINT_FAILED, {"failures": (Failure("/id", "different"),)}),
        (True, Reason.UNKNOWN_TYPE, {}),
        (False, Reason.MATCHED, {}),
        (False, Reason.UNRESTRICTED, {}),
        (1, Reason.MATCHED, {}),
        ("true", Reason.MATCHED, {}),
        (None, Reason.UNKNOWN_TYPE, {}),
        (False, Reason.INVALID_POLICY, {}),
        (False, Reason.CONSTRAINT_FAILED, {}),
        (True, Reason.MATCHED, {"failures": (Failure("/id", "different"),)}),
        (False, Reason.UNKNOWN_TYPE, {"violations": (Violation("", "not_an_object"),)}),
    ],
)
def test_a_decision_that_contradicts_itself_does_not_come_into_being(allow, reason, details):
    with pytest.raises(ValueError, match=r"do(es)? not go with the reason"):
        Decision(allow=allow, reason=reason, **details)


def test_a_decision_is_true_exactly_when_it_allows():
    assert Decision(allow=True, reason=Reason.MATCHED)
    assert not Decision(allow=False, reason=Reason.ENGINE_UNAVAILABLE)
    assert Decision(allow=True, reason=Reason.MATCHED, engine="x").as_dict() == {"allow": True, "reason": "matched"}


@pytest.mark.parametrize(
    "settings",
    [
        {"claim": ""},
        {"claim": None},
        {"types": ()},
        {"types": ("a", "a")},
        {"types": ("version",)},
        {"types": ("",)},
        {"types": ["a"]},
        {"types": ("a", 1)},
        {"require_policy": 1},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ConfigurationError):
        PolicySettings(**settings)


# Reasons, and a policy that was parsed before


def test_reasons_are_exactly_these():
    assert [str(reason) for reason in Reason] == [
        "unknown_type",
        "invalid_resource",
        "unknown_resource",
        "unrestricted",
        "policy_required",
        "invalid_policy",
        "type_not_granted",
        "constraint_failed",
        "matched",
        "malformed_input",
        "invalid_token",
        "engine_unavailable",
    ]


def test_a_policy_that_is_known_is_not_looked_for_in_the_claims():
    request = {"claims": {"policy": None}, "type": "devices", "resource": {"id": "a"}}
    assert reference.decide(request).reason is Reason.INVALID_POLICY
    for known, reason in (
        (parse_policy({"version": 2, "devices": {"id": "a"}}), Reason.MATCHED),
        (parse_policy({"version": 2}), Reason.TYPE_NOT_GRANTED),
        (reference.deny(Reason.POLICY_REQUIRED), Reason.POLICY_REQUIRED),
    ):
        assert reference.decide(request, policy=known).reason is reason


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_found_by_its_text(reason):
    assert {reason: 1}[str(reason)] == {str(reason): 1}[reason] == 1


# Versions of other Python types (R8.3)


def test_a_decimal_that_is_two_is_version_two():
    assert isinstance(parse_policy({"version": Decimal(2)}), Policy)


def test_a_boolean_is_no_version_whatever_number_it_is_in_python():
    one = frozenset({1})
    assert isinstance(parse_policy({"version": 1}, versions=one), Policy)
    assert parse_policy({"version": True}, versions=one) == InvalidPolicy(
        (Violation("/version", "version_unsupported"),)
    )


# Values of other types (R11)


def test_values_of_different_types_are_not_equal():
    assert reference.equal(1, "1") is False


# Why a value is no resource (R12.8)


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (None, "a resource must be an object"),
        ({}, "the resource has no `id`"),
        ({"id": ""}, "the resource's `id` must be a string that is not empty"),
        ({"id": 1}, "the resource's `id` must be a string that is not empty"),
        ({"id": "a", "custom_data": None}, "the resource's `custom_data` must be an object"),
    ],
)
def test_what_is_no_resource_says_why(value, cause):
    assert parse_resource(value) == InvalidResource(cause)


# Settings


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        ({"claim": ""}, "the claim's name must be a string that is not empty"),
        ({"claim": 5}, "the claim's name must be a string that is not empty"),
        ({"types": ()}, "the resource types must be a tuple of one or more strings"),
        ({"types": ["devices"]}, "the resource types must be a tuple of one or more strings"),
        ({"types": ("devices", 1)}, "the resource types must be a tuple of one or more strings"),
        ({"types": ("a", "b", "a")}, "a resource type stands twice among the resource types"),
        ({"types": ("a", "version")}, "a resource type cannot be called `version`, nor be empty"),
        ({"types": ("",)}, "a resource type cannot be called `version`, nor be empty"),
        ({"require_policy": 1}, "require_policy must be True or False"),
        *(
            ({"versions": versions}, "the versions must be 2, 3 or both, as integers")
            for versions in ((), frozenset(), {1}, {2, 4}, {2.0}, (True, 2), ["2"], (Decimal(2),), ([2],), (None,))
        ),
        *(
            ({"versions": versions}, "the versions must be a set, such as frozenset({2, 3})")
            for versions in (2, "23", None, {2: 3}, range(2, 4), b"\x02", {2: 0}.keys())
        ),
    ],
)
def test_settings_that_cannot_be_used_say_why(settings, cause):
    with pytest.raises(ConfigurationError) as refusal:
        PolicySettings(**settings)
    assert str(refusal.value) == cause
