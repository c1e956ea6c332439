"""The deciders that the tests share."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
from conformance.deciders import OTHER, Panel
from conformance.engine_queries import Deciders

from bridge.policy import PolicySettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def panels(opa_with_room: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Panel]]:
    """The deciders of the default rule set, of one with other names and `require_policy`, and of both versions."""
    both = PolicySettings(versions=frozenset({2, 3}))
    found = {
        name: Panel(opa_with_room, settings, tmp_path_factory.mktemp("wasm"))
        for name, settings in {"default": PolicySettings(), "other": OTHER, "versions": both}.items()
    }
    yield found
    for panel in found.values():
        panel.close()


@pytest.fixture(scope="session")
def bridges(opa_with_room: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deciders]:
    """A bridge for each engine and settings, made when it is asked for."""
    found = Deciders(opa_with_room, tmp_path_factory.mktemp("wasm"), secrets.token_hex(6))
    yield found
    found.close()
