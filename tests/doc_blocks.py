"""The blocks of the README and of docs/, found by Sybil and run as a reader would run them.

A Python block runs in the namespace of its document. What `print` writes must be what the comment of its line says.
A console block runs in bash, in the folder of its document. Lines behind a command are its output; a command without
such lines must only succeed. Placeholders, such as `<revision>`, stand for what differs from run to run.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import http.client
import inspect
import io
import json
import os
import re
import subprocess
import sys
import time
import tokenize
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ports import reserved_port
from sybil import Document, Example, Sybil
from sybil.parsers.markdown import CodeBlockParser

from bridge import StaticKey, TokenVerifier

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
OPA_ADDRESS = "127.0.0.1:8181"
PATIENCE = 300.0

NOT_RUN = frozenset({"text", "json", "yaml", "toml", "javascript", "go"})
"""Languages of blocks that are not run here; beside those of a programming language stands a curl command that is."""

_PLACEHOLDERS = {"revision": r"\d+", "seconds": r"\d+(\.\d+)?", "version": r"\d+\.\d+\.\d+", "cursor": r"[\w-]+"}
_SERVERS = ("opa run ", "jwt-bridge serve", "flask ", "uvicorn ")


def matches(shown: str, actual: str) -> bool:
    """Whether a line of output is the line that the document shows, placeholders filled in."""
    parts = re.split(rf"<({'|'.join(_PLACEHOLDERS)})>", shown)
    pattern = "".join(_PLACEHOLDERS[part] if odd % 2 else re.escape(part) for odd, part in enumerate(parts))
    return re.fullmatch(pattern, actual) is not None


def compare(shown: list[str], actual: str, what: str) -> None:
    lines = [line.rstrip() for line in actual.splitlines()]
    if len(lines) != len(shown) or not all(map(matches, shown, lines)):
        raise AssertionError(f"{what}\n--- the document shows\n" + "\n".join(shown) + "\n--- the run gave\n" + actual)


@dataclass
class Reader:
    """Who follows one document: a folder, an OPA, and the names that the Python blocks have made so far."""

    folder: Path
    opa_url: str
    path: str
    names: dict[str, Any] = field(default_factory=dict)

    def with_opa(self, text: str) -> str:
        return text.replace(OPA_ADDRESS, self.opa_url.removeprefix("http://"))

    @property
    def environment(self) -> dict[str, str]:
        ours = {"PATH": self.path, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "PYTHONUTF8": "1", "NO_COLOR": "1"}
        dropped = ("OPA_URL", "JWT", "FORCE_COLOR")
        return {name: value for name, value in os.environ.items() if name not in dropped} | ours

    def enter(self, folder: Path) -> None:
        """Go on in a folder; where `jwt-bridge demo --out` has filled it, the names stand for what it holds."""
        if folder != self.folder or "token" not in self.names:
            self.folder = folder
            if (folder / "agent.jwt").exists():
                key = StaticKey.from_pem_file(folder / "public.pem")
                self.names |= {
                    "token": (folder / "agent.jwt").read_text(encoding="utf-8").strip(),
                    "device": json.loads((folder / "device.json").read_text(encoding="utf-8")),
                    "devices": [
                        json.loads(line) for line in (folder / "devices.jsonl").read_text("utf-8").splitlines()
                    ],
                    "verifier": TokenVerifier(key, audience="https://cobrowse.io", issuer="LICENSE-KEY"),
                }

    def close(self) -> None:
        """Close the bridges that the blocks left open, as the end of a program would."""
        for value in self.names.values():
            close = getattr(value, "close", None)
            if close is not None and not isinstance(value, type) and not inspect.iscoroutinefunction(close):
                close()


def python_block(example: Example) -> None:
    reader: Reader = example.namespace["reader"]
    source = reader.with_opa(example.parsed)
    wanted = printed_comments(example.parsed)
    what = f"{example.path}, line {example.line}"
    if "__main__" in source:
        program = reader.folder / "program.py"
        program.write_text(source, encoding="utf-8")
        command = [sys.executable, str(program)]
        done = subprocess.run(
            command,
            cwd=reader.folder,
            env=reader.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{what}\n{done.stderr}"
        return compare(wanted, done.stdout, what)
    # The line numbers of a traceback are those of the document.
    text = "\n" * (example.line + example.parsed.line_offset) + source
    code = compile(text, example.path, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.chdir(reader.folder):
        result = eval(code, reader.names)
        if inspect.iscoroutine(result):
            asyncio.run(result)
    return compare(wanted, output.getvalue(), what)


def printed_comments(source: str) -> list[str]:
    """The comment behind each `print(...)`: what it prints."""
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    comments = {token.start[0]: token.string[1:].strip() for token in tokens if token.type == tokenize.COMMENT}
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    prints = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
    for call in prints:
        assert call.end_lineno in comments, f"no comment says what this prints: {ast.unparse(call)}"
    return [comments[call.end_lineno] for call in sorted(prints, key=lambda call: call.lineno) if call.end_lineno]


def console_block(example: Example) -> None:
    reader: Reader = example.namespace["reader"]
    for command, shown in commands_in(example.parsed):
        what = f"{example.path}, line {example.line}: {command}"
        if command.startswith("docker "):
            assert command == "docker compose up --wait", (
                f"{what}: tests/docker starts the compose file in one way only"
            )
            continue
        if command.startswith(_SERVERS) or " && opa run " in command:
            serve(command, reader)
            continue
        # The folder of one command is that of the next one.
        script = f"set -o pipefail\n{reader.with_opa(command)}\nstatus=$?; pwd >&3; exit $status"
        place, end = os.pipe()
        with os.fdopen(place) as folder_pipe:
            done = subprocess.run(
                ["bash", "-c", script.replace(">&3", f">/dev/fd/{end}")],
                cwd=reader.folder,
                env=reader.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                pass_fds=[end],
                timeout=PATIENCE,
                check=False,
            )
            os.close(end)
            assert done.returncode == 0, f"{what}\nstatus {done.returncode}\n{done.stdout}"
            reader.enter(Path(folder_pipe.readline().rstrip("\n")))
        if shown:
            compare(shown, done.stdout.replace(reader.opa_url, f"http://{OPA_ADDRESS}"), what)


def commands_in(block: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block, and the lines of output that stand behind it."""
    lines = block.rstrip("\n").split("\n")
    while lines:
        first = lines.pop(0)
        assert first.startswith("$ "), f"a console block begins with a command, not with: {first}"
        command = first[2:]
        while not is_complete(command):
            command += "\n" + lines.pop(0)
        shown: list[str] = []
        while lines and not lines[0].startswith("$ "):
            shown.append(lines.pop(0).rstrip())
        yield command, shown


def is_complete(command: str) -> bool:
    """Whether bash takes it for a whole command."""
    if command.endswith("\\"):
        return False
    return subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False).returncode == 0


def serve(command: str, reader: Reader) -> None:
    """Start what a document says to start in a terminal of its own, on another port, and see that it answers."""
    with reserved_port() as port:
        elsewhere = command.replace(OPA_ADDRESS, f"127.0.0.1:{port}").replace("--port 8181", f"--port {port}")
        assert elsewhere != command, f"{command}: where does it listen?"
        folder, _, server = elsewhere.rpartition(" && ")
        process = subprocess.Popen(
            ["bash", "-c", f"{folder or 'true'} && exec {server}"],
            cwd=reader.folder,
            env=reader.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            end = time.monotonic() + PATIENCE
            while not answers(port):
                assert process.poll() is None, f"{command}\n{process.communicate()[0].decode()}"
                assert time.monotonic() < end, f"{command}\ndoes not answer at port {port}"
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


_SYBIL = Sybil(
    parsers=[CodeBlockParser("python", python_block), CodeBlockParser("console", console_block)],
    pattern="*.md",
    path=str(ROOT),
)


def parsed(path: Path) -> Document:
    return _SYBIL.parse(path)


def fences(path: Path) -> list[str]:
    """The language of each fenced block of a document, in their order."""
    inside = False
    languages = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.lstrip().startswith("```"):
            inside = not inside
            language = line.lstrip().removeprefix("```")
            if inside and not language.startswith("{"):  # Sphinx's own, which `make docs` runs
                languages.append(language)
    assert not inside, f"{path}: a fence is not closed"
    return languages
