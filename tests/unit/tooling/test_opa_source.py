"""The order in which the tests look for an OPA, shown on stand-in programs: what counts here is which one is taken."""

from __future__ import annotations

import http.server
import threading
from typing import TYPE_CHECKING

import pytest
from opa_source import (
    COMPOSE_FILE,
    IMAGE,
    MINIMUM,
    OLDEST,
    PINNED,
    Executable,
    NoUsableOpaError,
    OpaSource,
    UnusableSourceError,
    pinned_image,
)

from bridge.opa import version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OPA = 'echo "Version: {version}"'
DOCKER = """
echo "$@" >>"{log}"
case "$1 $2" in
"version --format") echo 28.0.0 ;;
"compose version") echo 2.40.3 ;;
"image inspect") exit {missing} ;;
"pull --quiet") exit {unreachable} ;;
"create "*) echo c0ffee ;;
"cp c0ffee:/opa") printf '#!/bin/sh\\necho Version: {version}\\n' >"$3"; /bin/chmod +x "$3" ;;
esac
"""
GO = """
echo "$@" >>"{log}"
printf '#!/bin/sh\\necho Version: {version}\\n' >"$GOBIN/opa"; /bin/chmod +x "$GOBIN/opa"
"""


class Machine:
    """A machine that has nothing on it but the stand-ins put there."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.log = folder / "log"
        self.log.touch()
        self.environ = {"PATH": str(self.bin), "HOME": str(folder / "home")}
        self.cached = folder / "home" / ".cache" / "jwt-policy-bridge" / "opa" / PINNED / "opa"

    def put(self, name: str, script: str, **values: object) -> Path:
        program = self.bin / name
        settings = {"version": PINNED, "missing": 0, "unreachable": 0, "log": self.log, **values}
        program.write_text("#!/bin/sh\n" + script.format(**settings))
        program.chmod(0o755)
        return program

    @property
    def source(self) -> OpaSource:
        return OpaSource(self.environ)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def serve() -> Iterator[Callable[[int], str]]:
    """A server that gives one and the same status to everything."""
    servers = []

    def start(status: int) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def test_server_order_is_url_path_docker_go(machine: Machine, serve: Callable[[int], str]) -> None:
    machine.environ["OPA_URL"] = url = serve(200)
    opa = machine.put("opa", OPA)
    docker = machine.put("docker", DOCKER)
    go = machine.put("go", GO)

    assert machine.source.server().kind == "url"
    assert machine.source.server().detail == url
    del machine.environ["OPA_URL"]
    assert machine.source.server().kind == "path"
    opa.unlink()
    assert machine.source.server().kind == "docker"
    docker.unlink()
    assert machine.source.server().kind == "go"
    go.unlink()
    machine.cached.unlink()
    with pytest.raises(NoUsableOpaError):
        machine.source.server()


def test_executable_order_is_path_image_go(machine: Machine, serve: Callable[[int], str]) -> None:
    machine.environ["OPA_URL"] = serve(200)
    opa = machine.put("opa", OPA)
    docker = machine.put("docker", DOCKER)
    go = machine.put("go", GO)

    executable = machine.source.executable()
    assert (executable.source, executable.path) == ("PATH", opa)
    opa.unlink()
    executable = machine.source.executable()
    assert (executable.source, executable.path) == ("Docker", machine.cached)
    docker.unlink()
    machine.cached.unlink()
    executable = machine.source.executable()
    assert (executable.source, executable.path) == ("Go", machine.cached)
    go.unlink()
    machine.cached.unlink()
    with pytest.raises(NoUsableOpaError):
        machine.source.executable()


def test_nothing_found_says_why_and_what_to_install(machine: Machine) -> None:
    for choose in (machine.source.server, machine.source.executable):
        with pytest.raises(NoUsableOpaError) as refusal:
            choose()
        for text in ("no `opa` on PATH", "no `docker` on PATH", "no `go` on PATH", f"opa {PINNED}", "OPA_URL"):
            assert text in str(refusal.value)


@pytest.mark.parametrize("version", ["1.20.0", "1.19.9", "0.70.0"])
def test_opa_that_is_too_old_is_passed_over(machine: Machine, version: str) -> None:
    machine.put("opa", OPA, version=version)
    with pytest.raises(NoUsableOpaError, match=f"is {version}, older than 1.20.1"):
        machine.source.server()
    machine.put("go", GO)
    assert machine.source.server().kind == "go"
    assert machine.source.executable().source == "the cache"


@pytest.mark.parametrize("version", ["1.20.1", "1.20.2", "1.100.0", "2.0.0"])
def test_opa_that_is_new_enough_is_taken(machine: Machine, version: str) -> None:
    machine.put("opa", OPA, version=version)
    assert machine.source.server().kind == "path"
    assert machine.source.executable().source == "PATH"


@pytest.mark.parametrize("script", ["exit 1", "echo an opera", "echo Version: latest"])
def test_program_that_only_shares_the_name_is_passed_over(machine: Machine, script: str) -> None:
    machine.put("opa", script)
    machine.put("go", GO)
    assert machine.source.server().kind == "go"
    assert machine.source.executable().source == "the cache"


def test_named_executable_stands_for_path(machine: Machine, tmp_path: Path) -> None:
    machine.put("opa", OPA)
    named = machine.put("other", OPA).rename(tmp_path / "named")
    machine.environ["JWT_BRIDGE_OPA"] = str(named)
    executable = machine.source.executable()
    assert (executable.source, executable.path) == ("JWT_BRIDGE_OPA", named)
    assert "JWT_BRIDGE_OPA" in machine.source.server().detail


def test_named_executable_that_does_not_run_is_an_error(machine: Machine, tmp_path: Path) -> None:
    machine.put("opa", OPA)
    machine.environ["JWT_BRIDGE_OPA"] = str(tmp_path / "nowhere")
    with pytest.raises(NoUsableOpaError, match="nowhere"):
        machine.source.executable()


def test_url_where_nothing_answers_is_an_error(machine: Machine, serve: Callable[[int], str]) -> None:
    machine.put("opa", OPA)
    machine.environ["OPA_URL"] = "http://127.0.0.1:1"
    with pytest.raises(NoUsableOpaError, match="nothing answers"):
        machine.source.server()
    machine.environ["OPA_URL"] = serve(401)
    assert machine.source.server().kind == "url"


@pytest.mark.parametrize("url", ["localhost:8181", "file:///etc/passwd"])
def test_url_that_is_no_http_address_is_an_error(machine: Machine, url: str) -> None:
    machine.put("opa", OPA)
    machine.environ["OPA_URL"] = url
    with pytest.raises(NoUsableOpaError, match="no HTTP address"):
        machine.source.server()


@pytest.mark.parametrize("script", ["exit 1", '[ "$1" = version ]'], ids=["no engine", "no compose"])
def test_docker_without_engine_or_compose_is_passed_over(machine: Machine, script: str) -> None:
    machine.put("docker", script)
    machine.put("go", GO)
    with pytest.raises(UnusableSourceError):
        machine.source.docker()
    assert machine.source.server().kind == "go"
    assert machine.source.executable().source == "the cache"


def test_image_is_pulled_only_where_it_is_missing(machine: Machine) -> None:
    machine.put("docker", DOCKER)
    assert machine.source.server().kind == "docker"
    assert "pull" not in machine.log.read_text()
    machine.put("docker", DOCKER, missing=1)
    assert machine.source.server().kind == "docker"
    assert f"pull --quiet {IMAGE}" in machine.log.read_text()


def test_engine_that_cannot_get_the_image_is_passed_over(machine: Machine) -> None:
    machine.put("docker", DOCKER, missing=1, unreachable=1)
    machine.put("go", GO)
    assert machine.source.server().kind == "go"
    machine.cached.unlink()
    assert machine.source.executable().source == "Go"


def test_copy_from_the_image_leaves_no_container(machine: Machine) -> None:
    machine.put("docker", DOCKER)
    machine.source.executable()
    assert "rm c0ffee" in machine.log.read_text().splitlines()
    assert [entry.name for entry in machine.cached.parent.iterdir()] == ["opa"]


def test_go_builds_the_pinned_version_once(machine: Machine) -> None:
    machine.put("go", GO)
    machine.source.executable()
    machine.source.executable()
    assert machine.log.read_text().splitlines() == [f"install github.com/open-policy-agent/opa@v{PINNED}"]


def test_build_that_fails_leaves_nothing_in_the_cache(machine: Machine) -> None:
    machine.put("go", "echo disk full >&2; exit 1")
    with pytest.raises(NoUsableOpaError, match="disk full"):
        machine.source.executable()
    assert list(machine.cached.parent.iterdir()) == []


def test_only_admits_no_other_source(machine: Machine) -> None:
    machine.put("opa", OPA)
    machine.put("docker", DOCKER)
    assert machine.source.server("docker").kind == "docker"
    with pytest.raises(NoUsableOpaError, match="OPA_URL is not set"):
        machine.source.server("url")
    with pytest.raises(NoUsableOpaError, match="no `go` on PATH"):
        machine.source.executable("go")


def test_pinned_admits_no_other_version(machine: Machine) -> None:
    machine.put("opa", OPA, version="1.21.0")
    machine.put("go", GO)
    assert machine.source.executable().source == "PATH"
    assert machine.source.executable(pinned=True).source == "Go"
    machine.put("opa", OPA)
    assert machine.source.executable(pinned=True).source == "PATH"


def test_oldest_version_is_that_of_the_bridge() -> None:
    assert OLDEST == version.OLDEST
    assert MINIMUM == (1, 20, 1)


def test_source_of_another_version_takes_that_version_from_path_or_go(machine: Machine) -> None:
    def oldest() -> Executable:
        return OpaSource(machine.environ, version=OLDEST).executable(pinned=True)

    machine.put("opa", OPA)
    machine.put("docker", DOCKER)
    with pytest.raises(
        NoUsableOpaError, match=f"is not the pinned version, {OLDEST}(.|\n)*the image is that of opa {PINNED}"
    ):
        oldest()
    machine.put("go", GO, version=OLDEST)
    assert oldest().path == machine.cached.parents[1] / OLDEST / "opa"
    assert machine.log.read_text().splitlines() == [f"install github.com/open-policy-agent/opa@v{OLDEST}"]
    machine.put("opa", OPA, version=OLDEST)
    assert oldest().source == "PATH"


def test_image_is_read_from_the_compose_file(tmp_path: Path) -> None:
    assert pinned_image(COMPOSE_FILE) == (IMAGE, PINNED)
    other = tmp_path / "docker-compose.yml"
    other.write_text("services:\n  opa:\n    image: openpolicyagent/opa:latest\n")
    with pytest.raises(ValueError, match="pins no"):
        pinned_image(other)
