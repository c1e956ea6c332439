"""A policy claim that is misspelt: the claims then have no policy, so nothing is restricted (R3)."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import TYPE_CHECKING, Final

from bridge.cli.terminal import complain
from bridge.decision import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.decision import Decision
    from bridge.policy import PolicySettings

_SHOWN: Final = 80
_NAMED: Final = 3
_IGNORED: Final = re.compile(r"[\s_-]+")


def warn_of_misspelt(decision: Decision, claims: object, settings: PolicySettings) -> None:
    """Warn on standard error where nothing is restricted, but the claims have what looks like a policy.

    Args:
        decision: What was decided; only `unrestricted` is of interest.
        claims: The claims that it was decided on.
        settings: What the rules were rendered for.
    """
    if decision.reason == Reason.UNRESTRICTED and isinstance(claims, dict):
        warn_of_lookalikes(claims, settings)


def warn_of_lookalikes(claims: Mapping[str, object], settings: PolicySettings) -> None:
    """Warn on standard error of members of claims without a policy that look like one."""
    found = lookalikes(claims, settings.claim)
    if found:
        named = " and ".join(_shown(name) for name in found[:_NAMED])
        more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
        complain(
            f"warning: the claims have no {_shown(settings.claim)}, so nothing is restricted, but they have "
            f"{named}{more}: is it misspelt? With --require-policy, claims without a policy are denied"
        )


def lookalikes(claims: Mapping[str, object], claim: str) -> list[str]:
    """The members of claims whose names look like the policy claim's, but are not.

    They are equal apart from case, spaces, `-`, `_`, what cannot be seen, or a plural; so may be what stands behind the
    last `/` or `:` of one or the other.
    """
    wanted = _forms(claim) | _forms(_last_part(claim))
    return [
        name
        for name in claims
        if name != claim and any(not wanted.isdisjoint(_forms(part)) for part in (name, _last_part(name)))
    ]


def _last_part(name: str) -> str:
    return re.split(r"[/:]", name)[-1]


def _forms(name: str) -> set[str]:
    """The name without what is easily overlooked, as it is and in the singular; none where nothing is left."""
    seen = "".join(
        char for char in unicodedata.normalize("NFKC", name) if unicodedata.category(char) not in ("Cc", "Cf")
    )
    text = _IGNORED.sub("", seen.casefold())
    forms = {text, text.removesuffix("s")}
    if text.endswith("ies"):
        forms.add(text.removesuffix("ies") + "y")
    return forms - {""}


def _shown(name: str) -> str:
    """The name as a JSON string, every character but those of ASCII escaped, so that it cannot pass for anything."""
    text = name if len(name) <= _SHOWN else name[:_SHOWN] + "..."
    return json.dumps(text)
