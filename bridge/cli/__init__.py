"""The command line `jwt-bridge`: one module per command."""

from bridge.cli.app import app
from bridge.cli.decide import decide

__all__ = ["app"]

app.command()(decide)
