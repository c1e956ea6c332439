"""Pushed resources: where they come from, what is refused, and where they are kept."""

from bridge.resources.collected import Collected, Form, Refusal
from bridge.resources.memory import MemoryStore
from bridge.resources.omission import Omission
from bridge.resources.opa_compare import Counted
from bridge.resources.opa_store import OpaStore
from bridge.resources.origin import Source, collect, collected_from, with_omission
from bridge.resources.push import PushReport, push, refuse_invalid
from bridge.resources.source import from_lines, from_objects
from bridge.resources.store import Changed, Store, is_revision
from bridge.resources.stream import from_chunks, from_file
from bridge.resources.sync import SyncReport, sync

__all__ = [
    "Changed",
    "Collected",
    "Counted",
    "Form",
    "MemoryStore",
    "Omission",
    "OpaStore",
    "PushReport",
    "Refusal",
    "Source",
    "Store",
    "SyncReport",
    "collect",
    "collected_from",
    "from_chunks",
    "from_file",
    "from_lines",
    "from_objects",
    "is_revision",
    "push",
    "refuse_invalid",
    "sync",
    "with_omission",
]
