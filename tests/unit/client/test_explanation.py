"""Explanations: of the resource that was asked about, and of constraints that failed indeed."""

from __future__ import annotations

import pytest

from bridge import PolicyBridge, ReferenceEngine, UsageError
from bridge.decision import Decision, Failure, Reason, Request
from bridge.errors import InvalidResponseError
from bridge.explanation import explained
from bridge.strict_json import ABSENT

CLAIMS = b'{"policy":{"version":2,"devices":{"id":"d1","custom_data":{"n":1,"m":null,"a":[{"x":1}]}}}}'
BY_ID = Request(CLAIMS, b'"devices"', id=b'"d1"')
ABOUT = ("policy", "devices")


def failed(*failures):
    all_failures = tuple(Failure(*failure) for failure in failures)
    return Decision(
        not all_failures, Reason.CONSTRAINT_FAILED if all_failures else Reason.MATCHED, failures=all_failures
    )


def explanation_of(decision, request=BY_ID, stored=None):
    return explained(decision, claims=CLAIMS, description=ABOUT, request=request, stored=stored)


@pytest.mark.parametrize(
    "stored",
    [b'{"id":"d2"}', b'{"id":"D1"}', b'{"id":"d1 "}', b'{"id":["d1"]}', b'{"id":null}', b"{}", b"[]", b'"d1"', b"null"],
)
def test_a_stored_resource_of_another_id_is_refused(stored):
    for decision in (failed(), failed(("/id", "different"))):
        with pytest.raises(
            InvalidResponseError,
            match="of another id than the requested one: ask again",
        ):
            explanation_of(decision, stored=stored)


def test_the_stored_resource_of_that_id_is_told():
    assert explanation_of(failed(), stored=b'{"id":"d1","x":1}').resource == {"id": "d1", "x": 1}
    assert explanation_of(failed()).resource is ABSENT
    awkward = Request(CLAIMS, b'"devices"', id=b'"a\\"\\\\\xc3\xa9"')
    assert explanation_of(failed(), awkward, b'{"id":"a\\"\\\\\xc3\xa9"}').resource == {"id": 'a"\\é'}


@pytest.mark.parametrize("id_", [b"null", b"7", b'["d1"]', b"{}"])
def test_no_stored_resource_goes_with_an_id_that_is_none(id_):
    with pytest.raises(InvalidResponseError, match="of another id"):
        explanation_of(failed(), Request(CLAIMS, b'"devices"', id=id_), b'{"id":"d1"}')


def test_a_resource_that_came_along_is_its_own():
    explanation = explanation_of(
        failed(("/id", "different")), Request(CLAIMS, b'"devices"', b'{"id":"d2"}'), b'{"id":"d3"}'
    )
    assert explanation.resource == {"id": "d2"}
    assert [(one.expected, one.actual) for one in explanation.failures] == [("d1", "d2")]


@pytest.mark.parametrize(
    ("failure", "resource"),
    [
        (("/id", "different"), b'{"id":"d1"}'),
        (("/custom_data/n", "different"), b'{"id":"d1","custom_data":{"n":1.0}}'),
        (("/custom_data/m", "different"), b'{"id":"d1","custom_data":{"m":null}}'),
        (("/custom_data/a", "different"), b'{"id":"d1","custom_data":{"a":[{"x":1}]}}'),
        (("/custom_data/n", "missing"), b'{"id":"d1","custom_data":{"n":2}}'),
        (("/custom_data/m", "missing"), b'{"id":"d1","custom_data":{"m":null}}'),
        (("/custom_data/n", "different"), b'{"id":"d1","custom_data":{}}'),
        (("/custom_data/n", "different"), b'{"id":"d1"}'),
    ],
)
def test_a_failure_that_is_none_is_refused(failure, resource):
    with pytest.raises(InvalidResponseError, match="which it is not: ask again"):
        explanation_of(failed(failure), Request(CLAIMS, b'"devices"', resource))
    with pytest.raises(InvalidResponseError, match="which it is not: ask again"):
        explanation_of(failed(failure), stored=resource)


@pytest.mark.parametrize("pointer", ["/custom_data/x", "/custom_data/", "/x"])
def test_a_failure_of_what_nobody_demands_is_refused(pointer):
    with pytest.raises(InvalidResponseError, match="does not demand: ask again"):
        explanation_of(failed((pointer, "missing")), stored=b'{"id":"d1"}')


def test_failures_as_they_are():
    explanation = explanation_of(
        failed(("/custom_data/a", "different"), ("/custom_data/m", "missing"), ("/custom_data/n", "different")),
        stored=b'{"id":"d1","custom_data":{"n":true,"a":[{"x":1.5}]}}',
    )
    assert [str(one.expected) for one in explanation.failures] == ["[{'x': 1}]", "None", "1"]
    assert (explanation.failures[1].actual, explanation.failures[2].actual) == (ABSENT, True)


def test_a_failure_of_a_resource_that_is_not_there_has_no_demands():
    decision = failed(("/id", "different"))
    explanation = explanation_of(decision)
    assert (explanation.decision, explanation.failures, explanation.resource) == (decision, (), ABSENT)


def test_a_decision_is_explained_whatever_was_given_as_the_type():
    request = Request(CLAIMS, b"7", b'{"id":"d1"}')
    decision = Decision(allow=False, reason=Reason.MALFORMED_INPUT)
    explanation = explained(decision, claims=b"[]", description=("policy", 7), request=request, stored=None)
    assert (explanation.decision, explanation.failures, explanation.resource) == (decision, (), {"id": "d1"})


def test_each_demand_has_its_failure():
    decision = failed(("/custom_data/m", "missing"), ("/id", "different"))
    explanation = explanation_of(decision, Request(CLAIMS, b'"devices"', b'{"id":"d2"}'))
    assert explanation.decision is decision
    assert tuple(one.failure for one in explanation.failures) == decision.failures


@pytest.mark.parametrize("id_", [None, b"null"])
@pytest.mark.parametrize("stored", [b"{}", b'{"id":null}', b'{"id":"null"}'])
def test_no_stored_resource_goes_with_no_id(id_, stored):
    with pytest.raises(InvalidResponseError, match="of another id"):
        explanation_of(failed(), Request(CLAIMS, b'"devices"', id=id_), stored)


def test_every_engine_is_looked_at(monkeypatch):
    """An engine of one's own may be wrong, too."""
    bridge = PolicyBridge(ReferenceEngine())
    bridge.push("devices", [{"id": "d1"}])
    assert bridge.explain({}, "devices", "d1").resource == {"id": "d1"}
    monkeypatch.setattr(bridge.engine, "explain", lambda _: (failed(), b'{"id":"d2"}'))
    with pytest.raises(InvalidResponseError, match="of another id"):
        bridge.explain({}, "devices", "d1")
    denying = PolicyBridge(bridge.engine, on_error="deny")
    assert denying.explain({}, "devices", "d1").decision.reason == "engine_unavailable"
    with pytest.raises(UsageError):
        bridge.explain("token", "devices", "d1")
