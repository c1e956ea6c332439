"""Rule sets to Rego modules, and modules to Wasm.

A `RuleSet` holds the settings; `render` gives its modules. No setting is ever put into a module's text but by
`literal.literal`, or by `RuleSet` as a name that has been checked.
"""

from bridge.rendering.locations import PREBUILT, default_wasm, prebuilt_wasm, rego_root
from bridge.rendering.modules import (
    Module,
    entrypoints,
    fingerprint,
    is_rendered,
    module_paths,
    paths_of,
    render,
    settings_path,
)
from bridge.rendering.rule_set import RuleSet, TokenChecks
from bridge.rendering.rule_set_file import is_rule_set
from bridge.rendering.wasm_build import build_wasm

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
