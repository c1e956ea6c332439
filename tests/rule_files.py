"""Rule sets rendered into a folder, for an OPA that has its rules from its start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.rendering import RuleSet, render

if TYPE_CHECKING:
    from pathlib import Path


def write_rules(folder: Path, rule_set: RuleSet | None = None) -> Path:
    """Write the modules of a rule set below a folder, and return the folder."""
    for module in render(rule_set or RuleSet()):
        path = folder / module.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(module.text, encoding="utf-8", newline="")
    return folder
