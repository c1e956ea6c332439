"""`jwt-bridge demo` as a process."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import subprocess

import jwt
import pytest
from cli_process import COMMAND, PATIENCE, between, environment, read_line, run, run_here, started
from fault_server import FaultServer

from bridge.opa import OpaClient

NO_OPA = {"PATH": "/nowhere", "JWT_BRIDGE_OPA": None}
MATRIX = """
Q4y7vKpXSJ2m-1RkzUa8Dg + matched - no grant - missing - no grant - no grant
b_Zt0WcNTXqH5fLeY3iGkA - differs - no grant - missing - no grant - no grant
h8DnPsV4RgaE-xO6mJq2Cw - differs - no grant - missing - no grant - no grant
zK1uFjYbSxWc9T_rMv5dXQ - missing - no grant + matched - no grant - no grant
L7oIgE3hQnuVkB2ysAp0Zg - missing - no grant - missing - no grant - no grant
e5RwCqJxT8-fUd4HmNtG6A - missing - no grant - missing - no grant - no grant
nRYFUksL_zZF8m7v-F27eQ - no grant + matched - missing + matched + matched
Xv2kAq9OTzS-Wm8pRc6bFg - no grant - differs - missing + matched - differs
7UeHs0dLQ_iJnY5tKwGz1A - no grant - differs - missing + matched - differs
cPb4ZxE6SfaVo3jMyTq9hw - no grant - missing + matched + matched - differs
R-1gDuN8WkCm_L5sXeIv2Q - no grant - missing - differs + matched - differs
nRYFUksL_zZF8m7v-f27eQ - no grant - missing - missing + matched - differs
"""
ROW = re.compile(r" (\S+) +((?:[-+] [a-z ]+){5})")


def matrix(text: str) -> str:
    """The rows of the table, without what is between the columns."""
    rows = filter(None, map(ROW.fullmatch, text.translate({0x2713: "+", 0x2717: "-"}).splitlines()))
    return "\n" + "".join(f"{row[1]} {' '.join(row[2].split())}\n" for row in rows)


def test_without_an_opa() -> None:
    done = run("demo", **NO_OPA)
    assert matrix(done.text) == MATRIX
    assert "\u2713" in done.text
    assert max(map(len, done.text.splitlines())) <= 80
    assert "\x1b" not in done.text
    assert done.text.endswith(
        "\nThat is all, and nothing more is needed. With an `opa` on PATH, or the address\n"
        "of an OPA in OPA_URL, the demo queries it too, and shows that both agree.\n"
    )
    assert done.stderr == ""


def test_the_marks_are_explained_before_they_are_used() -> None:
    lines = run_here("demo", **NO_OPA).text.splitlines()
    legend = next(number for number, line in enumerate(lines) if "type_not_granted" in line)
    assert "no grant" in lines[legend]
    assert "the policy does not describe this type" in lines[legend]
    assert legend < next(number for number, line in enumerate(lines) if line.startswith(" Q4y7vKpXSJ2m-1RkzUa8Dg"))


@pytest.mark.parametrize(("changes", "styled"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_on_a_terminal(changes, styled) -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "demo"], stdout=slave, stderr=slave, env=environment(**NO_OPA, **changes, TERM="xterm-256color")
    )
    os.close(slave)
    shown = b""
    while piece := _read(master):
        shown += piece
    os.close(master)
    assert process.wait(PATIENCE) == 0
    assert (b"\x1b" in shown) is styled
    assert b"Q4y7vKpXSJ2m-1RkzUa8Dg" in shown


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65_536)
    except OSError:  # how Linux tells that the other side is closed
        return b""


# --- its files


def commands(text: str) -> list[list[str]]:
    """The words of each command that it says to try."""
    lines = text.replace("\\\n", "").splitlines()
    return [shlex.split(line) for line in lines if line.startswith("  jwt-bridge ")]


def test_files_to_try_the_other_commands_with(tmp_path) -> None:
    folder = tmp_path / "new" / "try it"
    text = run("demo", "--out", folder, **NO_OPA).text
    assert matrix(text) == MATRIX
    names = {path.name for path in folder.iterdir()}
    assert names == {"public.pem", "device.json", "devices.jsonl", "sessions.jsonl", "agent.jwt"} | {
        f"agent-{number}.jwt" for number in range(1, 6)
    }
    assert "notification_token" in (folder / "device.json").read_text()
    assert not any(b"PRIVATE" in path.read_bytes() for path in folder.iterdir())
    check, serve, push, by_id = commands(text)
    assert run(*check[1:]).text.startswith("allowed: matched\n")
    with started(*serve[1:], "--port", "0") as process:
        url = re.search(rb"http://127\.0\.0\.1:\d+", read_line(process))[0].decode()
        here = [each.replace("http://127.0.0.1:8181", url) for each in [*push, "", *by_id]]
        assert run(*here[1 : here.index("")]).text.startswith(
            "devices: 7 stored now, 7 before, 0 added, 0 changed, 0 removed, 0 refused"
        )
        assert run(*here[here.index("") + 2 :]).text.startswith("allowed: matched\n")
    for number, type_, id_, verdict in (
        (1, "devices", "Q4y7vKpXSJ2m-1RkzUa8Dg", "allowed"),
        (2, "devices", "Q4y7vKpXSJ2m-1RkzUa8Dg", "denied"),
    ):
        resource = next(
            line for line in (folder / f"{type_}.jsonl").read_text().splitlines() if json.loads(line)["id"] == id_
        )
        arguments = [each.replace("agent.jwt", f"agent-{number}.jwt") for each in check[1 : check.index("--resource")]]
        done = run_here(*arguments, "--resource", resource, status=0 if verdict == "allowed" else 1)
        assert done.text.startswith(verdict)


def test_tokens_for_a_day(tmp_path) -> None:
    run_here("demo", "--out", tmp_path, **NO_OPA)
    claims = jwt.decode((tmp_path / "agent.jwt").read_text(), options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 24 * 3600
    assert (claims["aud"], claims["iss"]) == ("https://cobrowse.io", "LICENSE-KEY")


def test_the_key_is_one_that_rules_can_hold(tmp_path) -> None:
    run_here("demo", "--out", tmp_path, **NO_OPA)
    assert "BEGIN PUBLIC KEY" in run_here("render", "--key", tmp_path / "public.pem").text


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("public.pem", b"-----BEGIN PUBLIC KEY-----\n"),
        ("agent.jwt", b"e30.eyJzdWIiOiJtZSJ9.AAAA"),
        ("agent-3.jwt", b""),
        ("devices.jsonl", b'{"id":"mine"}\n'),
        ("sessions.jsonl", b"\xff"),
    ],
)
def test_foreign_files_are_left_alone(tmp_path, name, data) -> None:
    (tmp_path / name).write_bytes(data)
    done = run_here("demo", "--out", tmp_path, status=2, **NO_OPA)
    assert f"`{tmp_path / name}` exists, and no earlier run wrote it: nothing was written; move it away" in done.stderr
    assert done.text == ""
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [data]


def test_its_own_files_are_replaced(tmp_path) -> None:
    run_here("demo", "--out", tmp_path, **NO_OPA)
    before = (tmp_path / "public.pem").read_bytes()
    check = commands(run_here("demo", "--out", tmp_path, **NO_OPA).text)[0]
    assert (tmp_path / "public.pem").read_bytes() != before
    assert "allowed" in run_here(*check[1:]).text


# --- an OPA


def test_on_a_terminal_with_ascii_only() -> None:
    done = run("demo", PYTHONUTF8="0", PYTHONIOENCODING="ascii", **NO_OPA)
    assert matrix(done.stdout.decode("ascii")) == MATRIX
    assert "\\u" not in done.text


def test_with_an_opa_on_this_machine() -> None:
    text = run("demo").text
    assert matrix(text) == MATRIX
    assert re.search(r"An OPA, started from `.*`, decided as well,\n.* agrees on all 60 decisions\.\n", text)


def test_with_a_server_that_has_nothing_of_the_demo_afterwards(start_opa) -> None:
    server = start_opa()
    with OpaClient(server.url) as client:
        text = run("demo", OPA_URL=server.url).text
        assert f"The OPA at {server.url} decided as well,\n" in text
        assert "agrees on all 60 decisions" in text
        assert (client.list_policies(), client.get_data(())) == ((), {})
        # It is asked indeed: one that decides otherwise is told, and cleaned up as well.
        other = lambda _, body: ("200 OK", body.replace(b'"type_not_granted"', b'"unknown_resource"'))  # noqa: E731
        with between(server.url, other) as liar:
            done = run("demo", OPA_URL=liar.url, status=3)
        assert f"jwt-bridge: The OPA at {liar.url} agrees on 36 of 60 decisions only" in done.stderr
        assert (client.list_policies(), client.get_data(())) == ((), {})


@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1:1", "http://user:secret@127.0.0.1", None])
def test_with_a_server_that_cannot_be_asked(url) -> None:
    with FaultServer(lambda exchange: exchange.reply(b"{}", "401 Unauthorized")) as server:
        url = url or server.url
        done = run_here("demo", OPA_URL=url)
    assert matrix(done.text) == MATRIX
    address = "" if "secret" in url else f", `{url}`,"
    output = " ".join(done.text.split())
    assert f"No OPA was compared: the one that OPA_URL names{address} cannot be queried: " in output
    assert "secret" not in done.text


def test_with_an_opa_that_cannot_be_used(tmp_path) -> None:
    done = run_here("demo", **NO_OPA | {"JWT_BRIDGE_OPA": str(tmp_path)})
    assert f"No OPA was compared: `{tmp_path}` cannot be used: it is no" in " ".join(done.text.split())
