"""The peers, each as its documentation shows it, and each asked the same as ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import casbin
import cedarpy
from opa_client.opa import OpaClient as PeerClient

if TYPE_CHECKING:
    from collections.abc import Mapping

_ACL: Final = """
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && r.obj == p.obj && r.act == p.act
"""

_ABAC: Final = """
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub_rule, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.act == p.act && r.obj.user_id == r.sub.user_id && r.obj.plan == r.sub.plan
"""


def opa_python_client(url: str) -> PeerClient:
    """opa-python-client, with time enough for anything."""
    at = urlsplit(url)
    return PeerClient(host=at.hostname, port=at.port, timeout=60)


class Cedar:
    """cedarpy: the policy of a token as Cedar's text; a device is an entity that is built for each call.

    Args:
        custom_data: What the policy demands.
    """

    def __init__(self, custom_data: Mapping[str, str]) -> None:
        demands = " && ".join(
            f"resource.custom_data has {name} && resource.custom_data.{name} == {json.dumps(value)}"
            for name, value in custom_data.items()
        )
        self.text = f'permit(principal, action == Action::"access", resource) when {{ {demands} }};'
        self.parsed = cedarpy.PolicySet.from_str(self.text)

    def allows(self, policies: str | cedarpy.PolicySet, resource: Mapping[str, Any]) -> bool:
        uid = {"type": "Device", "id": resource["id"]}
        entities = [{"uid": uid, "attrs": {"custom_data": resource["custom_data"]}, "parents": []}]
        request = {
            "principal": {"type": "Agent", "id": "agent@example.com"},
            "action": {"type": "Action", "id": "access"},
            "resource": uid,
            "context": {},
        }
        allowed: bool = cedarpy.is_authorized(request, policies, entities).allowed
        return allowed


class _Plain:
    """Attributes, as pycasbin's matchers read them."""

    def __init__(self, attributes: Mapping[str, str]) -> None:
        self.__dict__.update(attributes)


class Casbin:
    """pycasbin: its simplest rule, one line of which names the device; and one that compares attributes.

    Args:
        custom_data: What the policy demands.
        id_: The device that the simplest rule allows.
    """

    def __init__(self, custom_data: Mapping[str, str], id_: str) -> None:
        self._subject = _Plain(custom_data)
        self._simplest = _enforcer(_ACL)
        self._simplest.add_policy("agent", id_, "access")
        self._attributes = _enforcer(_ABAC)
        self._attributes.add_policy("true", "access")

    def simplest(self, id_: str) -> bool:
        allowed: bool = self._simplest.enforce("agent", id_, "access")
        return allowed

    def by_attributes(self, resource: Mapping[str, Any]) -> bool:
        allowed: bool = self._attributes.enforce(self._subject, _Plain(resource["custom_data"]), "access")
        return allowed


def _enforcer(text: str) -> casbin.Enforcer:
    model = casbin.Enforcer.new_model(text=text)
    return casbin.Enforcer(model)
