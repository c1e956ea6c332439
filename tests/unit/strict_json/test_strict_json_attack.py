"""Strict JSON under attack: whatever the bytes, a value that is written and read again as itself, or a refusal.

tests/fuzz/strict_json_fuzz.py asks the same, guided by coverage.
"""

from __future__ import annotations

import json

import pytest
from fuzz.strict_json_property import Number, independently, judge, same
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

MANY = settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))

# --- documents, spelled as no writer would ------------------------------------------------------------------------

SPACES = st.text(" \t\r\n", max_size=2)
DIGITS = st.text("0123456789", min_size=1, max_size=20)
ZEROS = st.integers(0, 30).map(lambda count: "0" * count)
CHARACTERS = st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from('"\\/\x00\x1f\x7f\x85\u2028\ufeff\ufffd\uffff\U00010000\U00020000\U0010ffff'),
)
ODD = (
    *(
        "NaN",
        "-Infinity",
        "nul",
        "tru",
        "True",
        "undefined",
        "'a'",
        "//",
        "/**/",
        ",",
        ":",
        "[",
        "]",
        "{",
        "}",
        '"',
        "\\",
    ),
    *("-", "+1", "01", ".5", "1.", "1e", "1e+", "0x1", "1_0", "--1", "-0", "1e1000", "1e-400", "9" * 41, "1" * 1_001),
    *(
        '"\\ud800"',
        '"\\ude00\\ud83d"',
        '"\\ud83d\\ude00"',
        '"\\u00"',
        '"\\u+0a1"',
        '"\\x"',
        '"\\U0001f600"',
        '"\n"',
        '"\\u0000"',
    ),
    *(
        "\x00",
        "\x0b",
        "\xa0",
        "\u2028",
        "\ufeff",
        "١",  # noqa: RUF001 - a digit
        "{}",
        "[]",
        '{"a":1,"a":2}',
        '{"a":1,"\\u0061":2}',
        "[" * 65 + "]" * 65,
    ),
)
BYTES = (
    b"\xff",
    b"\xfe\xff",
    b"\xef\xbb\xbf",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xf0\x9f\x98",
    b"\x80",
    b"\x00",
)


@st.composite
def numbers(draw):
    """Texts of numbers, near the edges of R12.5 and beyond them."""
    whole = draw(st.one_of(st.just("0"), DIGITS.map(lambda text: text.lstrip("0") or "0"))) + draw(ZEROS)
    whole = whole.lstrip("0") or "0"
    fraction = "." + draw(ZEROS) + draw(DIGITS) + draw(ZEROS) if draw(st.booleans()) else ""
    powers = st.one_of(st.integers(-45, 45), st.integers(-345, 330), st.sampled_from((10**9, -(10**9), 10**30)))
    exponent = ""
    if draw(st.booleans()):
        power = draw(powers)
        exponent = draw(st.sampled_from("eE")) + ("-" if power < 0 else draw(st.sampled_from(("", "+"))))
        exponent += draw(st.sampled_from(("", "0", "00"))) + str(abs(power))
    return draw(st.sampled_from(("", "-"))) + whole + fraction + exponent


@st.composite
def strings(draw):
    """Texts of strings; each character raw, escaped by a letter, or by its number."""
    written = []
    for char in draw(st.text(CHARACTERS, max_size=5)):
        units = char.encode("utf-16-be")
        escaped = "".join(f"\\u{int.from_bytes(units[at : at + 2], 'big'):04x}" for at in range(0, len(units), 2))
        raw = json.dumps(char, ensure_ascii=False)[1:-1]
        written.append(draw(st.sampled_from((raw, raw, escaped, escaped.replace("\\U", "\\u")))))
    return '"' + "".join(written) + '"'


def containers(inner):
    return st.one_of(
        st.tuples(SPACES, st.lists(inner, max_size=4), SPACES).map(
            lambda parts: f"[{parts[0]}{','.join(parts[1])}{parts[2]}]"
        ),
        st.lists(
            st.tuples(SPACES, strings(), SPACES, inner), max_size=4, unique_by=lambda member: json.loads(member[1])
        ).map(lambda members: "{" + ",".join(f"{a}{name}{b}:{value}{b}" for a, name, b, value in members) + "}"),
    )


DOCUMENTS = st.recursive(
    st.one_of(numbers(), strings(), st.sampled_from(("true", "false", "null", "0", "[]"))), containers, max_leaves=10
)


@st.composite
def mutated(draw):
    """Documents with one to three faults: bits turned, cut, doubled, strewn with what does not belong there."""
    data = draw(DOCUMENTS).encode()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        end = draw(st.integers(at, min(len(data), at + 8)))
        how = draw(st.integers(0, 5))
        if how == 0 and at < len(data):
            data = data[:at] + bytes([data[at] ^ (1 << draw(st.integers(0, 7)))]) + data[at + 1 :]
        elif how == 1:
            data = data[:at]
        elif how == 2:
            data = data[:end] + data[at:end] + data[end:]
        elif how == 3:
            data = data[:at] + draw(st.one_of(st.sampled_from(BYTES), st.binary(max_size=3))) + data[at:]
        elif how == 4:
            data = data[:at] + draw(st.sampled_from(ODD)).encode("utf-8", "surrogatepass") + data[end:]
        else:
            data = data[:at] + data[end:]
    return data


# --- any bytes, any text ------------------------------------------------------------------------------------------


@MANY
@given(DOCUMENTS)
def test_documents(text):
    assert judge(text) == judge(text.encode())


@MANY
@given(mutated())
@example(b'{"\\u001b[31m\\n":1,"\\u001b[31m\\n":2}')
@example('{"\u202e":1,"\u202e":2}'.encode())
def test_mutated_documents(data):
    judge(data)
    for errors in ("surrogateescape", "replace"):
        judge(data.decode("utf-8", errors))
    judge(data.decode("latin-1"))


@MANY
@given(st.one_of(st.binary(), st.text(st.characters()), st.lists(st.sampled_from(ODD)).map("".join)))
def test_anything(data):
    judge(data)


@pytest.mark.parametrize("text", ODD, ids=lambda text: ascii(text)[:20])
def test_odd_texts(text):
    for whole in (text, f"[{text}]", f'{{"a":{text},"b":[{text}]}}', f" {text} ", f"[1,{text}", f"\ufeff{text}"):
        assert judge(whole) == judge(whole.encode())


@pytest.mark.parametrize("data", BYTES, ids=repr)
def test_odd_bytes(data):
    for whole in (data, b'"' + data + b'"', b"[" + data + b"]", data + b"1", b"1" + data):
        judge(whole)


@MANY
@given(numbers())
def test_numbers_near_the_edges(text):
    judge(text)


def test_the_documents_are_read_and_the_mutated_ones_are_not_all_refused():
    """Or else the tests above would show little."""
    read = {"documents": [], "mutated": []}

    @settings(MANY, max_examples=300, database=None)
    @given(DOCUMENTS, mutated())
    def count(document, data):
        read["documents"].append(judge(document))
        read["mutated"].append(judge(data))

    count()
    assert sum(read["documents"]) > 100
    assert not all(read["documents"])  # numbers beyond R12.5
    assert sum(read["mutated"]) > 30
    assert sum(map(bool, read["mutated"])) < len(read["mutated"]) - 100


@pytest.mark.parametrize(
    ("text", "value", "is_same"),
    [
        ("1", 1, True),
        ("1.0", 1, True),
        ("1.0", 1.0, False),
        ("1", True, False),
        ("9007199254740993", 9007199254740992, False),
        ('{"a":1}', {"a": 1, "b": 1}, False),
        ('["a"]', ["a", "a"], False),
        ('"e\\u0301"', "é", False),
    ],
)
def test_the_independent_reader_tells_values_apart(text, value, is_same):
    assert same(value, independently(text)) is is_same


def test_the_independent_reader_knows_the_limits():
    assert independently("1.50e1") == Number(15, 0)
    for text in (
        "9" * 41,
        "1e309",
        "1.81e308",
        "3e-324",
        "0.123456789012345678",
        '"\\ud800"',
        "[" * 65 + "]" * 65,
        '{"a":1,"a":1}',
    ):
        with pytest.raises((ValueError, RecursionError)):
            independently(text)
    for text in ("9" * 40, "1.8e308", "4e-324", "0.12345678901234567", "0e999999999999", "[" * 64 + "]" * 64):
        independently(text)
