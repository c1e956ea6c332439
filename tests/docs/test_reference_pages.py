"""The errors table, the page on architecture and the API pages name what there is."""

from __future__ import annotations

import importlib
import inspect
import re

import pytest
from doc_blocks import ROOT

import bridge
from bridge import PartialResultError, aio, errors

ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
API_PAGES = sorted((ROOT / "docs" / "api").glob("*.md"))


def test_the_errors_table_has_every_error_with_its_code() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| [^|]+ \| [^|]+ \|$", page, re.MULTILINE)
    classes = [value for _, value in inspect.getmembers(errors, inspect.isclass) if value.__module__ == errors.__name__]
    classes.append(PartialResultError)  # it holds decisions, so it is in `bridge.decision`
    assert sorted(rows) == sorted((value.__name__, value.code) for value in classes)


def test_every_room_has_a_line() -> None:
    rooms = sorted(path.parent.name for path in (ROOT / "bridge").glob("*/__init__.py"))
    assert [room for room in rooms if f"| `bridge/{room}/`" not in ARCHITECTURE] == []


def test_what_the_page_on_architecture_names_is_there() -> None:
    """A file that is renamed is renamed on the page, too."""
    named = re.findall(r"`((?:bridge|rego|tests|docs|benchmarks|examples)/[\w./-]*)`", ARCHITECTURE)
    assert named
    assert [name for name in named if not (ROOT / name).exists() and not is_to_come(name)] == []


def is_to_come(name: str) -> bool:
    return name.startswith("bridge/http/") and not (ROOT / "bridge" / "http").exists()


@pytest.mark.parametrize("module", [bridge, aio], ids=lambda module: module.__name__)
def test_every_public_name_is_in_the_api_reference(module: object) -> None:
    pages = "\n".join(path.read_text(encoding="utf-8") for path in API_PAGES)
    documented = {name.rpartition(".")[2] for name in re.findall(r"\.\. auto(?:class|function|data):: (\S+)", pages)}
    for name in re.findall(r"\.\. automodule:: (\S+)\n +:members:", pages):
        documented |= set(vars(importlib.import_module(name)))
    assert sorted(set(module.__all__) - documented) == []
