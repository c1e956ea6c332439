"""Token checks of hostile settings mean in a real OPA exactly what was set."""

from __future__ import annotations

import base64
import json
from unicodedata import category

import pytest
from hostile_settings import KEY, PEM, TEXTS, WITH_OPA, near, running
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import OKPAlgorithm

from bridge.decision import Request
from bridge.rendering import RuleSet, TokenChecks
from bridge.strict_json import encode

EXPIRES = 4_102_444_800  # in 2100


@pytest.fixture(scope="module")
def server(start_opa):
    """An OPA of this file's own: these package roots would be in the way of others."""
    return start_opa().url


def token(claims):
    message = b".".join(map(_base64url, (b'{"alg":"EdDSA"}', encode(claims))))
    return encode((message + b"." + _base64url(KEY.sign(message))).decode("ascii"))


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def claims_for(rule_set):
    """Claims that pass all checks, and those that nearly do; with what must become of them."""
    checks, claim = rule_set.token, rule_set.policy.claim
    policy = {"version": 2, "devices": {"id": "a"}}
    good = {**dict.fromkeys(checks.required, 1), "exp": EXPIRES, claim: policy}
    if checks.audience:
        good["aud"] = checks.audience[-1]
    if checks.issuer is not None:
        good["iss"] = checks.issuer
    yield good, True
    yield {**good, "other": 1}, True
    for audience in checks.audience:
        yield {**good, "aud": ["other", audience]}, True
    for audience in checks.audience[:1]:
        nearly = [text for text in near(audience) if text not in checks.audience]
        yield from (({**good, "aud": text}, False) for text in nearly)
        yield {**good, "aud": nearly}, False
    if not checks.audience:
        yield {**good, "aud": "other"}, False
    if checks.issuer is not None:
        yield from (({**good, "iss": text}, False) for text in near(checks.issuer))
        yield {name: value for name, value in good.items() if name != "iss"}, False
    for number, name in enumerate(dict.fromkeys(checks.required)):
        if name not in ("exp", "aud", "iss", claim):
            without = {other: value for other, value in good.items() if other != name}
            yield without, False
            yield from (({**without, other: 1}, False) for other in near(name) if number < 4 and other not in without)


def checks_mean_exactly_that(server, rule_set):
    checks = rule_set.token
    with running(server, rule_set) as opa:
        token_document = opa.opa.query((*rule_set.package_root.split("."), "token"), b'{"input":{}}').result
        keys = token_document.pop("_keys", {})
        assert token_document == {
            "_audiences": [{"aud": text} for text in checks.audience] or [{}],
            "_issuer": {} if checks.issuer is None else {"iss": checks.issuer},
            "_required": sorted(set(checks.required)),
        }
        assert keys == {kid: {**key, "algorithms": sorted(key["algorithms"])} for kid, key in checks.split()[1].items()}
        for claims, is_good in claims_for(rule_set):
            name = rule_set.policy.claim
            opened = {other: value for other, value in claims.items() if other != name}
            requests = [presenting(token(one)) for one in (claims, opened, {**opened, name: None})]
            reasons = [decision.reason for decision in opa.decide(requests)]
            expected = ["matched", "unrestricted", "invalid_policy"] if is_good else ["invalid_token"] * 3
            assert reasons == expected, (rule_set, claims)


def presenting(text):
    return Request(claims=None, type=b'"devices"', token=text, resource=b'{"id":"a"}')


HARD_CHECKS = {
    "nothing but a key": {},
    "quotes": {"audience": ('"', "\\", "`", '\\"'), "issuer": '"\n`\\', "required": ('"]', "`", "'")},
    "a way out": {
        "audience": ('"}, {"aud": "', '"}]\n\nx := [{"'),
        "issuer": '"}\n\n_y := {"',
        "required": ('"}\n\n_z := {"',),
    },
    "templates": {
        "audience": ("{{ key }}", "{% if %}", '$"{input}"'),
        "issuer": "{# #}",
        "required": ("{{ 1 }}", "${a}"),
    },
    "control characters": {
        "audience": ("\x00", "\n", "\x7f"),
        "issuer": "\r\n\x85\x00",
        "required": ("\x1f", "\x00", "\t"),
    },
    "byte order marks": {"audience": ("\ufeff", "a\ufeff"), "issuer": "\ufeff", "required": ("\ufeffa", "a")},
    "replacement characters": {"audience": ("\ufffd",), "issuer": "\ufffd\uffff", "required": ("\ufffd", "\ufffe")},
    "astral": {"audience": ("\U00020000", "\U00010000"), "issuer": "\U0010ffff", "required": ("\U0001f600",)},
    "forms": {"audience": ("é", "ａ"), "issuer": "e\u0301", "required": ("é", "e\u0301")},  # noqa: RUF001 - full width
    "structure": {
        "audience": ("a:b,c", '{"a":1}', "[]"),
        "issuer": '{"iss":"a"}',
        "required": ("a:b", "\\u0061", "::"),
    },
    "registered": {"audience": ("exp",), "issuer": "iss", "required": ("iat", "nbf_", "sub", "Exp", "items")},
    "twice": {"audience": ("a", "a"), "issuer": "a", "required": ("b", "b")},
    "long": {"audience": ("a" * 10_000,), "issuer": "b" * 10_000, "required": ("c" * 10_000,)},
    "many": {"audience": tuple(f"a{n}" for n in range(20)), "required": tuple(f"r{n}" for n in range(50))},
}


@pytest.mark.parametrize("hard", HARD_CHECKS.values(), ids=HARD_CHECKS)
def test_hard_token_checks_mean_exactly_what_they_say(server, hard):
    checks_mean_exactly_that(server, RuleSet(token=TokenChecks(PEM, ("EdDSA",), **hard)))


def test_key_ids_are_only_names(server):
    jwk = OKPAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
    kids = (
        "items",
        "",
        "a",
        "\x00",
        '"}\n\nallow := true\n',
        "{{ key }}",
        "\ufeff",
        "\ufffd",
        "\U00020000",
        "`",
        "x" * 999,
    )
    jwks = json.dumps({"keys": [{**jwk, "kid": kid} for kid in kids]})
    rule_set = RuleSet(token=TokenChecks(jwks, ("EdDSA",)))
    with running(server, rule_set) as opa:
        keys = opa.opa.query(("jwt_policy", "token"), b'{"input":{}}').result["_keys"]
        assert keys.keys() == set(kids)
        for kid, is_good in [
            *((kid, True) for kid in kids),
            *((kid, False) for kid in near("a") if kid not in kids),
            (0, False),
            (None, False),
        ]:
            head = _base64url(encode({"alg": "EdDSA", "kid": kid}))
            message = head + b"." + _base64url(encode({"exp": EXPIRES}))
            text = encode((message + b"." + _base64url(KEY.sign(message))).decode("ascii"))
            reason = opa.decide([presenting(text)])[0].reason
            assert reason == ("unrestricted" if is_good else "invalid_token"), kid


def test_hostile_token_checks_mean_exactly_what_they_say(server):
    texts = TEXTS.map(lambda text: "".join(char for char in text if category(char) != "Cs")).filter(bool)

    @WITH_OPA
    @given(
        audience=st.lists(texts, max_size=3).map(tuple),
        issuer=st.none() | texts,
        required=st.lists(texts, max_size=3).map(tuple),
    )
    def ask(audience, issuer, required):
        checks_mean_exactly_that(server, RuleSet(token=TokenChecks(PEM, ("EdDSA",), audience, issuer, required)))

    ask()
