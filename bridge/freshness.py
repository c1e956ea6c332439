"""`at_least`: answers from pushed resources that are older than a caller knows them to be are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.decision import Reason
from bridge.errors import StaleResourcesError, UsageError
from bridge.store import is_revision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.decision import Decision, Request


def revision_number(at_least: str | None) -> int | None:
    """The revision that is asked for, if any.

    Raises:
        UsageError: It is no revision.
    """
    if at_least is None:
        return None
    if not isinstance(at_least, str) or not is_revision(at_least):
        raise UsageError("`at_least` must be a revision, as a push gives it")
    return int(at_least)


def require_fresh(requests: Sequence[Request], decisions: Sequence[Decision], oldest: int | None) -> None:
    """Refuse decisions on stored resources that are older; a resource that came with the question has no age.

    Raises:
        StaleResourcesError: There are such.
    """
    if oldest is None:
        return
    for request, decision in zip(requests, decisions, strict=True):
        # R1 comes before any resource is looked at.
        if request.is_by_id and decision.reason not in (Reason.UNKNOWN_TYPE, Reason.MALFORMED_INPUT):
            require_fresh_revision(decision.revision, oldest)


def require_fresh_revision(revision: str | None, oldest: int | None) -> None:
    """Refuse what was answered from an older revision.

    Raises:
        StaleResourcesError: It was.
    """
    if oldest is not None and (revision is None or not is_revision(revision) or int(revision) < oldest):
        raise StaleResourcesError(
            f"the engine's resources are of revision {revision or 'none'}, older than {oldest}, which was asked for"
        )
