"""Python values to Rego literals."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bridge.strict_json import encode

if TYPE_CHECKING:
    from collections.abc import Iterable


def literal(value: object) -> str:
    """The Rego literal of a JSON value.

    JSON text is a Rego term of the same value: Rego takes its scalars, arrays and objects from JSON. Only a byte order
    mark has to be escaped, which OPA refuses anywhere in a module; DEL is escaped for who reads it.

    Raises:
        MalformedInputError: The value is none of R12.7.
    """
    text = encode(value, max_bytes=sys.maxsize).decode("utf-8")
    return text.replace("\ufeff", "\\ufeff").replace("\x7f", "\\u007f")


def set_literal(values: Iterable[str | int]) -> str:
    """The Rego literal of a set of strings or integers."""
    items = [literal(value) for value in values]
    return "{" + ", ".join(items) + "}" if items else "set()"
