"""What makes an OPA forget, and what asks it then: for the tests of one that forgets, and of one that is restarted."""

from __future__ import annotations

from recovering_bridges import bridge_to
from recovering_process import CLAIMS
from relay import relayed

from bridge import Reason, RuleSet
from bridge.rendering import render

ROOT = ("jwt_policy_data",)
MODULES = [module.path for module in reversed(render(RuleSet()))]
ANSWERING = next(module.path for module in render(RuleSet()) if "\nanswer" in module.text)


def forget_rules(client):
    for path in MODULES:
        client.delete_policy(path)


def forget_data(client):
    client.delete_data(ROOT)


def forget_both(client):
    forget_rules(client)
    forget_data(client)


FORGET = {"rules": forget_rules, "data": forget_data, "both": forget_both}


def lose(client, what):
    """Delete just enough that a question finds it lost: OPA compiles all modules again for each one that is deleted."""
    if what != "data":
        client.delete_policy(ANSWERING)
    if what != "rules":
        forget_data(client)


def both_reasons(bridge):
    return bridge.check(CLAIMS, "devices", "d1").reason, bridge.check(CLAIMS, "devices", "d2").reason


WELL = (Reason.MATCHED, Reason.CONSTRAINT_FAILED)


def requests_of_a_recovery(direct, url, what="both"):
    """How many requests a question makes that finds this lost, when nothing else goes wrong."""
    with relayed(url) as (through, relay), bridge_to(through) as bridge:
        bridge.engine.restore()
        del relay.lines[:]
        lose(direct, what)
        assert bridge.check(CLAIMS, "devices", "d1").reason is Reason.MATCHED
        return len(relay.lines)
