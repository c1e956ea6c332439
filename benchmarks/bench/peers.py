"""The peers, each used as in its documentation, with the same queries as ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import casbin
import cedarpy
from opa_client.opa import OpaClient as PeerClient

if TYPE_CHECKING:
    from collections.abc import Mapping

_CUSTOM_DATA: Final = "resource.custom_data"
_DEMANDED: Final = "principal.policy.devices.custom_data"

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
    """Return an opa-python-client with a long timeout."""
    at = urlsplit(url)
    return PeerClient(host=at.hostname, port=at.port, timeout=60)


class Cedar:
    """cedarpy, in the two ways to give it a token's policy.

    Either one policy set serves all tokens, and the agent is an entity whose attributes are the claims; or the policy
    of one token is a text of Cedar's, which serves that token alone. The device is an entity in both. All entities are
    built for each call.

    Args:
        custom_data: What the policy demands.
    """

    def __init__(self, custom_data: Mapping[str, str]) -> None:
        wanted = " && ".join(f"{_CUSTOM_DATA} has {name} && {_CUSTOM_DATA}.{name} == {{}}" for name in custom_data)
        head = 'permit(principal, action == Action::"access", resource) when'
        of_claims = wanted.format(*(f"{_DEMANDED}.{name}" for name in custom_data))
        self.for_all = cedarpy.PolicySet.from_str(f"{head} {{ {of_claims} }};")
        self.text = f"{head} {{ {wanted.format(*map(json.dumps, custom_data.values()))} }};"
        self.for_one = cedarpy.PolicySet.from_str(self.text)

    def allows(self, claims: Mapping[str, Any], resource: Mapping[str, Any]) -> bool:
        """Return the decision by the policy set for all tokens."""
        agent = {"uid": {"type": "Agent", "id": claims["sub"]}, "attrs": claims, "parents": []}
        return self._allows(self.for_all, resource, [agent])

    def allows_one(self, policies: str | cedarpy.PolicySet, resource: Mapping[str, Any]) -> bool:
        """Return the decision by the policies of one token."""
        return self._allows(policies, resource, [])

    def _allows(
        self, policies: str | cedarpy.PolicySet, resource: Mapping[str, Any], entities: list[dict[str, Any]]
    ) -> bool:
        uid = {"type": "Device", "id": resource["id"]}
        request = {
            "principal": {"type": "Agent", "id": "agent@example.com"},
            "action": {"type": "Action", "id": "access"},
            "resource": uid,
            "context": {},
        }
        entities.append({"uid": uid, "attrs": resource, "parents": []})
        allowed: bool = cedarpy.is_authorized(request, policies, entities).allowed
        return allowed


class _Plain:
    """Attributes in the form that pycasbin's matchers read."""

    def __init__(self, attributes: Mapping[str, str]) -> None:
        self.__dict__.update(attributes)


class Casbin:
    """pycasbin: its simplest rule, with one line that names the device; and one that compares attributes.

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
