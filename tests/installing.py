"""Rule sets, old and new, and how tests load them into an OPA."""

from __future__ import annotations

from bridge import (
    RuleSet,
)
from bridge.rendering import render

RULES = RuleSet()
NEW = {module.path: module.text for module in render(RULES)}
SETTINGS = "jwt_policy/settings/settings.rego"
MAIN = "jwt_policy/jwt_policy.rego"
DEVICE = {"id": "d1"}
DENIED = {"policy": {"version": 2, "devices": {"id": "another"}}}
GRANTED = {"policy": {"version": 2, "devices": {"id": "d1"}}}


def texts_on(client):
    return {policy.id: policy.text for policy in client.list_policies()}
