"""Vectors about R12 inside the claims."""

from __future__ import annotations

import json
from typing import Any

from signer import CLAIMS, FAR, NOW, having, spelled, text_of, token
from vector_file import File


def payload() -> File:
    file = File("payload", "R12 inside the claims, signed or not.")
    case = file.case

    def accepted(name: str, text: str | bytes, rules: str, **more: Any) -> None:
        case(name, token(text), text if isinstance(text, str) else text.decode(), rules=rules, **more)

    def refused(name: str, text: str | bytes, rules: str, **more: Any) -> None:
        case(name, token(text), "malformed", rules=rules, **more)

    for label, text in {"array": "[]", "string": '"x"', "number": "1", "null": "null", "true": "true"}.items():
        refused(f"claims-{label}", text, "R12.1")
    refused("claims-array-of-claims", json.dumps([CLAIMS]), "R12.1")
    case("claims-object", token())
    case("claims-empty-object", token({}), "missing_claim")
    whole = text_of(CLAIMS).decode()
    accepted("claims-in-white-space", " \t\r\n" + json.dumps(CLAIMS, indent=2) + "\n", "R12.1")
    refused("claims-cut-off", whole[:-1], "R12.1")
    refused("claims-twice", whole + whole, "R12.1")
    refused("claims-with-a-trailing-comma", whole[:-1] + ",}", "R12.1")
    refused("claims-with-a-comment", whole[:-1] + "/* */}", "R12.1")
    refused("claims-after-a-byte-order-mark", b"\xef\xbb\xbf" + whole.encode(), "R12.1")
    refused("claims-in-utf-16", whole.encode("utf-16"), "R12.1")
    refused("claims-not-utf-8", whole.replace("agent", "agent\x00").encode().replace(b"\x00", b"\xff"), "R12.1")
    accepted("claims-with-replacement-character", spelled('"x":"\ufffd"'), "R12.1")
    refused("claims-utf-8-of-a-surrogate", spelled('"x":"?"').encode().replace(b"?", b"\xed\xa0\x80"), "R12.1")
    accepted("claims-raw-utf-8", spelled('"x":"\u00e9\U0001f512"'), "R12.1")
    refused("claims-overlong-utf-8", spelled('"x":"?"').encode().replace(b"?", b"\xc0\x80"), "R12.1")
    refused("claims-raw-nul-in-a-string", spelled('"x":"\0"'), "R12.1")
    accepted("claims-escaped-nul-in-a-string", spelled('"x":"\\u0000"'), "R12.1")
    refused("claims-raw-line-feed-in-a-string", spelled('"x":"\n"'), "R12.1")
    for label, text in {
        "nan": "NaN",
        "infinity": "Infinity",
        "minus-infinity": "-Infinity",
        "hex": "0x10",
        "plus": "+1",
    }.items():
        refused(f"claims-{label}", spelled(f'"x":{text}'), "R12.1")
    accepted("claims-nan-as-a-string", spelled('"x":"NaN"'), "R12.1")
    refused("claims-leading-zero", spelled('"x":01'), "R12.1")
    refused("claims-no-digit-behind-the-point", spelled('"x":1.'), "R12.1")

    twice = {
        "exp": f'{{"exp":{NOW - 1},"sub":"a","exp":{FAR}}}',
        "exp-the-same": f'{{"exp":{FAR},"sub":"a","exp":{FAR}}}',
        "policy": f'{{"exp":{FAR},"policy":{{"version":2}},"policy":{{"version":2,"devices":{{}}}}}}',
        "version-in-the-policy": f'{{"exp":{FAR},"policy":{{"version":1,"version":2,"devices":{{}}}}}}',
        "devices-in-the-policy": f'{{"exp":{FAR},"policy":{{"version":2,"devices":{{"id":"1"}},"devices":{{}}}}}}',
        "once-with-an-escape": f'{{"exp":{FAR},"policy":{{"version":2}},"polic\\u0079":{{"version":2}}}}',
        "deep-inside": spelled('"x":[[{"a":{"b":1,"b":1}}]]'),
        "empty-name": spelled('"":1,"":1'),
    }
    accepted("member-once", f'{{"exp":{FAR},"policy":{{"version":2,"devices":{{}}}}}}', "R12.2")
    for label, text in twice.items():
        refused(f"member-twice-{label}", text, "R12.2")
    accepted("member-names-that-differ-by-case", spelled('"Exp":1,"EXP":2'), "R12.2")
    accepted("member-names-that-differ-by-normalisation", spelled('"\u00e9":1,"e\u0301":2'), "R12.2")

    refused("surrogate-high-alone", spelled('"x":"\\ud800"'), "R12.3")
    refused("surrogate-low-alone", spelled('"x":"\\udc00"'), "R12.3")
    accepted("surrogates-paired", spelled('"x":"\\ud800\\udc00"'), "R12.3")
    refused("surrogates-in-the-wrong-order", spelled('"x":"\\udc00\\ud800"'), "R12.3")
    refused("surrogate-in-a-name", spelled('"\\udfff":1'), "R12.3")
    refused("surrogate-in-the-policy", json.dumps(having(policy={"version": 2, "devices": {"id": "\ud800"}})), "R12.3")
    accepted(
        "surrogate-behind-a-backslash", spelled('"x":"\\\\ud800"'), "R12.3", why="An escaped backslash, and letters."
    )
    refused("surrogate-behind-two-backslashes", spelled('"x":"\\\\\\ud800"'), "R12.3")

    for label, (opening, closing) in {"arrays": ("[", "]"), "objects": ('{"a":', "}")}.items():
        inner = "" if label == "arrays" else "1"
        accepted(f"depth-64-of-{label}", spelled('"x":' + opening * 63 + inner + closing * 63), "R12.4")
        refused(f"depth-65-of-{label}", spelled('"x":' + opening * 64 + inner + closing * 64), "R12.4")
    refused("depth-of-thousands", spelled('"x":' + "[" * 10_000 + "]" * 10_000), "R12.4")
    accepted("depth-of-brackets-in-a-string", spelled('"x":"' + "[" * 100 + '"'), "R12.4")

    numbers = {
        "integer-of-40-digits": ("1234567890" * 4, True),
        "integer-of-41-digits": ("1234567890" * 4 + "1", False),
        "integer-beyond-doubles-precision": ("9007199254740993", True),
        "17-significant-digits": ("0.12345678901234567", True),
        "18-significant-digits": ("0.123456789012345678", False),
        "integer-by-exponent-of-40-digits": ("1e39", True),
        "digits-beyond-40-by-a-point": ("12345678901234567890123456789012345678901.0", False),
        "integer-by-exponent-of-41-digits-is-a-double": ("1e40", True),
        "greatest-double": ("1.7976931348623157e308", True),
        "beyond-doubles": ("1e309", False),
        "of-the-greatest-magnitude": ("1.8e308", True),
        "above-the-greatest-magnitude": ("1.80001e308", False),
        "smallest-double": ("5e-324", True),
        "below-doubles": ("1e-325", False),
        "of-the-smallest-magnitude": ("4e-324", True),
        "below-the-smallest-magnitude": ("3.9999e-324", False),
        "huge-exponent": ("1e100000000", False),
        "minus-zero": ("-0", True),
        "minus-infinite": ("-1e309", False),
        "zero-with-a-huge-exponent": ("0e99999999999999999999", True),
        "huge-exponent-of-a-fraction": ("0.1e99999999999999999999", False),
        "of-1000-characters": ("0." + "0" * 996 + "e9", True),
        "of-1001-characters": ("0." + "0" * 997 + "e9", False),
    }
    for label, (text, is_accepted) in numbers.items():
        (accepted if is_accepted else refused)(f"number-{label}", spelled(f'"x":{text}'), "R12.5")

    # `1e39` takes 4 characters, and 40 when it is written out.
    def growing(count: int, fill: int) -> str:
        numbers = ",".join(["1e39"] * count)
        return text_of(CLAIMS).decode()[:-1] + f',"x":[{numbers}],"y":"{"y" * fill}"}}'

    def canonical_size(count: int, fill: int) -> int:
        return len(growing(count, fill)) + 36 * count

    fill = 65_536 - canonical_size(1_500, 0)
    accepted("size-65536-written-out", growing(1_500, fill), "R12.6")
    refused("size-65537-written-out", growing(1_500, fill + 1), "R12.6", why="What counts is the canonical text.")
    refused("size-far-too-large-written-out", growing(8_000, 0), "R12.6")
    return file
