"""docker-compose.yml, for real: what it promises, seen on a running container."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import requests
from opa_source import COMPOSE_FILE, IMAGE, OpaSource
from pytest_docker.plugin import Services, get_docker_services

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.docker

# No claims and no type: every rule set of ours has this one answer to it.
EMPTY_QUESTION: dict[str, Any] = {}
UNLIMITED_TOKEN = {"claims": {}, "type": "devices", "resource": {"id": "d1"}}


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


class Container:
    """The service of one compose project."""

    def __init__(self, services: Services, ip: str) -> None:
        self.services = services
        self.id = services._docker_compose.execute("ps --quiet opa").decode().strip()
        self.url = f"http://{ip}:{services.port_for('opa', 8181)}"

    def inspect(self) -> dict[str, Any]:
        return json.loads(run("docker", "inspect", self.id))[0]

    def health(self) -> str:
        return self.inspect()["State"]["Health"]["Status"]

    def wait_until(self, health: str) -> None:
        self.services.wait_until_responsive(lambda: self.health() == health, timeout=60, pause=0.2)

    def send(self, method: str, path: str, **body: Any) -> requests.Response:
        return requests.request(method, f"{self.url}/v1/{path}", timeout=60, **body)

    def ask(self, entrypoint: str, question: object) -> Any:
        return self.send("POST", f"data/jwt_policy/{entrypoint}", json={"input": question}).json()["result"]

    def modules(self) -> dict[str, str]:
        return {policy["id"]: policy["raw"] for policy in self.send("GET", "policies").json()["result"]}

    def drop_modules(self) -> None:
        """A module that another one calls can go only after that one."""
        while left := self.modules():
            assert any(self.send("DELETE", f"policies/{module}").ok for module in left)

    def put_modules(self, modules: dict[str, str]) -> None:
        """A module that calls another one can come only after that one."""
        left = dict(modules)
        while left:
            there = [name for name, text in left.items() if self.send("PUT", f"policies/{name}", data=text.encode()).ok]
            assert there
            for name in there:
                del left[name]


@pytest.fixture(scope="module")
def opa(docker_services: Services, docker_ip: str) -> Container:
    """The shared container: only looked at here."""
    return Container(docker_services, docker_ip)


@pytest.fixture
def own_opa(
    docker_compose_command: str,
    docker_compose_project_name: str,
    docker_setup: list[str],
    docker_cleanup: list[str],
    docker_ip: str,
) -> Iterator[Container]:
    """A container of the test's own, to spoil."""
    project = f"{docker_compose_project_name}-own"
    with get_docker_services(
        docker_compose_command, str(COMPOSE_FILE), project, docker_setup, docker_cleanup
    ) as services:
        yield Container(services, docker_ip)


def test_compose_file_is_valid_and_publishes_8181_by_default() -> None:
    environ = {name: value for name, value in os.environ.items() if name != "OPA_PORT"}
    compose = ["docker", "compose", "-f", str(COMPOSE_FILE), "config", "--format", "json"]
    done = subprocess.run(compose, env=environ, check=True, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    service = json.loads(done.stdout)["services"]["opa"]
    assert service["image"] == IMAGE
    (port,) = service["ports"]
    assert (port["host_ip"], port["published"], port["target"]) == ("127.0.0.1", "8181", 8181)


def test_container_is_healthy(opa: Container) -> None:
    assert opa.health() == "healthy"


def test_container_is_bound_to_loopback_only(opa: Container) -> None:
    assert {
        (port, binding["HostIp"])
        for port, bindings in opa.inspect()["NetworkSettings"]["Ports"].items()
        for binding in bindings or []
    } == {("8181/tcp", "127.0.0.1")}


def test_process_is_not_root(opa: Container) -> None:
    assert opa.inspect()["Config"]["User"] == "1000:1000"
    uids = run("docker", "top", opa.id, "-eo", "pid,uid").splitlines()[1:]
    assert [line.split()[1] for line in uids] == ["1000"]


def test_container_holds_no_privileges(opa: Container) -> None:
    host = opa.inspect()["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["CapAdd"] is None
    assert host["Privileged"] is False
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert [(mount["Destination"], mount["RW"]) for mount in opa.inspect()["Mounts"]] == [("/jwt_policy", False)]


def test_committed_rules_are_loaded_and_their_tests_are_not(opa: Container) -> None:
    folder = COMPOSE_FILE.parent / "rego" / "jwt_policy"
    # Tests that share the OPA may have rules of their own there meanwhile.
    assert {name: text for name, text in opa.modules().items() if name.startswith("jwt_policy/")} == {
        f"jwt_policy/{module.relative_to(folder).as_posix()}": module.read_text(encoding="utf-8")
        for module in folder.rglob("*.rego")
        if not module.name.endswith("_test.rego")
    }


def test_rules_answer(opa: Container) -> None:
    denied = opa.ask("decision", EMPTY_QUESTION)
    assert (denied["allow"], denied["reason"]) == (False, "malformed_input")
    assert opa.ask("allow", EMPTY_QUESTION) is False
    allowed = opa.ask("decision", UNLIMITED_TOKEN)
    assert (allowed["allow"], allowed["reason"]) == (True, "unrestricted")
    assert opa.ask("allow", UNLIMITED_TOKEN) is True


def test_data_can_be_pushed(own_opa: Container) -> None:
    """What `jwt-bridge push` needs: the data root is nobody's, a bundle's least of all."""
    document = {"devices": {"007": {"id": "007"}, "a/b": {"id": "a/b"}}}
    assert own_opa.send("PUT", "data/jwt_policy_data", json=document).status_code == 204
    assert own_opa.send("GET", "data/jwt_policy_data").json()["result"] == document


def test_container_turns_unhealthy_without_the_rules_and_recovers(own_opa: Container) -> None:
    modules = own_opa.modules()
    own_opa.drop_modules()
    own_opa.wait_until("unhealthy")
    own_opa.put_modules(modules)
    own_opa.wait_until("healthy")


def test_container_turns_unhealthy_when_the_rules_allow_the_empty_question(own_opa: Container) -> None:
    own_opa.drop_modules()
    wrong = 'package jwt_policy\n\ndecision := {"allow": true, "reason": "malformed_input"}\n'
    own_opa.put_modules({"wrong.rego": wrong})
    own_opa.wait_until("unhealthy")


def test_executable_of_the_image_runs_on_this_machine(tmp_path: Path) -> None:
    source = OpaSource({**os.environ, "XDG_CACHE_HOME": str(tmp_path)})
    executable = source.executable("docker")
    assert executable.source == "Docker"
    assert tmp_path in executable.path.parents
