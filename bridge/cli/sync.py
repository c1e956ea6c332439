"""`jwt-bridge sync`: what differs between a file and an OPA, to the OPA."""

from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.exit import Exit, end, reported_errors
from bridge.cli.options import OpaOptions
from bridge.cli.progress import resource_counter
from bridge.cli.resource_options import OmitOption, SkipInvalidOption, collect, tell_refusals, tell_removals
from bridge.cli.rule_set_options import RuleSetOptions
from bridge.cli.terminal import say
from bridge.engines import OpaEngine
from bridge.errors import PushRejectedError, UsageError
from bridge.escapes import shown
from bridge.store import sync as sync_to


def sync(
    file: Annotated[Path, typer.Argument(help="JSON Lines, or one JSON array; `-` for standard input.")],
    *,
    type_: Annotated[str, typer.Option("--type", metavar="NAME", help="The resource type, such as devices.")],
    omit: OmitOption = None,
    skip_invalid: SkipInvalidOption = False,
    force: Annotated[
        bool, typer.Option("--force", help="Go on even if more than half of what is there would be removed.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Tell every refused resource.")] = False,
    opa: OpaOptions,
    rules: RuleSetOptions,
) -> None:
    r"""Make the resources of one type on an OPA equal to a file, and send no more than what differs.

    What differs is found by digests. A small difference goes in one or several revisions, each of them whole; a large
    one in a single new generation, as `jwt-bridge push` sends it. The OPA must have the rules: `jwt-bridge install`.
    What the file may be, and what --skip-invalid and --omit do, `jwt-bridge push --help` says; give the same --omit.

    Exit status: 0 when all is as in the file, 1 when some resources were left out, 2 when nothing was changed, 3 when
    OPA failed.

    Examples:
      jwt-bridge sync --type devices devices.jsonl \
        --opa-url http://127.0.0.1:8181
    """
    with reported_errors():
        rule_set = rules.rule_set()
        if type_ not in rule_set.policy.types:
            raise UsageError(f"`{shown(type_)}` is not one of the resource types: {', '.join(rule_set.policy.types)}")
        with opa.client() as client:
            client.require_version((*rule_set.data_root.split("."), type_, "state"))
            collected = collect(file, omit or ())
            tell_refusals(collected.rejected, everything=verbose)
            try:
                with resource_counter(None) as on_progress:
                    store = OpaEngine(client, rule_set).store
                    report = sync_to(
                        store, type_, collected, skip_invalid=skip_invalid, force=force, on_progress=on_progress
                    )
            except PushRejectedError as refused:
                end(str(refused), Exit.USAGE)
        if report.revision is None:
            how = "nothing differed"
        elif report.generation:
            how = f"sent anew as a whole; revision {report.revision}"
        else:
            plural = "" if report.revisions == 1 else "s"
            how = f"in {report.revisions:,} revision{plural}; revision {report.revision}"
        say(
            f"{type_}: {report.stored:,} stored now, {report.added:,} added, {report.changed:,} changed, "
            f"{report.removed:,} removed, {len(report.rejected):,} refused; {how}"
        )
        tell_removals(report.removed_as_rejected, everything=verbose)
        if report.rejected:
            raise typer.Exit(Exit.DENIED)
