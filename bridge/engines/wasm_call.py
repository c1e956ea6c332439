"""Calls of a Wasm function of integers, without what wasmtime's public call does around each.

`wasmtime.Func` asks for the function's type and boxes every number at every call: 50 us for the seven numbers of
`opa_eval`, which itself takes 8. The C API has a call that takes the numbers as they lie in memory and asks nothing.
wasmtime's Python package binds it, but does not promise it, so it is taken only where the release is one that it was
tried with, and where it did on a small module what the public call does. Everywhere else the public call is taken.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
from functools import partial
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

import wasmtime

if TYPE_CHECKING:
    from collections.abc import Callable

KNOWN_RELEASES: Final = range(46, 51)
"""The major releases of wasmtime whose unchecked call was tried."""

_TRIAL: Final = """
(module
  (func (export "mix") (param i32 i32 i32) (result i32)
    (i32.sub (i32.mul (i32.sub (i32.mul (local.get 0) (i32.const 31)) (local.get 1)) (i32.const 31)) (local.get 2)))
  (func (export "trap") (param i32 i32 i32) (result i32) unreachable))
"""
_TRIAL_NUMBERS: Final = ((0, 0, 0), (1, 2, 3), (-7, 2**31 - 1, 5), (-(2**31), 11, -1))
_TRIAL_TICKS: Final = 600


def caller(store: wasmtime.Store, function: wasmtime.Func, count: int, *, unchecked: bool) -> Callable[..., int]:
    """What calls a function that takes so many integers of 32 bits and gives one.

    Args:
        store: The store that the function lives in.
        function: The function.
        count: How many integers it takes, one or more.
        unchecked: Whether to take the unchecked call: only where `agrees` is true.

    Raises:
        TypeError: The function takes or gives something else, which an unchecked call would not notice.
    """
    type_, integer = function.type(store), wasmtime.ValType.i32()
    if type_.params != [integer] * count or type_.results != [integer]:
        raise TypeError(f"a function does not take {count} integers or does not give one")
    return _Unchecked(store, function, count) if unchecked else partial(function, store)


def agrees(engine: wasmtime.Engine) -> bool:
    """Whether the unchecked call is there, and did the same as the public one on a module made for that."""
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
    """One function by the unchecked call; for one thread at a time, like the store that it lives in."""

    __slots__ = ("_call", "_context", "_count", "_error", "_function", "_numbers", "_pack", "_store", "_trap")

    def __init__(self, store: wasmtime.Store, function: wasmtime.Func, count: int) -> None:
        from wasmtime import _bindings  # noqa: PLC0415 - what may be missing is looked for where it is used

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
