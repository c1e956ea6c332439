"""One OPA for the whole run: chosen before the first test, named in the report's header, never done without."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from conformance import tally
from opa_source import (
    COMPOSE_FILE,
    SERVER_SOURCES,
    Executable,
    NoUsableOpaError,
    OpaSource,
    Server,
    UnusableSourceError,
)
from ports import reserved_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bridge.opa.process import ManagedOpa

SOURCE = pytest.StashKey[OpaSource]()
SERVER = pytest.StashKey[Server]()
EXECUTABLE = pytest.StashKey[Executable]()
PATIENCE = 60.0
# An OPA compiles all its modules again for each one that is written. Two fifths of that is garbage collection with Go's
# own setting, 100. Nothing that is tested depends on how often an OPA collects.
GARBAGE_COLLECTION = "400"

# A slow machine, or one that is busy with other work, is no failure: no example has a time limit of its own.
hypothesis.settings.register_profile(
    "no_clock",
    hypothesis.settings.get_profile(hypothesis.settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("no_clock")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("opa", "where the tests get their OPA")
    group.addoption(
        "--docker",
        choices=("auto", "require"),
        default="auto",
        help="tests of Docker itself: run them where there is an engine (auto), or fail without one (require)",
    )
    group.addoption("--opa-from", choices=SERVER_SOURCES, help="take the shared server from this source and no other")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Choose before any test: a run without an OPA must end here, not skip its way to green."""
    config = session.config
    os.environ.setdefault(tally.VARIABLE, str(tally.seed()))  # one seed in all processes, past midnight too
    source = config.stash[SOURCE] = OpaSource(os.environ, tell=_teller(config))
    if config.option.collectonly:
        return
    try:
        if config.getoption("--docker") == "require":
            source.docker()
        config.stash[SERVER] = source.server(_handed(config).get("opa_from") or config.getoption("--opa-from"))
        config.stash[EXECUTABLE] = source.executable()
    except UnusableSourceError as why:
        pytest.exit(f"--docker=require, but there is no Docker engine: {why}", returncode=pytest.ExitCode.USAGE_ERROR)
    except NoUsableOpaError as why:
        pytest.exit(str(why), returncode=pytest.ExitCode.USAGE_ERROR)
    # bridge.opa.executable looks here, so every test and every process it starts runs the same `opa`.
    os.environ["JWT_BRIDGE_OPA"] = str(config.stash[EXECUTABLE].path)
    os.environ.setdefault("GOGC", GARBAGE_COLLECTION)


def _handed(config: pytest.Config) -> dict[str, Any]:
    """What the process that started this one has handed to it, if this is one of several."""
    worker_input: dict[str, Any] = getattr(config, "workerinput", {})
    return worker_input


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """In the process that starts the others: tell each of them which source the shared server comes from.

    `JWT_BRIDGE_OPA` is set by now, so without this they could choose another source.
    """
    node.workerinput["opa_from"] = node.config.stash[SERVER].kind


def _teller(config: pytest.Config) -> Callable[[str], None]:
    """A build of minutes in silence looks like a hang: say it past pytest's capture."""

    def tell(text: str) -> None:
        capture = config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            print(text, flush=True)  # noqa: T201

    return tell


def pytest_report_header(config: pytest.Config) -> list[str]:
    if SERVER not in config.stash:
        return []
    try:
        docker = config.stash[SOURCE].docker()
    except UnusableSourceError as why:
        docker = f"none, so its tests are deselected: {why}"
    return [
        f"opa server: {config.stash[SERVER]}",
        f"opa executable: {config.stash[EXECUTABLE]}",
        f"docker: {docker}",
    ]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without an engine the tests of Docker itself are not of this run: deselected, and counted as such."""
    try:
        config.stash[SOURCE].docker()
    except UnusableSourceError:
        of_docker = [item for item in items if item.get_closest_marker("docker")]
        if of_docker:
            config.hook.pytest_deselected(items=of_docker)
            items[:] = [item for item in items if item not in of_docker]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In one of several processes: hand over what was compared here."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["compared"] = {layer: dict(deciders) for layer, deciders in tally.COMPARED.items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """In the process that has several do its work: take what one of them compared."""
    for layer, deciders in getattr(node, "workeroutput", {}).get("compared", {}).items():
        for decider, answers in deciders.items():
            tally.count(layer, decider, answers)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was compared is told at the end of every run."""
    if tally.COMPARED:
        seed = tally.seed()
        terminalreporter.section(f"conformance, seed {seed} ({tally.VARIABLE}={seed} repeats it)")
        for line in tally.lines():
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def opa_executable(pytestconfig: pytest.Config) -> Path:
    """The `opa` of this run; bridge.opa.executable finds the same one."""
    return pytestconfig.stash[EXECUTABLE].path


@pytest.fixture(scope="session")
def pinned_opa(pytestconfig: pytest.Config) -> Path:
    """An `opa` of exactly the pinned version: what is compared byte for byte was made by that one."""
    return pytestconfig.stash[SOURCE].executable(pinned=True).path


@pytest.fixture(scope="session")
def start_opa(opa_executable: Path) -> Iterator[Callable[..., ManagedOpa]]:
    """Start an OPA of the test's own, to configure or to kill; it ends with the run, if not before."""
    from bridge.opa.process import ManagedOpa  # noqa: PLC0415 - a broken bridge must not hide which OPA was chosen

    with contextlib.ExitStack() as running:

        def start(*arguments: object, **settings: object) -> ManagedOpa:
            settings.setdefault("executable", opa_executable)
            settings.setdefault("ready_within", PATIENCE)
            if "port" not in settings:  # it stays the test's own while its OPA is down
                settings["port"] = running.enter_context(reserved_port())
            return running.enter_context(ManagedOpa(*arguments, **settings))

        yield start


@pytest.fixture(scope="session")
def opa_url(pytestconfig: pytest.Config, request: pytest.FixtureRequest, start_opa: Callable[..., ManagedOpa]) -> str:
    """The address of the shared server. Others use it too: a test keeps to package and data roots of its own."""
    server = pytestconfig.stash[SERVER]
    if server.kind == "url":
        return server.detail.rstrip("/")
    if server.kind == "docker":
        services = request.getfixturevalue("docker_services")
        return f"http://{request.getfixturevalue('docker_ip')}:{services.port_for('opa', 8181)}"
    return start_opa().url


@pytest.fixture(scope="session")
def another_opa_url(
    pytestconfig: pytest.Config, request: pytest.FixtureRequest, start_opa: Callable[..., ManagedOpa]
) -> Callable[[], str]:
    """Return the address of one more server for rules that stay installed: the shared one if that is not a process.

    An OPA compiles the modules of all rule sets again for each module that is written, so that many rule sets on one
    server cost the square of their number.
    """
    if pytestconfig.stash[SERVER].kind in ("url", "docker"):
        url = request.getfixturevalue("opa_url")
        return lambda: url
    return lambda: start_opa().url


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    """The file that users get is the file that is tested."""
    return str(COMPOSE_FILE)


@pytest.fixture(scope="session")
def docker_compose_project_name() -> str:
    return f"jwt-policy-bridge-test-{os.getpid()}"


@pytest.fixture(scope="session")
def docker_setup() -> list[str]:
    """`--wait` returns when the health check passes, and fails when it does not."""
    return ["up --wait --wait-timeout 60"]


@pytest.fixture(scope="session", autouse=True)
def _patient_clients() -> Iterator[None]:
    """The default deadline of a client is for services; here a busy machine may take longer."""
    from bridge.aio import AsyncOpaClient  # noqa: PLC0415 - as in `start_opa`
    from bridge.opa import OpaClient  # noqa: PLC0415

    with pytest.MonkeyPatch.context() as patch:
        for client in (OpaClient, AsyncOpaClient):
            patch.setitem(client.__init__.__kwdefaults__, "deadline", PATIENCE)
        yield


@pytest.fixture(scope="session", autouse=True)
def _any_free_port() -> Iterator[None]:
    """8181 may be taken by the developer's own OPA."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPA_PORT", "0")
        yield
