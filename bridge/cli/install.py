"""`jwt-bridge install` and `jwt-bridge uninstall`: put the rules into an OPA server, and remove them again."""

from typing import Annotated

import typer

from bridge.cli.exit import reported_errors
from bridge.cli.options import OpaOptions
from bridge.cli.output_files import rule_set_may_replace, write_files
from bridge.cli.rule_set_options import RuleSetOptions, WriteOption, refuse_unrelated_file
from bridge.cli.terminal import print_error, print_line
from bridge.cli.token_options import TokenOptions
from bridge.client import PolicyBridge
from bridge.engines import OpaEngine
from bridge.escapes import shown
from bridge.opa.version import known_defect
from bridge.rendering import entrypoints, fingerprint, render


def install(
    *,
    replace: Annotated[
        list[str] | None,
        typer.Option(
            "--replace",
            metavar="ID",
            help="Remove this foreign module or data from the place of the rules; repeat it for more."
            " An ID that does not exist gives a warning, not an error.",
        ),
    ] = None,
    write_rule_set: WriteOption = None,
    opa: OpaOptions,
    rules: RuleSetOptions,
    tokens: TokenOptions,
) -> None:
    r"""Upload the rules to an OPA server, and check that they compile and answer.

    With --key or --jwks the rules verify tokens themselves; a query then has a `token` in place of `claims`.

    All other commands must know the settings of the rules: write them to a file with --write-rule-set, and give that
    file to each command with --rule-set.

    The command replaces rules of an earlier release or of other settings, so that no decision ever comes from a
    mixture. If it cannot install the new rules, it restores the earlier ones. If it finds foreign modules or data in
    the place of the rules, it names their ids and changes nothing; --replace removes exactly what it names. The command
    needs the rights of an operator on the OPA server: to list, write and delete policies, and to run a query
    (POST /v1/query).

    Exit status: 0 if the rules answer, 2 for a usage error, 3 if OPA failed or has foreign modules or data.

    Examples:
      jwt-bridge install --opa-url http://127.0.0.1:8181

      Rules that verify tokens themselves:
      jwt-bridge install --opa-url http://127.0.0.1:8181 \
        --key public.pem --audience https://cobrowse.io --issuer LICENSE-KEY \
        --write-rule-set rules.json
    """
    with reported_errors():
        rule_set = rules.with_token_checks(tokens)
        if write_rule_set is not None:
            refuse_unrelated_file(write_rule_set, rule_set)
        with opa.client() as client:
            PolicyBridge(OpaEngine(client, rule_set)).install(replace=replace or ())
            if defect := known_defect(client.require_version((*rule_set.package_root.split("."), "answer"))):
                print_error(defect)
            print_line(f"installed on {client.url}, and they answer: {len(render(rule_set))} modules")
        if write_rule_set is not None:
            write_files({write_rule_set: rule_set.to_json().encode()}, rule_set_may_replace)
            print_line(f"  rule set     {shown(write_rule_set)}")
        print_line(f"  package      {rule_set.package_root}")
        print_line(f"  data         {rule_set.data_root}")
        print_line(f"  fingerprint  {fingerprint(rule_set)[:12]}")
        for name in entrypoints(rule_set):
            if not name.endswith("/answer"):  # used by the bridge itself; no public contract
                print_line(f"  entrypoint   /v1/data/{name}")


def uninstall(*, opa: OpaOptions, rules: RuleSetOptions) -> None:
    """Remove the rules and their pushed resources from an OPA server, and nothing else.

    --package-root and --data-root name what to remove, whatever its release and other settings are. Foreign modules and
    data in the same place stay; the command prints their ids.

    Exit status: 0 if nothing of the rules is left, 2 for a usage error, 3 if OPA failed or a bundle owns the place.

    Examples:
      jwt-bridge uninstall --opa-url http://127.0.0.1:8181
    """
    with reported_errors():
        rule_set = rules.rule_set()
        with opa.client() as client:
            foreign = OpaEngine(client, rule_set).uninstall()
            print_line(f"uninstalled from {client.url}: no rules and no pushed resources of a bridge are left")
        print_line(f"  package      {rule_set.package_root}")
        print_line(f"  data         {rule_set.data_root}")
        for id_ in foreign:
            print_line(f"  left alone, for no bridge wrote it: {shown(id_)}")
