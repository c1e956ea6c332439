"""Decisions and requests: what contradicts itself is refused, and nobody can change a value."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle

import pytest

from bridge import decision, policy, reference, resource
from bridge.decision import ALLOWING, Decision, Failure, Reason, Request, Violation
from bridge.policy import Description, InvalidPolicy, Policy, PolicySettings
from bridge.resource import InvalidResource, Resource

VALUES = [
    value
    for module in (decision, policy, resource)
    for value in vars(module).values()
    if dataclasses.is_dataclass(value) and value.__module__ == module.__name__
]


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_what_is_asked_and_answered_cannot_be_changed(kind):
    assert kind.__dataclass_params__.frozen
    assert not hasattr(kind, "__dict__") or "__dict__" not in dir(object.__new__(kind))


def test_a_request_cannot_be_changed():
    request = Request(b"{}", b'"t"')
    for name in ("claims", "type", "resource", "id", "token", "other"):
        with pytest.raises(AttributeError):
            setattr(request, name, b"{}")


@pytest.mark.parametrize(
    ("resource_text", "id_", "by_id"),
    [(None, b'"a"', True), (None, b"null", True), (None, None, False), (b"{}", b'"a"', False), (b"{}", None, False)],
)
def test_a_request_is_by_id_where_it_has_no_resource(resource_text, id_, by_id):
    assert Request(b"{}", b'"t"', resource_text, id_).is_by_id is by_id


def test_the_values_are_those_that_there_are():
    assert set(VALUES) == {
        *(Decision, Failure, Violation),
        *(Description, InvalidPolicy, Policy, PolicySettings),
        *(InvalidResource, Resource),
    }


def test_the_tables_cannot_be_changed():
    assert type(ALLOWING) is frozenset
    with pytest.raises(TypeError):
        reference._NOTHING["devices"] = {}


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ((1, Reason.MATCHED), "allow 1 does not go with the reason `matched`"),
        ((0, Reason.TYPE_NOT_GRANTED), "allow 0 does not go with the reason `type_not_granted`"),
        ((True, Reason.TYPE_NOT_GRANTED), "allow True does not go with the reason `type_not_granted`"),
        ((False, Reason.MATCHED), "allow False does not go with the reason `matched`"),
        ((False, Reason.INVALID_POLICY), "0 violations do not go with the reason `invalid_policy`"),
        (
            (True, Reason.MATCHED, (Violation("", "not_an_object"),)),
            "1 violations do not go with the reason `matched`",
        ),
        ((False, Reason.CONSTRAINT_FAILED), "0 failures do not go with the reason `constraint_failed`"),
        (
            (True, Reason.MATCHED, (), (Failure("/id", "different"),)),
            "1 failures do not go with the reason `matched`",
        ),
    ],
)
def test_a_decision_that_contradicts_itself_says_how(arguments, cause):
    with pytest.raises(ValueError, match="not go with") as refusal:
        Decision(*arguments)
    assert str(refusal.value) == cause


def test_a_decision_has_no_more_than_its_engine_gave_it():
    matched = Decision(allow=True, reason=Reason.MATCHED)
    assert dataclasses.astuple(matched) == (True, Reason.MATCHED, (), (), "", None, None, {}, None)
    assert type(matched.as_dict()["reason"]) is str


def test_only_allow_reason_and_details_can_be_given_by_place():
    with pytest.raises(TypeError):
        Decision(True, Reason.MATCHED, (), (), "opa")  # noqa: FBT003


def test_decisions_that_differ_in_their_bundles_are_told_apart_but_have_one_hash():
    one, other = (Decision(allow=True, reason=Reason.MATCHED, bundles={"b": revision}) for revision in ("1", "2"))
    assert one != other
    assert hash(one) == hash(other)


@pytest.mark.parametrize(
    "change",
    [
        lambda bundles: bundles.update(a="b"),
        lambda bundles: bundles.setdefault("a", "b"),
        lambda bundles: bundles.__setitem__("a", "b"),
        lambda bundles: bundles.__ior__({"a": "b"}),
    ],
)
def test_the_bundles_that_decisions_share_stay_empty(change):
    matched = Decision(allow=True, reason=Reason.MATCHED)
    with pytest.raises(TypeError, match="cannot be changed"):
        change(matched.bundles)
    assert matched.bundles == {}
    assert Decision(allow=False, reason=Reason.UNKNOWN_TYPE).bundles is matched.bundles


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_decision_without_bundles_can_be_copied(copied):
    matched = Decision(allow=True, reason=Reason.MATCHED, engine="opa")
    assert copied(matched) == matched
    assert copied(matched).bundles == {}
    assert json.loads(json.dumps(dataclasses.asdict(matched)))["bundles"] == {}


def test_a_decision_without_details_is_made_once():
    assert reference.deny(Reason.UNKNOWN_TYPE) is reference.deny(Reason.UNKNOWN_TYPE)
    assert reference.deny(Reason.UNKNOWN_TYPE).engine == reference.allow(Reason.MATCHED).engine == "reference"
    assert reference.allow(Reason.MATCHED) is reference.allow(Reason.MATCHED)
    for _ in range(2):
        with pytest.raises(ValueError, match="not go with"):
            reference.deny(Reason.MATCHED)
        with pytest.raises(ValueError, match="not go with"):
            reference.allow(Reason.UNKNOWN_TYPE)


@pytest.mark.parametrize(
    "policy_claim", [None, {"version": 2}, {"version": 2, "devices": {}}, {"version": 2, "devices": {"id": "b"}}]
)
def test_every_decision_of_the_reference_says_so(policy_claim):
    request = {"claims": {"policy": policy_claim}, "type": "devices", "resource": {"id": "a"}}
    assert reference.decide(request).engine == "reference"


def test_a_request_counts_the_bytes_of_each_text():
    request = Request(b"1", b"22", b"333", b"4444", b"55555")
    assert request.size == 15
    assert Request(None, None).size == 0


def test_a_request_is_written_with_the_members_that_are_there():
    request = Request(b"1", b"22", b"333", b"4444", b"55555")
    assert request.text == b'{"claims":1,"type":22,"resource":333,"id":4444,"token":55555}'
    assert Request(None, None).text == b"{}"
    assert Request(None, None, id=b'""').text == b'{"id":""}'
