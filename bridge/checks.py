"""From tokens and resources to requests, and from answers to decisions: all of a bridge but who carries them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from bridge.decision import Decision, Reason, Request
from bridge.errors import EngineError, MalformedInputError, PartialResultError, StaleResourcesError, UsageError
from bridge.freshness import require_fresh
from bridge.strict_json import CLAIMS_BYTES, encode, encode_memoized
from bridge.tokens import TokenVerifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bridge.raw_tokens import RawTokens
    from bridge.tokens.cache import VerifiedToken

_BATCH_ITEMS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whose access is asked about, in canonical text: claims, and the token where it may speak for itself.

    Attributes:
        claims: The claims.
        token: The token, where it may go to OPA as it is.
        is_still_raw: Whether it still may.
    """

    claims: bytes
    token: bytes | None = None
    is_still_raw: Callable[[], bool] = bool

    @classmethod
    def of_claims(cls, claims: object) -> Bearer:
        """From claims that have been verified already.

        Raises:
            MalformedInputError: They break R12.
        """
        return cls(encode_memoized(claims, max_bytes=CLAIMS_BYTES, what="claims"))

    @classmethod
    def of_token(cls, token: str, verifier: TokenVerifier, raw: RawTokens | None) -> Bearer:
        """From a token, once it is verified.

        Args:
            token: The token.
            verifier: What verifies it.
            raw: What becomes of tokens where the rules verify them too.

        Raises:
            InvalidTokenError: It is not valid.
            KeysUnavailableError: The keys to verify it with cannot be had.
        """
        if type(verifier) is not TokenVerifier:
            return cls.of_claims(verifier.verify(token))  # whoever derives a verifier adds demands to `verify`
        return cls.of_verified(verifier.verified(token), verifier, raw)

    @classmethod
    def of_verified(cls, verified: VerifiedToken, verifier: TokenVerifier, raw: RawTokens | None) -> Bearer:
        """From a token that is verified; arguments as for `of_token`.

        Raises:
            InvalidTokenError: The rules verify tokens too, and refuse it.
        """
        if raw is None:
            return cls(verified.text)
        raw.refuse(verified, verifier)
        is_raw = partial(raw.may_go, verified, verifier)
        return cls(verified.text, encode(verified.token), is_raw) if is_raw() else cls(verified.text)

    def in_time(self, requests: Sequence[Request]) -> Sequence[Request]:
        """Requests of this subject as they may go now: with the claims, where the token may no longer go as it is."""
        if self.token is None or self.is_still_raw():
            return requests
        return [request._replace(claims=self.claims, token=None) for request in requests]

    def request(self, type_: bytes, value: object, number: str = "") -> Request:
        """The request for a resource, or for the id of one.

        Args:
            type_: The resource type, in canonical text.
            value: The id, if it is a string, or else the resource.
            number: Which of several it is, for the error.

        Raises:
            MalformedInputError: It breaks R12.
        """
        claims = None if self.token is not None else self.claims
        if isinstance(value, str):
            text = encode(value, max_bytes=sys.maxsize, what="id" + number)
            return Request(claims=claims, type=type_, token=self.token, id=text)
        text = encode(value, what="resource" + number)
        return Request(claims=claims, type=type_, token=self.token, resource=text)


def type_text(type_: object) -> bytes:
    """A resource type in canonical text; R12.6 bounds no type and no id: a huge one is merely unknown.

    Raises:
        MalformedInputError: It breaks R12.
    """
    return encode(type_, max_bytes=sys.maxsize, what="type")


class BatchCheck:
    """Questions about one subject, and the decisions on them as they come.

    Args:
        subject: Whose access is asked about.
        type_: The resource type.
        values: Resources or ids; a malformed one is denied here, with `malformed_input`, and not asked.
        engine: The name of the engine, for denials.
        denies: A fault denies what it left unanswered; otherwise it ends the whole.
        oldest: The oldest revision to answer from, for what an engine answered beside a fault.

    Raises:
        MalformedInputError: The type breaks R12.
        UsageError: It is not several.
    """

    def __init__(
        self,
        subject: Bearer,
        type_: object,
        values: Iterable[object],
        *,
        engine: str,
        denies: bool,
        oldest: int | None = None,
    ) -> None:
        if isinstance(values, (str, bytes, dict)) or not isinstance(values, Iterable):
            raise UsageError("check_many takes several resources or ids; `check` takes one")
        self._subject = subject
        self._engine = engine
        self._denies = denies
        self._oldest = oldest
        self._left: EngineError | None = None
        self._decisions: list[Decision | None] = []
        self._places: list[int] = []
        self._requests: list[Request] = []
        type_in_text = type_text(type_)
        for place, value in enumerate(values):
            try:
                self._requests.append(subject.request(type_in_text, value, f" {place}"))
            except MalformedInputError as error:
                self._decisions.append(Decision(allow=False, reason=Reason.MALFORMED_INPUT, error=str(error)))
            else:
                self._decisions.append(None)
                self._places.append(place)

    def parts(self, most_bytes: int) -> Iterator[tuple[Sequence[int], Sequence[Request]]]:
        """What to ask together: the places of the questions, and the requests."""
        start = 0
        for batch in batches(self._requests, most_bytes):
            yield self._places[start : start + len(batch)], self._subject.in_time(batch)
            start += len(batch)

    def answered(self, places: Sequence[int], decisions: Sequence[Decision]) -> None:
        """Take the decisions on a part."""
        for place, decision in zip(places, decisions, strict=True):
            self._decisions[place] = decision

    def failed(self, places: Sequence[int], fault: EngineError) -> None:
        """Take the fault in place of a part's decisions, or of those that a `PartialResultError` leaves open.

        Raises:
            PartialResultError: It is not to deny, and other parts have been answered.
            EngineError: It is not to deny: the fault.
        """
        if isinstance(fault, PartialResultError):
            self._partly(places, fault)
        elif self._denies:
            self.answered(places, [denial_for(self._engine, fault)] * len(places))
        elif any(decision is not None for decision in self._decisions):
            raise PartialResultError(fault, tuple(self._decisions)) from fault
        else:
            raise fault

    def decisions(self) -> list[Decision]:
        """All decisions, in the order of the questions.

        Raises:
            PartialResultError: The engine left some questions of a part open.
        """
        if self._left is not None:
            raise PartialResultError(self._left, tuple(self._decisions)) from self._left
        return [decision for decision in self._decisions if decision is not None]

    def _partly(self, places: Sequence[int], partial: PartialResultError) -> None:
        """Take a part that was answered in part; the other parts are still asked."""
        request_at = dict(zip(self._places, self._requests, strict=True))
        known = {place: one for place, one in zip(places, partial.decisions, strict=True) if one is not None}
        try:
            require_fresh([request_at[place] for place in known], list(known.values()), self._oldest)
        except StaleResourcesError as stale:
            self.failed(places, stale)
            return
        self.answered(list(known), list(known.values()))
        if self._denies:
            self.failed([place for place in places if place not in known], partial.fault)
        else:
            self._left = self._left or partial.fault


def checked_on_error(on_error: str) -> bool:
    """Whether the setting says that faults deny.

    Raises:
        UsageError: It is no such setting.
    """
    if on_error not in ("raise", "deny"):
        raise UsageError('on_error must be "raise" or "deny"')
    return on_error == "deny"


def required_verifier(verifier: TokenVerifier | None) -> TokenVerifier:
    """The verifier, where a token was given.

    Raises:
        UsageError: There is none.
    """
    if verifier is None:
        raise UsageError("a token was given, but the bridge has no verifier: PolicyBridge(verifier=TokenVerifier(...))")
    return verifier


def denial_for(engine: str, fault: EngineError) -> Decision:
    """What a fault of the engine is where faults deny."""
    return Decision(allow=False, reason=Reason.ENGINE_UNAVAILABLE, engine=engine, error=str(fault))


def batches(requests: Sequence[Request], most_bytes: int) -> Iterator[Sequence[Request]]:
    """The requests in runs of at most 1,000 and of at most so many bytes, but of one request at least."""
    start = size = 0
    for end, request in enumerate(requests):
        size += request.size
        if end > start and (size > most_bytes or end - start == _BATCH_ITEMS):
            yield requests[start:end]
            start, size = end, request.size
    if start < len(requests):
        yield requests[start:]
