"""The settings of a rule set."""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any, Final, Self

from bridge.errors import ConfigurationError, UsageError
from bridge.escapes import quoted_setting
from bridge.policy import PolicySettings
from bridge.rendering import rule_set_file
from bridge.rendering.token_checks import TokenChecks

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TYPE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_LONGEST: Final = 128
_KEYWORDS: Final = frozenset(
    (
        "_",
        "as",
        "contains",
        "data",
        "default",
        "else",
        "every",
        "false",
        "if",
        "import",
        "in",
        "input",
        "not",
        "null",
        "package",
        "set",
        "some",
        "true",
        "with",
    )
)

__all__ = ["RuleSet", "TokenChecks"]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The settings of one rule set.

    Attributes:
        policy: The claim's name, the resource types, `require_policy` and `versions`.
        package_root: The package of the entrypoints, such as `jwt_policy` or `acme.jwt_policy`.
        data_root: The path of the pushed resources below `data`, such as `jwt_policy_data`.
        token: The checks of raw tokens; None for a rule set that takes verified claims.

    Raises:
        ConfigurationError: A setting cannot be rendered.
    """

    policy: PolicySettings = field(default_factory=PolicySettings)
    package_root: str = "jwt_policy"
    data_root: str = "jwt_policy_data"
    token: TokenChecks | None = None

    def __post_init__(self) -> None:
        package, data = _path("package root", self.package_root), _path("data root", self.data_root)
        shorter = min(len(package), len(data))
        if package[:shorter] == data[:shorter]:
            raise ConfigurationError(
                "the package root and the data root must not be inside each other: choose another data root"
            )
        for name in self.policy.types:
            # A type is also a member of the data root, and so a part of URL paths.
            if not _TYPE.fullmatch(name) or len(name) > _LONGEST:
                raise ConfigurationError(
                    f"the resource type `{_shown(name)}` must be made of letters, digits, `_` and `-`, "
                    f"begin with a letter or `_`, and have at most {_LONGEST} characters"
                )
        _check_text("claim's name", self.policy.claim)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read the rule set in a rule-set file, such as `jwt-bridge install --write-rule-set FILE` writes.

        Args:
            path: A file of JSON or TOML, with the members of `RuleSet`, `PolicySettings` (`policy`) and `TokenChecks`
                (`token`); a member that is left out has its default.

        Raises:
            ConfigurationError: The file cannot be read, or it has an unknown member, a member of the wrong type, or a
                setting that cannot be rendered; the error has the place.
        """
        members = rule_set_file.read(path)
        place = f"rule-set file {quoted_setting(path)}"
        token = members.pop("token", None)
        if token is not None and "keys" not in token:
            raise ConfigurationError(f"{place}: `token.keys`: it is missing: give a public key in PEM, or a JWKS")
        try:
            rule_set = cls(
                policy=PolicySettings(**members.pop("policy", {})),
                token=None if token is None else TokenChecks(**token),
                **members,
            )
            if rule_set.token is not None:
                rule_set_file.refuse_secrets(rule_set.token.keys)
        except ConfigurationError as error:
            raise ConfigurationError(f"{place}: {error}") from None
        return rule_set

    @classmethod
    def or_default(cls, rule_set: object) -> RuleSet:
        """Return an engine's argument `rule_set`, or the default rule set for None.

        Raises:
            UsageError: It is not a rule set; the text says what to write instead.
        """
        if rule_set is None:
            return cls()
        if isinstance(rule_set, RuleSet):
            return rule_set
        if isinstance(rule_set, PolicySettings):
            raise UsageError("PolicySettings are a part of a rule set: RuleSet(policy=settings)")
        if isinstance(rule_set, str | os.PathLike):
            raise UsageError("a rule set is needed, not the name of its file: RuleSet.load(path)")
        name = type(rule_set).__name__
        raise UsageError(f"a rule set is needed, not a `{name}`: RuleSet(...), or RuleSet.load(path)")

    def to_json(self) -> str:
        """Return the rule-set file of this rule set, which `load` reads; it has no secret, because its keys are public.

        Raises:
            ConfigurationError: The JWKS of its token checks has a private key or a secret, which the rules leave out;
                or the file would be longer than `load` accepts.
        """
        policy, token = self.policy, self.token
        members: dict[str, Any] = {
            "policy": {
                "claim": policy.claim,
                "types": policy.types,
                "require_policy": policy.require_policy,
                "versions": sorted(policy.versions),
            },
            "package_root": self.package_root,
            "data_root": self.data_root,
        }
        if token is not None:
            rule_set_file.refuse_secrets(token.keys)
            members["token"] = {
                "keys": token.keys,
                "algorithms": token.algorithms,
                "audience": token.audience,
                **({} if token.issuer is None else {"issuer": token.issuer}),
                "required": token.required,
            }
        return rule_set_file.text_of(members)

    def refuse_token_checks(self, engine: str) -> None:
        """Refuse a rule set that verifies tokens on an engine of this process.

        Raises:
            ConfigurationError: The rule set verifies raw tokens.
        """
        if self.token is not None:
            raise ConfigurationError(
                f"a rule set that verifies tokens runs only on an OPA server, not on {engine}: use `OpaEngine`"
            )


def _path(what: str, path: str) -> tuple[str, ...]:
    names = tuple(path.split(".")) if type(path) is str else ()
    if not names or len(path) > _LONGEST or not all(_NAME.fullmatch(name) for name in names):
        raise ConfigurationError(
            f"the {what} `{_shown(path)}` must be names of letters, digits and `_`, with dots between them, "
            f"and have at most {_LONGEST} characters"
        )
    for name in names:
        if name in _KEYWORDS:
            raise ConfigurationError(
                f"the {what} `{_shown(path)}` has a part `{name}`, which is a keyword of Rego: choose another name"
            )
    if names[0] == "system":
        raise ConfigurationError(f"the {what} `{_shown(path)}` is inside OPA's own `system`: choose another one")
    return names


def _check_text(what: str, text: str) -> None:
    if len(text) > _LONGEST:
        raise ConfigurationError(f"the {what} must have at most {_LONGEST} characters")
    for char in text:
        if unicodedata.category(char) in ("Cc", "Cs"):
            raise ConfigurationError(f"the {what} has a control character or a surrogate, U+{ord(char):04X}: remove it")


def _shown(value: object) -> str:
    text = str(value)
    text = text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
    return text if text.isprintable() else ascii(text)[1:-1]
