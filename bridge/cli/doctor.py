"""`jwt-bridge doctor`: check the rules and the pushed resources of an OPA server."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final

import typer

from bridge.cli.exit import Exit, reported_errors
from bridge.cli.options import OpaOptions
from bridge.cli.rule_set_options import RuleSetOptions, require_known_type
from bridge.cli.terminal import print_error, print_line, resource_counter
from bridge.cli.token_options import TokenOptions
from bridge.decision import Request
from bridge.engines import OpaEngine
from bridge.engines.inventory import take
from bridge.errors import (
    ForeignContentError,
    OwnedByBundleError,
    ResourcesMissingError,
    RulesMismatchError,
    RulesNotInstalledError,
)
from bridge.escapes import shown
from bridge.opa import OpaClient
from bridge.opa.version import known_defect
from bridge.rendering import RuleSet, fingerprint, render, settings_path
from bridge.store import OpaStore

_MAX_SHOWN = 20
_FINGERPRINT: Final = re.compile(r'^fingerprint := "([0-9a-f]{64})"$', re.MULTILINE)


def doctor(
    *,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type", metavar="NAME", help="A resource type to check; repeat it for more; the default is all types."
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show all findings.")] = False,
    opa: OpaOptions,
    rules: RuleSetOptions,
    tokens: TokenOptions,
) -> None:
    r"""Check the rules of an OPA server, and its index and digests against the pushed resources.

    The command changes nothing. It finds rules that are missing, incomplete or of another release, and modules and data
    of others in their place: repair these with `jwt-bridge install`. Repair the findings about resources with
    `jwt-bridge push`. An OPA that is too old is an error; one with a known defect (1.21.0 to 1.22.0) gives a warning.

    The command prints "none pushed" for a type without a push; that is no fault while OPA has resources of another one.

    Exit status: 0 if all is well, 1 if there are findings, 2 for a usage error, 3 if OPA failed, has no resources of
    any type, or has foreign data in the place of a type, or if the resources changed during the check.

    Examples:
      jwt-bridge doctor --opa-url http://127.0.0.1:8181
    """
    with reported_errors():
        rule_set = rules.with_token_checks(tokens)
        chosen = types or list(rule_set.policy.types)
        for type_ in chosen:
            require_known_type(type_, rule_set)
        worst = Exit.OK
        with opa.client() as client:
            root = tuple(rule_set.data_root.split("."))
            if defect := known_defect(client.require_version((*root, chosen[0], "state"))):
                print_error(defect)
            store = OpaStore(client, root, rule_set.policy.types)
            store.require_one()
            pushed, foreign = _pushed_types(store, rule_set.policy.types)
            worst = max(worst, _check_rules(client, rule_set))
            for type_ in chosen:
                if type_ in foreign:
                    print_error(foreign[type_])
                    worst = Exit.FAULT
                    continue
                if pushed and type_ not in pushed:
                    print_line(f"{type_}: none pushed")
                    continue
                try:
                    with resource_counter(None) as on_progress:
                        recount = store.recount(type_, on_progress=on_progress)
                except ResourcesMissingError as error:
                    print_error(str(error))
                    worst = Exit.FAULT
                    continue
                state = f"{len(recount.findings):,} found" if recount.findings else "all is well"
                print_line(f"{type_}: {recount.resources:,} resources, revision {recount.revision}: {state}")
                shown_findings = recount.findings if verbose else recount.findings[:_MAX_SHOWN]
                for finding in shown_findings:
                    print_line(f"  {finding}")
                if len(shown_findings) < len(recount.findings):
                    print_line(
                        f"  and {len(recount.findings) - len(shown_findings):,} more; --verbose shows all of them"
                    )
                if recount.findings:
                    worst = max(worst, Exit.DENIED)
        raise typer.Exit(worst)


def _pushed_types(store: OpaStore, types: "Sequence[str]") -> "tuple[list[str], dict[str, str]]":
    """Return the types that have pushed resources, and an error by type if foreign data lies in its place."""
    pushed, foreign = [], {}
    for type_ in types:
        try:
            if store.is_pushed(type_):
                pushed.append(type_)
        except ForeignContentError as fault:
            foreign[type_] = str(fault)
    return pushed, foreign


def _check_rules(client: "OpaClient", rule_set: "RuleSet") -> Exit:
    """Print the findings about the rules; return the exit status."""
    try:
        findings = rules_findings(client, rule_set)
    except OwnedByBundleError as owned:
        print_line(f"rules: the bundle `{shown(owned.bundle)}` owns them, so only their fingerprint is checked")
        try:
            OpaEngine(client, rule_set).decide([Request(claims=None, type=None)])
            findings = []
        except (RulesMismatchError, RulesNotInstalledError) as fault:
            findings = [str(fault)]
    print_line(f"rules at data.{rule_set.package_root}: {f'{len(findings):,} found' if findings else 'all is well'}")
    for finding in findings:
        print_line(f"  {finding}")
    return Exit.DENIED if findings else Exit.OK


def rules_findings(opa: "OpaClient", rule_set: "RuleSet") -> list[str]:
    """Return what is wrong with the rules of a rule set on an OPA, and what others have in their place.

    Raises:
        OwnedByBundleError: A bundle owns the rules, so they cannot be checked.
        EngineError: OPA cannot be reached, or refuses; the text names a missing right.
    """
    there = take(opa, rule_set)
    findings = list(_rules(there.modules, rule_set))
    findings += [f"foreign module in the place of the rules: {shown(id_)}" for id_ in there.foreign]
    return findings + [f"foreign data in the place of the resources: {shown(id_)}" for id_ in there.data]


def _rules(modules: "Mapping[str, str]", rule_set: "RuleSet") -> "Iterator[str]":
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
    rendered = {module.path: module.text for module in render(rule_set)}
    for path in sorted(rendered.keys() | modules.keys()):
        if path not in modules:
            yield f"the rules at {place} are half-installed: the module {path} is missing; {again}"
        elif modules[path] != rendered.get(path):
            yield f"the module {path} differs from the rules at {place}, although their fingerprint matches: {again}"
