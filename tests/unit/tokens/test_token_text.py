"""The text of a token: its compact form, its header and its payload."""

from __future__ import annotations

import base64
import contextlib
import json
import string
from decimal import Decimal

import pytest
from token_making import CLAIMS, EXP, NOW, SourceThatMustNotBeAsked, b64, made, verifier

from bridge.errors import MalformedTokenError, UsageError
from bridge.tokens import jws
from bridge.tokens.jws import MAX_BYTES, Base64urlError, CompactJws, decode_base64url, parse_compact

# Header, payload and size


@pytest.mark.parametrize("crit", [["b64"], ["exp"], [], None, "b64", False, {}, ["http://example.com/x"]])
def test_every_crit_is_refused(crit):
    with pytest.raises(MalformedTokenError, match="`crit`"):
        verifier().verify(made(header={"alg": "RS256", "crit": crit}))


@pytest.mark.parametrize("member", [{"b64": True}, {"b64": False}, {"b64": None}, {"zip": "DEF"}, {"zip": None}])
def test_members_that_would_change_the_payload_are_refused(member):
    with pytest.raises(MalformedTokenError, match="is not supported"):
        verifier().verify(made(**member))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "{",
        "[]",
        "null",
        '"RS256"',
        "{}",
        '{"typ":"JWT"}',
        '{"alg":null}',
        '{"alg":256}',
        '{"alg":["RS256"]}',
        '{"alg":"RS256","alg":"RS256"}',
        '{"alg":"none","alg":"RS256"}',
        '{"alg":"RS256","x":1,"x":1}',
        '{"alg":"RS256","x":NaN}',
        '{"alg":"RS256","x":-Infinity}',
        '{"alg":"RS256",}',
        '{"alg":"RS256"} x',
        '{"alg":"RS256","x":"\\ud800"}',
        '{"alg":"RS256","x":1e400}',
        '{"alg":"RS256","x":' + "9" * 5000 + "}",
        '\ufeff{"alg":"RS256"}',
        '{"alg":"RS256","x":' + "[" * 64 + "]" * 64 + "}",
        '{"alg":"RS256","x":' + "[" * 20_000 + "]" * 20_000 + "}",
        b'{"alg":"RS256","x":"\xff"}',
        json.dumps({"alg": "RS256"}).encode("utf-16"),
        "// x\n" + '{"alg":"RS256"}',
    ],
)
def test_headers_that_are_malformed(header):
    with pytest.raises(MalformedTokenError):
        verifier().verify(made(header=header))


def test_headers_that_are_well_formed():
    deep = "[" * 63 + "]" * 63
    for header in (
        '{"alg":"RS256"}',
        ' {"alg" : "RS256" }\n',
        '{"\\u0061lg":"RS256"}',
        f'{{"alg":"RS256","x":{deep}}}',
    ):
        assert verifier().verify(made(header=header)) == CLAIMS


@pytest.mark.parametrize(
    "claims",
    [
        "",
        "{",
        "[]",
        "null",
        "5",
        f'{{{EXP},"exp":{NOW + 70}}}',
        f'{{{EXP},"policy":1,"policy":1}}',
        f'{{{EXP},"x":{{"y":1,"y":1}}}}',
        f'{{{EXP},"x":NaN}}',
        f'{{{EXP},"x":Infinity}}',
        f"{{{EXP},}}",
        f"{{{EXP}}} ,",
        f'{{{EXP},"x":"\\ud800"}}',
        f'{{{EXP},"x":"\\udc00\\ud800"}}',
        f'{{{EXP},"x":1e309}}',
        f'{{{EXP},"x":1e100000000}}',
        f'{{{EXP},"x":0.{"1" * 18}}}',
        f'{{{EXP},"x":{"1" * 41}}}',
        f'{{{EXP},"x":{"[" * 64 + "]" * 64}}}',
        f'{{{EXP},"x":[{"1e39," * 8_000}1]}}',
        f"\ufeff{{{EXP}}}",
        f'{{{EXP},"x":"'.encode() + b'\xff"}',
        f'{{{EXP},"x":"'.encode() + b'\xed\xa0\x80"}',
        f"{{{EXP}}}".encode("utf-16"),
    ],
)
def test_payloads_that_are_malformed(claims):
    with pytest.raises(MalformedTokenError, match="claims"):
        verifier().verify(made(claims))


def test_claims_are_exact():
    deep = "[" * 63 + "]" * 63
    claims = verifier().verify(
        made(f'{{{EXP},"a":9007199254740993,"b":0.1,"c":1e3,"d":1e30,"e":"\\ud83d\\ude00","f":{deep},"g":-0.0}}')
    )
    assert claims["a"] == 9007199254740993
    assert claims["b"] == Decimal("0.1")
    assert type(claims["b"]) is Decimal
    assert (claims["c"], type(claims["c"])) == (1000, int)
    assert claims["d"] == 10**30
    assert claims["e"] == "\U0001f600"
    assert (claims["g"], type(claims["g"])) == (0, int)


def test_the_size_of_a_token_has_a_bound():
    filler = "x" * 48_000
    token = made({**CLAIMS, "x": filler})
    filler += "x" * ((65_536 - len(token)) * 3 // 4 - 6)
    token = made({**CLAIMS, "x": filler})
    assert 65_500 < len(token) <= 65_536
    assert verifier().verify(token)["x"] == filler
    with pytest.raises(MalformedTokenError, match="longer than 65,536"):
        verifier().verify(made({**CLAIMS, "x": filler + "x" * 60}))


def test_a_token_that_is_too_long_is_refused_before_any_decoding():
    subject = verifier(SourceThatMustNotBeAsked())
    for text in ("." * 65_537, "é" * 65_537, "a" * 10_000_000):
        with pytest.raises(MalformedTokenError, match="longer than 65,536"):
            subject.verify(text)


@pytest.mark.parametrize("token", [b"a.b.c", None, 5, {}, bytearray(b"a"), type("Text", (str,), {})("a.b.c")])
def test_a_token_that_is_no_string(token):
    with pytest.raises(UsageError):
        verifier().verify(token)


@pytest.mark.parametrize(
    "token", ["", ".", "..", "...", "a", "a.b", "a.b.c.d", "a.b.c.d.e", "Bearer a.b.c", "\0", "é.b.c"]
)
def test_texts_that_are_no_token(token):
    with pytest.raises(MalformedTokenError):
        verifier().verify(token)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_base64url_is_exact(which):
    # lengths of 3n+1 bytes, so that each segment ends in unused bits
    header = '{"alg":"RS256"}' + " " * ((1 - 15) % 3)
    claims = json.dumps(CLAIMS)
    claims += " " * ((1 - len(claims)) % 3)
    token = made(claims, header=header)
    assert verifier().verify(token) == CLAIMS
    assert [len(segment) % 4 for segment in token.split(".")] == [2, 2, 2]

    def with_segment(change):
        segments = token.split(".")
        segments[which] = change(segments[which])
        return ".".join(segments)

    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    changes = [
        lambda s: s + "==",
        lambda s: s + "=",
        lambda s: s + " ",
        lambda s: s + "\n",
        lambda s: "\n" + s,
        lambda s: s[:4] + "\r\n" + s[4:],
        lambda s: s[:4] + "!" + s[4:],
        lambda s: s[:4] + "+" + s[5:],
        lambda s: s[:4] + "/" + s[5:],
        lambda s: s[:4] + "%3D" + s[4:],
        lambda s: s[:-1],
        lambda s: s + "AAA",
        lambda s: s[:-1] + alphabet[alphabet.index(s[-1]) ^ 1],
        lambda s: s[:-1] + alphabet[alphabet.index(s[-1]) ^ 8],
        lambda s: s[:-1] + "\uff21",
    ]
    for number, change in enumerate(changes):
        with pytest.raises(MalformedTokenError):
            pytest.fail(f"accepted change {number}: {verifier().verify(with_segment(change))}")


# The compact form


ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"


def refusal_of(token):
    with pytest.raises(MalformedTokenError) as refusal:
        parse_compact(token)
    (cause,) = refusal.value.args
    assert type(cause) is str
    return cause


@pytest.mark.parametrize(
    ("token", "cause"),
    [
        ("a" * (MAX_BYTES + 1), "the token is longer than 65,536 bytes"),
        ("a" * MAX_BYTES, "the token has 1 segment, not 3"),
        ("a.b", "the token has 2 segments, not 3"),
        ("a.b.c.d", "the token has 4 segments, not 3"),
        ("=.AA.AA", "it is not a token: its first segment is not a JSON object in base64url"),
        ("AA.AA.AA", "it is not a token: its first segment is not a JSON object in base64url"),
        (b64(b"\v{}") + ".AA.AA", "it is not a token: its first segment is not a JSON object in base64url"),
        ("ew=.AA.AA", "the token's header has a character that base64url does not have: `=` is padding, take it off"),
        ("e30.A.AA", "the token's payload has a length that base64url never has; is something cut off?"),
        ("e30.AA.AB", "the token's signature has unused bits at the end that are not zero; is something cut off"),
        (f"{b64(b' {}')}.AA.AA", "token header: `alg` is missing or not a string"),
        (
            f"{b64(b'{')}.AA.AA",
            "token header: line 1, column 2: expected a member name in double quotes, found the end of",
        ),
    ],
    ids=lambda value: value[:20],
)
def test_a_token_that_cannot_be_taken_apart_says_why(token, cause):
    assert refusal_of(token).startswith(cause)


def test_a_text_that_begins_like_a_json_object_is_told_of_as_a_token():
    for start in (*("e" + character for character in ALPHABET), *(character + "y" for character in ALPHABET)):
        a_token = base64.urlsafe_b64decode(start + "AA").startswith(b"{")
        cause = refusal_of(f"{start}=.AA.AA")
        assert cause.startswith("the token's header has a character" if a_token else "it is not a token"), start


@pytest.mark.parametrize("kid", [None, "", "a"])
def test_a_token_says_its_algorithm_its_key_and_its_payload(kid):
    header = {"alg": "none", "typ": "JWT"} | ({} if kid is None else {"kid": kid})
    assert parse_compact(f"{b64(json.dumps(header).encode())}.{b64(b'pay')}.") == CompactJws("none", kid, b"pay")


@pytest.mark.parametrize("size", range(8))
def test_base64url_of_every_length_is_read(size):
    data = bytes(range(250, 250 + min(size, 6))) + b"\x00" * max(0, size - 6)
    assert decode_base64url(b64(data)) == data


@pytest.mark.parametrize(("start", "last"), [("A", "AQgw"), ("AA", "AEIMQUYcgkosw048"), ("AAA", ALPHABET)])
def test_base64url_of_bytes_has_one_spelling(start, last):
    """RFC 4648, section 3.5: the bits that no byte takes are zero."""
    taken = []
    for end in ALPHABET:
        with contextlib.suppress(Base64urlError):
            taken.append(b64(decode_base64url(start + end)))
    assert taken == [start + end for end in ALPHABET if end in last]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("AA+A", ": `+` and `/` belong to standard base64; base64url has `-` and `_` in their place"),
        ("AA/A", ": `+` and `/` belong to standard base64; base64url has `-` and `_` in their place"),
        ("AA==", ": `=` is padding, take it off"),
        ("AA\xe9A", ", because it is not ASCII; was other text copied along?"),
        ("AA$A", ""),
    ],
)
def test_a_character_that_base64url_lacks_is_told_of(text, why):
    with pytest.raises(Base64urlError) as refusal:
        decode_base64url(text)
    assert str(refusal.value) == f"a character that base64url does not have{why}"


def test_only_a_text_with_a_character_that_no_token_has_is_looked_at_for_what_it_is(monkeypatch):
    """A valid token is not searched for what it might be instead."""
    looked_at = []
    monkeypatch.setattr(jws, "instead_of_token", lambda text: looked_at.append(text) or "it is something else")
    parse_compact(".".join((b64(b'{"alg":"none"}'), ALPHABET, "")))
    with pytest.raises(MalformedTokenError, match="not a token: it is something else"):
        parse_compact("a.b.c$")
    assert looked_at == ["a.b.c$"]
