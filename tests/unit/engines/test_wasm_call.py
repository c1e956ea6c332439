"""The Wasm engine's calls: the unchecked one does what the public one does, or is not taken; and its replies."""

from __future__ import annotations

import ctypes
import gc
import importlib.metadata
import threading

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st
from wasmtime import _bindings

from bridge import EngineError, PolicyBridge, WasmEngine
from bridge.decision import Request
from bridge.engines import wasm_engine, wasm_instance, wasm_pool
from bridge.engines.codec import result_of
from bridge.errors import InvalidResponseError
from bridge.strict_json import encode

CLAIMS = {"policy": {"version": 2, "devices": {"custom_data": {"user": "u1"}}}}
DEVICE = {"id": "d1", "custom_data": {"user": "u1"}}
BINDING = "_wasmtime_func_call_unchecked"
INTEGERS = st.integers(-(2**31), 2**31 - 1)
MODULE = """
(module
  (func (export "mix") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
    (local.get 0) (i32.const 31) (i32.mul) (local.get 1) (i32.sub)
    (i32.const 31) (i32.mul) (local.get 2) (i32.sub) (i32.const 31) (i32.mul) (local.get 3) (i32.sub)
    (i32.const 31) (i32.mul) (local.get 4) (i32.sub) (i32.const 31) (i32.mul) (local.get 5) (i32.sub)
    (i32.const 31) (i32.mul) (local.get 6) (i32.sub))
  (func (export "trap") (param i32) (result i32) (i32.div_s (local.get 0) (i32.const 0)))
  (func (export "long") (param i64) (result i32) (i32.const 1))
  (func (export "fraction") (param i32) (result f32) (f32.const 1))
  (func (export "two") (param i32) (result i32 i32) (i32.const 1) (i32.const 2))
  (func (export "none") (param i32)))
"""


class Trial:
    """The module in a store of its own."""

    def __init__(self):
        self.engine = wasmtime.Engine()
        self.store = wasmtime.Store(self.engine)
        module = wasmtime.Module(self.engine, MODULE)
        self.exports = wasmtime.Instance(self.store, module, []).exports(self.store)

    def caller(self, name, count, *, unchecked=True):
        return wasm_instance.caller(self.store, self.exports[name], count, unchecked=unchecked)


@pytest.fixture(scope="module")
def trial():
    return Trial()


@given(st.tuples(*[INTEGERS] * 7))
def test_the_unchecked_call_gives_what_the_public_one_gives(trial, numbers):
    assert trial.caller("mix", 7)(*numbers) == trial.caller("mix", 7, unchecked=False)(*numbers)


@pytest.mark.parametrize("unchecked", [True, False])
def test_a_trap_is_raised_with_its_code_each_time(trial, unchecked):
    for _ in range(3):
        with pytest.raises(wasmtime.Trap) as trap:
            trial.caller("trap", 1, unchecked=unchecked)(1)
        assert trap.value.trap_code is wasmtime.TrapCode.INTEGER_DIVISION_BY_ZERO


@pytest.mark.parametrize("unchecked", [True, False])
@pytest.mark.parametrize(
    ("name", "count"), [("mix", 6), ("mix", 8), ("long", 1), ("fraction", 1), ("two", 1), ("none", 1)]
)
def test_a_function_of_other_types_is_refused(trial, name, count, unchecked):
    with pytest.raises(TypeError, match=f"{count} integers"):
        trial.caller(name, count, unchecked=unchecked)


def test_this_release_of_wasmtime_is_known_and_its_binding_is_as_expected():
    """What the unchecked call stands on; where it fails after an upgrade, look at the C API before the list grows."""
    assert int(importlib.metadata.version("wasmtime").split(".")[0]) in wasm_instance.KNOWN_RELEASES
    assert ctypes.sizeof(_bindings.wasmtime_val_raw_t) == 16
    assert _bindings.wasmtime_val_raw_t.i32.offset == 0
    binding = getattr(_bindings, BINDING)
    assert binding.restype is ctypes.POINTER(_bindings.wasmtime_error_t)
    assert binding.argtypes == [
        ctypes.POINTER(_bindings.wasmtime_context_t),
        ctypes.POINTER(_bindings.wasmtime_func_t),
        ctypes.POINTER(_bindings.wasmtime_val_raw_t),
        ctypes.c_size_t,
        ctypes.POINTER(ctypes.POINTER(_bindings.wasm_trap_t)),
    ]
    assert WasmEngine()._pool._compiled.unchecked is True


def _of_another_release(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: f"{wasm_instance.KNOWN_RELEASES.stop}.0.0")


def _of_a_release_without_a_number(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "unknown")


def _without_metadata(monkeypatch):
    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)


def _without_the_binding(monkeypatch):
    monkeypatch.delattr(_bindings, BINDING)


def _with_a_binding_of_other_arguments(monkeypatch):
    monkeypatch.setattr(_bindings, BINDING, lambda: None)


def _with_a_binding_that_does_nothing(monkeypatch):
    monkeypatch.setattr(_bindings, BINDING, lambda *_arguments: None)


def _with_a_binding_that_drops_traps(monkeypatch):
    call = getattr(_bindings, BINDING)

    def without_traps(context, function, numbers, count, _trap):
        return call(context, function, numbers, count, ctypes.byref(ctypes.POINTER(_bindings.wasm_trap_t)()))

    monkeypatch.setattr(_bindings, BINDING, without_traps)


def _with_a_binding_that_gives_errors(monkeypatch):
    monkeypatch.setattr(
        _bindings, BINDING, lambda *_arguments: _bindings.wasmtime_error_new(ctypes.create_string_buffer(b"no"))
    )


@pytest.mark.parametrize(
    "change",
    [
        _of_another_release,
        _of_a_release_without_a_number,
        _without_metadata,
        _without_the_binding,
        _with_a_binding_of_other_arguments,
        _with_a_binding_that_does_nothing,
        _with_a_binding_that_drops_traps,
        _with_a_binding_that_gives_errors,
    ],
)
def test_where_the_unchecked_call_is_not_as_expected_the_public_one_decides(monkeypatch, change):
    change(monkeypatch)
    engine = WasmEngine()
    assert engine._pool._compiled.unchecked is False
    monkeypatch.undo()
    opened, fast = PolicyBridge(engine), PolicyBridge(WasmEngine())
    for resource in (DEVICE, {"id": "d2"}, {"id": ""}, {"id": "d1", "custom_data": {"user": "u2"}}):
        assert opened.check(CLAIMS, "devices", resource) == fast.check(CLAIMS, "devices", resource)


def test_the_memory_is_seen_as_it_is_after_it_has_grown():
    pool = WasmEngine()._pool
    small = Request(encode(CLAIMS), b'"devices"', encode(DEVICE)).text
    other = Request(encode(CLAIMS), b'"devices"', encode({"id": "d1", "custom_data": {"user": "u" * 900_000}})).text
    instance = pool._compiled.idle.pop()
    for _ in range(3):
        allowed = [
            result_of(instance.evaluate("jwt_policy/decision", text, 60))["allow"] for text in (other, small, other)
        ]
        assert allowed == [False, True, False]
    assert instance.bytes == instance._memory.data_len(instance._store) > 1_000_000


def test_an_instance_that_has_grown_large_is_not_kept(monkeypatch):
    engine = WasmEngine()
    compiled = engine._pool._compiled
    assert len(compiled.idle) == 1
    monkeypatch.setattr(wasm_pool, "KEPT_BYTES", compiled.idle[0].bytes)
    assert engine.decide([Request(encode(CLAIMS), b'"devices"', encode(DEVICE))])[0].allow
    assert len(compiled.idle) == 1
    monkeypatch.setattr(wasm_pool, "KEPT_BYTES", compiled.idle[0].bytes - 1)
    assert engine.decide([Request(encode(CLAIMS), b'"devices"', encode(DEVICE))])[0].allow
    assert len(compiled.idle) == 0


def test_idle_instances_are_bounded_in_number_and_in_bytes(monkeypatch):
    """A burst of 12 threads once left 12 instances of 27 MiB behind."""
    monkeypatch.setattr(wasm_pool, "MOST_IDLE", 3)
    pool = WasmEngine()._pool
    inside, evaluate = threading.Barrier(12), wasm_pool.Instance.evaluate

    def together(*arguments):
        inside.wait(60)
        return evaluate(*arguments)

    monkeypatch.setattr(wasm_pool.Instance, "evaluate", together)
    text = Request(encode(CLAIMS), b'"devices"', encode(DEVICE)).text
    threads = [threading.Thread(target=pool.reply, args=("jwt_policy/answer", text)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inside.n_waiting == 0
    assert len(pool._compiled.idle) == 3
    assert sum(instance.bytes for instance in pool._compiled.idle) <= 3 * wasm_pool.KEPT_BYTES


def test_a_text_that_does_not_end_is_a_fault():
    instance = WasmEngine()._pool._compiled.idle[0]
    instance._view[-5000:] = b"x" * 5000
    with pytest.raises(EngineError, match="without an end"):
        instance._text(instance.bytes - 5000)
    instance._view[-1:] = b"\0"
    assert instance._text(instance.bytes - 5000) == b"x" * 4999


# Replies


def engine_replying(monkeypatch, reply):
    engine = WasmEngine()
    monkeypatch.setattr(engine._pool, "reply", lambda _entrypoint, _text: reply)
    return engine


REQUESTS = [Request(encode(CLAIMS), b'"devices"', encode(DEVICE))]


def test_a_reply_that_comes_again_is_not_read_again(monkeypatch):
    opened = PolicyBridge(WasmEngine())
    first, again = (opened.check(CLAIMS, "devices", DEVICE) for _ in range(2))
    assert first == again
    monkeypatch.setattr(wasm_engine, "read_answer", None)
    assert opened.check(CLAIMS, "devices", {**DEVICE, "more": 1}) is again
    with pytest.raises(TypeError):
        opened.check(CLAIMS, "devices", {"id": "d2"})


@pytest.mark.parametrize(
    "reply", [b"[]", b"{}", b'[{"result":null}]', b"[{}]", b"[1]", b'[{"result":{}},{"result":{}}]']
)
def test_a_reply_that_is_no_answer_is_a_fault_each_time(monkeypatch, reply):
    engine = engine_replying(monkeypatch, reply)
    for _ in range(3):
        with pytest.raises(InvalidResponseError):
            engine.decide(REQUESTS)


def test_a_remembered_decision_has_the_revision_of_each_question():
    opened = PolicyBridge(WasmEngine())
    report = opened.push("devices", [DEVICE])
    decisions = [opened.check(CLAIMS, "devices", resource) for resource in (DEVICE, "d1") * 3]
    assert [one.allow for one in decisions] == [True] * 6
    assert [one.revision for one in decisions] == [None, report.revision] * 3
    again = opened.push("devices", [DEVICE])
    assert opened.check(CLAIMS, "devices", "d1").revision == again.revision != report.revision


def test_threads_get_their_own_decisions_from_remembered_replies():
    opened, start = PolicyBridge(WasmEngine()), threading.Barrier(8)
    wrong = []

    def ask(thread):
        start.wait()
        for number in range(100):
            user = f"u{(thread + number) % 3}"
            if opened.check(CLAIMS, "devices", {"id": "d", "custom_data": {"user": user}}).allow is not (user == "u1"):
                wrong.append(user)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_clock_never_reaches_an_engine_that_is_being_freed(monkeypatch):
    """Python runs `__del__`, which frees an engine, before it clears the weak references to it."""
    started, reached, close = [], [], wasmtime.Engine.close
    thread = threading.Thread

    def made(*args, **settings):
        if settings.get("name") == "wasm-clock":
            started.append(settings["args"][0])
        return thread(*args, **settings)

    def closed(freed):
        if id(freed) == own:  # others of earlier tests may go, too
            reached.append(started[0]())
        close(freed)

    monkeypatch.setattr(wasm_pool.threading, "Thread", made)
    monkeypatch.setattr(wasm_pool.time, "sleep", lambda _: threading.Event().wait(0.01))
    engine = WasmEngine()
    own = id(engine._pool._compiled.engine)
    monkeypatch.setattr(wasmtime.Engine, "close", closed)
    del engine
    for _ in range(1_000):
        if reached:
            break
        gc.collect()
        threading.Event().wait(0.01)
    assert reached == [None]
