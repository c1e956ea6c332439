"""JSON Patches (RFC 6902) as OPA knows them, whose paths are made of simple names alone."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*|0|[1-9][0-9]*")
Operation: TypeAlias = tuple[bytes, tuple[str, ...], bytes | None]
"""What is done, where, and the value in JSON text, if there is one."""


class Patch(list[Operation]):
    """Operations, done all or none."""

    def below(self, *names: str) -> Patch:
        """The same operations on what lies below these names."""
        return Patch((operation, (*names, *path), value) for operation, path, value in self)

    def body(self) -> bytes:
        """Its JSON text."""
        return b"[" + b",".join(_text(*operation) for operation in self) + b"]"


def add(*path: str, value: bytes) -> Operation:
    """Put a value there, in place of what there may be; what is above it must be there."""
    return b"add", path, value


def remove(*path: str) -> Operation:
    """Take away what is there; where nothing is, the whole patch fails."""
    return b"remove", path, None


def _text(operation: bytes, path: tuple[str, ...], value: bytes | None) -> bytes:
    for name in path:
        # OPA takes a `%2F`, a `-` and an empty name for something else than a member of that name.
        assert _NAME.fullmatch(name), name
    where = "/".join(("", *path)).encode("ascii")
    if value is None:
        return b'{"op":"%b","path":"%b"}' % (operation, where)
    return b'{"op":"%b","path":"%b","value":%b}' % (operation, where, value)
