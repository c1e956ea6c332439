"""Tokens for rules that verify tokens: refused where the rules would refuse them, and raw only where they may be."""

from __future__ import annotations

from types import SimpleNamespace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bridge import RuleSet, StaticKey, TokenVerifier
from bridge.bearer import RawTokens
from bridge.errors import InvalidAudienceError, InvalidSignatureError, MissingRequiredClaimError
from bridge.rendering import TokenChecks

NOW = 1_700_000_000
KEY, OTHER = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))


def pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def verifier(key=KEY, **settings):
    return TokenVerifier(StaticKey.from_pem(pem(key)), algorithms=("ES256",), clock=lambda: NOW, **settings)


def checks(key=KEY, **settings):
    return TokenChecks(pem(key), algorithms=("ES256",), **settings)


def verified(by, key=KEY, **claims):
    return by.verified(jwt.encode({"exp": NOW + 60, **claims}, key, "ES256"))


def test_rules_that_verify_no_tokens_are_given_none():
    assert RawTokens.of(RuleSet(), SimpleNamespace(deadline=5)) is None


def test_the_deadline_is_the_engines():
    rule_set, by = RuleSet(token=checks()), verifier()
    for deadline, may in ((59, True), (60, False), (None, False)):
        raw = RawTokens.of(rule_set, SimpleNamespace(deadline=deadline))
        assert raw.may_go(verified(by), by) is may
    assert RawTokens.of(rule_set, object()).may_go(verified(by), by) is False
    raw = RawTokens.of(rule_set, SimpleNamespace(deadline=1))
    with pytest.raises(InvalidSignatureError):
        raw.refuse(verified(verifier(OTHER), OTHER), by)


def test_a_token_that_opa_reads_otherwise_does_not_go():
    by = verifier()
    assert RawTokens(checks(), 1).may_go(verified(by, n=1), by)
    assert not RawTokens(checks(), 1).may_go(verified(by, n=1.0), by)


def test_what_the_rules_refuse_is_refused_by_its_own_name():
    by = verifier()
    RawTokens(checks(), 1).refuse(verified(by), by)
    with pytest.raises(
        MissingRequiredClaimError, match=r"^the rules on OPA verify tokens too, and refuse this one: .*`sub`.*"
    ) as one:
        RawTokens(checks(required=("sub",)), 1).refuse(verified(by), by)
    assert type(one.value) is MissingRequiredClaimError
    assert one.value.__suppress_context__
    wider = verifier(audience=("a", "b"))
    with pytest.raises(InvalidAudienceError, match="the rules on OPA"):
        RawTokens(checks(audience=("a",)), 1).refuse(verified(wider, aud="b"), wider)


def test_the_rules_have_the_leeway_of_the_verifier():
    by = verifier(leeway=30)
    token = by.verified(jwt.encode({"exp": NOW - 10}, KEY, "ES256"))
    RawTokens(checks(), 1).refuse(token, by)


class Counting:
    """Checks that count the verifiers made of them."""

    def __init__(self):
        self.made = []

    def verifier(self, like):
        self.made.append(like)
        return verifier()


def test_a_verifier_of_the_rules_is_made_once_for_each():
    counting, one, other = Counting(), verifier(), verifier()
    raw = RawTokens(counting, 1)
    for by in (one, one, other, other, one):
        raw.refuse(verified(by), by)
    assert [like is one for like in counting.made] == [True, False, True]
