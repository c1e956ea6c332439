"""The rules' Wasm build, compiled in this process, and its idle instances."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from typing import Any, Final

import wasmtime

from bridge.engines.codec import result_of
from bridge.engines.wasm_instance import TICK_SECONDS, Instance, agrees
from bridge.errors import EngineError, EngineTimeoutError

MOST_IDLE: Final = 32
"""The most idle instances."""

KEPT_BYTES: Final = 2 * 1024 * 1024
"""The most memory of an idle instance, for memory never shrinks: all idle ones together have at most 64 MiB."""


class Pool:
    """A compiled module and its idle instances, compiled again in a forked child; threads may share it.

    Args:
        wasm: The build.
        deadline: The most seconds of one evaluation.

    Raises:
        EngineError: It is not a Wasm module.
    """

    def __init__(self, wasm: bytes, deadline: float) -> None:
        self._wasm = wasm
        self._deadline = deadline
        self._compiled = Compiled(wasm)

    def evaluate(self, entrypoint: str, text: bytes) -> Any:
        """Return the value of an entrypoint for an input in canonical text."""
        return result_of(self.reply(entrypoint, text))

    def reply(self, entrypoint: str, text: bytes, deadline: float | None = None) -> bytes:
        """Return the result set of an entrypoint for an input in canonical text, as JSON text.

        Args:
            entrypoint: Its path.
            text: The input.
            deadline: The most seconds, in place of the pool's own.

        Raises:
            EngineTimeoutError: It took longer.
            EngineError: It failed otherwise.
        """
        deadline = self._deadline if deadline is None else deadline
        compiled = self._compiled
        if compiled.pid != os.getpid():
            # Two threads of a child may both do this: each has a complete one, and the last one stays.
            compiled = self._compiled = Compiled(self._wasm)
        try:
            instance = compiled.idle.pop()  # atomic, without a lock, which a fork could leave locked
        except IndexError:
            instance = compiled.instance()
        # An instance is not used again if its evaluation failed, or if its memory has grown large.
        try:
            reply = instance.evaluate(entrypoint, text, deadline)
        except wasmtime.Trap as error:
            if error.trap_code is wasmtime.TrapCode.INTERRUPT:
                raise EngineTimeoutError(
                    f"the Wasm evaluation took longer than {deadline:g} s: raise `WasmEngine(deadline=...)`"
                ) from None
            raise _failed(error) from None
        except wasmtime.WasmtimeError as error:
            raise _failed(error) from None
        if instance.bytes <= KEPT_BYTES:
            compiled.idle.append(instance)
        return reply

    def close(self) -> None:
        """Free the idle instances."""
        self._compiled.idle.clear()


class Compiled:
    """The module as one process has compiled it, with all that belongs to it, so that a fork replaces all at once."""

    def __init__(self, wasm: bytes) -> None:
        config = wasmtime.Config()
        # The threads of a parallel compilation do not exist in a forked child, which would hang.
        config.parallel_compilation = False
        config.epoch_interruption = True
        self.engine: wasmtime.Engine = wasmtime.Engine(config)
        try:
            self.module: wasmtime.Module = wasmtime.Module(self.engine, wasm)
        except wasmtime.WasmtimeError as error:
            raise EngineError(
                f"the file is no Wasm module: {_first_line(error)}; make one with `jwt-bridge render --wasm`"
            ) from None
        self.unchecked: bool = agrees(self.engine)
        # A full deque drops the instance that has been idle longest.
        self.idle: deque[Instance] = deque(maxlen=MOST_IDLE)
        self.pid: int = os.getpid()
        # It ticks while this object lives, so that an evaluation can be ended: see docs/decisions/wasm-in-process.md.
        threading.Thread(target=_tick, args=(weakref.ref(self),), daemon=True, name="wasm-clock").start()

    def instance(self) -> Instance:
        """Return a new instance."""
        return Instance(self.engine, self.module, unchecked=self.unchecked)


def _tick(compiled: weakref.ref[Compiled]) -> None:
    # No weak reference to the engine itself: Python calls its `__del__`, which frees it, before it clears such a
    # reference, and a tick in between would use freed memory.
    while (alive := compiled()) is not None:
        alive.engine.increment_epoch()
        del alive
        time.sleep(TICK_SECONDS)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _failed(error: Exception) -> EngineError:
    return EngineError(
        f"the Wasm evaluation failed: {_first_line(error)}; split the batch if it is large, or decide with `OpaEngine`"
    )
