"""Temporary rules and data on an OPA server that belongs to somebody else: nothing of them is left afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer

from bridge.cli.exit import Exit, signals_ignored
from bridge.cli.terminal import print_error
from bridge.engines import OpaEngine
from bridge.errors import EngineError
from bridge.opa import OpaClient
from bridge.policy import PolicySettings
from bridge.rendering import RuleSet

_CLEANUP_SECONDS: Final = 5.0


@contextmanager
def temporary_engine(client: OpaClient, command: str, policy: PolicySettings | None = None) -> Iterator[OpaEngine]:
    """Give an engine whose rules and data have temporary roots, and remove both at the end.

    Args:
        client: The server.
        command: The name of the command; the names of the roots contain it.
        policy: The settings of the rules; None for the default ones.

    Raises:
        EngineError: The rules could not be installed.
    """
    run = secrets.token_hex(8)
    roots = RuleSet(
        policy=policy or PolicySettings(),
        package_root=f"jwt_bridge_{command}_{run}",
        data_root=f"jwt_bridge_{command}_{run}_data",
    )
    engine = OpaEngine(client, roots)
    client.require_version((roots.package_root,))
    try:
        engine.install()
        yield engine
    except BaseException:
        _remove(engine)
        raise
    if not _remove(engine):
        raise typer.Exit(Exit.FAULT)


def _remove(engine: OpaEngine) -> bool:
    """Remove the rules and the data; if that fails, print what may be left, and return False."""
    try:
        with signals_ignored():
            engine.uninstall(deadline=_CLEANUP_SECONDS)
    except EngineError as error:
        rules = engine.rule_set
        print_error(
            f"`{rules.package_root}` and `{rules.data_root}` may still be on the OPA server: {error}; remove them: "
            f"jwt-bridge uninstall --package-root {rules.package_root} --data-root {rules.data_root}"
        )
        return False
    return True
