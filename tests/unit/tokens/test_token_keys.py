"""Keys that are given directly: the forms that are taken, and what is refused as a key or a secret."""

from __future__ import annotations

import base64
import io
import json
from unittest.mock import Mock

import jwt
import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PublicFormat
from token_making import (
    CLAIMS,
    DER,
    PEM,
    b64,
    certificate,
    in_set,
    jwk_of,
    made,
    pem,
    private,
    private_pem,
    public,
    self_signed,
    verifier,
)

from bridge import files
from bridge.errors import ConfigurationError, InvalidSignatureError, UnknownKeyError
from bridge.tokens import JwkSet, StaticKey, TokenVerifier, VerificationKey, keys, wrong_format
from bridge.tokens.keys import UnusableKeyError

# Keys given directly


def test_a_public_key_in_every_form_that_is_taken(tmp_path):
    path = tmp_path / "key.pem"
    path.write_bytes(pem("rsa"))
    forms = [
        pem("rsa"),
        pem("rsa").decode(),
        b"some words before it\n" + pem("rsa"),
        pem("rsa", PublicFormat.PKCS1),
        public("rsa"),
        StaticKey.from_pem(pem("rsa")),
        StaticKey.from_pem_file(path),
        StaticKey.from_pem_file(str(path)),
        StaticKey.from_jwk(jwk_of("rsa")),
        StaticKey.from_jwk(json.dumps(jwk_of("rsa"))),
        StaticKey.from_jwk(json.dumps(jwk_of("rsa", "its kid plays no part")).encode()),
    ]
    for form in forms:
        assert verifier(form).verify(made()) == CLAIMS
        assert verifier(form).verify(made(kid="any")) == CLAIMS
        with pytest.raises(InvalidSignatureError):
            verifier(form).verify(made(key="rsa-other"))


def test_private_keys_are_refused():
    password = BestAvailableEncryption(b"password")
    for key in (private_pem("rsa"), private_pem("P-256").decode(), private_pem("rsa", password), private("rsa")):
        with pytest.raises(ConfigurationError, match="private key"):
            verifier(key)
    with pytest.raises(ConfigurationError, match="private key"):
        verifier(pem("rsa") + private_pem("rsa"))
    with pytest.raises(ConfigurationError, match="private key"):
        StaticKey.from_jwk(jwt.algorithms.RSAAlgorithm.to_jwk(private("rsa"), as_dict=True))


@pytest.mark.parametrize(
    ("key", "cause"),
    [
        (b"", "it is empty"),
        ("some secret that must not be shown", "it has no line `-----BEGIN PUBLIC KEY-----`"),
        ("ümlaut", "not ASCII"),
        (b"\x80\xff", "not ASCII"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "without a readable public key"),
        ("-----BEGIN PUBLIC KEY-----\n", "without a readable public key"),
        ("-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n", "`DH PARAMETERS`"),
        (None, "NoneType"),
        (5, "int"),
        ({}, "dict"),
        (JwkSet, "type"),
        (bytearray(64), "bytearray"),
    ],
)
def test_what_is_no_key(key, cause):
    with pytest.raises(ConfigurationError, match=cause) as refused:
        TokenVerifier(key)
    assert "must not be shown" not in str(refused.value)


def test_two_pem_blocks_and_certificates_are_refused():
    with pytest.raises(ConfigurationError, match="2 PEM blocks"):
        verifier(pem("rsa") + pem("rsa-other"))
    with pytest.raises(ConfigurationError, match="certificate"):
        verifier(certificate(Encoding.PEM))


@pytest.mark.parametrize("name", ["secp256k1", "X25519", "dsa"])
def test_kinds_of_key_that_no_algorithm_has(name):
    for key in (pem(name), public(name)):
        with pytest.raises(ConfigurationError):
            verifier(key)


@pytest.mark.parametrize("name", ["rsa-1024", "rsa-2047"])
def test_weak_rsa_keys(name):
    for key in (pem(name), public(name)):
        with pytest.raises(ConfigurationError, match="under 2048"):
            verifier(key)
    with pytest.raises(ConfigurationError, match="under 2048"):
        StaticKey.from_jwk(jwk_of(name))
    with pytest.raises(UnknownKeyError, match="under 2048"):
        in_set(jwk_of("rsa", "good"), jwk_of(name, "weak")).verify(made(key=name, kid="weak"))


def test_rsa_keys_that_openssl_cannot_verify_with_or_anybody_can_sign_for():
    huge = {"kty": "RSA", "e": "AQAB", "n": b64((1 << 16_384 | 1).to_bytes(2049, "big"))}
    with pytest.raises(ConfigurationError, match="over 16384"):
        StaticKey.from_jwk(huge)
    for exponent in (b"\x01", b"\x02", b"\x00"):
        with pytest.raises(ConfigurationError, match="its numbers are not a valid key"):
            StaticKey.from_jwk(jwk_of("rsa", e=b64(exponent)))
    # RFC 8017, A.1.1: RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }
    modulus = b"\x00" + public("rsa").public_numbers().n.to_bytes(256, "big")
    content = b"\x02\x82\x01\x01" + modulus + b"\x02\x01\x01"
    der = b"\x30\x82" + len(content).to_bytes(2, "big") + content
    armoured = b"-----BEGIN RSA PUBLIC KEY-----\n" + base64.encodebytes(der) + b"-----END RSA PUBLIC KEY-----\n"
    with pytest.raises(ConfigurationError):
        verifier(armoured)


@pytest.mark.parametrize(
    ("exponent", "is_usable"), [(0, False), (1, False), (2, False), (3, True), (4, False), (65_537, True)]
)
def test_the_public_exponent_of_an_rsa_key_is_odd_and_three_or_more(exponent, is_usable):
    # A fake: the newer releases of cryptography load no such key, and cryptography 45 does.
    key = Mock(spec=rsa.RSAPublicKey, key_size=2048)
    key.public_numbers.return_value = Mock(e=exponent)
    if is_usable:
        assert keys.kind_and_algorithms(key)[0] == "RSA 2048 bits"
    else:
        with pytest.raises(UnusableKeyError, match=f"the public exponent {exponent}, with which anybody can sign"):
            keys.kind_and_algorithms(key)


def test_a_key_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        StaticKey.from_pem_file(tmp_path / "nowhere.pem")
    with pytest.raises(ConfigurationError, match="key file"):
        StaticKey.from_pem_file(tmp_path)
    (tmp_path / "big.pem").write_bytes(pem("rsa") + b"\n" * 70_000)
    with pytest.raises(ConfigurationError, match="more than 65,536 bytes"):
        StaticKey.from_pem_file(tmp_path / "big.pem")


def test_secrets_must_be_bytes():
    for secret in ("x" * 64, bytearray(64), None):
        with pytest.raises(ConfigurationError, match="must be bytes"):
            StaticKey.from_secret(secret)
    for text in (pem("rsa"), pem("rsa").decode()):
        with pytest.raises(ConfigurationError, match="public key object"):
            StaticKey.from_public_key(text)


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
    several = f"not a PEM text of one public key: it has {count} PEM blocks; leave only the public key"
    assert str(refusal.value).startswith(several if count else "not a PEM text of a public key: it has no line")


def test_a_key_for_another_algorithm_names_it():
    with pytest.raises(UnusableKeyError) as refusal:
        VerificationKey.of(b"x" * 32, only="RS\n")
    assert str(refusal.value) == "its `alg` `RS\\n` does not fit the key (HMAC secret)"


@pytest.mark.parametrize("error", [ValueError, TypeError, UnsupportedAlgorithm])
def test_whatever_openssl_cannot_read_is_no_key(monkeypatch, error):
    def failing(_):
        raise error("cause")

    monkeypatch.setattr("cryptography.hazmat.primitives.serialization.load_pem_public_key", failing)
    monkeypatch.setattr("cryptography.hazmat.primitives.serialization.load_der_public_key", failing)
    monkeypatch.setattr("cryptography.x509.load_der_x509_certificate", failing)
    with pytest.raises(UnusableKeyError, match="without a readable public key"):
        keys.material_from_pem("-----BEGIN PUBLIC KEY-----")
    assert wrong_format.der_kind(DER) == ""


# Fixed keys


def test_a_fixed_key_is_made_from_an_object_a_text_or_a_file(tmp_path):
    path = tmp_path / "key.pem"
    path.write_bytes(PEM)
    for key in (
        StaticKey.from_public_key(ec.generate_private_key(ec.SECP256R1()).public_key()),
        StaticKey.from_pem(PEM),
        StaticKey.from_pem_file(path),
    ):
        assert repr(key) == "StaticKey(EC P-256)"
        assert key.key_for(None) is key.key_for("a") is key.key


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
    assert str(refusal.value) == (
        "algorithms: `RS\\n` does not fit the key (HMAC secret), which is for HS256, HS384: set `algorithms` to these"
    )
