"""The rules' Wasm build as a process has compiled it, and its idle instances."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from typing import Any, Final

import wasmtime

from bridge.engines import wasm_call
from bridge.engines.wasm_instance import TICK_SECONDS, Instance
from bridge.errors import EngineError, EngineTimeoutError, InvalidResponseError
from bridge.strict_json import parse

DEADLINE: Final = 10.0
"""Seconds that one evaluation may take, if not told."""

MOST_IDLE: Final = 32
"""How many idle instances are kept."""

KEPT_BYTES: Final = 2 * 1024 * 1024
"""The memory of the largest instance that is kept: memory never shrinks. All idle ones have 64 MiB at most."""


class Pool:
    """A compiled module and its idle instances, made anew in a forked child; threads may share it.

    Args:
        wasm: The build.
        deadline: Seconds that one evaluation may take.

    Raises:
        EngineError: It is no Wasm module.
    """

    def __init__(self, wasm: bytes, deadline: float = DEADLINE) -> None:
        self._wasm = wasm
        self._deadline = deadline
        self._compiled = Compiled(wasm)

    def evaluate(self, entrypoint: str, text: bytes) -> Any:
        """The value of an entrypoint for an input in canonical text."""
        return result_of(self.reply(entrypoint, text))

    def reply(self, entrypoint: str, text: bytes, deadline: float | None = None) -> bytes:
        """The result set of an entrypoint for an input in canonical text, as JSON text.

        Args:
            entrypoint: Its path.
            text: The input.
            deadline: Seconds that it may take, where it is to be less than the pool's own.

        Raises:
            EngineTimeoutError: It took longer.
            EngineError: It failed otherwise.
        """
        deadline = self._deadline if deadline is None else deadline
        compiled = self._compiled
        if compiled.pid != os.getpid():
            # Two threads of a child may both come here: each has a whole one, and the last one stays.
            compiled = self._compiled = Compiled(self._wasm)
        try:
            instance = compiled.idle.pop()  # atomic, and needs no lock that a fork could leave locked
        except IndexError:
            instance = compiled.instance()
        # An instance whose evaluation failed is never used again, nor is one that has grown large.
        try:
            reply = instance.evaluate(entrypoint, text, deadline)
        except wasmtime.Trap as error:
            if error.trap_code is wasmtime.TrapCode.INTERRUPT:
                raise EngineTimeoutError(f"the Wasm evaluation took longer than {deadline:g} s") from None
            raise EngineError(f"the Wasm evaluation failed: {_first_line(error)}") from None
        except wasmtime.WasmtimeError as error:
            raise EngineError(f"the Wasm evaluation failed: {_first_line(error)}") from None
        if instance.bytes <= KEPT_BYTES:
            compiled.idle.append(instance)
        return reply

    def close(self) -> None:
        """Let go of the idle instances."""
        self._compiled.idle.clear()


class Compiled:
    """The module as one process has compiled it; what belongs together is never exchanged apart."""

    def __init__(self, wasm: bytes) -> None:
        config = wasmtime.Config()
        # The threads of a parallel compilation are not there in a forked child, which would wait for them for ever.
        config.parallel_compilation = False
        config.epoch_interruption = True
        self.engine = wasmtime.Engine(config)
        try:
            self.module = wasmtime.Module(self.engine, wasm)
        except wasmtime.WasmtimeError as error:
            raise EngineError(f"the file is no Wasm module: {_first_line(error)}") from None
        self.unchecked = wasm_call.agrees(self.engine)
        # What is more than that drops the one that has been idle longest.
        self.idle: deque[Instance] = deque(maxlen=MOST_IDLE)
        self.pid = os.getpid()
        # Ticks for as long as this is there, so that an evaluation can be ended: see docs/decisions.
        threading.Thread(target=_tick, args=(weakref.ref(self),), daemon=True, name="wasm-clock").start()

    def instance(self) -> Instance:
        """A new instance."""
        return Instance(self.engine, self.module, unchecked=self.unchecked)


def result_of(reply: bytes) -> Any:
    """The one value in a result set.

    Raises:
        InvalidResponseError: There is none.
    """
    results = parse(reply, what="Wasm answer")
    if not isinstance(results, list) or len(results) != 1 or not isinstance(results[0], dict):
        raise InvalidResponseError("the Wasm evaluation gave no result")
    return results[0].get("result")


def _tick(compiled: weakref.ref[Compiled]) -> None:
    # Not by a reference to the engine itself: Python calls its `__del__`, which frees it, before it clears such a
    # reference, and a tick in between would be one of freed memory.
    while (alive := compiled()) is not None:
        alive.engine.increment_epoch()
        del alive
        time.sleep(TICK_SECONDS)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
