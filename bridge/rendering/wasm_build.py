"""Modules to Wasm, by `opa build`."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bridge.errors import EngineError
from bridge.files import INPUT_BYTES, read_file
from bridge.opa.executable import run_opa
from bridge.opa.wording import on_one_line
from bridge.rendering.modules import render

if TYPE_CHECKING:
    import os

    from bridge.rendering.rule_set import RuleSet

_BUNDLE = "bundle.tar.gz"
_ROOT = "rego"  # file names stand in the build: the same ones make the same bytes


def build_wasm(rule_set: RuleSet, *, executable: str | os.PathLike[str] | None = None) -> bytes:
    """The Wasm build of a rule set, for `WasmEngine`; the same bytes each time for one release of `opa`.

    Args:
        rule_set: The settings.
        executable: The `opa` to build with; None finds one.

    Raises:
        ConfigurationError: The rule set verifies raw tokens, which Wasm cannot.
        OpaNotFoundError: There is no usable `opa`.
        EngineError: `opa` refused the modules.
    """
    rule_set.refuse_token_checks("wasm")
    with TemporaryDirectory(prefix="jwt-bridge-") as name:
        folder = Path(name)
        for module in render(rule_set):
            path = folder / _ROOT / module.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(module.text, encoding="utf-8")
        command = ["build", "--target", "wasm", "--prune-unused", "--output", _BUNDLE, _ROOT]
        run = run_opa(command, executable=executable, folder=folder)
        if run.status != 0:
            raise EngineError(f"`opa build` refused the rules: {on_one_line(run.stderr)}")
        data = read_file(folder / _BUNDLE, limit=INPUT_BYTES, what="a bundle of `opa build`")
        with tarfile.open(fileobj=io.BytesIO(data)) as bundle:
            member = bundle.extractfile("/policy.wasm")
            assert member is not None
            return member.read()
