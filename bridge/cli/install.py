"""`jwt-bridge install`: the rules to an OPA."""

from typing import Annotated

import typer

from bridge.cli.exit import reported_errors
from bridge.cli.options import OpaOptions
from bridge.cli.output_files import is_earlier_rule_set, write_files
from bridge.cli.rule_set_options import RuleSetOptions, WriteOption, refuse_other_file
from bridge.cli.terminal import complain, say
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
            help="Remove this module or data of others that lies in the rules' place; once for each."
            " An ID that is not there gives a warning, and no error.",
        ),
    ] = None,
    write_rule_set: WriteOption = None,
    opa: OpaOptions,
    rules: RuleSetOptions,
    tokens: TokenOptions,
) -> None:
    r"""Upload the rules to an OPA, and make sure that they compiled and answer.

    With --key or --jwks the rules verify tokens themselves, and are asked with a `token` in place of `claims`.

    All other commands must know the settings of the rules: write them with --write-rule-set, and give the file to each
    of them with --rule-set.

    Rules of an earlier release or of other settings are replaced, so that nobody ever decides by a mixture; if the new
    ones cannot be installed, the earlier ones are put back. Modules and data of others in the rules' place are refused
    with their ids, and nothing is changed; --replace removes exactly what it names. This needs an operator's rights on
    the OPA: to list, write and delete policies, and to ask a query of one's own (POST /v1/query).

    Exit status: 0 when the rules answer, 2 for misuse, 3 when OPA failed, or has what is not to be replaced.

    Examples:
      jwt-bridge install --opa-url http://127.0.0.1:8181

      Rules that verify tokens themselves:
      jwt-bridge install --opa-url http://127.0.0.1:8181 \
        --key public.pem --audience https://cobrowse.io --issuer LICENSE-KEY \
        --write-rule-set rules.json
    """
    with reported_errors():
        rule_set = rules.with_checks(tokens)
        if write_rule_set is not None:
            refuse_other_file(write_rule_set, rule_set)
        with opa.client() as client:
            PolicyBridge(OpaEngine(client, rule_set)).install(replace=replace or ())
            if defect := known_defect(client.require_version((*rule_set.package_root.split("."), "answer"))):
                complain(defect)
            say(f"installed on {client.url}, and they answer: {len(render(rule_set))} modules")
        if write_rule_set is not None:
            write_files({write_rule_set: rule_set.to_json().encode()}, is_earlier_rule_set)
            say(f"  rule set     {shown(write_rule_set)}")
        say(f"  package      {rule_set.package_root}")
        say(f"  data         {rule_set.data_root}")
        say(f"  fingerprint  {fingerprint(rule_set)[:12]}")
        for name in entrypoints(rule_set):
            if not name.endswith("/answer"):  # the bridge's own, which is no public contract
                say(f"  entrypoint   /v1/data/{name}")
