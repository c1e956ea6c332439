"""Rule sets of hostile settings: refused with a clear text, or compiled by a real OPA to mean exactly what was set.

A rule set that is accepted is checked, installed, built, and asked by members, types and ids that are nearly those of
its settings, next to the ones that are; the reference, given the same settings, says what the answers are.
"""

from __future__ import annotations

import base64
import json
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unicodedata import category

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, Phase, assume, example, given, settings
from hypothesis import strategies as st
from jwt.algorithms import OKPAlgorithm

from bridge.decision import Request
from bridge.engines import OpaEngine, ReferenceEngine, WasmEngine
from bridge.errors import ConfigurationError
from bridge.opa import run_opa
from bridge.policy import PolicySettings
from bridge.rendering import RuleSet, TokenChecks, build_wasm, fingerprint, render
from bridge.rendering.modules import literal
from bridge.strict_json import ABSENT, encode, parse

WITHOUT_OPA = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
# What is shrunk is asked of an OPA hundreds of times.
WITH_OPA = settings(WITHOUT_OPA, max_examples=12, phases=(Phase.explicit, Phase.reuse, Phase.generate))

# --- hostile strings ----------------------------------------------------------------------------------------------

PIECES = (
    '"',
    "'",
    "`",
    "\\",
    '\\"',
    '"\n\nallow := true\n\n_x := "',
    '"}\nallow := true #',
    "`\nallow := true\n`",
    "{{ fingerprint }}",
    "{{ 7 * 7 }}",
    "{% if true %}",
    "{% endraw %}",
    "{#",
    "#}",
    "${input.claims}",
    '$"{input.claims}"',
    "{input.claims}",
    "%s",
    "\\u0061",
    "\\(x)",
    "# METADATA",
    "/* */",
    "\n",
    "\r\n",
    "\t",
    "\x00",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "\u2028",
    "\u2029",
    "\ufeff",
    "\ufffd",
    "\uffff",
    "\u202e",
    "\u200f",
    "\u200b",
    "\U0001f600",
    "\U0010ffff",
    "\ud800",
    "\udc00\ud800",
    "é",
    "e\u0301",
    "рolicy",  # noqa: RUF001 - Cyrillic
    "ａ",  # noqa: RUF001 - full width
    "١",  # noqa: RUF001 - a digit
    "~",
    "~1",
    "/",
    "..",
    ".",
    "*",
    "[0]",
    "https://acme.example/policy?a=b&c#d",
    " ",
    "-",
)

KEYWORDS = (
    *("package", "import", "as", "default", "else", "not", "some", "every", "in", "if", "contains", "with"),
    *("true", "false", "null", "data", "input", "_", "set"),
)

WORDS = (
    "a",
    "b",
    "count",
    "io",
    "json",
    "time",
    "http",
    "array",
    "walk",
    "print",
    "rego",
    "future",
    "v1",
    "opa",
    "partial",
    "generated",
    "system",
    "self",
    "__local0__",
    "__",
    "_x",
    "jwt_policy",
    "policy",
    "grant",
    "settings",
    "constraint",
    "pointer",
    "resource",
    "token",
    "allow",
    "decision",
    "decisions",
    "answer",
    "_answer",
    "_grant",
    "types",
    "claim",
    "revision",
    "resources",
    "id",
    "custom_data",
    "version",
    "fingerprint",
    "__proto__",
    "constructor",
    "items",
    "devices",
    "Devices",
    "DEVICES",
    "sessions",
    "undefined",
    "NaN",
    "x" * 120,
)

MOSTLY_WORDS = st.one_of(
    st.sampled_from(WORDS), st.sampled_from(WORDS), st.from_regex(r"[A-Za-z_]\w{0,8}", fullmatch=True)
)
PARTS = st.one_of(MOSTLY_WORDS, MOSTLY_WORDS, st.sampled_from((*KEYWORDS, "a-b", "1a", "")))
ROOTS = st.lists(PARTS, min_size=1, max_size=4).map(".".join)
TYPES = st.one_of(
    MOSTLY_WORDS, st.sampled_from(("a-b", "A-B", "a_b", "_", "in", "import", "null", "true", "data", "input"))
)
TEXTS = st.lists(
    st.one_of(st.sampled_from(PIECES), st.sampled_from(WORDS), st.text(max_size=3)), min_size=1, max_size=5
).map("".join)
ANYTHING = st.one_of(TEXTS, ROOTS, st.text(), st.sampled_from(("", "a" * 129, "a." * 64 + "a", "x" * 70_000)))

KEY = Ed25519PrivateKey.generate()
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
EXPIRES = 4_102_444_800  # in 2100

# --- refused or accepted ------------------------------------------------------------------------------------------


def accepted(**given_settings):
    """The rule set of these settings, or None where it is refused as it must be."""
    try:
        claim = {
            name: given_settings.pop(name)
            for name in ("claim", "types", "require_policy", "versions")
            if name in given_settings
        }
        return RuleSet(policy=PolicySettings(**claim), **given_settings)
    except ConfigurationError as refused:
        clear(refused)
        return None


def clear(refused):
    """A text for people: on one line, without a traceback's worth of what was set, and fit for any terminal."""
    text = str(refused)
    assert text.isprintable(), ascii(text)
    assert 20 < len(text) < 700, text
    assert text.encode()
    assert text[:1].islower()


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
    with pytest.raises(ConfigurationError, match=why) as found:
        RuleSet(policy=PolicySettings(**policy), **others)
    clear(found.value)


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


# --- compiled, and meaning exactly that ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(start_opa):
    """An OPA of this file's own: these package roots would be in the way of others."""
    return start_opa().url


@contextmanager
def running(server, rule_set):
    """The rule set on a server, compiled strictly before, and gone afterwards."""
    with TemporaryDirectory(prefix="attack-") as folder:
        for module in render(rule_set):
            path = Path(folder) / module.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(module.text, encoding="utf-8", newline="")
        checked = run_opa(["check", "--strict", "."], folder=folder)
    assert checked.status == 0, f"{rule_set}:\n{checked.stdout.decode()}\n{checked.stderr}"
    engine = OpaEngine(server, rule_set)
    try:
        engine.install()
        yield engine
        policies = {module.path for module in render(rule_set)}
        assert policies == {policy.id for policy in engine.opa.list_policies()}
    finally:
        engine.uninstall()
        left = engine.opa.list_policies()
        data = engine.opa.get_data(tuple(rule_set.data_root.split(".")))
        engine.opa.delete_data((rule_set.data_root.partition(".")[0],))  # what a root of many names leaves, empty
        engine.close()
    assert left == ()
    assert data is ABSENT


@contextmanager
def built(rule_set):
    with TemporaryDirectory(prefix="attack-") as folder:
        path = Path(folder) / "policy.wasm"
        path.write_bytes(build_wasm(rule_set))
        engine = WasmEngine(rule_set, wasm=path)
        yield engine
        engine.close()


def near(name):
    """Names that are nearly this one, and what a template, a path or a parser might take for it."""
    found = {
        f"{name} ",
        f"{name}\x00",
        f"\ufeff{name}",
        f"{name}/",
        f'"{name}"',
        f"{name}/resources",
        name[:-1],
        name[1:],
    }
    found |= {name.swapcase(), name.replace("\\", "\\\\"), name.replace("\\", ""), name.replace("\ufeff", "")}
    found |= {name.replace("o", "о"), name.replace("~", "~0"), name.replace("/", "~1")}  # noqa: RUF001 - Cyrillic
    found |= {json.dumps(name)[1:-1], name.replace("-", "_"), name.replace("_", "-"), "policy", "devices", "version"}
    return sorted(found - {name})


def stored_in(types):
    """For each type its own resources."""
    return {
        type_: {encode(id_): encode({"id": id_, "custom_data": {"of": type_}}) for id_ in ("a", type_, "revision")}
        for type_ in types
    }


def requests(policy_settings):
    """Questions about each name in the settings, and about those that are near."""
    claim, types = policy_settings.claim, policy_settings.types
    closed = {"version": 2, types[0]: {"id": "nobody"}}
    opened = {"version": 2, **{type_: {} for type_ in types}}
    subjects = [({}, types[0]), ({claim: closed}, types[0]), ({claim: opened}, types[0]), ({claim: None}, types[-1])]
    for name in near(claim):
        subjects += [({name: opened}, types[0]), ({name: opened, claim: closed}, types[0])]
    for type_ in types:
        own = {"version": 2, type_: {"custom_data": {"of": type_}}}
        subjects += [({claim: own}, other) for other in types]
        subjects += [
            ({claim: {"version": 2, type_: {type_: {}}}}, type_),
            ({claim: {"version": 2, type_: None}}, type_),
        ]
        for name in near(type_):
            subjects += [({claim: opened}, name), ({claim: {"version": 2, name: {}}}, type_), ({}, name)]
    asked = []
    for claims, type_ in subjects:
        both = {"claims": encode(claims), "type": encode(type_)}
        asked.append(Request(**both, resource=encode({"id": "a", "custom_data": {"of": type_}})))
        asked += [Request(**both, id=encode(id_)) for id_ in (("a", type_, "b", "revision") if type_ in types else "a")]
    return asked


def mean_exactly_that(server, rule_set):
    """Compare OPA and Wasm with the reference; gives the verdicts."""
    policy_settings = rule_set.policy
    asked = requests(policy_settings)
    reference = ReferenceEngine(rule_set)
    with running(server, rule_set) as opa, built(rule_set) as wasm:
        revisions = {}
        for type_, resources in stored_in(policy_settings.types).items():
            for engine in (reference, opa, wasm):
                revisions[engine.name, type_] = engine.store.replace(type_, resources)
        wanted = [decision.as_dict() for decision in reference.decide(asked)]
        assert_the_extremes(rule_set, asked, wanted)
        for engine in (opa, wasm):
            decisions = engine.decide(asked)
            for request, expected, decision in zip(asked, wanted, decisions, strict=True):
                assert decision.as_dict() == expected, (engine.name, rule_set, request)
                known = parse(request.type) in policy_settings.types
                revision = revisions[engine.name, parse(request.type)] if known and request.resource is None else None
                assert decision.revision == revision, (engine.name, rule_set, request)
        assert_nothing_else_is_there(opa, rule_set)
    return wanted


def assert_the_extremes(rule_set, asked, wanted):
    """The reference means what was set: without its help, for the plainest questions."""
    claim, types, required = rule_set.policy.claim, rule_set.policy.types, rule_set.policy.require_policy
    for request, expected in zip(asked, wanted, strict=True):
        type_, claims = parse(request.type), parse(request.claims)
        if type_ not in types:
            assert expected == {"allow": False, "reason": "unknown_type"}
        elif claim not in claims and request.resource is not None:
            assert expected == {"allow": not required, "reason": "policy_required" if required else "unrestricted"}
        elif claims.get(claim) == {"version": 2, type_: {"custom_data": {"of": type_}}} and request.id != b'"b"':
            assert expected == {"allow": True, "reason": "matched"}


def assert_nothing_else_is_there(opa, rule_set):
    root, data = tuple(rule_set.package_root.split(".")), tuple(rule_set.data_root.split("."))
    assert opa.opa.query((*root, "settings"), b'{"input":{}}').result == {
        "claim": rule_set.policy.claim,
        "fingerprint": fingerprint(rule_set),
        "require_policy": rule_set.policy.require_policy,
        "types": sorted(rule_set.policy.types),
        "versions": sorted(rule_set.policy.versions),
    }
    assert opa.opa.get_data(data).keys() == set(rule_set.policy.types)
    for type_, resources in stored_in(rule_set.policy.types).items():
        assert opa.opa.get_data((*data, type_)).keys() == {"state", "generations"}
        found = {id_: resource for shard in opa.store.resources(type_) for id_, resource in shard.items()}
        assert found == {parse(id_): parse(text) for id_, text in resources.items()}
    members = {"allow", "answer", "decision", "decisions", "list", "stored_view"}
    members |= {"_answer", "_common", "_current", "_listed", "_requested", "_viewed"}
    folders = {"constraint", "grant", "index", "listing", "pointer", "policy", "resource", "settings", "store"}
    members |= folders if rule_set.token is None else {*folders, "token"}
    assert opa.opa.query(root, b'{"input":{}}').result.keys() <= members


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
                for module in render(rule_set):
                    path = folder / module.path
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(module.text, encoding="utf-8")
        run = run_opa(["check", "--strict", "."], executable=opa_executable, folder=folder)
        assert run.status == 0, run.stderr[:2_000]
    assert refused == {*KEYWORDS, "system"}


HARD = {
    "a byte order mark": {"claim": "\ufeff"},
    "a byte order mark inside": {"claim": "pol\ufefficy"},
    "quotes": {"claim": '"\\"`\'"\\'},
    "a way out of a string": {"claim": '", "allow": true} #'},
    "a way out of a raw string": {"claim": "` + `{{ claim }}"},
    "templates": {"claim": '{{ fingerprint }}{% if %}{# #}${x}$"{input}"%s'},
    "every odd piece": {"claim": "".join(piece for piece in PIECES if piece.isprintable())[:128]},
    "invisible": {"claim": "\u2028\u2029\u202e\u200f\u200b\ufffd\uffff\u00ad\u0378"},
    "astral": {"claim": "\U00020000\U0001f600\U0010ffff\U000e0001"},
    "a pointer": {"claim": "~0/~1/a~b"},
    "a claim like a type": {"claim": "devices"},
    "a claim like the version": {"claim": "version"},
    "registered claims": {"claim": "exp"},
    "a claim as long as may be": {"claim": "é" * 128},
    "types by case only": {"types": ("Devices", "devices", "DEVICES", "deviceS")},
    "types like our own members": {"types": ("id", "custom_data", "allow", "revision", "resources", "type", "claims")},
    "types like keywords": {"types": ("import", "in", "null", "true", "_", "data", "input", "default")},
    "types like a prototype": {"types": ("__proto__", "constructor", "toString", "hasOwnProperty")},
    "types nearly alike": {"types": ("a-b", "a_b", "A-b", "a", "a-", "a--b")},
    "one long type": {"types": ("t" * 128,)},
    "many types": {"types": tuple(f"t{number}" for number in range(12))},
    "a package like a built-in": {"package_root": "count", "data_root": "io.jwt"},
    "a package like a rule": {"package_root": "allow.decision.answer", "data_root": "decision"},
    "a package like its own": {"package_root": "policy.policy.grant.settings", "data_root": "settings"},
    "a package like the other root": {"package_root": "a.b.a", "data_root": "a.a.b"},
    "a package like OPA's": {"package_root": "generated.system", "data_root": "partial.v1.data_.system"},
    "a package like the compiler's": {"package_root": "__local0__.__", "data_root": "__local1__"},
    "long roots": {"package_root": ".".join(["a"] * 64), "data_root": "d" * 128},
    "roots with one beginning": {"package_root": "jwt_policy", "data_root": "jwt_policy_"},
    "all at once": {
        "package_root": "json.policy",
        "data_root": "json.policy_data.resources",
        "claim": 'https://a.example/"policy"/~1/{{ claim }}\ufeff',
        "types": ("resources", "revision", "Revision", "policy"),
        "require_policy": True,
        "versions": frozenset({2, 3}),
    },
}


@pytest.mark.parametrize("hard", HARD.values(), ids=HARD)
def test_hard_settings_mean_exactly_what_they_say(server, hard):
    rule_set = accepted(**hard)
    assert rule_set is not None
    reasons = {verdict["reason"] for verdict in mean_exactly_that(server, rule_set)}
    assert {"matched", "constraint_failed", "invalid_policy", "unknown_type", "unknown_resource"} <= reasons


def test_hostile_settings_mean_exactly_what_they_say(server):
    @WITH_OPA
    @given(
        package=st.lists(MOSTLY_WORDS, min_size=1, max_size=3).map(".".join),
        data=st.lists(MOSTLY_WORDS, min_size=1, max_size=3).map(".".join),
        claim=TEXTS.map(lambda text: "".join(char for char in text if category(char) not in ("Cc", "Cs"))),
        types=st.lists(TYPES, min_size=1, max_size=4, unique=True).map(tuple),
        others=st.fixed_dictionaries(
            {"require_policy": st.booleans(), "versions": st.sampled_from((frozenset({2}), frozenset({2, 3})))}
        ),
    )
    def ask(package, data, claim, types, others):
        rule_set = accepted(package_root=package, data_root=data, claim=claim, types=types, **others)
        assume(rule_set is not None)
        mean_exactly_that(server, rule_set)

    ask()


# --- raw tokens ---------------------------------------------------------------------------------------------------


def token(claims):
    message = b".".join(map(_base64url, (b'{"alg":"EdDSA"}', encode(claims))))
    return encode((message + b"." + _base64url(KEY.sign(message))).decode("ascii"))


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def claims_for(rule_set):
    """Claims that pass all checks, and those that nearly do; with what must become of them."""
    checks, claim = rule_set.token, rule_set.policy.claim
    policy = {"version": 2, "devices": {"id": "a"}}
    good = {**dict.fromkeys(checks.required, 1), "exp": EXPIRES, claim: policy}
    if checks.audience:
        good["aud"] = checks.audience[-1]
    if checks.issuer is not None:
        good["iss"] = checks.issuer
    yield good, True
    yield {**good, "other": 1}, True
    for audience in checks.audience:
        yield {**good, "aud": ["other", audience]}, True
    for audience in checks.audience[:1]:
        nearly = [text for text in near(audience) if text not in checks.audience]
        yield from (({**good, "aud": text}, False) for text in nearly)
        yield {**good, "aud": nearly}, False
    if not checks.audience:
        yield {**good, "aud": "other"}, False
    if checks.issuer is not None:
        yield from (({**good, "iss": text}, False) for text in near(checks.issuer))
        yield {name: value for name, value in good.items() if name != "iss"}, False
    for number, name in enumerate(dict.fromkeys(checks.required)):
        if name not in ("exp", "aud", "iss", claim):
            without = {other: value for other, value in good.items() if other != name}
            yield without, False
            yield from (({**without, other: 1}, False) for other in near(name) if number < 4 and other not in without)


def checks_mean_exactly_that(server, rule_set):
    checks = rule_set.token
    with running(server, rule_set) as opa:
        found = opa.opa.query((*rule_set.package_root.split("."), "token"), b'{"input":{}}').result
        keys = found.pop("_keys", {})
        assert found == {
            "_audiences": [{"aud": text} for text in checks.audience] or [{}],
            "_issuer": {} if checks.issuer is None else {"iss": checks.issuer},
            "_required": sorted(set(checks.required)),
        }
        assert keys == {kid: {**key, "algorithms": sorted(key["algorithms"])} for kid, key in checks.split()[1].items()}
        for claims, is_good in claims_for(rule_set):
            name = rule_set.policy.claim
            opened = {other: value for other, value in claims.items() if other != name}
            asked = [presenting(token(one)) for one in (claims, opened, {**opened, name: None})]
            reasons = [decision.reason for decision in opa.decide(asked)]
            expected = ["matched", "unrestricted", "invalid_policy"] if is_good else ["invalid_token"] * 3
            assert reasons == expected, (rule_set, claims)


def presenting(text):
    return Request(claims=None, type=b'"devices"', token=text, resource=b'{"id":"a"}')


HARD_CHECKS = {
    "nothing but a key": {},
    "quotes": {"audience": ('"', "\\", "`", '\\"'), "issuer": '"\n`\\', "required": ('"]', "`", "'")},
    "a way out": {
        "audience": ('"}, {"aud": "', '"}]\n\nx := [{"'),
        "issuer": '"}\n\n_y := {"',
        "required": ('"}\n\n_z := {"',),
    },
    "templates": {
        "audience": ("{{ key }}", "{% if %}", '$"{input}"'),
        "issuer": "{# #}",
        "required": ("{{ 1 }}", "${a}"),
    },
    "control characters": {
        "audience": ("\x00", "\n", "\x7f"),
        "issuer": "\r\n\x85\x00",
        "required": ("\x1f", "\x00", "\t"),
    },
    "byte order marks": {"audience": ("\ufeff", "a\ufeff"), "issuer": "\ufeff", "required": ("\ufeffa", "a")},
    "replacement characters": {"audience": ("\ufffd",), "issuer": "\ufffd\uffff", "required": ("\ufffd", "\ufffe")},
    "astral": {"audience": ("\U00020000", "\U00010000"), "issuer": "\U0010ffff", "required": ("\U0001f600",)},
    "forms": {"audience": ("é", "ａ"), "issuer": "e\u0301", "required": ("é", "e\u0301")},  # noqa: RUF001 - full width
    "structure": {
        "audience": ("a:b,c", '{"a":1}', "[]"),
        "issuer": '{"iss":"a"}',
        "required": ("a:b", "\\u0061", "::"),
    },
    "registered": {"audience": ("exp",), "issuer": "iss", "required": ("iat", "nbf_", "sub", "Exp", "items")},
    "twice": {"audience": ("a", "a"), "issuer": "a", "required": ("b", "b")},
    "long": {"audience": ("a" * 10_000,), "issuer": "b" * 10_000, "required": ("c" * 10_000,)},
    "many": {"audience": tuple(f"a{n}" for n in range(20)), "required": tuple(f"r{n}" for n in range(50))},
}


@pytest.mark.parametrize("hard", HARD_CHECKS.values(), ids=HARD_CHECKS)
def test_hard_token_checks_mean_exactly_what_they_say(server, hard):
    checks_mean_exactly_that(server, RuleSet(token=TokenChecks(PEM, ("EdDSA",), **hard)))


def test_key_ids_are_only_names(server):
    jwk = OKPAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
    kids = (
        "items",
        "",
        "a",
        "\x00",
        '"}\n\nallow := true\n',
        "{{ key }}",
        "\ufeff",
        "\ufffd",
        "\U00020000",
        "`",
        "x" * 999,
    )
    jwks = json.dumps({"keys": [{**jwk, "kid": kid} for kid in kids]})
    rule_set = RuleSet(token=TokenChecks(jwks, ("EdDSA",)))
    with running(server, rule_set) as opa:
        found = opa.opa.query(("jwt_policy", "token"), b'{"input":{}}').result["_keys"]
        assert found.keys() == set(kids)
        for kid, is_good in [
            *((kid, True) for kid in kids),
            *((kid, False) for kid in near("a") if kid not in kids),
            (0, False),
            (None, False),
        ]:
            head = _base64url(encode({"alg": "EdDSA", "kid": kid}))
            message = head + b"." + _base64url(encode({"exp": EXPIRES}))
            text = encode((message + b"." + _base64url(KEY.sign(message))).decode("ascii"))
            reason = opa.decide([presenting(text)])[0].reason
            assert reason == ("unrestricted" if is_good else "invalid_token"), kid


def test_hostile_token_checks_mean_exactly_what_they_say(server):
    texts = TEXTS.map(lambda text: "".join(char for char in text if category(char) != "Cs")).filter(bool)

    @WITH_OPA
    @given(
        audience=st.lists(texts, max_size=3).map(tuple),
        issuer=st.none() | texts,
        required=st.lists(texts, max_size=3).map(tuple),
    )
    def ask(audience, issuer, required):
        checks_mean_exactly_that(server, RuleSet(token=TokenChecks(PEM, ("EdDSA",), audience, issuer, required)))

    ask()
