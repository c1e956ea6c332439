"""Keys, signatures and tokens. Use the keys of `pem/` for the vectors only."""

from __future__ import annotations

import base64
import functools
import hmac
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

KEYS = Path(__file__).resolve().parent / "pem"
FOLDER = Path(__file__).resolve().parents[2] / "tests" / "vectors" / "tokens"

NOW = 1_700_000_000
FAR = 4_102_444_800  # the first second of 2100
POLICY = {"version": 2, "devices": {"id": "device-1"}}
CLAIMS = {"sub": "agent@example.com", "exp": FAR, "policy": POLICY}
SECRET = bytes(range(0x20, 0x60))
RSA_NAMES = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CURVES = {"p256": ("P-256", 32), "p384": ("P-384", 48), "p521": ("P-521", 66), "secp256k1": ("secp256k1", 32)}


@functools.cache
def private(name: str) -> Any:
    return load_pem_private_key((KEYS / f"{name}.pem").read_bytes(), None)


def pem(name: str) -> str:
    return private(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem(name: str) -> str:
    return private(name).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def jwk(name: str, kid: str | None = None, **more: Any) -> dict[str, Any]:
    """Return the public JWK, without members that are None."""
    if name.startswith("secret"):
        key: dict[str, Any] = {"kty": "oct", "k": b64(SECRET[: int(name[6:])])}
    elif name.startswith("rsa"):
        numbers = private(name).public_key().public_numbers()
        key = {"kty": "RSA", "n": b64(number(numbers.n)), "e": b64(number(numbers.e))}
    elif name in CURVES or name == "p256_other":
        numbers = private(name).public_key().public_numbers()
        curve, size = CURVES[name.removesuffix("_other")]
        key = {"kty": "EC", "crv": curve, "x": b64(number(numbers.x, size)), "y": b64(number(numbers.y, size))}
    else:
        raw = private(name).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        key = {"kty": "OKP", "crv": name.partition("_")[0].capitalize(), "x": b64(raw)}
    return {name: value for name, value in {**key, "kid": kid, **more}.items() if value is not None}


def number(value: int, size: int | None = None) -> bytes:
    return value.to_bytes(size or (value.bit_length() + 7) // 8, "big")


def jwks(*keys: dict[str, Any]) -> dict[str, Any]:
    return {"jwks": {"keys": list(keys)}}


def secret(size: int) -> dict[str, str]:
    return {"secret_base64": base64.b64encode(SECRET[:size]).decode()}


def secret_of(text: str | bytes) -> dict[str, str]:
    return {"secret_base64": base64.b64encode(text.encode() if isinstance(text, str) else text).decode()}


def self_signed(name: str) -> bytes:
    """Return a certificate of a key in DER, always the same one."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "attacker.example")])
    key = private(name)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1)
    builder = builder.not_valid_before(datetime(2024, 1, 1, tzinfo=UTC))
    builder = builder.not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def b64(data: str | bytes) -> str:
    return base64.urlsafe_b64encode(data.encode() if isinstance(data, str) else data).rstrip(b"=").decode()


def text_of(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))).encode()


@functools.cache
def earlier() -> dict[str, list[bytes]]:
    """Return the signatures in the vector files, by the text that they sign."""
    signatures: dict[str, list[bytes]] = {}
    for path in FOLDER.glob("*.json"):
        for each in json.loads(path.read_text())["cases"]:
            head, _, tail = joined(each.get("token", "")).rpartition(".")
            if re.fullmatch("[A-Za-z0-9_-]+", tail) and len(tail) % 4 != 1:
                signatures.setdefault(head, []).append(base64.urlsafe_b64decode(tail + "=" * (-len(tail) % 4)))
    return signatures


def signature(message: str, alg: str, key: str | bytes) -> bytes:
    """Return a signature by a named key, or by the bytes of a secret."""
    data, hash_ = message.encode(), HASHES.get(alg[-3:], hashes.SHA256)()
    if isinstance(key, bytes):
        return hmac.digest(key, data, hash_.name)
    signer = private(key)
    if alg.startswith("RS"):
        return signer.sign(data, padding.PKCS1v15(), hash_)
    if alg == "EdDSA":
        return signer.sign(data)
    if alg.startswith("PS"):
        scheme = padding.PSS(padding.MGF1(hash_), hash_.digest_size)
        return kept(message, lambda each: signer.public_key().verify(each, data, scheme, hash_)) or signer.sign(
            data, scheme, hash_
        )
    size = (signer.curve.key_size + 7) // 8

    def verify(each: bytes) -> None:
        r, s = (int.from_bytes(half, "big") for half in (each[:size], each[size:]))
        signer.public_key().verify(encode_dss_signature(r, s), data, ec.ECDSA(hash_))

    if reused := kept(message, verify):
        return reused
    r, s = decode_dss_signature(signer.sign(data, ec.ECDSA(hash_)))
    return number(r, size) + number(s, size)


def kept(message: str, verify: Any) -> bytes | None:
    for each in earlier().get(message, ()):
        try:
            verify(each)
        except (InvalidSignature, ValueError):
            continue
        return each
    return None


def token(
    claims: Any = CLAIMS, *, key: str | bytes = "rsa", alg: str = "RS256", header: Any = None, **more: Any
) -> str:
    """Return a signed token; a header or claims given as text or bytes are used unchanged."""
    head = {"alg": alg, **more} if header is None else header
    return signed(f"{b64(text_of(head))}.{b64(text_of(claims))}", alg, key)


def signed(message: str, alg: str = "RS256", key: str | bytes = "rsa") -> str:
    return f"{message}.{b64(signature(message, alg, key))}"


def having(**more: Any) -> dict[str, Any]:
    """Return the usual claims and these, without those that are `...`."""
    return {name: value for name, value in {**CLAIMS, **more}.items() if value is not ...}


def spelled(member: str, exp: object = FAR) -> str:
    """Return the usual claims as text, with one more member."""
    return text_of({**CLAIMS, "exp": exp}).decode()[:-1] + "," + member + "}"


def joined(value: str | list[Any]) -> str:
    each = [value] if isinstance(value, str) else value
    return "".join(part if isinstance(part, str) else part["repeat"] * part["times"] for part in each)
