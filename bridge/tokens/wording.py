"""How text from outside is quoted in an error."""

from __future__ import annotations

from typing import Final

_FROM_A_TOKEN: Final = 40
_FROM_A_SETTING: Final = 500


def quoted(text: str) -> str:
    """What a token or a key says, in backticks: printable, on one line, at most about 40 characters."""
    return _quoted(text, _FROM_A_TOKEN)


def setting(text: object) -> str:
    """A path or a URL that was configured, likewise but long enough to be found."""
    return _quoted(str(text), _FROM_A_SETTING)


def _quoted(text: str, length: int) -> str:
    kept = text if len(text) <= length else text[:length] + "..."
    return "`" + repr(kept)[1:-1].replace("`", "'") + "`"
