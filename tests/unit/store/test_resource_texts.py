"""Resources from texts: JSON Lines and JSON arrays, and what is neither."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import json
import lzma
import zipfile

import pytest

from bridge import ConfigurationError, MalformedInputError, PolicyBridge, PushRejectedError, ReferenceEngine, UsageError
from bridge.store import Omission, TextFormat, from_chunks, from_file, from_lines, from_objects, reader

RESOURCES = [{"id": "a", "custom_data": {"n": 1}}, {"id": "b"}, {"id": "c", "custom_data": {"x": ["[{", '"}]']}}]
STORED = {
    b'"a"': b'{"custom_data":{"n":1},"id":"a"}',
    b'"b"': b'{"id":"b"}',
    b'"c"': b'{"custom_data":{"x":["[{","\\"}]"]},"id":"c"}',
}


def read(text: str | bytes, size: int = 1 << 20):
    data = text.encode() if isinstance(text, str) else text
    return from_chunks((data[at : at + size] for at in range(0, len(data), size)), what="it")


def refused(text: str | bytes, size: int = 1 << 20) -> str:
    with pytest.raises(MalformedInputError) as error:
        read(text, size)
    assert error.value.rule == "R12.1"
    return str(error.value)


def causes(collected):
    return [str(refusal) for refusal in collected.rejected]


LINES = "".join(json.dumps(resource) + "\n" for resource in RESOURCES)
LAYOUTS = {
    "one line": json.dumps(RESOURCES),
    "one line, line feed": json.dumps(RESOURCES) + "\n",
    "indented": json.dumps(RESOURCES, indent=2),
    "not indented": json.dumps(RESOURCES, indent=0),
    "tabs": json.dumps(RESOURCES, indent="\t"),
    "CRLF": json.dumps(RESOURCES, indent=2).replace("\n", "\r\n") + "\r\n",
    "an item a line": "[\n" + ",\n".join(map(json.dumps, RESOURCES)) + "\n]\n",
    "commas first": "[" + "\n, ".join(map(json.dumps, RESOURCES)) + "]",
    "space before": " \r\n\t" + json.dumps(RESOURCES),
}


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_array_is_read_however_it_is_laid_out(layout, size):
    collected = read(LAYOUTS[layout], size)
    assert (collected.resources, collected.rejected, collected.read) == (STORED, (), 3)
    assert (collected.form, collected.what) == (TextFormat.ARRAY, "it")


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("text", [LINES, LINES.replace("\n", "\r\n"), "\n \r\n" + LINES, LINES.rstrip("\n")])
def test_lines_are_read_as_they_were(text, size):
    collected = read(text, size)
    assert (collected.resources, collected.rejected, collected.read) == (STORED, (), 3)
    assert collected.form is TextFormat.LINES


@pytest.mark.parametrize("text", ["", " ", "\n\r\n\t "])
def test_a_blank_text_is_empty(text):
    collected = read(text)
    assert (collected.form, collected.read, collected.resources) == (TextFormat.EMPTY, 0, {})
    assert collected.what == "it"


def test_an_empty_array_is_no_empty_text():
    assert (read("[]").form, read(" [ ] ").read) == (TextFormat.ARRAY, 0)


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_r12_holds_inside_each_item_as_in_a_line(size):
    bad = [
        ('{"id":"x","id":"y"}', 11, "duplicate member `id` (R12.2)"),
        ('{"id":"\\ud800"}', 7, "a string with an unpaired surrogate (R12.3)"),
        ('{"id":"x","n":' + "[" * 64 + "]" * 64 + "}", 78, "nested more than 64 deep (R12.4)"),
        ('{"id":"x","n":' + "[" * 500 + "]" * 500 + "}", 78, "nested more than 64 deep (R12.4)"),
        ('{"id":"x","n":1e999}', 15, "(R12.5)"),
        ('{"id":"z","n":"' + "a" * 1_048_576 + '"}', 1, "longer than 1,048,576 bytes in canonical text (R12.6)"),
        ("7", 1, "a resource must be an object (R12.8)"),
        ('"x"', 1, "a resource must be an object (R12.8)"),
        ("null", 1, "a resource must be an object (R12.8)"),
        ('[{"id":"x"}]', 1, "a resource must be an object (R12.8)"),
        ("{}", 1, "no `id` (R12.8)"),
        ('{"id":"x","custom_data":[]}', 1, "(R12.8)"),
    ]
    deepest = '{"id":"deep","n":' + "[" * 63 + "]" * 63 + "}"
    if size == 1:
        bad = [each for each in bad if len(each[0]) < 10_000]
    text = '[{"id":"a"},\n' + "".join(f"  {item},\n" for item, _, _ in bad) + deepest + "]"
    collected = read(text, size)
    assert list(collected.resources) == [b'"a"', b'"deep"']
    assert [refusal.place for refusal in collected.rejected] == [
        f"item {number}, line {number}, column {column + 2}" for number, (_, column, _) in enumerate(bad, 2)
    ]
    for refusal, (_, _, cause) in zip(collected.rejected, bad, strict=True):
        assert refusal.cause.endswith(cause)
    alone = [from_lines([item.encode() + b"\n"]).rejected[0].cause for item, _, _ in bad]
    for refusal, line in zip(collected.rejected, alone, strict=True):
        assert line.removesuffix(refusal.cause) in ("", *(f"column {n}: " for n in range(100)))


def test_a_place_inside_an_item_of_several_lines():
    text = '[\n  {"id": "a"},\n  {\n    "\u00e4": 1,\n    "\u00e4": 2\n  }, {"id": "a"}\n]'
    assert causes(read(text)) == [
        'item 1, line 2, column 3: the id "a" comes more than once: also in item 3',
        "item 2, line 5, column 5: duplicate member `\u00e4` (R12.2)",
        'item 3, line 6, column 6: the id "a" comes more than once: also in item 1',
    ]


def test_invalid_utf8_in_an_item_is_its_own_mistake():
    assert causes(read(b'[{"id":"\xff"},{"id":"b"}]')) == ["item 1, line 1, column 9: invalid UTF-8: byte 0xff (R12.1)"]


@pytest.mark.parametrize("size", [1, 5, 1 << 20])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[{"id":"a"},{"id":"b"', "it: line 1, column 13: the text ends inside item 2 (was it cut off?)"),
        ('[{"id":"a"},', "it: line 1, column 13: the text ends inside item 2 (was it cut off?)"),
        ('[{"id":"a"}', "it: line 1, column 12: expected `,` or `]` behind item 1, found the end of the text"),
        ('[{"id":"a"}\n{"id":"b"}]', "it: line 2, column 1: expected `,` or `]` behind item 1, found `{`"),
        ('[{"id":"a"}]\n[{"id":"b"}]', "it: line 2, column 1: text after the end of the array: `[`"),
        ('["a"]\n{"id":"b"}\n', "it: line 2, column 1: text after the end of the array: `{`; a file is one array, or"),
        ('[{"id":"a"},\n]', "it: line 2, column 1: expected item 2, found `]`"),
        ('[{"id":"a"},\n{"id":"b",}]', "it: line 2, column 11: item 2: expected a member name in double quotes"),
        ('[{"id":"a"},{"id":NaN}]', "it: line 1, column 19: item 2: expected a JSON value, found `NaN`"),
        ('[{"id":"a"},nul]', "it: line 1, column 13: item 2: expected a JSON value, found `nul`"),
        ("[!]", "it: line 1, column 2: item 1: expected a JSON value, found `!`"),
        ("[{'id':'a'}]", "it: line 1, column 3: item 1: expected a member name in double quotes"),
        ('[{"id":"a" /* no */}]', "it: line 1, column 12: item 1: expected `,` or `}`, found `/`"),
        ('[{"id":"a","id":"b",}]', "it: line 1, column 12: item 1: duplicate member `id`"),
        ('[\ufeff{"id":"a"}]', "it: line 1, column 2: expected item 1, found the byte 0xef"),
    ],
)
def test_a_broken_array_is_refused_as_a_whole(text, expected, size):
    message = refused(text, size)
    if "\ufeff" in text:
        return
    assert message.startswith(expected)
    assert message.endswith("; nothing of a broken array is used: write it anew (R12.1)")


def test_a_quote_too_many_takes_nothing_out_of_a_string():
    hidden = '},{"id":"victim","custom_data":{"user_id":"mallory"}},{"x":'
    text = f'[{{"id":"a","name":"5" screen"}},{{"id":"b","n":"{hidden.replace(chr(34), chr(92) + chr(34))}"}}]'
    refused(text)
    refused('[{"id":"a","n":"' + hidden + '"}]')


# --- an object over several lines


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"id": "d1", "custom_data": {"id": "x"}}, indent=2),
        '{\n"custom_data":\n{"id":"x"}\n,"id":"d1"\n}\n',
        '{"custom_data":\n{"id":"x"}\n}\n',
        '{"custom_data": [\n{"id":"x"}\n]}\n',
        '{"a":1,"a":2,"custom_data":\n{"id":"x"}\n}\n',
        '{"a":1e999,"custom_data":\n\n{"id":"x"}\n\n}\n',
        '{"custom_data":\n{"id":"x"}\n',
        '{"custom_data":\n\n{"id":"x"}',
        '{"l":[1,\n{"id":"x"}\n',
        '{"l":[\n{"id":"x"}\n',
        '{"id":"a"},\n{"id":"b"}\n',
        '{"id":"d0"}\nnonsense\n{"id":"a"},\n{"id":"b"}\n',
        '{"devices": [\n{"id":"a"},\n{"id":"b"}\n]}\n',
        'export default [\n{"id":"a"},\n{"id":"b"}\n];\n',
        '{"id":"d0"}\n{\n"id":"d1",\n"custom_data":\n{"id":"x"}\n}\n',
        "\n".join(json.dumps(resource, indent=1) for resource in RESOURCES),
    ],
)
@pytest.mark.parametrize("feed", ["\n", "\r\n"])
def test_an_object_over_several_lines_is_named_and_no_part_of_it_is_taken(text, feed):
    message = refused(text.replace("\n", feed))
    first = 1 + text.startswith('{"id":"d0"}') + ("nonsense" in text)
    assert message.startswith(f"it: line {first}, column 1: no JSON by itself, and it seems to go on in line ")
    assert message.endswith("write each resource on one line, or all of them as one JSON array (R12.1)")


def test_a_line_that_was_cut_off_in_the_middle_of_a_file_is_a_bad_line():
    collected = read('{"id":"a","x":1\n{"id":"b"}\n{"id":"c","custom_da\n{"id":"d"}\n')
    assert list(collected.resources) == [b'"b"', b'"d"']
    assert [refusal.place for refusal in collected.rejected] == ["line 1", "line 3"]


def no_object_over_several_lines(text):
    with pytest.raises(MalformedInputError, match="no JSON by itself, and it seems to go on in line") as raised:
        read(text)
    assert (raised.value.rule, raised.value.what, raised.value.column) == ("R12.1", "it", 1)
    return raised.value.line, int(raised.value.cause.partition("go on in line ")[2].partition(":")[0])


@pytest.mark.parametrize("end", [":", "[", ",", "{"])
@pytest.mark.parametrize("space", ["", " \t", "\r"])
def test_a_line_that_ends_within_an_object_or_an_array_goes_on_whatever_follows(end, space):
    assert no_object_over_several_lines(f'{{"id":"a"}}\nx {end}{space}\n\n{{"id":"b"}}\n') == (2, 4)


@pytest.mark.parametrize("start", ['"n":', "}", "]", ",", ":"])
@pytest.mark.parametrize("space", ["", "\t  "])
def test_a_line_that_begins_within_an_object_or_an_array_is_a_part_of_the_last_that_is_no_json(start, space):
    broken = 'nonsense\n{"id":"a"}\n{"id":"b"\n'
    assert no_object_over_several_lines(f"{broken}{space}{start} 1 x\n") == (3, 4)
    assert no_object_over_several_lines(f'{broken}{{"id":"c"}}\n{space}{start} 1 x\n') == (3, 5)


@pytest.mark.parametrize(
    "line", ['{"id":"x","n":1e999}', '{"id":"x","id":"y"}', '{"id":"x","n":' + "[" * 64 + "]" * 64 + "}"]
)
def test_a_line_that_is_json_does_not_go_on(line):
    collected = read(f'{line}\n"a text"\n{{"id":"b"}}\n')
    assert [refusal.place for refusal in collected.rejected] == ["line 1", "line 2"]
    assert list(collected.resources) == [b'"b"']


# --- what is neither


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("devices.jsonl", LINES)
    return file.getvalue()


CSV = b"id,user_id,plan\nd1,u1,5\nd2,u2,6\n"
FOREIGN = {
    "bom": (codecs.BOM_UTF8 + LINES.encode(), "a byte order mark, which JSON must not have: write UTF-8 without it"),
    "bom, array": (codecs.BOM_UTF8 + b"[]", "a byte order mark"),
    "bom alone": (codecs.BOM_UTF8, "a byte order mark"),
    "utf-16": (LINES.encode("utf-16"), "UTF-16 text: write JSON Lines or one JSON array, as UTF-8"),
    "utf-16 be, bom": (codecs.BOM_UTF16_BE + LINES.encode("utf-16-be"), "UTF-16 text"),
    "zero before an array": (b'\x00[{"id":"a"}]', "UTF-16 (big-endian) text"),
    "utf-16 le": (LINES.encode("utf-16-le"), "UTF-16 (little-endian) text"),
    "utf-16 be": (LINES.encode("utf-16-be"), "UTF-16 (big-endian) text"),
    "utf-16 le, array": ("[]".encode("utf-16-le"), "UTF-16 (little-endian) text"),
    "utf-16 be, array": (" []".encode("utf-16-be"), "UTF-16 (big-endian) text"),
    "utf-32": (LINES.encode("utf-32"), "UTF-32 text"),
    "utf-32 be, bom": (codecs.BOM_UTF32_BE + LINES.encode("utf-32-be"), "UTF-32 text"),
    "utf-32 le": (LINES.encode("utf-32-le"), "UTF-32 (little-endian) text"),
    "utf-32 be": (LINES.encode("utf-32-be"), "UTF-32 (big-endian) text"),
    "utf-32 le, cut off": (LINES.encode("utf-32-le")[:-3], "UTF-32 (little-endian) text"),
    "utf-16 le, a table in Russian": ("я,п\n".encode("utf-16-le"), "UTF-16 (little-endian) text"),
    "utf-16 be, a table in Russian": ("я,п\n".encode("utf-16-be"), "UTF-16 (big-endian) text"),
    "utf-16 le, a table in Chinese": ("1一,2\n".encode("utf-16-le"), "UTF-16 (little-endian) text"),
    "utf-16 be, a table in Chinese": ("1一,2\n".encode("utf-16-be"), "UTF-16 (big-endian) text"),
    "utf-32 le, a table in Russian": ("я,п\n".encode("utf-32-le"), "UTF-32 (little-endian) text"),
    "utf-32 be, a table in Russian": ("я,п\n".encode("utf-32-be"), "UTF-32 (big-endian) text"),
    "zeros": (bytes(100), "zero bytes, no text"),
    "zeros before text": (bytes(4) + LINES.encode(), "zero bytes, no text"),
    "gzip": (gzip.compress(LINES.encode(), mtime=0), "compressed data (gzip): decompress it first"),
    "zip": (zipped(), "compressed data (zip; an Excel sheet is such, too): decompress it first"),
    "empty zip": (b"PK\x05\x06" + bytes(18), "compressed data (zip, an empty one)"),
    "bzip2": (bz2.compress(LINES.encode()), "compressed data (bzip2)"),
    "xz": (lzma.compress(LINES.encode()), "compressed data (xz)"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(20), "compressed data (zstd)"),
    "csv": (CSV, "CSV, or another table: write JSON Lines or one JSON array, as UTF-8, an object for each row"),
    "csv, quoted": (CSV.replace(b"id", b'"id"'), "CSV, or another table"),
    "csv, semicolons": (b"\r\n" + CSV.replace(b",", b";"), "CSV, or another table"),
    "csv, tabs": (CSV.replace(b",", b"\t"), "CSV, or another table"),
    "csv, head only": (b"id,user_id", "CSV, or another table"),
    "csv, braces": (b"id,user_id\nX{1},2\n", "CSV, or another table"),
    "csv, a form feed": (b"id,user_id\n\x0c{1},2\n", "CSV, or another table"),
    "html": (b"<!DOCTYPE html><title>502</title>", "HTML or XML"),
}


@pytest.mark.parametrize("size", [1, 1 << 20])
@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_neither_is_recognised_and_named(kind, size):
    data, expected = FOREIGN[kind]
    assert refused(data, size).startswith(f"it: line 1, column 1: {expected}")


@pytest.mark.parametrize(
    "text",
    [
        "# a, comment\n" + LINES,
        '# a, comment\n  {"id":"a"}\n',
        '"a,b"\n',
        "garbage\n" + LINES,
        "EXAMPLE\n",
        "1,2\n[]\n",
        "\x0c\nid,user_id\n",
        '{"a"\x00:1}\n',
    ],
)
def test_what_is_no_table_and_in_no_other_encoding_is_read_line_by_line(text):
    collected = read(text)
    assert collected.form is TextFormat.LINES
    assert collected.rejected[0].place == "line 1"


def test_spaces_without_an_end_are_given_up(monkeypatch):
    monkeypatch.setattr(reader, "LONGEST", 1_000)
    with pytest.raises(UsageError, match="it: more than 1,000 bytes of white space"):
        read(" " * 1_001, 100)
    assert read(" " * 1_000, 100).form is TextFormat.EMPTY


def test_a_line_without_an_end_is_given_up(monkeypatch):
    monkeypatch.setattr(reader, "LONGEST", 100)
    assert read('{"id":"a"}\n{"id":"' + "x" * 91 + '"}\n{"id":"c"}', 7).read == 3
    for text in ('{"id":"a"}\n{"id":"' + "x" * 92 + '"}\n', '{"id":"a"}\n' + "x" * 101):
        for size in (7, 1_000):
            with pytest.raises(UsageError, match="it: line 2 is longer than 100 bytes: is it a file of JSON Lines"):
                read(text, size)


def test_a_file_is_named(tmp_path):
    file = tmp_path / "devices.json"
    file.write_text(json.dumps(RESOURCES, indent=2))
    collected = from_file(file)
    assert (collected.resources, collected.what) == (STORED, f"`{file}`")
    file.write_bytes(gzip.compress(b"", mtime=0))
    with pytest.raises(MalformedInputError, match=r"devices\.json.*gzip"):
        from_file(str(file))


def test_a_file_is_read_without_what_is_omitted(tmp_path):
    for name, text in (("lines", '{"id":"a","x":1}\n'), ("array", '[{"id":"a","x":1}]')):
        file = tmp_path / name
        file.write_text(text)
        for omit in (["x"], iter(["x"]), Omission.of(["x"])):
            collected = from_file(file, omit=omit)
            assert collected.resources == {b'"a"': b'{"id":"a"}'}
            assert collected.omitted == Omission.of(["x"])
        assert from_file(file).resources == {b'"a"': b'{"id":"a","x":1}'}
    with pytest.raises(ConfigurationError):
        from_file(tmp_path / "none", omit="x")


@pytest.mark.parametrize("space", ["\x0b", "\x0c", "\xa0", "X"])
def test_what_is_no_white_space_in_json_begins_no_array_and_is_no_blank_line(space):
    for text in (space + '[{"id":"a"}]', space, space + "\n", " " + space + ' \n{"id":"a"}'):
        collected = read(text)
        assert collected.form is TextFormat.LINES
        assert [refusal.place for refusal in collected.rejected] == ["line 1"]


@pytest.mark.parametrize(
    ("chunks", "first", "left"),
    [
        ([b"x" * 65_536, b"y"], b"x", 1),
        ([b"x" * 65_537, b"y"], b"x", 1),
        ([b"x" * 65_535, b"y", b"z"], b"x", 1),
        ([b"x" * 65_535, b"y" * 9, b"z"], b"x", 1),
        ([b" " * 65_536, b"[", b"]"], b"[", 1),
        ([b" " * 65_536, b"\n", b"]", b""], b"]", 1),
        ([b" \t\r\n", b"", b" "], b"", 0),
        ([], b"", 0),
    ],
    ids=range(8),
)
def test_no_more_is_read_ahead_than_tells_the_form(chunks, first, left):
    coming = iter(chunks)
    head, first_byte = reader._head(coming, "it")
    assert first_byte == first
    assert type(head) is bytes
    assert head == b"".join(chunks[: len(chunks) - left])
    assert len(list(coming)) == left


def lines_of(*chunks):
    return list(reader._lines(chunks, "it"))


def test_lines_are_put_together_of_chunks():
    assert lines_of(b"ab\ncd", b"e", b"\n\nf", b"g") == [b"ab\n", b"cde\n", b"\n", b"fg"]
    assert lines_of(b"a\n") == lines_of(b"a", b"\n", b"") == [b"a\n"]
    assert lines_of() == lines_of(b"") == []


def test_a_line_is_as_long_as_it_may_be_whatever_chunks_it_comes_in(monkeypatch):
    monkeypatch.setattr(reader, "LONGEST", 10)
    x = b"x"
    for chunks in ((x * 10,), (x * 5, x * 5), (x * 5, x * 5 + b"\n"), (x * 10 + b"\n", x * 10 + b"\n", x * 4, x * 6)):
        assert b"".join(lines_of(*chunks)) == b"".join(chunks)
    for chunks in ((x * 11,), (x * 4, x * 4, x * 3), (x * 5, x * 6 + b"\n"), (x * 11 + b"\n",)):
        with pytest.raises(UsageError, match="it: line 2 is longer than 10 bytes"):
            lines_of(b"a\n", *chunks)


def test_a_file_without_an_end_is_not_read_to_its_end():
    with pytest.raises(MalformedInputError, match="zero bytes, no text"):
        from_file("/dev/zero")


def test_chunks_are_read_once():
    for chunks in ([b'{"id":"a"}\n', b'{"id":"b"}\n'], [b"[", b'{"id":"a"}', b',{"id":"b"}]']):
        collected = from_chunks(chunks)
        assert (list(collected.resources), collected.read) == ([b'"a"', b'"b"'], 2)
        assert collected.what == ""


# --- Python objects


def test_errors_of_python_objects_speak_of_objects():
    with PolicyBridge(ReferenceEngine()) as bridge:
        bad = [{"id": "a"}, {"id": "b", "custom_data": {"t": [1, codecs]}}, {"id": "c", "n": float("nan")}]
        with pytest.raises(PushRejectedError) as error:
            bridge.push("devices", bad)
        assert str(error.value) == (
            "nothing was pushed: 2 of 3 resources are refused, first item 2: at `/custom_data/t/1`: "
            "a Python builtins.module is no JSON value (R12.7); correct them, or push the others with "
            "`skip_invalid` (--skip-invalid)"
        )
        assert [refusal.place for refusal in error.value.rejected] == ["item 2", "item 3"]
        with pytest.raises(PushRejectedError) as error:
            bridge.push("devices", bad[1:], skip_invalid=True)
        assert str(error.value).startswith("nothing was pushed: all 2 resources are refused, first item 1: at `/custom")
        assert "line" not in str(error.value)


@pytest.mark.parametrize("argument", ["devices.jsonl", b"[]", {"id": "a"}])
def test_one_object_or_a_text_is_not_several_resources(argument):
    with pytest.raises(UsageError, match="several resources are needed"):
        from_objects(argument)
