"""Pushed resources: read them, check them, and keep them in a store."""

from bridge.store.integrity import IntegrityReport
from bridge.store.loader import LoadResult, Omission, RejectedResource, TextFormat
from bridge.store.memory_store import MemoryStore
from bridge.store.opa_store import OpaStore
from bridge.store.push_and_sync import PushReport, SyncReport, push, refuse_invalid, sync
from bridge.store.reader import from_chunks, from_file, from_lines
from bridge.store.sources import Source, collect, collected_from, from_objects, with_omission
from bridge.store.store import ChangeReport, Store, is_revision

__all__ = [
    "ChangeReport",
    "IntegrityReport",
    "LoadResult",
    "MemoryStore",
    "Omission",
    "OpaStore",
    "PushReport",
    "RejectedResource",
    "Source",
    "Store",
    "SyncReport",
    "TextFormat",
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
