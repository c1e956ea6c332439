"""What the mutants of the tokens showed that no test said (SEMANTICS, "Tokens"): edges, and what refusals quote."""

from __future__ import annotations

import base64
import json
import socket
import threading
from fractions import Fraction

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from requests.adapters import HTTPAdapter

from bridge.errors import AudienceRefused, InvalidSetting, MalformedToken, TokenExpired
from bridge.tokens import base64url, claims, fetch
from bridge.tokens.algorithms import SUPPORTED, KeyRefused, configured, fitting
from bridge.tokens.compact import MAX_BYTES, Compact, take_apart

# Keys and algorithms


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (ed25519.Ed25519PrivateKey.generate().public_key(), ("Ed25519", ("EdDSA",))),
        (ed448.Ed448PrivateKey.generate().public_key(), ("Ed448", ("EdDSA",))),
        (ec.generate_private_key(ec.SECP256R1()).public_key(), ("EC P-256", ("ES256",))),
        (ec.generate_private_key(ec.SECP384R1()).public_key(), ("EC P-384", ("ES384",))),
        (ec.generate_private_key(ec.SECP521R1()).public_key(), ("EC P-521", ("ES512",))),
        (
            rsa.RSAPublicNumbers(65_537, (1 << 16_383) + 1).public_key(),
            ("RSA 16384 bits", ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        ),
        (b"x" * 32, ("HMAC secret", ("HS256",))),
        (b"x" * 48, ("HMAC secret", ("HS256", "HS384"))),
        (b"x" * 64, ("HMAC secret", ("HS256", "HS384", "HS512"))),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_key_is_for_these_algorithms(key, found):
    assert fitting(key) == found


@pytest.mark.parametrize(
    ("key", "cause"),
    [
        (b"x" * 31, "an HMAC secret under 32 bytes, which is shorter than its hash"),
        (
            ec.generate_private_key(ec.SECP256K1()).public_key(),
            "an elliptic curve that no supported algorithm has: `secp256k1`",
        ),
        (5, "no key that a supported algorithm has: `int`"),
    ],
    ids=["short", "curve", "number"],
)
def test_a_key_that_is_refused_says_why(key, cause):
    with pytest.raises(KeyRefused) as refusal:
        fitting(key)
    assert str(refusal.value) == cause


def test_algorithms_are_a_sequence_of_names_each_once():
    assert configured(["RS256", "ES256", "RS256"]) == ("RS256", "ES256")
    for text in ("RS256", b"RS256"):
        with pytest.raises(InvalidSetting, match="not a bare string"):
            configured(text)
    with pytest.raises(InvalidSetting) as refusal:
        configured(["RS\n1"])
    assert str(refusal.value) == f"algorithms: `RS\\n1` is not supported, these are: {', '.join(SUPPORTED)}"
    assert (
        *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        *("ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"),
    ) == SUPPORTED


# The compact form


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def refusal_of(token):
    with pytest.raises(MalformedToken) as refusal:
        take_apart(token)
    (cause,) = refusal.value.args
    assert type(cause) is str
    return cause


@pytest.mark.parametrize(
    ("token", "cause"),
    [
        ("a" * (MAX_BYTES + 1), "the token is longer than 65,536 bytes"),
        ("a" * MAX_BYTES, "the token has 1 segment, not 3"),
        ("a.b", "the token has 2 segments, not 3"),
        ("a.b.c.d", "the token has 4 segments, not 3"),
        ("=.AA.AA", "the token's header has a character that base64url does not have"),
        ("AA.A.AA", "the token's payload has a length that base64url never has"),
        ("AA.AA.AB", "the token's signature has unused bits at the end that are not zero"),
        (
            f"{b64(b'{')}.AA.AA",
            "token header: line 1, column 2: expected a member name in double quotes, found the end of",
        ),
    ],
    ids=lambda value: value[:20],
)
def test_a_token_that_cannot_be_taken_apart_says_why(token, cause):
    assert refusal_of(token).startswith(cause)


@pytest.mark.parametrize("kid", [None, "", "a"])
def test_a_token_says_its_algorithm_its_key_and_its_payload(kid):
    header = {"alg": "none", "typ": "JWT"} | ({} if kid is None else {"kid": kid})
    assert take_apart(f"{b64(json.dumps(header).encode())}.{b64(b'pay')}.") == Compact("none", kid, b"pay")


@pytest.mark.parametrize("size", range(8))
def test_base64url_of_every_length_is_read(size):
    data = bytes(range(250, 250 + min(size, 6))) + b"\x00" * max(0, size - 6)
    assert base64url.decode(b64(data)) == data


# Claims


def test_claims_that_are_malformed_are_named_as_such():
    with pytest.raises(MalformedToken) as refusal:
        claims.read(b"{")
    assert refusal.value.args[0].startswith("claims: line 1, column 2: ")
    for payload in (json.dumps({"a": "x" * 65_536}).encode(), b'{"a":[' + b",".join([b"1e39"] * 2_000) + b"]}"):
        with pytest.raises(MalformedToken) as refusal:
            claims.read(payload)
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
    with pytest.raises(TokenExpired) as refusal:
        claims.check_time({"exp": 5}, now=5 + Fraction(ago), leeway=Fraction(0))
    assert str(refusal.value) == f"the token has expired: its `exp` was {said} ago"


@pytest.mark.parametrize(
    ("aud", "said"),
    [
        ("a", "`a`"),
        (["a", "b", "c"], "`a`, `b`, `c`"),
        (["a", "b", "c", "d"], "`a`, `b`, `c` and 1 more"),
        (["a", "b", "c", "d", "e"], "`a`, `b`, `c` and 2 more"),
        ([], "nobody that it names"),
        (["a\n"], "`a\\n`"),
    ],
)
def test_a_token_for_others_says_for_whom(aud, said):
    with pytest.raises(AudienceRefused) as refusal:
        claims.check_audience({"aud": aud}, ["me"])
    assert str(refusal.value) == f"the token is for another audience: {said}"
    with pytest.raises(AudienceRefused) as refusal:
        claims.check_audience({"aud": aud}, [])
    assert str(refusal.value) == f"the token is for {said}, and no audience is configured here"


# The fetch


def test_a_request_for_keys_has_these_headers_and_limits(monkeypatch):
    sent = {}

    def send(_, request, **settings):
        sent.update(settings, method=request.method, url=request.url, headers=dict(request.headers))
        raise fetch.FetchFailed("sent")

    monkeypatch.setattr(HTTPAdapter, "send", send)
    with pytest.raises(fetch.FetchFailed) as failure:
        fetch.get("http://127.0.0.1:9/keys?a=b", deadline=3, max_bytes=10, ca="ca.pem")
    assert failure.value.args == ("sent",)
    assert sent == {
        "method": "GET",
        "url": "http://127.0.0.1:9/keys?a=b",
        "headers": {
            "Accept": "application/jwk-set+json, application/json",
            "Accept-Encoding": "identity",
            "Connection": "close",
            "User-Agent": "jwt-policy-bridge",
        },
        "stream": True,
        "timeout": 6,
        "verify": "ca.pem",
    }


def test_a_fetch_runs_in_a_thread_that_keeps_no_process_alive(monkeypatch):
    started = {}
    thread = threading.Thread

    def made(**settings):
        started.update(settings)
        return thread(**settings)

    monkeypatch.setattr(fetch.threading, "Thread", made)
    with pytest.raises(fetch.FetchFailed):
        fetch.get("http://127.0.0.1:9/keys", deadline=3, max_bytes=10)
    assert (started["name"], started["daemon"]) == ("jwks-fetch", True)


def test_a_connection_that_comes_after_the_cut_is_shut():
    subject = fetch._Fetch("http://127.0.0.1:9/", 1, 10, None)
    subject.cut()
    near, far = socket.socketpair()
    with near, far:
        far.settimeout(5)
        subject.watch(near)
        assert far.recv(1) == b""
