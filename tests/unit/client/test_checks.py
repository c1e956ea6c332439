"""Whose access is asked about, and many questions about one subject: parts, faults, and the decisions in order."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bridge import Decision, MalformedInputError, PartialResultError, StaticKey, TokenVerifier, UsageError
from bridge.bearer import Bearer, required_verifier, type_text
from bridge.checks import BatchCheck, OnError, batches, denies_on_error
from bridge.decision import Reason, Request
from bridge.errors import EngineTimeoutError, InvalidResponseError, StaleResourcesError

CLAIMS, TYPE = b'{"a":1}', b'"devices"'
SUBJECT = Bearer(CLAIMS)
LATE = EngineTimeoutError("late")
LATE_DENIAL = Decision(allow=False, reason=Reason.ENGINE_UNAVAILABLE, engine="e", error="late")
MALFORMED = object()


def decision(number, *, revision=None):
    """One that is told from others by its id."""
    return Decision(allow=True, reason=Reason.MATCHED, decision_id=str(number), revision=revision)


class TestSubject:
    """Claims in canonical text, and the token where it may speak for itself."""

    def test_claims_in_canonical_text(self):
        assert Bearer.of_claims({"b": 1.0, "a": "é"}) == Bearer('{"b":1,"a":"é"}'.encode())
        assert Bearer(CLAIMS).token is None

    def test_claims_are_bounded_as_r12_says(self):
        most = 65_536 - len('{"a":""}')
        assert len(Bearer.of_claims({"a": "x" * most}).claims) == 65_536
        with pytest.raises(MalformedInputError, match=r"^claims"):
            Bearer.of_claims({"a": "x" * (most + 1)})
        with pytest.raises(MalformedInputError, match=r"^claims.*/a"):
            Bearer.of_claims({"a": {1}})

    def test_who_derives_a_verifier_is_asked_by_verify(self):
        class Demanding(TokenVerifier):
            def verify(self, token):
                return {"token": token, "n": 1.0}

            def verified(self, _token):
                raise AssertionError

        verifier = Demanding(StaticKey.from_secret(bytes(range(64))), algorithms=("HS256",))
        assert Bearer.of("t", verifier, None).claims == b'{"token":"t","n":1}'

    def test_a_verified_token_has_its_text(self):
        calls = []

        verifier = TokenVerifier(StaticKey.from_secret(bytes(range(64))), algorithms=("HS256",))
        token = SimpleNamespace(text=b"{}", token="t.t.t")
        assert Bearer.of_verified(token, verifier, None) == Bearer(b"{}")
        raw = SimpleNamespace(
            refuse=lambda *arguments: calls.append(("refuse", *arguments)),
            may_go=lambda *arguments: calls.append(("may_go", *arguments)) or may[0],
        )
        may = [True]
        subject = Bearer.of_verified(token, verifier, raw)
        assert (subject.claims, subject.token) == (b"{}", b'"t.t.t"')
        assert calls == [("refuse", token, verifier), ("may_go", token, verifier)]
        assert subject.is_still_raw()
        may[0] = False
        assert not subject.is_still_raw()
        assert Bearer.of_verified(token, verifier, raw) == Bearer(b"{}")
        assert calls[2:] == [("may_go", token, verifier)] * 2 + [
            ("refuse", token, verifier),
            ("may_go", token, verifier),
        ]

    def test_a_token_is_verified_and_looked_at(self, monkeypatch):
        verifier = TokenVerifier(StaticKey.from_secret(bytes(range(64))), algorithms=("HS256",))
        seen = []

        def verified(_self, token):
            seen.append(token)
            return SimpleNamespace(text=b'{"v":1}', token=token)

        monkeypatch.setattr(TokenVerifier, "verified", verified)
        raw = SimpleNamespace(refuse=lambda token, by: seen.append((token.token, by)), may_go=lambda *_: True)
        subject = Bearer.of("t", verifier, raw)
        assert (subject.claims, subject.token, seen) == (b'{"v":1}', b'"t"', ["t", ("t", verifier)])
        assert Bearer.of("t", verifier, None).token is None

    def test_a_token_that_may_no_longer_go_is_replaced_by_its_claims(self):
        may = [True]
        subject = Bearer(CLAIMS, b'"t"', lambda: may[0])
        requests = [subject.request(TYPE, "d1"), subject.request(TYPE, {"id": "d2"})]
        assert subject.sendable(requests) is requests
        may[0] = False
        assert subject.sendable(requests) == [
            Request(CLAIMS, TYPE, id=b'"d1"'),
            Request(CLAIMS, TYPE, resource=b'{"id":"d2"}'),
        ]
        assert SUBJECT.sendable(requests) is requests

    def test_a_request_is_by_id_or_by_resource(self):
        assert SUBJECT.request(TYPE, "d1") == Request(CLAIMS, TYPE, id=b'"d1"')
        assert SUBJECT.request(TYPE, {"id": 1.0}) == Request(CLAIMS, TYPE, resource=b'{"id":1}')
        assert SUBJECT.request(TYPE, None) == Request(CLAIMS, TYPE, resource=b"null")
        raw = Bearer(CLAIMS, b'"t"')
        assert raw.request(TYPE, "d1") == Request(None, TYPE, id=b'"d1"', token=b'"t"')
        assert raw.request(TYPE, []) == Request(None, TYPE, resource=b"[]", token=b'"t"')

    def test_a_resource_is_bounded_and_an_id_is_not(self):
        huge = "x" * 1_048_576
        assert len(SUBJECT.request(TYPE, huge).id) == 1_048_578
        assert len(type_text(huge)) == 1_048_578
        assert len(SUBJECT.request(TYPE, {"id": huge[9:]}).resource) == 1_048_576
        with pytest.raises(MalformedInputError):
            SUBJECT.request(TYPE, {"id": huge[8:]})

    @pytest.mark.parametrize(("value", "what"), [("\ud800", "id"), ({"id": ()}, "resource")])
    def test_an_error_says_which_one(self, value, what):
        with pytest.raises(MalformedInputError, match=rf"^{what} 7\b"):
            SUBJECT.request(TYPE, value, " 7")
        with pytest.raises(MalformedInputError, match=rf"^{what}\b(?! 7)"):
            SUBJECT.request(TYPE, value)

    def test_a_type_is_named_in_its_error(self):
        assert type_text("é") == '"é"'.encode()
        with pytest.raises(MalformedInputError, match=r"^type"):
            type_text({1})


def several(values, *, denies=False, oldest=None, subject=SUBJECT):
    return BatchCheck(subject, "devices", values, on_error=OnError("e", denies=denies), oldest=oldest)


def resources(count):
    return [{"id": f"d{number}"} for number in range(count)]


class TestSeveral:
    """Parts are asked one after the other, and each is answered, or failed."""

    @pytest.mark.parametrize("values", ["d1", b"d1", {"id": "d1"}, None, 5])
    def test_one_is_not_several(self, values):
        with pytest.raises(UsageError, match="takes several"):
            several(values)

    def test_parts_have_their_places(self):
        batch = several([{"id": "d0"}, MALFORMED, "d2", {"id": "d3"}, MALFORMED, {"id": "d5"}])
        parts = list(batch.batches(60))
        assert [list(places) for places, _ in parts] == [[0, 2], [3, 5]]
        assert [request for _, requests in parts for request in requests] == [
            Request(CLAIMS, TYPE, resource=b'{"id":"d0"}'),
            Request(CLAIMS, TYPE, id=b'"d2"'),
            Request(CLAIMS, TYPE, resource=b'{"id":"d3"}'),
            Request(CLAIMS, TYPE, resource=b'{"id":"d5"}'),
        ]
        for places, _ in parts:
            batch.add(places, [decision(place) for place in places])
        decisions = batch.decisions()
        assert [one.decision_id for one in decisions] == ["0", None, "2", "3", None, "5"]
        assert [one.reason for one in (decisions[1], decisions[4])] == ["malformed_input"] * 2
        assert "resource 1" in decisions[1].error
        assert "resource 4" in decisions[4].error

    def test_each_part_has_its_own_places(self):
        batch = several([MALFORMED, *resources(4)])
        assert [list(places) for places, _ in batch.batches(1)] == [[1], [2], [3], [4]]

    def test_a_malformed_type_is_malformed(self):
        with pytest.raises(MalformedInputError, match=r"^type"):
            BatchCheck(SUBJECT, ("devices",), [], on_error=OnError("e", denies=False))

    def test_parts_go_as_they_may_go_now(self):
        may = iter([True, False])
        batch = several(resources(2), subject=Bearer(CLAIMS, b'"t"', lambda: next(may)))
        (_, first), (_, second) = batch.batches(1)
        assert (first[0].token, first[0].claims) == (b'"t"', None)
        assert (second[0].token, second[0].claims) == (None, CLAIMS)

    def test_as_many_decisions_as_questions(self):
        batch = several(resources(2))
        for wrong in ([decision(0)], [decision(0)] * 3):
            with pytest.raises(ValueError, match="zip"):
                batch.add([0, 1], wrong)

    def test_a_fault_before_any_decision_is_itself(self):
        with pytest.raises(EngineTimeoutError) as caught:
            several(resources(2)).fail([0], LATE)
        assert caught.value is LATE

    def test_a_fault_after_a_decision_keeps_it(self):
        batch = several(resources(3))
        batch.add([1], [decision(1)])
        with pytest.raises(PartialResultError) as caught:
            batch.fail([0], LATE)
        assert (caught.value.fault, caught.value.decisions) == (LATE, [None, decision(1), None])
        assert caught.value.__cause__ is LATE

    def test_a_fault_denies_its_part_where_faults_deny(self):
        batch = several(resources(3), denies=True)
        batch.fail([0, 2], LATE)
        batch.add([1], [decision(1)])
        assert batch.decisions() == [LATE_DENIAL, decision(1), LATE_DENIAL]
        assert OnError("e", denies=True).denial(LATE) == LATE_DENIAL

    def test_what_was_answered_beside_a_fault_is_kept(self):
        batch = several(resources(5))
        batch.fail([0, 1, 2], PartialResultError(LATE, (decision(0), None, decision(2))))
        batch.fail([3], PartialResultError(InvalidResponseError("later"), (None,)))
        batch.add([4], [decision(4)])
        with pytest.raises(PartialResultError) as caught:
            batch.decisions()
        assert (caught.value.fault, caught.value.__cause__) == (LATE, LATE)
        assert caught.value.decisions == [decision(0), None, decision(2), None, decision(4)]

    def test_as_many_answers_beside_a_fault_as_questions(self):
        for wrong in ((), (None,), (None, None, None)):
            with pytest.raises(ValueError, match="zip"):
                several(resources(2)).fail([0, 1], PartialResultError(LATE, wrong))

    def test_what_was_left_open_is_denied_where_faults_deny(self):
        batch = several(resources(3), denies=True)
        batch.fail([0, 1, 2], PartialResultError(LATE, (decision(0), None, decision(2))))
        assert batch.decisions() == [decision(0), LATE_DENIAL, decision(2)]

    def test_what_was_answered_beside_a_fault_is_not_older_than_was_asked_for(self):
        ids = ["d0", MALFORMED, "d1", "d2"]
        for denies in (False, True):
            batch = several(ids, denies=denies, oldest=7)
            batch.fail([0, 2, 3], PartialResultError(LATE, (None, decision(1, revision="7"), None)))
            batch = several(ids, denies=denies, oldest=8)
            stale = PartialResultError(LATE, (None, decision(1, revision="7"), decision(2, revision="8")))
            if denies:
                batch.fail([0, 2, 3], stale)
                reasons = [one.reason for one in batch.decisions()]
                assert reasons == ["engine_unavailable", "malformed_input", "engine_unavailable", "engine_unavailable"]
                assert "older than 8" in batch.decisions()[2].error
            else:
                batch.add([0], [decision(0, revision="8")])
                with pytest.raises(PartialResultError) as caught:
                    batch.fail([0, 2, 3], stale)
                assert isinstance(caught.value.fault, StaleResourcesError)

    def test_a_stale_part_is_not_noted_as_left_open(self):
        batch = several(["d0"], oldest=8, denies=True)
        batch.fail([0], PartialResultError(LATE, (decision(0, revision="7"),)))
        assert [one.reason for one in batch.decisions()] == ["engine_unavailable"]


class TestBatches:
    """Runs of at most 1,000 requests and of at most so many bytes, but of one at least."""

    def sizes(self, lengths, most):
        requests = [Request(b"", None, b"x" * length) for length in lengths]
        all_batches = list(batches(requests, most))
        assert [request for batch in all_batches for request in batch] == requests
        return [len(batch) for batch in all_batches]

    @pytest.mark.parametrize(
        ("lengths", "most", "sizes"),
        [
            ([], 1, []),
            ([9], 1, [1]),
            ([5, 5], 10, [2]),
            ([5, 6], 10, [1, 1]),
            ([5, 5, 1], 10, [2, 1]),
            ([5, 5, 5, 5, 5], 10, [2, 2, 1]),
            ([1, 100, 1, 1], 50, [1, 1, 2]),
            ([100, 1, 49, 1], 50, [1, 2, 1]),
            ([100, 100], 50, [1, 1]),
            ([1] * 1_000, 10**9, [1_000]),
            ([1] * 1_001, 10**9, [1_000, 1]),
            ([1] * 2_001, 10**9, [1_000, 1_000, 1]),
            ([40, 40, *[0] * 1_001], 50, [1, 1_000, 2]),
        ],
        ids=lambda value: str(value)[:20],
    )
    def test_runs(self, lengths, most, sizes):
        assert self.sizes(lengths, most) == sizes


def test_faults_raise_or_deny():
    assert denies_on_error("deny") is True
    assert denies_on_error("raise") is False
    for wrong in ("allow", "", None, True, "Deny"):
        with pytest.raises(UsageError, match='`on_error` must be "raise" or "deny": pass one of them'):
            denies_on_error(wrong)


def test_a_token_needs_a_verifier():
    verifier = TokenVerifier(StaticKey.from_secret(bytes(range(64))), algorithms=("HS256",))
    assert required_verifier(verifier) is verifier
    with pytest.raises(UsageError, match="has no verifier"):
        required_verifier(None)
