"""`jwt-bridge doctor`: whether what an OPA has of pushed resources is whole."""

from typing import Annotated

import typer

from bridge.cli.ending import Exit, told_errors
from bridge.cli.options import OpaOptions
from bridge.cli.progress import sending
from bridge.cli.rule_set import RuleSetOptions
from bridge.cli.terminal import complain, say
from bridge.errors import Misuse, ResourcesLost
from bridge.resources import OpaStore

_MOST_TOLD = 20


def doctor(
    *,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="NAME", help="A resource type; once for each; without it, all of them."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Tell everything that is found.")] = False,
    opa: OpaOptions,
    rules: RuleSetOptions,
) -> None:
    r"""Count all anew that an OPA's index and digests say of the pushed resources; it reads, and changes nothing.

    `jwt-bridge push` mends what is found.

    A type that nothing was ever pushed for has "none pushed"; that is no fault while OPA has resources of another one.

    Exit status: 0 when all is well, 1 when something is not, 2 for misuse, 3 when OPA failed or has no resources of
    any type, or they changed meanwhile.

    Examples:
      jwt-bridge doctor --opa-url http://127.0.0.1:8181
    """
    with told_errors():
        rule_set = rules.rule_set()
        chosen = types or list(rule_set.policy.types)
        for type_ in chosen:
            if type_ not in rule_set.policy.types:
                raise Misuse(f"`{type_}` is not one of the resource types: {', '.join(rule_set.policy.types)}")
        worst = Exit.OK
        with opa.client() as client:
            root = tuple(rule_set.data_root.split("."))
            client.require_version((*root, chosen[0], "state"))
            store = OpaStore(client, root, rule_set.policy.types)
            store.require_one()
            pushed = [type_ for type_ in rule_set.policy.types if store.is_pushed(type_)]
            for type_ in chosen:
                if pushed and type_ not in pushed:
                    say(f"{type_}: none pushed")
                    continue
                try:
                    with sending(None) as told:
                        found = store.recount(type_, told=told)
                except ResourcesLost as lost:
                    complain(str(lost))
                    worst = Exit.FAULT
                    continue
                state = f"{len(found.findings):,} found" if found.findings else "all is well"
                say(f"{type_}: {found.resources:,} resources, revision {found.revision}: {state}")
                kept = found.findings if verbose else found.findings[:_MOST_TOLD]
                for finding in kept:
                    say(f"  {finding}")
                if len(kept) < len(found.findings):
                    say(f"  and {len(found.findings) - len(kept):,} more; --verbose tells all of them")
                if found.findings:
                    worst = max(worst, Exit.DENIED)
        raise typer.Exit(worst)
