"""`jwt-bridge install`: the rules to an OPA."""

from bridge.cli.ending import told_errors
from bridge.cli.options import OpaOptions, RuleSetOptions, TokenOptions
from bridge.cli.terminal import say
from bridge.client import PolicyBridge
from bridge.engines import OpaEngine
from bridge.rendering import entrypoints, fingerprint, render


def install(*, opa: OpaOptions, rules: RuleSetOptions, tokens: TokenOptions) -> None:
    r"""Upload the rules to an OPA, and make sure that they compiled and answer.

    With --key or --jwks the rules verify tokens themselves, and are asked with a `token` in place of `claims`.

    Examples:
      jwt-bridge install --opa-url http://127.0.0.1:8181

      Rules that verify tokens themselves:
      jwt-bridge install --opa-url http://127.0.0.1:8181 \
        --key public.pem --audience https://cobrowse.io --issuer LICENSE-KEY
    """
    with told_errors():
        rule_set = rules.rule_set(tokens.token_checks())
        with opa.client() as client:
            PolicyBridge(OpaEngine(client, rule_set)).install()
            say(f"installed on {client.url}, and they answer: {len(render(rule_set))} modules")
        say(f"  package      {rule_set.package_root}")
        say(f"  data         {rule_set.data_root}")
        say(f"  fingerprint  {fingerprint(rule_set)[:12]}")
        for name in entrypoints(rule_set):
            if not name.endswith("/answer"):  # the bridge's own, which is no public contract
                say(f"  entrypoint   /v1/data/{name}")
