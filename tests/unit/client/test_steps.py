"""Steps without I/O: both drivers ask what they yield, and the queries of a bridge say what to ask."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from bridge import Decision, MalformedInputError, PartialResultError, UsageError
from bridge.bearer import Bearer
from bridge.checks import OnError, check_many, fresh_decision
from bridge.decision import Failure, Reason, Request
from bridge.errors import EngineTimeoutError, StaleResourcesError
from bridge.explanation import explain
from bridge.steps import drive, drive_async
from bridge.strict_json import ABSENT

BEARER = Bearer(b'{"a":1}')
RAISE, DENY = OnError("e", denies=False), OnError("e", denies=True)
ALLOWED = Decision(allow=True, reason=Reason.MATCHED)
LATE = EngineTimeoutError("late")
LATE_DENIAL = Decision(allow=False, reason=Reason.ENGINE_UNAVAILABLE, engine="e", error="late")


def drive_in_a_loop(steps, ask):
    async def ask_later(query):
        await asyncio.sleep(0)
        return ask(query)

    return asyncio.run(drive_async(steps, ask_later))


@pytest.fixture(params=[drive, drive_in_a_loop], ids=["synchronous", "asynchronous"])
def run(request):
    return request.param


def adding(count):
    total = 0
    for number in range(count):
        try:
            total += yield number
        except EngineTimeoutError:
            total += 1_000
    return total


class TestDrivers:
    """The synchronous and the asynchronous driver."""

    @pytest.mark.parametrize(("count", "total"), [(0, 0), (1, 0), (4, 60)])
    def test_each_response_goes_to_the_step_that_asked(self, run, count, total):
        queries = []
        assert run(adding(count), lambda query: (queries.append(query), query * 10)[1]) == total
        assert queries == list(range(count))

    def test_an_error_of_the_engine_goes_to_the_step_and_the_steps_go_on(self, run):
        def ask(query):
            if query == 1:
                raise LATE
            return query

        assert run(adding(4), ask) == 1_005

    def test_an_error_that_the_steps_do_not_catch_is_raised(self, run):
        stale = StaleResourcesError("old")

        def ask(_query):
            raise stale

        with pytest.raises(StaleResourcesError) as caught:
            run(adding(2), ask)
        assert caught.value is stale

    def test_every_other_error_ends_the_steps(self, run):
        ended = []

        def steps():
            try:
                yield 1
            except Exception:  # noqa: BLE001 - none must come here
                ended.append("caught")
            finally:
                ended.append("ended")

        def ask(_query):
            raise LookupError

        with pytest.raises(LookupError):
            run(steps(), ask)
        gc.collect()
        assert ended == ["ended"]

    @pytest.mark.parametrize("driver", [drive], ids=["synchronous"])
    def test_the_end_of_an_iterator_in_the_engine_is_no_result(self, driver):
        def ask(_query):
            raise StopIteration(ALLOWED)

        with pytest.raises(StopIteration):
            driver(adding(1), ask)

    def test_an_error_that_was_handled_is_freed_at_once(self, run):
        class Error(EngineTimeoutError):
            pass

        seen = []

        def ask(_query):
            error = Error("late")
            seen.append(weakref.ref(error))
            try:
                raise error
            finally:
                del error

        gc.disable()
        try:
            assert run(adding(1), ask) == 1_000
            assert run is not drive or seen[0]() is None
        finally:
            gc.enable()


class TestCheckMany:
    """The steps of `check_many`."""

    def run(self, ask, values, *, on_error=RAISE, at_least=None, batch_bytes=10**6):
        return drive(check_many(BEARER, "devices", values, at_least, on_error, batch_bytes=batch_bytes), ask)

    def test_batches_are_asked_one_after_the_other(self):
        id_batches = []

        def ask(requests):
            id_batches.append([request.id for request in requests])
            return [Decision(allow=True, reason=Reason.MATCHED, decision_id=str(request.id)) for request in requests]

        decisions = self.run(ask, ["a", object(), "b", "c"], batch_bytes=1)
        assert id_batches == [[b'"a"'], [b'"b"'], [b'"c"']]
        assert [decision.reason for decision in decisions] == ["matched", "malformed_input", "matched", "matched"]
        id_batches.clear()
        assert len(self.run(ask, ["a", "b", "c"])) == 3
        assert id_batches == [[b'"a"', b'"b"', b'"c"']]

    def test_nothing_is_asked_about_nothing(self):
        assert self.run(None, []) == []

    def test_an_error_denies_its_batch_alone_if_errors_deny(self):
        def ask(requests):
            if requests[0].id == b'"b"':
                raise LATE
            return [ALLOWED]

        assert self.run(ask, ["a", "b", "c"], on_error=DENY, batch_bytes=1) == [ALLOWED, LATE_DENIAL, ALLOWED]
        with pytest.raises(PartialResultError) as caught:
            self.run(ask, ["a", "b", "c"], batch_bytes=1)
        assert caught.value.decisions == [ALLOWED, None, None]

    def test_older_resources_are_refused(self):
        old = Decision(allow=True, reason=Reason.MATCHED, revision="6")
        assert self.run(lambda _: [old], ["a"], at_least="6") == [old]
        with pytest.raises(StaleResourcesError, match=r"older than 7, which `at_least` demands: ask again later$"):
            self.run(lambda _: [old], ["a"], at_least="7")
        assert self.run(lambda _: [old], ["a"], at_least="7", on_error=DENY)[0].reason == "engine_unavailable"

    def test_older_resources_are_refused_beside_an_error_too(self):
        def ask(_requests):
            raise PartialResultError(LATE, (Decision(allow=True, reason=Reason.MATCHED, revision="6"), None))

        with pytest.raises(PartialResultError) as caught:
            self.run(ask, ["a", "b"], at_least="6")
        assert caught.value.fault is LATE
        with pytest.raises(StaleResourcesError):
            self.run(ask, ["a", "b"], at_least="7")

    @pytest.mark.parametrize("at_least", ["x", 7])
    def test_a_wrong_revision_is_refused_before_anything_is_asked(self, at_least):
        with pytest.raises(UsageError, match="`at_least` must be a revision: pass the `revision` of a push"):
            self.run(None, ["a"], at_least=at_least)


class TestSingle:
    """One check is no generator, because that would be slower."""

    @pytest.mark.parametrize(("revision", "oldest"), [(None, None), ("x", None), ("7", 7), ("8", 7)])
    def test_the_only_decision(self, revision, oldest):
        decision = Decision(allow=True, reason=Reason.MATCHED, revision=revision)
        assert fresh_decision(Request(b"{}", b'"devices"', id=b'"a"'), [decision], oldest) is decision

    def test_a_decision_on_older_resources_is_refused(self):
        decision = Decision(allow=True, reason=Reason.MATCHED, revision="6")
        with pytest.raises(StaleResourcesError, match="of revision 6, older than 7"):
            fresh_decision(Request(b"{}", b'"devices"', id=b'"a"'), [decision], 7)

    def test_an_error_is_itself_or_a_denial(self):
        assert DENY.denial(LATE) == LATE_DENIAL
        with pytest.raises(EngineTimeoutError) as caught:
            RAISE.denial(LATE)
        assert caught.value is LATE


class TestExplain:
    """The steps of `explain`."""

    def test_a_failure_has_what_the_policy_expects(self):
        bearer = Bearer(b'{"p":{"version":2,"devices":{"id":"d1"},"sessions":{"id":"s1"}}}')
        failed = Decision(False, Reason.CONSTRAINT_FAILED, failures=(Failure("/id", "different"),))  # noqa: FBT003 - by place
        explanation = drive(explain(bearer, "sessions", {"id": "s2"}, "p", RAISE), lambda _: (failed, None))
        assert [(one.failure, one.expected, one.actual) for one in explanation.failures] == [
            (Failure("/id", "different"), "s1", "s2")
        ]
        with pytest.raises(UsageError, match="neither true nor false"):
            bool(explanation)

    def run(self, ask, *, on_error=RAISE, type_="devices", value="a"):
        return drive(explain(BEARER, type_, value, "policy", on_error), ask)

    def test_the_request_and_the_stored_resource(self):
        requests = []
        explanation = self.run(lambda request: (requests.append(request), (ALLOWED, b'{"id":"a"}'))[1])
        assert requests == [Request(b'{"a":1}', b'"devices"', id=b'"a"')]
        assert (explanation.decision, explanation.failures, explanation.resource) == (ALLOWED, (), {"id": "a"})

    def test_an_error_is_itself_or_a_denial(self):
        def ask(_request):
            raise LATE

        with pytest.raises(EngineTimeoutError):
            self.run(ask)
        denied = self.run(ask, on_error=DENY)
        assert (denied.decision, denied.failures, denied.resource) == (LATE_DENIAL, (), ABSENT)

    def test_a_response_that_contradicts_itself_is_an_error_of_the_engine(self):
        denied = self.run(lambda _: (ALLOWED, b'{"id":"b"}'), on_error=DENY)
        assert (denied.decision.reason, denied.resource) == ("engine_unavailable", ABSENT)

    def test_a_malformed_type_or_resource_is_refused_before_anything_is_asked(self):
        for settings in ({"type_": ("devices",)}, {"value": {1}}):
            with pytest.raises(MalformedInputError):
                self.run(None, on_error=DENY, **settings)
