"""The deciders that the tests share."""

from __future__ import annotations

import secrets
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from conformance.deciders import OTHER, Panels
from conformance.engine_queries import Deciders

from bridge.policy import PolicySettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def panels(another_opa_url: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panels]:
    """The deciders of the default rule set, of one with other names and `require_policy`, and of both versions."""
    both = PolicySettings(versions=frozenset({2, 3}))
    settings = {"default": PolicySettings(), "other": OTHER, "versions": both}
    with closing(Panels(settings, another_opa_url, tmp_path_factory)) as made:
        yield made


@pytest.fixture(scope="session")
def bridges(another_opa_url: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deciders]:
    """A bridge for each engine and settings, made when it is asked for."""
    with closing(Deciders(another_opa_url, tmp_path_factory.mktemp("wasm"), secrets.token_hex(6))) as made:
        yield made
