"""The claims of a token: the order of the questions, time, audience, issuer and what is required."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction

import pytest
from token_making import CLAIMS, EXP, NOW, SourceThatMustNotBeAsked, b64, in_set, jwk_of, made, pem, verifier

from bridge.errors import (
    AlgorithmNotAllowedError,
    ConfigurationError,
    ExpiredTokenError,
    ImmatureTokenError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    MalformedTokenError,
    MissingRequiredClaimError,
    UnknownKeyError,
    UsageError,
)
from bridge.tokens import TokenVerifier, claims

# The order of the questions


def test_claims_are_not_read_before_the_signature_is_right():
    head, _, signature = made().split(".")
    for text in ("no JSON", json.dumps({"exp": 0}), json.dumps({}), json.dumps({**CLAIMS, "aud": "x"})):
        with pytest.raises(InvalidSignatureError):
            verifier().verify(f"{head}.{b64(text)}.{signature}")


def test_the_algorithm_is_asked_before_the_key_and_the_key_before_the_signature():
    with pytest.raises(AlgorithmNotAllowedError):
        verifier(SourceThatMustNotBeAsked()).verify(made(alg="PS256"))
    with pytest.raises(UnknownKeyError):
        in_set(jwk_of("rsa", "a")).verify(made(key="rsa-other", kid="b"))


def test_of_several_faults_the_first_in_order_is_told():
    subject = verifier(audience="me", issuer="them", required=("sub",))
    assert subject.verify(made({"exp": NOW + 1, "aud": "me", "iss": "them", "sub": 1}))
    with pytest.raises(ExpiredTokenError):
        subject.verify(made({"exp": NOW, "aud": "you", "iss": "others"}))
    with pytest.raises(InvalidAudienceError):
        subject.verify(made({"exp": NOW + 1, "aud": "you", "iss": "others"}))
    with pytest.raises(InvalidIssuerError):
        subject.verify(made({"exp": NOW + 1, "aud": "me", "iss": "others"}))
    with pytest.raises(MissingRequiredClaimError, match="`sub`"):
        subject.verify(made({"exp": NOW + 1, "aud": "me", "iss": "them"}))


# Time


@pytest.mark.parametrize(
    ("exp", "now", "leeway", "good"),
    [
        ("1000", 999, 0, True),
        ("1000", 999.9999, 0, True),
        ("1000", 1000, 0, False),
        ("1000", 1001, 0, False),
        ("1000.5", 1000.25, 0, True),
        ("1000.5", 1000.5, 0, False),
        ("1e3", 999, 0, True),
        ("1e3", 1000, 0, False),
        ("1000", 1004, 5, True),
        ("1000", 1005, 5, False),
        ("1000", 1000.05, 0.1, True),
        ("1000", 1000.125, Decimal("0.125"), False),
        ("9007199254740993", 9007199254740992, 0, True),
        ("9007199254740993", 9007199254740993, 0, False),
        ("9007199254740992", 9007199254740992.0, 0, False),
        ("1e300", 1000, 0, True),
        ("1.8e308", 1000, 0, True),
        ("-1e300", 1000, 0, False),
        ("4e-324", 0, 0, True),
        ("4e-324", 1, 0, False),
        ("0", 0, 0, False),
        ("0", -1, 0, True),
        ("-0", 0, 0, False),
        ("1e39", 1e300, 0, False),
    ],
)
def test_exp(exp, now, leeway, good):
    subject = verifier(clock=lambda: now, leeway=leeway)
    token = made(f'{{"exp":{exp}}}')
    if good:
        assert subject.verify(token)
    else:
        with pytest.raises(ExpiredTokenError):
            subject.verify(token)


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize(
    ("value", "now", "leeway", "good"),
    [
        ("1000", 1000, 0, True),
        ("1000", 999.9999, 0, False),
        ("1000.5", 1000.5, 0, True),
        ("1000.5", 1000.25, 0, False),
        ("1005", 1000, 5, True),
        ("1005.0625", 1000, 5, False),
        ("9007199254740993", 9007199254740992, 0, False),
        ("9007199254740993", 9007199254740993, 0, True),
        ("1e300", 1000, 0, False),
        ("-1e300", 1000, 0, True),
        ("0", 0, 0, True),
    ],
)
def test_nbf_and_iat(name, value, now, leeway, good):
    subject = verifier(clock=lambda: now, leeway=leeway)
    token = made(f'{{"exp":1.8e308,"{name}":{value}}}')
    if good:
        assert subject.verify(token)
    else:
        with pytest.raises(ImmatureTokenError, match=name):
            subject.verify(token)


def test_exp_must_be_there_the_others_need_not():
    assert verifier().verify(made({"exp": NOW + 1}))
    with pytest.raises(MissingRequiredClaimError, match="`exp`"):
        verifier().verify(made({"sub": "x", "nbf": 1, "iat": 1}))


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", [f'"{NOW}"', '""', "true", "false", "null", "[]", f"[{NOW}]", "{}"])
def test_times_are_numbers(name, value):
    claims = f'{{{EXP},"{name}":{value}}}' if name != "exp" else f'{{"exp":{value}}}'
    with pytest.raises(MalformedTokenError, match=name):
        verifier().verify(made(claims))


def test_a_malformed_time_is_told_even_if_the_token_has_expired():
    with pytest.raises(MalformedTokenError, match="iat"):
        verifier().verify(made({"exp": 1, "iat": "x"}))


@pytest.mark.parametrize("leeway", [-1, -0.001, True, False, "5", None, float("nan"), float("inf"), Decimal("NaN"), 1j])
def test_leeways_that_cannot_be(leeway):
    with pytest.raises(ConfigurationError, match="leeway"):
        verifier(leeway=leeway)


@pytest.mark.parametrize("now", [float("nan"), float("inf"), float("-inf"), None, "5x"])
def test_a_clock_that_tells_no_time_lets_nobody_in(now):
    with pytest.raises(UsageError, match="clock"):
        verifier(clock=lambda: now).verify(made({"exp": 1.5e300}))


def test_the_default_clock_is_the_real_one():
    subject = TokenVerifier(pem("rsa"))
    assert subject.verify(made({"exp": 1e12}))
    with pytest.raises(ExpiredTokenError):
        subject.verify(made({"exp": NOW}))
    with pytest.raises(ImmatureTokenError):
        subject.verify(made({"exp": 1e12, "iat": 1e11}))


# Audience, issuer, further claims


@pytest.mark.parametrize(
    ("wanted", "aud", "error"),
    [
        ("a", "a", None),
        ("a", ["a"], None),
        ("a", ["b", "a"], None),
        (("a", "b"), "b", None),
        (("a", "b"), ["c", "b"], None),
        (["a"], "a", None),
        ("a", "b", InvalidAudienceError),
        ("a", "A", InvalidAudienceError),
        ("a", "a ", InvalidAudienceError),
        ("a", "", InvalidAudienceError),
        ("ab", "a", InvalidAudienceError),
        ("a", "ab", InvalidAudienceError),
        ("a", [], InvalidAudienceError),
        ("a", ["b"], InvalidAudienceError),
        ("a", ["ab", ""], InvalidAudienceError),
        ("a", None, MalformedTokenError),
        ("a", 5, MalformedTokenError),
        ("a", True, MalformedTokenError),
        ("a", {"a": "a"}, MalformedTokenError),
        ("a", ["a", 5], MalformedTokenError),
        ("a", ["a", None], MalformedTokenError),
        ("a", [["a"]], MalformedTokenError),
    ],
)
def test_audience(wanted, aud, error):
    subject = verifier(audience=wanted)
    token = made({**CLAIMS, "aud": aud})
    if error is None:
        assert subject.verify(token)["aud"] == aud
    else:
        with pytest.raises(error):
            subject.verify(token)


def test_audience_is_wanted_and_absent():
    with pytest.raises(MissingRequiredClaimError, match="`aud`"):
        verifier(audience="a").verify(made())


@pytest.mark.parametrize("aud", ["a", "", [], ["a"], None, 5])
def test_no_audience_is_configured_so_none_must_be_there(aud):
    assert verifier().verify(made()) == CLAIMS
    with pytest.raises(InvalidAudienceError):
        verifier().verify(made({**CLAIMS, "aud": aud}))


@pytest.mark.parametrize("audience", ["", (), [], ("a", ""), ("a", None), 5, b"a", (b"a",)])
def test_audiences_that_cannot_be_configured(audience):
    with pytest.raises(ConfigurationError, match="audience"):
        verifier(audience=audience)


def test_issuer():
    subject = verifier(issuer="key-1")
    assert subject.verify(made({**CLAIMS, "iss": "key-1"}))
    with pytest.raises(MissingRequiredClaimError, match="`iss`"):
        subject.verify(made())
    for wrong in ("key-2", "KEY-1", "key-1 ", "", "key-10"):
        with pytest.raises(InvalidIssuerError):
            subject.verify(made({**CLAIMS, "iss": wrong}))
    for wrong in (None, 5, ["key-1"], {"key-1": 1}, True):
        with pytest.raises(MalformedTokenError, match="`iss`"):
            subject.verify(made({**CLAIMS, "iss": wrong}))
    for any_value in ("key-2", None, 5):
        assert verifier().verify(made({**CLAIMS, "iss": any_value}))


@pytest.mark.parametrize("issuer", ["", 5, b"a", ("a",)])
def test_issuers_that_cannot_be_configured(issuer):
    with pytest.raises(ConfigurationError, match="issuer"):
        verifier(issuer=issuer)


def test_required_claims():
    subject = verifier(required=("sub", "iat"))
    assert subject.verify(made({**CLAIMS, "iat": 1}))
    for value in (None, "", 0, False, []):
        assert subject.verify(made({**CLAIMS, "iat": 1, "sub": value}))
    with pytest.raises(MissingRequiredClaimError, match="`iat`"):
        subject.verify(made())
    with pytest.raises(MissingRequiredClaimError, match="`sub`"):
        subject.verify(made({"exp": NOW + 1, "iat": 1}))


@pytest.mark.parametrize("required", ["sub", b"sub", ("",), (5,), 5, None])
def test_required_claims_that_cannot_be_configured(required):
    with pytest.raises(ConfigurationError, match="required"):
        verifier(required=required)


def test_a_clock_must_be_a_function():
    with pytest.raises(ConfigurationError, match="clock"):
        verifier(clock=NOW)


# The service of the seed


def test_the_settings_of_the_service_that_the_seed_describes():
    subject = verifier(audience="https://cobrowse.io", issuer="license", required=("sub", "iat"))
    claims = {
        "iat": NOW,
        "exp": NOW + 600,
        "aud": "https://cobrowse.io",
        "iss": "license",
        "sub": "agent@example.com",
        "policy": {"version": 2, "devices": {}},
    }
    assert subject.verify(made(claims)) == claims


# What an error says of a claim


def test_claims_that_are_malformed_are_named_as_such():
    with pytest.raises(MalformedTokenError) as refusal:
        claims.read_claims(b"{")
    assert refusal.value.args[0].startswith("claims: line 1, column 2: ")
    for payload in (json.dumps({"a": "x" * 65_536}).encode(), b'{"a":[' + b",".join([b"1e39"] * 2_000) + b"]}"):
        with pytest.raises(MalformedTokenError) as refusal:
            claims.read_claims(payload)
        (cause,) = refusal.value.args
        assert cause.startswith("claims: ")
        assert cause.endswith("longer than 65,536 bytes in canonical text (R12.6)")


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (0, "0 seconds"),
        (Fraction(1, 2), "1 second"),
        (1, "1 second"),
        (Fraction(3, 2), "2 seconds"),
        (10**12, "1,000,000,000,000 seconds"),
        (10**12 + 1, "more than 1,000,000,000,000 seconds"),
    ],
)
def test_an_expired_token_says_for_how_long_it_has_been(ago, said):
    with pytest.raises(ExpiredTokenError) as refusal:
        claims.check_time({"exp": 5}, now=5 + Fraction(ago), leeway=Fraction(0))
    assert str(refusal.value) == f"the token has expired: its `exp` was {said} ago; get a new one"


@pytest.mark.parametrize(
    ("aud", "said"),
    [
        ("a", "`a`"),
        (["a", "b", "c"], "`a`, `b`, `c`"),
        (["a", "b", "c", "d"], "`a`, `b`, `c` and 1 more"),
        (["a", "b", "c", "d", "e"], "`a`, `b`, `c` and 2 more"),
        ([], "no named audience"),
        (["a\n"], "`a\\n`"),
    ],
)
def test_a_token_for_others_says_for_whom(aud, said):
    with pytest.raises(InvalidAudienceError) as refusal:
        claims.check_audience({"aud": aud}, ["me"])
    assert str(refusal.value) == f"the token is for another audience: {said}; if it is for this service, set `audience`"
    with pytest.raises(InvalidAudienceError) as refusal:
        claims.check_audience({"aud": aud}, [])
    assert str(refusal.value) == f"the token is for {said}, and no audience is configured: set `audience`"
