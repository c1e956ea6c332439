"""What the mutants of the tokens showed that no test said (SEMANTICS, "Tokens"): edges, and what rejected quote."""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import io
import json
import os
import string
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace

import jwt
import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fault_server import FaultServer

from bridge import files
from bridge.errors import (
    AlgorithmNotAllowedError,
    ConfigurationError,
    ExpiredTokenError,
    InvalidAudienceError,
    InvalidSignatureError,
    KeysUnavailableError,
    MalformedTokenError,
    UnknownKeyError,
)
from bridge.tokens import (
    JwkSet,
    JwksFile,
    JwksUrl,
    StaticKey,
    TokenVerifier,
    VerificationKey,
    base64url,
    claims,
    jwk,
    jwk_set,
    jwks_file,
    jwks_url,
    jws,
    keys,
    seconds,
    wording,
    wrong_format,
)
from bridge.tokens.algorithms import SUPPORTED, SYMMETRIC, UnusableKeyError, configured, fitting
from bridge.tokens.fetch import Fetcher, FetchError
from bridge.tokens.jws import MAX_BYTES, CompactJws, parse_compact

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
        (b"x" * 31, "an HMAC secret under 32 bytes, which is shorter than its hash; give one that is longer"),
        (
            ec.generate_private_key(ec.SECP256K1()).public_key(),
            "an elliptic curve that no supported algorithm has: `secp256k1`",
        ),
        (5, "no key that a supported algorithm has: `int`"),
    ],
    ids=["short", "curve", "number"],
)
def test_a_key_that_is_refused_says_why(key, cause):
    with pytest.raises(UnusableKeyError) as refusal:
        fitting(key)
    assert str(refusal.value) == cause


def test_the_algorithms_whose_key_is_a_secret_are_these():
    assert type(SYMMETRIC) is frozenset
    assert sorted(SYMMETRIC) == ["HS256", "HS384", "HS512"]


def test_algorithms_are_a_sequence_of_names_each_once():
    assert configured(["RS256", "ES256", "RS256"]) == ("RS256", "ES256")
    for text in ("RS256", b"RS256"):
        with pytest.raises(ConfigurationError, match="not a bare string"):
            configured(text)
    with pytest.raises(ConfigurationError) as refusal:
        configured(["RS\n1"])
    assert str(refusal.value) == f"algorithms: `RS\\n1` is not supported, these are: {', '.join(SUPPORTED)}"
    assert (
        *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        *("ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"),
    ) == SUPPORTED


# The compact form


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"


def refusal_of(token):
    with pytest.raises(MalformedTokenError) as refusal:
        parse_compact(token)
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
        ("=.AA.AA", "it is no token: its first segment is no JSON object in base64url"),
        ("AA.AA.AA", "it is no token: its first segment is no JSON object in base64url"),
        (b64(b"\v{}") + ".AA.AA", "it is no token: its first segment is no JSON object in base64url"),
        ("ew=.AA.AA", "the token's header has a character that base64url does not have: `=` is padding, take it off"),
        ("e30.A.AA", "the token's payload has a length that base64url never has; is something cut off?"),
        ("e30.AA.AB", "the token's signature has unused bits at the end that are not zero; is something cut off"),
        (f"{b64(b' {}')}.AA.AA", "token header: `alg` is not there or no string"),
        (
            f"{b64(b'{')}.AA.AA",
            "token header: line 1, column 2: expected a member name in double quotes, found the end of",
        ),
    ],
    ids=lambda value: value[:20],
)
def test_a_token_that_cannot_be_taken_apart_says_why(token, cause):
    assert refusal_of(token).startswith(cause)


def test_a_text_that_begins_like_a_json_object_is_told_of_as_a_token():
    for start in (*("e" + character for character in ALPHABET), *(character + "y" for character in ALPHABET)):
        a_token = base64.urlsafe_b64decode(start + "AA").startswith(b"{")
        cause = refusal_of(f"{start}=.AA.AA")
        assert cause.startswith("the token's header has a character" if a_token else "it is no token"), start


@pytest.mark.parametrize("kid", [None, "", "a"])
def test_a_token_says_its_algorithm_its_key_and_its_payload(kid):
    header = {"alg": "none", "typ": "JWT"} | ({} if kid is None else {"kid": kid})
    assert parse_compact(f"{b64(json.dumps(header).encode())}.{b64(b'pay')}.") == CompactJws("none", kid, b"pay")


@pytest.mark.parametrize("size", range(8))
def test_base64url_of_every_length_is_read(size):
    data = bytes(range(250, 250 + min(size, 6))) + b"\x00" * max(0, size - 6)
    assert base64url.decode(b64(data)) == data


@pytest.mark.parametrize(("start", "last"), [("A", "AQgw"), ("AA", "AEIMQUYcgkosw048"), ("AAA", ALPHABET)])
def test_base64url_of_bytes_has_one_spelling(start, last):
    """RFC 4648, section 3.5: the bits that no byte takes are zero."""
    taken = []
    for end in ALPHABET:
        with contextlib.suppress(base64url.Base64urlError):
            taken.append(b64(base64url.decode(start + end)))
    assert taken == [start + end for end in ALPHABET if end in last]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("AA+A", ": `+` and `/` are of standard base64, and base64url has `-` and `_` in their place"),
        ("AA/A", ": `+` and `/` are of standard base64, and base64url has `-` and `_` in their place"),
        ("AA==", ": `=` is padding, take it off"),
        ("AA\xe9A", ", for it is not ASCII; was something copied along?"),
        ("AA$A", ""),
    ],
)
def test_a_character_that_base64url_lacks_is_told_of(text, why):
    with pytest.raises(base64url.Base64urlError) as refusal:
        base64url.decode(text)
    assert str(refusal.value) == f"a character that base64url does not have{why}"


def test_only_a_text_with_a_character_that_no_token_has_is_looked_at_for_what_it_is(monkeypatch):
    """A valid token is not searched for what it might be instead."""
    looked_at = []
    monkeypatch.setattr(jws, "instead_of_token", lambda text: looked_at.append(text) or "it is something else")
    parse_compact(".".join((b64(b'{"alg":"none"}'), ALPHABET, "")))
    with pytest.raises(MalformedTokenError, match="no token: it is something else"):
        parse_compact("a.b.c$")
    assert looked_at == ["a.b.c$"]


# Claims


def test_claims_that_are_malformed_are_named_as_such():
    with pytest.raises(MalformedTokenError) as refusal:
        claims.read(b"{")
    assert refusal.value.args[0].startswith("claims: line 1, column 2: ")
    for payload in (json.dumps({"a": "x" * 65_536}).encode(), b'{"a":[' + b",".join([b"1e39"] * 2_000) + b"]}"):
        with pytest.raises(MalformedTokenError) as refusal:
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
    with pytest.raises(ExpiredTokenError) as refusal:
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
    with pytest.raises(InvalidAudienceError) as refusal:
        claims.check_audience({"aud": aud}, ["me"])
    assert str(refusal.value) == f"the token is for another audience: {said}"
    with pytest.raises(InvalidAudienceError) as refusal:
        claims.check_audience({"aud": aud}, [])
    assert str(refusal.value) == f"the token is for {said}, and no audience is configured here"


# The fetch


def test_a_request_for_keys_has_these_headers():
    with FaultServer(lambda exchange: exchange.reply(b"keys")) as server:
        assert Fetcher(f"{server.url}/a//../keys%2f?a=b&c", deadline=5, max_bytes=10).get() == b"keys"
        [exchange] = server.exchanges
    line, *fields = exchange.head.decode().split("\r\n")
    assert line == "GET /a//../keys%2F?a=b&c HTTP/1.1"
    assert set(fields) == {
        f"Host: 127.0.0.1:{server.port}",
        "Accept: application/jwk-set+json, application/json",
        "Accept-Encoding: identity",
        "Connection: close",
        "User-Agent: jwt-policy-bridge",
    }


def test_a_fetch_of_a_host_alone():
    with FaultServer(lambda exchange: exchange.reply(b"keys")) as server:
        for url, line in ((server.url, "GET / HTTP/1.1"), (server.url + "?a", "GET /?a HTTP/1.1")):
            assert Fetcher(url, deadline=5, max_bytes=10).get() == b"keys"
            assert server.lines[-1] == line


@pytest.mark.parametrize(("size", "refused"), [(10, False), (11, True), (70_000, True)])
def test_a_body_may_be_as_long_as_its_bound(size, refused):
    with FaultServer(lambda exchange: exchange.reply(b"x" * size)) as server:
        fetcher = Fetcher(server.url, deadline=5, max_bytes=10)
        if refused:
            with pytest.raises(FetchError, match="larger than 10 bytes"):
                fetcher.get()
        else:
            assert fetcher.get() == b"x" * size


@pytest.mark.parametrize("status", ["101 Odd", "201 Created", "302 Found", "404 Not Found", "503 Unavailable"])
def test_only_status_200_brings_keys_and_a_fetch_is_tried_once(status):
    with FaultServer(lambda exchange: exchange.reply(b"", status)) as server:
        with pytest.raises(FetchError, match=f"status {status[:3]}"):
            Fetcher(server.url, deadline=5, max_bytes=10).get()
        assert len(server.exchanges) == 1


def test_a_fetch_that_breaks_is_tried_once():
    with FaultServer(lambda exchange: exchange.close()) as server:
        with pytest.raises(FetchError, match="closed before the answer"):
            Fetcher(server.url, deadline=5, max_bytes=10).get()
        assert len(server.exchanges) == 1


# JWKs


EC = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
X, Y = EC.x.to_bytes(32, "big"), EC.y.to_bytes(32, "big")


@pytest.mark.parametrize(
    ("document", "cause"),
    [
        ({"kty": "R\n"}, "its `kty` `R\\n` is not supported"),
        ({"kty": "EC", "crv": "P\n"}, "its `crv` `P\\n` is not supported"),
        ({"kty": "OKP", "crv": "P\n"}, "its `crv` `P\\n` is not supported"),
        *(
            (
                {"kty": "EC", "crv": "P-256", "x": b64(x), "y": b64(y)},
                "its `x` and `y` are not 32 bytes each",
            )
            for x, y in ((X[1:], Y), (b"\0" + X, Y), (X, Y[1:]), (X, b"\0" + Y))
        ),
        ({"kty": "OKP", "crv": "Ed25519", "x": b64(b"x" * 31)}, "its numbers are no key"),
        ({"kty": "EC", "crv": "P-256", "x": b64(Y), "y": b64(X)}, "its numbers are no key"),
        (
            {"kty": "oct", "k": "="},
            "its `k` is no base64url: a character that base64url does not have: `=` is padding, take it off",
        ),
        ({"kty": "oct", "k": "s$cret"}, "its `k` is no base64url: a character that base64url does not have"),
    ],
)
def test_a_jwk_that_is_refused_says_why(document, cause):
    with pytest.raises(UnusableKeyError) as refusal:
        jwk.key_from_jwk(document)
    assert str(refusal.value) == cause


def test_a_kind_of_key_that_openssl_lacks_is_refused(monkeypatch):
    def lacking(_):
        raise UnsupportedAlgorithm("no such curve")

    monkeypatch.setitem(jwk._READERS, "OKP", lacking)
    with pytest.raises(UnusableKeyError, match="its numbers are no key"):
        jwk.key_from_jwk({"kty": "OKP"})


def test_only_a_public_key_is_told_from_a_private_one():
    assert jwk.key_from_jwk({"kty": "oct", "k": b64(b"x" * 32), "d": "", "p": ""}).kind == "HMAC secret"
    assert jwk.key_from_jwk({"kty": "EC", "crv": "P-256", "x": b64(X), "y": b64(Y)}).kind == "EC P-256"


@pytest.mark.parametrize(
    ("document", "cause"),
    [
        ('{"keys":\n[1,]}', "the JSON is not well-formed (R12.1, line 2, column 4)"),
        ({"keys": [float("nan")]}, "the JSON is not well-formed (R12.7)"),
    ],
)
def test_a_document_that_is_malformed_says_where_and_quotes_nothing(document, cause):
    with pytest.raises(UnusableKeyError) as refusal:
        jwk.document_from(document)
    assert str(refusal.value) == cause


# Sets


def test_a_set_is_given_as_text_or_as_an_object():
    document = {"keys": [{"kty": "EC", "crv": "P-256", "x": b64(X), "y": b64(Y), "kid": "a"}]}
    for given in (document, json.dumps(document), json.dumps(document).encode()):
        assert JwkSet(given).key_for("a").kind == "EC P-256"


@pytest.mark.parametrize(
    ("jwks", "said"),
    [
        ([], ""),
        ([{"kty": "EC", "crv": "P-256", "x": b64(X), "y": b64(Y), "kid": "good"}], ""),
        ([{"kty": "b", "kid": "b\n"}], " (refused: `b\\n`: its `kty` `b` is not supported)"),
        (
            [{"kty": name, "kid": name} for name in "edcb"],
            " (refused: {})".format("; ".join(f"`{name}`: its `kty` `{name}` is not supported" for name in "bcd")),
        ),
    ],
)
def test_a_set_that_fits_no_algorithm_says_what_was_refused(jwks, said):
    with pytest.raises(ConfigurationError) as refusal:
        JwkSet({"keys": jwks}).check(["RS256", "PS256"])
    assert str(refusal.value) == f"key set: no key with a `kid` is one for RS256, PS256{said}"


# Files of keys


KEYS = json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "x": b64(X), "y": b64(Y), "kid": "a"}]}).encode()


@pytest.fixture
def read(monkeypatch):
    """How often the keys were read."""
    times = []
    of = jwk_set.KeySet.of

    def counted(document, *, published):
        times.append(published)
        return of(document, published=published)

    monkeypatch.setattr(jwk_set.KeySet, "of", counted)
    return times


def test_a_file_is_read_anew_only_after_its_lifetime_or_where_the_clock_goes_back(tmp_path, read):
    path, now = tmp_path / "keys.json", [1000.0]
    path.write_bytes(KEYS)
    source = JwksFile(path, lifetime=10, clock=lambda: now[0])
    for time, times in [(1000, 1), (1000, 1), (1009.5, 1), (1010, 2), (1025, 3), (1024, 4), (1024.5, 4)]:
        now[0] = time
        source.key_for("a")
        assert len(read) == times
    assert set(read) == {False}


def test_a_file_that_looks_the_same_is_read_anew_after_five_minutes(tmp_path, read):
    path, now = tmp_path / "keys.json", [0.0]
    path.write_bytes(KEYS)
    source = JwksFile(path, clock=lambda: now[0])
    for time, times in [(0, 1), (299.5, 1), (300, 2)]:
        now[0] = time
        source.key_for("a")
        assert len(read) == times


def test_a_file_is_read_as_far_as_its_bound(tmp_path, monkeypatch):
    path = tmp_path / "keys.json"
    monkeypatch.setattr(jwks_file, "MAX_BYTES", len(KEYS))
    path.write_bytes(KEYS)
    JwksFile(path).key_for("a")
    path.write_bytes(KEYS + b" ")
    with pytest.raises(KeysUnavailableError, match=f"cannot be had: it: more than {len(KEYS)} bytes"):
        JwksFile(path).key_for("a")
    sizes = []

    class Counted(io.BytesIO):
        def read(self, size=-1):
            sizes.append(size)
            return super().read(size)

        def fileno(self):
            return 0

    monkeypatch.setattr(jwks_file.Path, "open", lambda *_, **__: Counted(KEYS))
    JwksFile(path).key_for("a")
    assert sizes == [len(KEYS) + 1, 1]


def test_a_file_that_cannot_be_read_says_which_and_why(tmp_path, monkeypatch):
    path = tmp_path / "a\nb"
    with pytest.raises(KeysUnavailableError) as refusal:
        JwksFile(path).key_for("a")
    shown = str(path).replace("\n", "\\n")
    assert str(refusal.value) == f"the keys in the file `{shown}` cannot be had: No such file or directory"

    def stat(_):
        raise OSError("no strerror")

    monkeypatch.setattr(jwks_file.Path, "stat", stat)
    with pytest.raises(KeysUnavailableError, match=r"cannot be had: it cannot be read\Z"):
        JwksFile(path).key_for("a")


@pytest.mark.parametrize("name", ["st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns"])
def test_each_of_these_tells_a_file_from_its_other_state(name):
    found = dict.fromkeys(("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns"), 1)
    one, other = (SimpleNamespace(**found | {name: value}) for value in (1, 2))
    assert jwks_file._identity(one) != jwks_file._identity(other)


@pytest.mark.parametrize("name", ["lifetime", "interval", "deadline"])
def test_a_setting_in_seconds_that_is_refused_is_named(name):
    with pytest.raises(ConfigurationError, match=rf"\A{name}: "):
        JwksUrl("https://example.com/keys", **{name: -1})
    if name == "lifetime":
        with pytest.raises(ConfigurationError, match=r"\Alifetime: "):
            JwksFile("keys.json", lifetime=0)


# Keys behind a URL


def test_keys_behind_a_url_take_no_secrets():
    with pytest.raises(ConfigurationError) as refusal:
        JwksUrl("https://example.com/keys").check(["RS256", "HS256"])
    assert str(refusal.value) == "algorithms: `HS256` takes a secret, and what a URL hands out is none"


@pytest.fixture
def fetched(monkeypatch):
    """How each fetch was asked for; it brings the keys."""
    asked = []

    class Recorded:
        def __init__(self, url, **settings):
            self.settings = {"url": url, **settings}

        def get(self):
            asked.append(self.settings)
            return KEYS

    monkeypatch.setattr("bridge.tokens.jwks_url.Fetcher", Recorded)
    return asked


def test_keys_behind_a_url_are_kept_for_five_minutes(fetched):
    now = [0.0]
    source = JwksUrl("https://example.com/keys", clock=lambda: now[0])
    for time, times in [(0, 1), (299.5, 1), (300, 2)]:
        now[0] = time
        source.key_for("a")
        assert len(fetched) == times


def test_half_a_minute_passes_between_two_fetches(fetched):
    now = [0.0]
    source = JwksUrl("https://example.com/keys", clock=lambda: now[0])
    for time, times in [(0, 1), (29.5, 1), (30, 2), (59.5, 2), (60, 3)]:
        now[0] = time
        with pytest.raises(UnknownKeyError):
            source.key_for("made up")
        assert len(fetched) == times


def test_a_fetch_may_take_five_seconds_and_bring_a_mebibyte(fetched):
    JwksUrl("https://example.com/keys").key_for("a")
    assert fetched == [{"url": "https://example.com/keys", "deadline": 5, "max_bytes": 1_048_576, "ca": None}]


def test_keys_that_cannot_be_had_say_from_where_and_why():
    source = JwksUrl("http://127.0.0.1:9/a?secret=b", interval=1, lifetime=10, deadline=5, clock=lambda: 100.0)
    with pytest.raises(KeysUnavailableError) as refusal:
        source.key_for("a")
    assert (
        str(refusal.value) == "the keys at `http://127.0.0.1:9/a` cannot be had: connection refused: is the url right?"
    )
    assert type(source._state.fault) is str
    source._state = jwks_url._State(born=0.0, tried=100.0)
    with pytest.raises(KeysUnavailableError, match=r"those that were fetched have expired\Z"):
        source.key_for("a")


def test_keys_that_another_thread_has_brought_are_not_fetched_again():
    with FaultServer(lambda exchange: exchange.reply(KEYS)) as server:
        source = JwksUrl(server.url, clock=lambda: 100.0)
        found = []
        with source._lock:
            waiting = threading.Thread(target=lambda: found.append(source.key_for("a")))
            waiting.start()
            waiting.join(0.2)
            keys = jwk_set.KeySet.of(jwk.document_from(KEYS), published=True)
            source._state = jwks_url._State(keys, born=100.0)
        waiting.join(5)
        assert found == [keys.key_for("a")]
        assert server.connections == 0


def test_a_child_gets_locks_of_its_own():
    source = JwksUrl("https://example.com/keys")
    lock = source._lock
    with lock:
        jwks_url._renew_locks()
        assert source._lock is not lock
        assert type(source._lock) is type(lock)
        assert not source._lock.locked()


def test_where_there_is_no_fork_there_is_nothing_to_do_after_one(monkeypatch):
    monkeypatch.delattr(os, "register_at_fork")
    module = importlib.util.module_from_spec(jwks_url.__spec__)
    jwks_url.__spec__.loader.exec_module(module)
    assert module.JwksUrl("https://example.com/keys")


@pytest.mark.parametrize(
    "url", ["", "https://example.com/a b", "https://ex\xe4mple.com/", "https:\\\\example.com", None]
)
def test_a_url_that_is_no_printable_ascii_is_refused_as_that(url):
    with pytest.raises(ConfigurationError, match=r"\Aurl: a URL of printable ASCII is needed\Z"):
        JwksUrl(url)


def test_http_to_another_machine_is_refused_with_its_name():
    with pytest.raises(ConfigurationError, match=r"\Aurl: http to `example\.com` is not safe, "):
        JwksUrl("http://example.com/keys")


def test_certificates_that_cannot_be_read_say_which_and_why(tmp_path):
    empty, missing = tmp_path / "a\nb", tmp_path / "c\nd"
    empty.write_bytes(b"")
    for path, cause in (
        (empty, "no certificate can be read from it"),
        (missing, "it cannot be read"),
        ("a\0b", "it cannot be read"),
    ):
        with pytest.raises(ConfigurationError) as refusal:
            JwksUrl("https://example.com/keys", ca=path)
        shown = repr(str(path))[1:-1]
        assert str(refusal.value) == f"ca: `{shown}`: {cause}"


def test_certificates_that_are_too_long_are_not_read(tmp_path, monkeypatch):
    path = tmp_path / "ca.pem"
    certificate = self_signed(Encoding.PEM)
    monkeypatch.setattr(jwks_url, "CERTIFICATE_BYTES", len(certificate))
    path.write_bytes(certificate)
    JwksUrl("https://example.com/keys", ca=path)
    path.write_bytes(certificate + b"\n")
    with pytest.raises(ConfigurationError) as refusal:
        JwksUrl("https://example.com/keys", ca=path)
    assert str(refusal.value).startswith(f"ca: `{path}`: more than {len(certificate)} bytes, ")


def test_certificates_may_be_given_as_a_path(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_bytes(self_signed(Encoding.PEM))
    assert JwksUrl("https://example.com/keys", ca=path)


# Public keys dressed up as secrets


def self_signed(encoding):
    """A certificate for the key of its own signature."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")])
    began = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, began, began + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(encoding)


DER = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    "secret",
    [
        base64.b64encode(DER),
        base64.b64encode(self_signed(Encoding.DER)),
        base64.encodebytes(DER),
        b"secret\n-----BEGIN PUBLIC KEY-----",
        b"---- BEGIN SSH2 PUBLIC KEY ----",
        b"----BEGIN PUBLIC KEY----",
        b"the key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
        b"the key: ssh-rsa  AAAAB3NzaC1yc2E",
        b"the key: ssh-rsa\tAAAAB3NzaC1yc2E",
        b"the key: ecdsa-sha2-nistp256 AAAAE2VjZHNh",
        b"the key: ssh-rsa-cert-v01@openssh.com AAAAHHNzaC1yc2E",
        b"the key: sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1l",
        b"the key: sk-ecdsa-sha2-nistp256@openssh.com AAAAInNrLWVjZHNh",
    ],
)
def test_the_text_of_a_key_is_no_secret(secret):
    with pytest.raises(UnusableKeyError, match="not a secret"):
        VerificationKey.of(secret + b" " * 32)


@pytest.mark.parametrize(
    "secret",
    [
        b"!" + base64.b64encode(DER),
        b"BEGIN PUBLIC KEY",
        b"--- BEGIN PUBLIC KEY",
        b"---BEGIN PUBLIC KEY",
        b"----  BEGIN PUBLIC KEY",
        b"the key: sh-rsa AAAAB3NzaC1yc2E",
        b"the key: sshrsa AAAAB3NzaC1yc2E",
        b"the key: ssh- AAAAB3NzaC1yc2E",
        b"the key: ssh-RSA AAAAB3NzaC1yc2E",
        b"the key: ssh-rsaAAAAB3NzaC1yc2E",
        b"the key: ssh-rsa AAAB3NzaC1yc2E",
        b"the key: cdsa-sha2-nistp256 AAAAE2VjZHNh",
        b"the key: ecdsa-sha2nistp256 AAAAE2VjZHNh",
        b"the key: sk-ssh-ed25519@openssh.org AAAAGnNrLXNzaC1l",
        b"the key: sk-ssh-ed25519@opensshxcom AAAAGnNrLXNzaC1l",
        b"the key: sk-ssh-ed25519@openssh.com@openssh.com AAAAGnNrLXNzaC1l",
    ],
)
def test_what_only_resembles_the_text_of_a_key_is_a_secret(secret):
    assert VerificationKey.of(secret + b" " * 32).kind == "HMAC secret"


def test_what_cannot_be_read_is_no_der():
    assert wrong_format.der_kind(b"x") == ""


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("-----BEGIN PUBLIC KEY----------BEGIN PUBLIC KEY-----", 2),
        ("----BEGIN PUBLIC KEY-----", 0),
        ("-----BEGIN PUBLIC KEY----", 0),
        ("-----BEGIN -----", 0),
        ("-----BEGIN PUBLIC\nKEY-----", 0),
        ("-----BEGIN PUBLIC\rKEY-----", 0),
        ("-----BEGIN PUBLIC-KEY-----", 0),
    ],
)
def test_a_pem_block_begins_with_a_label_between_five_dashes(text, count):
    with pytest.raises(UnusableKeyError) as refusal:
        keys.material_from_pem(text)
    several = f"no PEM text of one public key: {count} PEM blocks are in it; leave only that of the public key"
    assert str(refusal.value).startswith(several if count else "no PEM text of a public key: it has no line")


def test_a_key_for_another_algorithm_names_it():
    with pytest.raises(UnusableKeyError) as refusal:
        VerificationKey.of(b"x" * 32, only="RS\n")
    assert str(refusal.value) == "its `alg` `RS\\n` is none that the key (HMAC secret) is fit for"


@pytest.mark.parametrize("error", [ValueError, TypeError, UnsupportedAlgorithm])
def test_whatever_openssl_cannot_read_is_no_key(monkeypatch, error):
    def failing(_):
        raise error("cause")

    monkeypatch.setattr(keys, "load_pem_public_key", failing)
    monkeypatch.setattr(wrong_format, "load_der_public_key", failing)
    monkeypatch.setattr(wrong_format.x509, "load_der_x509_certificate", failing)
    with pytest.raises(UnusableKeyError, match="that no public key can be read from"):
        keys.material_from_pem("-----BEGIN PUBLIC KEY-----")
    assert wrong_format.der_kind(DER) == ""


@pytest.mark.parametrize("value", [Decimal("Infinity"), Decimal("NaN"), float("inf"), float("nan")])
def test_seconds_are_finite(value):
    with pytest.raises(ConfigurationError, match=r"\Aleeway: the number of seconds must be finite"):
        seconds.seconds("leeway", value)


def test_seconds_that_are_too_few_say_so():
    for value, zero, cause in ((0, False, "negative or 0"), (-1, False, "negative or 0"), (-1, True, "negative")):
        with pytest.raises(ConfigurationError) as refusal:
            seconds.seconds("leeway", value, zero=zero)
        assert str(refusal.value) == f"leeway: the number of seconds must not be {cause}"
    assert seconds.seconds("leeway", 0, zero=True) == 0
    assert type(seconds.seconds("leeway", 0.1)) is Fraction
    assert seconds.seconds("leeway", 0.1) == Fraction(1, 10)


# Fixed keys


PEM = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_a_fixed_key_is_made_from_an_object_a_text_or_a_file(tmp_path):
    path = tmp_path / "key.pem"
    path.write_bytes(PEM)
    for made in (
        StaticKey.from_public_key(ec.generate_private_key(ec.SECP256R1()).public_key()),
        StaticKey.from_pem(PEM),
        StaticKey.from_pem_file(path),
    ):
        assert repr(made) == "StaticKey(EC P-256)"
        assert made.key_for(None) is made.key_for("a") is made.key


def test_a_file_of_a_key_is_read_as_far_as_its_bound(tmp_path, monkeypatch):
    path = tmp_path / "a\nb"
    shown = repr(str(path))[1:-1]
    with pytest.raises(ConfigurationError) as refusal:
        StaticKey.from_pem_file(path)
    assert str(refusal.value) == f"key file `{shown}`: No such file or directory"
    path.write_bytes(PEM.ljust(65_536, b"\n"))
    StaticKey.from_pem_file(path)
    path.write_bytes(PEM.ljust(65_537, b"\n"))
    with pytest.raises(ConfigurationError) as refusal:
        StaticKey.from_pem_file(path)
    (cause,) = refusal.value.args
    assert type(cause) is str
    assert cause.startswith(f"key file `{shown}`: more than 65,536 bytes, ")

    sizes = []

    class Counted(io.BytesIO):
        def read(self, size=-1):
            sizes.append(size)
            return super().read(size)

    monkeypatch.setattr(files.Path, "open", lambda *_, **__: Counted(PEM))
    StaticKey.from_pem_file(path)
    assert sizes == [65_537, 65_537 - len(PEM)]

    def fail(*_, **__):
        raise OSError("no strerror")

    monkeypatch.setattr(files.Path, "open", fail)
    with pytest.raises(ConfigurationError, match=r": it cannot be read\Z"):
        StaticKey.from_pem_file(path)


def test_an_algorithm_that_does_not_fit_the_key_says_which_do():
    with pytest.raises(ConfigurationError) as refusal:
        StaticKey.from_secret(b"x" * 48).check(["HS256", "RS\n"])
    assert str(refusal.value) == ("algorithms: `RS\\n` does not fit the key (HMAC secret), which is for HS256, HS384")


# The verifier


def test_settings_of_the_verifier_that_are_refused_are_named():
    for settings, cause in (
        ({"leeway": -1}, "leeway: the number of seconds must not be negative"),
        ({"required": "sub"}, "required: a sequence of names is needed"),
        ({"required": b"sub"}, "required: a sequence of names is needed"),
        ({"required": ["sub", ""]}, "required: each must be a string that is not empty"),
        ({"required": 1}, "required: a sequence of strings is needed"),
        ({"audience": ["a", 1]}, "audience: each must be a string that is not empty"),
        ({"audience": 1}, "audience: a sequence of strings is needed"),
    ):
        with pytest.raises(ConfigurationError) as refusal:
            TokenVerifier(PEM, algorithms=["ES256"], **settings)
        assert str(refusal.value).startswith(cause)


def test_pyjwt_is_told_the_algorithms_and_the_length_of_keys_as_well():
    verifier = TokenVerifier(PEM, algorithms=["ES256"])
    assert (verifier.audience, verifier.required, verifier.issuer, verifier.leeway) == ((), (), None, 0)
    assert verifier._jws.get_algorithms() == ["ES256"]
    assert verifier._jws.options["enforce_minimum_key_length"] is True


def test_an_algorithm_that_is_not_one_for_the_key_is_named():
    document = {"keys": [{"kty": "EC", "crv": "P-256", "x": b64(X), "y": b64(Y), "kid": "a"}]}
    verifier = TokenVerifier(JwkSet(document), algorithms=["ES256", "RS256"])
    header = b64(json.dumps({"alg": "RS256", "kid": "a"}).encode())
    with pytest.raises(AlgorithmNotAllowedError) as refusal:
        verifier.verify(f"{header}.e30.AAAA")
    assert str(refusal.value) == "the token's algorithm `RS256` is not one for its key (EC P-256)"


@pytest.mark.parametrize("error", [jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError])
def test_whatever_goes_wrong_with_a_signature_is_an_invalid_signature(monkeypatch, error):
    def failing(*_, **__):
        raise error("a text that may quote the token")

    monkeypatch.setattr(jwt.PyJWS, "decode_complete", failing)
    header = b64(b'{"alg":"ES256"}')
    with pytest.raises(
        InvalidSignatureError,
        match=r"\Athe token's signature is not right for the key: another key has signed it, or it was changed\Z",
    ):
        TokenVerifier(PEM, algorithms=["ES256"]).verify(f"{header}.e30.AAAA")


# What is quoted


@pytest.mark.parametrize("size", [40, 41])
def test_what_a_token_says_is_quoted_short(size):
    assert wording.quoted("x" * size) == "`" + "x" * 40 + ("..." if size > 40 else "") + "`"
    assert wording.quoted("a`b\n'\"é\x00") == "`a'b\\n\\'\"é\\x00`"


@pytest.mark.parametrize("size", [500, 501])
def test_what_was_configured_is_quoted_long(size):
    assert wording.setting("x" * size) == "`" + "x" * 500 + ("..." if size > 500 else "") + "`"
    assert wording.setting(5) == "`5`"


# Values that nobody can change


def test_what_keys_and_tokens_are_kept_in_cannot_be_changed():
    kinds = [
        jws.CompactJws,
        jwk_set.KeySet,
        jwks_file._Read,
        jwks_url._State,
        VerificationKey,
        StaticKey,
        TokenVerifier,
    ]
    settings = {kind.__name__: kind.__dataclass_params__ for kind in kinds}
    assert all(made.frozen and "__slots__" in vars(kind) for kind, made in zip(kinds, settings.values(), strict=True))
    assert [name for name, made in settings.items() if not made.eq] == ["VerificationKey", "TokenVerifier"]
    assert [name for name, made in settings.items() if not made.repr] == ["StaticKey"]
    assert [name for name, made in settings.items() if not made.init] == ["TokenVerifier"]
