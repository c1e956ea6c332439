"""Judges Python mutants in forked children of a process that has everything in memory.

It runs as a separate process in a copy of the tree: `python -m mutation.python_worker warm|cold SETTINGS`. It reads one
request a line and writes one response a line.

A *warm* worker has imported the package and collected the judging tests. A child of it puts the mutated code into the
function in memory, so that every reference to the function has the mutant, and runs the tests that reach the
function, the quickest first, until one fails. A *cold* worker has imported neither: a child of it imports the package
with the mutated module and collects the tests anew. That is for what runs when a module is imported: constants, tables,
regular expressions, classes, decorators, default values.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import select
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType, FrameType, FunctionType

PACKAGE: Final = "bridge"
ARGUMENTS: Final = (
    "-o",
    "addopts=--import-mode=importlib",
    "--confcutdir=tests/unit",  # without tests/conftest.py, which needs an OPA
    "--assert=plain",  # the reason of a failure is not needed, and costs more than most tests
    "-p",
    "no:cacheprovider",
    "-p",
    "no:terminal",
)
_MEMORY: Final = 2 * 2**30
_SPARE: Final = 4.0
_SLOWER: Final = 5
_LONGEST: Final = 120.0
_PASSED, _FAILED, _UNFIT = 0, 1, 9
_OUTCOMES: Final = {_PASSED: "survived", _FAILED: "killed", _UNFIT: "unfit"}


class _Tests:
    """The collected tests, and the order in which they run."""

    def __init__(self, items: Iterable[pytest.Item], skipped: list[str]) -> None:
        self.skipped = skipped
        self.items = {item.nodeid: item for item in items}
        self.seconds: dict[str, float] = {}
        self.reached: dict[str, set[str]] = {}
        self.killers: dict[str, None] = {}

    def order(self, function: str | None) -> list[str]:
        """Return the tests that reach the function, or all: the last killers first, then by time."""
        names = [name for name in self.items if function is None or name in self.reached.get(function, ())]
        names.sort(key=lambda name: self.seconds.get(name, 0.0))
        recent = [name for name in reversed(self.killers) if name in set(names)][:5]
        return [*recent, *(name for name in names if name not in recent)]

    def run(self, names: Iterable[str], after: Callable[[str, float], None]) -> str | None:
        """Return the first test that fails, or None."""
        for name in names:
            item = self.items[name]
            began = time.perf_counter()
            # There is no handler for the signal: it ends the process at any point.
            signal.setitimer(signal.ITIMER_REAL, _SPARE + _SLOWER * self.seconds.get(name, _LONGEST))
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            if item.session.testsfailed:
                return name
            after(name, time.perf_counter() - began)
        signal.setitimer(signal.ITIMER_REAL, 0)
        return None


class _Loop:
    """A pytest plugin that calls `work` instead of running the tests."""

    def __init__(self, work: Callable[[_Tests], None]) -> None:
        self._work = work
        self.skipped: list[str] = []

    def pytest_configure(self, config: pytest.Config) -> None:
        config.option.tbstyle = "native"  # likewise

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped:
            self.skipped.append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed or not session.items:
            os._exit(_FAILED)  # the tests cannot even be collected
        self._work(_Tests(session.items, self.skipped))
        return True

    @pytest.fixture(scope="session")
    def opa_url(self) -> str:
        """Return an address that no OPA listens on: no test that judges Python needs one."""
        return "http://127.0.0.1:9"


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from its mutated text."""

    def __init__(self, name: str, path: Path, text: str) -> None:
        self._name, self._path, self._text = name, path, text

    def find_spec(self, fullname: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(
            fullname, self._path, loader=self, submodule_search_locations=self._below()
        )

    def _below(self) -> list[str] | None:
        return [str(self._path.parent)] if self._path.name == "__init__.py" else None

    def exec_module(self, module: Any) -> None:
        exec(compile(self._text, str(self._path), "exec", dont_inherit=True), module.__dict__)


def module_name(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _code(code: CodeType, qualname: str) -> CodeType | None:
    """Return the code of a function in its module's code."""
    for constant in code.co_consts:
        if hasattr(constant, "co_qualname"):
            if constant.co_qualname == qualname:
                return constant
            if qualname.startswith(constant.co_qualname + ".") and (inner := _code(constant, qualname)):
                return inner
    return None


def _function(module: object, qualname: str) -> FunctionType | None:
    """Return the function in memory, without its decorators."""
    member: Any = module
    for name in qualname.split("."):
        member = vars(member).get(name)
        if member is None:
            return None
    if isinstance(member, property):
        member = member.fget
    member = getattr(member, "__func__", member)
    while hasattr(member, "__wrapped__"):
        member = member.__wrapped__
    return member if hasattr(member, "__code__") else None


def _put(file: str, qualname: str, text: str) -> bool:
    """Put the mutated code into the function in memory."""
    function = _function(sys.modules[module_name(file)], qualname)
    new = _code(compile(text, str(Path(file).resolve()), "exec", dont_inherit=True), qualname)
    if function is None or new is None or new.co_freevars != function.__code__.co_freevars:
        return False
    function.__code__ = new
    return True


def _forked(work: Callable[[Callable[[dict[str, Any]], None]], int], seconds: float) -> tuple[str, dict[str, Any]]:
    """Run `work` in a forked child; return its outcome and its report."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        os.close(reading)
        # What it writes to, not what it reserves: each instance of Wasm reserves gigabytes.
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
        try:
            status = work(lambda report: os.write(writing, json.dumps(report).encode()) and None)
        except BaseException:  # noqa: BLE001 - a mutant may raise anything, SystemExit too
            traceback.print_exc()
            status = _FAILED
        os._exit(status)
    os.close(writing)
    parts, deadline = [], time.monotonic() + seconds
    while select.select([reading], [], [], max(0.0, deadline - time.monotonic()))[0]:
        part = os.read(reading, 65_536)
        if not part:
            break
        parts.append(part)
    else:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
        return "timeout", {}
    os.close(reading)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        report = json.loads(b"".join(parts) or b"{}")
    except ValueError:  # a child of the child went on, and wrote a report too
        report = {}
    return "timeout" if status == -signal.SIGALRM else _OUTCOMES.get(status, "killed"), report


class _Reached:
    """Records which functions of the package are called."""

    def __init__(self) -> None:
        self._root = str(Path(PACKAGE).resolve()) + os.sep
        self._names: dict[CodeType, str] = {}
        self.now: set[str] = set()

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        code = frame.f_code
        name = self._names.get(code)
        if name is None:
            name = self._names[code] = self._name(code)
        if name:
            self.now.add(name)

    def _name(self, code: CodeType) -> str:
        if not code.co_filename.startswith(self._root):
            return ""
        return f"{PACKAGE}/{code.co_filename[len(self._root) :]}:{code.co_qualname.split('.<locals>')[0]}"


def _baseline(tests: _Tests, tell: Callable[[dict[str, Any]], None]) -> int:
    """Report each test's time and the functions that it reaches."""
    reached = _Reached()
    measured: dict[str, Any] = {}

    def after(name: str, seconds: float) -> None:
        measured[name] = [seconds, sorted(reached.now)]
        reached.now = set()
        sys.setprofile(reached)  # Python drops it where it raises, as it does at the end of the stack

    threading.setprofile(reached)
    sys.setprofile(reached)
    killer = tests.run(tests.items, after)
    sys.setprofile(None)
    # A test that is skipped judges nothing.
    failed = killer or next(iter(tests.skipped), None)
    tell({"tests": measured, "killer": failed})
    return _PASSED if failed is None else _FAILED


def _learn(tests: _Tests, measured: dict[str, Any]) -> None:
    for name, (seconds, functions) in measured.items():
        tests.seconds[name] = seconds
        for function in functions:
            tests.reached.setdefault(function, set()).add(name)


class _Worker:
    """Reads requests and writes the responses to the standard output, which the tests cannot write to."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._tests: list[str] = settings["tests"]
        self._prepared: list[list[str]] = settings["prepared"]
        self._learnt: str = settings["learnt"]
        self._killers: dict[str, None] = {}
        self._in = os.fdopen(os.dup(0))
        self._out = os.fdopen(os.dup(1), "w")
        self._log = os.open(settings["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(self._log, 1)
        os.dup2(self._log, 2)

    def answer(self, answer: dict[str, Any]) -> None:
        self._out.write(json.dumps(answer) + "\n")
        self._out.flush()

    def warm(self) -> None:
        pytest.main([*ARGUMENTS, *self._tests], plugins=[_Loop(self._serve_warm)])

    def _serve_warm(self, tests: _Tests) -> None:
        modules = {item.module.__name__.rpartition(".")[2]: item.module for item in tests.items.values()}
        for module, helper, argument in self._prepared:
            getattr(modules[module], helper)(argument)
        learnt = Path(self._learnt)
        if not learnt.exists():
            outcome, report = _forked(lambda tell: _baseline(tests, tell), 600.0)
            if outcome != "survived":
                self.answer({"outcome": outcome, "killer": report.get("killer")})
                return
            learnt.write_text(json.dumps(report["tests"]), encoding="utf-8")
        _learn(tests, json.loads(learnt.read_text(encoding="utf-8")))
        self.answer({"outcome": "ready"})
        for line in self._in:
            request = json.loads(line)
            function = f"{request['file']}:{request['within']}"
            names = tests.order(function)
            if not names:
                self.answer({"outcome": "no tests"})
                continue
            seconds = self._limit(tests.seconds[name] for name in names)

            def judge(
                tell: Callable[[dict[str, Any]], None], request: dict[str, Any] = request, names: list[str] = names
            ) -> int:
                if not _put(request["file"], request["within"], request["text"]):
                    return _UNFIT
                killer = tests.run(names, lambda *_: None)
                tell({"killer": killer})
                return _PASSED if killer is None else _FAILED

            outcome, report = _forked(judge, seconds)
            self._remember(tests, report.get("killer"))
            self.answer({"outcome": outcome, "killer": report.get("killer"), "tests": len(names)})

    def cold(self) -> None:
        import aiohttp  # noqa: F401, PLC0415 - what the children need not import
        import cryptography.hazmat.primitives.asymmetric.rsa  # noqa: F401, PLC0415
        import jsonschema  # noqa: F401, PLC0415
        import jwt  # noqa: F401, PLC0415
        import requests  # noqa: F401, PLC0415
        import wasmtime  # noqa: F401, PLC0415

        measured = json.loads(Path(self._learnt).read_text(encoding="utf-8"))
        self.answer({"outcome": "ready"})
        for line in self._in:
            request = json.loads(line)

            def judge(tell: Callable[[dict[str, Any]], None], request: dict[str, Any] = request) -> int:
                path = Path(request["file"]).resolve()
                sys.meta_path.insert(0, _Mutated(module_name(request["file"]), path, request["text"]))

                def run(tests: _Tests) -> None:
                    _learn(tests, measured)
                    tests.killers = self._killers
                    killer = tests.run(tests.order(None), lambda *_: None)
                    tell({"killer": killer})
                    os._exit(_PASSED if killer is None else _FAILED)

                pytest.main([*ARGUMENTS, *self._tests], plugins=[_Loop(run)])
                return _FAILED  # not one test was run

            outcome, report = _forked(judge, self._limit(seconds for seconds, _ in measured.values()) + 20)
            self._killers = _latest(self._killers, report.get("killer"))
            self.answer({"outcome": outcome, "killer": report.get("killer")})

    def _remember(self, tests: _Tests, killer: str | None) -> None:
        tests.killers = _latest(tests.killers, killer)

    @staticmethod
    def _limit(seconds: Iterable[float]) -> float:
        return 10 * sum(seconds) + 10


def _latest(killers: dict[str, None], killer: str | None) -> dict[str, None]:
    if killer is not None:
        killers = {name: None for name in killers if name != killer} | {killer: None}
    return killers


def main() -> None:
    kind, settings = sys.argv[1:]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # the tests use none, and each costs time
    hypothesis.settings.register_profile(
        "mutants",
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
    )
    hypothesis.settings.load_profile("mutants")
    worker = _Worker(json.loads(settings))
    if kind == "warm":
        worker.warm()
    else:
        worker.cold()


if __name__ == "__main__":
    main()
