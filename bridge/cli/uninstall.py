"""`jwt-bridge uninstall`: remove the rules and the pushed resources from an OPA server."""

from bridge.cli.exit import reported_errors
from bridge.cli.options import OpaOptions
from bridge.cli.rule_set_options import RuleSetOptions
from bridge.cli.terminal import print_line
from bridge.engines import OpaEngine
from bridge.escapes import shown


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
