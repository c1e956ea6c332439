"""An OPA that is restarted at every moment of a recovery.

It stands in a file of its own, because each file is run as one piece and these restarts take a minute.
"""

from __future__ import annotations

from contextlib import ExitStack

from forgetful import WELL, both_reasons, lose, requests_of_a_recovery
from recovering_bridges import DEADLINE, bridge_to
from recovering_process import CLAIMS
from relay import relayed

from bridge import OpaClient, Reason
from bridge.errors import ResourcesMissingError, RulesNotInstalledError


def test_it_is_restarted_before_one_request_whichever(start_opa):
    opa = start_opa()
    with ExitStack() as running, OpaClient(opa.url, deadline=DEADLINE) as direct:
        running.callback(opa.kill)
        usual = requests_of_a_recovery(direct, opa.url)
        for number in range(usual):
            lose(direct, "both")

            def at(now, _, moment, number=number):
                nonlocal opa
                if now == number and moment == "before":
                    opa.kill()
                    opa = start_opa(port=opa.port)
                    running.callback(opa.kill)

            with relayed(opa.url, at) as (through, relay), bridge_to(through) as bridge:
                try:
                    assert bridge.check(CLAIMS, "devices", "d1").reason is Reason.MATCHED
                except (ResourcesMissingError, RulesNotInstalledError):
                    assert number == usual - 1
                assert len(relay.lines) <= 3 * usual, "it makes requests without a bound"
                bridge.engine.restore()
                assert both_reasons(bridge) == WELL
