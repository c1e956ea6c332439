"""Wasm builds of rule sets: those that come with the package, and new ones by `opa build`."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Final

from bridge.errors import EngineError
from bridge.files import INPUT_BYTES, read_file
from bridge.policy import VERSIONS, PolicySettings
from bridge.rendering.modules import rego_root, render
from bridge.rendering.rule_set import RuleSet

_BUNDLE: Final = "bundle.tar.gz"
_ROOT: Final = "rego"  # the build contains file names: the same names make the same bytes
_VERSIONS: Final = (VERSIONS, frozenset({3}), frozenset({2, 3}))

PREBUILT: Final = tuple(
    RuleSet(policy=PolicySettings(require_policy=require_policy, versions=versions))
    for require_policy, versions in product((False, True), _VERSIONS)
)
"""The rule sets whose Wasm comes with the package: the default one, with each `require_policy` and `versions`."""


def default_wasm() -> Path:
    """Return the file of the Wasm build of the default rule set."""
    return rego_root() / "jwt_policy" / "policy.wasm"


def prebuilt_wasm(rule_set: RuleSet) -> Path | None:
    """Return the file of the Wasm build of this rule set that comes with the package; None if there is none.

    It does not read the file: the code that loads it compares its fingerprint with that of the rule set.
    """
    policy = rule_set.policy
    if replace(rule_set, policy=replace(policy, require_policy=False, versions=VERSIONS)) != RuleSet():
        return None
    suffixes = ["required"] if policy.require_policy else []
    if policy.versions != VERSIONS:
        suffixes += map(str, sorted(policy.versions))
    return default_wasm().with_stem("-".join(["policy", *suffixes]))


def build_wasm(rule_set: RuleSet, *, executable: str | os.PathLike[str] | None = None) -> bytes:
    """Build the Wasm of a rule set for `WasmEngine`; one release of `opa` always makes the same bytes.

    Args:
        rule_set: The settings.
        executable: The `opa` executable; None finds one.

    Raises:
        ConfigurationError: The rule set verifies raw tokens, which Wasm cannot do.
        OpaNotFoundError: There is no usable `opa`.
        EngineError: `opa` refused the modules.
    """
    import tarfile  # noqa: PLC0415 - slow to import, as is the rest
    from tempfile import TemporaryDirectory  # noqa: PLC0415

    from bridge.opa.executable import run_opa  # noqa: PLC0415

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
            raise EngineError(f"`opa build` refused the rules: {run.message}: use another release of opa")
        data = read_file(folder / _BUNDLE, limit=INPUT_BYTES, what="a bundle of `opa build`")
        with tarfile.open(fileobj=io.BytesIO(data)) as bundle:
            member = bundle.extractfile("/policy.wasm")
            assert member is not None
            return member.read()
