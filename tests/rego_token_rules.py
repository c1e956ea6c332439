"""Rule sets that verify raw tokens, on OPAs of their own, and the tokens to try on them.

The bridge's own verifier must refuse every token that the rules refuse.
"""

import json
import time
import uuid

import pytest
import requests
import token_making
from cryptography.hazmat.primitives.serialization import PublicFormat
from rule_files import write_rules

from bridge.errors import InvalidTokenError
from bridge.policy import PolicySettings
from bridge.rendering import RuleSet, TokenChecks
from bridge.tokens import JwkSet, TokenVerifier

NOW = int(time.time())
DAY = 24 * 3600  # longer than any run of all tests
POLICY = {"version": 2, "devices": {"custom_data": {"user_id": "user1"}}}
CLAIMS = {"sub": "agent@example.com", "exp": NOW + DAY, "policy": POLICY}
MINE = {"id": "device1", "custom_data": {"user_id": "user1"}}
THEIRS = {"id": "device2", "custom_data": {"user_id": "user2"}}
MATCHED = {"allow": True, "reason": "matched"}
FAILED = {
    "allow": False,
    "reason": "constraint_failed",
    "failures": [{"pointer": "/custom_data/user_id", "code": "different"}],
}
INVALID = {"allow": False, "reason": "invalid_token"}


def pem(name="rsa", form=PublicFormat.SubjectPublicKeyInfo):
    return token_making.pem(name, form).decode()


def jwks(*keys):
    return json.dumps({"keys": list(keys)})


def token(claims=CLAIMS, *, key="rsa", alg="RS256", header=None, **more):
    """A signed token; `header` and `claims` may be texts, which are taken as they are."""
    return token_making.made(claims, key=key, alg=alg, header=header, **{"typ": "JWT", **more})


def having(**more):
    """A token with these claims besides the usual ones; None of Python's leaves one out."""
    return token({name: value for name, value in {**CLAIMS, **more}.items() if value is not None})


def shown(value):
    """A name of this value that is the same in each process that reads this file: times as seconds from `NOW`."""
    text = repr(value)
    for seconds in (-DAY, -1, 0, DAY):
        text = text.replace(str(NOW + seconds), f"now{seconds:+}")
    return text[:40]


class Rules:
    """A rule set on a server, asked as any other client of OPA would."""

    def __init__(self, url, rule_set):
        self.url = url
        self.rule_set = rule_set
        self.root = rule_set.package_root

    def post(self, entrypoint, question):
        path = self.root.replace(".", "/")
        reply = requests.post(f"{self.url}/v1/data/{path}/{entrypoint}", json={"input": question}, timeout=60)
        assert reply.status_code == 200, reply.text
        return reply.json()["result"]

    def decision(self, token_, resource=MINE):
        return self.post("decision", {"token": token_, "type": "devices", "resource": resource})

    def at(self, nanoseconds, token_):
        """The decision as of a moment, told to OPA by its own `with`."""
        question = json.dumps({"token": token_, "type": "devices", "resource": MINE})
        query = f"x = data.{self.root}.decision with input as {question} with time.now_ns as {nanoseconds}"
        reply = requests.post(f"{self.url}/v1/query", json={"query": query}, timeout=60)
        assert reply.status_code == 200, reply.text
        return reply.json()["result"][0]["x"]


def rule_set_of(keys=None, *, policy=None, **settings):
    name = f"r{uuid.uuid4().hex}"
    return RuleSet(
        policy=PolicySettings(**policy or {}),
        package_root=f"token_rules.{name}",
        data_root=f"token_data.{name}",
        token=TokenChecks(pem() if keys is None else keys, **settings),
    )


class OpaRules:
    """Rules for these checks, each on an OPA of its own: one that has many compiles all of them for each change."""

    def __init__(self, start_opa, tmp_path_factory):
        self._start_opa = start_opa
        self._tmp_path_factory = tmp_path_factory
        self._started = {}
        self._running = []

    def __call__(self, *keys, **settings):
        name = repr((keys, settings))
        if name not in self._started:
            rule_set = rule_set_of(*keys, **settings)
            self._started[name] = Rules(self._start(rule_set), rule_set)
        return self._started[name]

    def _start(self, rule_set):
        opa = self._start_opa([write_rules(self._tmp_path_factory.mktemp("rules"), rule_set)])
        self._running.append(opa)
        return opa.url

    def stop(self):
        for opa in self._running:
            opa.stop()


def verifier(rules_):
    checks = rules_.rule_set.token
    return TokenVerifier(
        JwkSet(checks.keys) if checks.keys.startswith("{") else checks.keys,
        algorithms=checks.algorithms,
        audience=checks.audience or None,
        issuer=checks.issuer,
        required=checks.required,
    )


def assert_valid(rules_, token_):
    verifier(rules_).verify(token_)
    assert rules_.decision(token_) == MATCHED
    assert rules_.decision(token_, THEIRS) == FAILED


def assert_invalid(rules_, token_):
    with pytest.raises(InvalidTokenError):
        verifier(rules_).verify(token_)
    assert_refused(rules_, token_)


def assert_refused(rules_, token_):
    question = {"token": token_, "type": "devices"}
    assert rules_.decision(token_) == INVALID
    assert rules_.decision(token_, None) == INVALID
    assert rules_.post("allow", {**question, "resource": MINE}) is False
    assert rules_.post("decisions", {**question, "resources": [MINE, None]}) == [INVALID, INVALID]
    assert rules_.post("answer", {"requests": [{**question, "resource": MINE}]})["decisions"] == [INVALID]


FAMILIES = [(alg, name) for alg, name in token_making.FAMILIES if name != "Ed448"]  # OPA has no Ed448
ALL = tuple(dict.fromkeys(alg for alg, _ in FAMILIES))
