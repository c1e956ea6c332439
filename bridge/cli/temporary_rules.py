"""An OPA server that is a stranger's: rules and data of our own for a while, nothing of them afterwards."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import typer

from bridge.cli.exit import Exit, undisturbed
from bridge.cli.terminal import complain
from bridge.engines import OpaEngine
from bridge.errors import EngineError
from bridge.policy import PolicySettings
from bridge.rendering import RuleSet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.opa import OpaClient

_CLEANUP_SECONDS: Final = 5.0


@contextmanager
def temporary_engine(client: OpaClient, command: str, policy: PolicySettings | None = None) -> Iterator[OpaEngine]:
    """An engine whose rules and data have roots of their own, and are removed at the end.

    Args:
        client: The server.
        command: Who is the guest, for the names of the roots.
        policy: The settings of the rules; the default ones without them.

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
    """Whether all could be removed; what may be left is told."""
    try:
        with undisturbed():
            engine.uninstall(deadline=_CLEANUP_SECONDS)
    except EngineError as fault:
        rules = engine.rule_set
        complain(f"`{rules.package_root}` and `{rules.data_root}` may still be on the OPA: {fault}")
        return False
    return True
