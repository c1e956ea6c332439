"""A rule set's Rego modules, rendered from the templates.

A setting gets into a module's text only by `literal`, or as a name that `RuleSet` has checked.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.rendering.rule_set import RuleSet
from bridge.store.layout import BLOCK, LAYOUT
from bridge.strict_json import encode

if TYPE_CHECKING:
    from jinja2 import Environment

_PACKAGE: Final = Path(__file__).resolve().parent.parent
_SUBPACKAGES: Final = ("settings", "pointer", "policy", "resource", "constraint", "grant", "index", "listing", "store")
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


def rego_root() -> Path:
    """Return the folder `rego`: inside the package that a wheel has installed, beside it in a checkout."""
    installed = _PACKAGE / "rego"
    return installed if installed.is_dir() else _PACKAGE.parent / "rego"


@cache
def render(rule_set: RuleSet) -> tuple[Module, ...]:
    """Return the modules of a rule set, each one after those that it imports."""
    return tuple(_render(rule_set, fingerprint(rule_set)))


@cache
def fingerprint(rule_set: RuleSet) -> str:
    """Return a hash that differs for other settings and for another release of the rules.

    It covers the modules as they are rendered without it, so any change of a rule changes it.
    """
    texts = [[module.path, module.text] for module in _render(rule_set, "")]
    return hashlib.sha256(encode(texts, max_bytes=sys.maxsize)).hexdigest()


def entrypoints(rule_set: RuleSet) -> tuple[str, ...]:
    """Return the entrypoints as paths, such as `jwt_policy/decision`: a public contract."""
    root = rule_set.package_root.replace(".", "/")
    return tuple(f"{root}/{name}" for name in _ENTRYPOINTS)


def module_paths(rule_set: RuleSet) -> frozenset[str]:
    """Return the paths of all modules that rule sets of this package root may have, with and without token checks."""
    return paths_of(rule_set.package_root)


def paths_of(package_root: str) -> frozenset[str]:
    """Return the paths of all modules that any rule set of this package root may have."""
    folder = package_root.replace(".", "/")
    return frozenset(f"{folder}/{name}/{name}.rego" for name in (*_SUBPACKAGES, _FOR_TOKENS)) | {
        _main_path(package_root)
    }


def settings_path(rule_set: RuleSet) -> str:
    """Return the path of the module with the fingerprint, without which no bridge uses the others."""
    return f"{rule_set.package_root.replace('.', '/')}/settings/settings.rego"


def is_rendered(path: str, text: str, package: tuple[str, ...], package_root: str) -> bool:
    """Return whether a module was rendered for this package root, by any release of these rules.

    Such a module has its path's package and the first lines of its template. Text that was added to it later makes no
    difference, because the place belongs to these rules.

    Args:
        path: Its path below the folder `rego`, which is also its policy id.
        text: Its Rego.
        package: The names of its package.
        package_root: The package root.
    """
    *folder, file = path.split("/")
    names = package_root.split(".")
    if folder == names:
        template = "jwt_policy" if file == f"{names[-1]}.rego" else None
    else:
        template = next((name for name in (*_SUBPACKAGES, _FOR_TOKENS) if [*names, name] == folder), None)
        template = template if file == f"{template}.rego" else None
    return template is not None and package == tuple(folder) and text.startswith(_opening(template))


@cache
def _opening(template: str) -> str:
    """Return the first two lines of a template, the title of its METADATA, which are the same in every release."""
    lines = (rego_root() / "templates" / f"{template}.rego.j2").read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(lines[:2])


def _main_path(package_root: str) -> str:
    names = package_root.split(".")
    return "/".join([*names, names[-1]]) + ".rego"


def _render(rule_set: RuleSet, fingerprint_: str) -> list[Module]:
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
    names = list(_SUBPACKAGES)
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


def literal(value: object) -> str:
    """Return the Rego literal of a JSON value.

    JSON text is a Rego term of the same value, because Rego's scalars, arrays and objects are those of JSON. A byte
    order mark is escaped, because OPA refuses one anywhere in a module; DEL is escaped for human readers.

    Raises:
        MalformedInputError: R12.7 does not allow the value.
    """
    text = encode(value, max_bytes=sys.maxsize).decode("utf-8")
    return text.replace("\ufeff", "\\ufeff").replace("\x7f", "\\u007f")


def set_literal(values: Iterable[str | int]) -> str:
    """Return the Rego literal of a set of strings or integers."""
    items = [literal(value) for value in values]
    return "{" + ", ".join(items) + "}" if items else "set()"


def _text(name: str, settings: dict[str, object]) -> str:
    return _environment().get_template(f"{name}.rego.j2").render(settings)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - it takes long to import

    environment = Environment(
        loader=FileSystemLoader(rego_root() / "templates"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - Rego is not HTML; every value goes through `literal`
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["rego"] = literal
    environment.filters["rego_set"] = set_literal
    return environment
