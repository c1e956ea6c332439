"""What is wrong with the rules that an OPA has, in sentences."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bridge.engines.inventory import take
from bridge.escapes import shown
from bridge.rendering import fingerprint, render, settings_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.opa import OpaClient
    from bridge.rendering import RuleSet

_FINGERPRINT: Final = re.compile(r'^fingerprint := "([0-9a-f]{64})"$', re.MULTILINE)


def rules_findings(opa: OpaClient, rule_set: RuleSet) -> list[str]:
    """What is wrong with the rules of a rule set on an OPA, and what lies in their place that no bridge wrote.

    Raises:
        OwnedByBundleError: The rules are a bundle's; nothing is known of them.
        EngineError: OPA cannot be reached, or refuses; the text names a right that is missing.
    """
    there = take(opa, rule_set)
    found = list(_rules(there.modules, rule_set))
    found += [f"foreign module in the place of the rules: {shown(id_)}" for id_ in there.foreign]
    return found + [f"foreign data in the place of the resources: {shown(id_)}" for id_ in there.data]


def _rules(modules: Mapping[str, str], rule_set: RuleSet) -> Iterator[str]:
    place, again = f"`data.{rule_set.package_root}`", "`jwt-bridge install` uploads them all"
    if not modules:
        yield f"no rules are installed at {place}: {again}"
        return
    settings = settings_path(rule_set)
    if settings not in modules:
        yield f"the rules at {place} are half-installed: without their fingerprint no bridge decides by them; {again}"
        return
    match = _FINGERPRINT.search(modules[settings])
    if match is None or match[1] != fingerprint(rule_set):
        yield (
            f"the rules at {place} are of another release or of other settings: {again}, if these options are those of "
            "the rules"
        )
        return
    wanted = {module.path: module.text for module in render(rule_set)}
    for path in sorted(wanted.keys() | modules.keys()):
        if path not in modules:
            yield f"the rules at {place} are half-installed: the module {path} is missing; {again}"
        elif modules[path] != wanted.get(path):
            yield f"the module {path} is not that of the rules at {place}, whatever their fingerprint says: {again}"
