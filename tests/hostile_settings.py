"""Hostile strings for the settings of rule sets, and rule sets of them on a real OPA."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from rule_files import write_rules

from bridge.engines import OpaEngine
from bridge.errors import ConfigurationError
from bridge.opa import run_opa
from bridge.policy import PolicySettings
from bridge.rendering import RuleSet, render
from bridge.strict_json import ABSENT

WITHOUT_OPA = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
# What is shrunk is asked of an OPA hundreds of times.
WITH_OPA = settings(WITHOUT_OPA, max_examples=12, phases=(Phase.explicit, Phase.reuse, Phase.generate))
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
TYPES = st.one_of(
    MOSTLY_WORDS, st.sampled_from(("a-b", "A-B", "a_b", "_", "in", "import", "null", "true", "data", "input"))
)
TEXTS = st.lists(
    st.one_of(st.sampled_from(PIECES), st.sampled_from(WORDS), st.text(max_size=3)), min_size=1, max_size=5
).map("".join)
KEY = Ed25519PrivateKey.generate()
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def accepted(**arguments):
    """The rule set of these settings, or None where it is refused as it must be."""
    try:
        claim = {
            name: arguments.pop(name) for name in ("claim", "types", "require_policy", "versions") if name in arguments
        }
        return RuleSet(policy=PolicySettings(**claim), **arguments)
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


@contextmanager
def running(server, rule_set):
    """The rule set on a server, compiled strictly before, and gone afterwards."""
    with TemporaryDirectory(prefix="attack-") as folder:
        write_rules(Path(folder), rule_set)
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


def near(name):
    """Names that are nearly this one, and what a template, a path or a parser might take for it."""
    variants = {
        f"{name} ",
        f"{name}\x00",
        f"\ufeff{name}",
        f"{name}/",
        f'"{name}"',
        f"{name}/resources",
        name[:-1],
        name[1:],
    }
    variants |= {name.swapcase(), name.replace("\\", "\\\\"), name.replace("\\", ""), name.replace("\ufeff", "")}
    variants |= {name.replace("o", "о"), name.replace("~", "~0"), name.replace("/", "~1")}  # noqa: RUF001 - Cyrillic
    variants |= {json.dumps(name)[1:-1], name.replace("-", "_"), name.replace("_", "-"), "policy", "devices", "version"}
    return sorted(variants - {name})
