"""Python types whose values look like JSON values. R12.7 refuses them: another encoder might write them differently."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class NumberEnum(IntEnum):
    ONE = 1


class TextEnum(StrEnum):
    A = "a"


class TextSubclass(str):
    __slots__ = ()


class DictSubclass(dict):
    pass


class ListSubclass(list):
    pass


class FloatSubclass(float):
    pass
