"""`jwt-bridge install`, `render` and `serve` as processes, and what all commands have in common."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cli_process import PATIENCE, ended, environment, read_line, run, run_here, started
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fault_server import FaultServer

from bridge.errors import EngineUnreachableError
from bridge.opa import OpaClient, run_opa
from bridge.rendering import RuleSet, entrypoints, fingerprint, rego_root, render

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.opa import ManagedOpa

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("demo", "decide", "check", "push", "install", "render", "serve")


@pytest.fixture(scope="module")
def opa(start_opa: Callable[..., ManagedOpa]) -> ManagedOpa:
    return start_opa()


@pytest.fixture(scope="module")
def public_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "public.pem"
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048).public_key()
    path.write_bytes(key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return path


# --- all commands


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_that_names_real_options(command) -> None:
    text = run_here(command, "--help", COLUMNS="300").text
    own = [words[2:] for words in examples_in(text) if words[:2] == ["jwt-bridge", command]]
    assert own
    for option in re.findall(r"--[a-z-]+", " ".join(word for words in own for word in words)):
        assert re.search(rf"│ \*? *{option} ", text)
    assert "[bold]" not in text


def examples_in(text: str) -> list[list[str]]:
    """The words of each example, as a shell would read them."""
    block = text.partition("\nExamples:\n")[2].replace("\\\n", "")
    return [shlex.split(line) for line in block.splitlines() if line.startswith("  jwt-bridge ")]


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_can_be_pasted_from_any_terminal(command) -> None:
    wide, narrow = (run_here(command, "--help", COLUMNS=columns).text for columns in ("300", "40"))
    assert examples_in(wide) == examples_in(narrow)
    assert max(map(len, wide.partition("\nExamples:\n")[2].splitlines())) < 80


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_shows_no_type_for_a_flag(command) -> None:
    text = run_here(*filter(None, [command]), "--help", COLUMNS="300").text
    assert "<bool>" not in text
    assert "BOOLEAN" not in text
    assert "[default: (" not in text


def test_help_names_the_variable_of_a_token() -> None:
    assert (
        "other users can see the arguments of a process. [env var: JWT]"
        in run_here("check", "--help", COLUMNS="300").text
    )


def test_help_is_as_wide_as_the_terminal() -> None:
    text = run_here("decide", "--help", COLUMNS="300").text
    assert "`case`, a text that is copied to the answer. The answers have the same order" in text


def test_the_installed_command() -> None:
    script = shutil.which("jwt-bridge", path=str(Path(sys.executable).parent))
    assert script is not None
    done = subprocess.run([script, "--version"], capture_output=True, check=True, timeout=PATIENCE, env=environment())
    assert re.fullmatch(rb"jwt-bridge \d+\.\d+\.\d+\n", done.stdout)
    text = run("--help").text
    assert all(re.search(rf"│ {command} ", text) for command in COMMANDS)


@pytest.mark.parametrize(("typed", "expected"), [("jwt-bridge re", "render"), ("jwt-bridge render --fo", None)])
def test_shell_completion(typed, expected) -> None:
    changes = {
        "_JWT_BRIDGE_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    assert run(**changes).text.split() == ([expected] if expected else [])


@pytest.mark.parametrize("command", ["demo", "render"])
def test_a_reader_that_has_gone(command) -> None:
    with started(command, PATH="/nowhere", JWT_BRIDGE_OPA=None) as process:
        process.stdout.close()
        assert ended(process, 141) == ""


# --- render


def test_render_shows_the_modules() -> None:
    text = run_here("render").text
    names = re.findall(r"^# ----- (.*)$", text, re.MULTILINE)
    assert names == [module.path for module in render(RuleSet())]
    assert all(module.text in text for module in render(RuleSet()))


def test_render_writes_rego_that_opa_takes(tmp_path, public_key) -> None:
    rules = ["--package-root", "acme.jwt_policy", "--resource-type", "robots", "--key", public_key, "--issuer", "x"]
    done = run_here("render", *rules, "--out", tmp_path / "new" / "rego")
    folder = tmp_path / "new" / "rego"
    written = sorted(path for path in folder.rglob("*") if path.is_file())
    assert [line.split("  ")[0] for line in done.text.splitlines()[:-1]] == sorted(
        map(str, written), key=done.text.find
    )
    assert folder / "acme" / "jwt_policy" / "token" / "token.rego" in written
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o644}
    assert run_opa(["check", "--strict", folder]).status == 0
    # A second run replaces the first one's files, whatever the settings.
    run_here("render", "--package-root", "acme.jwt_policy", "--claim", "p", "--out", folder)
    assert 'claim := "p"' in (folder / "acme/jwt_policy/settings/settings.rego").read_text()


def test_render_removes_the_token_checks_of_an_earlier_run(tmp_path, public_key) -> None:
    stale = tmp_path / "jwt_policy" / "token" / "token.rego"
    run_here("render", "--key", public_key, "--out", tmp_path)
    beside = stale.with_name("mine.rego")
    beside.write_text("package mine\n")
    assert f"{stale}  removed: an earlier run wrote it" in run_here("render", "--out", tmp_path).text
    assert list(stale.parent.iterdir()) == [beside]
    assert "removed" not in run_here("render", "--out", tmp_path).text
    beside.unlink()
    run_here("render", "--key", public_key, "--out", tmp_path)
    run_here("render", "--out", tmp_path)
    assert not stale.parent.exists()
    stale.parent.mkdir()
    for foreign in ("package jwt_policy.token\n", "# METADATA\n# title: mine\npackage mine\n"):
        stale.write_text(foreign)
        assert "removed" not in run_here("render", "--out", tmp_path).text
        assert stale.read_text() == foreign


def test_render_of_the_default_rules_is_what_is_committed(tmp_path, pinned_opa) -> None:
    rego = tmp_path / "rego"
    shutil.copytree(rego_root(), rego)
    main, wasm = rego / "jwt_policy" / "jwt_policy.rego", rego / "jwt_policy" / "policy.wasm"
    main.write_text("# METADATA\n# title: JWT policy\npackage jwt_policy\n")
    wasm.write_bytes(b"\0asm")
    wasm.chmod(0o600)
    beside = rego / "jwt_policy" / "jwt_policy_test.rego"
    beside.write_text("package jwt_policy_test\n")
    run("render", "--default", "--write", "rego", cwd=tmp_path, JWT_BRIDGE_OPA=str(pinned_opa))
    committed = rego_root() / "jwt_policy"
    assert main.read_bytes() == (committed / "jwt_policy.rego").read_bytes()
    assert wasm.read_bytes() == (committed / "policy.wasm").read_bytes()
    assert stat.S_IMODE(wasm.stat().st_mode) == 0o644
    assert beside.read_text() == "package jwt_policy_test\n"
    names = {path.relative_to(rego) for path in rego.rglob("*")}
    assert names == {path.relative_to(rego_root()) for path in rego_root().rglob("*")} | {beside.relative_to(rego)}


def test_render_leaves_foreign_files_alone(tmp_path) -> None:
    foreign = tmp_path / "jwt_policy" / "settings" / "settings.rego"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("package mine\n")
    done = run_here("render", "--out", tmp_path, status=2)
    assert f"`{foreign}` exists, and no earlier run wrote it: nothing was written; move it away" in done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [foreign]
    file = tmp_path / "notes.txt"
    file.write_text("mine\n")
    run_here("render", "--wasm", file, status=2)
    assert (foreign.read_text(), file.read_text()) == ("package mine\n", "mine\n")


@pytest.mark.parametrize(
    ("arguments", "changes", "status", "expected"),
    [
        (["--default"], {}, 2, "one of --default and --write is missing: give both or neither"),
        (["--write", "x"], {}, 2, "one of --default and --write is missing: give both or neither"),
        (["--default", "--write", "x", "--claim", "p"], {}, 2, "--default takes no other settings"),
        (["--default", "--write", "x", "--out", "y"], {}, 2, "--default takes no other settings"),
        (["--package-root", "system.x"], {}, 2, "is inside OPA's own `system`"),
        (["--claim", ""], {}, 2, "the claim's name"),
        (["--issuer", "x"], {}, 2, "rules that verify tokens need a key"),
        (["--key", "KEY", "--wasm", "x.wasm"], {}, 2, "runs only on an OPA server"),
        (["--key", "KEY", "--jwks", "x"], {}, 2, "--key and --jwks are both given: leave one of them out"),
        (["--jwks", "https://example.com/jwks"], {}, 2, "--jwks must name a file here"),
        (["--key", "nothing.pem"], {}, 2, "`nothing.pem`: no such file or directory"),
        (["--key", "PRIVATE"], {}, 2, "a private key"),
        (["--out", "/dev/null"], {}, 2, "`/dev/null"),
        (["--wasm", "x.wasm"], {"PATH": "/nowhere", "JWT_BRIDGE_OPA": None}, 2, "install opa 1.20.1 or newer"),
        (["--wasm", "x.wasm", "--opa", "/dev/null"], {}, 2, "`/dev/null` cannot be used"),
        (["--wasm", "/", "--out", "out"], {}, 2, "is a directory"),
    ],
)
def test_misuse_of_render(tmp_path, monkeypatch, public_key, arguments, changes, status, expected) -> None:
    private = tmp_path / "private.pem"
    private.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    arguments = [{"KEY": public_key, "PRIVATE": private}.get(each, each) for each in arguments]
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    done = run_here("render", *arguments, status=status, **changes)
    assert expected in done.stderr
    assert done.stdout == b""
    assert list(folder.iterdir()) == []


# --- install


def test_install(opa, public_key) -> None:
    roots = ["--package-root", "install_test", "--data-root", "install_test_data"]
    rules = RuleSet(package_root="install_test", data_root="install_test_data")
    text = run("install", *roots, OPA_URL=opa.url).text
    assert fingerprint(rules)[:12] in text
    public = [f"install_test/{name}" for name in ("allow", "decision", "decisions")]
    assert [line.split()[1] for line in text.splitlines() if "entrypoint" in line] == [
        f"/v1/data/{name}" for name in public
    ]
    assert set(entrypoints(rules)) == {*public, "install_test/answer"}
    with OpaClient(opa.url) as client:
        assert client.query(("install_test", "allow"), b'{"input":{}}').result is False
        installed = {policy.id: policy.text for policy in client.list_policies()}
        assert installed == {module.path: module.text for module in render(rules)}
        run("install", *roots, "--key", public_key, "--audience", "me", OPA_URL=opa.url)
        query_body = b'{"input":{"token":"x","type":"devices","resource":{"id":"1"}}}'
        assert client.query(("install_test", "decision"), query_body).result == {
            "allow": False,
            "reason": "invalid_token",
        }


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ((b'{"code":"unauthorized","message":"request rejected"}', "401 Unauthorized"), "opa answered 401"),
        ((b'{"provenance":{"version":"1.19.0"}}', "200 OK"), "1.19.0"),
        ((b'{"provenance":{"version":"1.20.2"},"result":true}', "200 OK"), "`result` is not an array"),
    ],
)
def test_install_where_it_cannot_be(reply, expected) -> None:
    with FaultServer(lambda exchange: exchange.reply(*reply)) as server:
        done = run_here("install", OPA_URL=server.url, status=3)
    assert expected in done.stderr
    assert done.stdout == b""


def test_misuse_of_install() -> None:
    assert "no OPA server is named: " in run_here("install", status=2).stderr
    assert "connection refused" in run_here("install", "--opa-url", "http://127.0.0.1:1", status=3).stderr


# --- serve


def serving(process: subprocess.Popen[bytes]) -> list[str]:
    """What it says until it is ready."""
    said = []
    while not said or said[-1] != "Ctrl-C ends it\n":
        line = read_line(process).decode()
        assert line, process.stderr.read().decode()
        said.append(line)
    return said


def test_serve(tmp_path) -> None:
    for type_, text in (("devices", '{"id":"a"}\n{"id":"b"}\n{}\n'), ("robots", '{"id":"r2d2"}\n')):
        (tmp_path / type_).write_text(text)
    types = ["--resource-type", "devices", "--resource-type", "robots"]
    files = ["--devices", tmp_path / "devices", "--data", f"robots={tmp_path / 'robots'}"]
    refused = run_here("serve", "--port", "0", *files, *types, status=2).stderr
    assert f"1 of 3 resources in `{tmp_path / 'devices'}` are refused" in refused
    with started("serve", "--port", "0", *files, *types, "--skip-invalid") as process:
        said = serving(process)
        url = re.search(r"http://127\.0\.0\.1:\d+", said[0])[0]
        assert said[0] == f"opa is serving jwt_policy at {url} (devices: 2, robots: 1)\n"
        curl, silent, address, data, body = shlex.split(said[1].removeprefix("try:  "))
        assert (curl, silent, data) == ("curl", "-s", "-d")
        with urllib.request.urlopen(urllib.request.Request(address, body.encode()), timeout=PATIENCE) as reply:
            assert json.load(reply) == {"result": {"allow": True, "reason": "matched"}}
        assert json.loads(body)["input"]["id"] == "a"  # one that is there
        with OpaClient(url) as client:
            input_ = {"claims": {"policy": {"version": 2, "robots": {}}}, "type": "robots", "id": "r2d2"}
            assert client.query(("jwt_policy", "allow"), json.dumps({"input": input_}).encode()).result is True
            process.send_signal(signal.SIGINT)
            complaint = ended(process, 0)
            with pytest.raises(EngineUnreachableError):
                client.health()
    assert complaint.startswith("jwt-bridge: devices: line 3: ")


def test_serve_ends_with_its_opa() -> None:
    with started("serve", "--port", "0") as process:
        assert "(no data)" in serving(process)[0]
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 1
        os.kill(int(children[0]), signal.SIGKILL)
        assert "jwt-bridge: `opa` ended by itself, with exit status -9" in ended(process, 3)


def test_serve_and_sigterm() -> None:
    with started("serve", "--port", "0", "--claim", "it's") as process:
        said = serving(process)
        assert '"it\'s"' in shlex.split(said[1])[-1]
        process.send_signal(signal.SIGTERM)
        assert ended(process, 143) == ""


def test_misuse_of_serve(tmp_path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    nothing = {"PATH": "/nowhere", "JWT_BRIDGE_OPA": None}
    assert "install opa 1.20.1 or newer" in run_here("serve", "--port", "0", status=2, **nothing).stderr
    assert "no such file" in run_here("serve", "--devices", tmp_path / "nothing", status=2).stderr
    assert "is a directory" in run_here("serve", "--sessions", tmp_path, status=2).stderr
    assert "takes TYPE=FILE, not `devices`" in run_here("serve", "--data", "devices", status=2).stderr
    assert "`robots` is not one" in run_here("serve", "--data", f"robots={empty}", status=2).stderr
    (tmp_path / "array").write_text('[\n{"id":"a"},\n{"id":"b"},\n]\n')
    done = run_here("serve", "--devices", tmp_path / "array", status=2)
    assert f"`{tmp_path / 'array'}`: line 4, column 1: expected item 3, found `]`; nothing of a broken" in done.stderr
    assert "more than one file" in run_here("serve", "--devices", empty, "--data", f"devices={empty}", status=2).stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_here("serve", "--port", port, status=2)
    assert f"the port {port} is not available (address already in use): choose another one with --port" in done.stderr
