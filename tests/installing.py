"""Rule sets, old and new, and how tests load them into an OPA."""

from __future__ import annotations

from bridge import OpaClient, RuleSet
from bridge.errors import OpaStatusError
from bridge.rendering import render

RULES = RuleSet()
NEW = {module.path: module.text for module in render(RULES)}
SETTINGS = "jwt_policy/settings/settings.rego"
MAIN = "jwt_policy/jwt_policy.rego"
DEVICE = {"id": "d1"}
DENIED = {"policy": {"version": 2, "devices": {"id": "another"}}}
GRANTED = {"policy": {"version": 2, "devices": {"id": "d1"}}}


def remove_everything(url):
    """Remove all modules and the roots of the bridge; a module that others import goes in a later round."""
    with OpaClient(url) as client:
        for _ in range(3):
            for policy in client.list_policies():
                try:
                    client.delete_policy(policy.id, quoted=True)
                except OpaStatusError:
                    continue
        assert client.list_policies() == ()
        client.delete_data(("jwt_policy_data",))
        client.delete_data(("jwt_policy",))


def texts_on(client):
    return {policy.id: policy.text for policy in client.list_policies()}
