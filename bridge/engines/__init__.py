"""The engines: each decides in its own way, behind the small protocol `base.Engine`."""

from bridge.engines.base import Engine
from bridge.engines.opa_engine import OpaEngine
from bridge.engines.reference_engine import ReferenceEngine
from bridge.engines.wasm_engine import WasmEngine

__all__ = ["Engine", "OpaEngine", "ReferenceEngine", "WasmEngine"]
