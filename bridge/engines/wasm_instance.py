"""One instance of the rules' Wasm build, by OPA's Wasm ABI 1.2, and fast calls of its functions.

`wasmtime.Func` reads the function's type and boxes every number in each call: 50 us for the seven numbers of
`opa_eval`, which itself takes 8. The C API has an unchecked call, which takes the numbers as they are in memory.
wasmtime's Python package has a binding for it, but does not promise to keep it. So it is used only if it was tried with
this release, and only if it does the same as the public call on a small module. Otherwise the public call is used.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from struct import Struct
from typing import Any, Final

import wasmtime

from bridge.errors import EngineError

TICK_SECONDS: Final = 0.1
"""The interval of the clock that ends evaluations."""

_PAGE: Final = 65_536
_FIRST_PAGES: Final = 16
_MOST_PAGES: Final = 16_384  # 1 GiB: far more than any input needs
_SETTING_UP_TICKS: Final = 600
_READ: Final = 4_096
_EVAL_NUMBERS: Final = 7
_NO_DATA: Final = b"{}"

KNOWN_RELEASES: Final = range(46, 51)
"""The major releases of wasmtime with a tried unchecked call."""

_TRIAL: Final = """
(module
  (func (export "mix") (param i32 i32 i32) (result i32)
    (i32.sub (i32.mul (i32.sub (i32.mul (local.get 0) (i32.const 31)) (local.get 1)) (i32.const 31)) (local.get 2)))
  (func (export "trap") (param i32 i32 i32) (result i32) unreachable))
"""
_TRIAL_NUMBERS: Final = ((0, 0, 0), (1, 2, 3), (-7, 2**31 - 1, 5), (-(2**31), 11, -1))
_TRIAL_TICKS: Final = 600


class Instance:
    """One instance of the module with its memory; for one thread at a time.

    Args:
        engine: The engine that compiled the module.
        module: The compiled module.
        unchecked: Whether to use the unchecked call; only if `agrees` is true.

    Attributes:
        bytes: The size of its memory, which never shrinks.

    Raises:
        EngineError: The module is not a build of such rules.
    """

    def __init__(self, engine: wasmtime.Engine, module: wasmtime.Module, *, unchecked: bool) -> None:
        self._store = wasmtime.Store(engine)
        self._store.set_epoch_deadline(_SETTING_UP_TICKS)
        try:
            self._memory = wasmtime.Memory(self._store, wasmtime.MemoryType(wasmtime.Limits(_FIRST_PAGES, _MOST_PAGES)))
            linker = wasmtime.Linker(engine)
            linker.define(self._store, "env", "memory", self._memory)
            linker.define_unknown_imports_as_traps(module)  # the rules need no built-in of the host
            exports = linker.instantiate(self._store, module).exports(self._store)
            self._eval = caller(self._store, _function(exports, "opa_eval"), _EVAL_NUMBERS, unchecked=unchecked)
            names = _function(exports, "entrypoints")(self._store)
            text = _function(exports, "opa_json_dump")(self._store, names)
            self._map_memory()
            self._entrypoints: dict[str, int] = json.loads(self._text(text))
            # Data is an empty object, so that every path in it is undefined.
            data = _function(exports, "opa_malloc")(self._store, len(_NO_DATA))
            self._memory.write(self._store, _NO_DATA, data)
            self._data = _function(exports, "opa_json_parse")(self._store, data, len(_NO_DATA))
            self._heap: int = _function(exports, "opa_heap_ptr_get")(self._store)
            self._map_memory()
        except (wasmtime.WasmtimeError, wasmtime.Trap, KeyError, TypeError, ValueError) as error:
            raise EngineError(
                f"the Wasm module is not made of such rules: {error}; make one with `jwt-bridge render --wasm`"
            ) from None

    def evaluate(self, entrypoint: str, text: bytes, deadline: float) -> bytes:
        """Return the result set, as JSON text; trap soon after the deadline, in seconds."""
        number = self._entrypoints.get(entrypoint)
        if number is None:
            raise EngineError(
                f"the Wasm module has no entrypoint `{entrypoint}`: make one with `jwt-bridge render --wasm`"
            )
        start, size = self._heap, len(text)
        end = start + size
        missing = end + _PAGE - self.bytes
        if missing > 0:
            self._memory.grow(self._store, -(-missing // _PAGE))
            self._map_memory()
        self._view[start:end] = text
        self._store.set_epoch_deadline(math.ceil(deadline / TICK_SECONDS) + 1)
        # The scratch space begins after the input, at an address that is aligned for every type.
        address = self._eval(0, number, self._data, start, size, (end + 15) & ~15, 0)
        if self._memory.data_len(self._store) != self.bytes:
            self._map_memory()
        return self._text(address)

    def _map_memory(self) -> None:
        """Map the memory again: it may move when it grows."""
        self._view = memoryview(self._memory.get_buffer_ptr(self._store)).cast("B")
        self.bytes: int = len(self._view)

    def _text(self, address: int) -> bytes:
        """Return the text at an address, up to a NUL."""
        parts = []
        while address < self.bytes:
            part = self._view[address : address + _READ].tobytes()
            end = part.find(0)
            if end >= 0:
                parts.append(part[:end])
                return b"".join(parts)
            parts.append(part)
            address += _READ
        raise EngineError("the Wasm module gave a text without an end: make one with `jwt-bridge render --wasm`")


def _function(exports: Mapping[str, object], name: str) -> wasmtime.Func:
    function = exports[name]
    if not isinstance(function, wasmtime.Func):
        raise TypeError(f"its export `{name}` is not a function")
    return function


def caller(store: wasmtime.Store, function: wasmtime.Func, count: int, *, unchecked: bool) -> Callable[..., int]:
    """Return a callable for a function that takes so many integers of 32 bits and returns one.

    Args:
        store: The store of the function.
        function: The function.
        count: The number of integers that it takes, one or more.
        unchecked: Whether to use the unchecked call; only if `agrees` is true.

    Raises:
        TypeError: The function has another type, which an unchecked call would not notice.
    """
    type_, integer = function.type(store), wasmtime.ValType.i32()
    if type_.params != [integer] * count or type_.results != [integer]:
        raise TypeError(f"a function does not take {count} integers or does not give one")
    return _Unchecked(store, function, count) if unchecked else partial(function, store)


def agrees(engine: wasmtime.Engine) -> bool:
    """Return whether the unchecked call exists, and does the same as the public one on a small module."""
    try:
        if int(importlib.metadata.version("wasmtime").partition(".")[0]) not in KNOWN_RELEASES:
            return False
        store = wasmtime.Store(engine)
        store.set_epoch_deadline(_TRIAL_TICKS)
        exports = wasmtime.Instance(store, wasmtime.Module(engine, _TRIAL), []).exports(store)
        mix, trap = exports["mix"], exports["trap"]
        assert isinstance(mix, wasmtime.Func)
        assert isinstance(trap, wasmtime.Func)
        fast, slow = (caller(store, mix, 3, unchecked=unchecked) for unchecked in (True, False))
        return all(fast(*numbers) == slow(*numbers) for numbers in _TRIAL_NUMBERS) and _traps(
            caller(store, trap, 3, unchecked=True)
        )
    except (ImportError, AttributeError, TypeError, ValueError, wasmtime.WasmtimeError, ctypes.ArgumentError):
        return False


def _traps(call: Callable[..., int]) -> bool:
    try:
        call(1, 2, 3)
    except wasmtime.Trap as trap:
        return trap.trap_code is wasmtime.TrapCode.UNREACHABLE
    return False


class _Unchecked:
    """The unchecked call of one function; for one thread at a time, like its store."""

    __slots__ = ("_call", "_context", "_count", "_error", "_function", "_numbers", "_pack", "_store", "_trap")

    def __init__(self, store: wasmtime.Store, function: wasmtime.Func, count: int) -> None:
        from wasmtime import _bindings  # noqa: PLC0415 - it may be missing, and `agrees` notices that

        self._store = store  # the context lives as long as its store
        self._context: Any = store._context()  # noqa: SLF001 - as above
        self._function = ctypes.byref(function._func)  # noqa: SLF001
        self._call: Any = _bindings._wasmtime_func_call_unchecked  # noqa: SLF001
        self._trap: Any = ctypes.POINTER(_bindings.wasm_trap_t)
        self._count = count
        self._numbers = (_bindings.wasmtime_val_raw_t * count)()
        # Each number lies at the beginning of its union, which is as large as the largest of its members.
        padding = ctypes.sizeof(_bindings.wasmtime_val_raw_t) - 4
        self._pack = Struct("=" + f"i{padding}x" * count).pack_into

    def __call__(self, *numbers: int) -> int:
        self._pack(self._numbers, 0, *numbers)
        trap = self._trap()
        error = self._call(self._context, self._function, self._numbers, self._count, ctypes.byref(trap))
        if error:
            raise wasmtime.WasmtimeError._from_ptr(error)  # noqa: SLF001
        if trap:
            raise wasmtime.Trap._from_ptr(trap)  # noqa: SLF001
        result: int = self._numbers[0].i32
        return result
