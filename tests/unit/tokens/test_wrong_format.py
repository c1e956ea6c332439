"""What is given by mistake in place of a token, a key, a set of keys or a text: the error names it, and what to do."""

from __future__ import annotations

import base64
import codecs
import datetime as dt
import functools
import gzip
import json
import string

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bridge import (
    ConfigurationError,
    InvalidTokenError,
    JwkSet,
    JwksFile,
    KeysUnavailableError,
    MalformedInputError,
    StaticKey,
    TokenVerifier,
)
from bridge.cli.token_options import _secret
from bridge.strict_json import parse
from bridge.strict_json.diagnosis import encoding_fault
from bridge.tokens.wrong_format import instead_of_jwks, instead_of_pem, instead_of_set, instead_of_token

BASE64URL = string.ascii_letters + string.digits + "-_"
BOM = b"\xef\xbb\xbf"
SECRET = b"a secret of more than thirty-two bytes"
NOW = 1_700_000_000
NO_MARK = "byte order mark: save it as UTF-8 without one"


@functools.cache
def private():
    return rsa.generate_private_key(65537, 2048)


@functools.cache
def certificate():
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    begin, end = (dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in (2020, 2050))
    builder = x509.CertificateBuilder(name, name, private().public_key(), 1)
    return builder.not_valid_before(begin).not_valid_after(end).sign(private(), hashes.SHA256())


def public(encoding=Encoding.PEM, form=PublicFormat.SubjectPublicKeyInfo):
    return private().public_key().public_bytes(encoding, form)


PEM = public()
JWK = {
    name: value
    for name, value in jwt.algorithms.RSAAlgorithm.to_jwk(private().public_key(), as_dict=True).items()
    if name != "key_ops"
}
JWKS = json.dumps({"keys": [{**JWK, "kid": "a"}]})
TOKEN = jwt.encode({"exp": NOW + 1}, private(), "RS256", headers={"kid": "a"})
HEAD, BODY, TAIL = TOKEN.split(".")


def verifier(key=PEM, **settings):
    return TokenVerifier(key, clock=lambda: NOW, **settings)


# --- tokens


@pytest.mark.parametrize(
    ("text", "code", "complaint"),
    [
        (
            "not.a.jwt",
            "malformed",
            "it is not a token: its first segment is not a JSON object in base64url, as `eyJ...` is",
        ),
        ("a.b.c", "malformed", "it is not a token"),
        ("e.b.c", "malformed", "it is not a token"),
        ("..", "malformed", "it is not a token"),
        ("x.eyJhbGciOiJSUzI1NiJ9.y", "malformed", "it is not a token"),
        ("nonsense", "malformed", "1 segment, not 3 with dots between them; is it a whole token?"),
        (f"{HEAD}.{BODY}", "malformed", "2 segments, not 3"),
        (f"{HEAD}.{BODY}.{TAIL}.{TAIL}", "malformed", "4 segments, not 3"),
        ("eyJlbmMiOiJBMjU2R0NNIn0.a.b.c.d", "malformed", "it is an encrypted token (JWE), and only signed"),
        (f"Bearer {TOKEN}", "malformed", "a part of the HTTP header and not of the token: take it off"),
        (f"Authorization: Bearer {TOKEN}", "malformed", "it begins with `Authorization:`"),
        (f"authorization \t: Bearer {TOKEN}", "malformed", "it begins with `Authorization:`"),
        (f"Authorization {TOKEN}", "malformed", "it has white space inside"),
        (f'"{TOKEN}"', "malformed", "it is in quotes, which do not belong to it: take them off"),
        (f"'{TOKEN}'", "malformed", "it is in quotes"),
        (f"`{TOKEN}`", "malformed", "it is in quotes"),
        (f"{TOKEN[:40]}\n{TOKEN[40:]}", "malformed", "it has white space inside, such as a line break: take it out"),
        (f"{HEAD}. {BODY}.{TAIL}", "malformed", "it has white space inside"),
        (f"{TOKEN}\n", "malformed", "ends with white space"),
        (f"\ufeff{TOKEN}", "malformed", NO_MARK),
        (f"{HEAD}==.{BODY}.{TAIL}", "malformed", "`=` is padding, take it off"),
        (f"{HEAD}.{BODY}.AA+/", "malformed", "`+` and `/` belong to standard base64"),
        (f"{TOKEN}\u200b", "malformed", "it is not ASCII; was other text copied along?"),
        (f"{TOKEN}<", "malformed", "the token's signature has a character that base64url does not have"),
        (f"{HEAD}.{BODY}.A", "malformed", "the token's signature has a length that base64url never has; is something"),
        (f"{HEAD}.{BODY}.AB", "malformed", "the token's signature has unused bits at the end that are not zero; is"),
        (TOKEN.replace(".", "%2E"), "malformed", "it is percent-encoded, as in a URL: decode it first"),
        (TOKEN.replace(".", "%2e"), "malformed", "it is percent-encoded"),
        (f"%2E{TAIL}", "malformed", "it is percent-encoded"),
        (f"{HEAD}.{BODY}%2E{TAIL}", "malformed", "2 segments, not 3"),
        ("100% of 2E", "malformed", "it has white space inside"),
        ('{"sub": "agent"}', "malformed", "it is JSON, not a token; give verified claims as an object"),
        (json.dumps({"token": TOKEN}), "malformed", "it is JSON, not a token"),
        (json.dumps([TOKEN]), "malformed", "it is JSON, not a token"),
        (PEM.decode(), "malformed", "ends with white space"),
        (PEM.decode().strip(), "malformed", "it is a PEM text, such as a key, not a token"),
        ("The demo's key\n\n" + PEM.decode().strip(), "malformed", "it is a PEM text, such as a key, not a token"),
        ("-----BEGINNING OF A KEY", "malformed", "it has white space inside"),
        ("<html>", "malformed", "it is a page of HTML or XML, not a token"),
        ("", "malformed", "the token is empty"),
        (f"eyJhbGciOiJub25lIn0.{BODY}.", "algorithm", "the token is not signed (its `alg` is `none`)"),
        (
            jwt.encode({"exp": NOW + 1}, SECRET, "HS256"),
            "algorithm",
            "`HS256` is not accepted, only RS256: set `algorithms`",
        ),
        (f"{HEAD}.{BODY}.{TAIL[:-8]}AAAAAAAA", "signature", "another key has signed it, or it was changed"),
    ],
    ids=range(43),
)
def test_a_text_that_is_no_valid_token(text, code, complaint):
    with pytest.raises(InvalidTokenError) as refused:
        verifier().verify(text)
    assert refused.value.code == code
    assert complaint in str(refused.value)
    assert BODY not in str(refused.value)
    assert TAIL[:20] not in str(refused.value)


def test_a_header_may_begin_with_white_space():
    head = base64.urlsafe_b64encode(b' {"alg":"RS256"}').rstrip(b"=").decode()
    signature = jwt.algorithms.get_default_algorithms()["RS256"].sign(f"{head}.{BODY}".encode(), private())
    token = f"{head}.{BODY}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    assert verifier().verify(token) == {"exp": NOW + 1}


@pytest.mark.parametrize(
    ("secret", "has_hint"), [(SECRET + b"\n", True), (b" " + SECRET, True), (b"x" + SECRET, False)]
)
def test_white_space_around_a_secret_is_told_of_where_the_signature_is_not_right(secret, has_hint):
    with pytest.raises(InvalidTokenError, match="another key has signed it") as refused:
        verifier(StaticKey.from_secret(secret), algorithms=["HS256"]).verify(
            jwt.encode({"exp": NOW + 1}, SECRET, "HS256")
        )
    assert ("the secret has white space around it" in str(refused.value)) is has_hint


# --- one key


NOTHING_KNOWN = (
    SECRET,
    b"5",
    b'["kty", "keys"]',
    b"!" + b"".join(PEM.split(b"\n")[1:-2]),
    b"the key: " + public(Encoding.OpenSSH, PublicFormat.OpenSSH),
    b"the token: " + TOKEN.encode(),
    TOKEN.encode() + b" of mine",
)
"""What names or holds what would be recognised, and is something else."""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            private().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "a private key, and tokens are verified with public keys; give its public key (`openssl pkey",
        ),
        (
            certificate().public_bytes(Encoding.PEM),
            "a certificate, whose dates the verifier would not check; give its public",
        ),
        (
            certificate().public_bytes(Encoding.DER),
            "a certificate in binary (DER): turn it into PEM with `openssl x509",
        ),
        (public(Encoding.DER), "a public key in binary (DER): turn it into PEM with `openssl pkey -pubin -inform DER"),
        (public(Encoding.OpenSSH, PublicFormat.OpenSSH), "an OpenSSH public key: turn it into PEM with `ssh-keygen"),
        (b"---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----\n", "an OpenSSH public key"),
        (json.dumps(JWK).encode(), "it is a JWK, not PEM: give it to `StaticKey.from_jwk`"),
        (JWKS.encode(), "it is a set of keys (JWKS), not PEM: give it to `JwkSet`, `JwksFile` or --jwks"),
        (b"", "it is empty"),
        (b"\n \n", "it is empty"),
        (BOM + PEM, NO_MARK),
        (PEM.decode().encode("utf-16"), "it is UTF-16, not UTF-8"),
        (PEM.decode().encode("utf-16-le"), "it is UTF-16, not UTF-8"),
        (gzip.compress(PEM, mtime=0), "it is compressed (gzip): decompress it first"),
        (PEM.replace(b"\n", b"\\n"), "its lines end in `\\n`, a backslash and a letter: write line feeds instead"),
        (
            b"".join(PEM.split(b"\n")[1:-2]),
            "the base64 of a public key without the lines around it (`-----BEGIN PUBLIC KEY-----`): add them",
        ),
        (b"\n".join(PEM.split(b"\n")[1:-2]), "the base64 of a public key without the lines around it"),
        (PEM[:200], "without a readable public key; is it whole?"),
        (PEM + PEM, "2 PEM blocks; leave only the public key, or give several keys as a set"),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", "it has a `PGP PUBLIC KEY BLOCK`, not a `PUBLIC KEY`"),
        (TOKEN.encode(), "it is a token, not a key"),
        (b"<html>", "it is a page of HTML or XML"),
        (b'{"a": 1}', "it has no line `-----BEGIN PUBLIC KEY-----`"),
        *((text, "it has no line `-----BEGIN PUBLIC KEY-----`") for text in NOTHING_KNOWN),
        ("schlüssel", "it is not ASCII"),
        ("\ud800", "it is not ASCII"),
        ("\ufeff" + PEM.decode(), NO_MARK),
    ],
    ids=range(26 + len(NOTHING_KNOWN)),
)
def test_what_is_no_pem_text_of_a_public_key(text, complaint):
    with pytest.raises(ConfigurationError) as refused:
        StaticKey.from_pem(text)
    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    ("text", "is_recognised"),
    [
        *((f"e{character}..", character in "wxyz0123456789_-") for character in BASE64URL),
        *((f"{character}y..", character == "e") for character in BASE64URL),
        (f"eyJ{BASE64URL}.{BASE64URL}.{BASE64URL}", True),
        ("eyJ!A.A", False),
        ("eyJ.A!A", False),
        ("eyJ.A", False),
        ("eyJ.A.A.A", False),
    ],
)
def test_a_token_in_place_of_a_key_is_told_by_how_base64url_of_a_json_object_begins(text, is_recognised):
    with pytest.raises(ConfigurationError) as refused:
        StaticKey.from_pem(text)
    assert ("it is a token, not a key" in str(refused.value)) is is_recognised


# --- a set of keys


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (BOM + JWKS.encode(), NO_MARK),
        (JWKS.encode("utf-16"), "it is UTF-16, not UTF-8: save it as UTF-8"),
        (JWKS.encode("utf-16-be"), "it is UTF-16, not UTF-8: save it as UTF-8"),
        (gzip.compress(JWKS.encode(), mtime=0), "it is compressed (gzip)"),
        (b"", "not JSON: it is empty"),
        (b"\n \n", "not JSON: it is empty"),
        (PEM, "it is a PEM text, not JSON: give it as one key"),
        (b"\n" + PEM, "it is a PEM text, not JSON"),
        (b"The public key of the demo\n  " + PEM, "it is a PEM text, not JSON"),
        (b"The public key of the demo\n\t" + PEM, "it is a PEM text, not JSON"),
        (b"a -----BEGIN PUBLIC KEY-----", "not well-formed (R12.1, line 1"),
        (b"-----BEGINNING OF A KEY", "not well-formed (R12.1, line 1"),
        (b"<html>", "it is a page of HTML or XML"),
        (b"\n<html>", "it is a page of HTML or XML"),
        (json.dumps(JWK).encode(), 'it is one key (JWK): write {"keys": [...]} around it'),
        (json.dumps([JWK]).encode(), 'it is an array: write {"keys": ...} around it'),
        (b'{"issuer": "x", "jwks_uri": "https://x"}', "it is an OpenID configuration: give the URL in its `jwks_uri`"),
        (b'{"a": "x"}', "not a JWK set: it has no array `keys`"),
        (b"5", "not a JWK set: it has no array `keys`"),
        (b'{"keys": [], "keys": []}', "(R12.2, line 1, column 14): an object has two members of one name"),
        (b'{"keys": ["\\ud800"]}', "a string has an unpaired surrogate"),
        (b'{"keys": [1e999]}', "a number has too many digits, or is too large or too small"),
        (b"[" * 65 + b"]" * 65, "it is nested too deep"),
        (JWKS.encode() + b"x", "not well-formed (R12.1, line 1"),
    ],
    ids=range(24),
)
def test_what_is_no_set_of_keys(tmp_path, data, complaint):
    path = tmp_path / "keys.json"
    path.write_bytes(data)
    with pytest.raises(KeysUnavailableError) as refused:
        JwksFile(path).key_for("a")
    assert complaint in str(refused.value)
    with pytest.raises(ConfigurationError) as refused:
        JwkSet(data)
    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (PEM.decode(), "not JSON: it is a PEM text, not JSON: give it as one key (`StaticKey.from_pem`, --key)"),
        ("\ufeff" + JWKS, f"not JSON: it begins with a {NO_MARK}"),
        ("{\ud800", "the JSON is not well-formed (R12.1, line 1, column 2)"),
    ],
    ids=range(3),
)
def test_a_set_that_is_given_as_a_string_is_told_of_like_bytes(text, complaint):
    with pytest.raises(ConfigurationError) as refused:
        JwkSet(text)
    assert str(refused.value) == f"key set: {complaint}"


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"a": "x"}, ""),
        (5, ""),
        ([JWK], '; it is an array: write {"keys": ...} around it'),
    ],
)
def test_a_document_that_is_no_set_says_what_it_is_where_that_is_known(document, complaint):
    with pytest.raises(ConfigurationError) as refused:
        JwkSet(json.dumps(document))
    assert str(refused.value) == f"key set: not a JWK set: it has no array `keys`{complaint}"


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"keys": []}, "the set has no keys at all"),
        ({"keys": [JWK]}, "the set has no key with it, and 1 without a `kid`, which no token can name"),
        (
            {"keys": [{**JWK, "kid": 1}, {**JWK, "kid": "b"}]},
            "the set has no key with it, and 1 without a `kid`, which no token can name",
        ),
        ({"keys": [{**JWK, "kid": "b"}]}, "the set has no key with it; is it the set of the token's issuer?"),
        (
            {"keys": [{**JWK, "kid": "a", "n": JWK["n"] + "=="}]},
            "its `n` is not base64url: it has a character that base64url does not have: `=` is padding, take it off",
        ),
    ],
)
def test_a_set_without_the_key_says_why(document, complaint):
    with pytest.raises(InvalidTokenError) as refused:
        JwkSet(document).key_for("a")
    assert str(refused.value) == f"no key for the `kid` `a`: {complaint}"


# --- a secret in a file


@pytest.mark.parametrize(
    ("data", "secret"),
    [
        (SECRET, SECRET),
        (SECRET + b"\n", SECRET),
        (SECRET + b"\r\n", SECRET),
        (b"", b""),
        (b"\n", b""),
        (bytes(range(64)), bytes(range(64))),
        (b"\xff" * 32 + b"\n\n", b"\xff" * 32 + b"\n\n"),
        (b"\x00" * 32 + b"\n", b"\x00" * 32 + b"\n"),
        (PEM, PEM[:-1]),  # refused by its own name afterwards
        (b"\x1f\x8b" + SECRET, b"\x1f\x8b" + SECRET),
        (b"a\0b\0\xff\xff", b"a\0b\0\xff\xff"),
        (codecs.BOM_UTF16_LE + b"\xff\xff", codecs.BOM_UTF16_LE + b"\xff\xff"),
    ],
    ids=range(12),
)
def test_a_secret_in_a_file(data, secret):
    assert _secret(data) == secret


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (SECRET + b"\n\n", "one line feed behind it at most: remove the rest"),
        (SECRET + b"\r\n\r\n", "one line feed"),
        (SECRET + b" ", "white space around the secret"),
        (SECRET + b"\t\n", "white space around the secret"),
        (b" " + SECRET, "white space around the secret"),
        (b"\n" + SECRET, "white space around the secret"),
        (SECRET + b"\n" + SECRET, "several lines"),
        (SECRET + b"\r" + SECRET, "several lines"),
        (BOM + SECRET, NO_MARK),
        (BOM + SECRET + b"\n", NO_MARK),
        (SECRET.decode().encode("utf-16"), "it is UTF-16"),
        (SECRET.decode().encode("utf-16-le"), "it is UTF-16"),
        (SECRET.decode().encode("utf-16-be"), "it is UTF-16"),
        (codecs.BOM_UTF16_BE + SECRET.decode().encode("utf-16-be"), "it is UTF-16"),
        (SECRET.decode().encode("utf-32"), "it is UTF-32"),
        (codecs.BOM_UTF32_BE + SECRET.decode().encode("utf-32-be"), "it is UTF-32"),
    ],
    ids=range(16),
)
def test_a_file_of_which_nobody_can_tell_what_is_the_secret(data, complaint):
    with pytest.raises(ConfigurationError) as refused:
        _secret(data)
    assert complaint in str(refused.value)
    assert SECRET.decode() not in str(refused.value)


# --- any text


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (BOM + b"{}", "a byte order mark: save the text as UTF-8 without one"),
        ("{}".encode("utf-16"), "it is UTF-16, not UTF-8: save it as UTF-8"),
        (b"\xfe\xff\x00{", "it is UTF-16, not UTF-8: save it as UTF-8"),
        (gzip.compress(b"{}", mtime=0), "it is compressed (gzip): decompress it first"),
        (b"\x28\xb5\x2f\xfd\xff", "it is compressed (zstd): decompress it first"),
        (b"PK\x03\x04\xff", "it is a zip archive: unpack it first"),
        (b'{"\xff": 1}', "invalid UTF-8: byte 0xff"),
        (bytes(range(256)), "invalid UTF-8: byte 0x80"),
        (b"", "expected a JSON value, found the end of the text"),
    ],
)
def test_bytes_that_are_no_json(data, complaint):
    with pytest.raises(MalformedInputError) as refused:
        parse(data)
    assert refused.value.rule == "R12.1"
    assert complaint in str(refused.value)


@pytest.mark.parametrize("data", [b"", b"{}", b"\0", b"\0\0\0\0", b"a\0", b"a\0\0\0", b"\x1f", b"\xef\xbb", b"PK"])
def test_what_is_not_recognised_is_not_guessed_at(data):
    assert encoding_fault(data) == ""


@pytest.mark.parametrize(
    ("look", "unrecognised"),
    [
        (instead_of_token, "x"),
        (instead_of_pem, b"x"),
        (instead_of_pem, b"[]"),
        (instead_of_jwks, b"x"),
        (instead_of_set, 5),
        (instead_of_set, {"a": "x"}),
    ],
)
def test_nothing_is_said_of_what_is_not_recognised(look, unrecognised):
    assert look(unrecognised) == ""
