"""`python -m bridge`, and the command `jwt-bridge`."""

from bridge.cli import app


def main() -> None:
    """Run the command line."""
    app(prog_name="jwt-bridge")


if __name__ == "__main__":
    main()
