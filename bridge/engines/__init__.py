"""Ways to decide: one module each, behind the small protocol of `engine.Engine`."""

from bridge.engines.base import Engine
from bridge.engines.opa_engine import OpaEngine
from bridge.engines.reference_engine import ReferenceEngine
from bridge.engines.wasm_engine import WasmEngine

__all__ = ["Engine", "OpaEngine", "ReferenceEngine", "WasmEngine"]
