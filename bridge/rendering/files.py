"""Where the Rego that comes with the package lies."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent.parent


def rego_root() -> Path:
    """The folder `rego`: inside the package where it was installed from a wheel, beside it in a checkout."""
    installed = _PACKAGE / "rego"
    return installed if installed.is_dir() else _PACKAGE.parent / "rego"


def default_wasm() -> Path:
    """The Wasm build of the default rule set."""
    return rego_root() / "jwt_policy" / "policy.wasm"
