"""The Wasm engine's work, counted in instructions, so that no test depends on a machine's speed."""

from __future__ import annotations

from typing import Final

import wasmtime

from bridge.engines import wasm_instance, wasm_pool
from bridge.rendering import default_wasm

_FUEL: Final = 1 << 62


class _Config(wasmtime.Config):
    def __init__(self) -> None:
        super().__init__()
        self.consume_fuel = True


class _Store(wasmtime.Store):
    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self.set_fuel(_FUEL)


class Meter:
    """The default build, with instructions counted.

    Args:
        monkeypatch: What exchanges wasmtime's classes while the build is compiled and its one instance made.
    """

    def __init__(self, monkeypatch) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(wasm_pool.wasmtime, "Config", _Config)
            patch.setattr(wasm_instance.wasmtime, "Store", _Store)
            self._instance = wasm_pool.Compiled(default_wasm().read_bytes()).instance()

    def instructions(self, text: bytes, entrypoint: str = "answer") -> int:
        """How many instructions an evaluation takes."""
        before = self._instance._store.get_fuel()
        self._instance.evaluate(f"jwt_policy/{entrypoint}", text, 600)
        return before - self._instance._store.get_fuel()
