"""The queries to an OPA as steps: a batch that is too large goes in halves, and what is lost is waited for."""

from __future__ import annotations

import pytest

from bridge import OpaEngine, RuleSet, UsageError
from bridge.decision import Request
from bridge.engines.opa_queries import OpaCall
from bridge.engines.protocol import halves_after
from bridge.errors import OpaStatusError, ResourcesMissingError
from bridge.opa import OpaClient, QueryReply
from bridge.rendering import fingerprint
from bridge.steps import drive

OWN = fingerprint(RuleSet())
REQUESTS = [Request(b"{}", b'"devices"', resource=b'{"id":"d%d"}' % number) for number in range(5)]
UNRESTRICTED = {"allow": True, "reason": "unrestricted"}
TOO_LARGE = OpaStatusError("too large", status=413)
LIMIT_OF_OPA = OpaStatusError("too large", status=400, opa_message="request body too large")


@pytest.fixture
def engine():
    return OpaEngine("http://127.0.0.1:9")


class FakeOpa:
    """Responds to at most so many requests at once."""

    def __init__(self, most, refusal=TOO_LARGE):
        self.most = most
        self.refusal = refusal
        self.sizes = []

    def ask(self, call):
        assert isinstance(call, OpaCall)
        body, nonce = call.query.fresh()
        count = body.count(b'"id":')
        self.sizes.append(count)
        if count > self.most:
            raise self.refusal
        result = {"fingerprint": OWN, "nonce": nonce, "current": {}, "decisions": [UNRESTRICTED] * count}
        return QueryReply(result, None, "1.22.4", {}, nonce)


@pytest.mark.parametrize(("count", "sizes"), [(2, (1, 1)), (3, (1, 2)), (4, (2, 2)), (5, (2, 3))])
def test_the_halves_of_a_batch(count, sizes):
    for refused in (TOO_LARGE, LIMIT_OF_OPA):
        first, second = halves_after(refused, REQUESTS[:count])
        assert (len(first), len(second)) == sizes
        assert [*first, *second] == REQUESTS[:count]


def test_nothing_else_is_halved():
    assert halves_after(TOO_LARGE, REQUESTS[:1]) is None
    for refused in (OpaStatusError("no", status=400), OpaStatusError("no", status=500)):
        assert halves_after(refused, REQUESTS) is None


def test_a_batch_that_is_too_large_goes_in_halves_and_later_ones_are_smaller(engine):
    opa = FakeOpa(2)
    decisions = drive(engine._decide(REQUESTS), opa.ask)
    assert opa.sizes == [5, 2, 3, 1, 2]
    assert [decision.allow for decision in decisions] == [True] * 5
    assert engine.batch_bytes == sum(request.size for request in REQUESTS[2:]) // 2


def test_a_single_request_that_is_too_large_is_an_error(engine):
    opa = FakeOpa(0)
    with pytest.raises(OpaStatusError) as caught:
        drive(engine._decide(REQUESTS[:2]), opa.ask)
    assert caught.value is TOO_LARGE
    assert opa.sizes == [2, 1]


def test_no_requests_ask_nothing(engine):
    assert drive(engine._decide([]), None) == []


@pytest.mark.parametrize(("max_body", "most"), [(1024 * 1024, 1024 * 1024), (64 * 1024 * 1024, 16 * 1024 * 1024)])
def test_a_batch_has_at_most_16_mib(max_body, most):
    assert OpaEngine(OpaClient("http://127.0.0.1:9", max_body=max_body)).batch_bytes == most


def test_without_sources_nothing_is_waited_for(engine):
    assert (engine.name, engine.recovery, engine.deadline) == ("opa", None, engine.opa.deadline)
    with pytest.raises(UsageError, match="no sources to restore from: give it `sources`"):
        engine._required_recovery()
    calls = []

    def lost(call):
        calls.append(call)
        raise ResourcesMissingError("lost")

    with pytest.raises(ResourcesMissingError, match=r"^lost$"):
        drive(engine._decide(REQUESTS), lost)
    assert [call.deadline for call in calls] == [None]
