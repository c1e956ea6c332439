"""Keys behind an https URL, and the environment, which plays no part."""

import pytest
from clocks import Clock
from jwks_server import key_authority, key_servers, made, unavailable, verifier
from ports import reserved_port
from token_making import CLAIMS, jwk_of

from bridge.errors import KeysUnavailableError
from bridge.tokens import JwksUrl


@pytest.fixture
def serve():
    with key_servers() as start:
        yield start


@pytest.fixture
def clock():
    return Clock()


# --- TLS ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return key_authority(tmp_path_factory.mktemp("tls"))


def test_tls_with_a_private_authority(serve, clock, authority):
    server = serve(jwk_of("rsa", "a"), tls=authority.issue(days=10))
    subject = verifier(JwksUrl(server.url, ca=authority.ca, clock=clock))
    assert subject.verify(made()) == CLAIMS


def test_an_authority_that_is_not_trusted(serve, clock, authority):
    server = serve(jwk_of("rsa", "a"), tls=authority.issue(days=10))
    unavailable(JwksUrl(server.url, clock=clock), "certificate is refused: unable to get local issuer")
    assert server.count == 0


def test_a_certificate_that_has_expired(serve, clock, authority):
    server = serve(jwk_of("rsa", "a"), tls=authority.issue(days=-1))
    unavailable(JwksUrl(server.url, ca=authority.ca, clock=clock), "certificate has expired")
    assert server.count == 0


def test_a_certificate_that_expires_while_keys_are_kept(serve, clock, authority):
    server = serve(jwk_of("rsa", "a"), tls=authority.issue(days=10))
    subject = verifier(JwksUrl(server.url, lifetime=300, ca=authority.ca, clock=clock))
    assert subject.verify(made()) == CLAIMS
    server.stop()
    server.tls = authority.issue(days=-1)
    server.start()
    clock.now += 299
    assert subject.verify(made()) == CLAIMS
    clock.now += 1
    with pytest.raises(KeysUnavailableError, match="certificate has expired"):
        subject.verify(made())


def test_a_certificate_for_another_host(serve, clock, authority):
    server = serve(jwk_of("rsa", "a"), tls=authority.issue(days=10, host="127.0.0.2"))
    unavailable(JwksUrl(server.url, ca=authority.ca, clock=clock), "certificate is refused: IP address mismatch")


def test_https_to_a_server_that_speaks_http(serve, clock):
    server = serve(jwk_of("rsa", "a"))
    unavailable(JwksUrl(server.url.replace("http:", "https:"), clock=clock), "tls failed")


# --- the environment ----------------------------------------------------------------------------------------------


def test_nothing_of_the_environment_is_used(serve, clock, authority, tmp_path, monkeypatch):
    with reserved_port() as port:
        proxy = f"http://127.0.0.1:{port}"
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy)
            monkeypatch.setenv(name.upper(), proxy)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password secret\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.ca))
        monkeypatch.setenv("CURL_CA_BUNDLE", str(authority.ca))

        server = serve(jwk_of("rsa", "a"))
        assert JwksUrl(server.url, clock=clock).key_for("a")
        assert "Authorization" not in server.requests[0][1]
        assert "Cookie" not in server.requests[0][1]
        secure = serve(jwk_of("rsa", "a"), tls=authority.issue(days=10))
        unavailable(JwksUrl(secure.url, clock=clock), "unable to get local issuer")
        assert JwksUrl(secure.url, ca=authority.ca, clock=clock).key_for("a")


def test_a_query_is_sent_but_never_shown(serve, clock):
    server = serve()
    server.answer = lambda handler: server.answer_with(handler, b"", status=500)
    source = JwksUrl(server.url + "?token=secret", clock=clock)
    with pytest.raises(KeysUnavailableError) as raised:
        source.key_for("a")
    assert server.requests[0][0] == "/keys.json?token=secret"
    assert "secret" not in f"{raised.value}{source!r}"
    server.stop()
    clock.now += 100
    with pytest.raises(KeysUnavailableError) as raised:
        source.key_for("a")
    assert "secret" not in str(raised.value)
