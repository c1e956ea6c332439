"""What a worker process of a test does, which is spawned: it has nothing but what it is given by pickle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge import PolicyBridge, ReferenceEngine, StaticKey, TokenVerifier
from bridge.strict_json import ABSENT

if TYPE_CHECKING:
    from bridge import Decision, Explanation, RuleSet

_made: list[PolicyBridge] = []


def begin(rule_set: RuleSet, secret: bytes) -> None:
    """Make the process's own bridge, as the initializer of a pool does."""
    verifier = TokenVerifier(StaticKey.from_secret(secret), algorithms=("HS256",))
    bridge = PolicyBridge(ReferenceEngine(rule_set), verifier=verifier)
    bridge.push("devices", [{"id": "d1", "custom_data": {"n": 1}}, {"id": "d2"}])
    _made.append(bridge)


def check(token: str, id_: str) -> Decision:
    """A decision of the process's own bridge, or an error."""
    return _made[0].check(token, "devices", id_)


def explain(token: str, id_: str) -> Explanation:
    """An explanation, likewise."""
    return _made[0].explain(token, "devices", id_)


def sent_back(value: object) -> tuple[object, bool]:
    """What came, and whether it is `ABSENT` itself."""
    return value, value is ABSENT


def thrown_back(error: Exception) -> None:
    """What came, raised."""
    raise error


def begun_with(bridge: object) -> None:
    """Never called: what it would be given cannot be handed over."""
    raise AssertionError(bridge)
