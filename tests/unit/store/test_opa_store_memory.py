"""Pushes that will not fit into the memory of an OPA are told so before they begin."""

from __future__ import annotations

import logging

import pytest
from memory_opa import (
    Once,
    fails,
    ids,
)

from bridge.errors import EngineUnreachableError
from bridge.opa.replies import MemoryUsage
from bridge.store.store import prepare
from bridge.strict_json import encode


@pytest.mark.parametrize(
    ("used", "limit", "size", "warned"),
    [
        (100, 16_000_099, 1_000_000, True),
        (100, 16_000_100, 1_000_000, False),
        (100, 1, 999_999, False),
        (100, 20_000_000, 1_000_000, False),
        (100, 16_000_000, 1_000_100, True),
        (1_999_999, 3_000_000, 1_000_000, True),
        (100, None, 1_000_000, False),
        (20_000_000, 30_000_000, 1_000_000, True),
        (20_000_000, 36_000_000, 1_000_000, False),
    ],
)
def test_a_push_that_will_not_fit_is_told(opa, store, caplog, used, limit, size, warned):
    opa.metrics = MemoryUsage(used, limit)
    empty = len(encode({"id": "a", "text": ""}))
    resources = prepare({b'"a"': encode({"id": "a", "text": "x" * (size - empty)})})
    with caplog.at_level(logging.WARNING, "bridge"):
        store.replace("devices", resources)
    assert ids(opa) == ["a"]
    assert [record.getMessage() for record in caplog.records] == [
        f"pushing `devices` takes about {size * 16 // 1_000_000} MB of memory in OPA, which uses "
        f"{used // 1_000_000} MB of the {limit // 1_000_000} MB that it may (GOMEMLIMIT): it may become slow, or be "
        "killed"
        for _ in range(warned)
    ]


def test_metrics_that_cannot_be_had_are_no_reason_not_to_push(opa, store, caplog):
    opa.before = Once("METRICS", 1, fails(EngineUnreachableError("no metrics")))
    store.replace("devices", prepare({b'"a"': encode({"id": "a", "text": "x" * 1_000_000})}))
    assert ids(opa) == ["a"]
    opa.metrics = None
    store.replace("devices", prepare({b'"a"': encode({"id": "a", "text": "x" * 1_000_000})}))
    assert not caplog.records
