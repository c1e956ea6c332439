"""Errors: their texts, and that they survive a process boundary."""

from __future__ import annotations

import inspect
import pickle

import pytest

from bridge import errors
from bridge.decision import Decision, PartialResultError, Reason
from bridge.errors import (
    BridgeError,
    EngineTimeoutError,
    ForeignContentError,
    MalformedInputError,
    OpaStatusError,
    OwnedByBundleError,
    PushRejectedError,
)

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, BridgeError)]
KINDS.append(PartialResultError)


def an_error(kind):
    if kind is MalformedInputError:
        return kind("why", rule="R12.2", what="claims", line=2, column=3)
    if kind is OpaStatusError:
        return kind("why", status=400, opa_code="invalid", opa_message="no")
    if kind is PartialResultError:
        return kind(EngineTimeoutError("why"), (None,))
    if kind is OwnedByBundleError:
        return kind("why", "a bundle")
    return kind("why", ("line 1",)) if kind in (PushRejectedError, ForeignContentError) else kind("why")


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_pickling(kind):
    error = an_error(kind)
    error.add_note("what somebody has noted on its way")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), repr(vars(again))) == (kind, str(error), repr(vars(error)))


def test_a_partial_result_has_the_decisions_and_says_how_many():
    fault = EngineTimeoutError("why")
    decision = Decision(allow=True, reason=Reason.MATCHED)
    error = PartialResultError(fault, (decision, None, decision))
    assert str(error) == "only 2 of 3 were decided: why"
    assert error.fault is fault
    assert error.decisions == [decision, None, decision]
    assert error.code == "partial_result"
    error.decisions.pop()
    assert pickle.loads(pickle.dumps(error)).decisions == [decision, None]


def test_every_kind_has_a_code_of_its_own_and_stands_in_the_tree():
    assert len({kind.code for kind in KINDS}) == len(KINDS)
    assert all(kind.__name__ in errors.__doc__ for kind in KINDS)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MalformedInputError("why", rule="R12.2"), "why (R12.2)"),
        (MalformedInputError("why", rule="R12.2", line=1, column=2), "line 1, column 2: why (R12.2)"),
        (MalformedInputError("why", rule="R12.5", pointer="/a").named("claims"), "claims: at `/a`: why (R12.5)"),
        (MalformedInputError("why", rule="R12.6", what="claims", pointer=""), "claims: why (R12.6)"),
    ],
)
def test_malformed_input_says_where(error, text):
    assert str(error) == text
