"""Files that commands write, where a disk is full, and package roots below one another in one folder."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest
from cli_process import COMMAND, PATIENCE, environment, run_here

from bridge.cli import output_files
from bridge.rendering import RuleSet, render

RULES = {module.path: module.text for module in render(RuleSet())}
SETTINGS = "jwt_policy/settings/settings.rego"


def files_in(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("there", "new"),
    [
        ("jwt_policy", "jwt_policy.settings"),
        ("jwt_policy.settings", "jwt_policy"),
        ("jwt_policy", "jwt_policy.x.y"),
        ("jwt_policy.x.y", "jwt_policy"),
        ("a.b", "a.b.c"),
        ("a.b.c", "a.b"),
    ],
)
def test_package_roots_below_one_another_are_not_rendered_into_one_folder(tmp_path, there, new):
    run_here("render", "--package-root", there, "--out", tmp_path)
    before = files_in(tmp_path)
    done = run_here("render", "--package-root", new, "--out", tmp_path, status=2)
    assert f"has rules of the package root `{there}`" in done.stderr
    assert "choose another folder or another package root" in done.stderr
    assert files_in(tmp_path) == before
    run_here("render", "--package-root", there, "--claim", "p", "--out", tmp_path)
    assert files_in(tmp_path).keys() == before.keys()


def test_package_roots_beside_one_another_are(tmp_path):
    for root in ("acme.policy", "acme.policy2", "jwt_policy", "acme.rules"):
        run_here("render", "--package-root", root, "--out", tmp_path)
    assert len(files_in(tmp_path)) == 4 * len(RULES)


def test_a_module_that_somebody_wrote_in_our_package_is_left_alone(tmp_path):
    mine = tmp_path / "jwt_policy" / "jwt_policy.rego"
    mine.parent.mkdir()
    mine.write_text("package jwt_policy\n")
    assert "no earlier run wrote it" in run_here("render", "--out", tmp_path, status=2).stderr
    assert files_in(tmp_path) == {"jwt_policy/jwt_policy.rego": "package jwt_policy\n"}


class Full:
    """A disk with room for so many writes."""

    def __init__(self, monkeypatch, name, room):
        self.room, self.real = room, getattr(output_files, name)
        monkeypatch.setattr(output_files, name, self)

    def __call__(self, *arguments):
        if self.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= 1
        return self.real(*arguments)


@pytest.mark.parametrize("room", [0, 1, 5, len(RULES) - 1])
@pytest.mark.parametrize("name", ["_write", "_create_temporary"])
def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch, room, name):
    run_here("render", "--claim", "earlier", "--out", tmp_path)
    before = files_in(tmp_path)
    Full(monkeypatch, name, room)
    done = run_here("render", "--out", tmp_path, status=2)
    assert "no space left on device: nothing was written" in done.stderr
    assert files_in(tmp_path) == before
    done = run_here("render", "--out", tmp_path / "new" / "er", status=2)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("room", [0, 1, 5, len(RULES) - 1])
def test_a_disk_that_fills_up_at_the_end_leaves_no_set_that_looks_whole(tmp_path, monkeypatch, room):
    run_here("render", "--claim", "earlier", "--out", tmp_path)
    earlier = files_in(tmp_path)
    Full(monkeypatch, "_move", room)
    done = run_here("render", "--out", tmp_path, status=2)
    there = files_in(tmp_path)
    assert SETTINGS not in there
    assert len(there) == len(RULES) - 1
    listed = done.stderr.split("written: ")[1].split("; not written: ")
    for path, text in there.items():
        assert text == (RULES if str(tmp_path / path) in listed[0] else earlier)[path]
    assert listed[0].count("`") == 2 * room
    assert "which comes last, they are no complete set; correct the cause, and run it again" in done.stderr
    monkeypatch.undo()
    run_here("render", "--out", tmp_path)
    assert files_in(tmp_path) == RULES


def test_the_demo_writes_all_of_its_files_or_none(tmp_path, monkeypatch):
    Full(monkeypatch, "_write", 3)
    done = run_here("demo", "--out", tmp_path / "try", status=2, PATH="/nowhere", JWT_BRIDGE_OPA=None)
    assert "nothing was written" in done.stderr
    assert not (tmp_path / "try").exists()


def limited(*arguments, size):
    """A command that may write no file of more than so many bytes: what the system does where there is no room."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=environment(),
        preexec_fn=limit,
    )


def test_files_that_the_system_refuses_are_told(tmp_path):
    done = limited("render", "--out", tmp_path / "new", size=3_000)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "file too large: nothing was written" in done.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("arguments", [["render"], ["demo"]])
def test_files_that_are_there_although_nobody_could_be_told(tmp_path, arguments):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, *arguments, "--out", tmp_path],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
            check=False,
            env=environment(PATH="/nowhere", JWT_BRIDGE_OPA=None),
        )
    assert done.returncode == 2
    assert "standard output: no space left on device; these files were written: " in done.stderr
    assert all(str(path) in done.stderr for path in tmp_path.rglob("*") if path.is_file())
