"""`jwt-bridge install`: the rules to an OPA."""

from bridge.cli.ending import told_errors
from bridge.cli.options import OpaOptions, TokenOptions
from bridge.cli.rule_set import RuleSetOptions, WriteOption, refuse_other_file
from bridge.cli.terminal import say
from bridge.cli.written import write_files
from bridge.client import PolicyBridge
from bridge.engines import OpaEngine
from bridge.rendering import entrypoints, fingerprint, render


def install(
    *, write_rule_set: WriteOption = None, opa: OpaOptions, rules: RuleSetOptions, tokens: TokenOptions
) -> None:
    r"""Upload the rules to an OPA, and make sure that they compiled and answer.

    With --key or --jwks the rules verify tokens themselves, and are asked with a `token` in place of `claims`.

    All other commands must know the settings of the rules: write them with --write-rule-set, and give the file to each
    of them with --rule-set.

    Examples:
      jwt-bridge install --opa-url http://127.0.0.1:8181

      Rules that verify tokens themselves:
      jwt-bridge install --opa-url http://127.0.0.1:8181 \
        --key public.pem --audience https://cobrowse.io --issuer LICENSE-KEY \
        --write-rule-set rules.json
    """
    with told_errors():
        rule_set = rules.with_checks(tokens)
        if write_rule_set is not None:
            refuse_other_file(write_rule_set, rule_set)
        with opa.client() as client:
            PolicyBridge(OpaEngine(client, rule_set)).install()
            say(f"installed on {client.url}, and they answer: {len(render(rule_set))} modules")
        if write_rule_set is not None:
            write_files({write_rule_set: rule_set.to_json().encode()})
            say(f"  rule set     {write_rule_set}")
        say(f"  package      {rule_set.package_root}")
        say(f"  data         {rule_set.data_root}")
        say(f"  fingerprint  {fingerprint(rule_set)[:12]}")
        for name in entrypoints(rule_set):
            if not name.endswith("/answer"):  # the bridge's own, which is no public contract
                say(f"  entrypoint   /v1/data/{name}")
