"""What a rule set can be rendered for."""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Final, Self

from bridge.errors import ConfigurationError, UsageError
from bridge.policy import PolicySettings
from bridge.rendering import rule_set_file
from bridge.rendering.token_checks import TokenChecks
from bridge.tokens.wording import setting

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
        package_root: The package that the entrypoints lie in, such as `jwt_policy` or `acme.jwt_policy`.
        data_root: Where the pushed resources lie below `data`, such as `jwt_policy_data`.
        token: The checks of raw tokens; None for a rule set that is given verified claims.

    Raises:
        ConfigurationError: A setting that cannot be rendered.
    """

    policy: PolicySettings = field(default_factory=PolicySettings)
    package_root: str = "jwt_policy"
    data_root: str = "jwt_policy_data"
    token: TokenChecks | None = None

    def __post_init__(self) -> None:
        package, data = _path("package root", self.package_root), _path("data root", self.data_root)
        shorter = min(len(package), len(data))
        if package[:shorter] == data[:shorter]:
            raise ConfigurationError("the package root and the data root must not lie inside each other")
        for name in self.policy.types:
            # A type is a member of the data root as well, and so a part of URL paths.
            if not _TYPE.fullmatch(name) or len(name) > _LONGEST:
                raise ConfigurationError(
                    f"the resource type `{_shown(name)}` must be made of letters, digits, `_` and `-`, "
                    f"begin with a letter or `_`, and have at most {_LONGEST} characters"
                )
        _checked_text("claim's name", self.policy.claim)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The rule set in a rule-set file, such as `jwt-bridge install --write-rule-set FILE` writes.

        Args:
            path: A file of JSON or TOML, whose members are those of `RuleSet`, `PolicySettings` (`policy`) and
                `TokenChecks` (`token`); one that is left out has its default.

        Raises:
            ConfigurationError: The file cannot be read, has a member that is unknown or of another type, or a setting
                that cannot be rendered; the error says where.
        """
        members = rule_set_file.read(path)
        place = f"rule-set file {setting(path)}"
        token = members.pop("token", None)
        if token is not None and "keys" not in token:
            raise ConfigurationError(f"{place}: `token.keys`: it is missing: a public key in PEM, or a JWKS, is needed")
        try:
            found = cls(
                policy=PolicySettings(**members.pop("policy", {})),
                token=None if token is None else TokenChecks(**token),
                **members,
            )
            if found.token is not None:
                rule_set_file.refuse_secrets(found.token.keys)
        except ConfigurationError as error:
            raise ConfigurationError(f"{place}: {error}") from None
        return found

    @classmethod
    def given(cls, rule_set: object) -> RuleSet:
        """Return the rule set that an engine was given, or the default one for None.

        Raises:
            UsageError: It is something else; the text says what was probably meant.
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
        """The rule-set file of this rule set, which `load` reads; it holds nothing secret, for keys are public.

        Raises:
            ConfigurationError: The JWKS of its token checks has a private key or a secret, which the rules leave out.
        """
        return rule_set_file.text_of(self)

    def refuse_token_checks(self, engine: str) -> None:
        """Refuse to be decided in this process.

        Raises:
            ConfigurationError: The rule set verifies raw tokens.
        """
        if self.token is not None:
            raise ConfigurationError(
                f"a rule set that verifies tokens runs on an OPA server only, not on the {engine} engine"
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
                f"the {what} `{_shown(path)}` has a part `{name}`, which means something else in Rego"
            )
    if names[0] == "system":
        raise ConfigurationError(f"the {what} `{_shown(path)}` lies in `system`, which is OPA's own")
    return names


def _checked_text(what: str, text: str) -> None:
    if len(text) > _LONGEST:
        raise ConfigurationError(f"the {what} must have at most {_LONGEST} characters")
    for char in text:
        if unicodedata.category(char) in ("Cc", "Cs"):
            raise ConfigurationError(f"the {what} has a character that it must not have: U+{ord(char):04X}")


def _shown(value: object) -> str:
    text = str(value)
    text = text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
    return text if text.isprintable() else ascii(text)[1:-1]
