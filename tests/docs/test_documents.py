"""What the README and docs/ show is what happens: every Python block and every console example is run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import requests
from cli_process import run
from doc_blocks import DOCUMENTS, NOT_RUN, ROOT, Reader, commands_in, fences, matches, parsed, printed_comments

from bridge import OpaEngine, PolicyBridge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridge.opa.process import ManagedOpa

README = ROOT / "README.md"
RUN = [path for path in DOCUMENTS if {"python", "console"}.intersection(fences(path))]
OF_A_PROGRAM = {"javascript", "go"}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory, opa_executable: Path) -> str:
    """A PATH on which the commands of the documents are those of this tree and of this run."""
    folder = tmp_path_factory.mktemp("bin")
    venv = tmp_path_factory.mktemp("venv")
    (venv / ".installed").write_text(f"{ROOT}\n", encoding="utf-8")
    (venv / ".installed-dev").write_text(f"{ROOT}\n", encoding="utf-8")
    make = shutil.which("make")
    assert make is not None
    python = shlex.quote(sys.executable)
    # `make test` inside of `make test` runs one file of it: enough to see that the target works.
    settings = f"VENV={shlex.quote(str(venv))} PY={python} PYTEST_ARGS='-n 0 tests/unit/core/test_escapes.py'"
    for command, text in (
        ("jwt-bridge", f"{python} -m bridge"),
        ("opa", shlex.quote(str(opa_executable))),
        ("python", python),
        ("make", f"{shlex.quote(make)} --no-print-directory -C {shlex.quote(str(ROOT))} {settings}"),
    ):
        script = folder / command
        script.write_text(f'#!/bin/sh\nexec {text} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    assert run("demo", "--out", str(folder)).status == 0
    return folder


@pytest.fixture
def reader(tmp_path: Path, demo: Path, commands: str, start_opa: Callable[..., ManagedOpa]) -> Reader:
    """A folder as `jwt-bridge demo --out` leaves it, the checkout's rules, and an OPA with nothing in it."""
    shutil.copytree(demo, tmp_path, dirs_exist_ok=True)
    (tmp_path / "rego").symlink_to(ROOT / "rego")
    with start_opa() as opa:
        reader = Reader(tmp_path, opa.url, commands)
        reader.names["__name__"] = "document"
        reader.enter(tmp_path)
        yield reader
        reader.close()


@pytest.mark.parametrize("path", RUN, ids=name)
def test_every_python_block_and_console_example_does_what_the_document_shows(path: Path, reader: Reader) -> None:
    document = parsed(path)
    document.namespace["reader"] = reader
    examples = list(document.examples())
    shown = fences(path)
    assert len(examples) >= sum(language in {"python", "console"} for language in shown)
    for example in examples:
        example.evaluate()


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_every_block_is_run_or_stands_beside_one_that_is(path: Path) -> None:
    languages = fences(path)
    assert set(languages) <= {"python", "console"} | NOT_RUN
    if OF_A_PROGRAM.intersection(languages):
        text = path.read_text(encoding="utf-8")
        assert any("curl " in block for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL))


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_json_blocks_are_json(path: Path) -> None:
    for block in re.findall(r"^```json\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        json.loads(block)


def test_extras_that_the_documents_install_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    shown = [extra for path in DOCUMENTS for extra in re.findall(r"pip install '\.\[(\w+)\]'", path.read_text("utf-8"))]
    assert shown
    assert set(shown) <= set(extras)


def test_links_to_files_lead_somewhere() -> None:
    broken = [
        f"{name(path)}: {target}"
        for path in DOCUMENTS
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]
    assert not broken


def readme_example() -> str:
    block = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    return block[1]


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize(
    ("user", "printed"), [("u1", "True matched"), ("u2", "False constraint_failed")], ids=["allowed", "denied"]
)
@pytest.mark.parametrize("engine", ["", 'OpaEngine("http://127.0.0.1:8181"), '], ids=["in this process", "on an OPA"])
def test_the_readme_decides_in_five_lines(user: str, printed: str, engine: str, reader: Reader, capsys: Any) -> None:
    example = readme_example()
    assert len([line for line in example.splitlines() if line.strip()]) == 5
    assert f"PolicyBridge({engine or 'verifier'}" in README.read_text(encoding="utf-8")
    with PolicyBridge(OpaEngine(reader.opa_url)) as bridge:
        bridge.install()
    code = example.replace("PolicyBridge(", f"PolicyBridge({engine}").replace(
        '{"user_id": "u1"}', f'{{"user_id": "{user}"}}'
    )
    code = code.replace("public.pem", str(reader.folder / "public.pem"))
    exec(reader.with_opa(code), reader.names | {"OpaEngine": OpaEngine})
    assert capsys.readouterr().out == f"{printed}\n"


def test_the_reasons_are_those_of_the_rule_book() -> None:
    table = re.findall(r"^\| `(\w+)` \| (?:yes|no) \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    rules = (ROOT / "docs" / "SEMANTICS.md").read_text(encoding="utf-8")
    exactly = re.search(r"Reasons are exactly: (.*?) all three denying", rules, re.DOTALL)
    assert exactly is not None
    assert sorted(table) == sorted(re.findall(r"`(\w+)`", exactly[1]))


def test_a_line_that_differs_is_a_failure() -> None:
    assert matches("stored <revision> as new", "stored 17 as new")
    assert not matches("stored <revision> as new", "stored x as new")
    assert not matches("a.c", "abc")
    assert printed_comments("print(1)  # 1\nx = 2  # no output\n") == ["1"]
    with pytest.raises(AssertionError, match="no comment says"):
        printed_comments("print(1)\n")
    assert list(commands_in("$ a |\n    b\nout\n$ c \\\n  d\n")) == [("a |\n    b", ["out"]), ("c \\\n  d", [])]


ENTRYPOINTS = ROOT / "docs" / "guides" / "rego-from-other-languages.md"


def test_the_public_entrypoints_are_those_that_install_shows(start_opa: Callable[..., ManagedOpa]) -> None:
    table = re.findall(r"^\| `(\w+)` \| (?:`\{|the same)", ENTRYPOINTS.read_text(encoding="utf-8"), re.MULTILINE)
    done = run("install", OPA_URL=start_opa().url)
    assert table == ["allow", "decision", "decisions"]
    assert re.findall(r"/v1/data/jwt_policy/(\w+)\n", done.text) == table


@pytest.mark.parametrize("number", ["1e400", "1e100000"])
def test_every_input_that_opa_takes_has_a_decision(number: str, start_opa: Callable[..., ManagedOpa]) -> None:
    """OPA 1.22 refuses such a number itself, with 400 and no `result`; older ones decide."""
    text = ENTRYPOINTS.read_text(encoding="utf-8")
    assert "for every input that OPA takes" in text
    assert "number such as `1e100000`" in " ".join(text.split())
    opa = start_opa()
    with PolicyBridge(OpaEngine(opa.url)) as bridge:
        bridge.install()
    question = f'{{"input": {{"claims": {{"policy": {{"version": {number}}}}}, "type": "devices"}}}}'
    reply = requests.post(f"{opa.url}/v1/data/jwt_policy/decision", data=question, timeout=60)
    assert (reply.status_code, reply.json().get("result", {}).get("allow")) in {(200, False), (400, None)}
