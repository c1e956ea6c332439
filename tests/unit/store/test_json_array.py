"""The items of a JSON array that comes in chunks."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import MalformedInputError
from bridge.store import json_array
from bridge.store.json_array import JsonArrayReader


def items(text: bytes, size: int = 1 << 20):
    chunks = (text[at : at + size] for at in range(0, len(text), size))
    return list(JsonArrayReader(chunks, what="x").items())


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.text('"\\{}[],: \u00e4'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('"\\{}[]a', max_size=4), inner, max_size=4),
    max_leaves=12,
)
LAYOUTS = st.sampled_from([None, 0, 2, "\t"])


def laid_out(values, indent, plain, line_feed):
    text = json.dumps(values, indent=indent, ensure_ascii=plain)
    return text.replace("\n", line_feed).encode()


@given(st.lists(VALUES, max_size=5), LAYOUTS, st.booleans(), st.sampled_from(["\n", "\r\n"]), st.integers(1, 40))
def test_every_array_comes_apart_into_its_items_however_it_is_laid_out_and_cut(values, indent, plain, feed, size):
    text = b" \n" + laid_out(values, indent, plain, feed) + b"\n"
    all_items = items(text, size)
    assert [json.loads(item.text) for item in all_items] == values
    lines = text.decode().split("\n")
    for item in all_items:
        rest = "\n".join([lines[item.line - 1][item.column - 1 :], *lines[item.line :]])
        assert rest.encode().startswith(item.text)


@given(st.lists(VALUES, max_size=5), LAYOUTS, st.integers(1, 40), st.data())
def test_no_array_that_is_cut_off_comes_apart(values, indent, size, data):
    text = laid_out(values, indent, plain=False, line_feed="\n")
    cut = data.draw(st.integers(1, len(text) - 1))
    with pytest.raises(MalformedInputError):
        items(text[:cut], size)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("text", "place", "cause"),
    [
        ('[{"id":"a"} {"id":"b"}]', (1, 13), "expected `,` or `]` behind item 1, found `{`"),
        ('["a""b"]', (1, 5), 'expected `,` or `]` behind item 1, found `"`'),
        ("[1[2]]", (1, 3), "expected `,` or `]` behind item 1, found `[`"),
        ("[1{}]", (1, 3), "expected `,` or `]` behind item 1, found `{`"),
        ('[1"a"]', (1, 3), 'expected `,` or `]` behind item 1, found `"`'),
        ("[1,\n 2\n 3]", (3, 2), "expected `,` or `]` behind item 2, found `3`"),
        ("[1,]", (1, 4), "expected item 2, found `]`"),
        ("[,1]", (1, 2), "expected item 1, found `,`"),
        ("[1,,2]", (1, 4), "expected item 2, found `,`"),
        ("[}", (1, 2), "expected item 1, found `}`"),
        ("[:1]", (1, 2), "expected item 1, found `:`"),
        ("[1]\r\nx", (2, 1), "text after the end of the array: `x`; a file is one array, or JSON Lines"),
        ('[{"id":"a"}]\n{"id":"b"}', (2, 1), "text after the end of the array: `{`"),
        ("[1][2]", (1, 4), "text after the end of the array: `[`"),
        ("[1]\x00", (1, 4), "text after the end of the array: the byte 0x00"),
        ("[1]\u00e4", (1, 4), "text after the end of the array: the byte 0xc3"),
        ('["\x7f\u0080\u00bf" 1]', (1, 8), "expected `,` or `]` behind item 1"),
        ('["\udcc0\udcff" 1]', (1, 7), "expected `,` or `]` behind item 1"),
        ('["\u00e4\U0001f600" 1]', (1, 7), "expected `,` or `]` behind item 1"),
        ('[{"a":[1}]', (1, 9), "`}` does not close what is open in item 1"),
        ('[{"\u00e4":{]', (1, 8), "`]` does not close what is open in item 1"),
        ("[", (1, 2), "the text ends inside item 1 (was it cut off?)"),
        ("[1,", (1, 4), "the text ends inside item 2 (was it cut off?)"),
        ("[1", (1, 2), "the text ends inside item 1 (was it cut off?)"),
        ("[1 ", (1, 4), "expected `,` or `]` behind item 1, found the end of the text (was it cut off?)"),
        ("[1\n", (2, 1), "expected `,` or `]` behind item 1, found the end of the text (was it cut off?)"),
        ('["a\\', (1, 2), "the text ends inside item 1"),
        ('[{"a":"}]', (1, 2), "the text ends inside item 1"),
    ],
)
def test_what_holds_the_items_together_must_be_whole(text, place, cause, size):
    with pytest.raises(MalformedInputError) as refused:
        items(text.encode(errors="surrogateescape"), size)
    error = refused.value
    assert ((error.line, error.column), error.rule, error.what) == (place, "R12.1", "x")
    assert error.cause.startswith(cause)
    assert error.cause.endswith("; nothing of a broken array is used: write it anew")


@pytest.mark.parametrize("text", ["[]", " [ \r\n ] ", "[\n]\n"])
def test_an_empty_array(text):
    assert items(text.encode(), 1) == []


@pytest.mark.parametrize("text", [b"!", b"\x00", b"-", b"~"])
def test_what_begins_as_nothing_in_json_does_is_an_item_for_the_parser_to_refuse(text):
    assert [item.text for item in items(b"[" + text + b",1]", 1)] == [text, b"1"]


@pytest.mark.parametrize(
    "body", [b'"' + b"a" * 50 + b'"', b"[" * 25 + b"]" * 25, b"1" * 52, b'{"a":"' + b"\\n" * 22 + b'"}']
)
def test_an_item_is_bounded_whatever_chunks_it_comes_in(monkeypatch, body):
    for size in range(1, 60):
        monkeypatch.setattr(json_array, "LONGEST", len(body))
        assert [item.text for item in items(b"[1," + body + b"]", size)] == [b"1", body]
        monkeypatch.setattr(json_array, "LONGEST", len(body) - 1)
        with pytest.raises(
            MalformedInputError, match=r"item 2 is longer than .. bytes: is it an array of resources"
        ) as raised:
            items(b"[1,\n " + body + b"]", size)
        error = raised.value
        assert (error.rule, error.what, error.line, error.column) == ("R12.6", "x", 2, 2)


def test_a_chunk_may_be_longer_than_an_item(monkeypatch):
    monkeypatch.setattr(json_array, "LONGEST", 4)
    text = b'["aa",1234,[11],"bb",5678,{  }]'
    for size in range(1, len(text) + 1):
        assert [item.text for item in items(text, size)] == [b'"aa"', b"1234", b"[11]", b'"bb"', b"5678", b"{  }"]


def test_an_item_without_an_end_is_given_up(monkeypatch):
    monkeypatch.setattr(json_array, "LONGEST", 1_000_000)
    taken = []

    def endless(first, piece):
        yield b"[" + first
        while True:
            taken.append(piece)
            yield piece

    for first, piece in ((b"", b"[" * 10_000), (b"", b"1" * 10_000), (b'"', b"\\n" * 10_000)):
        taken.clear()
        with pytest.raises(MalformedInputError, match="item 1 is longer than 1,000,000 bytes"):
            list(JsonArrayReader(endless(first, piece), what="x").items())
        assert sum(map(len, taken)) < 1_000_000 + 2 * len(piece)


@pytest.mark.parametrize(
    "text",
    [
        b'"' + b"\\n" * 1_000 + b'"',
        b'"' + b"\\\n" * 1_000 + b'"',
        b'["a",' * 500 + b"1" + b"]" * 500,
        b'{"' + b'\\"' * 999 + b'":[]}',
        b'[ "a"\n' + b', "a"\n' * 500 + b"]",
    ],
)
def test_more_escapes_and_strings_than_are_looked_at_at_once(text):
    for size in (1, 1_000, 1 << 20):
        assert [item.text for item in items(b"[" + text + b"]", size)] == [text]


def test_an_escaped_quote_ends_no_string_however_many_come_before():
    for count in range(90, 310):
        text = b'{"' + b'\\"]' * count + b'":[]}'
        assert [item.text for item in items(b"[" + text + b"]")] == [text]


def test_the_memory_is_that_of_the_largest_item():
    item = json.dumps({"id": "x" * 1_000}).encode()

    def chunks():
        yield b"["
        for _ in range(20_000):
            yield item + b",\n"
        yield item + b"]"

    tracemalloc.start()
    try:
        count = sum(1 for _ in JsonArrayReader(chunks(), what="x").items())
        assert count == 20_001
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


def test_of_a_large_chunk_nothing_is_copied_but_the_items():
    chunk = json.dumps([{"id": "x" * 100}] * 10_000).encode()
    tracemalloc.start()
    try:
        assert sum(1 for _ in JsonArrayReader(iter([chunk]), what="x").items()) == 10_000
        assert tracemalloc.get_traced_memory()[1] < 1.5 * len(chunk)
    finally:
        tracemalloc.stop()


@pytest.fixture
def passed(monkeypatch):
    """How many bytes each look at the text passes over."""
    lengths = []

    def counted(expression, text, at):
        end = expression.match(text, at).end()
        lengths.append(end - at)
        return end

    monkeypatch.setattr(json_array, "_end_of", counted)
    return lengths


@pytest.mark.parametrize("kind", ["strings", "escapes", "brackets", "spaces", "digits"])
def test_each_byte_is_looked_at_a_bounded_number_of_times(passed, kind):
    """What the expressions pass over is counted, not how long it takes."""
    body = {
        "strings": b'["' + b'a","' * 50_000 + b'"]',
        "escapes": b'"' + b"\\n" * 100_000 + b'"',
        "brackets": b"[" * 100_000 + b"]" * 100_000,
        "spaces": b"[" + b" " * 200_000 + b"]",
        "digits": b"1" * 200_000,
    }[kind]
    for size in (100, 10_000, 1 << 20):
        passed.clear()
        assert [item.text for item in items(b"[" + body + b"]", size)] == [body]
        assert sum(passed) <= len(body) + 10
        assert len(passed) <= len(body) + 2 * len(body) // size + 10


@pytest.mark.parametrize(
    "string",
    [b'""', b'"ab"', b'"\\""', b'"\\\\"', b'"\\n\\n"', b'"ab\\"cd\\"ef"', b'"\\\n"', b'"' + b"\\n" * 100 + b'"'],
    ids=range(8),
)
def test_a_hundred_strings_take_no_more_looks_than_a_number(passed, string):
    looks = []
    for body in (b"[1]", b"[" + b", 12, ".join([string] * 100) + b"]"):
        passed.clear()
        assert [item.text for item in items(b"[" + body + b"]")] == [body]
        looks.append(len(passed))
    assert looks[0] == looks[1]


def test_a_hundred_escapes_take_no_more_looks_than_none(passed):
    looks = []
    for body in (b'""', b'"' + b"\\n" * 100 + b'"', b'"' + b"ab\\ncd" * 100 + b'"'):
        passed.clear()
        assert [item.text for item in items(b"[" + body + b"]")] == [body]
        looks.append(len(passed))
    assert looks[0] == looks[1] == looks[2]
