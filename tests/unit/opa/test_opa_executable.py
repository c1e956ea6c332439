"""Which `opa` is found, and which is refused."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bridge.errors import EngineTimeoutError, OpaNotFoundError
from bridge.opa.executable import find_opa, run_opa

VERSION_OR = "#!/bin/sh\n[ \"$1\" = version ] && echo 'Version: 1.20.2' && exit 0\n"


@pytest.fixture
def make(tmp_path):
    """Make an executable that calls itself OPA of some version, and is not."""

    def make(folder: str, version: str = "1.20.2", script: str | None = None) -> Path:
        path = tmp_path / folder / "opa"
        path.parent.mkdir()
        path.write_text(script or f"#!/bin/sh\necho 'Version: {version}'\necho 'Rego Version: v1'\n")
        path.chmod(0o755)
        return path

    return make


@pytest.fixture
def on_path(monkeypatch):
    """Put folders on PATH, and nothing else into the way."""

    def on_path(*folders: object) -> None:
        monkeypatch.delenv("JWT_BRIDGE_OPA", raising=False)
        monkeypatch.setenv("PATH", os.pathsep.join(map(str, folders)))

    return on_path


def test_the_one_of_this_run(opa_executable) -> None:
    assert find_opa(opa_executable) == opa_executable
    done = run_opa(["version"], executable=opa_executable)
    assert done.status == 0
    assert done.stdout.startswith(b"Version: 1.")


def test_a_named_one_goes_before_all_others(make, on_path, monkeypatch) -> None:
    first, second, third = make("a"), make("b"), make("c")
    on_path(third.parent)
    assert find_opa() == third
    monkeypatch.setenv("JWT_BRIDGE_OPA", str(second))
    assert find_opa() == second
    assert find_opa(first) == first


def test_nothing_else_is_taken_for_one_that_is_named(make, on_path, monkeypatch, tmp_path) -> None:
    on_path(make("a").parent)
    with pytest.raises(OpaNotFoundError, match=r"nowhere` cannot be used: there is no such file; install opa 1\.20\.1"):
        find_opa(tmp_path / "nowhere")
    monkeypatch.setenv("JWT_BRIDGE_OPA", str(tmp_path / "nowhere"))
    with pytest.raises(OpaNotFoundError, match="there is no such file"):
        find_opa()


def test_an_empty_variable_names_nothing(make, on_path, monkeypatch) -> None:
    opa = make("a")
    on_path(opa.parent)
    monkeypatch.setenv("JWT_BRIDGE_OPA", "")
    assert find_opa() == opa


def test_none_on_path(on_path, tmp_path) -> None:
    on_path(tmp_path)
    with pytest.raises(
        OpaNotFoundError, match=r"^there is no `opa` on PATH; install opa 1\.20\.1 or newer .*JWT_BRIDGE_OPA$"
    ):
        find_opa()


def test_an_old_one_on_path_is_passed_over(make, on_path) -> None:
    old, new = make("a", "1.19.1"), make("b", "1.20.1")
    on_path(old.parent, new.parent)
    assert find_opa() == new
    on_path(old.parent)
    with pytest.raises(
        OpaNotFoundError, match=r"a/opa` cannot be used: its version is 1\.19\.1, which compares numbers wrong"
    ):
        find_opa()


def test_a_relative_one_is_made_absolute(make, monkeypatch, tmp_path) -> None:
    opa = make("a")
    monkeypatch.chdir(tmp_path)
    assert find_opa(Path("a/opa")) == opa


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("#!/bin/sh\nexit 0\n", "`opa version` does not print a version"),
        ("#!/bin/sh\necho 'Version: 1.20.2'\nexit 1\n", "`opa version` does not print a version"),
        ("#!/bin/sh\necho 'Version: newest'\n", "`opa version` does not print a version"),
        ("#!/bin/sh\necho 'opa Version: 1.20.2'\n", "`opa version` does not print a version"),
        ("#!/nowhere/sh\n", "cannot be run"),
        ("\x7fELF", "cannot be run: exec format error"),
    ],
)
def test_one_that_is_not_opa(make, script, why) -> None:
    with pytest.raises(OpaNotFoundError, match=why):
        find_opa(make("a", script=script))


@pytest.mark.parametrize("kind", ["folder", "no permission"])
def test_one_that_cannot_be_run(make, kind) -> None:
    opa = make("a")
    opa.chmod(0o644)
    with pytest.raises(OpaNotFoundError, match="no executable file"):
        find_opa(opa if kind == "no permission" else opa.parent)


def test_one_is_asked_once_until_it_changes(make, tmp_path) -> None:
    calls = tmp_path / "asked"
    script = f"#!/bin/sh\necho x >> {calls}\necho 'Version: %s'\n"
    opa = make("a", script=script % "1.20.2")
    find_opa(opa)
    find_opa(opa)
    assert calls.read_text() == "x\n"
    opa.write_text(script % "1.19.10")
    with pytest.raises(OpaNotFoundError, match=r"1\.19\.10"):
        find_opa(opa)


def test_a_run_tells_what_happened(make) -> None:
    opa = make(
        "a",
        script=VERSION_OR + 'cat\npwd\necho "$@" >&2\nexit 7\n',
    )
    done = run_opa(["fmt", "a b"], executable=opa, stdin=b"in\n", folder=opa.parent)
    assert (done.status, done.stdout, done.stderr) == (7, f"in\n{opa.parent}\n".encode(), "fmt a b\n")


def test_a_run_takes_no_flags_from_the_environment(make, monkeypatch) -> None:
    monkeypatch.setenv("OPA_RUN_AUTHORIZATION", "basic")
    assert b"OPA_RUN" not in run_opa(["env"], executable=make("a", script=VERSION_OR + "env\n")).stdout


def test_a_run_that_takes_too_long_is_killed(make) -> None:
    opa = make("a", script=VERSION_OR + "exec sleep 600\n")
    start = time.monotonic()
    with pytest.raises(EngineTimeoutError, match=r"^`opa fmt` did not end within 0\.5 s$"):
        run_opa(["fmt"], executable=opa, seconds=0.5)
    assert time.monotonic() - start < 60
