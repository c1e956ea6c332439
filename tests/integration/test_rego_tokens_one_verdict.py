"""Rules that verify tokens, and a bridge that does too: one verdict, whatever way a token takes.

The bridge gives such rules the token itself or, where they could read it otherwise, its verified claims. A number such
as `1.0` anywhere in the claims decides which; a list is always made from the claims.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import json
import time
from typing import NamedTuple

import pytest
import requests
import token_making
from rule_files import write_rules
from token_making import jwk_of

from bridge import (
    ExpiredTokenError,
    InvalidTokenError,
    JwkSet,
    OpaClient,
    OpaEngine,
    PolicyBridge,
    Reason,
    TokenVerifier,
)
from bridge.aio import AsyncOpaClient, AsyncOpaEngine, AsyncPolicyBridge
from bridge.bearer import Bearer
from bridge.errors import (
    AlgorithmNotAllowedError,
    ImmatureTokenError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    MalformedTokenError,
    MissingRequiredClaimError,
    UnknownKeyError,
)
from bridge.rendering import RuleSet, TokenChecks
from bridge.strict_json import encode, numbers

NOW = int(time.time())
HOUR = 3600
DAY = 24 * HOUR  # longer than any run of all tests
DEADLINE = 30
DEVICE = {"id": "d1", "custom_data": {"user": "u1"}}
OTHER = {"id": "d2", "custom_data": {"user": "u2"}}
POLICY = {"version": 2, "devices": {"custom_data": {"user": "u1"}}}
AUDIENCE, ISSUER = "https://cobrowse.io", "license"
CLAIMS = {"exp": NOW + DAY, "aud": AUDIENCE, "iss": ISSUER, "sub": "agent", "policy": POLICY}
SPELLINGS = {"as OPA reads it": "", "with a number that OPA does not": ',"odd":1.0'}


def pem(name="rsa"):
    return token_making.pem(name).decode()


def jwks(**names):
    return json.dumps({"keys": [jwk_of(name, kid) for kid, name in names.items()]})


def signed(header, claims, *, key="rsa", alg="RS256"):
    """A token of these texts."""
    return token_making.made(claims, key=key, alg=alg, header=header)


def made(claims, odd="", *, key="rsa", alg="RS256", **header):
    """A token with these claims, and this text as a further member of them."""
    return signed(json.dumps({"alg": alg, **header}), json.dumps(claims)[:-1] + odd + "}", key=key, alg=alg)


@pytest.fixture(scope="module")
def rules(start_opa, tmp_path_factory):
    """An OPA with rules for these checks and two devices; each has its own, for one with many compiles all of them."""
    running = {}

    def of(**checks):
        rule_set = RuleSet(token=TokenChecks(**{"keys": pem(), "audience": (AUDIENCE,), "issuer": ISSUER} | checks))
        if repr(checks) not in running:
            folder = tmp_path_factory.mktemp("rules")
            write_rules(folder, rule_set)
            running[repr(checks)] = opa = start_opa([folder])
            with PolicyBridge(OpaEngine(opa.url, rule_set)) as bridge:
                bridge.push("devices", [DEVICE, OTHER])
        return RunningRules(running[repr(checks)].url, rule_set)

    yield of
    for opa in running.values():
        opa.stop()


class RunningRules(NamedTuple):
    url: str
    rule_set: RuleSet


class Ways:
    """Asks the same in every way there is, and notes what OPA was given."""

    def __init__(self, rules, verifier):
        self.url, self.rule_set = rules
        self.verifier = verifier
        self.sent = []

    def verdicts(self, token):
        """The verdict on the device for each way: a reason, or the kind of the error."""
        with PolicyBridge(
            OpaEngine(OpaClient(self.url, deadline=DEADLINE), self.rule_set), verifier=self.verifier
        ) as it:
            self._watch(it.engine)
            outcomes = {name: _outcome(functools.partial(way, it, token)) for name, way in WAYS.items()}
        return outcomes | {
            f"{name}, asynchronous": outcome for name, outcome in asyncio.run(self._asynchronous(token)).items()
        }

    async def _asynchronous(self, token):
        engine = AsyncOpaEngine(AsyncOpaClient(self.url, deadline=DEADLINE), self.rule_set)
        async with AsyncPolicyBridge(engine, verifier=self.verifier) as it:
            self._watch(engine)
            outcomes = {}
            for name, way in AWAITED.items():
                try:
                    outcomes[name] = await way(it, token)
                except InvalidTokenError as error:
                    outcomes[name] = type(error)
            return outcomes

    def _watch(self, engine):
        for name in ("decide", "explain"):
            original = getattr(engine, name)

            def watched(requests, *, original=original):
                several = requests if isinstance(requests, list) else [requests]
                self.sent += ["claims" if request.token is None else "token" for request in several]
                return original(requests)

            setattr(engine, name, watched)


def _outcome(way):
    try:
        return way()
    except InvalidTokenError as error:
        return type(error)


def _listed(listing):
    if listing.decision is not None:
        return listing.decision.reason
    return Reason.MATCHED if listing.ids == ("d1",) else Reason.CONSTRAINT_FAILED


WAYS = {
    "check": lambda it, token: it.check(token, "devices", DEVICE).reason,
    "check by id": lambda it, token: it.check(token, "devices", "d1").reason,
    "check_many": lambda it, token: it.check_many(token, "devices", [DEVICE])[0].reason,
    "check_many by id": lambda it, token: it.check_many(token, "devices", ["d1", "d1"])[1].reason,
    "explain": lambda it, token: it.explain(token, "devices", DEVICE).decision.reason,
    "list_allowed": lambda it, token: _listed(it.list_allowed(token, "devices")),
}


async def _check(it, token):
    return (await it.check(token, "devices", DEVICE)).reason


async def _check_many(it, token):
    return (await it.check_many(token, "devices", [DEVICE, "d1"]))[1].reason


async def _explain(it, token):
    return (await it.explain(token, "devices", "d1")).decision.reason


async def _list(it, token):
    return _listed(await it.list_allowed(token, "devices"))


AWAITED = {"check": _check, "check_many": _check_many, "explain": _explain, "list_allowed": _list}


def verifier(key=None, **settings):
    settings = {"audience": AUDIENCE, "issuer": ISSUER} | settings
    key = pem() if key is None else key
    return TokenVerifier(JwkSet(key) if key.startswith("{") else key, **settings)


def assert_one_verdict(ways, token, verdict):
    verdicts = ways.verdicts(token)
    assert set(verdicts.values()) == {verdict}, verdicts


# --- time


@pytest.mark.parametrize("odd", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize(
    ("times", "leeway", "verdict", "sent"),
    [
        ({}, 0, Reason.MATCHED, "token"),
        ({"nbf": -HOUR, "iat": -HOUR}, 60, Reason.MATCHED, "token"),
        ({"exp": -30}, 1_000, Reason.MATCHED, "claims"),
        ({"exp": 500}, 1_000, Reason.MATCHED, "claims"),
        ({"nbf": 900}, 1_000, Reason.MATCHED, "claims"),
        ({"iat": 900}, 1_000, Reason.MATCHED, "claims"),
        ({"iat": -1}, 1_000, Reason.MATCHED, "claims"),
        ({"exp": -30}, 0, ExpiredTokenError, None),
        ({"exp": -3_000}, 1_000, ExpiredTokenError, None),
        ({"nbf": 3_000}, 1_000, ImmatureTokenError, None),
        ({"iat": 3_000}, 1_000, ImmatureTokenError, None),
    ],
)
def test_times_and_leeway(rules, odd, times, leeway, verdict, sent):
    """Times are seconds from when the test runs, which may be long after this file was read."""
    ways = Ways(rules(), verifier(leeway=leeway))
    now = int(time.time())
    times = {name: now + seconds for name, seconds in times.items()}
    assert_one_verdict(ways, made(CLAIMS | times, odd), verdict)
    assert set(ways.sent) == ({"claims" if odd else sent} if sent else set())


@pytest.mark.parametrize("odd", SPELLINGS.values(), ids=SPELLINGS)
def test_a_token_that_expires_before_the_deadline_is_decided_by_its_claims(rules, odd):
    """OPA may come to it when it has expired: what it says must not depend on how quick it is."""
    clock = [NOW]
    ways = Ways(rules(), verifier(clock=lambda: clock[0]))
    token = made(CLAIMS, odd)
    for left, sent in ((DEADLINE, "claims"), (DEADLINE + 1, "token")):
        clock[0] = CLAIMS["exp"] - left
        ways.sent.clear()
        assert_one_verdict(ways, token, Reason.MATCHED)
        assert set(ways.sent) == {"claims" if odd else sent}


def test_each_query_of_many_looks_at_the_time_anew(rules):
    clock = [NOW]
    engine = OpaEngine(OpaClient(rules().url, deadline=DEADLINE), rules().rule_set)
    engine.batch_bytes = 1
    original = engine.decide
    sent = []

    def decide(requests):
        sent.extend("claims" if request.token is None else "token" for request in requests)
        decisions = original(requests)
        clock[0] += DAY // 3
        return decisions

    engine.decide = decide
    with PolicyBridge(engine, verifier=verifier(clock=lambda: clock[0])) as bridge:
        decisions = bridge.check_many(made(CLAIMS), "devices", [DEVICE, "d1", OTHER, "d1"])
    assert [decision.reason for decision in decisions] == ["matched", "matched", "constraint_failed", "matched"]
    assert sent == ["token", "token", "token", "claims"]


def test_an_engine_that_tells_no_deadline_is_given_claims(rules):
    class Own(OpaEngine):
        deadline = None

    with PolicyBridge(Own(*rules()), verifier=verifier()) as bridge:
        assert Bearer.of(made(CLAIMS), bridge.verifier, bridge._raw).token is None
        assert bridge.check(made(CLAIMS), "devices", DEVICE).allow is True


# --- what the rules demand, and the bridge's verifier does not


@pytest.mark.parametrize("odd", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize(
    ("checks", "settings", "token", "error"),
    [
        ({"keys": pem("rsa-other")}, {}, {}, InvalidSignatureError),
        ({"keys": pem("P-256"), "algorithms": ("ES256",)}, {}, {}, AlgorithmNotAllowedError),
        ({"algorithms": ("PS256",)}, {"algorithms": ("RS256", "PS256")}, {}, AlgorithmNotAllowedError),
        ({"audience": ("https://other.example",)}, {}, {}, InvalidAudienceError),
        ({"audience": ()}, {}, {}, InvalidAudienceError),
        ({"issuer": "other"}, {}, {}, InvalidIssuerError),
        ({"required": ("sub", "jti")}, {}, {}, MissingRequiredClaimError),
        ({"keys": jwks(a="rsa-other")}, {}, {"kid": "a"}, InvalidSignatureError),
        ({"keys": jwks(b="rsa")}, {}, {"kid": "a"}, UnknownKeyError),
        ({"keys": jwks(b="rsa")}, {}, {}, UnknownKeyError),
        ({"keys": jwks(b="rsa")}, {"key": jwks(a="rsa", b="rsa")}, {"kid": "a"}, UnknownKeyError),
        (
            {"keys": jwks(a="Ed448", b="rsa"), "algorithms": ("RS256", "EdDSA")},
            {"key": jwks(a="Ed448"), "algorithms": ("EdDSA",)},
            {"kid": "a", "key": "Ed448", "alg": "EdDSA"},
            UnknownKeyError,
        ),
    ],
)
def test_what_the_rules_refuse_is_refused_in_every_way(rules, odd, checks, settings, token, error):
    ways = Ways(rules(**checks), verifier(**settings))
    assert_one_verdict(ways, made(CLAIMS, odd, **token), error)
    assert not ways.sent
    with (
        PolicyBridge(OpaEngine(ways.url, ways.rule_set), verifier=ways.verifier) as bridge,
        pytest.raises(error, match=r"the rules on OPA verify tokens too, and refuse this one: .*install them again"),
    ):
        bridge.check(made(CLAIMS, odd, **token), "devices", DEVICE)


@pytest.mark.parametrize("odd", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize(
    ("checks", "settings", "token"),
    [
        ({}, {}, {}),
        ({}, {}, {"kid": "any", "typ": "at+jwt"}),
        ({"audience": ("x", AUDIENCE)}, {"audience": (AUDIENCE, "y")}, {}),
        ({"issuer": None, "required": ("sub",)}, {"required": ("iss",)}, {}),
        ({"algorithms": ("RS256", "PS256")}, {"algorithms": ("PS256",)}, {"alg": "PS256"}),
        ({"keys": jwks(a="rsa", b="rsa-other")}, {}, {"kid": "a"}),
        ({"keys": jwks(a="rsa", b="rsa-other")}, {"key": jwks(b="rsa-other")}, {"kid": "b", "key": "rsa-other"}),
    ],
)
def test_what_both_accept_is_decided_in_every_way(rules, odd, checks, settings, token):
    ways = Ways(rules(**checks), verifier(**settings))
    assert_one_verdict(ways, made(CLAIMS, odd, **token), Reason.MATCHED)
    assert set(ways.sent) == {"claims" if odd else "token"}


def test_a_verifier_that_is_replaced_is_the_one_that_counts(rules):
    with PolicyBridge(OpaEngine(*rules()), verifier=verifier()) as bridge:
        token = made(CLAIMS | {"exp": int(time.time()) - 30})
        with pytest.raises(ExpiredTokenError):
            bridge.check(token, "devices", DEVICE)
        bridge.verifier = verifier(leeway=1_000)
        assert bridge.check(token, "devices", DEVICE).allow is True


@pytest.mark.parametrize("odd", SPELLINGS.values(), ids=SPELLINGS)
def test_a_derived_verifier_alone_decides_what_is_valid(rules, odd):
    class Lax(TokenVerifier):
        def verify(self, token):
            with contextlib.suppress(ExpiredTokenError):
                return super().verify(token)
            return CLAIMS

    ways = Ways(rules(), Lax(pem(), audience=AUDIENCE, issuer=ISSUER))
    assert_one_verdict(ways, made(CLAIMS | {"exp": NOW - HOUR}, odd), Reason.MATCHED)
    assert set(ways.sent) == {"claims"}


# --- R12.5 and R12.6, by the rules alone


def rules_reason(url, rule_set, token, resource=DEVICE):
    engine = OpaEngine(url, rule_set)
    try:
        return engine.query("decision", encode({"token": token, "type": "devices", "resource": resource}))["reason"]
    finally:
        engine.close()


REFUSED = [
    "1e400",
    "-1e400",
    "1e309",
    "1.80000000000001e308",
    "18000000000000001e292",
    "3.9e-324",
    "4e-325",
    "0.123456789012345678",
    "1" * 41,
    "-" + "9" * 60,
    "1" * 41 + ".0",
    "1" * 40 + ".5",
    "1234567890123456789e30",
    "0." + "0" * 999,
    "1" + "0" * 1_000,
    "1e999",
    "1e1000",
]
ALLOWED = [
    "0",
    "-0",
    "0.0",
    "0e999",
    "1.8e308",
    "18e307",
    "0.00000018e315",
    "-1.7976931348623157E+308",
    "4e-324",
    "40e-325",
    "12345678901234567",
    "0.12345678901234567",
    "12345678901234567e200",
    "1" * 40,
    "-" + "1" * 40,
    "1" * 40 + ".000",
    "1" * 30 + "e10",
    "1" * 39 + "0e-1",
    "1e39",
    "1e40",
    "0." + "0" * 998,
    "1" + "0" * 308,
    "100.00",
    "1e+05",
    "1E-00005",
]


@pytest.mark.parametrize("number", REFUSED)
def test_numbers_that_r12_refuses_are_refused_by_the_rules(rules, number):
    mine = rules()
    for claims, header in ((f',"x":[{number}]', "{}"), (f',"x":{{"a":{number}}}', "{}"), ("", f'{{"x":{number}}}')):
        token = spelled(claims, header)
        with pytest.raises(InvalidTokenError):
            verifier().verify(token)
        assert rules_reason(*mine, token) == "invalid_token"


@pytest.mark.parametrize("number", ALLOWED)
def test_numbers_that_r12_allows_are_allowed_by_the_rules(rules, number):
    mine = rules()
    for claims, header in ((f',"x":[{number}, "{number}"]', "{}"), (f',"x":"{"9" * 60}"', f'{{"x": {number} }}')):
        token = spelled(claims, header)
        verifier().verify(token)
        assert rules_reason(*mine, token) == "matched"
        assert rules_reason(*mine, token, OTHER) == "constraint_failed"


def spelled(claims, header):
    """A token with these texts as further members of its claims and of its header."""
    head = '{"alg":"RS256"' + ("," if header != "{}" else "") + header[1:]
    return signed(head, json.dumps(CLAIMS)[:-1] + claims + "}")


@pytest.mark.parametrize("exp", ["1e400", "1e309", "9" * 41, "9" * 60, "1" + "0" * 400])
def test_an_exp_that_is_no_number_of_r12_is_no_time_for_the_rules(rules, exp):
    """OPA 1.20.2 reads such an `exp` as infinite: the token would never expire."""
    token = signed('{"alg":"RS256"}', json.dumps(CLAIMS).replace(str(CLAIMS["exp"]), exp))
    assert rules_reason(*rules(), token) == "invalid_token"
    assert_one_verdict(Ways(rules(), verifier()), token, MalformedTokenError)


@pytest.mark.parametrize("number", ["1e39", "-1e39", "10e38", "1e20", "1e-7", "-12e-8"])
@pytest.mark.parametrize("spaces", [0, 1_000])
def test_the_size_of_claims_counts_as_in_canonical_text(rules, number, spaces):
    mine = rules()
    canonical = numbers.write(numbers.read(number))
    many = 60_000 // (len(canonical) + 1)
    claims = json.dumps(CLAIMS, separators=(",", ":"))[:-1] + ',"x":[' + ",".join([number] * many) + "],"
    size = len(claims) + many * (len(canonical) - len(number)) + len('"y":""}')
    for much, reason in ((-1, "matched"), (0, "matched"), (1, "invalid_token")):
        token = signed('{"alg":"RS256"}', claims + " " * spaces + '"y":"' + "y" * (65_536 - size + much) + '"}')
        assert rules_reason(*mine, token) == reason
        if reason == "matched":
            verifier().verify(token)
        else:
            with pytest.raises(InvalidTokenError):
                verifier().verify(token)


def test_the_rules_know_how_long_a_number_is_in_canonical_text(rules):
    digits = ("0", "1", "10", "12", "120", "12345678901234567", "1" * 40, "1" + "0" * 39)
    fractions = ("", ".0", ".5", ".50", ".000000012", ".0000000")
    exponents = ("", "e0", "e1", "e-1", "E+5", "e-7", "e-8", "e10", "e-10", "e39", "e50", "e-50", "e99", "e007", "e289")
    known = {}
    for text in map("".join, itertools.product(("", "-"), digits, fractions, exponents)):
        with contextlib.suppress(numbers.NumberError):
            known[text] = len(numbers.write(numbers.read(text)))
    query = f"x = [n | some t in {json.dumps(list(known))}; n := data.jwt_policy.token._canonical_length(t)]"
    reply = requests.post(f"{rules().url}/v1/query", json={"query": query}, timeout=60)
    assert reply.json()["result"][0]["x"] == list(known.values())
    assert len(known) > 700


def test_claims_with_many_numbers_are_not_too_long(rules):
    ways = Ways(rules(), verifier())
    for number in ("1.5", "1e99", "7", "0.1"):
        assert_one_verdict(ways, made(CLAIMS, ',"x":[' + ",".join([number] * 8_000) + "]"), Reason.MATCHED)
    assert set(ways.sent) == {"token"}
