"""`python -m bridge`, and the command `jwt-bridge`."""

import os
import sys
from typing import Final

_EXTRA: Final = frozenset(("typer", "rich"))


def main() -> None:
    """Run the command line; say which extra to install where it is missing."""
    try:
        from bridge.cli import app  # noqa: PLC0415 - a service installs the package without the extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        sys.stderr.write("jwt-bridge needs the extra `cli`: pip install 'jwt-policy-bridge[cli]'\n")
        sys.exit(2)
    try:
        app(prog_name="jwt-bridge")
    except OSError as error:
        # Commands report their own errors; this one is of the help, whose output cannot be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(f"jwt-bridge: {(error.strerror or str(error)).lower()}")


if __name__ == "__main__":
    main()
