"""Other formats that users give by mistake in place of a token, a key or a key set, each with the remedy.

These are guesses for error messages, about input that is already refused. No message contains the input, which may be a
secret.
"""

from __future__ import annotations

import base64
import binascii
import re
from contextlib import suppress
from typing import Final

from bridge.errors import MalformedInputError
from bridge.strict_json import Value, parse
from bridge.strict_json.diagnosis import encoding_fault

SSH: Final = re.compile(rb"(?:ssh-|ecdsa-sha2-)[a-z0-9-]+(?:@openssh\.com)?[ \t]+AAAA")
"""The text of an OpenSSH public key."""

_PEM: Final = re.compile(rb"^[ \t]*-----BEGIN ", re.MULTILINE)
"""A line that begins a PEM block; other lines may come before it."""

_SSH2: Final = b"---- BEGIN SSH2"
_TOKEN: Final = re.compile(rb"e[w-z\d_-][\w-]*\.[\w-]*\.[\w-]*")
_NO_TOKEN: Final = (
    (re.compile(r"[Aa]uthorization\s*:"), "it begins with `Authorization:`, the name of an HTTP header: take it off"),
    (re.compile(r"[{[]"), "it is JSON, not a token; give verified claims as an object, with --claims"),
    (re.compile(r"(?:.*\n)*-----BEGIN "), "it is a PEM text, such as a key, not a token"),
    (re.compile(r"<"), "it begins with `<`: it is a page of HTML or XML, not a token"),
    (re.compile(r"""["'`]"""), "it is in quotes, which do not belong to it: take them off"),
    (re.compile(r"\ufeff"), "it begins with a byte order mark: save it as UTF-8 without one"),
    (re.compile(r"[^.]*%2[Ee]"), "it is percent-encoded, as in a URL: decode it first"),
    (re.compile(r".*\s"), "it has white space inside, such as a line break: take it out"),
)


def instead_of_token(token: str) -> str:
    """Return what a text is that is not a compact JWS, with the remedy; empty if it is not recognized."""
    for pattern, remedy in _NO_TOKEN:
        if pattern.match(token):
            return remedy
    return ""


def instead_of_pem(data: bytes) -> str:
    """Return what a text without a PEM block is, or binary data, with the remedy; empty if it is not recognized."""
    text = data.strip()
    if not text:
        return "it is empty"
    if fault := encoding_fault(data):
        return fault
    if SSH.match(text) or text.startswith(_SSH2):
        return "it is an OpenSSH public key: turn it into PEM with `ssh-keygen -e -m PKCS8 -f FILE`"
    if kind := der_kind(data):
        command = "openssl x509 -pubkey -noout" if kind == "certificate" else "openssl pkey -pubin"
        return f"it is a {kind} in binary (DER): turn it into PEM with `{command} -inform DER -in FILE`"
    with suppress(binascii.Error):
        if kind := der_kind(base64.b64decode(b"".join(text.split()), validate=True)):
            lines = f"`-----BEGIN {kind.upper()}-----`"
            return f"it is the base64 of a {kind} without the lines around it ({lines}): add them"
    if _TOKEN.fullmatch(text):
        return "it is a token, not a key"
    return _json_instead_of_pem(text)


def instead_of_jwks(data: bytes) -> str:
    """Return what a text is that is not JSON, with the remedy; empty if it is not recognized."""
    if not data.strip():
        return "it is empty"
    if fault := encoding_fault(data):
        return fault
    if _PEM.search(data):
        return "it is a PEM text, not JSON: give it as one key (`StaticKey.from_pem`, --key)"
    if data.lstrip().startswith(b"<"):
        return "it is a page of HTML or XML, not JSON"
    return ""


def instead_of_set(document: Value) -> str:
    """Return what a JSON document is that is not a JWK set, with the remedy; empty if it is not recognized."""
    if isinstance(document, list):
        return 'it is an array: write {"keys": ...} around it'
    if not isinstance(document, dict):
        return ""
    if "kty" in document:
        return 'it is one key (JWK): write {"keys": [...]} around it'
    if "jwks_uri" in document:
        return "it is an OpenID configuration: give the URL in its `jwks_uri`"
    return ""


def der_kind(data: bytes) -> str:
    """Return `public key` or `certificate` for bytes that are one in DER; empty for others."""
    from cryptography import x509  # noqa: PLC0415 - cryptography takes long to import
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415

    for kind, load in (("public key", load_der_public_key), ("certificate", x509.load_der_x509_certificate)):
        try:
            load(data)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
        return kind
    return ""


def _json_instead_of_pem(text: bytes) -> str:
    try:
        document = parse(text)
    except MalformedInputError:
        return "it is a page of HTML or XML" if text.startswith(b"<") else ""
    if isinstance(document, dict) and "kty" in document:
        return 'it is a JWK, not PEM: give it to `StaticKey.from_jwk`, or in a set, {"keys": [...]}, to --jwks'
    if isinstance(document, dict) and "keys" in document:
        return "it is a set of keys (JWKS), not PEM: give it to `JwkSet`, `JwksFile` or --jwks"
    return ""
