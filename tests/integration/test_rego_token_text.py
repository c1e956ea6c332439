"""What rule sets demand of the text of a raw token: segments, base64url, strict JSON (R12)."""

import base64
import json
import math

import pytest
from rego_token_rules import CLAIMS, OpaRules, assert_invalid, assert_valid, having, shown, token
from token_making import signed


def spelled(member):
    """A token whose claims hold this text as a member besides the usual ones."""
    return token(json.dumps(CLAIMS)[:-1] + ", " + member + "}")


def nested(depth):
    return '"deep": ' + "[" * depth + "]" * depth


@pytest.fixture(scope="module")
def rules(start_opa, tmp_path_factory):
    started = OpaRules(start_opa, tmp_path_factory)
    yield started
    started.stop()


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        " ",
        ".",
        "..",
        "...",
        "a",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "null",
        "{}",
        "é.é.é",
        "\u0000",
        "Bearer x.y.z",
        "🐍" * 9,
    ],
    ids=shown,
)
def test_text_that_is_no_token_is_refused(rules, wrong):
    assert_invalid(rules(), wrong)


def test_a_token_has_three_segments(rules):
    made = token()
    for wrong in (made + ".", "." + made, made + "." + made.split(".")[2], made.rpartition(".")[0], made + "." + made):
        assert_invalid(rules(), wrong)


@pytest.mark.parametrize(
    ("place", "text"),
    [(0, "="), (1, "="), (2, "="), (2, "=="), (2, "\n"), (0, "\n"), (1, "\r\n"), (2, " "), (1, "+"), (2, "/")],
)
def test_base64url_is_exact(rules, place, text):
    parts = token().split(".")
    parts[place] += text
    assert_invalid(rules(), ".".join(parts))
    assert_invalid(rules(), signed(".".join(parts[:2])) if place < 2 else ".".join(parts))


@pytest.mark.parametrize("place", [0, 1])
def test_base64url_of_what_is_signed_is_exact(rules, place):
    """OPA itself takes proper padding, line ends, and bits that are left over."""
    made = [token({**CLAIMS, "n": "x" * length}, n="x" * length).split(".")[:2] for length in range(3)]
    parts = next(parts for parts in made if len(parts[place]) % 4 == 2)
    segment = parts[place]
    left_over = segment[:-1] + chr(ord(segment[-1]) + 1)
    for changed in (segment + "==", segment + "\n", segment[:8] + "\r\n" + segment[8:], left_over):
        parts[place] = changed
        assert_invalid(rules(), signed(".".join(parts)))
    parts[place] = segment
    assert_valid(rules(), signed(".".join(parts)))


def test_a_token_has_nothing_around_it(rules):
    for wrong in (f" {token()}", f"{token()} ", f"{token()}\n", f"Bearer {token()}"):
        assert_invalid(rules(), wrong)


def test_left_over_bits_are_zero(rules):
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    head, body, tail = token().split(".")
    assert len(tail) % 4 == 2
    other = alphabet[alphabet.index(tail[-1]) + 1]
    assert base64.urlsafe_b64decode(tail + "==") == base64.urlsafe_b64decode(tail[:-1] + other + "==")
    assert_invalid(rules(), f"{head}.{body}.{tail[:-1]}{other}")


def test_the_longest_token(rules):
    def padded(length):
        return having(jti="x" * length)

    length = (65_536 - len(padded(0))) * 3 // 4
    assert len(padded(length)) in (65_535, 65_536)
    assert_valid(rules(), padded(length))
    assert_invalid(rules(), padded(length + 2))


@pytest.mark.parametrize(
    "claims",
    [
        b"",
        "null",
        "[]",
        '"text"',
        "1",
        "{",
        '{"exp":1e100000000}',
        json.dumps(CLAIMS)[:-1],
        json.dumps(CLAIMS) + "}",
        json.dumps(CLAIMS) + "x",
        json.dumps(CLAIMS)[:-1] + ",}",
        "\ufeff" + json.dumps(CLAIMS),
        "//\n" + json.dumps(CLAIMS),
        json.dumps({**CLAIMS, "x": math.nan}),
        json.dumps({**CLAIMS, "x": math.inf}),
    ],
    ids=shown,
)
def test_claims_that_are_no_json_object_are_refused(rules, claims):
    assert_invalid(rules(), token(claims))


@pytest.mark.parametrize(
    "member",
    [
        '"exp": 9999999999',
        '"policy": {"version": 2, "devices": {}}',
        '"a": 1, "a": 1',
        '"a": {"b": 1, "b": 2}',
        '"a": [{"": 1, "": 1}]',
        '"\\u0065xp": 9999999999',
        '"a" : 1, "\\u0061"\n:\t2',
        '"a\\"": 1, "a\\u0022": 2',
        '"a": "\\ud800"',
        '"a": "\\uDFFF"',
        '"a": "\\udc00\\ud800"',
        '"a": "\\ud800\\ud800\\udc00"',
        '"a": "\\ud800x\\udc00"',
        '"a": "\\\\\\ud800"',
        '"\\ud800": 1',
        b'"a": "\xff"',
        b'"a": "\xed\xa0\x80"',
        b'"a\xc0\x80": 1',
        nested(64),
        nested(2000),
        '"deep": ' + '{"a":' * 64 + "0" + "}" * 64,
        '"a": 1e1000',
        '"a": -1.5E+1000000',
        '"a": 1e-1000000000',
        '"a": 1e0001000',
    ],
    ids=shown,
)
def test_r12_holds_for_the_claims(rules, member):
    claims = (
        json.dumps(CLAIMS).encode()[:-1] + b", " + (member if isinstance(member, bytes) else member.encode()) + b"}"
    )
    assert_invalid(rules(), token(claims))


@pytest.mark.parametrize(
    "member",
    [
        '"a": {"a": 1}, "b": {"a": 1}, "c": [{"a": 1}, {"a": 2}]',
        '"a": ":", "b": "{\\"a\\":1,\\"a\\":2}", "c": "\\\\"',
        '":\\":": [":", {":": "\\\\\\":"}]',
        '"A": 1, "a": 2, "a ": 3',
        '"a": "\\ud83d\\ude00\\uD83D\\uDE00"',
        '"a": "\\\\ud800 \\\\\\\\ud800"',
        '"a": "\ufffd \\ufffd \\u0000 \\u0022 \\/ é 😀"',
        nested(63),
        '"deep": ' + '{"a":' * 63 + "0" + "}" * 63,
        '"a": [1e300, -1e-300, 1E+10, 1.50, 0.0, -0, 123456789012345678901234567890]',
        '"a": "1e1000000"',
        '"": {"": [[], {}]}',
    ],
    ids=shown,
)
def test_what_r12_allows_is_not_refused(rules, member):
    assert_valid(rules(), spelled(member))
