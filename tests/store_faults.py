"""Pushers and readers of an OPA's resources that tests stop at any moment."""

from __future__ import annotations

import contextlib
import threading

import pusher
from recounting import recounted, whole

from bridge import (
    EngineError,
    OpaClient,
    OpaEngine,
    PolicyBridge,
)
from bridge.store import from_objects

TYPE = ("jwt_policy_data", "devices")
RESOURCES = 150
ANYBODY: dict[str, object] = {}
GRANTED = {"policy": {"version": 2, "devices": {"custom_data": {"n": 1}}}}


@contextlib.contextmanager
def bridge_to(url, **settings):
    with PolicyBridge(OpaEngine(OpaClient(url, deadline=60)), **settings) as opened:
        yield opened


def device(id_, **custom_data):
    return {"id": id_, "custom_data": custom_data}


def document(bridge):
    return bridge.engine.opa.get_data(TYPE)


def size(number):
    return len(pusher.state(number, RESOURCES))


def replaced(bridge, number):
    """A push but for what it first compares; gives the revision."""
    return bridge.engine.store.replace("devices", from_objects(pusher.state(number, RESOURCES)).resources)


def stored(bridge):
    """The resources on an OPA, by id, once all about them was counted anew."""
    return whole(document(bridge))


def state_of(bridge):
    """Which state OPA is in, once its current generation was counted anew; there may be what a push has left."""
    stored_document = document(bridge)
    resources = recounted(stored_document["generations"][stored_document["state"]["current"]["generation"]])
    (number,) = {one["custom_data"]["state"] for one in resources.values()}
    assert list(resources.values()) != []
    assert resources == {one["id"]: one for one in pusher.state(number, RESOURCES)}
    return number


def restarted(opa, start_opa, rules):
    """An empty OPA at the address of one that is killed."""
    opa.kill()
    return start_opa([rules], port=opa.port)


class StoreReader(threading.Thread):
    """Reads without a pause, and notes what is neither the old state nor the new one.

    Args:
        url: Where the OPA is.
        look: Reads something; what it raises is noted as wrong, but for faults where they are allowed.
        faults: Whether faults of the engine are allowed.
    """

    def __init__(self, url, look, *, faults=False):
        super().__init__()
        self._bridge = PolicyBridge(OpaEngine(OpaClient(url, deadline=60)))
        self._look = look
        self._faults = faults
        self._over = threading.Event()
        self._progress = threading.Condition()
        self.reads = 0
        self.faults = []
        self.wrong = []

    def run(self):
        with self._bridge:
            while not self._over.is_set() and not self.wrong:
                try:
                    self._look(self._bridge)
                except EngineError as fault:
                    (self.faults if self._faults else self.wrong).append(fault)
                except BaseException as error:  # noqa: BLE001 - the test tells
                    self.wrong.append(error)
                with self._progress:
                    self.reads += 1
                    self._progress.notify_all()

    def wait_for(self, more):
        """Wait until it has read so many times more."""
        with self._progress:
            wanted = self.reads + more
            assert self._progress.wait_for(lambda: self.reads >= wanted or self.wrong, 60)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self.join()
        assert self.wrong == []
