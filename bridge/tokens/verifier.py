"""The verifier: from a token's text to claims that may be believed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import jwt
from cryptography.exceptions import UnsupportedAlgorithm

from bridge.errors import (
    AlgorithmNotAllowedError,
    ConfigurationError,
    InvalidSignatureError,
    InvalidTokenError,
    UsageError,
)
from bridge.process_bound import ProcessBound
from bridge.tokens import claims as claim_checks
from bridge.tokens.algorithms import configured
from bridge.tokens.cache import TokenCache, VerifiedToken
from bridge.tokens.jws import CompactJws, parse_compact
from bridge.tokens.key_sources import KeySource, source_from
from bridge.tokens.keys import VerificationKey
from bridge.tokens.seconds import seconds
from bridge.tokens.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from decimal import Decimal

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    from bridge.strict_json import Value


class Opened(NamedTuple):
    """A token whose key is still to be found.

    Attributes:
        token: The token.
        kid: The key that it names, or None.
        kept: What is known of it, where it was found valid before.
        parts: Its parts, where it was not.
    """

    token: str
    kid: str | None
    kept: VerifiedToken | None
    parts: CompactJws | None


@dataclass(frozen=True, slots=True, init=False, eq=False)
class TokenVerifier(ProcessBound):
    """Verifies tokens as SEMANTICS, "Tokens", says; immutable and safe to use from many threads.

    Args:
        key: Where the keys come from: a `KeySource` (`StaticKey`, `JwkSet`, `JwksFile`, `JwksUrl`), the PEM text of
            one public key, or a public key object of `cryptography`.
        algorithms: The `alg` names that are accepted. With one fixed key each must fit it.
        audience: Whom a token must be for: one name, or several of which `aud` must contain one. With None, a token
            with `aud` is refused.
        issuer: What `iss` must be. With None, it is not looked at.
        leeway: Seconds that clocks may differ.
        required: Claims that must be there besides `exp`, whatever their value.
        clock: The time, in seconds since the epoch.
        cache: How many tokens that were found valid are kept, in at most 16 MiB, so that their signatures are not
            verified again; 0 for none. It changes no answer: their time, and their key in its source, are looked at
            each time.

    Raises:
        ConfigurationError: A setting that cannot be used.

    Attributes:
        source: Where the keys come from.
        algorithms: As given, each once.
        audience: The names, or empty.
        issuer: As given.
        leeway: Exact seconds.
        required: As given, each once.
    """

    source: KeySource
    algorithms: tuple[str, ...]
    audience: tuple[str, ...]
    issuer: str | None
    leeway: Fraction
    required: tuple[str, ...]
    _clock: Callable[[], float] = field(repr=False)
    _jws: jwt.PyJWS = field(repr=False)
    _kept: TokenCache = field(repr=False)

    def __init__(
        self,
        key: KeySource | str | bytes | PublicKeyTypes,
        *,
        algorithms: Sequence[str] = ("RS256",),
        audience: str | Sequence[str] | None = None,
        issuer: str | None = None,
        leeway: float | Decimal = 0,
        required: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
        cache: int = 1_024,
    ) -> None:
        source, names = source_from(key), configured(algorithms)
        source.check(names)
        if issuer is not None and (not isinstance(issuer, str) or not issuer):
            raise ConfigurationError("issuer: a string that is not empty is needed, or None")
        if isinstance(required, str | bytes):
            raise ConfigurationError('required: a sequence of names is needed, such as `("sub",)`, not a bare string')
        if not callable(clock):
            raise ConfigurationError("clock: a function is needed")
        if type(cache) is not int or cache < 0:
            raise ConfigurationError("cache: a number of tokens is needed, or 0")
        values = {
            "source": source,
            "algorithms": names,
            "audience": _audiences(audience),
            "issuer": issuer,
            "leeway": seconds("leeway", leeway, zero=True),
            "required": _strings("required", required),
            "_clock": clock,
            # the minimum key length is checked when a key is made; PyJWT checks again
            "_jws": jwt.PyJWS(algorithms=names, options={"enforce_minimum_key_length": True}),
            "_kept": TokenCache(cache),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def verify(self, token: str) -> dict[str, Value]:
        """The claims of `token`, after its signature, time, audience and issuer have been verified, in this order.

        Args:
            token: A JWS in compact form, at most 65,536 characters.

        Returns:
            The claims, with exact numbers (`bridge.strict_json.Value`).

        Raises:
            UsageError: The token is no `str`, or the clock gives no finite number.
            MalformedTokenError: It is no compact JWS, header or claims break R12, or a claim that is checked is of the
                wrong type.
            AlgorithmNotAllowedError: Its algorithm is not configured, or not one for its key.
            UnknownKeyError: It has no `kid`, or its `kid` names no usable key.
            KeysUnavailableError: The keys cannot be had now.
            InvalidSignatureError: The signature is not right for the key.
            ExpiredTokenError: now >= `exp` + leeway.
            ImmatureTokenError: now < `nbf` or `iat` - leeway.
            InvalidAudienceError: It is for somebody else.
            InvalidIssuerError: It is from somebody else.
            MissingRequiredClaimError: `exp`, a configured `aud` or `iss`, or another required claim is not there.
        """
        return self.verified(token).claims

    def verified(self, token: str) -> VerifiedToken:
        """The same, with the claims in canonical text; arguments and errors as for `verify`."""
        opened = self.opened(token)
        return self.verified_by(opened, self.source.key_for(opened.kid))

    def opened(self, token: str) -> Opened:
        """What there is to know of a token before its key; nothing of it is believed yet.

        Raises:
            UsageError: The token is no `str`.
            MalformedTokenError: It is no compact JWS, or its header breaks R12.
            AlgorithmNotAllowedError: Its algorithm is not configured.
        """
        kept = self._kept.find(token) if type(token) is str else None
        if kept is not None:
            return Opened(token, kept.kid, kept, None)
        parts = self._taken_apart(token)
        return Opened(token, parts.kid, None, parts)

    def verified_by(self, opened: Opened, key: VerificationKey) -> VerifiedToken:
        """The verified token, once its source has given the key for its `kid`; errors as for `verify`."""
        kept = opened.kept
        # The source is asked anew, and gives the same object only for as long as it means the same key: so one that
        # was withdrawn, has expired, or cannot be had is noticed as for a token that was never seen.
        if kept is not None and key is kept.key:
            claim_checks.check_time(kept.times, now=self._now(), leeway=self.leeway)
            return kept
        token, parts = opened.token, opened.parts or self._taken_apart(opened.token)
        if not isinstance(key, VerificationKey):
            raise UsageError("the key source gave something that is no key")
        if parts.alg not in key.algorithms:
            raise AlgorithmNotAllowedError(
                f"the token's algorithm {quoted(parts.alg)} is not one for its key ({key.kind})"
            )
        self._check_signature(token, parts.alg, key)
        claims, text = claim_checks.read(parts.payload)
        claim_checks.check_time(claims, now=self._now(), leeway=self.leeway)
        claim_checks.check_audience(claims, self.audience)
        claim_checks.check_issuer(claims, self.issuer)
        claim_checks.check_required(claims, self.required)
        times: dict[str, Value] = {name: claims[name] for name in claim_checks.TIMES if name in claims}
        verified = VerifiedToken(token, text, MappingProxyType(times), parts.kid, key)
        self._kept.keep(verified)
        return verified

    def outlasts(self, verified: VerifiedToken, seconds: float) -> bool:
        """Whether a verified token holds for others too, who have no leeway, from now until so many seconds from now.

        Their clocks may differ from this one's by as much as the leeway.

        Args:
            verified: What `verified` gave.
            seconds: 0 or more.
        """
        now = self._now()
        try:
            for moment in (now, now + Fraction(seconds)):
                claim_checks.check_time(verified.times, now=moment, leeway=-self.leeway)  # to the token's disadvantage
        except InvalidTokenError:
            return False
        return True

    def alike(
        self,
        source: KeySource,
        *,
        algorithms: Sequence[str],
        audience: Sequence[str],
        issuer: str | None,
        required: Sequence[str],
    ) -> TokenVerifier:
        """A verifier with other keys and demands, but with the clock, the leeway and the cache's size of this one.

        Raises:
            ConfigurationError: A setting that cannot be used.
        """
        made = TokenVerifier(
            source,
            algorithms=algorithms,
            audience=audience or None,
            issuer=issuer,
            required=required,
            clock=self._clock,
            cache=self._kept.most,
        )
        object.__setattr__(made, "leeway", self.leeway)  # exactly
        return made

    def _taken_apart(self, token: str) -> CompactJws:
        parts = parse_compact(token)
        if parts.alg.lower() == "none":
            raise AlgorithmNotAllowedError(
                "the token is not signed (its `alg` is `none`), and such a token proves nothing"
            )
        if parts.alg not in self.algorithms:
            accepted = ", ".join(self.algorithms)
            raise AlgorithmNotAllowedError(
                f"the token's algorithm {quoted(parts.alg)} is not accepted here, only {accepted}"
            )
        return parts

    def _check_signature(self, token: str, alg: str, key: VerificationKey) -> None:
        try:
            self._jws.decode_complete(token, key.material, algorithms=[alg])
        except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError):
            # without the cause: its text could quote the token
            blank = ""
            if isinstance(key.material, bytes) and key.material.strip() != key.material:
                blank = "; the secret has white space around it: is that a part of it?"
            raise InvalidSignatureError(
                f"the token's signature is not right for the key: another key has signed it, or it was changed{blank}"
            ) from None

    def _now(self) -> Fraction:
        try:
            return Fraction(self._clock())
        except (ValueError, OverflowError, TypeError):
            raise UsageError("the clock gave no finite number") from None


def _audiences(audience: str | Sequence[str] | None) -> tuple[str, ...]:
    if audience is None:
        return ()
    names = _strings("audience", (audience,) if isinstance(audience, str) else audience)
    if not names:
        raise ConfigurationError("audience: at least one is needed, or None where tokens have none")
    return names


def _strings(name: str, values: Iterable[object]) -> tuple[str, ...]:
    try:
        found = tuple(values)
    except TypeError:
        raise ConfigurationError(f"{name}: a sequence of strings is needed") from None
    strings = tuple(value for value in found if isinstance(value, str) and value)
    if len(strings) != len(found):
        raise ConfigurationError(f"{name}: each must be a string that is not empty")
    return tuple(dict.fromkeys(strings))
