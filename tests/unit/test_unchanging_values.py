"""Values that are shared, kept, or compared cannot be changed, and have no members but their own."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from bridge.asking import Subject
from bridge.cursor import Cursor
from bridge.decision import Decision, Failure, Reason
from bridge.engines.piece import Piece, PieceRequest
from bridge.explaining import Demand, Explanation
from bridge.listing import Listing
from bridge.resources.opa_compare import Counted
from bridge.resources.push import PushReport
from bridge.resources.state import Current, Mark, State
from bridge.resources.store import Changed, Difference
from bridge.resources.sync import SyncReport
from bridge.strict_json import ABSENT

VALUES = [
    lambda: Subject(b"{}"),
    lambda: Cursor("7", 0, "a"),
    Piece,
    lambda: PieceRequest(b"{}", b'"devices"', 0, 1),
    lambda: Demand(Failure("/id", "missing"), "a", ABSENT),
    lambda: Explanation(Decision(allow=True, reason=Reason.MATCHED), (), ABSENT),
    lambda: Listing(("a",), complete=True),
    lambda: Counted((), 1, "7"),
    lambda: Changed(1, 0, 0, 0, 0, "7"),
    lambda: PushReport("devices", 1, 0, 1, 0, 0, (), "7"),
    lambda: SyncReport("devices", 1, 1, 0, 0, 1, False, (), "7"),  # noqa: FBT003 - by place
    lambda: Current("7", "g", "s", 1),
    lambda: Mark("m", "g"),
]
OF_MAPPINGS = [
    lambda: Difference({b'"a"': b"{}"}, [], 1, 0),
    lambda: State("s", None, "r0", {}, {}),
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
    assert Piece() == Piece(None, False, (), 0, None)  # noqa: FBT003 - by place
    assert Listing((), complete=True) == Listing((), True, False, None, None, None)  # noqa: FBT003 - by place
    assert not Subject(b"{}").is_still_raw()
    assert Subject(b"{}") == Subject(b"{}", None, bool)
    assert PushReport("devices", 1, 0, 1, 0, 0, (), "7").removed_as_refused == ()
    assert SyncReport("devices", 1, 1, 0, 0, 1, False, (), "7").removed_as_refused == ()  # noqa: FBT003 - by place
