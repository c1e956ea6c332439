"""Recoveries of an OPA that is made up, for tests without one."""

from __future__ import annotations

import threading
from types import SimpleNamespace

from clocks import Clock

from bridge import OpaClient
from bridge.engines.recovery import Recovery
from bridge.errors import (
    ResourcesMissingError,
)

SAFETY = 60
LOST = ResourcesMissingError("nothing there")


class FakeEngine:
    """An engine whose OPA has the rules from the start, and the devices after `restore`."""

    def __init__(self):
        self.has_devices = False
        self.brought = []
        self.clients = []
        self.store = SimpleNamespace(look=self.look, restore=self.restore, require_one=lambda: None)

    def __call__(self, client):
        self.clients.append(client)
        return self

    def decide(self, requests):
        assert [(request.claims, request.type) for request in requests] == [(None, None)]

    def look(self, type_):
        assert type_ == "devices"
        return SimpleNamespace(current="g1" if self.has_devices else None)

    def restore(self, type_, collect, *, patience, limits):
        self.brought.append((type_, collect(), patience, limits))
        self.has_devices = True


class BlockingSourceWithOutcome:
    """Waits until `may` is set, then calls `then` and keeps in `outcome` what that returned or raised."""

    def __init__(self, then=lambda: None):
        self.begun, self.may = threading.Event(), threading.Event()
        self.then = then
        self.outcome = None

    def __call__(self):
        self.begun.set()
        assert self.may.wait(SAFETY)
        try:
            self.outcome = self.then()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.outcome = error
        return [{"id": "d1"}]


def new_recovery(source=lambda: [{"id": "d1"}], *, engine=None, clock=None, deadline=5.0, **settings):
    return Recovery(
        engine or FakeEngine(),
        OpaClient("http://127.0.0.1:1", deadline=deadline),
        {"devices": source},
        ("devices", "users"),
        clock=clock or Clock(),
        **settings,
    )


def failing(error=None):
    def source():
        raise error or OSError("no")

    return source


def ended(run):
    run.wait(SAFETY)
    assert run.has_ended
    run.thread.join(SAFETY)
    return run
