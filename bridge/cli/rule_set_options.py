"""Options that give the settings of the rules: each by itself, or all of them by one rule-set file."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from bridge.cli.options import refuse_contradiction
from bridge.cli.output_files import refuse_foreign, rule_set_may_replace
from bridge.cli.token_options import TokenOptions, VerifierOptions
from bridge.errors import UsageError
from bridge.escapes import shown
from bridge.policy import RESOURCE_TYPES, VERSIONS, PolicySettings
from bridge.rendering import RuleSet, TokenChecks

_PANEL: Final = "Rule set"
_DEFAULT: Final = RuleSet()

WriteOption = Annotated[
    Path | None,
    typer.Option(
        "--write-rule-set",
        metavar="FILE",
        help="Write all settings of the rules into this file, in JSON, for the --rule-set of other commands.",
        rich_help_panel=_PANEL,
    ),
]

TokenRulesOption = Annotated[
    bool,
    typer.Option(
        "--token-rules",
        help="The installed rules verify tokens: `install` had --key or --jwks. A --rule-set file says so itself.",
        rich_help_panel=_PANEL,
    ),
]


@dataclass(frozen=True, slots=True)
class RuleSetOptions:
    """Options that give the settings of the rules; the same for every command."""

    file: Annotated[
        Path | None,
        typer.Option(
            "--rule-set",
            metavar="FILE",
            help="A file with all settings of the rules (JSON or TOML), as `install --write-rule-set FILE` writes it.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    package_root: Annotated[
        str | None,
        typer.Option(
            "--package-root",
            metavar="NAME",
            help=f"The package of the rules; the default is {_DEFAULT.package_root}.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = None
    data_root: Annotated[
        str | None,
        typer.Option(
            "--data-root",
            metavar="NAME",
            help=f"The place of the pushed resources in the data of OPA; the default is {_DEFAULT.data_root}.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = None
    claim: Annotated[
        str | None,
        typer.Option(
            "--claim",
            metavar="NAME",
            help=f"The claim that holds the policy; the default is {_DEFAULT.policy.claim}.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = None
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--resource-type",
            metavar="NAME",
            help=f"A resource type; repeat it for more; the default is {' and '.join(RESOURCE_TYPES)}.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    require_policy: Annotated[
        bool,
        typer.Option("--require-policy", help="Deny tokens that have no policy.", rich_help_panel=_PANEL),
    ] = False
    versions: Annotated[
        list[int] | None,
        typer.Option(
            "--policy-version",
            metavar="NUMBER",
            help="A valid version of the policy claim, 2 or 3; repeat it for both; the default is 2.",
            rich_help_panel=_PANEL,
        ),
    ] = None

    def rule_set(self) -> RuleSet:
        """Return the rule set of the options, or of the file if one is given.

        Raises:
            ConfigurationError: The file or an option cannot be used.
            UsageError: An option contradicts the file.
        """
        if self.file is None:
            return self._from_options()
        rule_set = RuleSet.load(self.file)
        self._refuse_contradictions(rule_set)
        return rule_set

    def with_token_checks(self, tokens: TokenOptions) -> RuleSet:
        """Return the rule set; its rules verify tokens if the options for tokens, or the file, say so.

        Raises:
            ConfigurationError: As `rule_set`.
            UsageError: As `rule_set`; or a key is missing, or there are too many.
            OSError: A key's file cannot be read.
        """
        if self.file is None:
            return self._from_options(tokens.token_checks())
        rule_set = self.rule_set()
        tokens.refuse_contradictions(rule_set.token, self.file)
        return rule_set

    def queried_rule_set(self, tokens: VerifierOptions, *, token_rules: bool) -> RuleSet:
        """Return the rule set of rules that are queried about tokens, which the bridge verifies by these options.

        Raises:
            ConfigurationError: As `rule_set`.
            UsageError: As `rule_set`.
            OSError: A key's file cannot be read.
        """
        if self.file is None:
            return self._from_options(tokens.token_checks() if token_rules else None)
        rule_set = self.rule_set()
        if rule_set.token is not None:
            tokens.refuse_contradictions(rule_set.token, self.file)
        elif token_rules:
            raise UsageError(f"--token-rules contradicts `{self.file}`, whose rules verify no tokens: leave it out")
        return rule_set

    def _from_options(self, token: TokenChecks | None = None) -> RuleSet:
        return RuleSet(
            policy=PolicySettings(
                claim=_DEFAULT.policy.claim if self.claim is None else self.claim,
                types=tuple(self.types) if self.types else RESOURCE_TYPES,
                require_policy=self.require_policy,
                versions=frozenset(self.versions) if self.versions else VERSIONS,
            ),
            package_root=_DEFAULT.package_root if self.package_root is None else self.package_root,
            data_root=_DEFAULT.data_root if self.data_root is None else self.data_root,
            token=token,
        )

    def _refuse_contradictions(self, rule_set: RuleSet) -> None:
        policy = rule_set.policy
        settings: tuple[tuple[str, object, object, str], ...] = (
            ("--package-root", self.package_root, rule_set.package_root, "package_root"),
            ("--data-root", self.data_root, rule_set.data_root, "data_root"),
            ("--claim", self.claim, policy.claim, "policy.claim"),
            ("--resource-type", _sorted(self.types), _sorted(policy.types), "policy.types"),
            ("--require-policy", self.require_policy or None, policy.require_policy, "policy.require_policy"),
            ("--policy-version", _sorted(self.versions), _sorted(policy.versions), "policy.versions"),
        )
        for option, value, file_value, member in settings:
            refuse_contradiction(option, value, file_value, f"`{member}` of `{self.file}`")


def _sorted(values: Collection[Any] | None) -> list[Any] | None:
    """Sort values whose order has no meaning; return None if there are none."""
    return sorted(set(values)) if values else None


def refuse_unrelated_file(path: Path, rule_set: RuleSet) -> None:
    """Refuse a path that holds another file than a rule-set file, before the command does what it would describe.

    Raises:
        ConfigurationError: The rule set holds a secret.
        UsageError: The path holds another file.
        OSError: It cannot be read.
    """
    refuse_foreign(path, rule_set.to_json().encode(), rule_set_may_replace)


def require_known_type(type_: str, rule_set: RuleSet) -> None:
    """Refuse a resource type that the rules do not know.

    Raises:
        UsageError: The type is unknown.
    """
    if type_ not in rule_set.policy.types:
        raise UsageError(
            f"`{shown(type_)}` is not one of the resource types: {', '.join(rule_set.policy.types)}; "
            "give one of these, or add it with --resource-type"
        )
