"""What of a question goes to Wasm: never more than little, and always enough for the same answer as the whole gets."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest
from colliding_names import colliding, plain
from costly_queries import MOST, demanding, device, shapes
from wasm_instructions import Meter

from bridge import PolicyBridge, ReferenceEngine, WasmEngine, reference
from bridge.decision import Request
from bridge.engines import wasm_engine, wasm_trimming
from bridge.engines.codec import input_for
from bridge.engines.wasm_trimming import LIGHT_BYTES, LIGHT_NAMES, TINY_BYTES, Trimming, is_light
from bridge.policy import PolicySettings
from bridge.strict_json import encode, parse

LONG = "x" * 5_000
MANY = dict.fromkeys(plain(60), 1)
CLAIMS = {"policy": {"version": 2, "devices": {"custom_data": {"user_id": "u1"}}}}
DEVICE = {"id": "d1", "custom_data": {"user_id": "u1"}}
MOST_SENT = 2 * LIGHT_BYTES + 200
"""Claims and a resource, and the names around them."""


class Spy:
    """An engine, and what it sends to Wasm."""

    def __init__(self, monkeypatch, engine):
        self.engine = engine
        self.bridge = PolicyBridge(self.engine)
        self.sent = []
        reply = self.engine._pool.reply

        def spied(entrypoint, text, *deadline):
            self.sent.append(text)
            return reply(entrypoint, text, *deadline)

        monkeypatch.setattr(self.engine._pool, "reply", spied)

    def of(self, claims, type_, resource):
        """The decision, by whom it was made, and the one text that was sent, if any."""
        self.sent.clear()
        [decision] = self.engine.decide([request_for(claims, type_, resource)])
        assert len(self.sent) == (decision.engine == "wasm")
        return decision.as_dict(), decision.engine, parse(self.sent[0]) if self.sent else None


@pytest.fixture(scope="module")
def engine():
    return holding(WasmEngine())


def holding(engine):
    """The engine, to which a push of nothing was made."""
    engine.store.replace("devices", {})
    return engine


@pytest.fixture
def spy(engine, monkeypatch):
    return Spy(monkeypatch, engine)


def request_for(claims, type_, resource):
    return Request(encode(claims), encode(type_, max_bytes=1 << 30), encode(resource))


# R2 is decided the same, whatever is wrong with a resource, and whatever is large in it.

RESOURCES = {
    "an array": [LONG],
    "an array of a resource": [{**DEVICE, "more": LONG}],
    "an array of many names": [MANY],
    "a string": LONG,
    "a short string": "x",
    "a number": 7,
    "true": True,
    "null": None,
    "empty": {},
    "without an id": {"custom_data": {"user_id": "u1"}, "more": LONG},
    "with nothing of a resource": {"more": LONG},
    **{
        f"the id {id_!r}": {**DEVICE, "id": id_, "more": LONG}
        for id_ in (None, True, False, 0, 7, Decimal("1.5"), "", [], {}, ["d1"], {"id": "d1"})
    },
    "an id that is a large array": {**DEVICE, "id": [LONG]},
    "an id that is a large object": {**DEVICE, "id": MANY},
    "a large id": {**DEVICE, "id": LONG},
    **{
        f"the custom_data {data!r}": {"id": "d1", "custom_data": data, "more": LONG}
        for data in (None, True, False, 0, 7, "", "u1", [], [["user_id", "u1"]], {})
    },
    "custom_data that is a large array": {"id": "d1", "custom_data": [LONG]},
    "custom_data that is a large array of objects": {"id": "d1", "custom_data": [MANY]},
    "custom_data that is a large string": {"id": "d1", "custom_data": LONG},
    "without custom_data": {"id": "d1", "more": LONG},
    "large beside both": {**DEVICE, "more": LONG},
    "many names beside both": {**DEVICE, **MANY},
    "large in custom_data": {"id": "d1", "custom_data": {"user_id": "u1", "more": LONG}},
    "many names in custom_data": {"id": "d1", "custom_data": {**MANY, "user_id": "u1"}},
    "large where it is demanded": {"id": "d1", "custom_data": {"user_id": LONG}},
    "many names where it is demanded": {"id": "d1", "custom_data": {"user_id": MANY}},
    "large, and another value": {"id": "d2", "custom_data": {"user_id": "u2", "more": LONG}},
    "large, and a name that is nearly the one": {"id": "d1", "custom_data": {"user_id ": "u1", "more": LONG}},
    "the demanded member outside": {"id": "d1", "user_id": "u1", "custom_data": {"more": LONG}},
    "two whole resources in one": {"id": "d1", "more": DEVICE, "custom_data": {"custom_data": DEVICE, "more": LONG}},
}
POLICIES = {
    "none": {},
    "null": {"policy": None},
    "misspelt": {"Policy": CLAIMS["policy"]},
    "no object": {"policy": [2]},
    "another type": {"policy": {"version": 2, "sessions": {}}},
    "nothing demanded": {"policy": {"version": 2, "devices": {}}},
    "empty custom_data": {"policy": {"version": 2, "devices": {"custom_data": {}}}},
    "a member": CLAIMS,
    "an id": {"policy": {"version": 2, "devices": {"id": "d1"}}},
    "both": {"policy": {"version": 2, "devices": {"id": "d1", "custom_data": {"user_id": "u1"}}, "sessions": {}}},
    "two members": {"policy": {"version": 2, "devices": {"custom_data": {"user_id": "u1", "id": "d1"}}}},
    "null demanded": {"policy": {"version": 2, "devices": {"custom_data": {"user_id": None}}}},
    "the many demanded": {"policy": {"version": 2, "devices": {"custom_data": {"user_id": MANY}}}},
    "a description that is none": {"policy": {"version": 2, "devices": ["user_id"]}},
    "custom_data that is none": {"policy": {"version": 2, "devices": {"custom_data": ["user_id"]}}},
    "an id that is none": {"policy": {"version": 2, "devices": {"id": 1, "custom_data": {"user_id": "u1"}}}},
    "version 1": {"policy": {"version": 1, "devices": {"user_id": "u1"}}},
    "no version": {"policy": {"devices": {"custom_data": {"user_id": "u1"}}}},
    "a field too many": {"policy": {"version": 2, "devices": {"custom_data": {"user_id": "u1"}, "role": "x"}}},
    "many violations": {"policy": {"version": 2, **MANY}},
    "large and invalid": {"policy": {"version": 2, "devices": {}, LONG: {}}},
}
CLAIM_VALUES = {
    **POLICIES,
    **{f"{name}, beside a large claim": {"other": LONG, **claims} for name, claims in POLICIES.items()},
    **{f"{name}, beside many claims": {**MANY, **claims} for name, claims in POLICIES.items()},
    "an array": [CLAIMS],
    "a large array": [CLAIMS, LONG],
    "a large string": LONG,
    "null claims": None,
}


@pytest.mark.parametrize("claims", CLAIM_VALUES.values(), ids=CLAIM_VALUES)
def test_the_trimmed_question_gets_the_answer_of_the_whole_one(spy, claims):
    few = [RESOURCES[name] for name in ("an array", "without an id", "large in custom_data")]
    others = ("sessions", "policy", "version", 1, None, {"devices": LONG}, LONG)
    for type_, resource in [*(("devices", value) for value in RESOURCES.values()), *itertools.product(others, few)]:
        request = request_for(claims, type_, resource)
        decision, _, sent = spy.of(claims, type_, resource)
        whole = spy.engine.query("decision", request.text)
        wanted = reference.decide({"claims": parse(request.claims), "type": type_, "resource": parse(request.resource)})
        assert decision == whole == wanted.as_dict(), (type_, resource)
        assert sent is None or len(encode(sent)) <= MOST_SENT, (type_, resource)


@pytest.mark.parametrize("claims", CLAIM_VALUES.values(), ids=CLAIM_VALUES)
def test_many_questions_get_the_answers_of_each(engine, claims):
    requests = [request_for(claims, "devices", resource) for resource in RESOURCES.values()]
    each = [engine.decide([request])[0].as_dict() for request in requests]
    assert [decision.as_dict() for decision in engine.decide(requests)] == each


@pytest.mark.parametrize(
    ("whole", "trimmed"),
    [
        (LONG, 0),
        ([LONG], 0),
        ({"more": LONG}, {}),
        ({"id": MANY}, {"id": 0}),
        ({"id": [LONG], "custom_data": [LONG]}, {"id": 0, "custom_data": 0}),
        ({"id": "", "custom_data": LONG}, {"id": "", "custom_data": 0}),
        ({"id": None, "custom_data": None, "more": LONG}, {"id": 0, "custom_data": 0}),
        ({"more": LONG, "custom_data": {"more": LONG}, "id": "d1"}, {"id": "d1", "custom_data": {}}),
        ({**DEVICE, "more": LONG}, DEVICE),
        ({"id": "d1", "more": LONG}, {"id": "d1"}),
    ],
)
def test_what_is_left_of_a_resource(spy, whole, trimmed):
    assert spy.of(CLAIMS, "devices", whole)[2]["resource"] == trimmed


@pytest.mark.parametrize(
    ("whole", "trimmed"),
    [
        ([LONG], 0),
        (LONG, 0),
        ({"other": LONG}, {}),
        ({"other": LONG, "policy": None}, {"policy": None}),
        ({"other": LONG, **CLAIMS, **MANY}, CLAIMS),
    ],
)
def test_what_is_left_of_claims(spy, whole, trimmed):
    assert spy.of(whole, "devices", DEVICE)[2]["claims"] == trimmed


def test_the_policy_is_the_claim_that_the_settings_name():
    settings = PolicySettings(claim="https://acme.example/policy", types=("doors",))
    claims = {"policy": {"version": 2, "doors": {}}, "https://acme.example/policy": CLAIMS["policy"], "other": LONG}
    claims["https://acme.example/policy"] = {"version": 2, "doors": {"custom_data": {"a": 1}}}
    light = Trimming(settings).light(request_for(claims, "doors", {"id": "d1", "custom_data": {"a": 1, "b": LONG}}))
    assert parse(light.claims) == {"https://acme.example/policy": claims["https://acme.example/policy"]}
    assert parse(light.resource) == {"id": "d1", "custom_data": {"a": 1}}


def test_what_is_left_is_written_as_it_stood():
    """Never through floats, and never as `\\u` escapes (SEMANTICS, "What OPA does to numbers and strings")."""
    values = [
        *(2**53 + 1, 10**40 - 1, -(10**39), 0, Decimal("0.12345678901234567"), Decimal("120.82399798385188e220")),
        *(Decimal("15e49"), Decimal("5e-324"), Decimal("1.7976931348623157e308"), Decimal("1e-7"), 1.5, -0.0, 1e22),
        *("\U00020000", "\ufffd", "e\u0301", '"\\\n\x00\x7f\u2028', True, False, None, [], {}, {"b": 1, "a": [2]}),
    ]
    claims = demanding({"v": values})
    resource = {"more": LONG, "custom_data": {"v": values, "w": 1}, "id": "\U00010000"}
    request = request_for(claims, "devices", resource)
    light = Trimming(PolicySettings()).light(request)
    assert light.claims == request.claims
    assert light.resource == encode({"id": "\U00010000", "custom_data": {"v": values}})
    assert encode(values) in request.resource
    assert encode(values) in light.resource


# What Wasm is never asked.


@pytest.mark.parametrize(
    ("claims", "type_", "resource"),
    [
        (demanding(dict.fromkeys(plain(201), 1)), "devices", device()),
        (demanding(dict.fromkeys(plain(4_000), 1)), "devices", device()),
        (demanding({"x": MANY}), "devices", device({"x": MANY})),
        (demanding({LONG: 1}), "devices", device()),
        ({"policy": {"version": 2, **dict.fromkeys(colliding(3_000), 1)}}, "devices", device()),
        ({"policy": {"version": 2, "devices": dict.fromkeys(colliding(3_000), 1)}}, "devices", device()),
        (CLAIMS, "devices", {"id": LONG}),
        (CLAIMS, "devices", device({"user_id": LONG})),
        (CLAIMS, "devices", device({"user_id": dict.fromkeys(colliding(30_000), 1)})),
        (CLAIMS, "devices", device({"user_id": [1] * 3_000})),
        (CLAIMS, "devices", device({"user_id": [1.5] * 1_100})),
        (CLAIMS, LONG, device()),
        (CLAIMS, MANY, device()),
    ],
)
def test_the_reference_decides_what_is_heavy_even_trimmed(spy, claims, type_, resource):
    decision, engine, sent = spy.of(claims, type_, resource)
    assert (engine, sent) == ("reference", None)
    [wanted] = ReferenceEngine().decide([request_for(claims, type_, resource)])
    assert decision == wanted.as_dict()


@pytest.mark.parametrize(("value", "most"), [(1, 508), ("", 508), (Decimal("1.5"), 64)], ids=repr)
def test_the_reference_decides_what_would_cost_much_to_write(spy, value, most):
    """512 values, with those around these, of which 64 are fractions: few bytes may hold more."""
    for count, engine in ((most, "wasm"), (most + 1, "reference")):
        values = [value] * count
        resource = {**device({"user_id": values}), "more": LONG}
        decision, by, _ = spy.of(demanding({"user_id": 1}), "devices", resource)
        assert (decision["reason"], by) == ("constraint_failed", engine)
        assert len(encode(values)) < LIGHT_BYTES / 2


def test_a_resource_larger_than_a_bridge_would_send_is_decided_all_the_same(spy):
    resource = encode(device({"user_id": "x" * 2_000_000}), max_bytes=1 << 30)
    [decision] = spy.engine.decide([request_for(CLAIMS, "devices", DEVICE)._replace(resource=resource)])
    assert (decision.reason, decision.engine) == ("constraint_failed", "reference")


def test_a_large_id_that_is_asked_by_is_looked_for_here(spy):
    spy.bridge.push("devices", [DEVICE, {"id": LONG}])
    assert spy.bridge.check({}, "devices", LONG).reason == "unrestricted"
    decision = spy.bridge.check({}, "devices", LONG + "x")
    assert (decision.reason, decision.engine) == ("unknown_resource", "reference")
    assert not any(LONG.encode() in text for text in spy.sent)


def test_an_id_beside_a_resource_is_not_looked_at(spy):
    request = request_for(CLAIMS, "devices", DEVICE)._replace(id=encode([LONG]), token=encode(LONG))
    for requests in ([request], [request] * 2, [request._replace(token=None)] * 2):
        assert [(one.allow, one.engine) for one in spy.engine.decide(requests)] == [(True, "wasm")] * len(requests)
    assert all(len(text) < 1_000 for text in spy.sent)


def test_absent_members_stay_absent(spy):
    spy.engine.store.replace("devices", {})
    large = encode({**DEVICE, "more": LONG})
    wanted = {
        Request(None, b'"devices"', large): "malformed_input",
        Request(encode(CLAIMS), None, large): "malformed_input",
        Request(encode({**CLAIMS, "other": LONG}), b'"devices"'): "invalid_resource",
        Request(encode({"other": LONG}), b'"devices"', None, encode(MANY)): "unknown_resource",
        Request(encode({"other": LONG}), b'"devices"', None, b'"d9"'): "unknown_resource",
        Request(None, None, large, encode(MANY)): "malformed_input",
        Request(None, None, None, encode(MANY)): "malformed_input",
        Request(None, encode(MANY)): "malformed_input",
    }
    assert [spy.engine.decide([request])[0].reason for request in wanted] == list(wanted.values())
    assert [decision.reason for decision in spy.engine.decide(list(wanted))] == list(wanted.values())


# What is small takes the short way.


def test_a_light_resource_is_sent_whole_beside_heavy_claims(spy):
    resource = {**DEVICE, "more": "x"}
    assert spy.of({**CLAIMS, "other": LONG}, "devices", resource)[2]["resource"] == resource


def test_a_small_question_is_sent_as_it_is(spy, monkeypatch):
    monkeypatch.setattr(wasm_engine, "Trimming", None)
    request = request_for(CLAIMS, "devices", DEVICE)
    spy.engine.decide([request])
    padded = request_for({**CLAIMS, "other": "x" * 1_000}, "devices", {**DEVICE, "more": "x" * 1_000})
    spy.engine.decide([padded])
    assert spy.sent == [request.text, padded.text]


def test_small_questions_go_together_as_they_are(spy):
    requests = [request_for(CLAIMS, "devices", {**DEVICE, "id": f"d{number}"}) for number in range(500)]
    spy.engine.decide(requests)
    [sent] = spy.sent
    assert sent.endswith(b'"resources":[' + b",".join([request.resource for request in requests]) + b"]}")


def test_what_shares_light_claims_and_type_with_the_one_before_needs_no_trimming(spy, monkeypatch):
    looked_at = []
    light = Trimming.light
    monkeypatch.setattr(Trimming, "light", lambda self, one: (looked_at.append(one), light(self, one))[1])
    first = request_for(CLAIMS, "devices", DEVICE)
    requests = [first._replace(resource=encode({**DEVICE, "more": "x" * size})) for size in (0, 100, 1_000)]
    assert [one.allow for one in spy.engine.decide(requests)] == [True] * 3
    assert looked_at == requests[:1]


@pytest.mark.parametrize(
    "other",
    [
        {"claims": encode({**CLAIMS, "other": LONG})},
        {"claims": None},
        {"type": encode(LONG)},
        {"resource": encode({**DEVICE, "more": LONG})},
        {"resource": None},
        {"id": encode(LONG)},
        {"resource": None, "id": encode("d1")},
    ],
    ids=" and ".join,
)
def test_what_differs_from_the_one_before_is_trimmed_as_it_is_alone(other):
    first = request_for(CLAIMS, "devices", DEVICE)
    requests = [first, first._replace(**other)]
    light, decided, _ = Trimming(PolicySettings()).apart(requests)
    alone = [Trimming(PolicySettings()).light(request) for request in requests]
    together = iter(light)
    assert [decided[place] if place in decided else next(together) for place in range(2)] == alone
    assert next(together, None) is None


def test_how_many_details_decisions_may_list():
    """One more than is demanded, where all share claims and type; else as many as claims have names."""
    one, three = (request_for(demanding(dict.fromkeys(names, 1)), "devices", DEVICE) for names in ("a", "abc"))
    for requests, details in (([one] * 3, 2), ([three] * 3, 4), ([one, three], 7), ([one, one._replace(type=b"1")], 5)):
        assert Trimming(PolicySettings()).apart(requests)[2] == details
    heavy = request_for(demanding({LONG: 1}), "devices", DEVICE)
    assert Trimming(PolicySettings()).apart([heavy] * 2)[2] == 0, "for Wasm there is none"
    without = [one._replace(claims=None), one._replace(claims=None, type=b"1")]
    assert Trimming(PolicySettings()).apart(without)[2] == 0, "without claims nothing is demanded"


def test_the_policy_of_claims_that_are_shared_is_looked_at_once(spy, monkeypatch):
    looked_at = []
    policy_in = reference.policy_in
    monkeypatch.setattr(
        reference, "policy_in", lambda *arguments: (looked_at.append(arguments), policy_in(*arguments))[1]
    )
    heavy = [request_for(demanding({LONG: number}), "devices", DEVICE) for number in range(2)]
    reasons = [one.reason for one in spy.engine.decide(heavy * 5)]
    assert reasons == ["constraint_failed"] * 10
    assert len(looked_at) == 2


def test_what_is_light_has_few_names_wherever_they_stand():
    names = {chr(0x100 + number): 0 for number in range(LIGHT_NAMES)}
    assert is_light(encode(names))
    assert not is_light(encode({**names, "more": 0}))
    assert not is_light(encode([[{"": 0}] * 60, "x" * 100]))
    assert is_light(b'"' + b"x" * (LIGHT_BYTES - 2) + b'"')
    assert not is_light(b'"' + b"x" * (LIGHT_BYTES - 1) + b'"')
    smallest = b"[" + b",".join([b'{"":0}'] * (LIGHT_NAMES + 1)) + b"]"
    assert len(smallest) > TINY_BYTES, "a tiny text has no room for more names"
    assert len(b"{" + b",".join([b'"":1'] * (LIGHT_NAMES + 1)) + b"}") > TINY_BYTES


def test_a_heavy_question_is_decided_by_the_settings():
    claims = {"grants": {"version": 2, "robots": {"custom_data": {LONG: 1}}}}
    trimming = Trimming(PolicySettings(claim="grants", types=("robots",)))
    for has, reason in (({LONG: 1}, "matched"), ({}, "constraint_failed")):
        decision = trimming.light(request_for(claims, "robots", device(has)))
        assert (decision.reason, decision.engine) == (reason, "reference")


def test_where_heavy_begins():
    """As docs/decisions/large-resources-in-wasm.md says: beyond 4 KiB, or 48 names."""
    assert [is_light(b'"' + b"x" * (size - 2) + b'"') for size in (4_096, 4_097)] == [True, False]
    padding = "x" * 1_000
    assert [is_light(encode([padding, *[{"": 0}] * names])) for names in (48, 49)] == [True, False]


def test_a_tiny_text_is_light_whatever_looks_like_a_name_in_its_strings():
    for size, light in ((TINY_BYTES - 1, True), (TINY_BYTES, True), (TINY_BYTES + 1, False)):
        text = encode('":' * 79 + "x" * (size - 239))
        assert (len(text), is_light(text)) == (size, light)


# All ways that lead to the engine.


def test_an_explanation_shows_the_whole_resource(spy):
    resource = {"id": "d1", "custom_data": {"user_id": "u2", "more": LONG}, "beside": MANY}
    explanation = spy.bridge.explain(CLAIMS, "devices", resource)
    assert explanation.resource == resource
    assert [(demand.expected, demand.actual) for demand in explanation.failures] == [("u1", "u2")]
    spy.bridge.push("devices", [resource])
    assert spy.bridge.explain(CLAIMS, "devices", "d1").resource == resource
    assert all(len(text) <= MOST_SENT for text in spy.sent)
    large = device({"user_id": LONG})
    explanation = spy.bridge.explain(CLAIMS, "devices", large)
    assert (explanation.decision.engine, explanation.resource) == ("reference", large)
    assert [(demand.expected, demand.actual) for demand in explanation.failures] == [("u1", LONG)]


def test_a_stored_resource_is_decided_with_its_revision(spy):
    report = spy.bridge.push(
        "devices", [{**DEVICE, "more": LONG}, device({"user_id": LONG}) | {"id": "d2"}, {"id": "d3"}]
    )
    decisions = spy.bridge.check_many(CLAIMS, "devices", ["d1", "d2", "d3"])
    assert decisions == [spy.bridge.check(CLAIMS, "devices", id_) for id_ in ("d1", "d2", "d3")]
    assert [(one.reason, one.engine) for one in decisions] == [
        ("matched", "wasm"),
        ("constraint_failed", "reference"),
        ("constraint_failed", "wasm"),
    ]
    assert {one.revision for one in decisions} == {report.revision}


def test_one_resource_of_colliding_names_among_300_others(spy):
    """450 KB of `custom_data`, which end users can often write: it raised for all of them, in 10 s."""
    bad = device({"user_id": "u1", **dict.fromkeys(colliding(30_000), 1)})
    resources = [{**DEVICE, "id": f"d{number}"} for number in range(300)]
    decisions = spy.bridge.check_many(CLAIMS, "devices", [*resources[:150], {**bad, "id": "bad"}, *resources[150:]])
    assert [decision.reason for decision in decisions] == ["matched"] * 301
    assert len(spy.sent) == 1
    assert len(spy.sent[0]) < 301 * 60
    spy.sent.clear()
    spy.bridge.push("devices", [*resources, {**bad, "id": "bad"}])
    listing = spy.bridge.list_allowed(CLAIMS, "devices", limit=1_000)
    assert sorted(listing.ids) == sorted(["bad", *(one["id"] for one in resources)])
    assert sum(map(len, spy.sent)) < 301 * 60 + 1_000


def test_many_questions_about_many_constraints_are_for_the_reference(spy):
    """Wasm takes some 10 us for each, ten times as long as the reference."""
    for count, engine in ((23, "wasm"), (24, "reference"), (25, "reference")):
        claims = demanding(dict.fromkeys(plain(count), 1))
        requests = [request_for(claims, "devices", device({})) for _ in range(3)]
        assert {decision.engine for decision in spy.engine.decide(requests)} == {engine}
        assert {decision.engine for decision in spy.engine.decide(requests[:1])} == {"wasm"}


@pytest.fixture
def parsed(monkeypatch):
    """How long each text is that is parsed in order to trim it or to decide on it here."""
    lengths = []
    parse_canonical = wasm_trimming.parse_canonical
    monkeypatch.setattr(
        wasm_trimming, "parse_canonical", lambda text: (lengths.append(len(text)), parse_canonical(text))[1]
    )
    return lengths


def test_claims_that_many_share_are_parsed_once(spy, parsed):
    claims = demanding(dict.fromkeys(plain(3_000), 1))
    requests = [
        request_for(claims, "devices", {**DEVICE, "more": LONG})._replace(claims=encode(claims)) for _ in range(50)
    ]
    assert len(spy.engine.decide(requests)) == 50
    assert parsed.count(len(requests[0].claims)) == 1


def test_a_resource_that_is_heavy_even_trimmed_is_parsed_once(spy, parsed):
    request = request_for(CLAIMS, "devices", device({"user_id": LONG}))
    assert [one.engine for one in spy.engine.decide([request])] == ["reference"]
    assert parsed.count(len(request.resource)) == 1


# What Wasm does with what it is sent, in instructions.


@pytest.fixture(scope="module")
def meter():
    with pytest.MonkeyPatch.context() as patch:
        yield Meter(patch)


@pytest.mark.parametrize("shape", shapes(), ids=lambda shape: shape.name)
def test_a_question_made_to_be_costly_takes_no_more_than_50_times_a_plain_one(spy, meter, shape):
    made, plainly = shape.requests(), shape.plain()
    decisions = spy.engine.decide(made)
    assert [one.as_dict() for one in decisions] == [one.as_dict() for one in holding(ReferenceEngine()).decide(made)]
    assert sum(map(meter.instructions, spy.sent)) <= MOST * meter.instructions(input_for(plainly))


def test_pointers_are_escaped_in_linear_time(meter):
    """60,000 `~` took 3 s."""
    for character in ("~", "/", "~/", "a"):
        short, long = (
            meter.instructions(request_for(demanding({character * count: 1}), "devices", device()).text, "decision")
            for count in (1_000, 16_000)
        )
        assert long < 20 * short, character


def test_names_of_one_hash_cost_their_square_where_nothing_is_trimmed(meter):
    """That the names are what they are said to be: what all of this is about."""
    bad, good = (
        meter.instructions(request_for({}, "devices", device(dict.fromkeys(names, 1))).text)
        for names in (colliding(30_000)[:3_000], plain(3_000, 15))
    )
    assert bad > 50 * good
