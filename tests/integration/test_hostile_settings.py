"""Rule sets of hostile settings: refused with a clear text, or rendered with literals only."""

from __future__ import annotations

import json
import sys

import pytest
from hostile_settings import (
    MOSTLY_WORDS,
    PEM,
    TEXTS,
    TYPES,
    WITHOUT_OPA,
    WORDS,
    accepted,
    clear,
)
from hypothesis import example, given
from hypothesis import strategies as st
from rule_files import write_rules

from bridge.errors import ConfigurationError
from bridge.opa import run_opa
from bridge.policy import PolicySettings
from bridge.rendering import RuleSet, TokenChecks, fingerprint, render
from bridge.rendering.modules import literal
from bridge.strict_json import parse

KEYWORDS = (
    *("package", "import", "as", "default", "else", "not", "some", "every", "in", "if", "contains", "with"),
    *("true", "false", "null", "data", "input", "_", "set"),
)
PARTS = st.one_of(MOSTLY_WORDS, MOSTLY_WORDS, st.sampled_from((*KEYWORDS, "a-b", "1a", "")))
ROOTS = st.lists(PARTS, min_size=1, max_size=4).map(".".join)
ANYTHING = st.one_of(TEXTS, ROOTS, st.text(), st.sampled_from(("", "a" * 129, "a." * 64 + "a", "x" * 70_000)))


# --- refused or accepted ------------------------------------------------------------------------------------------


@WITHOUT_OPA
@given(
    package=st.one_of(ROOTS, ANYTHING),
    data=st.one_of(ROOTS, ANYTHING),
    claim=ANYTHING,
    types=st.lists(st.one_of(TYPES, ANYTHING), max_size=3).map(tuple),
)
def test_any_strings_are_refused_clearly_or_rendered(package, data, claim, types):
    rule_set = accepted(package_root=package, data_root=data, claim=claim, types=types)
    if rule_set is not None:
        for module in render(rule_set):
            assert_only_literals(module, rule_set)


@WITHOUT_OPA
@given(
    audience=st.lists(ANYTHING, max_size=3).map(tuple),
    issuer=st.none() | ANYTHING,
    required=st.lists(ANYTHING, max_size=3).map(tuple),
)
@example(audience=("\ud800",), issuer=None, required=())
@example(audience=(), issuer="\udfff", required=())
@example(audience=(), issuer=None, required=("\ud83d",))
@example(audience=("a" * 1_100_000,), issuer="b" * 1_100_000, required=("c" * 1_100_000,))
def test_any_strings_of_token_checks_are_refused_clearly_or_rendered(audience, issuer, required):
    try:
        checks = TokenChecks(PEM, ("EdDSA",), audience, issuer, required)
    except ConfigurationError as refused:
        clear(refused)
        return
    rule_set = RuleSet(token=checks)
    for module in render(rule_set):
        assert_only_literals(module, rule_set)


def assert_only_literals(module, rule_set):
    """Line by line the module is the one of plain settings, but for names in their places and one literal each."""
    checks, package, data = rule_set.token, rule_set.package_root, rule_set.data_root
    plain = None
    if checks is not None:
        plain = TokenChecks(PEM, ("EdDSA",), checks.audience and ("a",), checks.issuer and "a", ("a",))
    likes = {like.path.removeprefix("jwt_policy/"): like.text for like in render(RuleSet(token=plain))}
    likes[f"{package.rpartition('.')[2]}.rego"] = likes.pop("jwt_policy.rego")
    like = likes[module.path.removeprefix(package.replace(".", "/") + "/")]
    for line, other in zip(module.text.split("\n"), like.split("\n"), strict=True):
        name, _, value = line.partition(" := ")
        if name in LITERALS:
            assert other.startswith(f"{name} := ")
            assert read(value) == LITERALS[name](rule_set), line
        elif line.startswith(("package ", "import data.")):
            assert line == other.replace("jwt_policy", package, 1)
        else:
            assert line == other.replace("data.jwt_policy_data[type]", f"data.{data}[type]")


LITERALS = {
    "claim": lambda rule_set: rule_set.policy.claim,
    "types": lambda rule_set: list(rule_set.policy.types),
    "fingerprint": fingerprint,
    "_audiences": lambda rule_set: [{"aud": text} for text in rule_set.token.audience] or [{}],
    "_issuer": lambda rule_set: {"iss": rule_set.token.issuer} if rule_set.token.issuer else {},
    "_required": lambda rule_set: list(rule_set.token.required),
}


def read(value):
    """A literal by the standard library's reader; a set as the list of its items."""
    if value == "set()":
        return []
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return json.loads(f"[{value[1:-1]}]")


REFUSED = [
    *(({"claim": f"a{char}"}, f"claim's name .* U\\+{ord(char):04X}") for char in "\x00\n\x1b\x7f\x85\ud800"),
    ({"claim": ""}, "claim's name"),
    ({"claim": "a" * 129}, "claim's name .* 128 characters"),
    *(
        ({"types": ("a", name)}, "resource type `")
        for name in ("a\n", "1a", "-a", "é", "a b", "a/b", "..", "a.b", "a" * 129)
    ),
    *(({"types": types}, "resource type") for types in ((), ("",), ("version",), ("a", "a"))),
    *(
        ({"package_root": root}, "package root `")
        for root in ("", ".", "a..b", "a.", "a-b", "a\n", "1", "é", "a" * 129)
    ),
    *(({"data_root": root}, "data root `") for root in ("system", "system.a", "a.some", "a.b-c", "a b", "a/b")),
    *(
        ({"package_root": one, "data_root": two}, "inside each other")
        for one, two in (("a", "a"), ("a.b", "a"), ("a", "a.b"))
    ),
]


@pytest.mark.parametrize(("refused", "why"), REFUSED, ids=[ascii(row[0])[:40] for row in REFUSED])
def test_what_cannot_be_meant_is_refused_by_its_name(refused, why):
    others = {name: refused[name] for name in ("package_root", "data_root") if name in refused}
    policy = {name: value for name, value in refused.items() if name not in others}
    with pytest.raises(ConfigurationError, match=why) as raised:
        RuleSet(policy=PolicySettings(**policy), **others)
    clear(raised.value)


def test_thousands_of_names_are_rendered():
    """Together they are longer than what any one of them may be."""
    types = tuple(f"type_{number}_{'x' * 100}" for number in range(12_000))
    rule_set = RuleSet(policy=PolicySettings(types=types))
    assert sum(len(module.text) for module in render(rule_set)) > 1_300_000
    assert fingerprint(rule_set) != fingerprint(RuleSet(policy=PolicySettings(types=types[1:])))


def test_every_character_is_itself_in_a_literal(opa_executable, tmp_path):
    """All 1,112,064 of them: OPA refuses a byte order mark, and would read some escapes otherwise."""
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
    texts = ["".join(characters[start : start + 0x8000]) for start in range(0, len(characters), 0x8000)]
    module = "package x\n\nall := [\n" + ",\n".join(map(literal, texts)) + "\n]\n"
    (tmp_path / "x.rego").write_text(module, encoding="utf-8", newline="")
    run = run_opa(
        ["eval", "--data", "x.rego", "--format", "raw", "data.x.all"], executable=opa_executable, folder=tmp_path
    )
    assert run.status == 0, run.stderr[:300]
    assert parse(run.stdout) == texts


WORDS_AT_ONCE = 5


def test_every_word_is_refused_as_a_root_or_compiles(opa_executable, tmp_path):
    """Several in one compilation, so no package is one of another's, nor the same names in another order.

    Not all in one: the compiler of OPA 1.22.4 takes quadratic time in the number of modules.
    """
    refused = set()
    words = list(enumerate((*KEYWORDS, *WORDS[:-1])))
    for start in range(0, len(words), WORDS_AT_ONCE):
        folder = tmp_path / str(start)
        folder.mkdir()
        for number, word in words[start : start + WORDS_AT_ONCE]:
            roots = [
                (f"p{number}.{word}", "d"),
                (f"q{number}.{word}.{word}", "d"),
                (f"r{number}", f"d.{word}"),
                (f"{word}.s{number}", "d.d.d"),
            ]
            for package, data in roots:
                rule_set = accepted(package_root=package, data_root=data)
                if rule_set is None:
                    refused.add(word)
                    continue
                write_rules(folder, rule_set)
        run = run_opa(["check", "--strict", "."], executable=opa_executable, folder=folder)
        assert run.status == 0, run.stderr[:2_000]
    assert refused == {*KEYWORDS, "system"}
