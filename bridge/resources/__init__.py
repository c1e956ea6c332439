"""Pushed resources: where they come from, what is refused, and where they are kept."""

from bridge.resources.memory import MemoryStore
from bridge.resources.opa_store import OpaStore
from bridge.resources.push import PushReport, push
from bridge.resources.source import Collected, Refusal, from_lines, from_objects
from bridge.resources.store import Changed, Store

__all__ = [
    "Changed",
    "Collected",
    "MemoryStore",
    "OpaStore",
    "PushReport",
    "Refusal",
    "Store",
    "from_lines",
    "from_objects",
    "push",
]
