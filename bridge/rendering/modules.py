"""A rule set's modules, rendered from the templates."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bridge.rendering.literal import literal, set_literal
from bridge.rendering.locations import rego_root
from bridge.store.layout import BLOCK, LAYOUT
from bridge.strict_json import encode

if TYPE_CHECKING:
    from bridge.rendering.rule_set import RuleSet

_BELOW: Final = ("settings", "pointer", "policy", "resource", "constraint", "grant", "index", "listing", "store")
_FOR_TOKENS: Final = "token"
_ENTRYPOINTS: Final = ("allow", "decision", "decisions", "answer")


@dataclass(frozen=True, slots=True)
class Module:
    """One Rego module.

    Attributes:
        path: Its file below the folder `rego`, such as `jwt_policy/policy/policy.rego`; also its policy id in OPA.
        text: Its Rego.
    """

    path: str
    text: str


@cache
def render(rule_set: RuleSet) -> tuple[Module, ...]:
    """The modules of a rule set, each one after those that it imports."""
    return tuple(_rendered(rule_set, fingerprint(rule_set)))


@cache
def fingerprint(rule_set: RuleSet) -> str:
    """What tells this rule set's modules from those of other settings or of another release of the rules.

    It is a hash over the modules as they are rendered without it, so that a corrected rule is another rule.
    """
    texts = [[module.path, module.text] for module in _rendered(rule_set, "")]
    return hashlib.sha256(encode(texts, max_bytes=sys.maxsize)).hexdigest()


def entrypoints(rule_set: RuleSet) -> tuple[str, ...]:
    """The entrypoints as paths, such as `jwt_policy/decision`: a public contract."""
    root = rule_set.package_root.replace(".", "/")
    return tuple(f"{root}/{name}" for name in _ENTRYPOINTS)


def module_paths(rule_set: RuleSet) -> frozenset[str]:
    """The paths of all modules that a rule set of this package root may have, with or without token checks."""
    return paths_of(rule_set.package_root)


def paths_of(package_root: str) -> frozenset[str]:
    """The paths of all modules that any rule set of this package root may have."""
    folder = package_root.replace(".", "/")
    return frozenset(f"{folder}/{name}/{name}.rego" for name in (*_BELOW, _FOR_TOKENS)) | {_main_path(package_root)}


def settings_path(rule_set: RuleSet) -> str:
    """The path of the module that holds the fingerprint: without it no bridge believes the others."""
    return f"{rule_set.package_root.replace('.', '/')}/settings/settings.rego"


def is_rendered(path: str, text: str, package: tuple[str, ...], package_root: str) -> bool:
    """Whether a module under one of the paths of a package root was rendered for that, by any release of these rules.

    It begins as all of them do, and has its package; text that somebody has added to it makes no difference, for it
    lies in a place that is ours.

    Args:
        path: Its path below the folder `rego`, which is its policy id too.
        text: Its Rego.
        package: The names of its package.
        package_root: The package root.
    """
    *folder, file = path.split("/")
    names = package_root.split(".")
    if folder == names:
        template = "jwt_policy" if file == f"{names[-1]}.rego" else None
    else:
        template = next((name for name in (*_BELOW, _FOR_TOKENS) if [*names, name] == folder), None)
        template = template if file == f"{template}.rego" else None
    return template is not None and package == tuple(folder) and text.startswith(_opening(template))


@cache
def _opening(template: str) -> str:
    """The first two lines of a module, which are the same in every release: that it has a title, and which."""
    lines = (rego_root() / "templates" / f"{template}.rego.j2").read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(lines[:2])


def _main_path(package_root: str) -> str:
    names = package_root.split(".")
    return "/".join([*names, names[-1]]) + ".rego"


def _rendered(rule_set: RuleSet, fingerprint_: str) -> list[Module]:
    settings: dict[str, object] = {
        "root": rule_set.package_root,
        "data_root": rule_set.data_root,
        "claim": rule_set.policy.claim,
        "types": rule_set.policy.types,
        "require_policy": rule_set.policy.require_policy,
        "versions": sorted(rule_set.policy.versions),
        "fingerprint": fingerprint_,
        "token": rule_set.token is not None,
        "layout": LAYOUT,
        "block": BLOCK,
        "subject": "claims" if rule_set.token is None else "token",
    }
    names = list(_BELOW)
    if rule_set.token is not None:
        checks = rule_set.token
        key, keys = checks.split()
        settings |= {
            "key": key,
            "keys": keys,
            "algorithms": checks.algorithms,
            "audiences": [{"aud": audience} for audience in checks.audience] or [{}],
            "issuer": {} if checks.issuer is None else {"iss": checks.issuer},
            "required": checks.required,
        }
        names.append(_FOR_TOKENS)
    folder = rule_set.package_root.replace(".", "/")
    modules = [Module(f"{folder}/{name}/{name}.rego", _text(name, settings)) for name in names]
    return [*modules, Module(_main_path(rule_set.package_root), _text("jwt_policy", settings))]


def _text(name: str, settings: dict[str, object]) -> str:
    return _environment().get_template(f"{name}.rego.j2").render(settings)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(rego_root() / "templates"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - Rego is no HTML; every value goes through `literal`
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["rego"] = literal
    environment.filters["rego_set"] = set_literal
    return environment
