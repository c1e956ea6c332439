"""Bridges with sources, for tests of what becomes of them."""

from __future__ import annotations

import threading
from contextlib import contextmanager

from clocks import Clock
from recovering_process import CLAIMS, RESOURCES

from bridge import OpaClient, OpaEngine, PolicyBridge

DEADLINE = 60
SAFETY = 60
TYPE = ("jwt_policy_data", "devices")


def engine_to(url, source=lambda: RESOURCES, *, deadline=DEADLINE, **settings):
    return OpaEngine(OpaClient(url, deadline=deadline), sources={"devices": source}, **settings)


@contextmanager
def bridge_to(url, source=lambda: RESOURCES, *, on_error="raise", **settings):
    with PolicyBridge(engine_to(url, source, **settings), on_error=on_error) as opened:
        yield opened


def check(bridge, id_="d1"):
    return bridge.check(CLAIMS, "devices", id_)


def with_clock(bridge):
    clock = bridge.engine.recovery.clock = Clock()
    return clock


class Source:
    """Gives resources, and counts its calls."""

    def __init__(self, resources=RESOURCES):
        self.resources = resources
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return self.resources


class BlockingSource:
    """Gives resources only when `may` is set, and counts its calls."""

    def __init__(self):
        self.calls = 0
        self.begun, self.may = threading.Event(), threading.Event()

    def __call__(self):
        self.calls += 1
        self.begun.set()
        assert self.may.wait(SAFETY)
        return RESOURCES


def let_it_end(source, recovery):
    source.may.set()
    recovery.last.thread.join(SAFETY)
    assert recovery.last.has_ended
