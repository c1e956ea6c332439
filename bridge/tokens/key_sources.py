"""Where a token's key comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from bridge.errors import ConfigurationError, UsageError
from bridge.files import KEY_BYTES, read_file
from bridge.process_bound import ProcessBound
from bridge.tokens.algorithms import UnusableKeyError
from bridge.tokens.jwk import document_from, key_from_jwk
from bridge.tokens.keys import VerificationKey, material_from_pem
from bridge.tokens.wording import quoted, setting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes


@runtime_checkable
class KeySource(Protocol):
    """Finds the key of a token by its `kid`, which is all that a source is ever told about a token."""

    def check(self, algorithms: Sequence[str]) -> None:
        """Refuse, when the verifier is made, `algorithms` that this source's keys can never have.

        Raises:
            ConfigurationError: Some setting makes no sense with these keys.
        """

    def key_for(self, kid: str | None) -> VerificationKey:
        """The key that must have signed the token with this `kid` (None: it has none).

        Raises:
            UnknownKeyError: There is no usable key, or more than one, of that `kid`.
            KeysUnavailableError: The keys cannot be had now.
        """


@dataclass(frozen=True, slots=True, repr=False)
class StaticKey(ProcessBound):
    """One fixed key, whatever the token's `kid`; made by one of the `from_` constructors.

    Attributes:
        key: The key.
    """

    key: VerificationKey

    def __repr__(self) -> str:
        return f"StaticKey({self.key.kind})"

    @classmethod
    def from_public_key(cls, key: PublicKeyTypes) -> Self:
        """From a public key object of `cryptography`.

        Raises:
            ConfigurationError: A private key, a weak one, or a kind that no algorithm has.
        """
        if isinstance(key, bytes | str):
            raise ConfigurationError("key: a public key object is needed; there are from_pem and from_secret for texts")
        return cls._made(key)

    @classmethod
    def from_pem(cls, text: str | bytes) -> Self:
        """From the PEM text of one public key (`PUBLIC KEY` or `RSA PUBLIC KEY`).

        Raises:
            ConfigurationError: A private key, a certificate, more than one block, or a weak key.
        """
        try:
            material = material_from_pem(text)
        except UnusableKeyError as refused:
            raise ConfigurationError(f"key: {refused}") from None
        return cls._made(material)

    @classmethod
    def from_pem_file(cls, path: str | Path) -> Self:
        """From a file that holds what `from_pem` takes; it is read once.

        Raises:
            ConfigurationError: The file cannot be read, or what `from_pem` refuses.
        """
        name = f"key file {setting(path)}"
        try:
            text = read_file(path, limit=KEY_BYTES, what="a key in PEM", name=name)
        except OSError as error:
            raise ConfigurationError(f"{name}: {error.strerror or 'it cannot be read'}") from None
        except UsageError as error:
            raise ConfigurationError(str(error)) from None
        return cls.from_pem(text)

    @classmethod
    def from_jwk(cls, jwk: str | bytes | Mapping[str, object]) -> Self:
        """From one JWK (RFC 7517), as JSON text or as an object; `oct` is an HMAC secret.

        Raises:
            ConfigurationError: It is malformed, private, weak, or not for verifying signatures.
        """
        try:
            return cls(key_from_jwk(document_from(jwk)))
        except UnusableKeyError as refused:
            raise ConfigurationError(f"key: {refused}") from None

    @classmethod
    def from_secret(cls, secret: bytes) -> Self:
        """From an HMAC secret, at least as long as the hash: 32, 48 or 64 bytes for HS256, HS384 or HS512.

        Raises:
            ConfigurationError: It is too short, no bytes, or the text of a public key, a certificate or a JWK.
        """
        if type(secret) is not bytes:
            raise ConfigurationError("key: an HMAC secret must be bytes")
        return cls._made(secret)

    @classmethod
    def _made(cls, material: object) -> Self:
        try:
            return cls(VerificationKey.of(material))
        except UnusableKeyError as refused:
            raise ConfigurationError(f"key: {refused}") from None

    def check(self, algorithms: Sequence[str]) -> None:
        """Refuse any algorithm that is not one for this key.

        Raises:
            ConfigurationError: One of `algorithms` does not fit the key.
        """
        for name in algorithms:
            if name not in self.key.algorithms:
                raise ConfigurationError(
                    f"algorithms: {quoted(name)} does not fit the key ({self.key.kind}),"
                    f" which is for {', '.join(self.key.algorithms)}"
                )

    def key_for(self, kid: str | None) -> VerificationKey:  # noqa: ARG002 - the one key is for every token
        """The key."""
        return self.key


def source_from(key: object) -> KeySource:
    """The setting `key` as a source.

    A bare text is PEM. It is never taken for an HMAC secret: a secret says so, with `StaticKey.from_secret`.

    Raises:
        ConfigurationError: It is no source, no PEM text and no public key object.
    """
    if isinstance(key, str | bytes):
        try:
            return StaticKey.from_pem(key)
        except ConfigurationError as error:
            raise ConfigurationError(f"{error} (an HMAC secret is given by `StaticKey.from_secret`)") from None
    if isinstance(key, KeySource) and not isinstance(key, type):
        return key
    return StaticKey._made(key)  # noqa: SLF001 - says best what is wrong with an object that is no public key
