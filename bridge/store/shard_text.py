"""A shard in the JSON text that OPA writes, bucket by bucket: what has the text it should have need not be read."""

from __future__ import annotations

from json import JSONDecoder
from typing import TYPE_CHECKING, Final

from bridge.errors import InvalidResponseError, MalformedInputError
from bridge.strict_json import MAX_DEPTH, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.strict_json import Value

_DECODER: Final = JSONDecoder()  # it only tells where a value ends


def differing(text: str, wanted: Mapping[str, str]) -> dict[str, dict[str, Value]]:
    """The buckets that have another text than they should, as they are; one that is not there is empty.

    OPA writes resources as they were pushed, but with escapes of its own: a bucket of another text may well be equal.

    Args:
        text: The shard's JSON text, without spaces.
        wanted: The texts of the buckets, by name.

    Raises:
        InvalidResponseError: It is no object of objects.
    """
    found: dict[str, dict[str, Value]] = {}
    missing = dict.fromkeys(wanted)
    try:
        at = _behind(text, "{", 0)
        more = text[at] != "}"
        while more:
            name, at = _name(text, at)
            missing.pop(name, None)
            if name in wanted and text.startswith(wanted[name], at):
                at += len(wanted[name])
            else:
                _, end = _DECODER.raw_decode(text, at)
                found[name] = _bucket(text[at:end])
                at = end
            more = text[at] == ","
            at += more
        if text[_behind(text, "}", at) :]:
            raise ValueError  # noqa: TRY301 - as all else that is not as it should be
    except (IndexError, TypeError, ValueError, MalformedInputError, RecursionError):
        raise InvalidResponseError("what OPA has as a shard is no object of objects") from None
    return found | {name: {} for name in missing}


def _behind(text: str, sign: str, at: int) -> int:
    if text[at] != sign:
        raise ValueError
    return at + 1


def _name(text: str, at: int) -> tuple[str, int]:
    """A member's name, and where its value begins."""
    name, at = _DECODER.raw_decode(text, at)
    if not isinstance(name, str):
        raise TypeError
    return name, _behind(text, ":", at)


def _bucket(text: str) -> dict[str, Value]:
    bucket = parse(text, max_depth=MAX_DEPTH + 1)
    if not isinstance(bucket, dict):
        raise TypeError
    return bucket
