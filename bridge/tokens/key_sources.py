"""Sources of keys: the protocol, one fixed key, and a fixed set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Protocol, Self, runtime_checkable

from bridge.errors import ConfigurationError, UsageError
from bridge.escapes import quoted, quoted_setting
from bridge.files import KEY_BYTES, read_file
from bridge.process_bound import ProcessBound
from bridge.tokens.jwk import KeySet, document_from, key_from_jwk
from bridge.tokens.keys import PublicKey, UnusableKeyError, VerificationKey, material_from_pem


@runtime_checkable
class KeySource(Protocol):
    """A source that finds the key of a token by its `kid`; it gets nothing else of the token."""

    def check(self, algorithms: Sequence[str]) -> None:
        """Refuse `algorithms` that no key of this source can have; called when the verifier is made.

        Raises:
            ConfigurationError: An algorithm does not fit these keys.
        """

    def key_for(self, kid: str | None) -> VerificationKey:
        """Return the key that must have signed the token with this `kid` (None: the token has none).

        Raises:
            UnknownKeyError: No usable key, or more than one, has that `kid`.
            KeysUnavailableError: The keys are unavailable now.
        """


@dataclass(frozen=True, slots=True, repr=False)
class StaticKey(ProcessBound):
    """One fixed key for every `kid`; one of the `from_` constructors makes it.

    Attributes:
        key: The key.
    """

    key: VerificationKey

    def __repr__(self) -> str:
        return f"StaticKey({self.key.kind})"

    @classmethod
    def from_public_key(cls, key: PublicKey) -> Self:
        """Make it from a public key object of `cryptography`.

        Raises:
            ConfigurationError: The key is private, weak, or of a kind that no algorithm has.
        """
        if isinstance(key, bytes | str):
            raise ConfigurationError("key: give a public key object; for a text, use `from_pem` or `from_secret`")
        return cls._of(key)

    @classmethod
    def from_pem(cls, text: str | bytes) -> Self:
        """Make it from the PEM text of one public key (`PUBLIC KEY` or `RSA PUBLIC KEY`).

        Raises:
            ConfigurationError: It is a private key, a certificate, more than one block, or a weak key.
        """
        try:
            material = material_from_pem(text)
        except UnusableKeyError as error:
            raise ConfigurationError(f"key: {error}") from None
        return cls._of(material)

    @classmethod
    def from_pem_file(cls, path: str | PathLike[str]) -> Self:
        """Make it from a PEM file of one public key; the file is read once.

        Raises:
            ConfigurationError: The file cannot be read, or `from_pem` refuses its text.
        """
        name = f"key file {quoted_setting(path)}"
        try:
            text = read_file(path, limit=KEY_BYTES, what="a key in PEM", name=name)
        except OSError as error:
            raise ConfigurationError(f"{name}: {error.strerror or 'it cannot be read'}") from None
        except UsageError as error:
            raise ConfigurationError(str(error)) from None
        return cls.from_pem(text)

    @classmethod
    def from_jwk(cls, jwk: str | bytes | Mapping[str, object]) -> Self:
        """Make it from one JWK (RFC 7517), as JSON text or as an object; `oct` is an HMAC secret.

        Raises:
            ConfigurationError: It is malformed, private, weak, or not for verifying signatures.
        """
        try:
            return cls(key_from_jwk(document_from(jwk)))
        except UnusableKeyError as error:
            raise ConfigurationError(f"key: {error}") from None

    @classmethod
    def from_secret(cls, secret: bytes) -> Self:
        """Make it from an HMAC secret of at least 32, 48 or 64 bytes for HS256, HS384 or HS512.

        Raises:
            ConfigurationError: It is too short, not `bytes`, or the text of a public key, a certificate or a JWK.
        """
        if type(secret) is not bytes:
            raise ConfigurationError("key: an HMAC secret must be bytes, as in `secret.encode()`")
        return cls._of(secret)

    @classmethod
    def _of(cls, material: object) -> Self:
        try:
            return cls(VerificationKey.of(material))
        except UnusableKeyError as error:
            raise ConfigurationError(f"key: {error}") from None

    def check(self, algorithms: Sequence[str]) -> None:
        """Refuse an algorithm that does not fit this key.

        Raises:
            ConfigurationError: One of `algorithms` does not fit the key.
        """
        for name in algorithms:
            if name not in self.key.algorithms:
                raise ConfigurationError(
                    f"algorithms: {quoted(name)} does not fit the key ({self.key.kind}),"
                    f" which is for {', '.join(self.key.algorithms)}: set `algorithms` to these"
                )

    def key_for(self, kid: str | None) -> VerificationKey:  # noqa: ARG002 - every token has the same key
        """Return the key."""
        return self.key


class JwkSet(ProcessBound):
    """A fixed set of keys; a token's `kid` chooses its key.

    `oct` keys (HMAC secrets) are used only if the set has no other keys: a set with public keys may be published, and a
    published secret is not secret.

    Args:
        document: `{"keys": [...]}` (RFC 7517, section 5), as JSON text or as an object.

    Raises:
        ConfigurationError: It is not a JWK set, or it breaks R12.
    """

    __slots__ = ("_keys",)

    def __init__(self, document: str | bytes | Mapping[str, object]) -> None:
        try:
            self._keys = KeySet.of(document_from(document), published=False)
        except UnusableKeyError as error:
            raise ConfigurationError(f"key set: {error}") from None

    def __repr__(self) -> str:
        return f"JwkSet({len(self._keys.keys)} keys)"

    def check(self, algorithms: Sequence[str]) -> None:
        """Refuse a set in which no key fits any of the algorithms.

        Raises:
            ConfigurationError: No key fits.
        """
        usable = [key for key in self._keys.keys.values() if isinstance(key, VerificationKey)]
        if not any(name in key.algorithms for key in usable for name in algorithms):
            reasons = {f"{quoted(kid)}: {why}" for kid, why in self._keys.keys.items() if isinstance(why, str)}
            refused = f" (refused: {'; '.join(sorted(reasons)[:3])})" if reasons else ""
            cause = f"no key with a `kid` fits {', '.join(algorithms)}{refused}"
            raise ConfigurationError(f"key set: {cause}: set `algorithms`, or give other keys")

    def key_for(self, kid: str | None) -> VerificationKey:
        """Return the key with this `kid`.

        Raises:
            UnknownKeyError: The token has no `kid`; or no key, several keys or an unusable key has it.
        """
        return self._keys.key_for(kid)


def source_from(key: object) -> KeySource:
    """Return the setting `key` as a source.

    A bare text is PEM, and never an HMAC secret: `StaticKey.from_secret` takes secrets.

    Raises:
        ConfigurationError: It is neither a source, nor a PEM text, nor a public key object.
    """
    if isinstance(key, str | bytes):
        try:
            return StaticKey.from_pem(key)
        except ConfigurationError as error:
            raise ConfigurationError(f"{error} (for an HMAC secret, use `StaticKey.from_secret`)") from None
    if isinstance(key, KeySource) and not isinstance(key, type):
        return key
    return StaticKey._of(key)  # noqa: SLF001 - it has the best error text for other objects
