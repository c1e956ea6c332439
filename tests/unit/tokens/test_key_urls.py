"""Keys behind a URL: its settings, the fetch, and what a failed one says."""

from __future__ import annotations

import importlib.util
import os
import threading
from decimal import Decimal
from fractions import Fraction

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from fault_server import FaultServer
from token_making import KEYS, SECRET, certificate, oct_of, self_signed, verifier

from bridge.errors import ConfigurationError, KeysUnavailableError, UnknownKeyError
from bridge.tokens import JwkSet, JwksFile, JwksUrl, StaticKey, jwk, jwks_url
from bridge.tokens.claims import exact_seconds
from bridge.tokens.jwks_url import Fetcher, FetchError

# The settings of a URL


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/keys",
        "https://example.com:8443/keys?x=1",
        "HTTPS://EXAMPLE.COM",
        "http://localhost/keys",
        "http://localhost:8000/keys",
        "http://127.0.0.1:8000/keys",
        "http://127.9.9.9/keys",
        "http://[::1]:8000/keys",
    ],
)
def test_urls_that_are_taken(url):
    assert verifier(JwksUrl(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/keys",
        "http://10.0.0.1/keys",
        "http://localhost.example.com/keys",
        "http://127.0.0.1.example.com/keys",
        "http://0.0.0.0/keys",
        "http://[::]/keys",
        "ftp://example.com/keys",
        "file:///etc/keys",
        "example.com/keys",
        "//example.com/keys",
        "https://",
        "https:///keys",
        "",
        "https://user:password@example.com/keys",
        "http://127.0.0.1@example.com/keys",
        "http://127.0.0.1\\@example.com/keys",
        "https://example.com/keys#fragment",
        "https://example.com/a b",
        "https://example.com\\keys",
        "https://example.com/\n",
        "https://exämple.com/",
        "https://example.com:port/",
        "https://example.com:99999/",
        "https://[::1/",
        None,
        b"https://example.com/",
    ],
)
def test_urls_that_are_refused(url):
    with pytest.raises(ConfigurationError, match="url") as refused:
        JwksUrl(url)
    assert "password" not in str(refused.value).replace("user name and password", "")


def test_plain_http_to_another_machine_must_be_asked_for():
    assert JwksUrl("http://example.com/keys", insecure_http=True)
    with pytest.raises(ConfigurationError):
        JwksUrl("ftp://example.com/keys", insecure_http=True)


@pytest.mark.parametrize("name", ["lifetime", "interval", "deadline"])
@pytest.mark.parametrize("value", [0, -1, True, "5", None, float("nan"), float("inf")])
def test_seconds_that_cannot_be(name, value, tmp_path):
    with pytest.raises(ConfigurationError, match=name):
        JwksUrl("https://example.com/keys", **{name: value})
    if name == "lifetime":
        with pytest.raises(ConfigurationError, match=name):
            JwksFile(tmp_path, lifetime=value)


def test_keys_must_live_longer_than_the_pause_between_two_fetches():
    assert JwksUrl("https://example.com/keys", lifetime=35, interval=30, deadline=5)
    with pytest.raises(ConfigurationError, match="lifetime"):
        JwksUrl("https://example.com/keys", lifetime=34.9, interval=30, deadline=5)


def test_a_ca_file_must_hold_a_certificate(tmp_path):
    (tmp_path / "ca.pem").write_bytes(certificate(Encoding.PEM))
    assert JwksUrl("https://example.com/keys", ca=tmp_path / "ca.pem")
    (tmp_path / "no.pem").write_text("nothing")
    for path in (tmp_path / "no.pem", tmp_path / "nowhere", tmp_path):
        with pytest.raises(ConfigurationError, match="ca: "):
            JwksUrl("https://example.com/keys", ca=path)


def test_hmac_makes_no_sense_with_a_url():
    with pytest.raises(ConfigurationError, match="takes a secret"):
        verifier(JwksUrl("https://example.com/keys"), algorithms=("RS256", "HS256"))


def test_what_sources_say_about_themselves(tmp_path):
    assert repr(JwksUrl("https://example.com/keys?secret=x")) == "JwksUrl('https://example.com/keys')"
    assert repr(JwkSet({"keys": [oct_of(SECRET, "s")]})) == "JwkSet(1 keys)"
    assert repr(JwksFile(tmp_path / "k")) == f"JwksFile({str(tmp_path / 'k')!r})"
    assert repr(StaticKey.from_secret(SECRET)) == "StaticKey(HMAC secret)"
    assert StaticKey.from_secret(SECRET).key.algorithms == ("HS256", "HS384", "HS512")


@pytest.mark.parametrize("value", [Decimal("Infinity"), Decimal("NaN"), float("inf"), float("nan")])
def test_seconds_are_finite(value):
    with pytest.raises(ConfigurationError, match=r"\Aleeway: the number of seconds must be finite"):
        exact_seconds("leeway", value)


def test_seconds_that_are_too_few_say_so():
    for value, zero, cause in ((0, False, "negative or 0"), (-1, False, "negative or 0"), (-1, True, "negative")):
        with pytest.raises(ConfigurationError) as refusal:
            exact_seconds("leeway", value, zero=zero)
        assert str(refusal.value) == f"leeway: the number of seconds must not be {cause}"
    assert exact_seconds("leeway", 0, zero=True) == 0
    assert type(exact_seconds("leeway", 0.1)) is Fraction
    assert exact_seconds("leeway", 0.1) == Fraction(1, 10)


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


# When keys are fetched


def test_keys_behind_a_url_take_no_secrets():
    with pytest.raises(ConfigurationError) as refusal:
        JwksUrl("https://example.com/keys").check(["RS256", "HS256"])
    assert (
        str(refusal.value) == "algorithms: `HS256` takes a secret, and a set behind a URL is not secret: leave it out"
    )


@pytest.fixture
def fetched(monkeypatch):
    """How each fetch was asked for; it brings the keys."""
    fetches = []

    class Recorded:
        def __init__(self, url, **settings):
            self.settings = {"url": url, **settings}

        def get(self):
            fetches.append(self.settings)
            return KEYS

    monkeypatch.setattr("bridge.tokens.jwks_url.Fetcher", Recorded)
    return fetches


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
        str(refusal.value)
        == "the keys at `http://127.0.0.1:9/a` are unavailable: connection refused: is the url right?"
    )
    assert type(source._state.fault) is str
    source._state = jwks_url._State(born=0.0, tried=100.0)
    with pytest.raises(KeysUnavailableError, match=r"the fetched keys have expired: try again later\Z"):
        source.key_for("a")


def test_keys_that_another_thread_has_brought_are_not_fetched_again():
    with FaultServer(lambda exchange: exchange.reply(KEYS)) as server:
        source = JwksUrl(server.url, clock=lambda: 100.0)
        results = []
        with source._lock:
            waiting = threading.Thread(target=lambda: results.append(source.key_for("a")))
            waiting.start()
            waiting.join(0.2)
            keys = jwk.KeySet.of(jwk.document_from(KEYS), published=True)
            source._state = jwks_url._State(keys, born=100.0)
        waiting.join(5)
        assert results == [keys.key_for("a")]
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
    with pytest.raises(ConfigurationError, match=r"\Aurl: give a URL of printable ASCII characters\Z"):
        JwksUrl(url)


def test_http_to_another_machine_is_refused_with_its_name():
    with pytest.raises(ConfigurationError, match=r"\Aurl: http to `example\.com` is not safe: "):
        JwksUrl("http://example.com/keys")


def test_certificates_that_cannot_be_read_say_which_and_why(tmp_path):
    empty, missing = tmp_path / "a\nb", tmp_path / "c\nd"
    empty.write_bytes(b"")
    for path, cause in (
        (empty, "it has no readable certificate; give a readable file of certificates in PEM"),
        (missing, "it cannot be read; give a readable file of certificates in PEM"),
        ("a\0b", "it cannot be read; give a readable file of certificates in PEM"),
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
