"""Vectors about the compact form."""

from __future__ import annotations

import json
from typing import Any

from signer import b64, having, signed, text_of, token
from vector_file import File


def form() -> File:
    file = File("form", "The compact form: three segments of exact base64url, and nothing around them.")
    case = file.case
    good = token()
    head, body, tail = good.split(".")
    case("form-right", good)
    texts = {
        "empty": "",
        "two-dots": "..",
        "one-segment": head,
        "two-segments": f"{head}.{body}",
        "four-segments": f"{good}.{tail}",
        "empty-fourth-segment": f"{good}.",
        "five-segments": f"{head}.{head}.{head}.{body}.{tail}",
        "header-empty": f".{body}.{tail}",
        "space-before": f" {good}",
        "space-behind": f"{good} ",
        "line-feed-behind": f"{good}\n",
        "space-inside": f"{head}. {body}.{tail}",
        "line-feed-inside": f"{head}.{body[:40]}\n{body[40:]}.{tail}",
        "nul-behind": f"{good}\0",
        "tab-before": f"\t{good}",
        "bearer-before": f"Bearer {good}",
        "in-quotes": f'"{good}"',
        "comma-for-a-dot": f"{head},{body}.{tail}",
        "full-width-dot": f"{head}\uff0e{body}.{tail}",
        "not-ascii": f"{head}.{body}.{tail[:-1]}\u00e9",
        "full-width-letter": f"{head}.\uff25{body[1:]}.{tail}",
        "byte-order-mark-before": f"\ufeff{good}",
        "cut-off-in-the-payload": good[: len(head) + 20],
        "header-twice": f"{head}{head}.{body}.{tail}",
        "json": json.dumps({"protected": head, "payload": body, "signature": tail}),
    }
    for name, text in texts.items():
        case(f"form-{name}", text, "malformed", rules="R12.1" if name == "header-twice" else "")
    case("form-payload-empty", signed(f"{head}."), "malformed", rules="R12.1")
    case("form-right-once-more", token(having(sub="another@example.com")), having(sub="another@example.com"))
    case("form-signature-cut-off-at-a-byte", f"{head}.{body}.{tail[:-6]}", "signature", why="Still exact base64url.")

    # Base64url, exactly.
    padded = f"{head}=.{body}.{tail}" if len(head) % 4 == 3 else f"{head}==.{body}.{tail}"
    case("base64-header-padded", padded, "malformed")
    odd = next(having(sub="a" * size) for size in range(1, 9) if len(b64(text_of(having(sub="a" * size)))) % 4 == 3)
    message = f"{head}.{b64(text_of(odd))}"
    case("base64-payload-padded-and-signed-so", signed(f"{message}="), "malformed")
    case("base64-payload-not-padded", signed(message), odd)
    case("base64-signature-padded", f"{good}==", "malformed")
    case("base64-payload-with-a-needless-padding", f"{head}.{body}====.{tail}", "malformed")

    def other_end(segment: str) -> str:
        """Return the segment with unused bits set: it decodes to the same bytes."""
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        assert len(segment) % 4
        return segment[:-1] + letters[letters.index(segment[-1]) | 1]

    case(
        "base64-signature-unused-bits",
        f"{head}.{body}.{other_end(tail)}",
        "malformed",
        why="One signature, one spelling.",
    )
    case("base64-payload-unused-bits-and-signed-so", signed(f"{head}.{other_end(b64(text_of(odd)))}"), "malformed")
    long_head = next(h for n in range(1, 9) if len(h := b64(text_of({"alg": "RS256", "x": "a" * n}))) % 4)
    case("base64-header-unused-bits-and-signed-so", signed(f"{other_end(long_head)}.{body}"), "malformed")
    case("base64-header-without-unused-bits", signed(f"{long_head}.{body}"))
    case("base64-length-of-no-bytes", f"{head}.{body}.{tail[:-1]}", "malformed")
    special = having(sub="\u00fb\u00ff\u00fe~~~???>>>")
    text = json.dumps(special, separators=(",", ":"), ensure_ascii=False)
    segment = b64(text)
    assert "-" in segment or "_" in segment
    case("base64-alphabet-of-urls", signed(f"{head}.{segment}"), special)
    case("base64-alphabet-of-mails", signed(f"{head}.{segment.replace('-', '+').replace('_', '/')}"), "malformed")
    case("base64-percent-encoded", good.replace(".", "%2E"), "malformed")
    case("base64-a-foreign-character-to-be-skipped", f"{head}.{body}.{tail[:8]}!{tail[8:]}", "malformed")

    # Size.
    def sized(size: int) -> tuple[str, dict[str, Any]]:
        for fill in range(48_000, 49_200):
            for more in range(4):
                claims = having(x="x" * fill)
                text = f"{b64(text_of({'alg': 'RS256', 'x': 'x' * more}))}.{b64(text_of(claims))}"
                if len(text) + 1 + len(tail) == size:
                    return signed(text), claims
        raise AssertionError(size)

    largest, claims = sized(65_536)
    case("size-65536", largest, text_of(claims).decode())
    case("size-65537", sized(65_537)[0], "malformed")
    case("size-of-a-megabyte", "x" * 1_048_576, "malformed")
    return file
