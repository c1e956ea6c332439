"""Values that are shared, kept, or compared cannot be changed, and have no members but their own."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from bridge.bearer import Bearer
from bridge.checks import OnError
from bridge.decision import Decision, Failure, Reason
from bridge.engines.base import PageRequest, PageResponse
from bridge.explanation import ExplainedFailure, Explanation
from bridge.listing import Cursor, Listing
from bridge.store.integrity import IntegrityReport
from bridge.store.push_and_sync import PushReport, SyncReport
from bridge.store.state import CurrentGeneration, Lease, TypeState
from bridge.store.store import ChangeReport, StoreDifference
from bridge.strict_json import ABSENT

VALUES = [
    lambda: Bearer(b"{}"),
    lambda: OnError("opa", denies=True),
    lambda: Cursor("7", 0, "a"),
    PageResponse,
    lambda: PageRequest(b"{}", b'"devices"', 0, 1),
    lambda: ExplainedFailure(Failure("/id", "missing"), "a", ABSENT),
    lambda: Explanation(Decision(allow=True, reason=Reason.MATCHED), (), ABSENT),
    lambda: Listing(("a",), complete=True),
    lambda: IntegrityReport((), 1, "7"),
    lambda: ChangeReport(1, 0, 0, 0, 0, "7"),
    lambda: PushReport("devices", 1, 0, 1, 0, 0, (), "7"),
    lambda: SyncReport("devices", 1, 1, 0, 0, 1, False, (), "7"),  # noqa: FBT003 - by place
    lambda: CurrentGeneration("7", "g", "s", 1),
    lambda: Lease("m", "g"),
]
OF_MAPPINGS = [
    lambda: StoreDifference({b'"a"': b"{}"}, [], 1, 0),
    lambda: TypeState("s", None, "r0", {}, {}),
]


@pytest.mark.parametrize("make", [*VALUES, *OF_MAPPINGS])
def test_a_value_cannot_be_changed(make):
    value = make()
    for field in fields(value):
        with pytest.raises(FrozenInstanceError):
            setattr(value, field.name, None)
    assert not hasattr(value, "__dict__")
    assert value == make()


@pytest.mark.parametrize("make", VALUES)
def test_values_that_are_equal_have_one_hash(make):
    assert hash(make()) == hash(make())


def test_what_a_value_is_where_nobody_says():
    assert PageResponse() == PageResponse(None, False, (), 0, None)  # noqa: FBT003 - by place
    assert Listing((), complete=True) == Listing((), True, False, None, None, None)  # noqa: FBT003 - by place
    assert not Bearer(b"{}").is_still_raw()
    assert Bearer(b"{}") == Bearer(b"{}", None, bool)
    assert PushReport("devices", 1, 0, 1, 0, 0, (), "7").removed_as_rejected == ()
    assert SyncReport("devices", 1, 1, 0, 0, 1, False, (), "7").removed_as_rejected == ()  # noqa: FBT003 - by place
