"""TLS as the client speaks it to a server on loopback: the certificates of both sides, and files that hold none."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from fault_server import ANSWER, INPUT, FaultServer, replying
from loopback_certificates import Authority

from bridge.errors import ConfigurationError, EngineUnreachableError
from bridge.files import CERTIFICATE_BYTES
from bridge.opa import OpaClient

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def mine(authority: Authority) -> tuple[Path, Path]:
    return authority.issue("client")


@pytest.fixture
def tls(authority: Authority) -> ssl.SSLContext:
    """A server that demands a certificate of the authority's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server"))
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


# --- what the two sides show each other


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name)
def test_a_server_that_asks_for_a_certificate_is_shown_it(authority, mine, tls, version) -> None:
    tls.minimum_version = tls.maximum_version = version
    shown: list[object] = []
    with FaultServer(lambda exchange: shown.append(exchange.connection.getpeercert()), tls) as server:
        answer = server.answer
        server.answer = lambda exchange: (answer(exchange), exchange.reply(ANSWER))
        with OpaClient(server.url, ca=authority.file, client_certificate=mine) as client:
            assert client.query(("x",), INPUT).result is True
    assert [certificate["subject"] for certificate in shown] == [((("commonName", "client"),),)]


@pytest.mark.parametrize("is_shown", [False, True])
def test_a_server_refuses_who_shows_no_certificate_or_a_stranger_s(authority, tls, tmp_path, is_shown) -> None:
    # With TLS 1.3 the client would have sent its question when the refusal comes.
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    stranger = Authority(tmp_path, "other").issue("stranger") if is_shown else None
    with (
        FaultServer(replying(ANSWER), tls) as server,
        OpaClient(server.url, ca=authority.file, client_certificate=stranger) as client,
        pytest.raises(EngineUnreachableError, match="tls failed: "),
    ):
        client.query(("x",), INPUT)
    assert (server.connections, server.exchanges) == (1, [])


def test_the_client_says_that_it_speaks_http_1_1(authority, mine, tls) -> None:
    """A server that speaks newer ones as well would choose the first of those that both know."""
    tls.set_alpn_protocols(["h2", "http/1.1", "http/1.0"])
    with (
        FaultServer(replying(ANSWER), tls) as server,
        OpaClient(server.url, ca=authority.file, client_certificate=mine) as client,
    ):
        assert client.query(("x",), INPUT).result is True
        [idle] = client._http._pool.pool._owned[1]
        assert idle.sock.selected_alpn_protocol() == "http/1.1"


# --- files that cannot be used


def refused(**settings: object) -> str:
    with pytest.raises(ConfigurationError, match="need a url that starts with `https://`"):
        OpaClient("http://127.0.0.1", **settings)
    with pytest.raises(ConfigurationError) as caught:
        OpaClient("https://127.0.0.1", **settings)
    assert caught.value.__cause__ is None
    return str(caught.value)


@pytest.fixture
def files(authority: Authority, mine: tuple[Path, Path], tmp_path: Path) -> dict[str, object]:
    """What somebody may name in place of a certificate, or of a key."""
    certificate, key = mine
    _, other_key = authority.issue("other")
    secret = serialization.load_pem_private_key(key.read_bytes(), None)
    encrypted = secret.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hunter2"),
    )
    texts = {
        "empty": b"",
        "broken": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "encrypted": encrypted,
        "long": b"",
    }
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text)
    os.truncate(tmp_path / "long", CERTIFICATE_BYTES + 1)
    named = {name: tmp_path / name for name in (*texts, "nowhere")}
    return named | {"certificate": certificate, "key": key, "other key": other_key, "null": "a\0b", "number": 1}


NO_PEM = ("no PEM", "pem lib")  # some versions of OpenSSL say more than others
CA_REMEDY = ": name a PEM file of certificates by `ca`"
CERTIFICATE_REMEDY = ": name PEM files of a certificate and of its key by `client_certificate`"
LONG = "more than 16,777,216 bytes, the most that are read of "


@pytest.mark.parametrize(
    ("name", "causes"),
    [
        ("nowhere", ("no such file or directory",)),
        ("empty", ("no certificate or crl found",)),
        ("key", ("no certificate or crl found",)),
        ("broken", NO_PEM),
        ("null", ("embedded null byte",)),
        ("number", ("expected str, bytes or os.PathLike object, not int",)),
        ("long", (f"{LONG}certificates in PEM",)),
    ],
)
def test_a_file_without_authorities(files, name, causes) -> None:
    shown = str(files[name]).replace("\0", r"\u0000")
    start = f"`ca`: no certificate authorities can be read from `{shown}`: "
    end = CA_REMEDY
    if name == "long":
        start += f"`{shown}`: "
        end = "; nothing of it is used: is it the right file?"
    assert refused(ca=files[name]) in [start + cause + end for cause in causes]


@pytest.mark.parametrize(
    ("certificate", "key", "causes"),
    [
        ("certificate", "nowhere", ("no such file or directory",)),
        ("nowhere", "key", ("no such file or directory",)),
        ("certificate", "other key", ("key values mismatch",)),
        ("empty", "key", NO_PEM),
        ("certificate", "empty", NO_PEM),
        ("certificate", "encrypted", ("the key has a passphrase",)),
        ("null", "key", ("embedded null byte",)),
        ("certificate", "number", ("expected str, bytes or os.PathLike object, not int",)),
        ("long", "key", (f"{LONG}a certificate or a key in PEM",)),
        ("certificate", "long", (f"{LONG}a certificate or a key in PEM",)),
    ],
)
def test_a_certificate_and_a_key_that_cannot_be_used(files, certificate, key, causes) -> None:
    shown = [str(files[name]).replace("\0", r"\u0000") for name in (certificate, key)]
    start = f"`client_certificate`: `{shown[0]}` with the key `{shown[1]}` cannot be used: "
    end = CERTIFICATE_REMEDY
    if "long" in (certificate, key):
        start += f"`{files['long']}`: "
        end = "; nothing of it is used: is it the right file?"
    assert refused(client_certificate=(files[certificate], files[key])) in [start + cause + end for cause in causes]


def test_a_client_certificate_is_two_files(mine) -> None:
    for certificate in (mine[0], str(mine[0]), mine[:1], list(mine), (*mine, mine[1]), (), "ab"):
        assert refused(client_certificate=certificate) == (
            "`client_certificate` must be two files: the certificate and its key"
        )
