"""The details of a denial: only what R8 and R6 know, at the places that they can be at."""

from __future__ import annotations

import pytest

from bridge.decision import Failure, Violation
from bridge.engines.decision_codec import read_decision, read_failures, read_violations
from bridge.policy import RESOURCE_TYPES, InvalidPolicy, parse_policy
from bridge.reference import decide


def details(*pairs):
    return [{"pointer": pointer, "code": code} for pointer, code in pairs]


@pytest.mark.parametrize(
    ("pointer", "code"),
    [
        ("", "not_an_object"),
        ("/devices", "not_an_object"),
        ("/a~1b~0", "not_an_object"),
        ("/push", "not_an_object"),
        ("/devices/custom_data", "not_an_object"),
        ("/version", "version_missing"),
        ("/version", "version_unsupported"),
        ("/x", "unknown_resource_type"),
        ("/", "unknown_resource_type"),
        ("/a\nb", "unknown_resource_type"),
        ("/~0~1", "unknown_resource_type"),
        ("/devices/x", "unknown_field"),
        ("/devices/", "unknown_field"),
        ("/devices/a~1b\n", "unknown_field"),
        ("/devices/id", "not_a_string"),
    ],
)
def test_violations_that_there_are(pointer, code):
    assert read_violations(details((pointer, code))) == (Violation(pointer, code),)


@pytest.mark.parametrize(
    ("pointer", "code"),
    [
        ("/devices", "not_an_Object"),
        ("/devices", ""),
        ("/devices", "missing"),
        ("/devices", "version_missing"),
        ("", "version_missing"),
        ("", "version_unsupported"),
        ("/version/x", "version_unsupported"),
        ("", "unknown_resource_type"),
        ("x", "unknown_resource_type"),
        ("/x/y", "unknown_resource_type"),
        ("/~", "unknown_resource_type"),
        ("/~2", "unknown_resource_type"),
        ("/~0~", "unknown_resource_type"),
        ("/a~1b~2", "unknown_resource_type"),
        ("/~0/x", "unknown_resource_type"),
        ("/~0x/y", "unknown_resource_type"),
        ("/devices", "unknown_field"),
        ("/devices/x/y", "unknown_field"),
        ("/devices", "not_a_string"),
        ("/devices/custom_data", "not_a_string"),
        ("/devices/id\n", "not_a_string"),
        ("/devices/id", "not_an_object"),
        ("/devices/custom_data/x", "not_an_object"),
        ("/devices/custom_data/custom_data", "not_an_object"),
        ("devices", "not_an_object"),
    ],
)
def test_violations_that_there_are_not(pointer, code):
    with pytest.raises(ValueError, match="code that does not exist, or not at such a pointer"):
        read_violations(details((pointer, code)))


@pytest.mark.parametrize(
    ("pointer", "code"),
    [
        ("/id", "different"),
        ("/custom_data/a", "different"),
        ("/custom_data/a", "missing"),
        ("/custom_data/", "missing"),
        ("/custom_data/~0~1\n", "missing"),
    ],
)
def test_failures_that_there_are(pointer, code):
    assert read_failures(details((pointer, code))) == (Failure(pointer, code),)


@pytest.mark.parametrize(
    ("pointer", "code"),
    [
        ("/id", "missing"),  # a resource without an `id` is none (R12.8)
        ("/id", "equal"),
        ("/id", ""),
        ("/id", "not_a_string"),
        ("", "different"),
        ("/", "different"),
        ("id", "different"),
        ("/Id", "different"),
        ("/id/", "different"),
        ("/id\n", "different"),
        ("/name", "different"),
        ("/custom_data", "missing"),
        ("/custom_data", "different"),
        ("/custom_data/a/b", "different"),
        ("/custom_data/~", "different"),
        ("/custom_data/~2", "different"),
    ],
)
def test_failures_that_there_are_not(pointer, code):
    with pytest.raises(ValueError, match="code that does not exist, or not at such a pointer"):
        read_failures(details((pointer, code)))


@pytest.mark.parametrize(
    ("read", "wrong"),
    [
        (read_violations, []),
        (read_failures, []),
        (read_violations, details(("/b", "unknown_resource_type"), ("/a", "unknown_resource_type"))),
        (read_violations, details(("/a", "unknown_resource_type"), ("/a", "unknown_resource_type"))),
        (read_violations, details(("", "not_an_object"), ("/version", "version_missing"))),  # R8.1
        (read_failures, details(("/id", "different"), ("/custom_data/a", "missing"))),
        (read_failures, details(("/id", "different"), ("/id", "different"))),
        (read_failures, details(("/custom_data/a", "different"), ("/custom_data/a", "missing"))),
        (read_failures, [{"pointer": "/id"}]),
        (read_failures, [{"pointer": "/id", "code": "different", "wanted": 1}]),
        (read_failures, ["/id"]),
        (read_failures, details(("/id", ["different"]))),
        (read_failures, details((None, "different"))),
        (read_failures, {"pointer": "/id", "code": "different"}),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_details_that_are_none(read, wrong):
    with pytest.raises((ValueError, TypeError)):
        read(wrong)


@pytest.mark.parametrize("reason", ["invalid_policy", "constraint_failed", "matched", "type_not_granted"])
@pytest.mark.parametrize("name", ["violations", "failures"])
def test_no_decision_has_empty_details(reason, name):
    with pytest.raises(ValueError, match="none, not sorted, or repeated"):
        read_decision({"allow": reason == "matched", "reason": reason, name: []}, engine="opa")


def test_no_rules_say_that_they_are_unavailable():
    with pytest.raises(ValueError, match="no rules give this reason"):
        read_decision({"allow": False, "reason": "engine_unavailable"}, engine="opa")


NAMES = [
    "",
    "id",
    "version",
    "devices",
    "custom_data",
    "~",
    "/",
    "~1",
    "a\nb",
    "\x00",
    "\U0001f600",
    "push",
    "~" * 60_000,
]


def test_whatever_the_reference_says_is_read():
    """Every violation and failure that can be made of awkward names."""
    for name in NAMES:
        for claim in (
            {name: 1},
            {"version": 2, "devices": {name: 1}},
            {"version": 2, "devices": 7, "sessions": {"id": 1, "custom_data": 1}},
            7,
        ):
            invalid = parse_policy(claim, (*RESOURCE_TYPES, "a/b~"))
            if isinstance(invalid, InvalidPolicy):
                assert read_violations(details(*((one.pointer, one.code) for one in invalid.violations)))
        for custom_data in ({}, {name: 1}):
            policy = {"version": 2, "devices": {"id": "x", "custom_data": {name: 0}}}
            resource = {"id": "d", "custom_data": custom_data}
            decision = decide({"claims": {"policy": policy}, "type": "devices", "resource": resource})
            read_back = read_decision(decision.as_dict(), engine="reference")
            assert read_back == decision
            assert len(read_back.failures) == 2


@pytest.mark.parametrize("read", [read_violations, read_failures])
@pytest.mark.parametrize("value", [None, {}, "", "x", 7, {"pointer": "/id"}])
def test_details_are_an_array(read, value):
    with pytest.raises(TypeError, match="its details are not an array"):
        read(value)


@pytest.mark.parametrize(
    ("pointer", "code"), [(None, "missing"), ("/id", None), (7, "different"), ("/id", 7), (["/id"], "x")]
)
def test_a_pointer_and_a_code_are_strings(pointer, code):
    for read in (read_violations, read_failures):
        with pytest.raises(TypeError, match="a detail's `pointer` or `code` is not a string"):
            read(details((pointer, code)))


def test_a_claim_that_is_no_object_has_nothing_else():
    for others in ([("/devices", "not_an_object")], [("/a", "not_an_object"), ("/b", "not_an_object")]):
        with pytest.raises(ValueError, match="a claim that is no object has other violations as well"):
            read_violations(details(("", "not_an_object"), *others))


def test_a_constraint_fails_once():
    with pytest.raises(ValueError, match="a constraint failed twice"):
        read_failures(details(("/custom_data/a", "different"), ("/custom_data/a", "missing")))


def test_a_violation_is_told_once():
    with pytest.raises(ValueError, match="its details are none, not sorted, or repeated"):
        read_violations(details(*[("/x", "unknown_resource_type")] * 2))
