"""Every module and every class of the package has a name of its own, so that a name leads to one place."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[3] / "bridge"


def shared_names(package: Path) -> dict[str, list[str]]:
    """Return the names that several modules share, and those that several classes share, each with its files."""
    files = defaultdict(list)
    for path in sorted(package.rglob("*.py")):
        file = path.relative_to(package).as_posix()
        if path.name != "__init__.py":
            files[path.name].append(file)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                files[node.name].append(file)
    assert files
    return {name: places for name, places in files.items() if len(places) > 1}


def test_no_two_modules_and_no_two_classes_share_a_name():
    assert shared_names(PACKAGE) == {}


def test_shared_names_are_reported_with_their_files(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("")
        (tmp_path / folder / "pages.py").write_text(f"class _Page: ...\n\n\nclass Own{folder}: ...\n")
    places = ["a/pages.py", "b/pages.py"]
    assert shared_names(tmp_path) == {"pages.py": places, "_Page": places}
