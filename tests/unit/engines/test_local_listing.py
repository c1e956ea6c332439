"""Lists of what is held in this process, and what has no answer before a push."""

from __future__ import annotations

import pytest

from bridge import PolicySettings, ReferenceEngine, RuleSet, reference
from bridge.decision import Decision, Reason, Request
from bridge.engines.base import SCANNED, PageRequest, PageResponse
from bridge.engines.local_listing import local_pages, refuse_never_pushed
from bridge.errors import ConfigurationError, ResourcesMissingError
from bridge.rendering import TokenChecks
from bridge.store import MemoryStore
from bridge.store.layout import PAGE
from bridge.strict_json import encode, parse

TYPE = b'"devices"'


def device(id_, **custom_data):
    return {"id": id_, "custom_data": custom_data}


def texts(*resources):
    return {encode(each["id"]): encode(each) for each in resources}


class Listing:
    """Lists of some resources, and what the engine was asked meanwhile.

    Args:
        resources: What was pushed; None where nothing was.
        settings: What the engine decides by.
    """

    def __init__(self, *resources, settings=None):
        self.settings = settings or PolicySettings()
        self.store = MemoryStore(self.settings.types)
        self.revision = self.store.replace("devices", texts(*resources)) if resources != (None,) else None
        self.engine = ReferenceEngine(RuleSet(policy=self.settings))
        self.batches = []

    def decide(self, requests):
        self.batches.append([parse(request.resource) for request in requests])
        return self.engine.decide(requests)

    def list_pages(self, claims, page=0, pages=1_000, type_=TYPE):
        request = PageRequest(encode(claims), type_, page, pages)
        return local_pages(request, self.decide, self.store, self.settings)


def granting(**description):
    return {"policy": {"version": 2, "devices": description}}


ALL = [device(f"d{number:04}", n=number % 2, m=number % 3) for number in range(4 * PAGE + 1)]
IDS = [each["id"] for each in ALL]


def test_nothing_demanded_is_everything_without_a_question():
    listing = Listing(*ALL)
    for claims in ({}, granting(), granting(custom_data={})):
        piece = listing.list_pages(claims, page=1, pages=2)
        assert piece == PageResponse(None, True, [IDS[PAGE : 2 * PAGE], IDS[2 * PAGE : 3 * PAGE]], 5, listing.revision)  # noqa: FBT003
        assert listing.list_pages(claims, page=4).pages == [IDS[4 * PAGE :]]
        assert listing.list_pages(claims, page=5).pages == []
        assert listing.list_pages(claims, page=0, pages=0).pages == []
    assert all(batch == [{"id": "any"}] for batch in listing.batches)


def test_no_more_pages_than_are_looked_through_at_once():
    listing = Listing(*(device(f"d{number:05}") for number in range((SCANNED + 1) * PAGE)))
    assert len(listing.list_pages({}).pages) == SCANNED
    assert len(listing.list_pages({}, pages=SCANNED - 1).pages) == SCANNED - 1
    assert [len(page) for page in listing.list_pages({}, page=SCANNED).pages] == [PAGE]
    assert listing.list_pages({}).length == SCANNED + 1


def test_each_id_that_comes_into_question_is_decided_on():
    listing = Listing(*ALL)
    wanted = [each["id"] for each in ALL if each["custom_data"] == {"n": 0, "m": 1}]
    piece = listing.list_pages(granting(custom_data={"n": 0, "m": 1}))
    assert [id_ for page in piece.pages for id_ in page] == wanted
    assert (piece.everything, piece.revision, piece.decision) == (False, listing.revision, None)
    # The shorter of the two postings, page by page, without those that both have not.
    requested = [resource for resources in listing.batches[1:] for resource in resources]
    assert requested == [each for each in ALL if each["custom_data"]["m"] == 1]
    assert piece.length == len(listing.batches) - 1 == -(-len(requested) // PAGE)


def test_a_page_may_be_empty():
    odd = [device(f"d{number:04}", n=1, m=[number >= PAGE]) for number in range(2 * PAGE)]
    piece = Listing(*odd).list_pages(granting(custom_data={"n": 1, "m": [True]}))
    assert [len(page) for page in piece.pages][-1] == PAGE
    assert piece.length == len(piece.pages)


def test_a_demanded_id_is_the_only_one_asked_about():
    listing = Listing(device("d1", n=1), device("d2", n=1), device('"é', n=1))
    for id_, pages in (("d1", [["d1"]]), ("d3", []), ("", []), ('"é', [['"é']])):
        piece = listing.list_pages(granting(id=id_))
        assert (piece.pages, piece.length, piece.everything) == (pages, len(pages), False)
    assert listing.list_pages(granting(id="d1", custom_data={"n": 1})).pages == [["d1"]]
    assert listing.list_pages(granting(id="d1", custom_data={"n": 2})).pages == [[]]
    assert listing.batches[1] == [device("d1", n=1)]


def test_what_no_resource_has_is_on_no_page():
    piece = Listing(*ALL).list_pages(granting(custom_data={"n": 7}))
    assert (piece.pages, piece.length, piece.everything) == ([], 0, False)


def test_a_push_of_nothing_is_an_empty_list():
    listing = Listing()
    for claims, everything in (({}, True), (granting(custom_data={"n": 1}), False), (granting(id="d1"), False)):
        assert listing.list_pages(claims) == PageResponse(None, everything, [], 0, listing.revision)


@pytest.mark.parametrize(
    ("claims", "type_", "reason"),
    [
        ([], TYPE, "malformed_input"),
        ({}, b"7", "malformed_input"),
        ({}, b'"users"', "unknown_type"),
        ({"policy": None}, TYPE, "invalid_policy"),
        ({"policy": {"version": 2, "sessions": {}}}, TYPE, "type_not_granted"),
    ],
)
def test_a_denial_of_every_resource_is_told_before_any_is_looked_for(claims, type_, reason):
    for listing in (Listing(None), Listing(*ALL[:2])):
        piece = listing.list_pages(claims, type_=type_)
        assert piece == PageResponse(decision=piece.decision)
        assert (piece.decision.reason, piece.decision.engine) == (reason, "reference")
        assert len(listing.batches) == 1


FOR_ONE = {"unrestricted", "matched", "constraint_failed"}


@pytest.mark.parametrize("reason", sorted(set(Reason) - FOR_ONE))
def test_which_decisions_are_those_on_every_resource(reason):
    request = PageRequest(b"{}", TYPE, 0, 1)
    violations = reference.decide({"claims": {"policy": 1}, "type": "devices", "resource": {"id": "a"}}).violations
    denial = Decision(allow=False, reason=reason, violations=violations if reason == "invalid_policy" else ())
    assert local_pages(request, lambda _: [denial], MemoryStore(("devices",)), PolicySettings()).decision is denial


@pytest.mark.parametrize("claims", [{}, granting(), granting(id="d1"), granting(custom_data={"n": 1})])
def test_nothing_is_listed_before_a_push(claims):
    with pytest.raises(ResourcesMissingError, match="no resources of `devices` were ever pushed"):
        Listing(None).list_pages(claims)


def test_the_policy_is_that_of_the_settings():
    settings = PolicySettings(claim="p", types=("devices", "cars"), require_policy=True, versions=frozenset((2, 3)))
    listing = Listing(device("d1", n=1), device("d2", n=2), settings=settings)
    claims = {"p": {"version": 3, "devices": {"custom_data": {"n": 2}}, "cars": {}, "push": {}}, "policy": None}
    assert listing.list_pages(claims).pages == [["d2"]]
    assert listing.list_pages({"policy": {}}).decision.reason == "policy_required"


UNKNOWN = Decision(allow=False, reason=Reason.UNKNOWN_RESOURCE)
BY_ID = Request(b"{}", TYPE, id=b'"d1"')


def test_a_denial_that_says_only_that_nothing_was_pushed_is_none():
    with pytest.raises(ResourcesMissingError, match="no resources of `devices` were ever pushed"):
        refuse_never_pushed(BY_ID, UNKNOWN, None)


@pytest.mark.parametrize(
    ("request_", "decision", "revision"),
    [
        (BY_ID, UNKNOWN, "1"),
        (BY_ID, UNKNOWN, ""),
        (Request(b"{}", TYPE, resource=b"{}"), UNKNOWN, None),
        (BY_ID, Decision(allow=False, reason=Reason.UNKNOWN_TYPE), None),
        (BY_ID, Decision(allow=False, reason=Reason.MALFORMED_INPUT), None),
    ],
)
def test_other_denials_stand(request_, decision, revision):
    refuse_never_pushed(request_, decision, revision)


def test_the_reference_engine_has_the_settings_that_it_was_given():
    engine = ReferenceEngine()
    assert (engine.rule_set, engine.name, engine.batch_bytes) == (RuleSet(), "reference", 16_777_216)
    own = RuleSet(policy=PolicySettings(types=("cars",)))
    engine = ReferenceEngine(own)
    assert engine.rule_set is own
    engine.store.replace("cars", texts(device("c1", n=1)))
    engine.install()
    assert engine.list_pages(PageRequest(b"{}", b'"cars"', 0, 1)).pages == [["c1"]]
    assert parse(engine.explain(Request(b"{}", b'"cars"', id=b'"c1"'))[1]) == device("c1", n=1)
    engine.close()


def test_the_reference_engine_verifies_no_tokens():
    key = (
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
        "-----END PUBLIC KEY-----\n"
    )
    with pytest.raises(ConfigurationError, match="reference"):
        ReferenceEngine(RuleSet(token=TokenChecks(key, algorithms=("EdDSA",))))


def test_the_reference_engine_says_by_id_that_nothing_was_pushed():
    engine = ReferenceEngine()
    for ask in (engine.explain, lambda request: engine.decide([request])):
        with pytest.raises(ResourcesMissingError, match="`devices`"):
            ask(BY_ID)
    engine.store.replace("devices", {})
    assert engine.explain(BY_ID)[0].reason == "unknown_resource"


@pytest.mark.parametrize("wrong", [0, 1, 3])
def test_as_many_decisions_as_resources(wrong):
    listing = Listing(device("d1", n=1), device("d2", n=1))
    right = listing.decide

    def decide(requests):
        return right(requests) if len(requests) == 1 else right(requests[:1]) * wrong

    listing.decide = decide
    with pytest.raises(ValueError, match="zip"):
        listing.list_pages(granting(custom_data={"n": 1}))
