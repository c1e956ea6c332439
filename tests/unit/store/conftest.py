"""A store on OPA's data in this process, for the tests that look at what the store sends."""

from __future__ import annotations

import pytest
from memory_opa import MemoryOpa, store_on


@pytest.fixture
def opa() -> MemoryOpa:
    return MemoryOpa()


@pytest.fixture
def store(opa: MemoryOpa):
    return store_on(opa)
