"""Bytes that are no UTF-8 text: one table says what they are, whoever asks."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zipfile

import pytest

from bridge import MalformedInputError
from bridge.store import from_chunks
from bridge.strict_json import parse
from bridge.strict_json.diagnosis import Kind, beginning_of, encoding_fault

EMPTY_ZIP = io.BytesIO()
zipfile.ZipFile(EMPTY_ZIP, "w").close()
ZIP = io.BytesIO()
with zipfile.ZipFile(ZIP, "w") as archive:
    archive.writestr("devices.jsonl", "{}")

MARK = "a byte order mark, which JSON must not have: write UTF-8 without it (Python's `utf-8`, not `utf-8-sig`)"
TEXT = "{} text: write JSON Lines or one JSON array, as UTF-8"
PACKED = "compressed data ({}): decompress it first"
TABLE = {
    "utf-8": (
        codecs.BOM_UTF8 + b"{}",
        Kind.MARK,
        "it begins with a byte order mark: save it as UTF-8 without one",
        MARK,
    ),
    "utf-16 le": (
        codecs.BOM_UTF16_LE + b"x",
        Kind.TEXT,
        "it is UTF-16, not UTF-8: save it as UTF-8",
        TEXT.format("UTF-16"),
    ),
    "utf-16 be": (codecs.BOM_UTF16_BE, Kind.TEXT, "it is UTF-16, not UTF-8: save it as UTF-8", TEXT.format("UTF-16")),
    "utf-32 le": (codecs.BOM_UTF32_LE, Kind.TEXT, "it is UTF-32, not UTF-8: save it as UTF-8", TEXT.format("UTF-32")),
    "utf-32 be": (codecs.BOM_UTF32_BE, Kind.TEXT, "it is UTF-32, not UTF-8: save it as UTF-8", TEXT.format("UTF-32")),
    "gzip": (
        gzip.compress(b"", mtime=0),
        Kind.COMPRESSED,
        "it is compressed (gzip): decompress it first",
        PACKED.format("gzip"),
    ),
    "bzip2": (
        bz2.compress(b""),
        Kind.COMPRESSED,
        "it is compressed (bzip2): decompress it first",
        PACKED.format("bzip2"),
    ),
    "xz": (lzma.compress(b""), Kind.COMPRESSED, "it is compressed (xz): decompress it first", PACKED.format("xz")),
    "lz4": (b"\x04\x22\x4d\x18", Kind.COMPRESSED, "it is compressed (lz4): decompress it first", PACKED.format("lz4")),
    "7z": (
        b"7z\xbc\xaf\x27\x1c",
        Kind.COMPRESSED,
        "it is compressed (7z): decompress it first",
        PACKED.format("7z"),
    ),
    "zstd": (b"(\xb5/\xfd", Kind.COMPRESSED, "it is compressed (zstd): decompress it first", PACKED.format("zstd")),
    "zip": (
        ZIP.getvalue(),
        Kind.ARCHIVE,
        "it is a zip archive: unpack it first",
        PACKED.format("zip; an Excel sheet is such, too"),
    ),
    "empty zip": (
        EMPTY_ZIP.getvalue(),
        Kind.ARCHIVE,
        "it is a zip archive: unpack it first",
        PACKED.format("zip, an empty one"),
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_each_is_recognised_alike_in_any_text_and_in_a_file_of_resources(name):
    data, kind, fault, of_resources = TABLE[name]
    beginning = beginning_of(data)
    assert beginning is not None
    assert beginning.kind is kind
    assert encoding_fault(data) == fault
    with pytest.raises(MalformedInputError) as refused:
        from_chunks([data])
    assert refused.value.cause == of_resources


@pytest.mark.parametrize("name", [name for name in TABLE if name not in {"utf-8", "empty zip", "lz4"}])
def test_a_json_text_that_is_no_utf_8_is_refused_with_the_remedy(name):
    data, _, fault, _ = TABLE[name]
    with pytest.raises(MalformedInputError) as refused:
        parse(data)
    assert refused.value.cause == fault


@pytest.mark.parametrize("name", TABLE)
def test_no_shorter_beginning_is_enough(name):
    beginnings = {"utf-8": 3, "gzip": 2, "bzip2": 3, "xz": 6, "lz4": 4, "7z": 6, "zstd": 4, "zip": 4, "empty zip": 4}
    data, size = TABLE[name][0], beginnings.get(name, 4 if "32" in name else 2)
    whole = beginning_of(data[:size])
    assert whole == beginning_of(data)
    for shorter in range(size):
        assert beginning_of(data[:shorter]) != whole


@pytest.mark.parametrize(
    ("data", "is_utf_16"),
    [
        (b"a\0b\0", True),
        (b"\0a\0b", True),
        (b"\t\0\n\0\xff\xff", True),
        (b"\0\r\0~", True),
        (b" \0\x7f\0", False),
        (b"\x1f\0a\0", False),
        (b"a\0b", False),
        (b"\0a\0", False),
        (b"a\0\0b", False),
        (b"xa\0b\0", False),
        (b"ab\0\0", False),
    ],
)
def test_utf_16_without_a_mark_has_a_zero_byte_beside_each_of_two_characters(data, is_utf_16):
    assert beginning_of(data) is None
    assert encoding_fault(data) == ("it is UTF-16, not UTF-8: save it as UTF-8" if is_utf_16 else "")


def test_utf_16_without_a_mark_is_of_ascii_characters_that_a_json_text_may_have():
    of_json = b"\t\n\r" + bytes(range(0x20, 0x7F))
    for code in range(256):
        byte = bytes([code])
        for data in (b"%b\0[\0", b"[\0%b\0", b"\0%b\0[", b"\0[\0%b"):
            assert bool(encoding_fault(data.replace(b"%b", byte))) is (byte in of_json), (data, code)
