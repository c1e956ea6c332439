"""Whether a text is JSON by its grammar alone."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.strict_json import ABSENT, is_json, scan_leniently

if TYPE_CHECKING:
    import random

GOOD = [
    b"{}",
    b"[]",
    b" [ ] \r\n\t",
    b"[{}]",
    b"[[]]",
    b'["a"]',
    b'"a"',
    b"-0.5E+3",
    b"null",
    b'{"a":[1,{"b":true}],"c":{}}',
    b'{"a":1,"a":2}',
    b'"\\u00e4\\ud800\\"\\\\\\/\\b\\f\\n\\r\\t"',
    b'"\xff"',
    b"1" * 2_000,
    b"[" * 100_000 + b"]" * 100_000,
    b'"' + b"\\n" * 1_000 + b'"',
]
BAD = [
    b"",
    b" ",
    b"{",
    b"}",
    b"[1,]",
    b"[,1]",
    b"[1 2]",
    b'{"a":1,}',
    b'{"a" 1}',
    b'{"a",1}',
    b"{1:2}",
    b'{"a":}',
    b"[}",
    b"{]",
    b"[1}",
    b'{"a":1]',
    b"1 2",
    b"1,2",
    b"01",
    b"+1",
    b"NaN",
    b"nul",
    b'"a',
    b'"a\n"',
    b'"\\x"',
    b'"\\u00g0"',
    b"'a'",
    b"[1]]",
    b"\xef\xbb\xbf1",
    b"[1] x",
    b'"' + b"\\n" * 1_000,
    b":",
    b'{"a":1:2}',
    b'{"a"}',
    b'"a":1',
    b"[1",
    b'{"a":1',
    b"[[]",
    b'["a',
    b'"a"]',
    b'[1"',
    b"1:",
    b'{"a":',
    b"[1,",
]


@pytest.mark.parametrize("text", GOOD, ids=lambda text: text[:20])
def test_json(text):
    assert is_json(text) is True


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:20])
def test_no_json(text):
    assert is_json(text) is False


@pytest.mark.parametrize("text", [b"true", b"false", b"null", b'""', b"0", b"1234567890"])
def test_a_word_or_number_is_json_as_a_whole_only(text):
    assert is_json(text) is True
    for left_out in range(len(text)):
        shorter = text[:left_out] + text[left_out + 1 :]
        assert is_json(shorter) is (shorter.isdigit() and not shorter.startswith(b"0"))


def test_every_short_text_of_a_numbers_characters_is_told_as_by_the_standard_library():
    for size in range(1, 6):
        for characters in itertools.product("019-+.eE", repeat=size):
            text = "".join(characters)
            try:
                json.loads(text)
            except ValueError:
                assert is_json(text.encode()) is False, text
            else:
                assert is_json(text.encode()) is True, text


@pytest.mark.parametrize("before", [b"", b"a", b"\\n", b"\\u00e4"])
def test_what_may_stand_in_a_string(before):
    for code in range(256):
        byte = bytes([code])
        assert is_json(b'"%b%b"' % (before, byte)) is (code >= 0x20 and byte not in b'"\\')
        assert is_json(b'"%b\\%b"' % (before, byte)) is (byte in b'"\\/bfnrt')
        for place in range(4):
            digits = b"0000"[:place] + byte + b"0000"[place + 1 :]
            assert is_json(b'"%b\\u%b"' % (before, digits)) is (byte in b"0123456789abcdefABCDEF")


TOKENS = [*'{}[],: \n"\\', '"a"', '"b\\"{"', "1", "-0.5e3", "true", "x", "01", "\u00e4"]
WHOLE = {"id": "a\\", "n": [1, {"x": [None, -2.5]}, "\u00e4"], "o": {}}


@given(st.lists(st.sampled_from(TOKENS), max_size=12), st.randoms(use_true_random=False))
def test_it_agrees_with_the_scanner(tokens, draw: random.Random):
    text = "".join(tokens)
    assert is_json(text.encode()) == (scan_leniently(text) is not ABSENT)
    whole = list(
        json.dumps({"id": "a\\", "n": [1, {"x": [None, -2.5]}, "\u00e4"], "o": {}}, indent=draw.choice([None, 1]))
    )
    for _ in range(draw.randint(0, 2)):
        at = draw.randrange(len(whole))
        whole[at : at + draw.randint(0, 1)] = draw.choice(["", draw.choice(TOKENS)])
    text = "".join(whole)
    assert is_json(text.encode()) == (scan_leniently(text) is not ABSENT)
