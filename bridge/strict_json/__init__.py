"""JSON text to values and back, strictly (R12): with exact numbers, no repair and no loss.

`parse` reads text; `encode` writes canonical text. Both refuse what R12 refuses, with the place and the cause.
`encode` writes everything that is sent to an engine.
"""

from bridge.strict_json.decode import parse, parse_canonical
from bridge.strict_json.diagnosis import is_json
from bridge.strict_json.encode import Memo, encode, encode_memoized, sorted_text, string_text
from bridge.strict_json.numbers import are_canonical
from bridge.strict_json.scanner import scan_leniently
from bridge.strict_json.values import (
    ABSENT,
    CLAIMS_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    RESOURCE_BYTES,
    Absent,
    Value,
    pointer,
    resolve,
)

__all__ = [
    "ABSENT",
    "CLAIMS_BYTES",
    "MAX_DEPTH",
    "MAX_NODES",
    "RESOURCE_BYTES",
    "Absent",
    "Memo",
    "Value",
    "are_canonical",
    "encode",
    "encode_memoized",
    "is_json",
    "parse",
    "parse_canonical",
    "pointer",
    "resolve",
    "scan_leniently",
    "sorted_text",
    "string_text",
]
