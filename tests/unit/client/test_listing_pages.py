"""A list that is asked for in parts is the list that is asked for as a whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import PolicyBridge, ReferenceEngine

CLAIMS = [
    {},
    {"policy": {"version": 2, "devices": {}}},
    {"policy": {"version": 2, "devices": {"custom_data": {"half": 0}}}},
    {"policy": {"version": 2, "devices": {"custom_data": {"half": 0, "third": 1}}}},
    {"policy": {"version": 2, "devices": {"id": "d0001"}}},
    {"policy": {"version": 2, "devices": {"id": "none"}}},
]


@pytest.fixture(scope="module", params=[1, 2, 255, 256, 257, 512, 513, 1300])
def stored(request):
    bridge = PolicyBridge(ReferenceEngine())
    resources = [
        {"id": f"d{number:04}", "custom_data": {"half": number % 2, "third": number % 3}}
        for number in range(request.param)
    ]
    bridge.push("devices", resources)
    return bridge, resources


@pytest.mark.parametrize("claims", CLAIMS)
@settings(max_examples=15, deadline=None)
@given(limits=st.lists(st.sampled_from([1, 2, 3, 127, 128, 255, 256, 257, 511, 512, 513, 900, 2000]), min_size=1))
def test_parts_are_the_whole(stored, claims, limits):
    bridge, resources = stored
    wanted = [each["id"] for each in resources if bridge.check(claims, "devices", each).allow]
    ids, cursor, limit = [], None, 1000
    for turn in range(10_000):
        limit = limits[turn] if turn < len(limits) else max(limit, 100)
        part = bridge.list_allowed(claims, "devices", limit=limit, after=cursor)
        assert len(part.ids) <= limit
        assert part.complete == (part.cursor is None)
        assert part.complete or len(part.ids) == limit
        assert part.complete == (len(ids) + len(part.ids) == len(wanted))
        ids += part.ids
        assert ids == wanted[: len(ids)]
        cursor = part.cursor
        if part.complete:
            break
    assert ids == wanted
