"""The oldest supported version of OPA, and the versions with a known defect."""

from __future__ import annotations

import re
from typing import Final

from bridge.errors import InvalidResponseError, UnsupportedOpaVersionError
from bridge.escapes import printable

OLDEST: Final = "1.20.1"

# Semantic Versioning 2.0: `-` marks a build before the release, `+` only labels a build.
_VERSION: Final = re.compile(r"v?(\d{1,9})\.(\d{1,9})\.(\d{1,9})(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?", re.ASCII)
_FIRST_WITH_DEFECT: Final = (1, 21, 0)
_LAST_WITH_DEFECT: Final = (1, 22, 0)


def is_new_enough(version: str) -> bool:
    """Return whether an OPA of this version compares numbers as R11 demands.

    Args:
        version: As OPA writes it, such as `1.20.2` or `1.21.0-dev`.

    Raises:
        InvalidResponseError: The text is no version.
    """
    match = _parsed(version)
    # A build before the release 1.20.1 may lack the fixes of 1.20.1.
    release = (*map(int, match.group(1, 2, 3)), match[4] is None)
    return release >= (1, 20, 1, True)


def require(version: str) -> None:
    """Refuse an OPA that is too old.

    Raises:
        UnsupportedOpaVersionError: It is older than `OLDEST`; the text says which comparisons are wrong there.
        InvalidResponseError: The text is no version.
    """
    if not is_new_enough(version):
        raise UnsupportedOpaVersionError(
            f"opa {version} is too old: the oldest that compares numbers exactly is {OLDEST} (up to 1.19.1 `1` "
            "equals `100.0`, and 1.20.0 panics when it compares `0.0` with a fraction): upgrade opa"
        )


def known_defect(version: str) -> str | None:
    """Return the known defect of this OPA that concerns rules of others, and the remedy; None if there is none.

    OPA 1.21.0 to 1.22.0 skip a rule with `x in {"a", input.y}`. The bridge has no such rule, and all vectors pass
    there.

    Args:
        version: As OPA writes it, such as `1.20.2` or `1.21.0-dev`.

    Raises:
        InvalidResponseError: The text is no version.
    """
    release = tuple(map(int, _parsed(version).group(1, 2, 3)))
    if not _FIRST_WITH_DEFECT <= release <= _LAST_WITH_DEFECT:
        return None
    return (
        f"opa {printable(version, 40)} has a defect of its rule indexer: it skips rules with an expression such as "
        '`x in {"a", input.y}`. The rules of the bridge have none, but other rules on this OPA can give wrong results: '
        "upgrade it to 1.22.1 or newer"
    )


def _parsed(version: str) -> re.Match[str]:
    match = _VERSION.fullmatch(version)
    if match is None:
        raise InvalidResponseError(f"`{printable(version, 40)}` is no version of opa: is this the url of opa?")
    return match
