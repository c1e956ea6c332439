"""Where the Rego and the Wasm that come with the package lie."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Final

from bridge.policy import VERSIONS, PolicySettings
from bridge.rendering.rule_set import RuleSet

_PACKAGE: Final = Path(__file__).resolve().parent.parent
_VERSIONS: Final = (VERSIONS, frozenset({3}), frozenset({2, 3}))

PREBUILT: Final = tuple(
    RuleSet(policy=PolicySettings(require_policy=require_policy, versions=versions))
    for require_policy, versions in product((False, True), _VERSIONS)
)
"""The rule sets whose Wasm comes with the package: the default one, with each `require_policy` and `versions`."""


def rego_root() -> Path:
    """The folder `rego`: inside the package where it was installed from a wheel, beside it in a checkout."""
    installed = _PACKAGE / "rego"
    return installed if installed.is_dir() else _PACKAGE.parent / "rego"


def default_wasm() -> Path:
    """The Wasm build of the default rule set."""
    return rego_root() / "jwt_policy" / "policy.wasm"


def prebuilt_wasm(rule_set: RuleSet) -> Path | None:
    """The Wasm build of this rule set that comes with the package; None where there is none.

    Nothing is read: whoever loads the file compares the fingerprint inside it with the rule set's own.
    """
    policy = rule_set.policy
    if replace(rule_set, policy=replace(policy, require_policy=False, versions=VERSIONS)) != RuleSet():
        return None
    chosen = ["required"] if policy.require_policy else []
    if policy.versions != VERSIONS:
        chosen += map(str, sorted(policy.versions))
    return default_wasm().with_stem("-".join(["policy", *chosen]))
