"""`jwt-bridge push` and `jwt-bridge sync`: send resources from a file to an OPA server, all of them or what differs."""

from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.exit import Exit, end, reported_errors
from bridge.cli.input_files import OmitOption, SkipInvalidOption, print_rejected, print_removed, read_resources
from bridge.cli.options import OpaOptions
from bridge.cli.rule_set_options import RuleSetOptions, require_known_type
from bridge.cli.terminal import print_error, print_line, resource_counter
from bridge.engines import OpaEngine
from bridge.errors import EngineError, PushRejectedError
from bridge.opa import OpaClient
from bridge.store import OpaStore
from bridge.store import push as push_to
from bridge.store import sync as sync_to
from bridge.strict_json import ABSENT


def push(
    file: Annotated[Path, typer.Argument(help="JSON Lines, or one JSON array; `-` reads standard input.")],
    *,
    type_: Annotated[str, typer.Option("--type", metavar="NAME", help="The resource type, such as devices.")],
    omit: OmitOption = None,
    skip_invalid: SkipInvalidOption = False,
    force: Annotated[
        bool, typer.Option("--force", help="Push even if that removes more than half of the stored resources.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show every refused resource.")] = False,
    opa: OpaOptions,
    rules: RuleSetOptions,
) -> None:
    r"""Push all resources of one type to an OPA server; they replace those that it has of this type.

    The file has an object on each line, or is one array of objects, each with an `id` and, optionally, `custom_data`.
    The command refuses a malformed resource, and each one whose id occurs twice, and prints its place and the cause. It
    then pushes nothing, unless --skip-invalid is given; if more than half are refused, it needs --force as well.

    With --omit the command checks a member such as `notification_token` or `/device/app_id` like all others, but does
    not store it: use it for secrets that no policy needs.

    Exit status: 0 if all were pushed, 1 if some were left out, 2 if nothing was pushed, 3 if OPA failed.

    Examples:
      jwt-bridge push --type devices devices.jsonl \
        --omit notification_token --opa-url http://127.0.0.1:8181
    """
    with reported_errors():
        rule_set = rules.rule_set()
        require_known_type(type_, rule_set)
        root = tuple(rule_set.data_root.split("."))
        with opa.client() as client:
            client.require_version((*root, type_, "state"))
            loaded = read_resources(file, omit or ())
            print_rejected(loaded.rejected, everything=verbose)
            store = OpaStore(client, root, rule_set.policy.types)
            try:
                with resource_counter(len(loaded.resources)) as on_progress:
                    report = push_to(
                        store, type_, loaded, skip_invalid=skip_invalid, force=force, on_progress=on_progress
                    )
            except PushRejectedError as refused:
                end(str(refused), Exit.USAGE)
            print_line(
                f"{type_}: {report.stored:,} stored now, {report.before:,} before, {report.added:,} added, "
                f"{report.changed:,} changed, {report.removed:,} removed, {len(report.rejected):,} refused; "
                f"revision {report.revision}"
            )
            print_removed(report.removed_as_rejected, everything=verbose)
            if not _has_rules(client, rule_set.package_root):
                print_error(
                    f"the OPA has no rules at `data.{rule_set.package_root}` to decide on them: "
                    "`jwt-bridge install` uploads them"
                )
        if report.rejected:
            raise typer.Exit(Exit.DENIED)


def _has_rules(client: OpaClient, package_root: str) -> bool:
    """Return whether OPA has rules at the package root; True if OPA does not say."""
    try:
        return client.query((*package_root.split("."), "decision"), b'{"input":{}}').result is not ABSENT
    except EngineError:
        return True  # for example because our token may write data only


def sync(
    file: Annotated[Path, typer.Argument(help="JSON Lines, or one JSON array; `-` reads standard input.")],
    *,
    type_: Annotated[str, typer.Option("--type", metavar="NAME", help="The resource type, such as devices.")],
    omit: OmitOption = None,
    skip_invalid: SkipInvalidOption = False,
    force: Annotated[
        bool, typer.Option("--force", help="Continue even if that removes more than half of the stored resources.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show every refused resource.")] = False,
    opa: OpaOptions,
    rules: RuleSetOptions,
) -> None:
    r"""Make the resources of one type on an OPA server equal to a file, and send only what differs.

    The command finds the difference by digests. It sends a small difference in one or several revisions, each of them
    complete, and a large one in a single new generation, as `jwt-bridge push` does. The OPA server must have the rules:
    `jwt-bridge install` uploads them. For the format of the file, --skip-invalid and --omit see
    `jwt-bridge push --help`; give the same --omit as there.

    Exit status: 0 if the resources equal the file, 1 if some were left out, 2 if nothing was changed, 3 if OPA failed.

    Examples:
      jwt-bridge sync --type devices devices.jsonl \
        --opa-url http://127.0.0.1:8181
    """
    with reported_errors():
        rule_set = rules.rule_set()
        require_known_type(type_, rule_set)
        with opa.client() as client:
            client.require_version((*rule_set.data_root.split("."), type_, "state"))
            loaded = read_resources(file, omit or ())
            print_rejected(loaded.rejected, everything=verbose)
            try:
                with resource_counter(None) as on_progress:
                    store = OpaEngine(client, rule_set).store
                    report = sync_to(
                        store, type_, loaded, skip_invalid=skip_invalid, force=force, on_progress=on_progress
                    )
            except PushRejectedError as refused:
                end(str(refused), Exit.USAGE)
        if report.revision is None:
            how = "nothing differed"
        elif report.generation:
            how = f"pushed again as a whole; revision {report.revision}"
        else:
            plural = "" if report.revisions == 1 else "s"
            how = f"in {report.revisions:,} revision{plural}; revision {report.revision}"
        print_line(
            f"{type_}: {report.stored:,} stored now, {report.added:,} added, {report.changed:,} changed, "
            f"{report.removed:,} removed, {len(report.rejected):,} refused; {how}"
        )
        print_removed(report.removed_as_rejected, everything=verbose)
        if report.rejected:
            raise typer.Exit(Exit.DENIED)
