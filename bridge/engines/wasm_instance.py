"""One instance of the rules' Wasm build, by OPA's Wasm ABI 1.2."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final

import wasmtime

from bridge.engines import wasm_call
from bridge.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

TICK_SECONDS: Final = 0.1
"""How often the clock ticks that ends evaluations."""

_PAGE: Final = 65_536
_FIRST_PAGES: Final = 16
_MOST_PAGES: Final = 16_384  # 1 GiB: far more than anything that is sent needs
_SETTING_UP_TICKS: Final = 600
_READ: Final = 4_096
_EVAL_NUMBERS: Final = 7
_NO_DATA: Final = b"{}"


class Instance:
    """One instance of the module with its memory; for one thread at a time.

    Args:
        engine: The engine that compiled the module.
        module: The compiled module.
        unchecked: Whether to take the unchecked call (`wasm_call.agrees`).

    Attributes:
        bytes: The size of its memory, which never shrinks.

    Raises:
        EngineError: The module is not made of such rules.
    """

    def __init__(self, engine: wasmtime.Engine, module: wasmtime.Module, *, unchecked: bool) -> None:
        self._store = wasmtime.Store(engine)
        self._store.set_epoch_deadline(_SETTING_UP_TICKS)
        try:
            self._memory = wasmtime.Memory(self._store, wasmtime.MemoryType(wasmtime.Limits(_FIRST_PAGES, _MOST_PAGES)))
            linker = wasmtime.Linker(engine)
            linker.define(self._store, "env", "memory", self._memory)
            linker.define_unknown_imports_as_traps(module)  # the rules need no built-in of the host's
            exports = linker.instantiate(self._store, module).exports(self._store)
            self._eval = wasm_call.caller(
                self._store, _function(exports, "opa_eval"), _EVAL_NUMBERS, unchecked=unchecked
            )
            names = _function(exports, "entrypoints")(self._store)
            text = _function(exports, "opa_json_dump")(self._store, names)
            self._look()
            self._entrypoints: dict[str, int] = json.loads(self._text(text))
            # Data is an empty object, not nothing: what it is asked for is then undefined.
            data = _function(exports, "opa_malloc")(self._store, len(_NO_DATA))
            self._memory.write(self._store, _NO_DATA, data)
            self._data = _function(exports, "opa_json_parse")(self._store, data, len(_NO_DATA))
            self._heap: int = _function(exports, "opa_heap_ptr_get")(self._store)
            self._look()
        except (wasmtime.WasmtimeError, wasmtime.Trap, KeyError, TypeError, ValueError) as error:
            raise EngineError(f"the Wasm module is not made of such rules: {error}") from None

    def evaluate(self, entrypoint: str, text: bytes, deadline: float) -> bytes:
        """The result set, as JSON text; it traps soon after the deadline, in seconds."""
        number = self._entrypoints.get(entrypoint)
        if number is None:
            raise EngineError(f"the Wasm module has no entrypoint `{entrypoint}`")
        start, size = self._heap, len(text)
        end = start + size
        missing = end + _PAGE - self.bytes
        if missing > 0:
            self._memory.grow(self._store, -(-missing // _PAGE))
            self._look()
        self._view[start:end] = text
        self._store.set_epoch_deadline(math.ceil(deadline / TICK_SECONDS) + 1)
        # The scratch space begins behind the input, on an address that any type may have.
        address = self._eval(0, number, self._data, start, size, (end + 15) & ~15, 0)
        if self._memory.data_len(self._store) != self.bytes:
            self._look()
        return self._text(address)

    def _look(self) -> None:
        """See the memory as it is now: where it grows, it may move."""
        self._view = memoryview(self._memory.get_buffer_ptr(self._store)).cast("B")
        self.bytes = len(self._view)

    def _text(self, address: int) -> bytes:
        """The text at an address, up to a NUL."""
        parts = []
        while address < self.bytes:
            part = self._view[address : address + _READ].tobytes()
            end = part.find(0)
            if end >= 0:
                parts.append(part[:end])
                return b"".join(parts)
            parts.append(part)
            address += _READ
        raise EngineError("the Wasm module gave a text without an end")


def _function(exports: Mapping[str, object], name: str) -> wasmtime.Func:
    found = exports[name]
    if not isinstance(found, wasmtime.Func):
        raise TypeError(f"its export `{name}` is no function")
    return found
