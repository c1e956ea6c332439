"""Pushed resources: where they come from, what is refused, and where they are kept."""

from bridge.resources.memory import MemoryStore
from bridge.resources.opa_compare import Counted
from bridge.resources.opa_store import OpaStore
from bridge.resources.push import PushReport, push
from bridge.resources.source import Collected, Refusal, from_lines, from_objects
from bridge.resources.store import Changed, Store, is_revision
from bridge.resources.sync import SyncReport, sync

__all__ = [
    "Changed",
    "Collected",
    "Counted",
    "MemoryStore",
    "OpaStore",
    "PushReport",
    "Refusal",
    "Store",
    "SyncReport",
    "from_lines",
    "from_objects",
    "is_revision",
    "push",
    "sync",
]
