"""Whether a token that was verified holds for others too: without leeway, a while from now, by a clock that differs."""

from __future__ import annotations

from decimal import Decimal

import jwt
import pytest

from bridge import ExpiredTokenError, StaticKey, TokenVerifier
from bridge.errors import InvalidAudienceError

NOW = 1_700_000_000
SECRET = bytes(range(64))


def made(**claims):
    return jwt.encode({"exp": NOW + 1_000, **claims}, SECRET, "HS256")


def subject(leeway=0, now=NOW):
    clock = [now]
    verifier = TokenVerifier(
        StaticKey.from_secret(SECRET), algorithms=("HS256",), leeway=leeway, clock=lambda: clock[0], cache=7
    )
    return verifier, clock


@pytest.mark.parametrize(
    ("claims", "leeway", "seconds", "outlasts"),
    [
        ({"exp": NOW + 31}, 0, 30, True),
        ({"exp": NOW + 30}, 0, 30, False),
        ({"exp": NOW + 30.5}, 0, 30, True),
        ({"exp": NOW + 30.5}, 0, 30.5, False),
        ({"exp": NOW + 0.1}, 0, 0.1, False),
        ({"exp": NOW + 1}, 0, 0, True),
        ({"exp": NOW}, 10, 0, False),
        ({"exp": NOW + 41}, 10, 30, True),
        ({"exp": NOW + 40}, 10, 30, False),
        ({"nbf": NOW}, 0, 30, True),
        ({"iat": NOW}, 0, 30, True),
        ({"nbf": NOW + 1}, 10, 30, False),
        ({"iat": NOW + 1}, 10, 30, False),
        ({"nbf": NOW - 9}, 10, 30, False),
        ({"iat": NOW - 9}, 10, 30, False),
        ({"iat": NOW - 10, "nbf": NOW - 10}, 10, 30, True),
        ({"iat": NOW - 10, "nbf": NOW - 9}, 10, 30, False),
        ({"iat": NOW - 0.5}, Decimal("0.5"), 30, True),
        ({"iat": NOW - 0.25}, Decimal("0.5"), 30, False),
    ],
)
def test_a_token_outlasts_a_call_at_both_ends(claims, leeway, seconds, outlasts):
    verifier, _ = subject(leeway)
    assert verifier.outlasts(verifier.verified(made(**claims)), seconds) is outlasts


def test_the_time_is_looked_at_anew():
    verifier, clock = subject()
    verified = verifier.verified(made())
    assert verifier.outlasts(verified, 30)
    clock[0] += 980
    assert verifier.verified(made()) is verified
    assert not verifier.outlasts(verified, 30)


def test_both_ends_are_counted_from_one_moment():
    times = iter([NOW, NOW, NOW + 1_000, NOW + 1_000])
    verifier = TokenVerifier(StaticKey.from_secret(SECRET), algorithms=("HS256",), clock=lambda: next(times))
    assert verifier.outlasts(verifier.verified(made()), 30)


def test_another_verifier_has_the_clock_and_the_leeway_and_demands_of_its_own():
    third = Decimal(1) / 3
    verifier, clock = subject(third)
    other = verifier.derive(verifier.source, algorithms=("HS256",), audience=("a", "b"), issuer="i", required=("sub",))
    assert (other.leeway, other.audience, other.issuer, other.required) == (verifier.leeway, ("a", "b"), "i", ("sub",))
    assert other._cache.max_tokens == verifier._cache.max_tokens == 7
    token = made(aud="b", iss="i", sub="s")
    other.verify(token)
    with pytest.raises(InvalidAudienceError):
        verifier.verify(token)
    with pytest.raises(InvalidAudienceError):
        verifier.derive(verifier.source, algorithms=("HS256",), audience=(), issuer=None, required=()).verify(token)
    clock[0] += 2_000
    with pytest.raises(ExpiredTokenError):
        other.verify(token)
