"""`python -m bridge`, and the command `jwt-bridge`."""

import os
import sys

from bridge.cli import app


def main() -> None:
    """Run the command line."""
    try:
        app(prog_name="jwt-bridge")
    except OSError as error:
        # Commands tell their own errors; this is the help, on an output that cannot be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(f"jwt-bridge: {(error.strerror or str(error)).lower()}")


if __name__ == "__main__":
    main()
