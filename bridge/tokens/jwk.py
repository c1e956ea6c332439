"""JSON Web Keys and sets of them (RFC 7517, RFC 7518 section 6, RFC 8037)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from bridge.errors import MalformedInputError, UnknownKeyError
from bridge.escapes import quoted
from bridge.strict_json import Value, encode, parse
from bridge.tokens.jws import Base64urlError, decode_base64url
from bridge.tokens.keys import UnusableKeyError, VerificationKey
from bridge.tokens.wrong_format import instead_of_jwks, instead_of_set

Jwk: TypeAlias = dict[str, Value]

_PRIVATE_MEMBERS: Final = ("d", "p", "q", "dp", "dq", "qi", "oth")
_COORDINATE_BYTES: Final = {"P-256": 32, "P-384": 48, "P-521": 66}
_BROKEN: Final = {
    "R12.2": ": an object has two members of one name",
    "R12.3": ": a string has an unpaired surrogate",
    "R12.4": ": it is nested too deep",
    "R12.5": ": a number has too many digits, or is too large or too small",
}
_IN_PUBLISHED_SET: Final = "it is an HMAC secret, and a set behind a URL is not secret; use a public key"
_AMONG_PUBLIC_KEYS: Final = "it is an HMAC secret among public keys, and such a set may be published; separate them"
_DUPLICATE: Final = "the set has more than one key with it; give each key its own `kid`"


def document_from(jwk: str | bytes | Mapping[str, object]) -> Value:
    """Return a JWK or a JWK set, given as JSON text or as an object, as a strict JSON value (R12).

    Raises:
        UnusableKeyError: It breaks R12. The error has only the rule and the place, because the text may hold a secret.
    """
    try:
        return parse(jwk if isinstance(jwk, str | bytes) else encode(jwk))
    except MalformedInputError as error:
        data = jwk.encode("utf-8", "surrogatepass") if isinstance(jwk, str) else jwk
        if isinstance(data, bytes) and (remedy := instead_of_jwks(data)):
            raise UnusableKeyError(f"not JSON: {remedy}") from None
        place = f", line {error.line}, column {error.column}" if error.line is not None else ""
        why = _BROKEN.get(error.rule, "")
        raise UnusableKeyError(f"the JSON is not well-formed ({error.rule}{place}){why}") from None


def key_from_jwk(jwk: Value) -> VerificationKey:
    """Return the key of a JWK, a JSON object.

    A private JWK is refused rather than reduced to its public part: a published private key is compromised.

    Raises:
        UnusableKeyError: It is private, not for verifying signatures by its `use`, `key_ops` or `alg`, weak,
            malformed, or of a kind that is not supported.
    """
    if not isinstance(jwk, dict):
        raise UnusableKeyError("not a JWK: it is not a JSON object")
    kty = _text(jwk, "kty")
    if kty not in _READERS:
        raise UnusableKeyError(f"its `kty` {quoted(kty)} is not supported")
    if kty != "oct" and any(name in jwk for name in _PRIVATE_MEMBERS):
        raise UnusableKeyError("it is a private key, so everyone who has the set could sign; give the public key")
    if "use" in jwk and jwk["use"] != "sig":
        raise UnusableKeyError("its `use` is not `sig`")
    if "key_ops" in jwk:
        operations = jwk["key_ops"]
        if not isinstance(operations, list) or "verify" not in operations:
            raise UnusableKeyError("its `key_ops` do not contain `verify`")
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - cryptography takes long to import

    only = _text(jwk, "alg") if "alg" in jwk else None
    try:
        material = _READERS[kty](jwk)
    except UnusableKeyError:
        raise
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKeyError("its numbers are not a valid key") from None
    return VerificationKey.of(material, only=only)


def _rsa(jwk: Jwk) -> object:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers  # noqa: PLC0415

    exponent, modulus = (int.from_bytes(_bytes(jwk, name), "big") for name in ("e", "n"))
    return RSAPublicNumbers(exponent, modulus).public_key()


def _ec(jwk: Jwk) -> object:
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    curves: dict[str, Callable[[], ec.EllipticCurve]] = {
        "P-256": ec.SECP256R1,
        "P-384": ec.SECP384R1,
        "P-521": ec.SECP521R1,
    }
    name = _text(jwk, "crv")
    if name not in curves:
        raise UnusableKeyError(f"its `crv` {quoted(name)} is not supported")
    size = _COORDINATE_BYTES[name]
    x, y = _bytes(jwk, "x"), _bytes(jwk, "y")
    if len(x) != size or len(y) != size:
        raise UnusableKeyError(f"its `x` and `y` are not {size} bytes each")
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curves[name]())
    return numbers.public_key()


def _okp(jwk: Jwk) -> object:
    from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    readers: dict[str, Callable[[bytes], object]] = {
        "Ed25519": Ed25519PublicKey.from_public_bytes,
        "Ed448": Ed448PublicKey.from_public_bytes,
    }
    name = _text(jwk, "crv")
    if name not in readers:
        raise UnusableKeyError(f"its `crv` {quoted(name)} is not supported")
    return readers[name](_bytes(jwk, "x"))


def _oct(jwk: Jwk) -> object:
    return _bytes(jwk, "k")


_READERS: Final[dict[str, Callable[[Jwk], object]]] = {"RSA": _rsa, "EC": _ec, "OKP": _okp, "oct": _oct}


def _text(jwk: Jwk, name: str) -> str:
    value = jwk.get(name)
    if not isinstance(value, str):
        raise UnusableKeyError(f"its `{name}` is missing or not a string")
    return value


def _bytes(jwk: Jwk, name: str) -> bytes:
    try:
        return decode_base64url(_text(jwk, name))
    except Base64urlError as error:
        raise UnusableKeyError(f"its `{name}` is not base64url: it has {error}") from None


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of one document.

    Families may be mixed: the token's `alg` must fit the one key that its `kid` names. An unusable key is kept as its
    reason, for the error of a token that names it; the other keys remain usable (RFC 7517, section 5). A key without a
    `kid` cannot be named and is left out.

    Attributes:
        keys: By `kid`: the key, or the reason why it is unusable.
        unnamed: The number of keys without a `kid`.
    """

    keys: Mapping[str, VerificationKey | str]
    unnamed: int

    @classmethod
    def of(cls, document: Value, *, published: bool) -> KeySet:
        """Return the set in a JSON document.

        HMAC secrets are usable only in a set that is not `published` and has no other keys.

        Args:
            document: The parsed document, `{"keys": [...]}`.
            published: Whether others can read it too.

        Raises:
            UnusableKeyError: The document is not a JWK set. (One unusable key leaves the others usable.)
        """
        members = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(members, list):
            remedy = instead_of_set(document)
            raise UnusableKeyError(f"not a JWK set: it has no array `keys`{'; ' if remedy else ''}{remedy}")
        jwks: list[Jwk] = []
        for member in members:
            if not isinstance(member, dict):
                raise UnusableKeyError("not a JWK set: an item of `keys` is not an object")
            jwks.append(member)
        no_secrets = ""
        if published:
            no_secrets = _IN_PUBLISHED_SET
        elif any(jwk.get("kty") != "oct" for jwk in jwks):
            no_secrets = _AMONG_PUBLIC_KEYS
        keys: dict[str, VerificationKey | str] = {}
        for jwk in jwks:
            kid = jwk.get("kid")
            if isinstance(kid, str):
                keys[kid] = _DUPLICATE if kid in keys else _key_or_reason(jwk, no_secrets)
        return cls(keys, sum(not isinstance(jwk.get("kid"), str) for jwk in jwks))

    def __contains__(self, kid: object) -> bool:
        """Return whether the set has a key with this `kid`, usable or not."""
        return kid in self.keys

    def key_for(self, kid: str | None) -> VerificationKey:
        """Return the one usable key with this `kid`.

        Raises:
            UnknownKeyError: The token has no `kid`; or no key, several keys or an unusable key has it.
        """
        name = kid_of(kid)
        key = self.keys.get(name) or self._reason_for_none()
        if isinstance(key, str):
            raise UnknownKeyError(f"no key for the `kid` {quoted(name)}: {key}")
        return key

    def _reason_for_none(self) -> str:
        if not self.keys and not self.unnamed:
            return "the set has no keys at all"
        if self.unnamed:
            return f"the set has no key with it, and {self.unnamed:,} without a `kid`, which no token can name"
        return "the set has no key with it; is it the set of the token's issuer?"


def kid_of(kid: str | None) -> str:
    """Return the `kid`, which a token must have if its key is in a set.

    Raises:
        UnknownKeyError: It is None.
    """
    if kid is None:
        raise UnknownKeyError(
            "the token has no `kid`, which chooses the key in a set: give the one key of its issuer in PEM, not the set"
        )
    return kid


def _key_or_reason(jwk: Jwk, no_secrets: str) -> VerificationKey | str:
    if no_secrets and jwk.get("kty") == "oct":
        return no_secrets
    try:
        return key_from_jwk(jwk)
    except UnusableKeyError as error:
        return str(error)
