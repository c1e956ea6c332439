"""Rule sets to Rego modules, and modules to Wasm.

A `RuleSet` has the settings; `render` returns its modules; `build_wasm` builds its Wasm.
"""

from bridge.rendering.modules import (
    Module,
    entrypoints,
    fingerprint,
    is_rendered,
    module_paths,
    paths_of,
    rego_root,
    render,
    settings_path,
)
from bridge.rendering.rule_set import RuleSet, TokenChecks
from bridge.rendering.rule_set_file import is_rule_set
from bridge.rendering.wasm_build import PREBUILT, build_wasm, default_wasm, prebuilt_wasm

__all__ = [
    "PREBUILT",
    "Module",
    "RuleSet",
    "TokenChecks",
    "build_wasm",
    "default_wasm",
    "entrypoints",
    "fingerprint",
    "is_rendered",
    "is_rule_set",
    "module_paths",
    "paths_of",
    "prebuilt_wasm",
    "rego_root",
    "render",
    "settings_path",
]
