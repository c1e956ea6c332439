"""The verifier: from a token's text to verified claims."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, NamedTuple

from bridge.errors import (
    AlgorithmNotAllowedError,
    ConfigurationError,
    InvalidSignatureError,
    InvalidTokenError,
    UsageError,
)
from bridge.escapes import quoted
from bridge.process_bound import ProcessBound
from bridge.strict_json import Value
from bridge.tokens import claims as claim_checks
from bridge.tokens.cache import TokenCache, VerifiedToken
from bridge.tokens.jws import CompactJws, parse_compact
from bridge.tokens.key_sources import KeySource, source_from
from bridge.tokens.keys import PublicKey, VerificationKey, checked_algorithms


class ParsedToken(NamedTuple):
    """A token before its key is found; nothing of it is trusted.

    Attributes:
        token: The token.
        kid: Its key id, or None.
        cached: The verified token of the cache, or None.
        parts: Its parts if it is not in the cache, or None.
    """

    token: str
    kid: str | None
    cached: VerifiedToken | None
    parts: CompactJws | None


@dataclass(frozen=True, slots=True, init=False, eq=False)
class TokenVerifier(ProcessBound):
    """A verifier of tokens by the rules of SEMANTICS, "Tokens"; it is immutable, and threads may share it.

    Args:
        key: The source of keys: a `KeySource` (`StaticKey`, `JwkSet`, `JwksFile`, `JwksUrl`), the PEM text of one
            public key, or a public key object of `cryptography`.
        algorithms: The accepted `alg` names. With one fixed key, each must fit it.
        audience: The accepted audience, or several; `aud` must contain one of them. With None, a token with `aud` is
            refused.
        issuer: The required `iss`. With None, `iss` may be anything.
        leeway: Seconds that clocks may differ.
        required: Claims that a token must have besides `exp`, with any value.
        clock: A function that returns the time, in seconds since the epoch.
        cache: The maximum number of verified tokens in the cache (at most 16 MiB), so that their signatures are not
            verified again; 0 for no cache. It changes no result: the time of a token, and its key in the source, are
            checked each time.

    Raises:
        ConfigurationError: A setting cannot be used.

    Attributes:
        source: The source of keys.
        algorithms: The accepted `alg` names, each once.
        audience: The accepted audiences, or empty.
        issuer: The required issuer, or None.
        leeway: Exact seconds.
        required: The required claims, each once.
    """

    source: KeySource
    algorithms: tuple[str, ...]
    audience: tuple[str, ...]
    issuer: str | None
    leeway: Fraction
    required: tuple[str, ...]
    _clock: Callable[[], float] = field(repr=False)
    _jws: Any = field(repr=False)
    _cache: TokenCache = field(repr=False)

    def __init__(
        self,
        key: KeySource | str | bytes | PublicKey,
        *,
        algorithms: Iterable[str] = ("RS256",),
        audience: str | Iterable[str] | None = None,
        issuer: str | None = None,
        leeway: float | Decimal = 0,
        required: Iterable[str] = (),
        clock: Callable[[], float] = time.time,
        cache: int = 1_024,
    ) -> None:
        from jwt import PyJWS  # noqa: PLC0415 - it takes long to import

        source, names = source_from(key), checked_algorithms(algorithms)
        source.check(names)
        if issuer is not None and (not isinstance(issuer, str) or not issuer):
            raise ConfigurationError("issuer: give a string that is not empty, or None")
        if isinstance(required, str | bytes):
            raise ConfigurationError('required: give a sequence of names, such as `("sub",)`, not a bare string')
        if not callable(clock):
            raise ConfigurationError("clock: give a function that returns seconds, such as `time.time`")
        if type(cache) is not int or cache < 0:
            raise ConfigurationError("cache: give a number of tokens, or 0")
        values = {
            "source": source,
            "algorithms": names,
            "audience": _audiences(audience),
            "issuer": issuer,
            "leeway": claim_checks.exact_seconds("leeway", leeway, zero=True),
            "required": _strings("required", required),
            "_clock": clock,
            # the minimum key length is checked when a key is made; PyJWT checks again
            "_jws": PyJWS(algorithms=names, options={"enforce_minimum_key_length": True}),
            "_cache": TokenCache(cache),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def verify(self, token: str) -> dict[str, Value]:
        """Verify the signature, time, audience and issuer of a token, in this order, and return its claims.

        Args:
            token: A JWS in compact form, at most 65,536 characters.

        Returns:
            The claims, with exact numbers (`bridge.strict_json.Value`).

        Raises:
            UsageError: The token is not a `str`, or the clock returns no finite number.
            MalformedTokenError: It is not a compact JWS, header or claims break R12, or a checked claim has the wrong
                type.
            AlgorithmNotAllowedError: Its algorithm is not configured, or does not fit its key.
            UnknownKeyError: It has no `kid`, or its `kid` names no usable key.
            KeysUnavailableError: The keys are unavailable now.
            InvalidSignatureError: The signature does not fit the key.
            ExpiredTokenError: now >= `exp` + leeway.
            ImmatureTokenError: now < `nbf` or `iat` - leeway.
            InvalidAudienceError: It is for another audience.
            InvalidIssuerError: It is from another issuer.
            MissingRequiredClaimError: `exp`, a configured `aud` or `iss`, or another required claim is missing.
        """
        return self.verified(token).claims

    def verified(self, token: str) -> VerifiedToken:
        """Verify a token and return it with its claims in canonical text; arguments and errors as for `verify`."""
        parsed = self.parse(token)
        return self.verify_with(parsed, self.source.key_for(parsed.kid))

    def parse(self, token: str) -> ParsedToken:
        """Parse a token without its key, which its `kid` names.

        Raises:
            UsageError: The token is not a `str`.
            MalformedTokenError: It is not a compact JWS, or its header breaks R12.
            AlgorithmNotAllowedError: Its algorithm is not configured.
        """
        cached = self._cache.find(token) if type(token) is str else None
        if cached is not None:
            return ParsedToken(token, cached.kid, cached, None)
        parts = self._parts(token)
        return ParsedToken(token, parts.kid, None, parts)

    def verify_with(self, parsed: ParsedToken, key: VerificationKey) -> VerifiedToken:
        """Verify a token with the key that the source has returned for its `kid`; errors as for `verify`."""
        cached = parsed.cached
        # The source is called for every token, and returns the same object only while it means the same key. So a key
        # that was withdrawn, has expired or is unavailable has the same effect as for a token that is not cached.
        if cached is not None and key is cached.key:
            claim_checks.check_time(cached.times, now=self._now(), leeway=self.leeway)
            return cached
        token, parts = parsed.token, parsed.parts or self._parts(parsed.token)
        if not isinstance(key, VerificationKey):
            raise UsageError("the key source returned something else than a `VerificationKey`: make it return one")
        if parts.alg not in key.algorithms:
            raise AlgorithmNotAllowedError(
                f"the token's algorithm {quoted(parts.alg)} does not fit its key ({key.kind}); is it the issuer's key?"
            )
        self._check_signature(token, parts.alg, key)
        claims, text = claim_checks.read_claims(parts.payload)
        claim_checks.check_time(claims, now=self._now(), leeway=self.leeway)
        claim_checks.check_audience(claims, self.audience)
        claim_checks.check_issuer(claims, self.issuer)
        claim_checks.check_required(claims, self.required)
        times: dict[str, Value] = {name: claims[name] for name in claim_checks.TIMES if name in claims}
        verified = VerifiedToken(token, text, MappingProxyType(times), parts.kid, key)
        self._cache.add(verified)
        return verified

    def outlasts(self, verified: VerifiedToken, seconds: float) -> bool:
        """Return whether a token will be valid for some seconds, for another verifier without leeway.

        The other verifier's clock may differ from this one by the leeway.

        Args:
            verified: A token that `verified` returned.
            seconds: The duration from now on, 0 or more.
        """
        now = self._now()
        try:
            for moment in (now, now + Fraction(seconds)):
                claim_checks.check_time(verified.times, now=moment, leeway=-self.leeway)  # against the token
        except InvalidTokenError:
            return False
        return True

    def derive(
        self,
        source: KeySource,
        *,
        algorithms: Sequence[str],
        audience: Sequence[str],
        issuer: str | None,
        required: Sequence[str],
    ) -> TokenVerifier:
        """Return a verifier with other keys and demands, and with the clock, the leeway and the cache size of this one.

        Raises:
            ConfigurationError: A setting cannot be used.
        """
        verifier = TokenVerifier(
            source,
            algorithms=algorithms,
            audience=audience or None,
            issuer=issuer,
            required=required,
            clock=self._clock,
            cache=self._cache.max_tokens,
        )
        object.__setattr__(verifier, "leeway", self.leeway)  # exactly
        return verifier

    def _parts(self, token: str) -> CompactJws:
        parts = parse_compact(token)
        if parts.alg.lower() == "none":
            raise AlgorithmNotAllowedError(
                "the token is not signed (its `alg` is `none`), so it proves nothing; get a signed one"
            )
        if parts.alg not in self.algorithms:
            accepted = ", ".join(self.algorithms)
            raise AlgorithmNotAllowedError(
                f"the token's algorithm {quoted(parts.alg)} is not accepted, only {accepted}: set `algorithms`"
            )
        return parts

    def _check_signature(self, token: str, alg: str, key: VerificationKey) -> None:
        try:
            self._jws.decode_complete(token, key.material, algorithms=[alg])
        except _signature_errors():
            # without the cause, whose text could contain the token
            blank = ""
            if isinstance(key.material, bytes) and key.material.strip() != key.material:
                blank = "; the secret has white space around it: is that intended?"
            raise InvalidSignatureError(
                f"the token's signature does not fit the key: another key has signed it, or it was changed{blank}"
            ) from None

    def _now(self) -> Fraction:
        try:
            return Fraction(self._clock())
        except (ValueError, OverflowError, TypeError):
            raise UsageError("the clock returned no finite number: give one such as `time.time`") from None


def _signature_errors() -> tuple[type[Exception], ...]:
    """Return what PyJWT raises where a signature does not fit; `except` asks for it only after an exception."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from jwt import PyJWTError  # noqa: PLC0415

    return (PyJWTError, UnsupportedAlgorithm, ValueError, TypeError)


def _audiences(audience: str | Iterable[str] | None) -> tuple[str, ...]:
    if audience is None:
        return ()
    names = _strings("audience", (audience,) if isinstance(audience, str) else audience)
    if not names:
        raise ConfigurationError("audience: give at least one, or None if tokens have none")
    return names


def _strings(name: str, values: Iterable[object]) -> tuple[str, ...]:
    try:
        items = tuple(values)
    except TypeError:
        raise ConfigurationError(f"{name}: give a sequence of strings") from None
    strings = tuple(item for item in items if isinstance(item, str) and item)
    if len(strings) != len(items):
        raise ConfigurationError(f"{name}: each must be a string that is not empty")
    return tuple(dict.fromkeys(strings))
