"""The options that say what the rules are: each by itself, or all of them by one rule-set file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from bridge.cli.options import refuse_other
from bridge.cli.output_files import is_earlier_rule_set, refuse_foreign
from bridge.errors import UsageError
from bridge.policy import RESOURCE_TYPES, VERSIONS, PolicySettings
from bridge.rendering import RuleSet

if TYPE_CHECKING:
    from collections.abc import Collection

    from bridge.cli.token_options import TokenOptions, VerifierOptions
    from bridge.rendering import TokenChecks

_PANEL: Final = "The rule set"
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
        help="The rules on the OPA verify tokens too, as `install --key` made them; a --rule-set file says so itself.",
        rich_help_panel=_PANEL,
    ),
]


@dataclass(frozen=True, slots=True)
class RuleSetOptions:
    """The settings of the rules; the same ones for every command that has to do with them."""

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
            help=f"The package that the rules lie in; without it, {_DEFAULT.package_root}.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = None
    data_root: Annotated[
        str | None,
        typer.Option(
            "--data-root",
            metavar="NAME",
            help=f"Where the pushed resources lie in OPA's data; without it, {_DEFAULT.data_root}.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = None
    claim: Annotated[
        str | None,
        typer.Option(
            "--claim",
            metavar="NAME",
            help=f"The claim that holds the policy; without it, {_DEFAULT.policy.claim}.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = None
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--resource-type",
            metavar="NAME",
            help=f"A resource type; once for each; without it, {' and '.join(RESOURCE_TYPES)}.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    require_policy: Annotated[
        bool,
        typer.Option("--require-policy", help="Deny tokens that have no policy at all.", rich_help_panel=_PANEL),
    ] = False
    versions: Annotated[
        list[int] | None,
        typer.Option(
            "--policy-version",
            metavar="NUMBER",
            help="A version of the policy claim that is valid, 2 or 3; once for each; without it, 2 alone.",
            rich_help_panel=_PANEL,
        ),
    ] = None

    def rule_set(self) -> RuleSet:
        """The rule set that the options speak of; that of the file, where one is given.

        Raises:
            ConfigurationError: The file or an option cannot be used.
            UsageError: An option contradicts the file.
        """
        if self.file is None:
            return self._by_options()
        found = RuleSet.load(self.file)
        self._refuse_others(found)
        return found

    def with_checks(self, tokens: TokenOptions) -> RuleSet:
        """As `rule_set`, for rules that verify tokens where the options for tokens, or the file, say so.

        Raises:
            ConfigurationError: As `rule_set`.
            UsageError: As `rule_set`; or a key is missing, or there are too many.
            OSError: A key's file cannot be read.
        """
        if self.file is None:
            return self._by_options(tokens.token_checks())
        found = self.rule_set()
        tokens.refuse_others(found.token, self.file)
        return found

    def asked(self, tokens: VerifierOptions, *, token_rules: bool) -> RuleSet:
        """As `rule_set`, for the rules that are asked about tokens which the bridge verifies by these options.

        Raises:
            ConfigurationError: As `rule_set`.
            UsageError: As `rule_set`.
            OSError: A key's file cannot be read.
        """
        if self.file is None:
            return self._by_options(tokens.token_checks() if token_rules else None)
        found = self.rule_set()
        if found.token is not None:
            tokens.refuse_others(found.token, self.file)
        elif token_rules:
            raise UsageError(f"--token-rules contradicts `{self.file}`, whose rules verify no tokens: leave it out")
        return found

    def _by_options(self, token: TokenChecks | None = None) -> RuleSet:
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

    def _refuse_others(self, found: RuleSet) -> None:
        policy = found.policy
        settings: tuple[tuple[str, object, object, str], ...] = (
            ("--package-root", self.package_root, found.package_root, "package_root"),
            ("--data-root", self.data_root, found.data_root, "data_root"),
            ("--claim", self.claim, policy.claim, "policy.claim"),
            ("--resource-type", _several(self.types), _several(policy.types), "policy.types"),
            ("--require-policy", self.require_policy or None, policy.require_policy, "policy.require_policy"),
            ("--policy-version", _several(self.versions), _several(policy.versions), "policy.versions"),
        )
        for option, given, there, member in settings:
            refuse_other(option, given, there, f"`{member}` of `{self.file}`")


def _several(values: Collection[Any] | None) -> list[Any] | None:
    """Values whose order means nothing; None where there are none."""
    return sorted(set(values)) if values else None


def refuse_other_file(path: Path, rule_set: RuleSet) -> None:
    """See to it that a rule-set file can stand there, before anything is done that it is to describe.

    Raises:
        ConfigurationError: The rule set has something secret.
        UsageError: There is a file that is none.
        OSError: It cannot be read.
    """
    refuse_foreign(path, rule_set.to_json().encode(), is_earlier_rule_set)
