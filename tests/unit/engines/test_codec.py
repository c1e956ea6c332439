"""What may be believed of an engine's answer: never an allow from anything but a well-formed true."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bridge.decision import Failure, Request
from bridge.engines import codec
from bridge.engines.codec import explaining_input, input_for, read_answer, result_of
from bridge.engines.decision_codec import read_decision
from bridge.errors import EngineError, InvalidResponseError, MalformedInputError, RulesMismatchError

MATCHED = {"allow": True, "reason": "matched"}
ONE = [Request(claims=b"{}", type=b'"devices"', resource=b'{"id":"a"}')]


def read(answer, requests=ONE):
    return read_answer(answer, requests, fingerprint="f", engine="opa")


def answer(*decisions, **others):
    return {"fingerprint": "f", "current": {}, "decisions": list(decisions)} | others


def test_a_well_formed_answer_is_believed():
    assert read(answer(MATCHED))[0].allow is True
    failures = [{"pointer": "/custom_data/a", "code": "missing"}, {"pointer": "/id", "code": "different"}]
    denied = read(answer({"allow": False, "reason": "constraint_failed", "failures": failures}))[0]
    assert denied.allow is False
    assert denied.failures == (Failure("/custom_data/a", "missing"), Failure("/id", "different"))
    assert denied.engine == "opa"


def about(revision, **others):
    """What is current of a type, as a push writes it."""
    return {"revision": revision, "generation": "g1", "store": "s1", "count": 1} | others


def test_a_request_by_id_gets_the_revision_of_its_type():
    by_id = [Request(claims=b"{}", type=b'"devices"', id=b'"a"')]
    current = {"devices": about("7"), "sessions": about("8")}
    assert read(answer(MATCHED, current=current), by_id)[0].revision == "7"
    assert read(answer(MATCHED, current=current))[0].revision is None
    unknown = answer({"allow": False, "reason": "unknown_resource"}, current={"sessions": about("8")})
    assert read(unknown, by_id)[0].revision is None


@pytest.mark.parametrize("fingerprint", ["g", "", None, 1, ["f"], True])
def test_rules_of_another_fingerprint_do_not_decide(fingerprint):
    with pytest.raises(RulesMismatchError):
        read(answer(MATCHED, fingerprint=fingerprint))
    with pytest.raises(RulesMismatchError):
        read({"decisions": [MATCHED], "current": {}})


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        True,
        [MATCHED],
        "true",
        answer(),
        answer(MATCHED, MATCHED),
        answer(decisions=MATCHED),
        answer(decisions=None),
        answer(MATCHED, current=None),
        answer([True]),
        answer(1),
        answer(None),
        answer({}),
        answer({"allow": True}),
        answer({"reason": "matched"}),
        answer({"allow": "true", "reason": "matched"}),
        answer({"allow": 1, "reason": "matched"}),
        answer({"allow": None, "reason": "matched"}),
        answer({"allow": True, "reason": None}),
        answer({"allow": True, "reason": "Matched"}),
        answer({"allow": True, "reason": "type_not_granted"}),
        answer({"allow": False, "reason": "matched"}),
        answer({"allow": True, "reason": "matched", "extra": 1}),
        answer({"allow": True, "reason": "matched", "failures": [{"pointer": "/id", "code": "different"}]}),
        answer({"allow": False, "reason": "constraint_failed"}),
        answer({"allow": False, "reason": "constraint_failed", "failures": {}}),
        answer({"allow": False, "reason": "constraint_failed", "failures": [{"pointer": "/id"}]}),
        answer({"allow": False, "reason": "constraint_failed", "failures": [{"pointer": "/id", "code": 1}]}),
        answer({"allow": False, "reason": "constraint_failed", "failures": ["/id"]}),
        answer(
            {
                "allow": False,
                "reason": "constraint_failed",
                "failures": [{"pointer": "/id", "code": "different"}, {"pointer": "/custom_data/a", "code": "missing"}],
            }
        ),
    ],
    ids=str,
)
def test_a_malformed_answer_is_a_fault(wrong):
    with pytest.raises(EngineError) as fault:
        read(wrong)
    assert type(fault.value) in (InvalidResponseError, RulesMismatchError)


DENIED = {"allow": False, "reason": "type_not_granted"}
THREE = ONE * 3


def test_numbers_name_distinct_decisions():
    decisions = read(answer(1, 0, 1, distinct=[MATCHED, DENIED]), THREE)
    assert [(one.allow, one.reason, one.engine) for one in decisions] == [
        (False, "type_not_granted", "opa"),
        (True, "matched", "opa"),
        (False, "type_not_granted", "opa"),
    ]
    assert decisions[0] is decisions[2]
    assert read(answer(distinct=[]), []) == []


def test_a_numbered_decision_has_the_revision_of_its_own_request():
    requests = [Request(b"{}", type_, id=b'"a"') for type_ in (b'"devices"', b'"sessions"', b'"users"')]
    distinct = [MATCHED, {"allow": False, "reason": "unknown_type"}]
    current = {"devices": about("7"), "sessions": about("8")}
    assert [one.revision for one in read(answer(0, 0, 1, distinct=distinct, current=current), requests)] == [
        "7",
        "8",
        None,
    ]
    reply = answer(0, 0, 0, distinct=[MATCHED], current=current)
    assert [one.revision for one in read(reply, ONE + requests[:2])] == [None, "7", "8"]


@pytest.mark.parametrize(
    "wrong",
    [
        answer(0, 0, distinct=[MATCHED]),
        answer(0, 0, 0, 0, distinct=[MATCHED]),
        answer(0, 0, 1, distinct=[MATCHED]),
        answer(0, 0, -1, distinct=[MATCHED]),
        answer(decisions=[0, 0, False], distinct=[MATCHED]),
        answer(decisions=[0, 0, True], distinct=[MATCHED, MATCHED]),
        answer(0, 0, "0", distinct=[MATCHED]),
        answer(0, 0, None, distinct=[MATCHED]),
        answer(0, 0, Decimal("0.5"), distinct=[MATCHED]),
        answer(0, 0, [0], distinct=[MATCHED]),
        answer(0, 0, MATCHED, distinct=[MATCHED]),
        answer(0, 0, 0, distinct=[]),
        answer(0, 0, 0, distinct={"0": MATCHED}),
        answer(0, 0, 0, distinct=None),
        answer(MATCHED, MATCHED, MATCHED, distinct=None),
        answer(0, 0, 0, distinct=[MATCHED, True]),
        answer(0, 0, 0, distinct=[MATCHED, {"allow": True, "reason": "type_not_granted"}]),
        answer(0, 0, 0),
        answer(decisions={"0": 0}, distinct=[MATCHED]),
    ],
    ids=str,
)
def test_a_wrong_number_is_a_fault(wrong):
    with pytest.raises(InvalidResponseError):
        read(wrong, THREE)


@pytest.mark.parametrize("member", ["allow", "reason"])
@pytest.mark.parametrize("value", [1, 0, None, [], ["matched"], {}])
def test_a_verdict_and_its_reason_have_their_types(member, value):
    with pytest.raises(InvalidResponseError, match="`allow` is not true or false, or `reason` is not a string"):
        read(answer(MATCHED | {member: value}))


@pytest.mark.parametrize("distinct", [None, {}, "matched", 7, {"0": MATCHED}])
def test_the_distinct_decisions_are_an_array(distinct):
    with pytest.raises(InvalidResponseError, match="`distinct` is not an array"):
        read(answer(0, distinct=distinct))


@pytest.mark.parametrize("number", [-1, 1, 2, 10**30, True, "0", None, [0]])
def test_a_number_is_that_of_a_distinct_decision(number):
    with pytest.raises(
        InvalidResponseError, match=r"there is no distinct decision with its number; install or build the rules again$"
    ):
        read(answer(number, distinct=[MATCHED]))


def test_each_distinct_decision_is_built_once_for_a_revision(monkeypatch):
    built = []
    monkeypatch.setattr(
        codec,
        "read_decision",
        lambda value, **options: built.append(options["revision"]) or read_decision(value, **options),
    )
    requests = [ONE[0], Request(b"{}", b'"devices"', id=b'"a"')] * 3
    read(answer(*[0] * 6, distinct=[MATCHED], current={"devices": about("7")}), requests)
    assert built == [None, "7"]


@pytest.mark.parametrize("decisions", [[], [MATCHED] * 2, None, {}, "matched"])
def test_as_many_decisions_as_requests(decisions):
    with pytest.raises(InvalidResponseError, match="the opa engine did not answer 1 requests with as many decisions"):
        read(answer() | {"decisions": decisions})


def test_the_engine_is_named_that_decides_on_nothing():
    by_id = [Request(claims=b"{}", type=b'"devices"', id=b'"a"')]
    with pytest.raises(InvalidResponseError, match="the opa engine decided `matched` by id"):
        read(answer(MATCHED), by_id)


def test_a_request_by_id_without_a_type_has_no_revision():
    by_id = [Request(claims=b"{}", type=None, id=b'"a"')]
    denied = read(answer({"allow": False, "reason": "malformed_input"}, current={"devices": about("7")}), by_id)[0]
    assert (denied.revision, denied.bundles) == (None, {})


@pytest.mark.parametrize(
    ("fingerprint", "shown"),
    [
        ("0123456789abcdef", "`0123456789ab`"),
        ("a", "`a`"),
        ("", "none"),
        ("a-b", "none"),
        (None, "none"),
        (7, "none"),
        (["f"], "none"),
    ],
)
def test_another_fingerprint_is_shown_if_it_is_one(fingerprint, shown):
    with pytest.raises(RulesMismatchError) as caught:
        read_answer(answer() | {"fingerprint": fingerprint}, ONE, fingerprint="fedcba9876543210", engine="opa")
    assert f"(fingerprint {shown}, here `fedcba987654`)" in str(caught.value)
    assert "of the opa engine" in str(caught.value)


A, B = b'{"id":"a"}', b'{"id":"b"}'


@pytest.mark.parametrize(
    ("requests", "text"),
    [
        ([Request(b"{}", b'"t"', A)], b'{"claims":{},"type":"t","resource":{"id":"a"}}'),
        ([Request(None, None)], b"{}"),
        (
            [Request(b"{}", b'"t"', A), Request(b"{}", b'"t"', B)],
            b'{"numbered":true,"claims":{},"type":"t","resources":[{"id":"a"},{"id":"b"}]}',
        ),
        (
            [Request(b"{}", b'"t"', id=b'"a"'), Request(b"{}", b'"t"', id=b"null")],
            b'{"numbered":true,"claims":{},"type":"t","ids":["a",null]}',
        ),
        (
            [Request(b"{}", b'"t"', A), Request(b"{}", b'"t"', id=b'"b"')],
            (
                b'{"numbered":true,"requests":[{"claims":{},"type":"t","resource":{"id":"a"}},'
                b'{"claims":{},"type":"t","id":"b"}]}'
            ),
        ),
        (
            [Request(b"{}", b'"t"', A), Request(b"{}", b'"u"', A)],
            (
                b'{"numbered":true,"requests":[{"claims":{},"type":"t","resource":{"id":"a"}},'
                b'{"claims":{},"type":"u","resource":{"id":"a"}}]}'
            ),
        ),
        (
            [Request(b"{}", b'"t"'), Request(b"{}", b'"t"')],
            b'{"numbered":true,"requests":[{"claims":{},"type":"t"},{"claims":{},"type":"t"}]}',
        ),
        (
            [Request(None, b'"t"', A, token=b'"x"'), Request(None, b'"t"', B, token=b'"x"')],
            b'{"numbered":true,"type":"t","token":"x","resources":[{"id":"a"},{"id":"b"}]}',
        ),
    ],
)
def test_the_input_asks_for_each_request_once(requests, text):
    assert input_for(requests) == text


def test_claims_go_to_rules_that_verify_tokens_in_the_bridges_own_form():
    assert input_for([Request(b"{}", b'"t"', A)], verifies_tokens=True).startswith(
        b'{"numbered":true,"requests":[{"claims":{}'
    )
    assert input_for([Request(None, b'"t"', A, token=b'"x"')], verifies_tokens=True).startswith(b'{"type":"t"')


def test_an_explanation_asks_for_the_stored_resource_too():
    assert explaining_input(Request(b"{}", b'"t"', id=b'"a"')) == (
        b'{"type":"t","id":"a","explain":true,"requests":[{"claims":{},"type":"t","id":"a"}]}'
    )


@pytest.mark.parametrize("reply", [b"[]", b"{}", b"[1]", b'{"result":{}}', b'[{"result":{}},{"result":{}}]'])
def test_a_reply_of_wasm_without_one_result(reply):
    with pytest.raises(InvalidResponseError, match=r"^the Wasm evaluation gave no result: build the rules again with"):
        result_of(reply)


def test_a_reply_of_wasm_has_its_value():
    assert result_of(b'[{"result":{"allow":true}}]') == {"allow": True}
    assert result_of(b"[{}]") is None
    with pytest.raises(MalformedInputError, match=r"^Wasm answer: "):
        result_of(b"[{]")
