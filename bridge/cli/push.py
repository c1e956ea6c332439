"""`jwt-bridge push`: resources from a file to an OPA."""

from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.exit import Exit, end, reported_errors
from bridge.cli.options import OpaOptions
from bridge.cli.progress import resource_counter
from bridge.cli.resource_options import OmitOption, SkipInvalidOption, collect, tell_refusals, tell_removals
from bridge.cli.rule_set_options import RuleSetOptions
from bridge.cli.terminal import complain, say
from bridge.errors import EngineError, PushRejectedError, UsageError
from bridge.escapes import shown
from bridge.opa import OpaClient
from bridge.store import OpaStore
from bridge.store import push as push_to
from bridge.strict_json import ABSENT


def push(
    file: Annotated[Path, typer.Argument(help="JSON Lines, or one JSON array; `-` for standard input.")],
    *,
    type_: Annotated[str, typer.Option("--type", metavar="NAME", help="The resource type, such as devices.")],
    omit: OmitOption = None,
    skip_invalid: SkipInvalidOption = False,
    force: Annotated[
        bool, typer.Option("--force", help="Push even if more than half of what is there would be removed.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Tell every refused resource.")] = False,
    opa: OpaOptions,
    rules: RuleSetOptions,
) -> None:
    r"""Push all resources of one type to an OPA, in place of those that are there; other types are left alone.

    The file has an object on each line, or is one array of objects, each with an `id` and, optionally, `custom_data`.
    A resource that is malformed is refused, and told with its place and the cause; so is each one whose id comes twice.
    Then nothing is pushed, unless --skip-invalid is given; where more than half are refused, it takes --force as well.

    With --omit a member such as `notification_token`, or `/device/app_id`, is checked like all others and not stored:
    for secrets that no policy looks at.

    Exit status: 0 when all were pushed, 1 when some were left out, 2 when nothing was pushed, 3 when OPA failed.

    Examples:
      jwt-bridge push --type devices devices.jsonl \
        --omit notification_token --opa-url http://127.0.0.1:8181
    """
    with reported_errors():
        rule_set = rules.rule_set()
        if type_ not in rule_set.policy.types:
            raise UsageError(f"`{shown(type_)}` is not one of the resource types: {', '.join(rule_set.policy.types)}")
        root = tuple(rule_set.data_root.split("."))
        with opa.client() as client:
            client.require_version((*root, type_, "state"))
            collected = collect(file, omit or ())
            tell_refusals(collected.rejected, everything=verbose)
            store = OpaStore(client, root, rule_set.policy.types)
            try:
                with resource_counter(len(collected.resources)) as on_progress:
                    report = push_to(
                        store, type_, collected, skip_invalid=skip_invalid, force=force, on_progress=on_progress
                    )
            except PushRejectedError as refused:
                end(str(refused), Exit.USAGE)
            say(
                f"{type_}: {report.stored:,} stored now, {report.before:,} before, {report.added:,} added, "
                f"{report.changed:,} changed, {report.removed:,} removed, {len(report.rejected):,} refused; "
                f"revision {report.revision}"
            )
            tell_removals(report.removed_as_rejected, everything=verbose)
            if not _has_rules(client, rule_set.package_root):
                complain(
                    f"the OPA has no rules at `data.{rule_set.package_root}` to decide on them: "
                    "`jwt-bridge install` uploads them"
                )
        if report.rejected:
            raise typer.Exit(Exit.DENIED)


def _has_rules(client: OpaClient, package_root: str) -> bool:
    """Whether the OPA has rules there; also where it does not say."""
    try:
        return client.query((*package_root.split("."), "decision"), b'{"input":{}}').result is not ABSENT
    except EngineError:
        return True  # such as to a bearer who may write data, and nothing else
