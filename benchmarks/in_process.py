"""What a check in this process costs against peers: the Wasm engine beside cedarpy, the reference beside pycasbin.

A check is `PolicyBridge.check` with claims and a resource as Python objects: encoding, deciding and reading the answer
are in it. For cedarpy the entities are made for each call, with the policies parsed once or, beside it, as text each
time. pycasbin enforces the simplest rule there is, on three strings. All are asked in turn, so that company on the
machine is company for all; times are CPU time of the thread.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from itertools import count
from typing import TYPE_CHECKING, Any

from bridge import PolicyBridge, ReferenceEngine, WasmEngine

if TYPE_CHECKING:
    from collections.abc import Callable

CEDAR = """
permit(principal, action == Action::"access", resource is Device) when {
    resource has user_id && resource.user_id == principal.user_id &&
    resource has tier && resource.tier == principal.tier
};
"""
CASBIN = """
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && r.obj == p.obj && r.act == p.act
"""
TARGETS = (("wasm", "cedarpy", 0.6), ("reference", "pycasbin", 0.5))


def claims_of(agent: str) -> dict[str, Any]:
    return {
        "aud": "https://cobrowse.io",
        "iss": "LICENSE-KEY",
        "sub": agent,
        "iat": 1_700_000_000,
        "exp": 1_700_003_600,
        "policy": {"version": 2, "devices": {"custom_data": {"user_id": "u1", "tier": "gold"}}},
    }


def device_of(number: int, user: str = "u1") -> dict[str, Any]:
    return {"id": f"d{number}", "custom_data": {"user_id": user, "tier": "gold", "name": f"device {number}"}}


def peers() -> tuple[Any, Any]:
    """cedarpy and casbin, which nothing else here needs."""
    try:
        import casbin  # noqa: PLC0415 - as above
        import cedarpy  # noqa: PLC0415 - as above
    except ImportError as error:
        sys.exit(f"{error.name} is missing, which this compares with: pip install cedarpy pycasbin")
    return cedarpy, casbin


def deciders() -> dict[str, Callable[[dict[str, Any], dict[str, Any]], bool]]:
    """What decides, by its name, each by claims and a device."""
    cedarpy, casbin = peers()
    wasm, reference = PolicyBridge(WasmEngine()), PolicyBridge(ReferenceEngine())
    model = casbin.Model()
    model.load_model_from_text(CASBIN)
    enforcer = casbin.Enforcer(model)
    enforcer.add_policy("u1", "d1", "access")
    policies = cedarpy.PolicySet.from_str(CEDAR)

    def cedar(policies: Any, claims: dict[str, Any], device: dict[str, Any]) -> bool:
        demanded = claims["policy"]["devices"]["custom_data"]
        agent, resource = {"type": "Agent", "id": claims["sub"]}, {"type": "Device", "id": device["id"]}
        entities = [
            {"uid": agent, "attrs": demanded, "parents": []},
            {"uid": resource, "attrs": device["custom_data"], "parents": []},
        ]
        request = {"principal": agent, "action": 'Action::"access"', "resource": resource, "context": {}}
        return bool(cedarpy.is_authorized(request, policies, entities).allowed)

    return {
        "wasm": lambda claims, device: wasm.check(claims, "devices", device).allow,
        "cedarpy": lambda claims, device: cedar(policies, claims, device),
        "cedarpy, text": lambda claims, device: cedar(CEDAR, claims, device),
        "reference": lambda claims, device: reference.check(claims, "devices", device).allow,
        "pycasbin": lambda _claims, device: enforcer.enforce(device["custom_data"]["user_id"], "d1", "access"),
    }


def questions(calls: int) -> dict[str, Callable[[], list[tuple[dict[str, Any], dict[str, Any]]]]]:
    """So many claims and devices, by what is special about them; made anew for each round where they must be new."""
    agents = count()
    claims = claims_of("agent@example.com")
    return {
        "one question": lambda: [(claims, device_of(1))] * calls,
        "other devices": lambda: [(claims, device_of(number)) for number in range(calls)],
        "other devices, denied": lambda: [(claims, device_of(number, "u2")) for number in range(calls)],
        "other claims and devices": lambda: [
            (claims_of(f"agent{next(agents)}@example.com"), device_of(number)) for number in range(calls)
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=300, help="in a row, of one decider")
    parser.add_argument("--rounds", type=int, default=31)
    chosen = parser.parse_args()
    asked = deciders()
    shapes = questions(chosen.calls)
    times: dict[tuple[str, str], list[float]] = {}
    for number in range(-1, chosen.rounds):
        for shape, make in shapes.items():
            for name, decide in asked.items():
                given = make()
                gc.collect()
                gc.disable()  # or one decider would pay for another's objects
                start = time.thread_time()
                answers = [decide(claims, device) for claims, device in given]
                taken = (time.thread_time() - start) / chosen.calls
                gc.enable()
                if answers != [shape != "other devices, denied"] * chosen.calls:
                    sys.exit(f"{name} decides otherwise on: {shape}")
                if number >= 0:  # the first round is for warming up
                    times.setdefault((name, shape), []).append(taken)
    print(f"medians of {chosen.rounds} interleaved rounds of {chosen.calls} calls, and quartiles of their ratios\n")
    print(f"{'':<26}{'ratio':>7}{'wanted':>8}{'(quartiles)':>16}{'us':>9}{'peer':>9}{'as text':>9}")
    for ours, peer, wanted in TARGETS:
        print(f"{ours} / {peer}")
        for shape in shapes:
            mine, theirs = times[ours, shape], times[peer, shape]
            low, _, high = statistics.quantiles([one / other for one, other in zip(mine, theirs, strict=True)], n=4)
            ratio = statistics.median(mine) / statistics.median(theirs)
            figures = f"{ratio:>7.2f}{wanted:>8.2f}{f'({low:.2f} to {high:.2f})':>16}"
            medians = [mine, theirs, *([times["cedarpy, text", shape]] if peer == "cedarpy" else [])]
            print(f"  {shape:<24}{figures}" + "".join(f"{statistics.median(one) * 1e6:>9.1f}" for one in medians))


if __name__ == "__main__":
    main()
