"""An OPA that is a child of this process: how it starts, and that it ends."""

from __future__ import annotations

import gc
import io
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from bridge.errors import EngineUnreachableError, OpaNotFoundError, UsageError
from bridge.opa import ManagedOpa, OpaClient


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and is not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until_gone(pid: int) -> None:
    """Without a child's rights: a pidfd becomes readable when the process ends."""
    import select  # noqa: PLC0415

    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([fd], [], [], 10)[0], f"process {pid} runs on"
    finally:
        os.close(fd)


def test_it_is_ready_when_it_is_there_and_gone_when_it_is_stopped(opa_executable, tmp_path) -> None:
    (tmp_path / "a.rego").write_text("package a\n\nx := data.d.y\n")
    (tmp_path / "d.json").write_text('{"d":{"y":7}}')
    with ManagedOpa([tmp_path], executable=opa_executable) as opa, OpaClient(opa.url) as client:
        assert client.get_data(("a", "x")) == 7
        assert opa.is_running()
        assert opa.url == f"http://127.0.0.1:{opa.port}"
        assert opa.url in repr(opa)
    assert not opa.is_running()
    assert not is_alive(opa.pid)
    opa.stop()
    opa.kill()


def test_it_listens_on_loopback_only(opa_executable) -> None:
    with ManagedOpa(executable=opa_executable) as opa:
        listening = [line.split() for line in Path(f"/proc/{opa.pid}/net/tcp").read_text().splitlines()[1:]]
        assert [line[1] for line in listening if line[1].endswith(f":{opa.port:04X}") and line[3] == "0A"] == [
            f"0100007F:{opa.port:04X}"
        ]


def test_two_do_not_meet(opa_executable) -> None:
    with ManagedOpa(executable=opa_executable) as one, ManagedOpa(executable=opa_executable) as other:
        assert one.port != other.port
        with OpaClient(one.url) as client:
            client.put_data(("a",), b"1")
        with OpaClient(other.url) as client:
            assert client.get_data(("a",)) != 1


def test_a_port_that_is_taken_by_another_opa(opa_executable) -> None:
    """The other one answers to the question for health, and must not be taken for ours."""
    with (
        ManagedOpa(executable=opa_executable) as other,
        pytest.raises(
            EngineUnreachableError, match=r"(?s)exit status 1 before it was healthy; its log: .*address already in use"
        ),
    ):
        ManagedOpa(executable=opa_executable, port=other.port)


def test_without_a_way_to_ask_a_process_for_its_port_others_are_tried(opa_executable, monkeypatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1], 0])
        monkeypatch.setattr("bridge.opa.process._free_port", lambda: next(ports))
        with ManagedOpa(executable=opa_executable) as opa:
            assert opa.port != taken.getsockname()[1]


def test_a_system_that_does_not_tell_ports(opa_executable, monkeypatch) -> None:
    monkeypatch.setattr("bridge.opa.process._shows_ports", lambda: False)
    with ManagedOpa(executable=opa_executable) as opa, OpaClient(opa.url) as client:
        assert client.health().ok


def test_a_policy_that_does_not_compile_is_told(opa_executable, tmp_path) -> None:
    (tmp_path / "a.rego").write_text("package a\n\nx := y\n")
    with pytest.raises(
        EngineUnreachableError, match=r"`opa` ended with exit status \d+ before it was healthy; its log: "
    ) as caught:
        ManagedOpa([tmp_path], executable=opa_executable)
    assert "var y is unsafe" in str(caught.value)


def test_a_file_that_looks_like_a_flag_is_a_file(opa_executable, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "--help").mkdir()
    (tmp_path / "--help" / "d.json").write_text('{"d":1}')
    with ManagedOpa(["--help"], executable=opa_executable) as opa, OpaClient(opa.url) as client:
        assert client.get_data(("d",)) == 1


@pytest.mark.parametrize("argument", ["--addr=0.0.0.0:8181", "-a", "--diagnostic-addr=:8282"])
def test_no_other_address(opa_executable, argument) -> None:
    with pytest.raises(UsageError):
        ManagedOpa(executable=opa_executable, arguments=[argument])


def test_no_executable(tmp_path) -> None:
    with pytest.raises(OpaNotFoundError):
        ManagedOpa(executable=tmp_path / "opa")


def test_its_log_is_copied_and_its_end_is_kept(opa_executable) -> None:
    """More than a pipe holds: an OPA whose log nobody reads would stand still."""
    copy = io.StringIO()
    with (
        ManagedOpa(executable=opa_executable, arguments=["--log-level", "debug"], log_to=copy) as opa,
        OpaClient(opa.url) as client,
    ):
        body = b'{"input":"' + b"x" * 60_000 + b'"}'
        for _ in range(10):
            client.query(("x",), body)
        client.query(("the_last",), body)
    assert "Initializing server" in copy.getvalue()
    assert "the_last" in opa.log
    assert "Initializing server" not in opa.log
    assert len(opa.log) <= 64 * 1024


def test_it_takes_no_flags_from_the_environment(opa_executable, monkeypatch) -> None:
    monkeypatch.setenv("OPA_RUN_AUTHORIZATION", "basic")
    with ManagedOpa(executable=opa_executable) as opa, OpaClient(opa.url) as client:
        client.put_data(("a",), b"1")


def test_one_that_does_not_end_when_asked_is_killed(opa_executable) -> None:
    opa = ManagedOpa(executable=opa_executable)
    os.kill(opa.pid, signal.SIGSTOP)
    opa.stop()
    assert not is_alive(opa.pid)


def test_one_that_nobody_refers_to_any_more_ends(opa_executable) -> None:
    opa = ManagedOpa(executable=opa_executable)
    pid = opa.pid
    del opa
    gc.collect()
    assert not is_alive(pid)


def test_a_forked_child_does_not_end_it(opa_executable) -> None:
    with ManagedOpa(executable=opa_executable) as opa, OpaClient(opa.url) as client:
        child = os.fork()
        if not child:
            opa.stop()
            os._exit(0)
        os.waitpid(child, 0)
        assert client.health().ok


def test_one_that_ends_by_itself(opa_executable) -> None:
    with ManagedOpa(executable=opa_executable) as opa:
        os.kill(opa.pid, signal.SIGTERM)
        assert opa.wait(60) == 0


PARENT = """
    import os, signal, sys, threading
    from bridge.opa import ManagedOpa
    def start():
        global opa
        opa = ManagedOpa(executable=sys.argv[1])
    if sys.argv[2] == "thread":
        thread = threading.Thread(target=start)
        thread.start()
        thread.join()
    else:
        start()
    print(opa.pid, flush=True)
    sys.stdin.readline()
    sys.exit("the parent failed") if sys.argv[3] == "fail" else None
"""


def parent(opa_executable: Path, where: str, how: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(PARENT), opa_executable, where, how]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, cwd=Path(__file__).parents[2], **pipes)


@pytest.mark.parametrize("where", ["main", "thread"])
@pytest.mark.parametrize("how", ["end", "fail"])
def test_it_ends_with_its_parent(opa_executable, where, how) -> None:
    with parent(opa_executable, where, how) as process:
        pid = int(process.stdout.readline())
        assert is_alive(pid)
        process.communicate("\n")
    wait_until_gone(pid)


def test_it_ends_with_a_parent_that_is_killed(opa_executable) -> None:
    with parent(opa_executable, "main", "end") as process:
        pid = int(process.stdout.readline())
        process.kill()
    wait_until_gone(pid)


def test_one_that_a_thread_starts_outlives_the_thread(opa_executable) -> None:
    started: list[ManagedOpa] = []
    thread = threading.Thread(target=lambda: started.append(ManagedOpa(executable=opa_executable)))
    thread.start()
    thread.join()
    with started[0] as opa, OpaClient(opa.url) as client:
        assert client.health().ok
