"""Verified tokens are kept, and that changes no answer."""

import base64
import copy
import json
import os
import pickle
import threading
from dataclasses import FrozenInstanceError
from decimal import Decimal

import jwt
import pytest
from clocks import Clock

from bridge import PolicyBridge, ReferenceEngine
from bridge.errors import (
    ConfigurationError,
    ExpiredTokenError,
    ImmatureTokenError,
    InvalidAudienceError,
    InvalidSignatureError,
    InvalidTokenError,
    KeysUnavailableError,
    MissingRequiredClaimError,
    UnknownKeyError,
    UsageError,
)
from bridge.tokens import JwksFile, StaticKey, TokenVerifier, cache
from bridge.tokens import verifier as verifier_module

NOW = 1_700_000_000
CLAIMS = {"sub": "a", "exp": NOW + 60, "list": [1, {"n": 1.5}]}
SECRET, OTHER = bytes(range(64)), bytes(range(64, 128))


@pytest.fixture
def clock():
    return Clock(NOW)


@pytest.fixture
def checked(monkeypatch):
    """The signatures that are checked."""
    tokens = []
    decode = jwt.PyJWS.decode_complete

    def decode_noted(self, token, *args, **settings):
        tokens.append(token)
        return decode(self, token, *args, **settings)

    monkeypatch.setattr(jwt.PyJWS, "decode_complete", decode_noted)
    return tokens


def made(claims=CLAIMS, secret=SECRET, **header):
    return jwt.PyJWS().encode(json.dumps(claims).encode(), secret, "HS256", headers={"typ": None, **header})


def subject(clock, source=None, **settings):
    return TokenVerifier(source or StaticKey.from_secret(SECRET), algorithms=("HS256",), clock=clock, **settings)


def kept(verifier):
    return list(verifier._cache._entries.tokens)


def test_a_signature_is_checked_once(clock, checked):
    verifier = subject(clock)
    token, other = made(), made({"exp": NOW + 1})
    for _ in range(3):
        assert verifier.verify(token) == CLAIMS
        assert verifier.verify(other) == {"exp": NOW + 1}
    assert checked == [token, other]
    for _ in range(3):
        subject(clock, cache=0).verify(token)
    assert len(checked) == 5


def test_a_token_is_taken_apart_once(clock, monkeypatch):
    taken = []
    parse_compact = verifier_module.parse_compact
    monkeypatch.setattr(verifier_module, "parse_compact", lambda token: taken.append(token) or parse_compact(token))
    verifier, token = subject(clock), made()
    for _ in range(2):
        assert verifier.verify(token) == CLAIMS
        assert taken == [token]


def test_the_whole_text_is_looked_at(clock):
    verifier = subject(clock)
    token = made()
    verifier.verify(token)
    head, payload, _ = token.split(".")
    wrong = base64.urlsafe_b64encode(bytes(32)).rstrip(b"=").decode()
    for text in (f"{head}.{payload}.{wrong}", f"{head}.{payload}.", made(secret=OTHER)):
        with pytest.raises(InvalidSignatureError):
            verifier.verify(text)
    with pytest.raises(InvalidTokenError):
        verifier.verify(token + " ")

    class Text(str):
        __slots__ = ()

    with pytest.raises(UsageError):
        verifier.verify(Text(token))
    with pytest.raises(UsageError):
        verifier.verify(token.encode())
    assert kept(verifier) == [token]


@pytest.mark.parametrize("leeway", [0, Decimal("1.5")])
def test_the_time_is_looked_at_each_time(clock, checked, leeway):
    verifier = subject(clock, leeway=leeway)
    token = made({"exp": NOW + 60, "nbf": NOW - 10, "iat": NOW - 20})
    verifier.verify(token)
    for now, error in [
        (NOW + Decimal("59.999") + leeway, None),
        (NOW + 60 + leeway, ExpiredTokenError),
        (NOW + 10_000, ExpiredTokenError),
        (NOW - 10 - leeway, None),
        (NOW - Decimal("10.001") - leeway, ImmatureTokenError),
        (NOW - 19 - leeway, ImmatureTokenError),
        (NOW, None),
        (float("nan"), UsageError),
    ]:
        clock.now = now
        for each in (verifier, subject(clock, leeway=leeway, cache=0)):
            if error is None:
                assert each.verify(token)["exp"] == NOW + 60
            else:
                with pytest.raises(error):
                    each.verify(token)
    assert len(checked) == 1 + 8


def write(path, *secrets):
    keys = [
        {"kty": "oct", "kid": kid, "k": base64.urlsafe_b64encode(secret).rstrip(b"=").decode()}
        for kid, secret in secrets
    ]
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"keys": keys}))
    new.replace(path)


def test_a_key_that_is_gone_ends_its_tokens_at_once(clock, checked, tmp_path):
    path = tmp_path / "keys.json"
    write(path, ("a", SECRET), ("b", OTHER))
    verifier = subject(clock, JwksFile(path))
    token, other = made(kid="a"), made(kid="b", secret=OTHER)
    assert [verifier.verify(text) for text in (token, other, token, other)] == [CLAIMS] * 4
    assert len(checked) == 2
    write(path, ("b", OTHER))
    with pytest.raises(UnknownKeyError):
        verifier.verify(token)
    assert verifier.verify(other) == CLAIMS
    assert len(checked) == 3, "the set is another one, so every signature is checked again"
    write(path, ("a", OTHER), ("b", OTHER))
    with pytest.raises(InvalidSignatureError):
        verifier.verify(token)
    path.write_text("{}")
    with pytest.raises(KeysUnavailableError):
        verifier.verify(token)
    write(path, ("a", SECRET))
    assert verifier.verify(token) == CLAIMS


def test_a_source_is_asked_as_often_as_without_a_cache(clock):
    class Counting:
        def __init__(self):
            self.key = StaticKey.from_secret(SECRET).key
            self.key_ids = []

        def check(self, algorithms):
            pass

        def key_for(self, kid):
            self.key_ids.append(kid)
            return self.key

    source = Counting()
    verifier = subject(clock, source)
    for _ in range(3):
        verifier.verify(made(kid="x"))
    source.key = StaticKey.from_secret(SECRET).key
    verifier.verify(made(kid="x"))
    assert source.key_ids == ["x"] * 4
    source.key = None
    with pytest.raises(UsageError, match="something else than a `VerificationKey`"):
        verifier.verify(made(kid="x"))


def test_claims_are_the_callers_own(clock):
    verifier = subject(clock)
    token = made()
    for _ in range(3):
        claims = verifier.verify(token)
        assert claims == CLAIMS
        claims["list"][1]["n"] = 2
        claims["list"].append("more")
        claims["policy"] = {"version": 2}
    with pytest.raises(TypeError):
        verifier.verified(token).times["exp"] = NOW * 2


def test_what_is_kept_cannot_be_changed_and_shows_no_token(clock):
    token = made()
    verified = subject(clock).verified(token)
    for name in ("token", "text", "times", "kid", "key"):
        with pytest.raises(FrozenInstanceError):
            setattr(verified, name, None)
    assert "sub" in verified.claims
    assert not any(part in repr(verified) for part in (*token.split("."), "sub"))


def test_kept_claims_are_those_of_the_token_exactly(clock):
    numbers = "[1.50,1e2,-0,0.1e-7,9007199254740993]"
    payload = f'{{"exp":{NOW + 9}.0,"n":{numbers},"s":"\\u00e9\\ud840\\udc00","":{{"b":1,"a":2}}}}'
    token = jwt.PyJWS().encode(payload.encode(), SECRET, "HS256")
    verifier = subject(clock)
    plain = subject(clock, cache=0).verify(token)
    for _ in range(2):
        claims = verifier.verify(token)
        assert repr(claims) == repr(plain)
    assert claims["n"] == [Decimal("1.5"), 100, 0, Decimal("1e-8"), 9007199254740993]


def test_what_is_refused_is_not_kept(clock):
    verifier = subject(clock, required=("sub",))
    for claims, error in [
        ({**CLAIMS, "exp": NOW}, ExpiredTokenError),
        ({**CLAIMS, "nbf": NOW + 1}, ImmatureTokenError),
        ({**CLAIMS, "aud": "x"}, InvalidAudienceError),
        ({"exp": NOW + 1}, MissingRequiredClaimError),
        ([], InvalidTokenError),
    ]:
        with pytest.raises(error):
            verifier.verify(made(claims))
    with pytest.raises(InvalidSignatureError):
        verifier.verify(made(secret=OTHER))
    assert kept(verifier) == []


def test_those_used_longest_ago_go_first(clock, checked):
    verifier = subject(clock, cache=2)
    first, second, third = (made({"exp": NOW + n}) for n in (1, 2, 3))
    for token in (first, second, first, third):
        verifier.verify(token)
    assert kept(verifier) == [first, third]
    assert checked == [first, second, third]
    verifier.verify(second)
    assert kept(verifier) == [third, second]


def test_how_many_bytes_are_kept(clock):
    assert cache.MAX_BYTES == 16_777_216
    verified = subject(clock).verified(made())
    assert verified.size == len(verified.token) + len(verified.text) + 1000


def test_their_bytes_are_bounded(clock, monkeypatch):
    monkeypatch.setattr(cache, "MAX_BYTES", 300_000)
    verifier = subject(clock)
    for n in range(20):
        verifier.verify(made({"exp": NOW + 1, "n": n, "x": "x" * 40_000}))
    tokens = verifier._cache._entries.tokens
    assert len(tokens) == 3
    assert verifier._cache._entries.size == sum(each.size for each in tokens.values()) <= 300_000
    verifier.verify(made({"exp": NOW + 1, "n": 19, "x": "x" * 40_000}))
    assert verifier._cache._entries.size == sum(each.size for each in tokens.values())


def test_as_many_bytes_as_the_bound_are_kept(clock, monkeypatch):
    verifier = subject(clock)
    tokens = [made({"exp": NOW + n}) for n in (1, 2)]
    size = sum(verifier.verified(token).size for token in tokens)
    for most, left in ((size, tokens), (size - 1, tokens[1:])):
        monkeypatch.setattr(cache, "MAX_BYTES", most)
        bounded = subject(clock)
        for token in tokens:
            bounded.verify(token)
        assert kept(bounded) == left


def test_a_kept_token_counts_for_more_than_its_texts(clock):
    token = made()
    verified = subject(clock).verified(token)
    assert verified.size >= len(token) + len(verified.text) + 500, "objects of their own, and a place in a dict"


@pytest.mark.parametrize("further", [-1, 1])
def test_another_process_begins_anew_whatever_its_number(clock, monkeypatch, further):
    verifier = subject(clock)
    verifier.verify(made())
    number = os.getpid() + further
    monkeypatch.setattr(os, "getpid", lambda: number)
    assert verifier._cache.find(made()) is None
    verifier.verify(made())
    assert verifier._cache.find(made()) is not None


def test_whether_opa_reads_the_token_alike_is_told(clock):
    verifier = subject(clock)
    assert verifier.verified(made()).may_be_sent_raw is True
    assert verifier.verified(made(more="x")).may_be_sent_raw is False


def test_the_largest_token_fits_in_by_default(clock, checked):
    verifier = subject(clock)
    token = made({"exp": NOW + 1, "x": "x" * 49_000})
    for _ in range(2):
        verifier.verify(token)
    assert checked == [token]


@pytest.mark.parametrize("cache", [-1, True, None, 1.5, "9"])
def test_sizes_that_cannot_be(clock, cache):
    with pytest.raises(ConfigurationError, match=r"^cache: "):
        subject(clock, cache=cache)


def test_many_threads_at_once(clock):
    verifier = subject(clock, cache=3)
    tokens = {made({"exp": NOW + n}): {"exp": NOW + n} for n in range(1, 8)}
    wrong = []
    start = threading.Barrier(6)

    def work():
        start.wait()
        wrong.extend(token for _ in range(60) for token, claims in tokens.items() if verifier.verify(token) != claims)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(kept(verifier)) == 3
    assert verifier._cache._entries.size == sum(each.size for each in verifier._cache._entries.tokens.values())


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")  # Python 3.12 warns of the very case
def test_a_fork_while_a_thread_is_at_the_tokens(clock):
    verifier = subject(clock)
    token = made()
    verifier.verify(token)
    with verifier._cache._entries.lock:
        child = os.fork()
        if child == 0:
            watchdog = threading.Timer(20, os._exit, (9,))
            watchdog.daemon = True
            watchdog.start()
            fine = False
            try:
                fine = kept(verifier) == [token] and verifier.verify(token) == CLAIMS
            finally:
                os._exit(0 if fine else 1)  # whatever happens: the child must not go on as a second run of the tests
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert verifier.verify(token) == CLAIMS


def test_tokens_are_neither_shown_nor_copied(clock):
    verifier = subject(clock)
    token = made()
    verified = verifier.verified(token)
    assert token not in repr(verifier) + repr(verifier._cache) + repr(verified)
    for twin in (copy.deepcopy(verifier._cache), pickle.loads(pickle.dumps(verifier._cache))):
        assert twin.find(token) is None
        assert twin.max_tokens == 1_024


def test_a_bridge_asks_with_the_claims_that_are_kept(clock, checked):
    token = made({"exp": NOW + 1, "policy": {"version": 2, "devices": {"id": "d1"}}})
    with PolicyBridge(ReferenceEngine(), verifier=subject(clock)) as bridge:
        for _ in range(3):
            assert bridge.check(token, "devices", {"id": "d1"})
            assert not bridge.check(token, "devices", {"id": "d2"})
        assert checked == [token]
        clock.now += 1
        with pytest.raises(ExpiredTokenError):
            bridge.check(token, "devices", {"id": "d1"})


def test_a_bridge_hears_what_a_derived_verifier_demands(clock):
    class Revoking(TokenVerifier):
        revoked = False

        def verify(self, token):
            if self.revoked:
                raise InvalidTokenError("revoked")
            return super().verify(token)

    verifier = Revoking(StaticKey.from_secret(SECRET), algorithms=("HS256",), clock=clock)
    with PolicyBridge(ReferenceEngine(), verifier=verifier) as bridge:
        assert bridge.check(made(), "devices", {"id": "d1"})
        Revoking.revoked = True
        with pytest.raises(InvalidTokenError, match="revoked"):
            bridge.check(made(), "devices", {"id": "d1"})
