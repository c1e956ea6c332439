"""Check one resource or many: steps without I/O, batches, and `at_least`."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.bearer import Bearer, type_text
from bridge.decision import Decision, PartialResultError, Reason, Request
from bridge.errors import EngineError, MalformedInputError, StaleResourcesError, UsageError
from bridge.store import is_revision

_BATCH_ITEMS: Final = 1_000
REMEDY: Final = "ask again; if the error remains, check the rules of the engine with `jwt-bridge doctor`"


@dataclass(frozen=True, slots=True)
class OnError:
    """What an error of the engine becomes: itself, or a denial.

    Attributes:
        engine: The name of the engine, for denials.
        denies: Whether it becomes a denial.
    """

    engine: str
    denies: bool

    def denial(self, error: EngineError) -> Decision:
        """Return the denial for an error of the engine.

        Raises:
            EngineError: The error itself, if errors do not deny.
        """
        if not self.denies:
            raise error
        return Decision(allow=False, reason=Reason.ENGINE_UNAVAILABLE, engine=self.engine, error=str(error))


def denies_on_error(on_error: str) -> bool:
    """Return whether the setting `on_error` makes denials of errors.

    Raises:
        UsageError: It is no such setting.
    """
    if on_error not in ("raise", "deny"):
        raise UsageError('`on_error` must be "raise" or "deny": pass one of them')
    return on_error == "deny"


def fresh_decision(request: Request, decisions: list[Decision], oldest: int | None) -> Decision:
    """Return the only decision, on one request.

    A check of one resource is no generator like the other queries: that would make the shortest check 10 % slower.

    Args:
        request: The request.
        decisions: The engine's decisions on it.
        oldest: The oldest revision to answer from.

    Raises:
        StaleResourcesError: The decision is on older resources.
    """
    if oldest is not None:
        require_fresh([request], decisions, oldest)
    return decisions[0]


def check_many(
    bearer: Bearer,
    type_: object,
    resources_or_ids: Iterable[object],
    at_least: str | None,
    on_error: OnError,
    *,
    batch_bytes: int,
) -> Generator[Sequence[Request], list[Decision], list[Decision]]:
    """Check several resources or ids; arguments and errors as for `PolicyBridge.check_many`.

    Yields:
        Batches of requests for the engine's `decide`, of at most `batch_bytes`.
    """
    oldest = revision_number(at_least)
    several = BatchCheck(bearer, type_, resources_or_ids, on_error=on_error, oldest=oldest)
    for places, requests in several.batches(batch_bytes):
        try:
            decisions = yield requests
            require_fresh(requests, decisions, oldest)
            several.add(places, decisions)
        except EngineError as error:
            several.fail(places, error)
    return several.decisions()


class BatchCheck:
    """The requests of one bearer about several resources, and the decisions on them as they come.

    Args:
        bearer: Whose access is checked.
        type_: The resource type.
        values: Resources or ids; a malformed one is denied here, with `malformed_input`, and not sent.
        on_error: What an error of the engine becomes.
        oldest: The oldest revision to answer from, for decisions that an engine made beside an error.

    Raises:
        MalformedInputError: The type breaks R12.
        UsageError: The values are not several.
    """

    def __init__(
        self,
        bearer: Bearer,
        type_: object,
        values: Iterable[object],
        *,
        on_error: OnError,
        oldest: int | None = None,
    ) -> None:
        if isinstance(values, (str, bytes, dict)) or not isinstance(values, Iterable):
            raise UsageError("`check_many` takes several resources or ids: pass a list; `check` takes one")
        self._bearer = bearer
        self._on_error = on_error
        self._oldest = oldest
        self._error: EngineError | None = None
        self._decisions: list[Decision | None] = []
        self._places: list[int] = []
        self._requests: list[Request] = []
        type_in_text = type_text(type_)
        for place, value in enumerate(values):
            try:
                self._requests.append(bearer.request(type_in_text, value, f" {place}"))
            except MalformedInputError as error:
                self._decisions.append(Decision(allow=False, reason=Reason.MALFORMED_INPUT, error=str(error)))
            else:
                self._decisions.append(None)
                self._places.append(place)

    def batches(self, most_bytes: int) -> Iterator[tuple[Sequence[int], Sequence[Request]]]:
        """Return the batches to send: the place of each request among the values, and the requests."""
        start = 0
        for batch in batches(self._requests, most_bytes):
            yield self._places[start : start + len(batch)], self._bearer.sendable(batch)
            start += len(batch)

    def add(self, places: Sequence[int], decisions: Sequence[Decision]) -> None:
        """Add the decisions on a batch."""
        for place, decision in zip(places, decisions, strict=True):
            self._decisions[place] = decision

    def fail(self, places: Sequence[int], error: EngineError) -> None:
        """Take an error in place of the decisions on a batch, or of those that a `PartialResultError` leaves open.

        Raises:
            PartialResultError: Errors do not deny, and there are decisions on other batches.
            EngineError: Errors do not deny: the error itself.
        """
        if isinstance(error, PartialResultError):
            self._add_partial(places, error)
        elif self._on_error.denies:
            self.add(places, [self._on_error.denial(error)] * len(places))
        elif any(decision is not None for decision in self._decisions):
            raise PartialResultError(error, tuple(self._decisions)) from error
        else:
            raise error

    def decisions(self) -> list[Decision]:
        """Return all decisions, in the order of the values.

        Raises:
            PartialResultError: The engine left some of a batch open.
        """
        if self._error is not None:
            raise PartialResultError(self._error, tuple(self._decisions)) from self._error
        return [decision for decision in self._decisions if decision is not None]

    def _add_partial(self, places: Sequence[int], partial: PartialResultError) -> None:
        """Take a batch that was decided in part; the other batches are still sent."""
        request_at = dict(zip(self._places, self._requests, strict=True))
        known = {place: one for place, one in zip(places, partial.decisions, strict=True) if one is not None}
        try:
            require_fresh([request_at[place] for place in known], list(known.values()), self._oldest)
        except StaleResourcesError as stale:
            self.fail(places, stale)
            return
        self.add(list(known), list(known.values()))
        if self._on_error.denies:
            self.fail([place for place in places if place not in known], partial.fault)
        else:
            self._error = self._error or partial.fault


def batches(requests: Sequence[Request], most_bytes: int) -> Iterator[Sequence[Request]]:
    """Return the requests in batches of at most 1,000 and of at most so many bytes, but of at least one request."""
    start = size = 0
    for end, request in enumerate(requests):
        size += request.size
        if end > start and (size > most_bytes or end - start == _BATCH_ITEMS):
            yield requests[start:end]
            start, size = end, request.size
    if start < len(requests):
        yield requests[start:]


def revision_number(at_least: str | None) -> int | None:
    """Return the number of the revision `at_least`, if there is one.

    Raises:
        UsageError: It is no revision.
    """
    if at_least is None:
        return None
    if not isinstance(at_least, str) or not is_revision(at_least):
        raise UsageError("`at_least` must be a revision: pass the `revision` of a push or of another change")
    return int(at_least)


def require_fresh(requests: Sequence[Request], decisions: Sequence[Decision], oldest: int | None) -> None:
    """Refuse decisions on older stored resources; a resource that came with the request has no age.

    Raises:
        StaleResourcesError: There is such a decision.
    """
    if oldest is None:
        return
    for request, decision in zip(requests, decisions, strict=True):
        # R1 comes before any resource is looked at.
        if request.is_by_id and decision.reason not in (Reason.UNKNOWN_TYPE, Reason.MALFORMED_INPUT):
            require_fresh_revision(decision.revision, oldest)


def require_fresh_revision(revision: str | None, oldest: int | None) -> None:
    """Refuse an older revision.

    Raises:
        StaleResourcesError: It is older.
    """
    if oldest is not None and (revision is None or not is_revision(revision) or int(revision) < oldest):
        raise StaleResourcesError(
            f"the engine's resources are of revision {revision or 'none'}, older than {oldest}, which `at_least` "
            "demands: ask again later"
        )
