"""`jwt-bridge doctor`: whether what an OPA has of pushed resources is whole."""

from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.exit import Exit, reported_errors
from bridge.cli.options import OpaOptions
from bridge.cli.progress import resource_counter
from bridge.cli.rule_set_options import RuleSetOptions
from bridge.cli.terminal import complain, say
from bridge.cli.token_options import TokenOptions
from bridge.decision import Request
from bridge.engines import OpaEngine
from bridge.engines.diagnosis import rules_findings
from bridge.errors import (
    ForeignContentError,
    OwnedByBundleError,
    ResourcesMissingError,
    RulesMismatchError,
    RulesNotInstalledError,
    UsageError,
)
from bridge.escapes import shown
from bridge.opa.version import known_defect
from bridge.store import OpaStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.opa import OpaClient
    from bridge.rendering import RuleSet

_MOST_SHOWN = 20


def doctor(
    *,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="NAME", help="A resource type; once for each; without it, all of them."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Tell everything that is found.")] = False,
    opa: OpaOptions,
    rules: RuleSetOptions,
    tokens: TokenOptions,
) -> None:
    r"""Examine the rules of an OPA, and check its index and digests against the pushed resources.

    It reads, and changes nothing. Rules that are missing, half-installed or of another release, and modules and data of
    others in their place, are found; `jwt-bridge install` mends those. `jwt-bridge push` mends what is found of
    resources. An OPA that is too old is an error; one with a known defect (1.21.0 to 1.22.0) gives a warning.

    A type that nothing was ever pushed for has "none pushed"; that is no fault while OPA has resources of another one.

    Exit status: 0 when all is well, 1 when something is not, 2 for misuse, 3 when OPA failed, has no resources of any
    type, or has foreign data in the place of a type, or when the resources changed meanwhile.

    Examples:
      jwt-bridge doctor --opa-url http://127.0.0.1:8181
    """
    with reported_errors():
        rule_set = rules.with_checks(tokens)
        chosen = types or list(rule_set.policy.types)
        for type_ in chosen:
            if type_ not in rule_set.policy.types:
                raise UsageError(
                    f"`{shown(type_)}` is not one of the resource types: {', '.join(rule_set.policy.types)}"
                )
        worst = Exit.OK
        with opa.client() as client:
            root = tuple(rule_set.data_root.split("."))
            if defect := known_defect(client.require_version((*root, chosen[0], "state"))):
                complain(defect)
            store = OpaStore(client, root, rule_set.policy.types)
            store.require_one()
            pushed, foreign = _pushed(store, rule_set.policy.types)
            worst = max(worst, _tell_rules(client, rule_set))
            for type_ in chosen:
                if type_ in foreign:
                    complain(foreign[type_])
                    worst = Exit.FAULT
                    continue
                if pushed and type_ not in pushed:
                    say(f"{type_}: none pushed")
                    continue
                try:
                    with resource_counter(None) as on_progress:
                        found = store.recount(type_, on_progress=on_progress)
                except ResourcesMissingError as lost:
                    complain(str(lost))
                    worst = Exit.FAULT
                    continue
                state = f"{len(found.findings):,} found" if found.findings else "all is well"
                say(f"{type_}: {found.resources:,} resources, revision {found.revision}: {state}")
                kept = found.findings if verbose else found.findings[:_MOST_SHOWN]
                for finding in kept:
                    say(f"  {finding}")
                if len(kept) < len(found.findings):
                    say(f"  and {len(found.findings) - len(kept):,} more; --verbose tells all of them")
                if found.findings:
                    worst = max(worst, Exit.DENIED)
        raise typer.Exit(worst)


def _pushed(store: OpaStore, types: "Sequence[str]") -> "tuple[list[str], dict[str, str]]":
    """The types that resources were pushed for, and what is wrong with those in whose place lies something else."""
    pushed, foreign = [], {}
    for type_ in types:
        try:
            if store.is_pushed(type_):
                pushed.append(type_)
        except ForeignContentError as fault:
            foreign[type_] = str(fault)
    return pushed, foreign


def _tell_rules(client: "OpaClient", rule_set: "RuleSet") -> Exit:
    """Say what is wrong with the rules."""
    try:
        found = rules_findings(client, rule_set)
    except OwnedByBundleError as owned:
        say(f"rules: they are those of the bundle `{shown(owned.bundle)}`, of which only the fingerprint can be told")
        try:
            OpaEngine(client, rule_set).decide([Request(claims=None, type=None)])
            found = []
        except (RulesMismatchError, RulesNotInstalledError) as fault:
            found = [str(fault)]
    say(f"rules at data.{rule_set.package_root}: {f'{len(found):,} found' if found else 'all is well'}")
    for finding in found:
        say(f"  {finding}")
    return Exit.DENIED if found else Exit.OK
