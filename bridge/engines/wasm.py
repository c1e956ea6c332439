"""The rules' Wasm build, run in this process.

`wasmtime` is used directly: see docs/decisions/wasm-in-process.md.
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
import weakref
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import wasmtime

from bridge.decision import Request
from bridge.engines import wasm_call
from bridge.engines.answer import input_for, read_answer
from bridge.engines.in_process import piece_of
from bridge.errors import BadAnswer, DeadlineExceeded, EngineFault, InvalidSetting
from bridge.rendering import RuleSet, entrypoints, fingerprint, prebuilt_wasm
from bridge.resources import MemoryStore
from bridge.strict_json import Repeated, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bridge.decision import Decision
    from bridge.engines.piece import Piece, PieceRequest
    from bridge.strict_json import Value

_PAGE: Final = 65_536
_FIRST_PAGES: Final = 16
_MOST_PAGES: Final = 16_384  # 1 GiB: some hundred times what the largest request of R12 needs
_KEPT_BYTES: Final = 32 * 1024 * 1024  # memory never shrinks, so an instance that has grown beyond it is not kept
_TICK_SECONDS: Final = 0.1
_SETTING_UP_TICKS: Final = 600
_READ: Final = 4_096
_EVAL_NUMBERS: Final = 7
_DAY: Final = 86_400
_DEADLINE: Final = 10.0
_NO_DATA: Final = b"{}"
_ANY: Final = Request(claims=None, type=None)


class WasmEngine:
    """Decides with the Wasm build of the rules: no server, the default.

    Threads may share one; each evaluation has an instance of its own. A forked child makes its own as well.

    Args:
        rule_set: The settings that the build was rendered for.
        wasm: The file of the build; by default one that comes with the package: for each `require_policy` and
            `versions`, where the other settings are the default ones.
        deadline: Seconds that one evaluation may take, to a tenth; a resource whose names were chosen to collide in
            OPA's Wasm objects can keep it busy for minutes.

    Raises:
        InvalidSetting: There is no build of these settings: `jwt-bridge render --wasm` makes one; or the rule set
            verifies raw tokens, which runs on an OPA server only.
        EngineFault: The file is no Wasm build of such rules.
        RulesDiffer: The build is of other settings, or of another release of the rules.
    """

    name = "wasm"
    batch_bytes = 4 * 1024 * 1024

    def __init__(
        self, rule_set: RuleSet | None = None, *, wasm: Path | None = None, deadline: float = _DEADLINE
    ) -> None:
        self.rule_set = rule_set or RuleSet()
        self.rule_set.refuse_token_checks(self.name)
        path = wasm or prebuilt_wasm(self.rule_set)
        if path is None:
            raise InvalidSetting(
                "no Wasm build of these settings comes with the package, only those of the default claim, resource "
                "types and roots: make one of yours with `jwt-bridge render --wasm`, and name its file"
            )
        self._fingerprint = fingerprint(self.rule_set)
        self._entrypoints = {path.rsplit("/", 1)[-1]: path for path in entrypoints(self.rule_set)}
        self._answer = self._entrypoints["answer"]
        self._store = MemoryStore(self.rule_set.policy.types)
        if not 0 < deadline <= _DAY:
            raise InvalidSetting("the deadline must be a number of seconds, more than 0 and at most a day")
        # Few replies are different, and a decision cannot be changed.
        self._decisions = Repeated(lambda reply: self._read(reply, 1)[0])
        try:
            self._policy = _Policy(path.read_bytes(), deadline)
        except OSError as error:
            raise InvalidSetting(f"the Wasm file `{path}` cannot be read: {(error.strerror or '').lower()}") from None
        self.install()

    @property
    def store(self) -> MemoryStore:
        """The pushed resources."""
        return self._store

    def decide(self, requests: Sequence[Request]) -> list[Decision]:
        """Exactly one decision for each request, in the same order.

        Raises:
            EngineFault: There is no decision for any of them.
        """
        if len(requests) == 1:
            return [self.explain(requests[0])[0]]
        if not requests:
            return []
        found = [self._store.find(request) for request in requests]
        asked = [_asked(request, text) for request, (text, _) in zip(requests, found, strict=True)]
        decisions = self._read(self._policy.reply(self._answer, input_for(asked)), len(asked))
        return [_of(decision, revision) for decision, (_, revision) in zip(decisions, found, strict=True)]

    def explain(self, request: Request) -> tuple[Decision, bytes | None]:
        """The decision, and the stored resource it is about, in canonical text, where it was asked by id and known.

        Raises:
            EngineFault: There is no decision.
        """
        text, revision = self._store.find(request)
        reply = self._policy.reply(self._answer, _asked(request, text).text)
        decision = self._decisions(reply)
        if decision is None:
            [decision] = self._read(reply, 1)
        return _of(decision, revision), text

    def piece(self, request: PieceRequest) -> Piece:
        """A piece of a list.

        Raises:
            EngineFault: There is no list.
        """
        return piece_of(request, self.decide, self._store, self.rule_set.policy)

    def query(self, entrypoint: str, input_: bytes) -> Value:
        """What a public entrypoint, such as `decision`, is for an input in canonical text; nothing is stored there.

        Raises:
            EngineFault: There is no answer.
        """
        value: Value = self._policy.evaluate(self._entrypoints[entrypoint], input_)
        return value

    def install(self) -> None:
        """Nothing to install; make sure that the rules are those of the settings, and answer."""
        read_answer(self.query("answer", b"{}"), [_ANY], fingerprint=self._fingerprint, engine=self.name)

    def close(self) -> None:
        """Let go of the instances."""
        self._policy.close()

    def _read(self, reply: bytes, count: int) -> list[Decision]:
        return read_answer(result_of(reply), [_ANY] * count, fingerprint=self._fingerprint, engine=self.name)


def _asked(request: Request, stored: bytes | None) -> Request:
    """The request with the stored resource that it is about.

    That one was checked when it was pushed, and was looked up by the same type and id as the rules would.
    """
    return request if stored is None else request._replace(resource=stored)


def _of(decision: Decision, revision: str | None) -> Decision:
    return decision if revision is None else replace(decision, revision=revision)


class _Policy:
    """A compiled module and its idle instances, made anew in a forked child."""

    def __init__(self, wasm: bytes, deadline: float = _DEADLINE) -> None:
        self._wasm = wasm
        self._deadline = deadline
        self._compiled = _Compiled(wasm)

    def evaluate(self, entrypoint: str, text: bytes) -> Any:
        """The value of an entrypoint for an input in canonical text."""
        return result_of(self.reply(entrypoint, text))

    def reply(self, entrypoint: str, text: bytes) -> bytes:
        """The result set of an entrypoint for an input in canonical text, as JSON text."""
        compiled = self._compiled
        if compiled.pid != os.getpid():
            # Two threads of a child may both come here: each has a whole one, and the last one stays.
            compiled = self._compiled = _Compiled(self._wasm)
        try:
            instance = compiled.idle.pop()  # atomic, and needs no lock that a fork could leave locked
        except IndexError:
            instance = _Instance(compiled)
        # An instance whose evaluation failed is never used again, nor is one that has grown large.
        try:
            reply = instance.evaluate(entrypoint, text, self._deadline)
        except wasmtime.Trap as error:
            if error.trap_code is wasmtime.TrapCode.INTERRUPT:
                raise DeadlineExceeded(f"the Wasm evaluation took longer than {self._deadline:g} s") from None
            raise EngineFault(f"the Wasm evaluation failed: {_first_line(error)}") from None
        except wasmtime.WasmtimeError as error:
            raise EngineFault(f"the Wasm evaluation failed: {_first_line(error)}") from None
        if instance.bytes <= _KEPT_BYTES:
            compiled.idle.append(instance)
        return reply

    def close(self) -> None:
        self._compiled.idle.clear()


def result_of(reply: bytes) -> Any:
    """The one value in a result set."""
    results = parse(reply, what="Wasm answer")
    if not isinstance(results, list) or len(results) != 1 or not isinstance(results[0], dict):
        raise BadAnswer("the Wasm evaluation gave no result")
    return results[0].get("result")


class _Compiled:
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
            raise EngineFault(f"the file is no Wasm module: {_first_line(error)}") from None
        self.unchecked = wasm_call.agrees(self.engine)
        self.idle: deque[_Instance] = deque()
        self.pid = os.getpid()
        # Ticks for as long as the engine is there, so that an evaluation can be ended: see docs/decisions.
        threading.Thread(target=_tick, args=(weakref.ref(self.engine),), daemon=True, name="wasm-clock").start()


def _tick(engine: weakref.ref[wasmtime.Engine]) -> None:
    while (alive := engine()) is not None:
        alive.increment_epoch()
        del alive
        time.sleep(_TICK_SECONDS)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


class _Instance:
    """One instance of the module with its memory, by OPA's Wasm ABI 1.2; for one thread at a time."""

    def __init__(self, compiled: _Compiled) -> None:
        self._store = wasmtime.Store(compiled.engine)
        self._store.set_epoch_deadline(_SETTING_UP_TICKS)
        try:
            self._memory = wasmtime.Memory(self._store, wasmtime.MemoryType(wasmtime.Limits(_FIRST_PAGES, _MOST_PAGES)))
            linker = wasmtime.Linker(compiled.engine)
            linker.define(self._store, "env", "memory", self._memory)
            linker.define_unknown_imports_as_traps(compiled.module)  # the rules need no built-in of the host's
            exports = linker.instantiate(self._store, compiled.module).exports(self._store)
            self._eval = wasm_call.caller(
                self._store, _function(exports, "opa_eval"), _EVAL_NUMBERS, unchecked=compiled.unchecked
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
            raise EngineFault(f"the Wasm module is not made of such rules: {error}") from None

    def evaluate(self, entrypoint: str, text: bytes, deadline: float) -> bytes:
        """The result set, as JSON text; it traps soon after the deadline, in seconds."""
        number = self._entrypoints.get(entrypoint)
        if number is None:
            raise EngineFault(f"the Wasm module has no entrypoint `{entrypoint}`")
        start, size = self._heap, len(text)
        end = start + size
        missing = end + _PAGE - self.bytes
        if missing > 0:
            self._memory.grow(self._store, -(-missing // _PAGE))
            self._look()
        self._view[start:end] = text
        self._store.set_epoch_deadline(math.ceil(deadline / _TICK_SECONDS) + 1)
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
        raise EngineFault("the Wasm module gave a text without an end")


def _function(exports: Mapping[str, object], name: str) -> wasmtime.Func:
    found = exports[name]
    if not isinstance(found, wasmtime.Func):
        raise TypeError(f"its export `{name}` is no function")
    return found
