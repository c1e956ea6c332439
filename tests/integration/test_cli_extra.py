"""The command without its extra `cli`, and the package without it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cli_process import PATIENCE, environment

HIDE = "import sys; sys.modules['{module}'] = None; "
MESSAGE = "jwt-bridge needs the extra `cli`: pip install 'jwt-policy-bridge[cli]'\n"


def python(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE, env=environment())


@pytest.mark.parametrize("module", ["typer", "typer.core"])
def test_without_the_extra_the_command_says_what_to_install(module):
    done = python(HIDE.format(module=module) + "from bridge.__main__ import main; main()")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", MESSAGE)


def test_another_missing_module_is_no_missing_extra():
    done = python(HIDE.format(module="bridge.reference") + "from bridge.__main__ import main; main()")
    assert done.returncode == 1
    assert MESSAGE not in done.stderr
    assert "ModuleNotFoundError" in done.stderr


def test_the_package_needs_neither_typer_nor_rich():
    code = "import sys; sys.modules |= {'typer': None, 'rich': None}; import bridge, bridge.conformance"
    assert python(code).returncode == 0
