"""Settings that are a number of seconds."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from bridge.errors import ConfigurationError


def seconds(name: str, value: object, *, zero: bool = False) -> Fraction:
    """The exact number of seconds that a setting gives; a float is the number that its repr spells (R12.7).

    Args:
        name: The setting's name, for the error.
        value: The setting.
        zero: Whether 0 is allowed.

    Raises:
        ConfigurationError: No finite number, a bool, negative, or 0 where that is not allowed.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ConfigurationError(f"{name}: a number of seconds is needed")
    try:
        exact = Fraction(repr(value)) if isinstance(value, float) else Fraction(value)
    except (ValueError, OverflowError):
        raise ConfigurationError(f"{name}: the number of seconds must be finite") from None
    if exact < 0 or (exact == 0 and not zero):
        raise ConfigurationError(f"{name}: the number of seconds must not be negative{'' if zero else ' or 0'}")
    return exact
