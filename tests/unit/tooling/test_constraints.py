"""constraints-dev.txt pins a version of everything that pyproject.toml names, and holds no addresses."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

from doc_blocks import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LINES = [
    line for line in (ROOT / "constraints-dev.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")
]


def requirements() -> Iterator[Requirement]:
    project = PYPROJECT["project"]
    for group in (
        project["dependencies"],
        *project["optional-dependencies"].values(),
        *PYPROJECT["dependency-groups"].values(),
    ):
        yield from (Requirement(item) for item in group if isinstance(item, str))


def test_each_line_pins_one_version_and_names_no_address() -> None:
    for line in LINES:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][^ ]*( ; [^/]+)?", line), line


def test_what_pyproject_names_is_pinned_within_its_bounds() -> None:
    pinned = [Requirement(line) for line in LINES]
    for requirement in requirements():
        versions = [
            next(iter(pin.specifier)).version for pin in pinned if pin.name == canonicalize_name(requirement.name)
        ]
        assert versions, f"{requirement.name}: run `make constraints`"
        assert all(requirement.specifier.contains(version) for version in versions), f"{requirement}: {versions}"
