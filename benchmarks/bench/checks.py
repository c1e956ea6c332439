"""A check over HTTP, beside a client that only sends the same bytes, and a peer."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

from benchmarks.bench.figure import Figure, Group, Outcome, expect
from benchmarks.bench.fleet import claims, plan, user
from benchmarks.bench.peers import opa_python_client
from benchmarks.bench.timing import interleaved
from benchmarks.bench.wire import ConnectionFloor, PoolFloor, recorded

if TYPE_CHECKING:
    from benchmarks.bench.world import World

_RESOURCES = 200

FLOOR = Figure("check", "check, claims and inline resource / urllib3's pool sending the same bytes", 1.1)
PEER = Figure("check-peer", "the same / opa-python-client's query_rule", 0.60)


def measure(world: World) -> dict[str, Outcome]:
    server = world.small
    # Two constraints; each second one is denied.
    policy = claims(user_id=user(1), plan=plan(0))
    fleet = world.small_fleet
    resources = [fleet.resource(number, user_id=user(1)) for number in range(_RESOURCES)]
    questions = [{"claims": policy, "type": "devices", "resource": resource} for resource in resources]
    bodies = []
    for resource in resources:

        def check(url: str, resource: object = resource) -> None:
            with server.new_bridge(url) as bridge:
                bridge.check(policy, "devices", resource)

        (sent,) = recorded(server.url, check)
        bodies.append((sent.method, sent.target, sent.body))
    pool, connection, peer = PoolFloor(server.url), ConnectionFloor(server.url), opa_python_client(server.url)
    for number, (resource, question) in enumerate(zip(resources, questions, strict=True)):
        allowed = number % 2 == 0
        expect("check", server.bridge.check(policy, "devices", resource).allow, allowed)
        expect("query_rule", peer.query_rule(question, "jwt_policy", "decision")["result"]["allow"], allowed)
        expect("urllib3", b'"allow":true' in pool.send(*bodies[number]), allowed)
    own, sent_, sent_again, rules, allows = (cycle(of) for of in (resources, bodies, bodies, questions, questions))
    timings = interleaved(
        {
            "bridge": lambda: server.bridge.check(policy, "devices", next(own)),
            "urllib3's pool": lambda: pool.send(*next(sent_)),
            "http.client": lambda: connection.send(*next(sent_again)),
            "opa-python-client": lambda: peer.query_rule(next(rules), "jwt_policy", "decision"),
            "opa-python-client, allow alone": lambda: peer.query_rule(next(allows), "jwt_policy", "allow"),
        },
        rounds=world.rounds(60),
        calls=30,
        warm=50,
    )
    pool.close()
    connection.close()
    peer.close_connection()
    medians = timings.medians()
    return {
        FLOOR.name: Outcome(
            timings.ratio("bridge", "urllib3's pool"),
            medians,
            {"check / one http.client connection": timings.ratio("bridge", "http.client")},
        ),
        PEER.name: Outcome(
            timings.ratio("bridge", "opa-python-client"),
            medians,
            {"check / query_rule of allow alone": timings.ratio("bridge", "opa-python-client, allow alone")},
        ),
    }


GROUP = Group((FLOOR, PEER), measure)
