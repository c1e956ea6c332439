"""The programs of examples/, run as their first lines say."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import requests
from cli_process import environment, run
from doc_blocks import ROOT, answers
from opa_source import IMAGE
from ports import reserved_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bridge.opa.process import ManagedOpa

EXAMPLES = ROOT / "examples"
PATIENCE = 300.0
ALLOWED = "gB5fOx3aQ2WkT9sVd0YyLw"
OF_ANOTHER = "Q4y7vKpXSJ2m-1RkzUa8Dg"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    assert run("demo", "--out", str(folder)).status == 0
    return folder


def program(*arguments: str, **variables: str | None) -> tuple[list[str], dict[str, str]]:
    return [sys.executable, *arguments], environment(PYTHONPATH=str(ROOT), **variables)


def test_every_example_is_in_the_list_and_the_list_has_no_other() -> None:
    listed = re.findall(r"^\| \[\S+\]\((\S+)\) \|", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    programs = [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*/docker-compose.yml")]
    assert sorted(listed) == sorted(path.relative_to(EXAMPLES).as_posix() for path in programs)


def script(*arguments: object) -> subprocess.CompletedProcess[str]:
    command, variables = program(str(EXAMPLES / "script.py"), *map(str, arguments))
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_the_script_decides_on_each_device(demo: Path) -> None:
    done = script(demo / "public.pem", demo / "agent.jwt", demo / "devices.jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == len((demo / "devices.jsonl").read_text(encoding="utf-8").splitlines())
    assert [line for line in lines if not line.startswith("no ")] == [f"yes {ALLOWED} matched"]
    assert f"no  {OF_ANOTHER} constraint_failed: /custom_data/user_id is different" in lines


def test_the_script_decides_nothing_for_a_token_that_is_not_valid(demo: Path, tmp_path: Path) -> None:
    forged = tmp_path / "forged.jwt"
    forged.write_text((demo / "agent.jwt").read_text(encoding="utf-8").strip()[:-4] + "AAAA", encoding="utf-8")
    done = script(demo / "public.pem", forged, demo / "devices.jsonl")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("the token is not valid: ")


@dataclass
class Served:
    """An application that runs, and two tokens for it."""

    url: str
    token: str
    without_policy: str

    def get(self, path: str, token: str | None = None) -> requests.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return requests.get(f"{self.url}{path}", headers=headers, timeout=PATIENCE)


@contextmanager
def served(demo: Path, *arguments: str, **variables: str | None) -> Iterator[Served]:
    """Start a server on a free port, which its log tells; stop it at the end."""
    command, environ = program("-m", *arguments, PUBLIC_KEY=str(demo / "public.pem"), PYTHONUNBUFFERED="1", **variables)
    with subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            log = []
            for line in process.stderr:
                log.append(line)
                if address := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                    break
            else:
                raise AssertionError("".join(log))
            # Nobody reads on, so the log must not fill the pipe.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            tokens = [(demo / f"{name}.jwt").read_text(encoding="utf-8").strip() for name in ("agent", "agent-2")]
            yield Served(address[0], *tokens)
        finally:
            process.send_signal(signal.SIGINT)


def check_endpoints(app: Served, reason_of_a_denial: int = 404) -> None:
    assert app.get("/health").status_code == 200
    assert app.get(f"/devices/{ALLOWED}").status_code == 401
    assert app.get(f"/devices/{ALLOWED}", app.token[:-4] + "AAAA").status_code == 401
    allowed = app.get(f"/devices/{ALLOWED}", app.token)
    assert (allowed.status_code, allowed.json()["id"]) == (200, ALLOWED)
    assert "notification_token" not in allowed.json()
    denied = app.get(f"/devices/{OF_ANOTHER}", app.token)
    unknown = app.get("/devices/no-such-device", app.token)
    assert denied.status_code == unknown.status_code == reason_of_a_denial
    assert denied.text == unknown.text
    # A token for sessions alone grants no device.
    assert app.get(f"/devices/{ALLOWED}", app.without_policy).status_code == reason_of_a_denial


def test_the_flask_application_decides_in_its_process(demo: Path) -> None:
    app = ("flask", "--app", str(EXAMPLES / "flask_app.py"), "run", "--port", "0")
    with served(demo, *app, DEVICES=str(demo / "devices.jsonl")) as flask:
        check_endpoints(flask)
        assert [device["id"] for device in flask.get("/devices", flask.token).json()] == [ALLOWED]


def test_the_flask_application_decides_on_an_opa_and_denies_without_it(
    demo: Path, start_opa: Callable[..., ManagedOpa]
) -> None:
    opa = start_opa()
    assert run("install", "--require-policy", OPA_URL=opa.url).status == 0
    app = ("flask", "--app", str(EXAMPLES / "flask_app.py"), "run", "--port", "0")
    with served(demo, *app, DEVICES=str(demo / "devices.jsonl"), OPA_URL=opa.url) as flask:
        check_endpoints(flask)
        opa.stop()
        assert flask.get(f"/devices/{ALLOWED}", flask.token).status_code == 503


def test_the_fastapi_application_decides_by_id_and_lists(demo: Path, start_opa: Callable[..., ManagedOpa]) -> None:
    opa = start_opa()
    assert run("install", "--require-policy", OPA_URL=opa.url).status == 0
    app = ("uvicorn", "--app-dir", str(EXAMPLES), "--port", "0", "fastapi_app:app")
    with served(demo, *app, OPA_URL=opa.url) as fastapi:
        assert fastapi.get(f"/devices/{ALLOWED}", fastapi.token).status_code == 503  # nothing was pushed
        pushed = run(
            *("push", "--require-policy", "--type", "devices", str(demo / "devices.jsonl")),
            *("--omit", "notification_token"),
            OPA_URL=opa.url,
        )
        assert pushed.status == 0, pushed.stderr
        check_endpoints(fastapi)
        assert fastapi.get("/devices", fastapi.token).json() == {"ids": [ALLOWED], "next": None}
        assert fastapi.get("/devices?after=forged", fastapi.token).status_code == 400
        opa.stop()
        assert fastapi.get(f"/devices/{ALLOWED}", fastapi.token).status_code == 503
        assert fastapi.get("/devices", fastapi.token).status_code == 503


def test_the_sidecar_runs_the_pinned_opa() -> None:
    text = (EXAMPLES / "sidecar" / "docker-compose.yml").read_text(encoding="utf-8")
    assert re.findall(r"^\s*image:\s*(\S+)$", text, re.MULTILINE) == [IMAGE]


def sidecar_opa_arguments() -> list[str]:
    """What the compose file gives to its `opa` after `run --server`."""
    text = (EXAMPLES / "sidecar" / "docker-compose.yml").read_text(encoding="utf-8")
    command = re.search(r"command: \[run, --server, (.*)\]", text)
    assert command is not None
    return command[1].split(", ")


def sidecar_app_arguments() -> list[str]:
    """How the Dockerfile starts the application."""
    text = (EXAMPLES / "sidecar" / "Dockerfile").read_text(encoding="utf-8")
    command = re.search(r"^CMD (\[.*\])$", text, re.MULTILINE)
    assert command is not None
    arguments: list[str] = json.loads(command[1])
    return arguments


def test_the_commands_of_the_sidecar_work_together(demo: Path, tmp_path: Path, opa_executable: Path) -> None:
    """Outside containers, with other addresses: the rules as `render --out` leaves them, the OPA, the application."""
    assert run("render", "--require-policy", "--out", str(tmp_path / "rules")).status == 0
    with reserved_port() as port:
        arguments = [argument.replace("127.0.0.1:8181", f"127.0.0.1:{port}") for argument in sidecar_opa_arguments()]
        assert f"--addr=127.0.0.1:{port}" in arguments
        opa = [str(opa_executable), "run", "--server", *arguments]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(opa, cwd=tmp_path / "rules", stdout=quiet, stderr=quiet) as process:
            try:
                while not answers(port):
                    assert process.poll() is None, f"{opa} has ended"
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(0.05)
                app = sidecar_app_arguments()
                app[app.index("flask_app.py")] = str(EXAMPLES / "flask_app.py")
                app[app.index("0.0.0.0")] = "127.0.0.1"
                app[app.index("5000")] = "0"
                variables = {"DEVICES": str(demo / "devices.jsonl"), "OPA_URL": f"http://127.0.0.1:{port}"}
                with served(demo, *app, **variables) as flask:
                    check_endpoints(flask)
            finally:
                process.terminate()
