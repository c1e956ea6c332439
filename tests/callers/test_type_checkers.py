"""What mypy and pyright, both strict, say of programs that a caller would write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from doc_blocks import ROOT

PROGRAMS = Path(__file__).parent / "programs"
PATIENCE = 300
SCRIPTS = Path(sys.executable).parent


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    # pyright asks the first `python` on PATH where packages are.
    environ = {**os.environ, "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}", "MYPYPATH": str(ROOT)}
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.fixture(scope="module")
def pyright(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return what pyright reports of all the programs, in its strict mode."""
    folder = tmp_path_factory.mktemp("pyright")
    settings = {"typeCheckingMode": "strict", "include": [str(PROGRAMS)], "extraPaths": [str(ROOT)]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    done = run(SCRIPTS / "basedpyright", "--outputjson", "--project", folder, cwd=folder)
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(list(PROGRAMS.glob("*.py"))), done.stdout
    return report["generalDiagnostics"]


@pytest.fixture(scope="module")
def mypy(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return what mypy reports of all the programs, in its strict mode and with `truthy-bool`."""
    options = ("--strict", "--enable-error-code=truthy-bool", "--no-error-summary", "--hide-error-context")
    cache = tmp_path_factory.mktemp("mypy")
    # With a configuration of its own: the project's names what it checks.
    done = run(
        *(sys.executable, "-m", "mypy", *options, "--config-file=", f"--cache-dir={cache}"),
        *sorted(PROGRAMS.glob("*.py")),
        cwd=cache,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout.splitlines()


def line_of(program: str, text: str) -> int:
    lines = (PROGRAMS / program).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


def test_pyright_accepts_what_a_caller_writes(pyright: list[dict[str, Any]]) -> None:
    assert [entry for entry in pyright if entry["file"].endswith("caller.py")] == []


def test_mypy_accepts_what_a_caller_writes(mypy: list[str]) -> None:
    assert [line for line in mypy if "unawaited.py:" not in line] == []


def test_pyright_finds_a_check_that_is_not_awaited(pyright: list[dict[str, Any]]) -> None:
    entry, *others = [entry for entry in pyright if entry["file"].endswith("unawaited.py")]
    assert others == []
    assert entry["severity"] == "error"
    assert entry["range"]["start"]["line"] + 1 == line_of("unawaited.py", "if ")


def test_mypy_finds_a_check_that_is_not_awaited(mypy: list[str]) -> None:
    (line,) = [line for line in mypy if "unawaited.py:" in line]
    assert f"unawaited.py:{line_of('unawaited.py', 'if ')}: error: " in line
    assert line.endswith("[truthy-bool]")


def test_pyright_knows_the_type_of_everything_public(tmp_path: Path) -> None:
    done = run(SCRIPTS / "basedpyright", "--verifytypes", "bridge", "--ignoreexternal", "--outputjson", cwd=tmp_path)
    report = json.loads(done.stdout)
    completeness = report["typeCompleteness"]
    assert [
        f"{entry['file']}:{entry['range']['start']['line'] + 1}: {entry['message']}"
        for symbol in completeness["symbols"]
        for entry in symbol["diagnostics"]
    ] == []
    assert completeness["exportedSymbolCounts"]["withKnownType"] > 0
    assert completeness["completenessScore"] == 1
