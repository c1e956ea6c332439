"""An OPA with the rules, and a bridge to it, for the tests of stored resources: `test_store_*.py`.

A file about something else defines its own fixtures of these names, and they replace these.
"""

from __future__ import annotations

import pytest
from rule_files import write_rules
from store_faults import bridge_to


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """The rules as files, so that an OPA has them from its start."""
    return write_rules(tmp_path_factory.mktemp("rules"))


@pytest.fixture
def opa(start_opa, rules):
    """An OPA of the test's own, with the rules and nothing else."""
    opa = start_opa([rules])
    yield opa
    opa.kill()


@pytest.fixture
def bridge(opa):
    with bridge_to(opa.url) as opened:
        yield opened
