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
from bridge.strict_json import ABSENT

VALUES = [
    lambda: Subject(b"{}"),
    lambda: Cursor("7", 0, "a"),
    Piece,
    lambda: PieceRequest(b"{}", b'"devices"', 0, 1),
    lambda: Demand(Failure("/id", "missing"), "a", ABSENT),
    lambda: Explanation(Decision(allow=True, reason=Reason.MATCHED), (), ABSENT),
    lambda: Listing(("a",), complete=True),
]


@pytest.mark.parametrize("make", VALUES)
def test_a_value_cannot_be_changed(make):
    value = make()
    for field in fields(value):
        with pytest.raises(FrozenInstanceError):
            setattr(value, field.name, None)
    assert not hasattr(value, "__dict__")
    assert value == make()
    assert hash(value) == hash(make())


def test_what_a_value_is_where_nobody_says():
    assert Piece() == Piece(None, False, (), 0, None)  # noqa: FBT003 - by place
    assert Listing((), complete=True) == Listing((), True, False, None, None, None)  # noqa: FBT003 - by place
    assert not Subject(b"{}").is_still_raw()
    assert Subject(b"{}") == Subject(b"{}", None, bool)
