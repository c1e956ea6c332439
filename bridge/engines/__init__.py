"""Ways to decide: one module each, behind the small protocol of `engine.Engine`."""

from bridge.engines.engine import Engine
from bridge.engines.opa import OpaEngine
from bridge.engines.reference import ReferenceEngine
from bridge.engines.wasm import WasmEngine

__all__ = ["Engine", "OpaEngine", "ReferenceEngine", "WasmEngine"]
