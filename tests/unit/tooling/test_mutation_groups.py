"""What `make mutants` covers, and which files a slice of it has."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest
from mutation.changed import UnknownRevisionError, changed_since, default_base
from mutation.equivalents import listed
from mutation.mutants import Key, Slice
from mutation.python_mutants import mutants
from mutation.python_side import GROUPS

ROOT = Path(__file__).parents[3]
MODULES = [path for group in GROUPS for pattern in group.modules for path in ROOT.glob(pattern)]


def test_each_module_is_in_one_group():
    assert [path for path, times in Counter(MODULES).items() if times > 1] == []


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_each_pattern_names_something(group):
    assert [pattern for pattern in (*group.modules, *group.tests) if not list(ROOT.glob(pattern))] == []


def test_each_equivalent_is_of_a_module_that_is_mutated():
    known = {str(path.relative_to(ROOT)) for path in MODULES}
    assert [key.file for key in listed() if key.file.endswith(".py") and key.file not in known] == []


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_what_is_listed_as_equivalent_is_still_made(group):
    files = {str(path.relative_to(ROOT)): path for pattern in group.modules for path in ROOT.glob(pattern)}
    listed_here = {key for key in listed() if key.file in files}
    made = {
        mutant.key
        for file in {key.file for key in listed_here}
        for mutant in mutants(file, files[file].read_text(encoding="utf-8"))
    }
    assert sorted(map(str, listed_here - made)) == []


def mutated_lines(text, within=""):
    return {mutant.key.mutated for mutant in mutants("m.py", text) if mutant.key.within == within}


def test_a_time_is_taken_anew_where_it_is_used():
    text = "def f(clock):\n    began = clock()\n    work(began=began)\n    return began\n"
    assert {"work(began=clock())", "return clock()"} <= mutated_lines(text, "f")
    assert mutated_lines("began = 7\nwork(began)\n").isdisjoint({"work(clock())"})


def test_every_text_of_a_regular_expression_is_changed():
    text = 'A = r"ab"\nB = re.compile(A + r"cd")\nC = re.compile(f"{A}ef")\nD = re.compile(rb"gh%b" % B)\n'
    changed = mutated_lines(text)
    for line in (
        'A = r"b"',
        'B = re.compile(A + r"c")',
        'C = re.compile(f"{A}f")',
        'D = re.compile(rb"h%b" % B)',
    ):
        assert line in changed
    assert 'D = re.compile(rb"" % B)' not in changed


@pytest.fixture
def checkout(tmp_path):
    """A repository with a tree in a folder of it, and what git says there."""

    def git(*arguments):
        settings = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main")
        done = subprocess.run(
            ["git", "-C", tmp_path, *settings, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    tree = tmp_path / "tree"
    (tree / "bridge").mkdir(parents=True)
    git("init")
    for name in ("one", "two", "three"):
        (tree / "bridge" / f"{name}.py").write_text(name)
    (tmp_path / ".gitignore").write_text("*.log\n")
    git("add", ".")
    git("commit", "-m", "first")
    return tree, git


def test_what_differs_is_told_committed_or_not(checkout):
    tree, git = checkout
    assert changed_since(tree, "HEAD") == frozenset()
    (tree / "bridge" / "one.py").write_text("other")
    git("commit", "-a", "-m", "second")
    (tree / "bridge" / "two.py").write_text("other")
    (tree / "bridge" / "três.py").write_text("new")
    (tree / "bridge" / "run.log").write_text("ignored")
    (tree.parent / "outside.py").write_text("new")
    git("mv", "tree/bridge/three.py", "tree/bridge/four.py")
    moved = {"bridge/three.py", "bridge/four.py"}
    assert changed_since(tree, "HEAD") == {"bridge/two.py", "bridge/três.py", *moved}
    assert changed_since(tree, "HEAD~1") == {"bridge/one.py", "bridge/two.py", "bridge/três.py", *moved}


def test_the_base_is_where_head_left_main(checkout):
    tree, git = checkout
    assert default_base(tree) == "HEAD~1"
    first = git("rev-parse", "HEAD")
    git("update-ref", "refs/remotes/origin/main", first)
    for name in ("second", "third"):
        git("commit", "--allow-empty", "-m", name)
    assert default_base(tree) == first


@pytest.mark.parametrize("base", ["none", "HEAD~9", "", "--all"])
def test_no_revision_is_told(checkout, base):
    with pytest.raises(UnknownRevisionError, match=r"git"):
        changed_since(checkout[0], base)


def test_a_slice_has_files_by_name_and_by_difference():
    assert "bridge/bearer.py" in Slice()
    assert "bridge/bearer.py" in Slice("bear")
    assert "bridge/bearer.py" not in Slice("list")
    assert "bridge/bearer.py" in Slice("", frozenset(("bridge/bearer.py",)))
    assert "bridge/bearer.py" not in Slice("", frozenset(("bridge/listing.py",)))
    assert "bridge/bearer.py" not in Slice("list", frozenset(("bridge/bearer.py",)))
    key = Key("bridge/bearer.py", "Bearer.read", "a", "b")
    assert Slice().takes(key)
    assert Slice("bear", within="read").takes(key)
    assert not Slice("bear", within="write").takes(key)
    assert not Slice("list", within="read").takes(key)
    assert Slice().has(".rego")
    assert Slice("", frozenset(("a.py",))).has(".py")
    assert not Slice("", frozenset(("a.py",))).has(".rego")
