"""The items of a JSON array that comes in chunks."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import MalformedInput
from bridge.resources import array
from bridge.resources.array import ArrayText


def items(text: bytes, size: int = 1 << 20):
    chunks = (text[at : at + size] for at in range(0, len(text), size))
    return list(ArrayText(chunks, what="x").items())


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
    found = items(text, size)
    assert [json.loads(item.text) for item in found] == values
    lines = text.decode().split("\n")
    for item in found:
        rest = "\n".join([lines[item.line - 1][item.column - 1 :], *lines[item.line :]])
        assert rest.encode().startswith(item.text)


@given(st.lists(VALUES, max_size=5), LAYOUTS, st.integers(1, 40), st.data())
def test_no_array_that_is_cut_off_comes_apart(values, indent, size, data):
    text = laid_out(values, indent, plain=False, line_feed="\n")
    cut = data.draw(st.integers(1, len(text) - 1))
    with pytest.raises(MalformedInput):
        items(text[:cut], size)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("text", "place", "cause"),
    [
        ('[{"id":"a"} {"id":"b"}]', (1, 13), "expected `,` or `]` behind item 1, found `{`"),
        ('["a""b"]', (1, 5), 'expected `,` or `]` behind item 1, found `"`'),
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
        ('["\u00e4\U0001f600" 1]', (1, 7), "expected `,` or `]` behind item 1"),
        ('[{"a":[1}]', (1, 9), "`}` does not close what is open in item 1"),
        ('[{"\u00e4":{]', (1, 8), "`]` does not close what is open in item 1"),
        ("[", (1, 2), "the text ends inside item 1 (was it cut off?)"),
        ("[1,", (1, 4), "the text ends inside item 2 (was it cut off?)"),
        ("[1", (1, 2), "the text ends inside item 1 (was it cut off?)"),
        ("[1\n", (2, 1), "expected `,` or `]` behind item 1, found the end of the text (was it cut off?)"),
        ('["a\\', (1, 2), "the text ends inside item 1"),
        ('[{"a":"}]', (1, 2), "the text ends inside item 1"),
    ],
)
def test_what_holds_the_items_together_must_be_whole(text, place, cause, size):
    with pytest.raises(MalformedInput) as refused:
        items(text.encode(), size)
    error = refused.value
    assert ((error.line, error.column), error.rule, error.what) == (place, "R12.1", "x")
    assert error.cause.startswith(cause)
    assert error.cause.endswith("; nothing of a broken array is used: write it anew")


@pytest.mark.parametrize("text", ["[]", " [ \r\n ] ", "[\n]\n"])
def test_an_empty_array(text):
    assert items(text.encode(), 1) == []


@pytest.mark.parametrize(
    "body", [b'"' + b"a" * 50 + b'"', b"[" * 25 + b"]" * 25, b"1" * 52, b'{"a":"' + b"\\n" * 22 + b'"}']
)
@pytest.mark.parametrize("size", [7, 100])
def test_an_item_is_bounded(monkeypatch, body, size):
    monkeypatch.setattr(array, "LONGEST", len(body))
    assert [item.text for item in items(b"[1," + body + b"]", size)] == [b"1", body]
    monkeypatch.setattr(array, "LONGEST", len(body) - 1)
    with pytest.raises(MalformedInput, match=r"item 2 is longer than .. bytes.*R12\.6"):
        items(b"[1," + body + b"]", size)


def test_an_item_without_an_end_is_given_up(monkeypatch):
    monkeypatch.setattr(array, "LONGEST", 1_000_000)
    taken = []

    def endless(first, piece):
        yield b"[" + first
        while True:
            taken.append(piece)
            yield piece

    for first, piece in ((b"", b"[" * 10_000), (b"", b"1" * 10_000), (b'"', b"\\n" * 10_000)):
        taken.clear()
        with pytest.raises(MalformedInput, match="longer than 1,000,000 bytes"):
            list(ArrayText(endless(first, piece), what="x").items())
        assert sum(map(len, taken)) < 1_000_000 + 2 * len(piece)


@pytest.mark.parametrize(
    "text", [b'"' + b"\\n" * 1_000 + b'"', b'["a",' * 500 + b"1" + b"]" * 500, b'{"' + b'\\"' * 999 + b'":[]}']
)
def test_more_escapes_and_strings_than_are_looked_at_at_once(text):
    for size in (1, 1_000, 1 << 20):
        assert [item.text for item in items(b"[" + text + b"]", size)] == [text]


def test_the_memory_is_that_of_the_largest_item():
    item = json.dumps({"id": "x" * 1_000}).encode()

    def chunks():
        yield b"["
        for _ in range(20_000):
            yield item + b",\n"
        yield item + b"]"

    tracemalloc.start()
    try:
        count = sum(1 for _ in ArrayText(chunks(), what="x").items())
        assert count == 20_001
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["strings", "escapes", "brackets", "spaces", "digits"])
def test_each_byte_is_looked_at_a_bounded_number_of_times(monkeypatch, kind):
    """What the expressions pass over is counted, not how long it takes."""
    body = {
        "strings": b'["' + b'a","' * 50_000 + b'"]',
        "escapes": b'"' + b"\\n" * 100_000 + b'"',
        "brackets": b"[" * 100_000 + b"]" * 100_000,
        "spaces": b"[" + b" " * 200_000 + b"]",
        "digits": b"1" * 200_000,
    }[kind]
    passed = []

    def counted(expression, text, at):
        end = expression.match(text, at).end()
        passed.append(end - at)
        return end

    monkeypatch.setattr(array, "_end_of", counted)
    for size in (100, 10_000, 1 << 20):
        passed.clear()
        assert [item.text for item in items(b"[" + body + b"]", size)] == [body]
        assert sum(passed) <= len(body) + 10
        assert len(passed) <= len(body) + 2 * len(body) // size + 10
