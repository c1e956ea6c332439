"""`jwt-bridge uninstall`: the rules and the pushed resources off an OPA."""

from bridge.cli.exit import reported_errors
from bridge.cli.options import OpaOptions
from bridge.cli.rule_set_options import RuleSetOptions
from bridge.cli.terminal import say
from bridge.engines import OpaEngine
from bridge.escapes import shown


def uninstall(*, opa: OpaOptions, rules: RuleSetOptions) -> None:
    """Remove the rules and the resources that were pushed for them from an OPA, and nothing else.

    Only --package-root and --data-root tell which; whatever release and other settings they are of, they are removed.
    Modules and data of others that lie in the same place stay, and are named.

    Exit status: 0 when nothing of them is left, 2 for misuse, 3 when OPA failed, or a bundle owns the place.

    Examples:
      jwt-bridge uninstall --opa-url http://127.0.0.1:8181
    """
    with reported_errors():
        rule_set = rules.rule_set()
        with opa.client() as client:
            left = OpaEngine(client, rule_set).uninstall()
            say(f"uninstalled from {client.url}: no rules and no pushed resources of a bridge are left")
        say(f"  package      {rule_set.package_root}")
        say(f"  data         {rule_set.data_root}")
        for id_ in left:
            say(f"  left alone, for no bridge wrote it: {shown(id_)}")
