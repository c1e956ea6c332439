"""A run of pytest without an OPA, or without Docker, seen from outside: it never passes by leaving tests out."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from opa_source import PINNED, ROOT

if TYPE_CHECKING:
    from pathlib import Path

SMALL_TEST = "tests/unit/tooling/test_opa_source.py::test_image_is_read_from_the_compose_file"
DOCKER_TEST = "tests/docker/test_compose.py::test_container_is_healthy"


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A PATH with nothing on it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def run_pytest(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    hidden = ("OPA_URL", "JWT_BRIDGE_OPA", "DOCKER_HOST", "XDG_CACHE_HOME", "PYTEST_ADDOPTS")
    environ = {name: value for name, value in os.environ.items() if name not in hidden}
    environ |= {"PATH": str(path), "HOME": str(path.parent)}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def put_opa(path: Path) -> None:
    opa = path / "opa"
    opa.write_text(f"#!/bin/sh\necho Version: {PINNED}\n")
    opa.chmod(0o755)


def test_without_an_opa_the_run_fails_before_any_test(bare_path: Path) -> None:
    done = run_pytest(bare_path, SMALL_TEST)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "found no OPA" in done.stderr
    assert f"Install one of: opa {PINNED} on PATH" in done.stderr
    assert "passed" not in done.stdout


def test_header_names_the_source(bare_path: Path) -> None:
    put_opa(bare_path)
    done = run_pytest(bare_path, SMALL_TEST)
    assert done.returncode == pytest.ExitCode.OK
    assert f"opa server: PATH (opa {PINNED} from PATH: {bare_path / 'opa'})" in done.stdout
    assert f"opa executable: opa {PINNED} from PATH: {bare_path / 'opa'}" in done.stdout
    assert "docker: none, so its tests are deselected: no `docker` on PATH" in done.stdout


def test_without_docker_its_tests_are_deselected(bare_path: Path) -> None:
    put_opa(bare_path)
    done = run_pytest(bare_path, SMALL_TEST, DOCKER_TEST)
    assert done.returncode == pytest.ExitCode.OK
    assert "1 passed, 1 deselected" in done.stdout


def test_required_docker_that_is_not_there_fails_the_run(bare_path: Path) -> None:
    put_opa(bare_path)
    done = run_pytest(bare_path, "--docker=require", SMALL_TEST, DOCKER_TEST)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "there is no Docker engine: no `docker` on PATH" in done.stderr
    assert "passed" not in done.stdout


def test_required_source_that_gives_none_fails_the_run(bare_path: Path) -> None:
    put_opa(bare_path)
    done = run_pytest(bare_path, "--opa-from=docker", SMALL_TEST)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "found no OPA from `docker`" in done.stderr
